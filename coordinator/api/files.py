"""Files that leave with a release: a cleaned copy asked for, looked at, and taken by its recipient."""

from __future__ import annotations

from flask import Blueprint, Response
from marshmallow import Schema, fields

from coordinator.accounts.rules import Right
from coordinator.api import shapes
from coordinator.api.access import needs, principal, store
from coordinator.api.bodies import answer
from coordinator.api.described import describes
from coordinator.incidents import queries
from coordinator.interchange import files_out
from coordinator.outside import filenames
from coordinator.sharing import copies
from coordinator.sharing.files import look_into
from coordinator.status import leaving_files, release_desk

routes = Blueprint("files", __name__)

LARGEST_ID = 2**53 - 1


class CodeSchema(Schema):
    code = shapes.text()
    text = shapes.text()


class NamedSchema(Schema):
    name = shapes.text()
    page = shapes.number(none=True)


class FileCopySchema(Schema):
    """`removed`: what was left behind. `why`: why there is no copy. `named`: where it names its source; of the `pages`
    of a PDF so many were `searched`, and so many of them are `wordless`, as scans are."""

    state = fields.String(required=True, metadata={"enum": ["none", "waiting", "cleaned", "refused"]})
    asked_at = shapes.at(none=True)
    made_at = shapes.at(none=True)
    media_type = shapes.text(none=True)
    sha256 = shapes.text(none=True)
    size = shapes.number(none=True)
    unchanged = fields.Boolean(required=True)
    drawn = fields.Boolean(required=True)
    bears_source = fields.Boolean(required=True, allow_none=True)
    named = fields.List(fields.Nested(NamedSchema), required=True)
    pages = shapes.number()
    searched = shapes.number()
    wordless = shapes.number()
    removed = fields.List(fields.Nested(CodeSchema), required=True)
    why = fields.Nested(CodeSchema, required=True, allow_none=True)


class LeavingFileSchema(Schema):
    """A file of an incident. `id`: its item version, as a release names it."""

    id = shapes.number()
    item = shapes.text()
    attachment = shapes.number()
    name = shapes.text()
    size = shapes.number()
    sha256 = shapes.text()
    tlp = shapes.text(none=True)
    originator = shapes.text(none=True)
    copy = fields.Nested(FileCopySchema, required=True)


LeavingFileListSchema = shapes.many(LeavingFileSchema)


@routes.get("/incidents/<reference>/files")
@needs(Right.READ_INCIDENTS)
@describes(answer=LeavingFileListSchema)
def listed(reference: str) -> Response:
    """The files of the incident as a release may name them, each with its cleaned copy."""
    with store().read() as tx:
        incident = queries.get_visible(tx, reference, principal=principal())
        return answer({"items": leaving_files.of_incident(tx, incident), "next": None})


@routes.post("/attachments/<int:number>/copy")
@needs(Right.REQUEST_RELEASE)
@describes(answer=FileCopySchema, status=202)
def ask(number: int) -> Response:
    """Ask for a copy of the file that may leave: made by a worker, in a minute at most. Asked again, the same one."""
    with store().unit_of_work() as tx:
        found = copies.ask(tx, min(number, LARGEST_ID), principal=principal())
        return answer(copies.described(found), status=202)


@routes.get("/attachments/<int:number>/copy")
@needs(Right.READ_INCIDENTS)
@describes(answer=FileCopySchema)
def one(number: int) -> Response:
    """What became of it, with what was removed."""
    with store().read() as tx:
        return answer(copies.described(copies.one(tx, min(number, LARGEST_ID), principal=principal())))


@routes.get("/incidents/<reference>/releases/<int:number>/files/<int:place>")
@needs(Right.READ_INCIDENTS)
@describes(media_types=("application/octet-stream",))
def look(reference: str, number: int, place: int) -> Response:
    """The very file that would leave or left, for those who decide. On record."""
    with store().unit_of_work() as tx:
        incident = queries.get_visible(tx, reference, principal=principal())
        row = release_desk.one(tx, incident, min(number, LARGEST_ID))
        file, body = look_into(tx, row, place, principal=principal())
        return _as_file(file.name, body)


@routes.get("/released/<public_id>/files/<int:number>")
@needs(Right.SEE_PARTNER_VIEW)
@describes(media_types=("application/octet-stream",))
def taken(public_id: str, number: int) -> Response:
    """A file that was released to your organisation. The rules are asked again; that it was taken is on record."""
    with store().unit_of_work() as tx:
        file = files_out.take(tx, public_id, number, reader=principal(), way="api")
    return _as_file(file.name, file.body)


def _as_file(name: str, body: bytes) -> Response:
    response = Response(body, content_type=files_out.MEDIA_TYPE)
    response.headers["Content-Disposition"] = filenames.attachment(name)
    response.headers.update(files_out.HEADERS)
    return response

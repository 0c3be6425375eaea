"""What was released, as a file for the recipient's own tools."""

from __future__ import annotations

from flask import Blueprint, Response

from coordinator.accounts.rules import Right
from coordinator.api.access import needs, principal, store
from coordinator.api.bodies import text_argument
from coordinator.api.described import describes
from coordinator.interchange import exits
from coordinator.outside import filenames

routes = Blueprint("exits", __name__)


@routes.get("/released/<public_id>/file")
@needs(Right.SEE_PARTNER_VIEW)
@describes(query=("as",), media_types=("application/octet-stream",))
def taken(public_id: str) -> Response:
    """One of them as a file: ?as=stix, misp, json or pdf. The rules are asked again; that it was taken is on record."""
    form = exits.check_form(text_argument("as") or "stix")
    with store().unit_of_work() as tx:
        given = exits.take(tx, public_id, reader=principal(), form=form, way="api")
    return as_file(exits.render(form, given, data_dir=store().settings.data_dir))


def as_file(file: exits.File) -> Response:
    """To be saved, never shown."""
    response = Response(file.body, content_type=file.media_type)
    response.headers["Content-Disposition"] = filenames.attachment(file.name)
    return response

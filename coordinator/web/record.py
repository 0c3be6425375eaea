"""The record as a whole: what happened beyond single incidents, proven on request, with its checkpoints."""

from __future__ import annotations

import json

from flask import Blueprint, Response, request
from flask_babel import gettext as _
from sqlalchemy import select

from coordinator.accounts.rules import Right
from coordinator.errors import NotFound, NotParseable
from coordinator.status import people
from coordinator.timeline import queries
from coordinator.timeline.models import Checkpoint
from coordinator.timeline.verify import Verdict, document_of
from coordinator.upkeep import vouched
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs

pages = Blueprint("record", __name__, url_prefix="/record")

LARGEST_CHECKPOINT = 64 * 1024


@pages.get("")
@needs(Right.READ_RECORD)
def record() -> Response:
    return _page(None)


@pages.post("/verify")
@needs(Right.READ_RECORD)
def prove() -> Response:
    """Walk all chains now; with a checkpoint kept elsewhere, against that too."""
    file = request.files.get("against")
    against = file.stream.read(LARGEST_CHECKPOINT) if file and file.filename else None
    with access.store().read() as tx:
        try:
            verdict = vouched.prove(tx, against=against)
        except NotParseable as error:
            return _page(None, errors={"against": error.detail}, code=400)
    return _page(verdict)


@pages.get("/checkpoints/<int:number>")
@needs(Right.READ_RECORD)
def checkpoint(number: int) -> Response:
    with access.store().read() as tx:
        row = tx.get(Checkpoint, number)
        if row is None:
            raise NotFound()
        text = json.dumps(document_of(row), indent=1) + "\n"
    answer = Response(text, mimetype="application/json")
    answer.headers["Content-Disposition"] = f'attachment; filename="checkpoint-{number}.json"'
    return answer


def _page(verdict: Verdict | None, *, errors: dict[str, str] | None = None, code: int = 200) -> Response:
    before = request.args.get("before", 0, type=int)
    with access.store().read() as tx:
        entries = queries.entries(tx, incident_id=None, after=before, limit=51, newest_first=True)
        shown = people.of_entries(tx, entries[:50])
        checkpoints = list(tx.execute(select(Checkpoint).order_by(Checkpoint.number.desc()).limit(10)).scalars())
    return page.show(
        "record/record.html", here="record", entries=shown, next=shown[-1]["id"] if len(entries) > 50 else None,
        before=before, checkpoints=checkpoints, verdict=verdict, errors=errors or {}, values={}, code=code,
        said=_("The record"),
    )  # fmt: skip

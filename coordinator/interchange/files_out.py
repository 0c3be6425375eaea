"""A file of a release, taken by its recipient: the rules are asked again, the bytes are those that were decided on."""

from __future__ import annotations

from sqlalchemy.orm import Session

from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.alerts import handing_out
from coordinator.alerts.released import released_alert
from coordinator.interchange.exits import File, NotGiven
from coordinator.markings import parse_tlp
from coordinator.sharing.files import file_of, open_file
from coordinator.timeline.keys import Erased

#: What nobody's browser opens, whatever it is.
MEDIA_TYPE = "application/octet-stream"
#: On every answer that bears a file: saved, never shown, and powerless if it were.
HEADERS = {"Content-Security-Policy": "default-src 'none'; sandbox", "X-Content-Type-Options": "nosniff",
           "Cache-Control": "no-store"}  # fmt: skip


def take(tx: Session, public_id: str, number: int, *, reader: Principal, way: str) -> File:
    """File `number` (from 1) of an alert released to the reader's organisation. `way`: page, api. On record.

    Raises NotFound (the same for none and another's), NotGiven, and FileChanged where the bytes are others by now.
    """
    alert = released_alert(tx, public_id, reader=reader)
    file = file_of(tx, alert.release_id, number)
    email = tx.get_one(User, reader.user_id).email
    decision = handing_out.permit(tx, alert, person=email)
    if decision is None:
        raise NotGiven("What it was released on has changed, or it was withdrawn: ask our duty desk.")
    try:
        body = open_file(tx, file)
    except Erased:
        raise NotGiven("It was erased.") from None
    handing_out.note(tx, alert, decision, principal=reader, way=way, format="file", file=file)
    label = parse_tlp(decision.effective_tlp).label.replace(":", "-")
    return File(name=f"{label}_{alert.partner_reference or alert.public_id}_{file.name}", media_type=MEDIA_TYPE,
                body=body)  # fmt: skip

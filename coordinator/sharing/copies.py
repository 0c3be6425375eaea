"""Copies of attachments that may leave: asked for by a person, made by a worker in a bounded child, kept sealed.

One copy for each attachment: what a file shows does not change. Asked for again, one that failed is tried again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import Principal
from coordinator.cleaning.bounded import LONGEST, Outcome
from coordinator.cleaning.results import DRAWN, LARGEST, REFUSED, REMOVED
from coordinator.errors import NotFound
from coordinator.incidents.attachments import PART, body_of
from coordinator.incidents.models import Attachment, Incident, ItemVersion
from coordinator.incidents.queries import visible
from coordinator.sharing.models import FileCopy, FileCopyPart
from coordinator.sharing.unnamed import names_of, sources_of
from coordinator.store import store_of
from coordinator.timeline.keys import seal, unseal

#: The pending kind that leads to `begin`.
KIND = "file.clean"
#: Longer than the child may take.
LEASE = timedelta(seconds=LONGEST + 30)
MOST_TRIES = 3
_TRY_AGAIN = ("failed", "time-over")


@dataclass(frozen=True)
class Work:
    """One file to be cleaned. `fence`: which attempt this is."""

    copy_id: int
    fence: int
    name: str
    body: bytes
    names: tuple[str, ...]


def ask(tx: Session, attachment_id: int, *, principal: Principal) -> FileCopy:
    """The copy of a file this person may know of; where there is none yet it is begun. Raises NotFound, also for a file
    that has not arrived or belongs to no incident."""
    attachment, incident = _attachment(tx, attachment_id, principal, hold=True)
    found = copy_of(tx, attachment_id)
    if found is not None and not (found.state == "refused" and found.why in _TRY_AGAIN):
        return found
    now = clock.now()
    if found is None:
        store_of(tx).require_room()
        found = FileCopy(
            attachment_id=attachment.id, incident_id=incident.id, asked_by=principal.actor, asked_at=now,
            data_key_id=attachment.data_key_id, exercise=attachment.exercise,
        )  # fmt: skip
        tx.add(found)
    found.state, found.why, found.begun, found.asked_by, found.asked_at = "waiting", "", 0, principal.actor, now
    tx.flush()
    timeline.append(
        tx, "file.asked", "A cleaned copy of a file was asked for.", actor=principal.actor, incident=incident,
        about=("attachment", attachment.id), values={"sha256": attachment.sha256}, exercise=attachment.exercise,
    )  # fmt: skip
    timeline.pending(tx, KIND, found.id, exercise=found.exercise)
    return found


def one(tx: Session, attachment_id: int, *, principal: Principal) -> FileCopy | None:
    """The copy, None where none was asked for. Raises NotFound as `ask`."""
    _attachment(tx, attachment_id, principal, hold=False)
    return copy_of(tx, attachment_id)


def copy_of(tx: Session, attachment_id: int) -> FileCopy | None:
    return tx.execute(select(FileCopy).where(FileCopy.attachment_id == attachment_id)).scalar_one_or_none()


def begin(tx: Session, copy_id: int, *, now: datetime) -> Work | datetime | None:
    """Take the work in hand; when to look again where somebody has it; None where nothing is to be done."""
    copy = tx.get(FileCopy, copy_id, with_for_update=True)
    if copy is None or copy.state != "waiting":
        return None
    if copy.lease_until is not None and now < copy.lease_until <= now + LEASE:
        return copy.lease_until
    copy.begun, copy.lease_until = copy.begun + 1, now + LEASE
    attachment = tx.get_one(Attachment, copy.attachment_id)
    if copy.begun > MOST_TRIES or attachment.size > LARGEST:
        settle(tx, copy.id, copy.begun, Outcome(why="failed" if copy.begun > MOST_TRIES else "too-large"))
        return None
    tx.flush()
    return Work(copy.id, copy.begun, attachment.name, body_of(tx, attachment), _names(tx, attachment, copy))


def settle(tx: Session, copy_id: int, fence: int, made: Outcome) -> None:
    """Write down what came of it, unless somebody else has taken it up since."""
    copy = tx.get_one(FileCopy, copy_id, with_for_update=True)
    if copy.state != "waiting" or copy.begun != fence:
        return
    copy.state, copy.why, copy.lease_until, copy.made_at = "refused", made.why, None, clock.now()
    if not made.why:
        _keep(tx, copy, made)
    tx.flush()
    said = "A copy of a file was made that may leave." if not made.why else "No copy of a file could be made."
    timeline.append(
        tx, "file.cleaned" if not made.why else "file.not-cleaned", said, actor="system",
        incident=tx.get_one(Incident, copy.incident_id), about=("attachment", copy.attachment_id),
        exercise=copy.exercise,
        values={"sha256": copy.sha256 or None, "removed": copy.removed, "why": copy.why or None},
    )  # fmt: skip


def body_of_copy(tx: Session, copy: FileCopy) -> bytes:
    """The bytes of a copy that was made."""
    query = select(FileCopyPart).where(FileCopyPart.copy_id == copy.id).order_by(FileCopyPart.part)
    return b"".join(
        unseal(tx, copy.data_key_id, each.sealed, about=_about(copy, each.part)) for each in tx.execute(query).scalars()
    )


def described(copy: FileCopy | None) -> dict[str, Any]:
    """{state (none, waiting, cleaned, refused), asked_at, made_at, kind, media_type, sha256, size, unchanged, drawn,
    bears_source, named [{name, page or None}], pages, searched, wordless, removed [{code, text}], why {code, text} or
    None}. `named`: where it names its source. `pages`, `searched`, `wordless`: of a PDF, as in cleaning.reading."""
    if copy is None:
        return {"state": "none", "removed": [], "why": None, "asked_at": None, "made_at": None, "kind": None,
                "media_type": None, "sha256": None, "size": None, "unchanged": False, "drawn": False,
                "bears_source": None, **_read(None)}  # fmt: skip
    return {
        "state": copy.state, "asked_at": copy.asked_at, "made_at": copy.made_at, "kind": copy.kind or None,
        "media_type": copy.media_type or None, "sha256": copy.sha256 or None,
        "size": copy.size if copy.state == "cleaned" else None, "unchanged": copy.unchanged,
        "drawn": copy.kind in DRAWN, "bears_source": copy.bears_source, **_read(copy),
        "removed": [{"code": code, "text": REMOVED[code]} for code in copy.removed or () if code in REMOVED],
        "why": {"code": copy.why, "text": REFUSED.get(copy.why, REFUSED["failed"])} if copy.why else None,
    }  # fmt: skip


def _read(copy: FileCopy | None) -> dict[str, Any]:
    said = (copy.reading if copy is not None else None) or {"named": [], "pages": 0, "searched": 0, "wordless": 0}
    return {**said, "named": [{"name": name, "page": page or None} for name, page in said["named"]]}


def copies_of(tx: Session, attachment_ids: Iterable[int]) -> dict[int, FileCopy]:
    """By attachment."""
    query = select(FileCopy).where(FileCopy.attachment_id.in_(list(attachment_ids)))
    return {each.attachment_id: each for each in tx.execute(query).scalars()}


def _attachment(
    tx: Session, attachment_id: int, principal: Principal, *, hold: bool
) -> tuple[Attachment, Incident]:
    query = select(Attachment, Incident).join(Incident, Incident.id == Attachment.incident_id)
    query = query.where(Attachment.id == attachment_id, visible(principal))
    found = tx.execute(query.with_for_update(of=Attachment) if hold else query).one_or_none()
    if found is None or found.Attachment.state != "stored" or found.Attachment.item_version_id is None:
        raise NotFound()
    return found.Attachment, found.Incident


def _keep(tx: Session, copy: FileCopy, made: Outcome) -> None:
    copy.state, copy.kind, copy.removed, copy.unchanged = "cleaned", made.kind, list(made.removed), made.unchanged
    copy.bears_source, copy.media_type, copy.ending = made.bears_name, made.media_type, made.ending
    copy.reading = {"named": [list(each) for each in made.named], "pages": made.pages, "searched": made.searched,
                    "wordless": made.wordless}  # fmt: skip
    copy.sha256, copy.size = hashlib.sha256(made.body).hexdigest(), len(made.body)
    tx.execute(delete(FileCopyPart).where(FileCopyPart.copy_id == copy.id))
    tx.execute(insert(FileCopyPart), [
        {"copy_id": copy.id, "part": part,
         "sealed": seal(tx, copy.data_key_id, made.body[start : start + PART], about=_about(copy, part))}
        for part, start in enumerate(range(0, max(len(made.body), 1), PART))
    ])  # fmt: skip


def _about(copy: FileCopy, part: int) -> str:
    return f"copy/{copy.id}/{copy.sha256}/{part}"


def _names(tx: Session, attachment: Attachment, copy: FileCopy) -> tuple[str, ...]:
    """The names under which we know whoever the file came from."""
    incident = tx.get_one(Incident, copy.incident_id)
    sources = sources_of(
        [tx.get_one(ItemVersion, attachment.item_version_id)], incident.source_id, incident.originator_id
    )
    return tuple(sorted(names_of(tx, sources, incident_id=incident.id)))

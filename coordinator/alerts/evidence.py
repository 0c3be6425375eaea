"""What a word on a label rests on: who said it, when and how, their words, the letter or mail itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.errors import Fault, Invalid, SecrecyMarkingFound
from coordinator.incidents.labels import ABOUT
from coordinator.incidents.models import Incident, Report
from coordinator.markings import find_secrecy
from coordinator.outside.canonical_json import canonical
from coordinator.partners.models import Organisation
from coordinator.partners.queries import organisation_by_code
from coordinator.timeline.keys import seal

#: How an originator said it. `message`: in a report of its own system.
CHANNELS = ("email", "voice", "letter", "meeting", "message", "other")
LARGEST_FILE = 10 << 20
LONGEST_REASON = 2000
ABOUT_FILE = "label evidence"
#: A time is typed to the minute.
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Evidence:
    """The letter or mail itself."""

    name: str
    media_type: str
    body: bytes


def check(
    wanted: Mapping[str, Any], giver: Organisation | None, report: Report | None, file: Evidence | None
) -> None:
    faults = []
    if not wanted["reason"].strip() or len(wanted["reason"]) > LONGEST_REASON:
        faults.append(Fault("/reason", f"Say why, in at most {LONGEST_REASON} characters."))
    if giver is not None:
        faults += [Fault(f"/{name}", sentence) for name, sentence in _NEEDED.items() if not wanted.get(name)]
        if wanted.get("said_at") and wanted["said_at"] > clock.now() + MINUTE:
            faults.append(Fault("/said_at", "Give the time when they said it: it has not come yet."))
        if not (wanted.get("words") or file is not None or report is not None):
            faults.append(Fault("/words", "Give what they said, attach their letter or mail, or name their message."))
    if file is not None and not 0 < len(file.body) <= LARGEST_FILE:
        faults.append(Fault("/file", f"Choose a file of at most {LARGEST_FILE >> 20} MiB that is not empty."))
    if find_secrecy("", " ".join([wanted.get("words") or "", wanted["reason"]])) is not None:
        raise SecrecyMarkingFound([Fault("", "The text bears a secrecy marking.")])
    if faults:
        raise Invalid(faults)


_NEEDED = {
    "channel": "Choose how they said it.",
    "said_at": "Give the time when they said it.",
    "said_by": "Name who of theirs said it.",
}


def originator(tx: Session, code: str | None) -> Organisation | None:
    if not code:
        return None
    found = organisation_by_code(tx, code)
    if found is None or found.is_own:
        raise Invalid([Fault("/from", "Choose an organisation that is not ours; leave it out for what we raised.")])
    return found


def report(tx: Session, incident: Incident, giver: Organisation | None, public_id: str) -> Report | None:
    if not public_id:
        return None
    found = tx.execute(select(Report).where(Report.public_id == public_id)).scalar_one_or_none()
    theirs = found is not None and giver is not None and found.organisation_id == giver.id
    if found is None or found.incident_id != incident.id or not theirs:
        raise Invalid([Fault("/report", "Name a message of theirs in this incident.")])
    return found


def sealed(tx: Session, incident: Incident, wanted: Mapping[str, Any]) -> bytes:
    said = {"said_by": wanted.get("said_by") or "", "words": wanted.get("words") or "",
            "reason": wanted["reason"].strip()}  # fmt: skip
    return seal(tx, incident.data_key_id, canonical(said), about=ABOUT)


def kept(tx: Session, incident: Incident, file: Evidence | None) -> dict[str, Any]:
    if file is None:
        return {}
    name = file.name.replace("\\", "/").rsplit("/", 1)[-1].strip()[:200]
    return {
        "file_name": name or "evidence", "file_type": file.media_type[:120] or "application/octet-stream",
        "file_sha256": hashlib.sha256(file.body).hexdigest(),
        "file_sealed": seal(tx, incident.data_key_id, file.body, about=ABOUT_FILE),
    }  # fmt: skip

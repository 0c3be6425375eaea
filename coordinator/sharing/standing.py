"""Texts cleared beforehand: two persons clear a fixed text without case facts, and one signature releases it later.

The clearance never permits by itself. Its two persons count as approvers of a release of exactly this text, and the
rules are asked as for any other; without one such a release waits for a second person. It holds only while both are
people who may still clear: when one leaves, is suspended or gets another role it rests, and a task asks for it anew.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Right, Role, may
from coordinator.errors import Fault, Invalid, NoRight, NotFound, Refused, SecrecyMarkingFound
from coordinator.markings import Marking, Tlp, find_secrecy
from coordinator.sharing.composed import content_digest
from coordinator.sharing.models import Release, StandingClearance
from coordinator.vocabulary import valid_language

#: The kind of release it is for, and what such a text is: ours, for anyone, about nothing in particular.
KIND, PURPOSE, CATEGORY = "call-our-desk", "incident-response", "incident-notification"
MARKING = Marking(tlp=Tlp.CLEAR)
DEFAULT_LIFE, LONGEST_LIFE = timedelta(days=180), timedelta(days=366)
LONGEST_TITLE, LONGEST_BODY = 120, 1000
LONGEST_LANGUAGE = 20
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_REFERENCE = re.compile(r"\b[A-Z]{2,5}-\d{4}-\d{4,}\b")


def propose(
    tx: Session, *, title: str, body: str, language: str, principal: Principal, until: datetime | None = None
) -> StandingClearance:
    """The first person's word. It holds nothing until another person confirms it (`sharing.standing` follows).

    Raises Invalid (each fault), SecrecyMarkingFound.
    """
    now = clock.now()
    until = until or now + DEFAULT_LIFE
    title, body = title.strip(), body.strip()
    _check(title, body, language, until, now)
    row = StandingClearance(
        title=title, body=body, language=language, content_digest=digest_of(title, body, language), until=until,
        proposed_by=principal.user_id, proposed_role=principal.role, proposed_at=now,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    _record(tx, row, "standing.proposed", "A fixed text was proposed for clearance beforehand.", principal, {
        "title": title, "body": body, "language": language, "until": clock.rfc3339(until),
    })  # fmt: skip
    timeline.pending(tx, "standing.proposed", row.id)
    return row


def confirm(tx: Session, clearance_id: int, *, principal: Principal) -> StandingClearance:
    """The second person's word: from now on the text is cleared. Said again by the same person nothing changes.

    Raises NotFound, NoRight (no release authority among the two), Refused (own proposal, over, confirmed already).
    """
    row = _locked(tx, clearance_id)
    if row.confirmed_by == principal.user_id and row.revoked_at is None:
        return row
    if row.proposed_by == principal.user_id:
        raise Refused("You proposed this text yourself: another person has to clear it.")
    if row.confirmed_at is not None or row.revoked_at is not None or clock.now() >= row.until:
        raise Refused("This proposal is over: look at the list, or propose the text anew.")
    if row.proposed_by not in _clearing(tx, [row]):
        raise Refused("Whoever proposed this text may not clear any more: propose it anew.")
    if Role.RELEASE_AUTHORITY not in (row.proposed_role, principal.role):
        raise NoRight("One of the two persons has to be a release authority.")
    row.confirmed_by, row.confirmed_role, row.confirmed_at = principal.user_id, principal.role, clock.now()
    tx.flush()
    _record(tx, row, "standing.confirmed", "A second person cleared a fixed text beforehand.", principal, {
        "proposed_by": f"user:{row.proposed_by}", "until": clock.rfc3339(row.until),
    })  # fmt: skip
    return row


def revoke(tx: Session, clearance_id: int, *, principal: Principal, reason: str) -> StandingClearance:
    """End it now, for what is under way as well. Raises NotFound, Invalid without a reason, Refused if it is over."""
    if not reason.strip() or len(reason) > 2000:
        raise Invalid([Fault("/reason", "Say why, in at most 2000 characters.")])
    row = _locked(tx, clearance_id)
    if row.revoked_at is not None:
        raise Refused("It was revoked already.")
    row.revoked_by, row.revoked_at, row.revoke_reason = principal.user_id, clock.now(), reason.strip()
    tx.flush()
    _record(tx, row, "standing.revoked", "The clearance of a fixed text was revoked.", principal, {
        "reason": row.revoke_reason,
    })  # fmt: skip
    return row


def in_force(tx: Session, *, now: datetime) -> list[StandingClearance]:
    """Clearances that hold now, the one confirmed last first."""
    query = select(StandingClearance).where(
        StandingClearance.confirmed_at.is_not(None), StandingClearance.revoked_at.is_(None),
        StandingClearance.until > now,
    )  # fmt: skip
    rows = tx.execute(query.order_by(StandingClearance.confirmed_at.desc(), StandingClearance.id.desc()))
    found = list(rows.scalars())
    held = still_signed(tx, found)
    return [row for row in found if row.id in held]


def still_signed(tx: Session, rows: Sequence[StandingClearance]) -> set[int]:
    """Ids of the confirmed ones whose two persons may both still clear, one of them as a release authority."""
    able = _clearing(tx, rows)
    return {
        row.id for row in rows
        if row.proposed_by in able and row.confirmed_by in able
        and Role.RELEASE_AUTHORITY in (able[row.proposed_by], able[row.confirmed_by])
    }  # fmt: skip


def resting(tx: Session, user_id: int, *, now: datetime) -> list[StandingClearance]:
    """What this person signed and what would hold, if both of its persons might still clear."""
    query = select(StandingClearance).where(
        StandingClearance.confirmed_at.is_not(None), StandingClearance.revoked_at.is_(None),
        StandingClearance.until > now,
        or_(StandingClearance.proposed_by == user_id, StandingClearance.confirmed_by == user_id),
    )  # fmt: skip
    rows = list(tx.execute(query.order_by(StandingClearance.id)).scalars())
    held = still_signed(tx, rows)
    return [row for row in rows if row.id not in held]


def _clearing(tx: Session, rows: Sequence[StandingClearance]) -> dict[int, str]:
    """The roles, as they are now, of those among the signers who may clear."""
    ids = {one for row in rows for one in (row.proposed_by, row.confirmed_by) if one is not None}
    found = tx.execute(select(User.id, User.role).where(User.id.in_(ids), User.state == "active"))
    return {row.id: row.role for row in found if may(Role(row.role), Right.DECIDE)}


def covering(tx: Session, release: Release, *, title: str, body: str, now: datetime) -> StandingClearance | None:
    """The clearance that holds now for exactly this release; an exercise may use the words of the real text."""
    digest = release.content_digest
    if release.exercise:
        if Marking.from_json(release.marking) != MARKING or release.reply_by or release.purpose != PURPOSE:
            return None
        digest = digest_of(title, body, release.language)
    return next((each for each in in_force(tx, now=now) if each.content_digest == digest), None)


def digest_of(title: str, body: str, language: str) -> str:
    """The content digest that a release of exactly this text bears."""
    return content_digest(
        kind=KIND, title=title, body=body, marking=MARKING, purpose=PURPOSE, reply_by=None, language=language,
        exercise="", items=(),
    )  # fmt: skip


def _check(title: str, body: str, language: str, until: datetime, now: datetime) -> None:
    if find_secrecy(title, body) is not None:
        fault = Fault("", "The text bears a secrecy marking. Use the channels meant for classified material.")
        raise SecrecyMarkingFound([fault])
    faults = []
    if not title or len(title) > LONGEST_TITLE:
        faults.append(Fault("/title", f"Give a title of 1 to {LONGEST_TITLE} characters."))
    if not body or len(body) > LONGEST_BODY:
        faults.append(Fault("/body", f"Give a text of 1 to {LONGEST_BODY} characters."))
    for name, text in (("title", title), ("body", body)):
        if _CONTROLS.search(text):
            faults.append(Fault(f"/{name}", "Take out control characters, and halves of surrogate pairs."))
        if _REFERENCE.search(text):
            faults.append(Fault(f"/{name}", "Leave references out: the text is for every case and tells of none."))
    if len(language) > LONGEST_LANGUAGE or not valid_language(language):
        faults.append(Fault("/language", "Send a BCP 47 language tag, like en or pt-BR."))
    if not now < until <= now + LONGEST_LIFE:
        faults.append(Fault("/until", f"Give a time in the future, at most {LONGEST_LIFE.days} days away."))
    if faults:
        raise Invalid(faults)


def _locked(tx: Session, clearance_id: int) -> StandingClearance:
    query = select(StandingClearance).where(StandingClearance.id == clearance_id).with_for_update()
    row = tx.execute(query, execution_options={"populate_existing": True}).scalar_one_or_none()
    if row is None:
        raise NotFound()
    return row


def _record(
    tx: Session, row: StandingClearance, kind: str, text: str, principal: Principal, values: dict[str, str]
) -> None:
    timeline.append(
        tx, kind, text, actor=principal.actor, about=("standing_clearance", row.id),
        values={"content_digest": row.content_digest, "role": principal.role, **values},
    )  # fmt: skip

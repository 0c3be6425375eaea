"""Changes that two persons make: asked for by one, made when another one accepts, through the very use case.

The doors call `ask` where they would have called the use case. Until there is an administrator who enrolled and
somebody else who could answer, there are no two persons: the change is made at once, and the record says by whom.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Right, Role, may
from coordinator.accounts.service import administrator_enrolled
from coordinator.accounts.staff import check_may_approve
from coordinator.changes import rules, telling
from coordinator.changes.kinds import HANDLING, plain
from coordinator.changes.models import ProposedChange
from coordinator.changes.rules import Kind
from coordinator.errors import Fault, Invalid, NoRight, NotFound, Refused, StepUpNeeded
from coordinator.outside.canonical_json import canonical
from coordinator.partners.queries import organisation_by_code
from coordinator.partners.service import put_organisation
from coordinator.timeline.keys import new_key, seal, unseal

LONGEST_REASON = 2000


@dataclass(frozen=True)
class Asked:
    """What came of asking: `line` says what was done ("" where nothing had to be); `change` waits, if it has to."""

    line: str
    change: ProposedChange | None = None


def ask(
    tx: Session, kind: Kind, wanted: Mapping[str, Any], *, actor: str, reason: str = "", source: str = ""
) -> Asked:
    """Make a change now, or write it down for a second person where it is one that two persons make.

    `wanted` is the data of the use case (changes/kinds.py). `source`: the SHA-256 of the file it came from. Asked again
    while the same change waits, nothing is added. Raises what the use case raises, and Invalid for the reason.
    """
    if len(reason) > LONGEST_REASON:
        raise Invalid([Fault("/reason", f"Say why in at most {LONGEST_REASON} characters.")])
    handling, data = HANDLING[kind], dict(wanted)
    old, new = handling.present(tx, data), handling.compared(tx, data)
    if not rules.waits(kind, old, new) or not two_persons(tx, kind):
        return Asked(handling.apply(tx, data, actor, reason.strip()))
    handling.check(tx, data)
    subject = handling.subject(data)
    found = _same_waiting(tx, kind, subject, new_digest=_digest(plain(data)))
    if found is not None:
        return Asked(f"{kind} {subject}: waits for a second person already (change {found.id})", found)
    change = _write_down(tx, kind, subject, data, old, new, actor=actor, reason=reason.strip(), source=source)
    telling.tell_of(tx, change, data)
    tx.flush()
    return Asked(f"{kind} {subject}: waits for a second person (change {change.id})", change)


def ask_organisation(
    tx: Session, wanted: Mapping[str, Any], *, actor: str, reason: str = "", source: str = ""
) -> Asked:
    """As `ask`, for an organisation: a new one is there at once, so that the rest can name it, but in no community, no
    client of ours and not our own, until a second person accepts that."""
    line = ""
    if organisation_by_code(tx, wanted["code"]) is None and two_persons(tx, Kind.ORGANISATION):
        bare = {name: value for name, value in wanted.items() if name not in rules.STANDING}
        line = put_organisation(tx, bare, actor=actor)
    asked = ask(tx, Kind.ORGANISATION, wanted, actor=actor, reason=reason, source=source)
    return Asked("; ".join(each for each in (line, asked.line) if each), asked.change)


def two_persons(tx: Session, kind: Kind) -> bool:
    """Whether this kind of change waits here at all. It does once an administrator has enrolled and there is an account
    that may answer and is not an administrator's. An account that was stopped counts: stopping one opens nothing."""
    others = [str(role) for role in rules.confirming_roles(kind) if role is not Role.ADMINISTRATOR]
    somebody = tx.execute(select(User.id).where(User.role.in_(others)).limit(1)).first()
    return somebody is not None and administrator_enrolled(tx)


def accept(tx: Session, change_id: int, *, principal: Principal) -> str:
    """Make the change, as the second person; answers with one line that says what was done.

    Raises NotFound, NoRight, StepUpNeeded, Refused (one's own, answered, over, overtaken, the old channel not told
    yet), and what the use case raises.
    """
    change = _open(tx, change_id, principal)
    check_may_approve(tx, principal.user_id)
    if telling.still_to_be_told(tx, change):
        raise Refused("The old channel is being told first: answer again in a few minutes.")
    kind = Kind(change.kind)
    handling, said = HANDLING[kind], opened(tx, change)
    wanted = handling.read(said["wanted"])
    if _digest(handling.present(tx, wanted)) != change.old_digest:
        raise Refused("What is to be changed was changed meanwhile: refuse this one, and have it asked for again.")
    line = handling.apply(tx, wanted, change.asked_by, said["reason"])
    _answer(tx, change, "accepted", actor=principal.actor)
    _overtake(tx, change)
    return line


def refuse(tx: Session, change_id: int, *, principal: Principal, reason: str) -> None:
    """Say no, with a reason: nothing is changed. Raises as `accept`; a reason is required."""
    change = _open(tx, change_id, principal)
    _answer(tx, change, "refused", actor=principal.actor, answer=_reason(reason))


def withdraw(tx: Session, change_id: int, *, principal: Principal) -> None:
    """Whoever asked for it asks no longer. Raises NotFound, Refused."""
    change = locked(tx, change_id)
    if change.asked_by != principal.actor:
        raise NotFound()
    _check_waiting(change)
    _answer(tx, change, "withdrawn", actor=principal.actor)


def withdraw_all(tx: Session, asked_by: str, *, actor: str) -> None:
    """Whoever asked has left: what they asked for and nobody answered is asked no longer."""
    query = select(ProposedChange).where(ProposedChange.asked_by == asked_by, ProposedChange.state == "waiting")
    for change in tx.execute(query.with_for_update()).scalars().all():
        _answer(tx, change, "withdrawn", actor=actor, answer="Whoever asked for it has left.")


def expire(tx: Session, change_id: int) -> None:
    """Its time is over. One that was answered stays as it is."""
    change = locked(tx, change_id)
    if change.state == "waiting" and clock.now() >= change.expires_at:
        _answer(tx, change, "expired", actor="system")


def opened(tx: Session, change: ProposedChange) -> dict[str, Any]:
    """{old, new, wanted, reason} as written down. Raises Erased where a secret in it was refused."""
    return json.loads(unseal(tx, change.data_key_id, change.sealed, about="proposed change"))


def locked(tx: Session, change_id: int) -> ProposedChange:
    """Raises NotFound."""
    change = tx.get(ProposedChange, change_id, with_for_update=True, populate_existing=True)
    if change is None:
        raise NotFound()
    return change


def why_not(tx: Session, change: ProposedChange, principal: Principal) -> str:
    """Why this person may not answer it, in a sentence; "" where they may."""
    about = telling.account_of(tx, change)
    return rules.may_answer(
        Kind(change.kind), role=Role(principal.role), actor=principal.actor, asked_by=change.asked_by,
        about=f"user:{about.id}" if about is not None else "",
    )  # fmt: skip


def _open(tx: Session, change_id: int, principal: Principal) -> ProposedChange:
    change = locked(tx, change_id)
    if not rules.may_see(Kind(change.kind), Role(principal.role)):
        raise NotFound()
    if not may(Role(principal.role), Right.CONFIRM_CHANGE):
        raise NoRight()
    if principal.second_factor_at is None:
        raise StepUpNeeded()
    _check_waiting(change)
    if sentence := why_not(tx, change, principal):
        raise Refused(sentence)
    return change


def _check_waiting(change: ProposedChange) -> None:
    if change.state != "waiting":
        raise Refused(f"This change is {change.state} already.")
    if clock.now() >= change.expires_at:
        raise Refused("Nobody answered this change in time: have it asked for again.")


def _write_down(
    tx: Session, kind: Kind, subject: str, data: dict[str, Any], old: dict[str, Any] | None, new: dict[str, Any], *,
    actor: str, reason: str, source: str,
) -> ProposedChange:  # fmt: skip
    now, key = clock.now(), new_key(tx)
    said = json.dumps({"old": old, "new": new, "wanted": plain(data), "reason": reason}, ensure_ascii=False).encode()
    change = ProposedChange(
        kind=str(kind), subject=subject, old_digest=_digest(old), new_digest=_digest(plain(data)), data_key_id=key,
        sealed=seal(tx, key, said, about="proposed change"), source=source, notices=[], asked_by=actor, asked_at=now,
        expires_at=now + rules.LIFE, state="waiting",
    )  # fmt: skip
    tx.add(change)
    tx.flush()
    timeline.append(
        tx, "change.asked", "A change that two persons make was asked for.", actor=actor, about=("change", change.id),
        values={"kind": change.kind, "subject": subject, "reason": reason, "source": source,
                "old": {name: pair[0] for name, pair in rules.differences(old, new).items()},
                "new": {name: pair[1] for name, pair in rules.differences(old, new).items()}},
    )  # fmt: skip
    timeline.pending(tx, "change.expires", change.id, ready_at=change.expires_at)
    return change


def _answer(tx: Session, change: ProposedChange, state: str, *, actor: str, answer: str = "") -> None:
    change.state, change.answered_by, change.answered_at, change.answer = state, actor, clock.now(), answer
    tx.flush()
    timeline.append(
        tx, f"change.{state}", _SENTENCES[state], actor=actor, about=("change", change.id),
        values={"kind": change.kind, "subject": change.subject, "asked_by": change.asked_by, "reason": answer},
    )  # fmt: skip


_SENTENCES = {
    "accepted": "A second person accepted a change, and it was made.",
    "refused": "A second person refused a change.",
    "withdrawn": "A change was withdrawn by whoever asked for it.",
    "overtaken": "A change was overtaken by another one of the same thing.",
    "expired": "Nobody answered a change in time.",
}


def _overtake(tx: Session, made: ProposedChange) -> None:
    """What else waits for the same thing was asked on what it is no longer."""
    query = select(ProposedChange).where(
        ProposedChange.kind == made.kind, ProposedChange.subject == made.subject, ProposedChange.state == "waiting"
    )
    for change in tx.execute(query.with_for_update()).scalars().all():
        _answer(tx, change, "overtaken", actor="system")


def _same_waiting(tx: Session, kind: Kind, subject: str, *, new_digest: str) -> ProposedChange | None:
    query = select(ProposedChange).where(
        ProposedChange.kind == str(kind), ProposedChange.subject == subject, ProposedChange.state == "waiting",
        ProposedChange.new_digest == new_digest, ProposedChange.expires_at > clock.now(),
    )  # fmt: skip
    return tx.execute(query.order_by(ProposedChange.id).limit(1)).scalar_one_or_none()


def _digest(value: dict[str, Any] | None) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()


def _reason(text: str) -> str:
    if not text.strip() or len(text) > LONGEST_REASON:
        raise Invalid([Fault("/reason", f"Say why, in at most {LONGEST_REASON} characters.")])
    return text.strip()

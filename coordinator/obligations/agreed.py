"""The duties that agreements bring, begun by themselves when what they wait for happens, with agreement and clause.

Two kinds, as the table of clock rules has them: an answer to what a party asks of us (AGR-ACK: `request_answer_due`
counts from when its message came in), and to tell a party of what affects it (`notification_duties`: rules by name,
when its state is among those affected). What they owe us cannot be watched from here.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.agreements import queries as agreements
from coordinator.agreements.rules import LIVE, givers_of, recipients_of
from coordinator.incidents import holds
from coordinator.incidents.items import read_item
from coordinator.incidents.models import Incident, ItemVersion, Report
from coordinator.incidents.rules import OPEN_STATUSES, Status
from coordinator.obligations import service
from coordinator.obligations.register import current_rule, put_rule
from coordinator.obligations.rules import OPEN
from coordinator.partners.models import Organisation
from coordinator.partners.queries import organisation_by_code
from coordinator.timeline.keys import Erased

ANSWER, ASSESSED = "AGR-ACK", "assessed_at"
#: Rules of the table that wait for something else than an affected state: a message, a wrong release (alerts.wrong).
NOT_BY_STATE = frozenset({ANSWER, "AGR-RFA", "AGR-BREACH"})
ACTOR = "system"


@dataclass(frozen=True)
class Owed:
    """One duty of one agreement to one party. `offset`: of the agreement, where the rule's own does not count."""

    agreement: Mapping[str, Any]
    field: str
    rule: str
    party: str
    offset: str = ""
    since: datetime | None = None


def begin(tx: Session, incident_id: int) -> None:
    """Begin what live agreements ask for on this incident, as it is now. Asked again, nothing is begun twice; a request
    that came after the one before was answered begins a clock of its own."""
    now, own = clock.now(), agreements.own_code(tx)
    live = [each for each in agreements.standing(tx, now) if each["status"] in LIVE]
    bringing = [each for each in live if _brings(each["terms"])]
    if not bringing:
        return
    incident = holds.lock_incident(tx, incident_id)
    if Status(incident.status) not in OPEN_STATUSES:
        return
    for each in [*_answers(tx, incident, bringing, own), *_notices(tx, incident, bringing, own)]:
        _start(tx, incident, each)


def _brings(terms: Mapping[str, Any]) -> bool:
    return bool(terms.get("request_answer_due") or terms.get("notification_duties"))


def _answers(tx: Session, incident: Incident, live: list[dict[str, Any]], own: str) -> Iterator[Owed]:
    """What was asked of us by a party that may give us something, since it came in."""
    asking = [each for each in live if each["terms"].get("request_answer_due")]
    asked = _asked_of_us(tx, incident) if asking else {}
    for each in asking:
        for party in sorted(givers_of(each["terms"], own) & asked.keys()):
            for at in asked[party]:
                yield Owed(each, "request_answer_due", ANSWER, party, each["terms"]["request_answer_due"], at)


def _notices(tx: Session, incident: Incident, live: list[dict[str, Any]], own: str) -> Iterator[Owed]:
    """What we owe to parties whose state is affected, but for those who told us themselves."""
    for each in live:
        rules = [rule for rule in each["terms"].get("notification_duties") or () if rule not in NOT_BY_STATE]
        for party in sorted(recipients_of(each["terms"], own) - {"OWN"}) if rules else ():
            found = organisation_by_code(tx, party)
            affected = found is not None and found.country and found.country in incident.states_affected
            if affected and found is not None and found.id not in (incident.source_id, incident.originator_id):
                yield from (Owed(each, "notification_duties", rule, party) for rule in rules)


def _asked_of_us(tx: Session, incident: Incident) -> dict[str, list[datetime]]:
    """Sender's code -> when each of its messages on this incident came in that asks for something, oldest first."""
    query = (
        select(ItemVersion, Organisation)
        .join(Organisation, Organisation.id == func.coalesce(ItemVersion.source_id, ItemVersion.originator_id))
        .where(ItemVersion.incident_id == incident.id, ItemVersion.kind == "details", Organisation.is_own.is_(False))
        .order_by(ItemVersion.id)
    )
    found: dict[str, list[datetime]] = {}
    for version, sender in tx.execute(query):
        if _asks(tx, version):
            came = select(func.max(Report.received_at)).where(
                Report.organisation_id == sender.id, Report.received_at <= version.created_at,
                or_(Report.incident_id == incident.id, Report.incident_id.is_(None)),
            )  # fmt: skip
            found.setdefault(sender.code, []).append(tx.execute(came).scalar() or version.created_at)
    return found


def _asks(tx: Session, version: ItemVersion) -> bool:
    try:
        said = read_item(tx, version)
    except Erased:
        return False
    return isinstance(said, dict) and bool(said.get("asks"))


def _start(tx: Session, incident: Incident, owed: Owed) -> None:
    base, name = current_rule(tx, owed.rule), name_of(owed.rule, owed.agreement["key"], owed.party)
    known = service.of_rule(tx, incident.id, name)
    if base is None or (known is not None and (owed.since is None or _covered(known, owed.since))):
        return
    put_rule(tx, _terms(base.terms, owed, name), actor=ACTOR)
    # That it affects the party is established by the very fact that is looked at here.
    since = clock.now() if owed.since is None and base.terms["clocks"][0]["basis"] == ASSESSED else owed.since
    service.start(tx, incident, name, actor=ACTOR, basis_at=since, anew=True, again=True)


def _covered(known: Any, since: datetime) -> bool:
    """Whether the clock there is stands for this message too: it runs still, or it ended after the message came in."""
    return known.state in OPEN or known.settled_at is None or since <= known.settled_at


def _terms(base: Mapping[str, Any], owed: Owed, name: str) -> dict[str, Any]:
    """The rule of the table as this agreement has it: a rule of its own, advisory until a legal reviewer signs it."""
    key, terms = owed.agreement["key"], owed.agreement["terms"]
    clause = (terms.get("clause_refs") or {}).get(owed.field, "")
    clocks = [{"basis": "received_at", "offset": owed.offset}] if owed.offset else list(base["clocks"])
    return {
        **base, "rule": name, "jurisdiction": "agreement", "who": "we", "to": owed.party, "clocks": clocks,
        "instrument": f"Agreement {key}{', ' + clause if clause else ''}: {base['instrument']}"[:300],
        "status": "in-force", "confidence": f"as recorded in {key}",
    }  # fmt: skip


def name_of(rule: str, agreement: str, party: str) -> str:
    """The name of a rule as one agreement has it to one party: capitals, digits and hyphens, at most 60."""
    said = f"{agreement}-{party}"
    plain = re.sub(r"[^A-Z0-9-]", "-", said.upper())
    mark = "" if plain == said and len(f"{rule}-{plain}") <= 60 else f"-{zlib.crc32(said.encode()):08X}"
    return f"{rule}-{plain}"[: 60 - len(mark)] + mark

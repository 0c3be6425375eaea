"""Partners' reports that come in many at once: read as a set where each opens an incident plainly.

Each table is then asked and written once for all of them. Whatever needs a closer look is left to `intake` and
`filing`, one by one: what is set aside, repeats, updates, claims of an originator, exercises,
alerts of other coordinators.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from coordinator.errors import CoordinatorError
from coordinator.incidents import filing, flood, intake, statements
from coordinator.incidents.envelope import Received
from coordinator.incidents.facts import Inbound
from coordinator.incidents.intake import Answer
from coordinator.incidents.opening import Opening, complete, reserve_for, write_all
from coordinator.prepared import at_once
from coordinator.timeline.keys import remember, sealing
from coordinator.vault import Vault


@dataclass(frozen=True)
class Unread:
    """A kept report, and what it opens where nothing in it or about its sender asks for a closer look."""

    inbound: Inbound | None
    opening: Opening | None


def unread(vault: Vault, inbound: Inbound | None, parsed: Received | CoordinatorError) -> Unread:
    """For a report that `intake.keep` kept in this very request and `intake.parse` read; outside any transaction."""
    if inbound is None or inbound.wrapped is None or not isinstance(parsed, Received) or not _plain(inbound, parsed):
        return Unread(inbound, None)
    originator = None if inbound.is_own else inbound.organisation_id
    sealed = sealing(vault, inbound.data_key_id, inbound.wrapped)
    return Unread(inbound, Opening.of(inbound, parsed, originator, sealed))


def _plain(inbound: Inbound, received: Received) -> bool:
    told = received.report
    return (
        inbound.active and not inbound.exercise and "exercise" not in told
        and not (received.kind or received.alert or received.source)
        and told.get("originator", inbound.organisation) == inbound.organisation
    )  # fmt: skip


def read_all(tx: Session, reports: Sequence[Unread]) -> list[Answer | None]:
    """`intake.read_report` for several; None for each that must be read alone, for which nothing was done."""
    openings = _first_of_their_names([each.opening for each in reports if each.opening])
    if not openings:
        return [None] * len(reports)
    openings, ids = _unheard_of(tx, openings)
    openings = _within_limits(tx, openings)
    if not openings:
        return [None] * len(reports)
    for one in openings:
        remember(tx, one.inbound.data_key_id, one.inbound.wrapped)
    with at_once(tx):
        opened = write_all(tx, openings, ids)
        filed = [
            (one.inbound, filing.filed_as_opened(one, incident)) for one, incident in zip(openings, opened, strict=True)
        ]
        settled = intake.settle_all(tx, filed)
    complete(tx, openings, opened)
    answers = intake.answer_all(tx, filed, settled)
    by_report = {one.inbound.id: answer for one, answer in zip(openings, answers, strict=True)}
    return [by_report.get(each.inbound.id) if each.inbound else None for each in reports]


def _first_of_their_names(openings: Sequence[Opening]) -> list[Opening]:
    """Of several with the same bytes or the same name of the sender's only the first: the others are about it."""
    taken: set[tuple[object, ...]] = set()
    first = []
    for one in openings:
        names = filing.names_of(one.inbound, one.received)
        if not taken.intersection(names):
            first.append(one)
        taken.update(names)
    return first


def _unheard_of(tx: Session, openings: Sequence[Opening]) -> tuple[list[Opening], Sequence[Sequence[int]]]:
    """Those whose bytes and whose sender's name for it are new to us, and ids for their incidents."""
    with at_once(tx):
        filing.one_at_a_time(tx, [name for one in openings for name in filing.names_of(one.inbound, one.received)])
        found = statements.KNOWN_NAMES.asked(
            tx,
            organisation_ids=list({one.inbound.organisation_id for one in openings}),
            digests=[one.inbound.raw_digest for one in openings],
            external_ids=[
                one.received.report["external_id"] for one in openings if "external_id" in one.received.report
            ],
        )
        ids = reserve_for(tx, openings)
    known = {tuple(row) for row in found.fetchall()}
    new = [one for one in openings if not known.intersection(filing.names_of(one.inbound, one.received))]
    return new, ids.fetchall()


def _within_limits(tx: Session, openings: Sequence[Opening]) -> list[Opening]:
    """Those whose endpoint may open so many incidents now."""
    wanted = Counter(one.inbound.endpoint_id for one in openings if one.inbound.endpoint_id is not None)
    over = flood.over(tx, wanted)
    return [one for one in openings if one.inbound.endpoint_id not in over]

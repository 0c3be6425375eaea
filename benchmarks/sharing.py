"""Sharing decisions in this process: how many a second, and who could receive one text among all partners at once.

`python -m benchmarks.sharing [--short] [--postgresql]`. One decision after another for parties that have a few
agreements each; the floor is the same loop with a function that answers a constant. Then every partner asked about
every agreement of the register in one go, beside asking one by one; and the release desk on a database with as many,
everything read from its rows. Processor time, of this process alone.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import printed
from benchmarks.installation import postgres
from coordinator import clock, config, migrations
from coordinator.agreements.models import Agreement as AgreementRow
from coordinator.alerts.reach import who_could_receive
from coordinator.incidents.models import Incident
from coordinator.markings import Marking, Tlp
from coordinator.partners.models import Channel as ChannelRow
from coordinator.partners.models import Contact, Endpoint, Organisation
from coordinator.sharing.fitting import Book
from coordinator.sharing.models import Release
from coordinator.sharing.rules import OWN, Agreement, Channel, Decision, Item, Recipient, Result, decide
from coordinator.sharing.service import prepare_release
from coordinator.store import Store
from coordinator.timeline.keys import new_key

PARTNERS, AGREEMENTS, ROUNDS, TIMES = 200, 500, 7, 25
NOW = datetime(2026, 6, 1, tzinfo=UTC)
PURPOSE, CATEGORY = "incident-response", "incident-notification"
ANSWER = Decision(Result.PERMIT, (), (), "AMBER", None, {})


def main() -> None:
    chosen = printed.arguments(__doc__ or "")
    size, rounds, times = (6, 15), 1, 1
    if not chosen.short:
        size, rounds, times = (PARTNERS, AGREEMENTS), chosen.rounds or ROUNDS, TIMES
    printed.heading("sharing", chosen)
    names = [f"P-{number:03}" for number in range(size[0])]
    agreements = _agreements(names, size[1])
    _one_by_one(names, agreements, rounds, times)
    _everybody(names, agreements, rounds)
    _desk(names, size[1], rounds, postgresql=chosen.postgresql)


def _one_by_one(names: Sequence[str], agreements: Sequence[Agreement], rounds: int, times: int) -> None:
    """Each party with the agreements that name it, as the product asks."""
    item, book = Item(info_category=CATEGORY, tlp="AMBER"), {
        name: Book([each for each in agreements if name in each.recipients]) for name in names
    }  # fmt: skip
    recipients = [_recipient(name) for name in names]

    def ours(answer: Callable[..., Decision]) -> None:
        for _ in range(times):
            for recipient in recipients:
                answer(item, recipient, PURPOSE, book[recipient.party], NOW, "u1", frozenset())

    count = times * len(names)
    pace = [count / _processor(lambda: ours(decide)) for _ in range(rounds)]
    floor = [count / _processor(lambda: ours(_constant)) for _ in range(rounds)]
    printed.line(f"{count} decisions, {rounds} rounds: {printed.spread(pace)} a second")
    printed.three("decisions", printed.median(pace), printed.median(floor), "a second")


def _everybody(names: Sequence[str], agreements: Sequence[Agreement], rounds: int) -> None:
    """Every party with every agreement of the register, the problems of each listed."""
    item, recipients = Item(info_category=CATEGORY, tlp="AMBER"), [_recipient(name) for name in names]

    def at_once() -> None:
        book = Book(agreements)
        for recipient in recipients:
            decide(item, recipient, PURPOSE, book, NOW, "u1", frozenset())

    def each_anew() -> None:
        for recipient in recipients:
            decide(item, recipient, PURPOSE, agreements, NOW, "u1", frozenset())

    ours = [1000 * _processor(at_once) for _ in range(rounds)]
    anew = [1000 * _processor(each_anew) for _ in range(min(rounds, 3))]
    what = f"{len(names)} partners x {len(agreements)} agreements in memory, at once (floor: looked through for each)"
    printed.three(what, printed.median(ours), printed.median(anew), "ms", reach="100 ms")


def _desk(names: Sequence[str], agreements: int, rounds: int, *, postgresql: bool) -> None:
    """The release desk: everything read from rows. The floor is reading the terms of the agreements and no more."""
    with TemporaryDirectory() as home, postgres(postgresql) as url:
        settings = config.load({"COORDINATOR_DATABASE_URL": url} if url else {}, data_dir=home)
        migrations.upgrade(settings)
        store = Store(settings)
        try:
            release_id = _fill(store, names, agreements)
            gc.collect()
            gc.freeze()  # as the web server does before its first request
            ours, floor, found = [], [], 0
            for _ in range(rounds):
                with store.read() as tx:
                    release = tx.get_one(Release, release_id)
                    begun = time.process_time()
                    found = len([each for each in who_could_receive(tx, release, now=clock.now()) if each.decision])
                    ours.append(1000 * (time.process_time() - begun))
                with store.read() as tx:
                    begun = time.process_time()
                    rows = [row.terms for row in tx.query(AgreementRow).filter(AgreementRow.current)]
                    floor.append(1000 * (time.process_time() - begun))
                    assert len(rows) == agreements
        finally:
            store.close()
    assert found == len(names)
    printed.line(f"desk on the database, {rounds} rounds: {printed.spread(ours)} ms, the first of them {ours[0]:.4g}")
    what = f"who could receive this, {len(names)} partners x {agreements} agreements on rows (floor: reading the terms)"
    printed.three(what, printed.median(ours), printed.median(floor), "ms", reach="100 ms")


def _processor(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _constant(*_asked: object) -> Decision:
    return ANSWER


def _recipient(name: str) -> Recipient:
    return Recipient(party=name, type="org", channel=Channel(kind="webhook", encrypted=True))


def _parties(names: Sequence[str], count: int) -> list[list[str]]:
    """Most agreements have one other party, some have ten."""
    chance = random.Random(5)
    return [chance.sample(names, min(len(names), chance.choice([1, 1, 1, 1, 10]))) for _ in range(count)]


def _agreements(names: Sequence[str], count: int) -> list[Agreement]:
    return [
        Agreement(id=f"AG-{number:04}", effective_from=NOW - timedelta(days=1), tlp_ceiling="AMBER",
                  recipients=frozenset(parties), categories=frozenset([CATEGORY]), purposes=frozenset([PURPOSE]))
        for number, parties in enumerate(_parties(names, count))
    ]  # fmt: skip


def _fill(store: Store, names: Sequence[str], count: int) -> int:
    now = clock.now()
    with store.unit_of_work() as tx:
        own = Organisation(code=OWN + "-1", name="Us", kind="ministry", communities=[], sectors=[], is_own=True)
        tx.add(own)
        kind = {"kind": "national-csirt", "communities": [], "sectors": []}
        partners = [Organisation(code=name, name=name, **kind) for name in names]
        tx.add_all(partners)
        tx.flush()
        for partner in partners:
            out = Endpoint(slug=f"{partner.code.lower()}-out", organisation_id=partner.id, direction="out",
                           url=f"https://{partner.code.lower()}.example/hook", allow_private=[])  # fmt: skip
            contact = Contact(code=f"{partner.code.lower()}-duty", organisation_id=partner.id, kind="technical",
                              languages=[], time_zone="UTC", hours="24x7", tlp_max="RED", verified_on=now)  # fmt: skip
            tx.add_all([out, contact])
            tx.flush()
            tx.add(ChannelRow(contact_id=contact.id, position=1, kind="webhook", endpoint_id=out.id))
        for number, parties in enumerate(_parties(names, count)):
            tx.add(AgreementRow(
                key=f"AG-{number:04}", version=1, terms=_terms(f"AG-{number:04}", parties, own.code), created_at=now,
                digest="0" * 64, recorded_by="cli:benchmark",
            ))  # fmt: skip
        incident = Incident(title="One", status="active", tlp="AMBER", marking=Marking(tlp=Tlp.AMBER).to_json(),
                            sectors=[], states_affected=[], humanitarian_flags=[], data_key_id=new_key(tx),
                            created_at=now, updated_at=now)  # fmt: skip
        tx.add(incident)
        tx.flush()
        row = prepare_release(
            tx, kind="initial", title="One", body="What we saw.", purpose=PURPOSE, info_category=CATEGORY,
            requested_by="user:1", incident=incident,
        )  # fmt: skip
        return row.id


def _terms(key: str, parties: Sequence[str], own: str) -> dict[str, Any]:
    return {
        "agreement_id": key, "title": key, "kind": "cert-cert", "legal_status": "operational",
        "parties": [{"party": code, "role": "both", "signed_on": "2025-01-01"} for code in (own, *parties)],
        "info_categories_allowed": [CATEGORY], "tlp_ceiling": "AMBER", "permitted_purposes": [PURPOSE],
        "personal_data": "none", "onward_sharing": "own-organisation", "effective_from": "2025-01-02T00:00:00Z",
        "clause_refs": {"tlp_ceiling": "4"},
    }  # fmt: skip


if __name__ == "__main__":
    main()

"""The storm: reports come in and officers work while processes are killed and the broker is emptied; then we count.

First the same stories are told undisturbed, so that there is something to compare with. Everything is real:
`coordinator up` as a child, the receiver and mail server of partners and officers, signed requests over HTTP.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from coordinator.alerts.models import Alert, Delivery
from coordinator.incidents.models import Incident, Report
from coordinator.incidents.references import reference_of
from tests.harness.installation import Installation
from tests.harness.mail import MailServer
from tests.harness.officers import PatientOfficers
from tests.harness.outcome import Outcome, outcome_of, unsettled
from tests.harness.processes import kill_hard, wait_for
from tests.harness.receiver import Receiver
from tests.harness.sender import Sender, Sent
from tests.postgres import Database
from workers.demo import world as fiction

CLIENTS = 8
#: A delivery that a killed worker held is free again when its lease runs out: the longest is that of a mail.
SETTLE_SECONDS = 420.0
VICTIMS = ("web", "web leader", "worker", "relay", "jobs leader", "broker", "flush")


@dataclass(frozen=True)
class Plan:
    """`reports` come in over `seconds`; one in `worked` is taken through to closed by the officers. It goes on until
    there were `blows`."""

    seconds: float = 60.0
    reports: int = 200
    worked: int = 12
    seed: int = 0
    pauses: tuple[float, float] = (0.4, 2.5)
    blows: int = 3
    cut: int = 2


@dataclass
class Told:
    """What the partner sent under one story, and the incident it became."""

    story: str
    sent: list[Sent] = field(default_factory=list)
    incident: int = 0


@dataclass
class Toll:
    """What was done to it and what came of it."""

    blows: Counter[str] = field(default_factory=Counter)
    told: list[Told] = field(default_factory=list)
    repeated: int = 0
    server_errors: int = 0
    settle_seconds: float = 0.0
    arrivals: int = 0
    twice: int = 0
    mails: int = 0
    mails_twice: int = 0
    faults: list[str] = field(default_factory=list)
    verified: str = ""

    def lines(self) -> Iterator[str]:
        """For people."""
        sent = [each for told in self.told for each in told.sent]
        yield f"{len(sent)} reports answered 202, {self.repeated} requests repeated ({self.server_errors} after a 500)"
        yield f"blows: {', '.join(f'{name} {number}' for name, number in sorted(self.blows.items()))}"
        yield f"settled {self.settle_seconds:.1f} s after the last blow"
        yield f"{self.arrivals} messages at the receiver, {self.twice} of them a second time under the same webhook-id"
        yield f"{self.mails} mails, {self.mails_twice} of them a second time under the same Message-ID"
        yield f"record: {self.verified}"
        yield from self.faults or ["no fault"]


class Storm:
    """An installation, those around it, and the weather."""

    def __init__(self, machine: Installation, receiver: Receiver, mail: MailServer, plan: Plan) -> None:
        self.machine, self.receiver, self.mail, self.plan = machine, receiver, mail, plan
        self.toll = Toll()
        self._dice = random.Random(plan.seed)
        self._reporter = receiver.partner(fiction.REPORTER, "fi-csirt")
        affected = receiver.partner(fiction.AFFECTED, "lv-csirt")
        machine.load(fiction.world([self._reporter, affected]))
        self._sender = Sender(machine.base_url, self._reporter)
        self._officers = PatientOfficers(machine.base_url, machine.tokens(), say=lambda line: None)
        self._numbers = iter(range(10**9))
        self._lock = threading.Lock()

    # ------------------------------------------------------------ stories

    def tell(self, story: str) -> Told:
        """One story from the partner's side: `plain`, `updated` (an update and a repeated report) or `worked`."""
        with self._lock:
            number = next(self._numbers)
        body = fiction.report() | {"title": f"Report {number}", "external_id": f"FI-{number}"}
        if story != "worked":
            body |= {"classification": "availability/outage", "humanitarian_flags": [], "sectors": ["energy"]}
        told = Told(story, [self._sender.post(body, f"msg_{number}")])
        if story == "updated":
            told.sent.append(self._sender.post(body | {"description": "More is known."}, f"msg_{number}_update"))
            told.sent.append(self._sender.post(body, f"msg_{number}_again"))
        told.incident = self._incident(told.sent[0])
        if story == "worked":
            self._officers.close_incident(self._reference(told.incident), seconds=300)
        return told

    def _incident(self, sent: Sent) -> int:
        assert sent.status == 202, f"{sent.webhook_id} was answered {sent.status}: {sent.answer}"
        with self.machine.store.read() as tx:
            query = select(Report.incident_id).where(Report.public_id == sent.answer["report"])
            return int(tx.execute(query).scalar_one())

    def _reference(self, incident: int) -> str:
        with self.machine.store.read() as tx:
            return reference_of(tx.get_one(Incident, incident))

    # ------------------------------------------------------------ weather

    def blow(self) -> None:
        """One blow at a victim drawn by lot."""
        victim = self._dice.choice(VICTIMS)
        if self._strike(victim):
            self.toll.blows[victim] += 1

    def _strike(self, victim: str) -> bool:
        if victim == "flush":
            try:
                self.machine.flush_broker()
            except Exception:  # it is not there at the moment
                return False
            return True
        targets: dict[str, Callable[[], list[int]]] = {
            "web": lambda: self.machine.pids("web"), "worker": lambda: self.machine.pids("worker"),
            "relay": lambda: self.machine.pids("relay"), "web leader": lambda: self.machine.leader("web"),
            "jobs leader": lambda: self.machine.leader("jobs"), "broker": self.machine.broker_pids,
        }  # fmt: skip
        pids = targets[victim]()
        return bool(pids) and kill_hard(self._dice.choice(pids))

    # ------------------------------------------------------------ the whole of it

    def run(self, say: Callable[[str], None] = lambda line: None) -> Toll:
        say("the stories, undisturbed")
        calm = {story: self.tell(story) for story in ("plain", "updated", "worked")}
        self._settle()
        expected = {story: self._outcome(told) for story, told in calm.items()}
        self.toll.told += calm.values()
        say(f"the storm: {self.plan.reports} reports in {self.plan.seconds:.0f} s")
        self.toll.told += self._weather()
        say("it is over; waiting for it to settle")
        began = time.monotonic()
        self._settle()
        self.toll.settle_seconds = time.monotonic() - began
        self._look(expected)
        return self.toll

    def _weather(self) -> list[Told]:
        """Stories begin evenly over the time, from several clients, and the blows fall as long as any goes on."""
        began, plan = time.monotonic(), self.plan
        over = threading.Event()
        striker = threading.Thread(target=self._strike_until, args=(over,), name="striker")
        striker.start()
        try:
            with ThreadPoolExecutor(CLIENTS + plan.worked) as pool:
                futures: list[Future[Told]] = []
                for number, story in enumerate(self._stories()):
                    wait = began + plan.seconds * number / plan.reports - time.monotonic()
                    time.sleep(max(0.0, wait))
                    futures.append(pool.submit(self.tell, story))
                time.sleep(max(0.0, began + plan.seconds - time.monotonic()))
                wait_for(lambda: self.toll.blows.total() >= plan.blows, what="the blows to fall")
                over.set()
                return [future.result() for future in futures]
        finally:
            over.set()
            striker.join()

    def _strike_until(self, over: threading.Event) -> None:
        while not over.wait(self._dice.uniform(*self.plan.pauses)):
            self.blow()

    def _stories(self) -> list[str]:
        """Worked ones early, so that they meet the weather at every step; updates among the rest."""
        plan = self.plan
        rest = ["updated" if number % 10 == 0 else "plain" for number in range(plan.reports - plan.worked)]
        every = max(1, len(rest) // (2 * max(1, plan.worked)))
        for number in range(plan.worked):
            rest.insert(number * (every + 1), "worked")
        return rest

    def _settle(self) -> None:
        """Until nothing waits but timers of hours to come."""

        def rest() -> Counter[Any]:
            with self.machine.store.read() as tx:
                return unsettled(tx)

        def settled() -> bool:
            left = rest()
            return not any(number for (_, _, dead), number in left.items() if not dead)

        try:
            wait_for(settled, SETTLE_SECONDS, what="the pending rows to be done", pause=0.25)
        except AssertionError:
            raise AssertionError(f"still pending after {SETTLE_SECONDS:.0f} s: {dict(rest())}") from None

    def _outcome(self, told: Told) -> Outcome:
        with self.machine.store.read() as tx:
            return outcome_of(tx, told.incident, notices=told.story != "worked")

    # ------------------------------------------------------------ counting

    def _look(self, expected: dict[str, Outcome]) -> None:
        toll = self.toll
        for told in toll.told:
            different = self._outcome(told).differences(expected[told.story])
            toll.faults += [f"incident {told.incident} ({told.story}): {line}" for line in different]
        self._look_at_reports()
        self._look_at_receiver()
        self._look_at_mail()
        with self.machine.store.read() as tx:
            toll.faults += [f"left in pending: {dict(left)}" for left in [unsettled(tx)] if left]
        toll.verified = self.machine.run("record", "verify").splitlines()[0]
        if not toll.verified.startswith("ok "):
            toll.faults.append(f"the record does not verify: {toll.verified}")

    def _look_at_reports(self) -> None:
        """Each report that was answered is there once, and nothing else is; a repetition gets the same answer."""
        toll = self.toll
        sent = [each for told in toll.told for each in told.sent]
        toll.repeated = sum(each.tries - 1 for each in sent)
        toll.server_errors = self._sender.server_errors
        with self.machine.store.read() as tx:
            rows = tx.execute(select(Report.message_id, Report.public_id, Report.disposition)).all()
        kept = Counter(row.message_id for row in rows)
        said = {each.webhook_id: (each.answer["report"], each.answer["disposition"]) for each in sent}
        toll.faults += [f"{each} was answered 202 and is there {kept[each]} times" for each in said if kept[each] != 1]
        toll.faults += [f"{each} is there and nobody was told so" for each in kept.keys() - said.keys()]
        toll.faults += [
            f"{row.message_id} was answered {said[row.message_id]} and is {row.public_id, row.disposition}"
            for row in rows if row.message_id in said and said[row.message_id] != (row.public_id, row.disposition)
        ]  # fmt: skip
        for each in self._dice.sample(sent, min(20, len(sent))):
            again = self._sender.post_again(each)
            if (again.status, again.answer) != (202, each.answer):
                toll.faults.append(f"{each.webhook_id} sent again was answered {again.status} {again.answer}")

    def _look_at_receiver(self) -> None:
        """Every alert there under one webhook-id with the same bytes each time; a receipt for every report."""
        toll, arrivals = self.toll, self.receiver.kept()
        by_id: dict[str, set[str]] = {}
        ids_of: dict[Any, set[str]] = {}
        for each in arrivals:
            by_id.setdefault(each.webhook_id, set()).add(each.digest)
            ids_of.setdefault((each.path, each.data["alert"]), set()).add(each.webhook_id)
        toll.arrivals, toll.twice = len(by_id), len(arrivals) - len(by_id)
        toll.faults += [f"{name} came with different bytes" for name, digests in by_id.items() if len(digests) > 1]
        toll.faults += [f"{alert} came under {len(ids)} webhook-ids" for alert, ids in ids_of.items() if len(ids) > 1]
        if self.receiver.refused:
            toll.faults.append(f"{self.receiver.refused} messages did not verify")
        receipts = {each.webhook_id: each.data["in_reply_to"] for each in arrivals if each.kind == "receipt"}
        receipted = Counter(receipts.values())
        for each in [each for told in toll.told for each in told.sent]:
            due = 0 if each.answer["disposition"] == "duplicate" else 1  # the first one was answered
            if receipted[each.answer["report"]] != due:
                toll.faults.append(f"{each.webhook_id} was receipted {receipted[each.answer['report']]} times")
        self._look_at_deliveries({each.webhook_id for each in arrivals})

    def _look_at_deliveries(self, arrived: set[str]) -> None:
        with self.machine.store.read() as tx:
            query = select(Delivery.webhook_id, Delivery.kind, Delivery.state, Alert.state.label("alert")).join(
                Alert, Alert.id == Delivery.alert_id
            )
            rows = tx.execute(query).all()
        for row in rows:
            answered = row.state == "cancelled" and row.alert == "acknowledged"
            if row.state not in ("delivered", "handed-over") and not answered:
                self.toll.faults.append(f"delivery {row.webhook_id} ({row.kind}) is {row.state}")
            if row.kind == "webhook" and row.webhook_id not in arrived:
                self.toll.faults.append(f"{row.webhook_id} is on record as {row.state} and never arrived")
        unknown = arrived - {row.webhook_id for row in rows}
        self.toll.faults += [f"{name} arrived and is not on record" for name in unknown]
        self._mail_ids = {row.webhook_id for row in rows if row.kind == "email"}

    def _look_at_mail(self) -> None:
        toll, ids = self.toll, Counter(each.strip("<>").partition("@")[0] for each in self.mail.ids())
        toll.mails, toll.mails_twice = len(ids), ids.total() - len(ids)
        toll.faults += [f"mail {name} is on record and never arrived" for name in self._mail_ids - ids.keys()]
        toll.faults += [f"mail {name} arrived and is not on record" for name in ids.keys() - self._mail_ids]


@contextmanager
def surroundings(folder: Path, plan: Plan, database: Database | None = None) -> Iterator[Storm]:
    """A running installation with a receiver and a mail server; all of it is gone afterwards."""
    with Receiver(cut=plan.cut, seed=plan.seed) as receiver, MailServer() as mail:
        machine = Installation(folder, database=database, mail=mail.url)
        try:
            machine.start()
            yield Storm(machine, receiver, mail, plan)
        finally:
            machine.stop()

"""Public data sets of incidents as native reports, posted signed to a running installation of its own.

    python -m tests.real_input.post_dataset FOLDER [--most N] [--clients 8] [--postgresql] vcdb eurepoc cfr

FOLDER holds `<name>.jsonl.gz`, one incident a line. The data sets belong to others and are not in this repository.
Every row must be answered 202 or with a 422 that names what is wrong with it; none may be lost and none doubled;
afterwards the board and the search are timed.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import func, select

from coordinator import vocabulary
from coordinator.incidents.models import Incident, Report
from tests.harness.installation import Installation, installation
from tests.harness.mail import MailServer
from tests.harness.outcome import unsettled
from tests.harness.processes import wait_for
from tests.harness.receiver import Receiver
from tests.harness.sender import Sender, Sent
from tests.hostile.corpus import rows
from workers.demo import world as fiction

#: Their word for a kind of incident -> RSIT. What is not here is undetermined.
CLASSES = {
    "error_exposure": "information-content-security/data-leak", "phishing": "fraud/phishing",
    "insider_misuse": "information-content-security/unauthorised-information-access", "intrusion": "intrusions",
    "physical_loss_theft": "intrusions/burglary", "hijacking": "intrusions/system-compromise",
    "data_theft": "information-content-security/data-loss", "espionage": "information-content-security/data-loss",
    "data_theft_doxing": "information-content-security/data-leak", "disruption": "availability/outage",
    "malware": "malicious-code/infected-system", "ransomware": "malicious-code/infected-system",
    "ddos": "availability/ddos", "sabotage": "availability/sabotage", "data_destruction": "availability/sabotage",
    "defacement": "information-content-security/unauthorised-information-modification",
}  # fmt: skip
SECTORS = {
    "government": "public-administration", "health": "health", "finance": "banking", "manufacturing": "manufacturing",
    "information_telecom": "digital-infrastructure", "transport": "transport", "energy_utilities": "energy",
}  # fmt: skip
LONGEST_TITLE, LONGEST_TEXT = 120, 10_000


def native(row: dict[str, Any]) -> dict[str, Any]:
    """A row as a partner's system would report it: what the row does not say is left out, never guessed."""
    report: dict[str, Any] = {
        "title": _cut(row.get("title") or row.get("description") or "", LONGEST_TITLE),
        "description": _cut(row.get("description") or "", LONGEST_TEXT),
        "tlp": "CLEAR",
        "external_id": str(row["id"])[:200],
        "classification": CLASSES.get(row.get("category_norm") or "", "undetermined"),
        "states_affected": [code for code in row.get("victim_countries") or [] if vocabulary.COUNTRIES.valid(code)],
        "sectors": [code for code in [SECTORS.get(row.get("victim_sector") or "")] if code in vocabulary.SECTORS],
        "language": row.get("lang") or "",
        "observables": [{"type": "url", "value": url} for url in (row.get("source_urls") or [])[:50]],
    }
    for name, field in (("occurred_at", "occurred_start"), ("detected_at", "discovered"), ("noticed_at", "reported")):
        report |= _instant(name, row.get(field))
    if not any(name in report for name in ("occurred_at", "detected_at", "noticed_at")):
        report |= _instant("noticed_at", "2026-11-22")
    return {name: value for name, value in report.items() if value not in ("", [])}


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _instant(name: str, date: str | None) -> dict[str, str]:
    """A date that may be a year or a month only, with its fidelity."""
    found = re.match(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?", date or "")
    if not found or found[1] == "0000":
        return {}
    year, month, day = found.groups()
    fidelity = "day" if day else "month" if month else "year"
    return {name: f"{year}-{month or '01'}-{day or '01'}T00:00:00Z", f"{name}_fidelity": fidelity}


def timed(name: str, ask: Callable[[], requests.Response], times: int = 15) -> str:
    """How long a request takes, once it is warm."""
    spent = []
    for _ in range(times + 1):
        answer = ask()
        answer.raise_for_status()
        spent.append(answer.elapsed.total_seconds() * 1000)
    ours = sorted(spent[1:])
    return f"{name}: median {statistics.median(ours):.0f} ms, slowest {ours[-1]:.0f} ms"


def post_all(
    machine: Installation, partner: fiction.Partner, reports: list[dict[str, Any]], clients: int
) -> list[Sent]:
    sender = Sender(machine.base_url, partner)
    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(lambda each: sender.post(each[1], f"msg_{each[0]}"), enumerate(reports)))


def count(machine: Installation, sent: list[Sent], distinct: int) -> list[str]:
    """Every answer has its one row, every row its answer; as many incidents as there are different ids accepted."""
    accepted = [each for each in sent if each.status == 202]
    with machine.store.read() as tx:
        kept = Counter(tx.execute(select(Report.message_id).where(Report.via == "webhook")).scalars())
        incidents = tx.execute(select(func.count()).select_from(Incident)).scalar_one()
    ids = [each.webhook_id for each in sent]
    faults = [f"{each} is there {kept[each]} times" for each in ids if kept[each] != 1]
    if len(kept) != len(sent):
        faults.append(f"{len(kept)} rows for {len(sent)} reports")
    if incidents != distinct:
        faults.append(f"{incidents} incidents for {distinct} different ids, {len(accepted)} accepted")
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.real_input.post_dataset")
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--most", type=int, default=10**9, help="of each data set")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--hasty", action="store_true", help="do not wait for receipts and runs to be done")
    said = parser.parse_args()
    with ExitStack() as stack:
        database = None
        if said.postgresql:
            from tests.postgres import PostgresServer

            database = stack.enter_context(PostgresServer()).new_database()
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coordinator-real-")))
        mail, receiver = stack.enter_context(MailServer()), stack.enter_context(Receiver())
        machine = stack.enter_context(installation(home / "var", database=database, mail=mail.url))
        return _report(machine, receiver, said)


def _report(machine: Installation, receiver: Receiver, said: argparse.Namespace) -> int:
    partner = receiver.partner(fiction.REPORTER, "fi-csirt")
    machine.load(fiction.world([partner]))
    reports = [native(row) for name in said.names for row in rows(said.folder / f"{name}.jsonl.gz", said.most)]
    began = time.monotonic()
    sent = post_all(machine, partner, reports, said.clients)
    spent = time.monotonic() - began
    answers = Counter((each.status, each.answer.get("disposition")) for each in sent)
    print(f"{len(sent)} reports in {spent:.0f} s: {dict(answers)}", flush=True)
    refused = Counter(json.dumps(each.answer.get("errors"), ensure_ascii=False) for each in sent if each.status != 202)
    for errors, number in refused.most_common(12):
        print(f"  {number} × {errors[:300]}")
    accepted = {report["external_id"] for report, each in zip(reports, sent, strict=True) if each.status == 202
                and each.answer["disposition"] != "duplicate"}  # fmt: skip
    faults = count(machine, sent, len(accepted))
    token = machine.tokens()["coordinator"]
    headers = {"Authorization": f"Bearer {token}"}

    def ask(**query: Any) -> requests.Response:
        return requests.get(f"{machine.base_url}/api/v1/incidents", params=query, headers=headers, timeout=60)

    asked: dict[str, dict[str, Any]] = {
        "board": {}, "board, 100": {"limit": 100}, "search a word": {"q": "ransomware"},
        "search two words": {"q": "bank data"}, "search what is not there": {"q": "qqqqxz"},
    }  # fmt: skip
    for name, query in asked.items():
        print(timed(name, lambda query=query: ask(**query)), flush=True)
    if not said.hasty:
        faults += _wait_for_the_rest(machine, receiver, sent)
        for name, query in asked.items():
            print(f"at rest: {timed(name, lambda query=query: ask(**query))}", flush=True)
    print(machine.run("record", "verify", seconds=600).splitlines()[0])
    print("\n".join(faults[:40]) or "none lost, none doubled")
    statuses = {each.status for each in sent}
    return 1 if faults or statuses - {202, 422} else 0


def _wait_for_the_rest(machine: Installation, receiver: Receiver, sent: list[Sent]) -> list[str]:
    """Until runs, notices and receipts are done; what is wrong with the receipts."""
    faults = []
    began = time.monotonic()
    wait_for(lambda: not _waiting(machine), 3600, what="everything that follows", pause=1.0)
    print(f"everything that follows was done {time.monotonic() - began:.0f} s later", flush=True)
    receipts = Counter(each.data["in_reply_to"] for each in receiver.kept("receipt"))
    for each in sent:
        due = each.status == 202 and each.answer["disposition"] != "duplicate"
        if due and receipts[each.answer["report"]] != 1:
            faults.append(f"{each.webhook_id} was receipted {receipts[each.answer['report']]} times")
    return faults


def _waiting(machine: Installation) -> bool:
    with machine.store.read() as tx:
        return bool(unsettled(tx))


if __name__ == "__main__":
    sys.exit(main())

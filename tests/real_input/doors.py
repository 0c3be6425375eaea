"""A text or a body through every door of an installation, and what must hold of the answer whatever was sent.

Never a server error; never written into a page as markup; what was accepted is kept to the byte and read to the letter.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from sqlalchemy import select

from coordinator.app import Application, create_app
from coordinator.incidents.items import read_item
from coordinator.incidents.models import Incident, ItemVersion, Report, ReportBody
from coordinator.incidents.references import reference_of
from coordinator.store import Store
from coordinator.timeline.keys import unseal
from tests.coordinator.web.conftest import Desk
from tests.factories import World, signed, token_for

OBSERVED = {"tlp": "GREEN", "noticed_at": "2026-11-22T03:10:00Z"}
#: Long enough to be found again, and unlike anything on a page.
MARK = "zq7"
_LINKS = ("href", "src", "action", "formaction", "xlink:href", "data", "poster", "background")


@dataclass
class Tally:
    """Answers by door and status, and everything that must not be."""

    answers: dict[tuple[str, int], int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def count(self, door: str, status: int) -> None:
        self.answers[door, status] = self.answers.get((door, status), 0) + 1

    def lines(self) -> Iterator[str]:
        for (door, status), number in sorted(self.answers.items()):
            yield f"{door} {status}: {number}"
        yield from self.faults or ["no fault"]


class _Page(HTMLParser):
    """What a browser would make of a page: whatever could run, and every text and attribute as it would be read."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[str] = []
        self._scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "script" and not values.get("src", "").startswith("/static/"):
            self.runs.append("a script that is not ours")
        if tag in ("iframe", "object", "embed", "base", "math"):
            self.runs.append(f"<{tag}>")
        self.runs += [f"an attribute {name}" for name in values if name.startswith("on")]
        for name in _LINKS:
            if values.get(name, "").strip().lower().startswith(("javascript:", "vbscript:", "data:text")):
                self.runs.append(f"{name} that runs")


def what_runs(html: str) -> list[str]:
    """Whatever in a page would be executed and is not ours."""
    page = _Page()
    page.feed(html)
    page.close()
    return page.runs


class Doors:
    """The webhook, the API and the form of one installation."""

    def __init__(self, store: Store, world: World) -> None:
        self.store, self.world, self.tally = store, world, Tally()
        self.desk = Desk(store, world)
        self.app: Application = self.desk.app
        self.client = create_app(store, pages=False).test_client()
        self._browser = self.desk.sit("coordinator")
        self._token = token_for(store, "coordinator")
        self._number = int(time.time())

    # ------------------------------------------------------------ bodies

    def body(self, name: str, raw: bytes, *, content_type: str = "application/json") -> list[int]:
        """A body as it is, through webhook and API; the two statuses."""
        seen = []
        for door, post in (("webhook", self._webhook), ("api", self._api)):
            answer = post(raw, content_type)
            self._look(door, name, answer)
            seen.append(answer.status_code)
            if answer.status_code == 202:
                self._kept_to_the_byte(door, name, answer, raw)
        return seen

    # ------------------------------------------------------------ texts

    def text(self, name: str, text: str) -> None:
        """A text as title and as description, and where else a report takes text, through all three doors."""
        marked = f"{text}{MARK}"
        report: dict[str, Any] = OBSERVED | {"title": marked, "description": marked}
        for extra in ({}, {"contact": {"name": marked}, "asks": marked, "external_id": f"{self._next()}{marked}",
                           "observables": [{"type": "text", "value": marked}]}):  # fmt: skip
            raw = json.dumps(report | extra, ensure_ascii=bool(extra)).encode("utf-8", "surrogatepass")
            for door, post in (("webhook", self._webhook), ("api", self._api)):
                answer = post(raw, "application/json")
                self._look(door, name, answer, marked)
                if answer.status_code == 202:
                    self._kept_to_the_byte(door, name, answer, raw)
                    self._read_to_the_letter(door, name, answer.json["report"], report)
        self._by_form(name, marked)

    def pages(self, name: str = "") -> None:
        """Every page on which what was filed is shown."""
        with self.store.read() as tx:
            references = [reference_of(row) for row in tx.execute(select(Incident).order_by(Incident.id)).scalars()]
        for path in ["/board", f"/board?q={MARK}", "/record", *(f"/incidents/{each}" for each in references)]:
            answer = self._browser.client.get(path)
            self._look("page", f"{name}{path}", answer)

    def search(self, name: str, text: str) -> None:
        """The text as what is searched for, on the board and in the API."""
        if text.encode("utf-8", "ignore").decode() != text:
            return  # half a surrogate pair: no browser can ask for it
        query = {"q": text}
        self._look("board", name, self._browser.client.get("/board", query_string=query), text + MARK)
        headers = {"Authorization": f"Bearer {self._token}"}
        self._look("list", name, self.client.get("/api/v1/incidents", query_string=query, headers=headers), text + MARK)

    # ------------------------------------------------------------ inside

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _webhook(self, raw: bytes, content_type: str) -> Any:
        headers = signed(self.world.secret, raw, f"msg_{self._next()}", content_type=content_type)
        return self.client.post(f"/api/v1/intake/{self.world.endpoint}", data=raw, headers=headers)

    def _api(self, raw: bytes, content_type: str) -> Any:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": content_type}
        return self.client.post("/api/v1/reports", data=raw, headers=headers)

    def _by_form(self, name: str, marked: str) -> None:
        self._browser.get("/report")
        fields = {"title": marked, "description": marked, "tlp": "GREEN", "source": "ours", "zone": "UTC",
                  "noticed_at_date": "2026-11-22", "contact_name": marked, "observables": f"text {marked}"}  # fmt: skip
        try:
            answer = self._browser.post("/report", fields)
        except UnicodeEncodeError:  # no browser can send a lone surrogate
            return
        self._look("form", name, answer, marked)
        if answer.status_code == 303:
            said = {"title": marked, "description": marked}
            self._read_to_the_letter("form", name, answer.location.rpartition("/")[2], said)

    def _look(self, door: str, name: str, answer: Any, text: str = "") -> None:
        self.tally.count(door, answer.status_code)
        where = f"{door} {name}"
        if answer.status_code >= 500:
            self.tally.faults.append(f"{where}: answered {answer.status_code}")
        if answer.headers.get("X-Content-Type-Options") != "nosniff":
            self.tally.faults.append(f"{where}: the type of the answer could be guessed at")
        if answer.mimetype == "text/html":
            self.tally.faults += [f"{where}: the page has {each}" for each in what_runs(answer.text)]
            if text and set(text) & set("<>\"'") and text in answer.text:
                self.tally.faults.append(f"{where}: written into the page as it is")
        elif text and answer.status_code >= 400 and text in answer.text:
            self.tally.faults.append(f"{where}: the refusal repeats what was sent")

    def _kept_to_the_byte(self, door: str, name: str, answer: Any, raw: bytes) -> None:
        with self.store.read() as tx:
            query = select(Report, ReportBody.sealed).join(ReportBody, ReportBody.report_id == Report.id)
            report, sealed = tx.execute(query.where(Report.public_id == answer.json["report"])).one()
            if unseal(tx, report.data_key_id, sealed, about=f"report/{report.public_id}") != raw:
                self.tally.faults.append(f"{door} {name}: kept as other bytes")

    def _read_to_the_letter(self, door: str, name: str, public_id: str, said: dict[str, Any]) -> None:
        """Title and description stand in the item versions of this report as they were sent."""
        with self.store.read() as tx:
            query = (
                select(ItemVersion)
                .join(Report, Report.id == ItemVersion.report_id)
                .where(Report.public_id == public_id, ItemVersion.kind.in_(("title", "summary")))
            )
            found = {version.kind: read_item(tx, version) for version in tx.execute(query).scalars()}
            disposition = tx.execute(select(Report.disposition).where(Report.public_id == public_id)).scalar_one()
        if disposition == "duplicate":
            return
        for kind, field_name in (("title", "title"), ("summary", "description")):
            if found.get(kind) != said[field_name]:
                self.tally.faults.append(f"{door} {name}: {field_name} is read as something else")

"""Every door. What the API describes and which forms the pages show is found by asking: a new one is tried too."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import select
from werkzeug.routing import Map

import playbooks
from coordinator.errors import CoordinatorError
from coordinator.incidents.items import read_item
from coordinator.incidents.models import Attachment, ItemVersion, Report, ReportBody
from coordinator.interchange.world import load_world
from coordinator.runs.catalogue import import_playbook
from coordinator.timeline.keys import unseal
from tests.hostile.forms import Form, Forms
from tests.hostile.looking import MARK, Tally, look
from tests.hostile.site import ROLES, VISITOR, Site

OBSERVED = {"tlp": "GREEN", "noticed_at": "2026-11-22T03:10:00Z"}
READERS = ("application/json", "application/cloudevents+json", "application/stix+json;version=2.1", "text/plain")
_A_PLAYBOOK = Path(playbooks.__file__).parent / "library" / "communication-check.json"
_ARGUMENTS = ("q", "status", "severity", "cursor", "limit", "updated_since", "exercise")
#: Forms and calls that end what the attack stands on.
_LEFT_OUT = ("/sign-out", "/suspend", "/end", "/revoke", "/disable", "/rotate", "/role", "/reset", "/link", "/drop",
             "/leave", "/stop")


class Doors:
    """All doors of one site. `pages`: the addresses of its pages as patterns."""

    def __init__(self, site: Site, addresses: Map) -> None:
        self.site, self.tally = site, Tally()
        self.paths = [rule.rule for rule in addresses.iter_rules() if rule.methods and "GET" in rule.methods]
        document = site.request("GET", "/api/v1/openapi.json").json()
        self._shapes = document["components"]["schemas"]
        self.writes = list(self._write_routes(document))
        self._matched = {
            path.removeprefix("/api/v1") for path, item in document["paths"].items() for said in item.values()
            if any(one["name"] == "If-Match" for one in said.get("parameters", ()))
        }  # fmt: skip
        self.forms = self._find_forms()

    # ------------------------------------------------------------ a text

    def text(self, name: str, text: str, *, everywhere: bool = True) -> None:
        """One text through every door that takes text."""
        marked = f"{text}{MARK}"
        self._reports(name, marked)
        self._filed_as(name, marked)
        self._asked_for(name, marked, ("q",) if not everywhere else _ARGUMENTS)
        if everywhere:
            self._written_by_api(name, marked)
            self._written_by_forms(name, marked)
            self._addressed(name, marked)
            self._in_headers(name, marked)
            self._loaded(name, marked)

    def _reports(self, name: str, marked: str) -> None:
        report: dict[str, Any] = OBSERVED | {"title": marked, "description": marked}
        more = {"contact": {"name": marked}, "asks": marked, "external_id": f"{self.site.next()}{marked}",
                "observables": [{"type": "text", "value": marked}]}  # fmt: skip
        for extra in ({}, more):
            raw = json.dumps(report | extra, ensure_ascii=bool(extra)).encode("utf-8", "surrogatepass")
            for door, answer in (
                ("webhook", self.site.webhook(raw)), ("api /reports", self._file(raw))
            ):  # fmt: skip
                look(self.tally, door, name, answer, marked)
                if answer.status_code == 202:
                    self._kept_to_the_byte(door, name, answer, raw)
                    self._read_to_the_letter(door, name, answer.json()["report"], report)

    def _filed_as(self, name: str, marked: str) -> None:
        """The text as the name of an announced file, and as what is in it; taken out again by both doors."""
        body = f"{marked}{self.site.next()}".encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(body).hexdigest()
        file = {"name": marked[-200:], "media_type": "text/html", "sha256": digest, "size": len(body)}
        report = OBSERVED | {"title": f"File {self.site.next()}", "attachments": [file]}
        raw = json.dumps(report).encode()
        look(self.tally, "webhook file", name, announced := self.site.webhook(raw), marked)
        look(self.tally, "PUT file", name, put := self.site.put_file(body, digest), marked)
        if announced.status_code != 202 or put.status_code >= 300:
            return
        with self.site.store.read() as tx:
            query = select(Attachment.id, Attachment.incident_id).where(Attachment.sha256 == digest)
            number, incident_id = tx.execute(query).one()
        page = f"/incidents/INC-2026-{incident_id:06d}/attachments/{number}"
        year = self.site.known["reference"][:9]
        page = page.replace("INC-2026-", year)
        for door, answer in (
            ("api download", self.site.api("GET", f"/attachments/{number}")),
            ("page download", self.site.as_role("coordinator", "GET", page)),
        ):  # fmt: skip
            look(self.tally, door, name, answer)
            held = answer.headers.get("Content-Type") == "application/octet-stream" and "sandbox" in answer.headers.get(
                "Content-Security-Policy", "")  # fmt: skip
            if answer.content != body or not held:
                self.tally.faults.append(f"{door} {name}: not the same bytes, or not only to be saved")
            if not answer.headers.get("Content-Disposition", "").startswith("attachment;"):
                self.tally.faults.append(f"{door} {name}: a browser would open it")

    def _asked_for(self, name: str, marked: str, keys: Sequence[str]) -> None:
        """The text as what is searched for and filtered by."""
        if not _utf8(marked):
            return  # half a surrogate pair: no browser can ask for it
        for key in keys:
            look(self.tally, "list", name, self.site.api("GET", "/incidents", params={key: marked}), marked)
        query = {"q": marked, "status": marked, "owner": marked, "after": marked, "severity": marked}
        look(self.tally, "/board", name, self.site.as_role("coordinator", "GET", "/board", params=query), marked)
        if len(keys) == 1:
            return
        look(self.tally, "/sign-in?then", name, self.site.request("GET", "/sign-in", params={"then": marked}), marked)
        said = {"at": marked, "date": marked, "time": marked, "before": marked}
        for part in ("at", "timeline"):
            path = f"/incidents/{self.site.known['reference']}/{part}"
            look(self.tally, part, name, self.site.as_role("coordinator", "GET", path, params=said), marked)

    def _written_by_api(self, name: str, marked: str) -> None:
        for method, path, shape in self.writes:
            for all_of_it in (False, True):
                body = json.dumps(self._filled(shape, marked, all_of_it)).encode()
                look(self.tally, f"{method} {path}", name, self._write(method, path, body), marked)

    def _written_by_forms(self, name: str, marked: str) -> None:
        if not _utf8(marked):
            return
        self.site.confirm()
        for form in self.forms:
            fields = form.fixed | {each: marked for each in form.written}
            files = {each: (_latin(marked)[:100], b"<script>1</script>", "text/html") for each in form.files}
            answer = self.site.as_role(form.role, "POST", form.action, data=fields, files=files or None)
            look(self.tally, f"form {form.action}", name, answer, marked)

    def _addressed(self, name: str, marked: str) -> None:
        """The text as a part of every address that has one, for a visitor and for somebody signed in."""
        if not _utf8(marked):
            return
        part = quote(marked[:300], safe="")
        for path in self.paths:
            if "<" in path:
                address = "".join(part if "<" in piece else piece for piece in _pieces(path))
                look(self.tally, f"GET {path}", name, self.site.as_role("coordinator", "GET", address), marked)
        for method, path, _shape in self.writes:
            if "{" in path:
                look(self.tally, f"{method} {path} (address)", name,
                     self._write(method, path, b"{}", addressed=part), marked)  # fmt: skip

    def _in_headers(self, name: str, marked: str) -> None:
        text = _latin(marked)
        names = ("User-Agent", "Referer", "Accept-Language", "X-Forwarded-For", "X-Forwarded-Proto", "If-None-Match",
                 "Range", "Origin", "Accept", "Forwarded", "Idempotency-Key", "X-Request-Id")  # fmt: skip
        for headers in ({each: text for each in names}, {"Cookie": f"coordinator={text}; x={text}"},
                        {"Authorization": f"Bearer {text}"}, {"Host": text[:200] or "x"}):  # fmt: skip
            for path in ("/board", "/api/v1/incidents", f"/a/{self.site.known['token']}"):
                look(self.tally, "headers", name, self.site.request("GET", path, headers=headers), marked)
        raw = json.dumps(OBSERVED | {"title": "x"}).encode()
        for header in ("webhook-id", "webhook-timestamp", "webhook-signature", "Content-Type"):
            path = f"/api/v1/intake/{self.site.world.endpoint}"
            look(self.tally, "webhook headers", name,
                 self.site.request("POST", path, data=raw, headers={header: text}), marked)  # fmt: skip

    def _loaded(self, name: str, marked: str) -> None:
        """The text in a world file and in a playbook: taken or refused, never a fault of ours."""
        code = f"HX-{self.site.next()}"
        world = {
            "organisations": [{"code": code, "name": marked, "kind": "ministry", "communities": []}],
            "contacts": [{"code": f"c{code.lower()}", "organisation": code, "kind": "technical", "function": marked,
                          "hours": "24x7", "order": 1, "time_zone": "UTC", "tlp_max": "GREEN",
                          "channels": [{"kind": "voice", "number": marked}]}],
        }  # fmt: skip
        self._bring("world", name, json.dumps(world).encode())
        playbook = json.loads(_A_PLAYBOOK.read_bytes())
        playbook |= {"name": marked, "description": marked, "modified": "2026-11-22T00:00:00.000Z"}
        self._bring("playbook", name, json.dumps(playbook).encode())

    # ------------------------------------------------------------ a body

    def body(self, name: str, raw: bytes, *, everywhere: bool = True) -> list[int]:
        """A body as it is, through every door that takes one; the statuses of the two intakes for JSON."""
        seen = []
        for content_type in READERS if everywhere else READERS[:1]:
            for door, answer in (
                ("webhook", self.site.webhook(raw, content_type)), ("api /reports", self._file(raw, content_type))
            ):  # fmt: skip
                look(self.tally, f"{door} body", name, answer)
                seen += [answer.status_code] if content_type == READERS[0] else []
                if answer.status_code == 202:
                    self._kept_to_the_byte(door, name, answer, raw)
        for method, path, _shape in self.writes if everywhere else ():
            look(self.tally, f"{method} {path} body", name, self._write(method, path, raw))
        self._bring("world body", name, raw)
        self._bring("playbook body", name, raw)
        return seen

    def shown(self) -> None:
        """Every page that can be reached from the board and the menus, with all that was sent on it."""
        for role in (VISITOR, *ROLES):
            for path in self._reachable(role, most=300):
                look(self.tally, "page", path, self.site.as_role(role, "GET", path))

    # ------------------------------------------------------------ finding doors

    def _write_routes(self, document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for path, item in document["paths"].items():
            for method, said in item.items():
                if method != "get" and "/intake/" not in path and not path.endswith(("/reports", *_LEFT_OUT)):
                    content = said.get("requestBody", {}).get("content", {})
                    shape = next(iter(content.values()), {}).get("schema", {})
                    yield method.upper(), path.removeprefix("/api/v1"), shape

    def _find_forms(self) -> list[Form]:
        found: dict[str, Form] = {}
        for role in (VISITOR, *ROLES):
            for path in self._reachable(role, most=300):
                page = Forms(role, path)
                page.feed(self.site.as_role(role, "GET", path).text)
                for form in page.found:
                    form.fixed.pop("", None)
                    if (form.written or form.files) and not form.action.endswith(_LEFT_OUT):
                        found.setdefault(_pattern(form.action), form)
        for form in found.values():
            if "csrf_token" in form.fixed:
                self.site.secrets.add(form.fixed["csrf_token"])
        return list(found.values())

    def _reachable(self, role: str, *, most: int) -> list[str]:
        """Paths of pages, beginning at the board; one of a kind."""
        found, waiting, seen = list[str](), ["/board", *self._known_pages()], set[str]()
        often: dict[str, int] = {}
        while waiting and len(found) < most:
            path = waiting.pop(0)
            pattern = _pattern(path)
            if path in seen or path.startswith(("/api/", "/static/")) or often.get(pattern, 0) >= 1:
                continue
            seen.add(path)
            answer = self.site.as_role(role, "GET", path)
            if answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/html"):
                often[pattern] = often.get(pattern, 0) + 1
                found.append(path)
                page = Forms(role, path)
                page.feed(answer.text)
                waiting += sorted(page.links)
        return found

    def _known_pages(self) -> list[str]:
        spare = self.site.known["spare"]
        made = [f"/incidents/{spare}/status/{to}" for to in ("rejected", "duplicate", "triage")]
        for path in self.paths:
            if not path.startswith(("/api/", "/static/")) and "<path:" not in path:
                names = [piece.strip("<>").rpartition(":")[2] for piece in _pieces(path) if "<" in piece]
                if all(name in self.site.known for name in names):
                    made.append("".join(str(self.site.known[piece.strip("<>").rpartition(":")[2]])
                                        if "<" in piece else piece for piece in _pieces(path)))  # fmt: skip
        return made

    # ------------------------------------------------------------ sending

    def _file(self, raw: bytes, content_type: str = "application/json") -> Any:
        return self.site.api("POST", "/reports", data=raw, headers={"Content-Type": content_type})

    def _write(self, method: str, path: str, raw: bytes, *, addressed: str = "") -> Any:
        known = self.site.known | ({"reference": self.site.known["spare"]} if path.endswith("/status") else {})
        address = "".join(
            (addressed or str(known.get(piece.strip("{}"), 1))) if "{" in piece else piece
            for piece in _pieces(path.replace("{", "<{").replace("}", "}>"))
        ).replace("<", "").replace(">", "")  # fmt: skip
        match = {"If-Match": '"v1"', "Content-Type": "application/json"}
        if not addressed and path in self._matched:
            one = self.site.api("GET", f"/incidents/{known['reference']}")
            match["If-Match"] = one.headers.get("ETag", '"v1"').removeprefix("W/")
        return self.site.api(method, address, data=raw, headers=match)

    def _filled(self, shape: Any, text: str, everything: bool, depth: int = 0) -> Any:
        """A value for a schema: free text is ours, the rest as lawful as it can be, or ours too (`everything`)."""
        if "$ref" in shape:
            return self._filled(self._shapes[shape["$ref"].rpartition("/")[2]], text, everything, depth)
        kinds = shape.get("type", "")
        kind = kinds if isinstance(kinds, str) else next((each for each in kinds if each != "null"), "")
        if depth > 4:
            return None
        if kind == "object" or "properties" in shape:
            return {name: self._filled(each, text, everything, depth + 1)
                    for name, each in shape.get("properties", {}).items()}  # fmt: skip
        if kind == "array":
            return [self._filled(shape.get("items", {}), text, everything, depth + 1)]
        if everything:
            return text
        if shape.get("enum"):
            return next(each for each in shape["enum"] if each is not None)
        if shape.get("format") == "date-time":
            return "2026-11-22T03:10:00Z"
        return {"integer": 1, "boolean": True, "number": 1}.get(kind, text)

    def _bring(self, door: str, name: str, raw: bytes) -> None:
        try:
            with self.site.store.unit_of_work() as tx:
                if door.startswith("world"):
                    load_world(tx, raw, actor="cli:test", digest=hashlib.sha256(raw).hexdigest())
                else:
                    import_playbook(tx, raw, actor="cli:test")
            self.tally.count(door, 200)
        except CoordinatorError as refused:
            self.tally.count(door, refused.status)
            if MARK in f"{refused}{[fault.detail for fault in getattr(refused, 'errors', ())]}":
                self.tally.faults.append(f"{door} {name}: the refusal repeats what was sent")
        except Exception as fault:
            self.tally.faults.append(f"{door} {name}: {type(fault).__name__} {fault}"[:300])

    # ------------------------------------------------------------ what was kept

    def _kept_to_the_byte(self, door: str, name: str, answer: Any, raw: bytes) -> None:
        with self.site.store.read() as tx:
            query = select(Report, ReportBody.sealed).join(ReportBody, ReportBody.report_id == Report.id)
            report, sealed = tx.execute(query.where(Report.public_id == answer.json()["report"])).one()
            if unseal(tx, report.data_key_id, sealed, about=f"report/{report.public_id}") != raw:
                self.tally.faults.append(f"{door} {name}: kept as other bytes")

    def _read_to_the_letter(self, door: str, name: str, public_id: str, said: dict[str, Any]) -> None:
        """Title and description stand in the item versions of this report as they were sent."""
        with self.site.store.read() as tx:
            query = (
                select(ItemVersion)
                .join(Report, Report.id == ItemVersion.report_id)
                .where(Report.public_id == public_id, ItemVersion.kind.in_(("title", "summary")))
            )
            found = {version.kind: read_item(tx, version) for version in tx.execute(query).scalars()}
            disposition = tx.execute(select(Report.disposition).where(Report.public_id == public_id)).scalar_one()
        if disposition in ("duplicate", "quarantined"):
            return
        for kind, name_of_field in (("title", "title"), ("summary", "description")):
            if found.get(kind) != said[name_of_field]:
                self.tally.faults.append(f"{door} {name}: {name_of_field} is read as something else")


def _pattern(path: str) -> str:
    """The same for pages of the same kind."""
    return re.sub(r"INC-[0-9-]+|[0-9]+", "#", path)


def _utf8(text: str) -> bool:
    """Whether a browser could send it."""
    return text.encode("utf-8", "ignore").decode() == text


def _latin(text: str) -> str:
    """As a header can carry it: clients refuse line ends themselves."""
    kept = "".join(one for one in text if one not in "\r\n\0")
    return kept.encode("utf-8", "ignore").decode("latin-1").strip()


def _pieces(path: str) -> list[str]:
    """`/a/<b>/c` as ["/a/", "<b>", "/c"]."""
    found, now = [""], False
    for one in path:
        if one == "<":
            found.append("<")
            now = True
            continue
        found[-1] += one
        if one == ">" and now:
            found.append("")
            now = False
    return [piece for piece in found if piece]

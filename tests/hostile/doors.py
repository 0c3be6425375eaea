"""Every door. What the API describes and which forms the pages show is found by asking: a new one is tried too."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import select

import playbooks
from coordinator.errors import CoordinatorError
from coordinator.incidents.items import read_item
from coordinator.incidents.models import Attachment, ItemVersion, Report, ReportBody
from coordinator.interchange.world import load_world
from coordinator.runs.catalogue import import_playbook
from coordinator.timeline.keys import unseal
from tests.hostile.finding import Found, pieces
from tests.hostile.looking import MARK, look
from tests.hostile.site import ROLES, VISITOR

T = TypeVar("T")
#: So many texts go by turns through the doors that are many.
SHARES = 4

OBSERVED = {"tlp": "GREEN", "noticed_at": "2026-11-22T03:10:00Z"}
READERS = ("application/json", "application/cloudevents+json", "application/stix+json;version=2.1", "text/plain")
_A_PLAYBOOK = Path(playbooks.__file__).parent / "library" / "communication-check.json"
_NO_LISTS = ("/", "/metrics", "/healthz", "/readyz", "/api/docs", "/api/docs/", "/api/v1/openapi.json", "/help")
_OFFICE = ("/users", "/users/new", "/operations", "/changes", "/endpoints")
_ARGUMENTS = ("q", "status", "severity", "cursor", "limit", "updated_since", "exercise")
_OF_AN_ACCOUNT = re.compile(r"/users/[0-9]+/")
#: Pages and lists by themselves, with everything any of them is asked for.
_QUERY = ("q", "after", "cursor", "partner", "incident", "item", "exercise", "state", "status", "at", "until", "to",
          "since", "kind", "organisation", "sector", "severity", "owner", "tab", "of")


class Doors(Found):
    """All doors of one site, to be tried."""

    # ------------------------------------------------------------ a text

    def text(self, name: str, text: str, *, everywhere: bool = True, turn: int | None = None) -> None:
        """One text through every door that takes text.

        `turn` (the number of the text): it goes through the doors that take reports, imports, files and searches, and
        through one in SHARES of the calls, forms, addresses, headers and lists; a call gets it in all its fields or in
        those of free text only, in turn. Without: through all, both ways.
        """
        marked = f"{text}{MARK}"
        self._reports(name, marked)
        self._imported(name, marked)
        self._filed_as(name, marked)
        few = not everywhere or turn is not None
        self._asked_for(name, marked, ("q",) if few else _ARGUMENTS)
        if everywhere:
            self._written_by_api(name, marked, turn)
            self._written_by_forms(name, marked, turn)
            self._addressed(name, marked, turn)
            self._in_headers(name, marked, turn)
            self._listed(name, marked, turn)
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

    def _imported(self, name: str, marked: str) -> None:
        """The text in a STIX bundle and in a MISP event: taken, set aside or refused."""
        at, base = "2026-11-22T03:10:00.000Z", f"{self.site.next():012d}"
        common = {"spec_version": "2.1", "created": at, "modified": at}
        author = {"type": "identity", "id": f"identity--8b6a3d1e-58f5-4a60-8f0b-{base}", "name": marked,
                  "identity_class": "organization", **common}  # fmt: skip
        incident = {"type": "incident", "id": f"incident--8b6a3d1e-58f5-4a60-8f0b-{base}", "name": marked,
                    "description": marked, "created_by_ref": author["id"], "labels": [marked], **common}  # fmt: skip
        bundle = {"type": "bundle", "id": f"bundle--8b6a3d1e-58f5-4a60-8f0b-{base}", "objects": [author, incident]}
        event = {"Event": {
            "uuid": f"8b6a3d1e-58f5-4a60-8f0b-{base}", "info": marked, "date": "2026-11-22", "timestamp": "1795317000",
            "threat_level_id": "2", "analysis": "0",
            "Orgc": {"name": marked, "uuid": f"8b6a3d1e-58f5-4a60-8f0b-{base}"},
            "Tag": [{"name": "tlp:green"}], "Attribute": [{"type": "comment", "category": "Other", "value": marked,
                                                           "comment": marked}],
        }}  # fmt: skip
        for media_type, document in ((READERS[2], bundle), ("application/vnd.misp+json", event)):
            raw = json.dumps(document).encode()
            look(self.tally, f"webhook {media_type[:16]}", name, self.site.webhook(raw, media_type), marked)

    def document(self, name: str, media_type: str, raw: bytes) -> None:
        """A document of another standard by the signed door: taken, set aside or refused."""
        look(self.tally, f"webhook {media_type}", name, answer := self.site.webhook(raw, media_type))
        if answer.status_code == 202:
            self._kept_to_the_byte("webhook document", name, answer, raw)

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

    def _written_by_api(self, name: str, marked: str, turn: int | None) -> None:
        for method, path, shape in _share(self.writes, turn):
            for all_of_it in (False, True) if turn is None else (turn // SHARES % 2 == 0,):
                body = json.dumps(self._filled(shape, marked, all_of_it)).encode()
                look(self.tally, f"{method} {path}", name, self._write(method, path, body), marked)

    def _written_by_forms(self, name: str, marked: str, turn: int | None) -> None:
        if not _utf8(marked):
            return
        self.site.confirm()
        for form in _share(self.forms, turn):
            action = _OF_AN_ACCOUNT.sub(f"/users/{self.site.spare}/", form.action)
            fields = form.fixed | {each: marked for each in form.written}
            files = {each: (_latin(marked)[:100], b"<script>1</script>", "text/html") for each in form.files}
            answer = self.site.as_role(form.role, "POST", action, data=fields, files=files or None)
            look(self.tally, f"form {form.action}", name, answer, marked)

    def _addressed(self, name: str, marked: str, turn: int | None) -> None:
        """The text as a part of every address that has one, for a visitor and for somebody signed in."""
        if not _utf8(marked):
            return
        part = quote(marked[:300], safe="")
        for path in _share(self.paths, turn):
            if "<" in path:
                address = "".join(part if "<" in piece else piece for piece in pieces(path))
                look(self.tally, f"GET {path}", name, self.site.as_role("coordinator", "GET", address), marked)
        for method, path, _shape in _share(self.writes, turn):
            if "{" in path:
                look(self.tally, f"{method} {path} (address)", name,
                     self._write(method, path, b"{}", addressed=part), marked)  # fmt: skip

    def _listed(self, name: str, marked: str, turn: int | None) -> None:
        """The text as everything that pages and lists are asked for: ledger, changes, operations, what was released."""
        if not _utf8(marked):
            return
        query = dict.fromkeys(_QUERY, marked)
        for path in _share([path for path in self.paths if "<" not in path and path not in _NO_LISTS], turn):
            if path.startswith("/api/"):
                answer = self.site.api("GET", path.removeprefix("/api/v1"), role=self._reader(path), params=query)
            else:
                role = "partner-user" if path.startswith("/released") else "administrator" if path in _OFFICE else (
                    "coordinator")  # fmt: skip
                answer = self.site.as_role(role, "GET", path, params=query)
            look(self.tally, f"GET {path}?", name, answer, marked)

    def _reader(self, path: str) -> str:
        return self.roles.get(("get", path), "coordinator")

    def _in_headers(self, name: str, marked: str, turn: int | None) -> None:
        text = _latin(marked)
        names = ("User-Agent", "Referer", "Accept-Language", "X-Forwarded-For", "X-Forwarded-Proto", "If-None-Match",
                 "Range", "Origin", "Accept", "Forwarded", "Idempotency-Key", "X-Request-Id")  # fmt: skip
        for headers in ({each: text for each in names}, {"Cookie": f"coordinator={text}; x={text}"},
                        {"Authorization": f"Bearer {text}"}, {"Host": text[:200] or "x"}):  # fmt: skip
            for path in _share(["/board", "/api/v1/incidents", f"/a/{self.site.known['token']}"], turn):
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
            for path in self.reachable(role, most=300):
                look(self.tally, "page", path, self.site.as_role(role, "GET", path))

    # ------------------------------------------------------------ sending

    def _file(self, raw: bytes, content_type: str = "application/json") -> Any:
        return self.site.api("POST", "/reports", data=raw, headers={"Content-Type": content_type})

    def _write(self, method: str, path: str, raw: bytes, *, addressed: str = "") -> Any:
        known = self.site.known | ({"reference": self.site.known["spare"]} if path.endswith("/status") else {})
        address = "".join(
            (addressed or str(known.get(piece.strip("{}"), 1))) if "{" in piece else piece
            for piece in pieces(path.replace("{", "<{").replace("}", "}>"))
        ).replace("<", "").replace(">", "")  # fmt: skip
        match = {"If-Match": '"v1"', "Content-Type": "application/json"}
        if not addressed and path in self.matched:
            one = self.site.api("GET", f"/incidents/{known['reference']}")
            match["If-Match"] = one.headers.get("ETag", '"v1"').removeprefix("W/")
        role = self.roles.get((method.lower(), f"/api/v1{path}"), "coordinator")
        return self.site.api(method, address, data=raw, headers=match, role=role)

    def _filled(self, shape: Any, text: str, everything: bool, depth: int = 0) -> Any:
        """A value for a schema: free text is ours, the rest as lawful as it can be, or ours too (`everything`)."""
        if "$ref" in shape:
            return self._filled(self.shapes[shape["$ref"].rpartition("/")[2]], text, everything, depth)
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


def _share(doors: Sequence[T], turn: int | None) -> Sequence[T]:
    """All of them, or the share whose turn it is."""
    return doors if turn is None else doors[turn % SHARES :: SHARES]


def _utf8(text: str) -> bool:
    """Whether a browser could send it."""
    return text.encode("utf-8", "ignore").decode() == text


def _latin(text: str) -> str:
    """As a header can carry it: clients refuse line ends themselves."""
    kept = "".join(one for one in text if one not in "\r\n\0")
    return kept.encode("utf-8", "ignore").decode("latin-1").strip()



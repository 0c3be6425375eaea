"""What doors there are, found by asking: what the API describes, the forms the pages show, the addresses there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from werkzeug.routing import Map

from coordinator.accounts.rules import RIGHTS, Right, Role
from tests.hostile.forms import Form, Forms
from tests.hostile.looking import Tally
from tests.hostile.site import CLEARING, ROLES, VISITOR, Site

#: Forms and calls that end what the attack stands on: its sessions, its endpoint and key. What is done to an account is
#: done to one that nobody attacks with.
_LEFT_OUT = ("/sign-out", "/end", "/revoke", "/disable", "/rotate", "/drop")


class Found:
    """All doors of one site. `paths`: the addresses of its pages as patterns; `writes`: method, path and shape."""

    def __init__(self, site: Site, addresses: Map) -> None:
        self.site, self.tally = site, Tally()
        self.paths = [rule.rule for rule in addresses.iter_rules() if rule.methods and "GET" in rule.methods]
        document = site.request("GET", "/api/v1/openapi.json").json()
        self.shapes = document["components"]["schemas"]
        self.writes = list(self._write_routes(document))
        self.roles = {(method, path): role for path, item in document["paths"].items() for method, said in item.items()
                       for role in [_role_for(said)]}  # fmt: skip
        self.matched = {
            path.removeprefix("/api/v1") for path, item in document["paths"].items() for said in item.values()
            if any(one["name"] == "If-Match" for one in said.get("parameters", ()))
        }  # fmt: skip
        self.forms = self._find_forms()

    def _write_routes(self, document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for path, item in document["paths"].items():
            for method, said in item.items():
                if method != "get" and "/intake/" not in path and not path.endswith(("/reports", *_LEFT_OUT)):
                    content = said.get("requestBody", {}).get("content", {})
                    shape = next(iter(content.values()), {}).get("schema", {})
                    yield method.upper(), path.removeprefix("/api/v1"), shape

    def _find_forms(self) -> list[Form]:
        found: dict[str, Form] = {}
        for role in (*ROLES, VISITOR):
            for path in self.reachable(role, most=300):
                page = Forms(role, path)
                page.feed(self.site.as_role(role, "GET", path).text)
                for form in page.found:
                    form.fixed.pop("", None)
                    if (form.written or form.files) and not form.action.endswith(_LEFT_OUT):
                        found.setdefault(pattern_of(form.action), form)
        for form in found.values():
            if "csrf_token" in form.fixed:
                self.site.secrets.add(form.fixed["csrf_token"])
        return list(found.values())

    def reachable(self, role: str, *, most: int) -> list[str]:
        """Paths of pages, beginning at the board; one of a kind."""
        found, waiting, seen = list[str](), ["/board", *self._known_pages()], set[str]()
        often: dict[str, int] = {}
        while waiting and len(found) < most:
            path = waiting.pop(0)
            pattern = pattern_of(path)
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
                names = [piece.strip("<>").rpartition(":")[2] for piece in pieces(path) if "<" in piece]
                if all(name in self.site.known for name in names):
                    made.append("".join(str(self.site.known[piece.strip("<>").rpartition(":")[2]])
                                        if "<" in piece else piece for piece in pieces(path)))  # fmt: skip
        return made


def _role_for(said: dict[str, Any]) -> str:
    """Who calls this operation: the first of those with a token who may."""
    needed = re.search("Needs the right `([a-z-]+)`", said.get("description", ""))
    able = (role for role in (*ROLES, CLEARING) if needed and Right(needed[1]) in RIGHTS[Role(role)])
    return next(able, "coordinator")


def pattern_of(path: str) -> str:
    """The same for pages of the same kind."""
    return re.sub(r"INC-[0-9-]+|[0-9]+", "#", path)


def pieces(path: str) -> list[str]:
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

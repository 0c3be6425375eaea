"""A playbook of a random world: words in its document, in what a form asks, in what a service is given and answers."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.canary.model import Case
from tests.harness.processes import wait_for
from tests.playbooks.documents import action, document, end, sid

DUTY, LEAD, SECOND = "duty-officer-0", "coordinator-0", "release-authority-0"


@dataclass(frozen=True)
class Asked:
    """A request that a service took. `key`: its Idempotency-Key."""

    key: str
    text: str


class Service:
    """A partner's service on this machine: keeps what it is given, and answers in words of its own."""

    def __init__(self) -> None:
        self.taken: list[Asked] = []
        self.answer = "{}"
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Service:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            said = "\n".join(f"{name}: {value}" for name, value in self.headers.items())
            service.taken.append(Asked(self.headers["Idempotency-Key"], f"{self.path}\n{said}\n{body}"))
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(service.answer.encode())

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    return Handler


def run(built: Any, service: Service) -> None:
    """The same playbook on a case of ours that may go to the service, and on a RED one that may not."""
    word = built.model.word
    asked = built.api("administrator-0", "PUT", "/http-hosts/asked", {
        "organisation": built.partners[0].code, "origin": service.origin, "methods": ["POST"],
        "auth_header": "Authorization", "credential": f"Bearer {word('credential of the service asked', 'service')}"})
    built.api(SECOND, "POST", f"/changes/{asked['change']}/accept", {})
    version = _taken(built, service)
    case = "the case of a run"
    built.model.cases[case] = Case()
    built.api("liaison-officer-0", "POST", "/reports", {
        "title": word("title of a case of a run", "case", case=case), "tlp": "GREEN",
        "noticed_at": "2026-11-22T02:30:00Z"})  # fmt: skip
    built.opened(case)
    service.answer = json.dumps({"ticket": word("answer of a service", "case", case=case)})
    for which in (case, "case 4"):
        _one(built, which, version)
    built.api(LEAD, "POST", f"/playbooks/{version}/withdraw", {
        "reason": word("reason to withdraw a playbook", "playbook")})


def _taken(built: Any, service: Service) -> int:
    """The document in the catalogue, agreed to by two."""
    def word(what: str, *, given: bool = False) -> str:
        return str(built.model.word(f"{what} of a playbook", "playbook", given=given))

    string = {"type": "string", "value": ""}
    form = {"kind": "task", "role": "duty-officer", "fields": {"__said__": {"label": word("label"), "type": "text"}}}
    asks = action(word("step"), commands=[{
        "type": "http-api", "command": "POST /tickets HTTP/1.1",
        "content": json.dumps({"text": "__said__:value", "of": "__constant__:value"})}],
        out_args=["__ticket__"], on_completion="c")  # fmt: skip
    asks["targets"] = [sid("http-api:service")]
    raw = document({
        "a": action(word("first step"), work=form, out_args=["__said__"], on_completion="b",
                    description=word("description of a step")),
        "b": asks,
        "c": action(word("last step"), commands=[{"type": "manual", "command": f"{word('command')} __ticket__:value"}],
                    on_completion="end"),
        "end": end(),
    }, "a", name=word("name"), description=word("description"), variables={
        "__said__": string, "__ticket__": string, "__constant__": {"type": "string", "constant": True,
                                                                   "value": word("constant", given=True)},
    }, target_definitions={sid("http-api:service"): {
        "type": "http-api", "name": word("target"), "address": {"url": [service.origin]}}})  # fmt: skip
    number = built.api(LEAD, "POST", "/playbooks", raw)["id"]
    for who in (LEAD, SECOND):
        answer = built.call(who, "POST", f"/playbooks/{number}/agree", {})
        assert answer.ok, answer.text
    return int(number)


def _one(built: Any, case: str, version: int) -> None:
    reference = built.references[list(built.model.cases).index(case)]
    reader = next(one for one in built.people if one.name == DUTY)
    browser = built.browser(reader)
    browser.get(f"/incidents/{reference}/runs/new", base_url=built.base_url)
    begun = browser.post(f"/incidents/{reference}/runs/new", {"version_id": version}, base_url=built.base_url)
    assert begun.status_code == 303, begun.text[:500]
    number = int(begun.headers["Location"].rpartition("/")[2].partition("?")[0])
    task = _task(built, number, "done")
    built.api(DUTY, "POST", f"/tasks/{task}/complete", {"outcome": "successful", "result": {
        "__said__": built.model.word(f"value given in a run of {case}", "case", case=case,
                                          given=case == "the case of a run")}})  # fmt: skip
    _task(built, number, "asked")
    built.api(DUTY, "POST", f"/runs/{number}/ask", {
        "do": "pause", "reason": built.model.word(f"reason to pause a run of {case}", "case", case=case)})
    built.afterwards.done["a run"] += 1


def _task(built: Any, run_id: int, what: str) -> int:
    """The open task of a run, as soon as there is one."""
    query = ("SELECT t.id FROM tasks t JOIN step_attempts a ON a.task_id = t.id WHERE a.run_id = :run "
             "AND t.state = 'open' ORDER BY t.id")  # fmt: skip
    wait_for(lambda: built.rows(query, run=run_id), what=f"the task of a run ({what})")
    return int(built.rows(query, run=run_id)[0].id)

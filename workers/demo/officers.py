"""Scripted officers: different people, each with a token of their own, working through the same API as everybody.

They do what the desk would do: accept triage, do the tasks given to their role, clear what waits for a second person,
resolve and close. Nothing here reaches around the doors.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import requests

#: Who does the work of a role that nobody in the demo holds.
STAND_INS = ("coordinator", "duty-officer", "release-authority", "legal-adviser", "analyst", "liaison-officer")
#: States of an alert that reached the other side.
ARRIVED = ("delivered", "handed-over", "acknowledged")
_LOOKS = 10


class Officers:
    """`tokens`: role -> API token. `say`: called with one line for each act."""

    def __init__(self, base_url: str, tokens: dict[str, str], *, say: Callable[[str], None] = print) -> None:
        self.base_url = base_url
        self.say = say
        self._sessions = {role: _session(token) for role, token in tokens.items()}
        self._done: set[tuple[str, int]] = set()

    def get(self, role: str, path: str, **query: Any) -> Any:
        answer = self._sessions[role].get(f"{self.base_url}/api/v1{path}", params=query, timeout=20)
        answer.raise_for_status()
        return answer.json()

    def send(self, role: str, method: str, path: str, body: dict[str, Any], **headers: str) -> requests.Response:
        return self._sessions[role].request(
            method, f"{self.base_url}/api/v1{path}", json=body, headers=headers, timeout=20
        )

    def names(self) -> dict[str, str]:
        """Actor as the record writes it -> the role that person plays here."""
        return {f"user:{self.get(role, '/me')['id']}": role for role in self._sessions}

    def find_incident(self, *, seconds: float = 20.0) -> str:
        """The reference of the newest incident, as soon as there is one."""
        for _ in _until(seconds):
            items = self.get("duty-officer", "/incidents")["items"]
            if items:
                return items[0]["reference"]
        raise TimeoutError("no incident was opened")

    def accept_triage(self, reference: str) -> None:
        """The duty officer looks, takes it to triage, sets severity; the coordinator owns it and accepts."""
        self._move(reference, "duty-officer", "triage", reason="Reported by a national CSIRT; plausible.")
        owner = self.get("coordinator", "/me")["id"]
        self._change(reference, "coordinator", {"owner": owner})
        self._change(reference, "coordinator", {"severity": 4, "severity_reason": "Two states, patients diverted."})
        self._move(reference, "coordinator", "active", reason="Confirmed by telephone with the reporter.")

    def work(self, reference: str, *, runs_awaited: int, seconds: float = 90.0) -> None:
        """Do every task and clearance until no run is going any more.

        `runs_awaited`: how many are known to come. A run begins a moment after what starts it, so that none going
        may also mean that the next one has not begun.
        """
        for _ in _until(seconds):
            busy = self._do_tasks(reference) + self._clear(reference)
            runs = self.get("coordinator", f"/incidents/{reference}/runs")["items"]
            stopped = [run for run in runs if run["state"] in ("needs-attention", "failed")]
            if stopped:
                raise RuntimeError(f"a run stopped: {stopped[0].get('fault') or stopped[0]['state']}")
            ended = all(run["state"] in ("completed", "cancelled") for run in runs)
            if len(runs) >= runs_awaited and ended and not busy:
                return
        raise TimeoutError("the playbooks did not end")

    def resolve_and_close(self, reference: str, *, seconds: float = 20.0) -> None:
        """Resolve with an outlook, close with a note; what still blocks is done first."""
        self._move(reference, "coordinator", "resolved", reason="Services are restored.", outlook="improving")
        for _ in _until(seconds):
            before = {alert["id"] for alert in self._alerts(reference)}
            answer = self._transition(
                reference, "coordinator", "closed", reason="Restored on both sides.",
                note="The gateway was replaced; nothing is left.",
            )  # fmt: skip
            if answer.ok:
                self.say("coordinator closes the incident")
                self._see_everyone_told(reference, before, seconds=seconds)
                return
            if answer.status_code != 409:
                answer.raise_for_status()
            self._do_tasks(reference)
            self._clear(reference)
        raise TimeoutError(f"closing stayed refused: {answer.text[:500]}")

    def _see_everyone_told(self, reference: str, before: set[int], *, seconds: float) -> None:
        """Wait until every partner that was told of the incident has been told that it is closed, after those alerts
        that were there `before`: a playbook may have told the end already."""
        for _ in _until(seconds):
            self._clear(reference)
            alerts = self._alerts(reference)
            told = {alert["recipient"] for alert in alerts if alert["kind"] in ("initial", "update")}
            over = {
                alert["recipient"]
                for alert in alerts
                if alert["kind"] == "closure" and alert["state"] in ARRIVED and alert["id"] not in before
            }
            if told <= over:
                return
        raise TimeoutError("not every partner was told of the closure")

    def _alerts(self, reference: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("coordinator", f"/incidents/{reference}/alerts", limit=100)["items"]
        return found

    def _do_tasks(self, reference: str) -> int:
        done = 0
        for task in self.get("coordinator", f"/incidents/{reference}/tasks")["items"]:
            if task["state"] != "open":
                continue
            for role in self._candidates(task["role"]):
                answer = self.send(
                    role, "POST", f"/tasks/{task['id']}/complete",
                    {"outcome": "successful", "result": _result(task)},
                )  # fmt: skip
                if answer.ok:
                    self.say(f"{role} does: {task['title']}")
                    done += 1
                if answer.ok or answer.status_code == 409:  # the task is over: its run ended meanwhile
                    break
            else:
                raise RuntimeError(f"nobody could do the task {task['title']!r}: {answer.text[:500]}")
        return done

    def _clear(self, reference: str) -> int:
        cleared = 0
        decisions = self.get("coordinator", f"/incidents/{reference}/decisions")["items"]
        for decision in decisions:
            if decision["result"] != "refer" or ("decision", decision["id"]) in self._done:
                continue
            for role in ("release-authority", "legal-adviser"):
                answer = self.send(role, "POST", f"/decisions/{decision['id']}/approve", {})
                if answer.ok:
                    self.say(f"{role} clears the release to a partner ({', '.join(decision['reasons'])})")
                    cleared += 1
            self._done.add(("decision", decision["id"]))
        return cleared

    def _candidates(self, role: str) -> list[str]:
        rest = [each for each in STAND_INS if each != role]
        return [each for each in (role, *rest) if each in self._sessions]

    def _move(self, reference: str, role: str, status: str, **said: str) -> None:
        answer = self._transition(reference, role, status, **said)
        if not answer.ok:
            raise RuntimeError(f"{role} could not move to {status}: {answer.text[:500]}")
        self.say(f"{role} moves the incident to {status}")

    def _transition(self, reference: str, role: str, status: str, **said: str) -> requests.Response:
        return self._as_seen(reference, role, "POST", f"/incidents/{reference}/status", {"status": status, **said})

    def _change(self, reference: str, role: str, changes: dict[str, Any]) -> None:
        answer = self._as_seen(reference, role, "PATCH", f"/incidents/{reference}", changes)
        if not answer.ok:
            raise RuntimeError(f"{role} could not change {', '.join(changes)}: {answer.text[:500]}")
        self.say(f"{role} sets {', '.join(changes)}")

    def _as_seen(self, reference: str, role: str, method: str, path: str, body: dict[str, Any]) -> requests.Response:
        """Written on the incident as it was looked at; where a playbook was faster, one looks again."""
        for _ in range(_LOOKS):
            answer = self.send(role, method, path, body, **{"If-Match": self._etag(role, reference)})
            if answer.status_code != 412:
                break
        return answer

    def _etag(self, role: str, reference: str) -> str:
        answer = self._sessions[role].get(f"{self.base_url}/api/v1/incidents/{reference}", timeout=20)
        answer.raise_for_status()
        return answer.headers["ETag"]


#: What the story makes likely, where a form asks for more than a choice of ways.
_LIKELY = {"severity": "4", "confidence": "high"}


def _result(task: dict[str, Any]) -> dict[str, Any]:
    """A plausible value for each field of a task's form."""
    result: dict[str, Any] = {}
    for field in task.get("fields") or ():
        options, kind = field.get("options") or [], field.get("type", "string")
        if options:
            likely = (_LIKELY.get(field["name"]), "none of these")  # where playbooks are offered, no further one
            value = next((each for each in options if str(each) in likely), options[0])
        elif kind == "bool":
            value = "false"
        elif kind in ("integer", "long", "float"):
            value = "2"
        else:
            value = "Done as agreed by telephone."
        result[field["name"]] = value
    return result


def _session(token: str) -> requests.Session:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    session.trust_env = False
    return session


def _until(seconds: float, *, pause: float = 0.15) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(pause)

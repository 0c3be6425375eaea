"""Officers who do not give up: they look where an incident stands, do what comes next, and look again after a fault.

An answer that was lost on the way is no reason to do a thing twice: what was done is seen at the next look.
"""

from __future__ import annotations

import time
from typing import Any

import requests

from workers.demo.officers import Officers

#: Who is asked to move an incident on from each status, where to, and with what words.
_WAY: dict[str, tuple[str, str, dict[str, Any]]] = {
    "reported": ("duty-officer", "triage", {"reason": "Reported by a national CSIRT; plausible."}),
    "triage": ("coordinator", "active", {"reason": "Confirmed by telephone with the reporter."}),
    "active": ("coordinator", "resolved", {"reason": "Services are restored.", "outlook": "improving"}),
    "resolved": ("coordinator", "closed", {"reason": "Restored on both sides.", "note": "Nothing is left."}),
}


class PatientOfficers(Officers):
    """Scripted officers for a place where processes die."""

    def close_incident(self, reference: str, *, seconds: float = 120) -> None:
        """From wherever it stands to closed. Raises TimeoutError, or RuntimeError when a run stops."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if self.step(reference) == "closed":
                    return
            except requests.RequestException:
                time.sleep(0.2)
            time.sleep(0.1)
        raise TimeoutError(f"{reference} was not closed in {seconds:.0f} s")

    def step(self, reference: str) -> str:
        """One look and what comes next; returns the status that was seen."""
        incident = self.get("coordinator", f"/incidents/{reference}")
        status = incident["status"]
        if status == "closed":
            return status
        if status == "triage" and not self._is_prepared(reference, incident):
            return status
        if status in ("active", "resolved") and not self._is_worked(reference):
            return status
        role, target, said = _WAY[status]
        self._try_move(reference, role, target, said)
        return status

    def _is_prepared(self, reference: str, incident: dict[str, Any]) -> bool:
        """Owner and severity are set; sets what is missing."""
        if not incident.get("owner"):
            self._try_change(reference, {"owner": self.get("coordinator", "/me")["id"]})
            return False
        if incident.get("severity") != 4:
            self._try_change(reference, {"severity": 4, "severity_reason": "Two states, patients diverted."})
            return False
        return True

    def _is_worked(self, reference: str) -> bool:
        """No run goes on and nothing is open; does what can be done."""
        busy = self._do_tasks(reference) + self._clear(reference)
        runs = self.get("coordinator", f"/incidents/{reference}/runs")["items"]
        stopped = [run for run in runs if run["state"] in ("needs-attention", "failed")]
        if stopped:
            raise RuntimeError(f"a run of {reference} stopped: {stopped[0]}")
        names = {run["playbook"] for run in runs}
        return not busy and len(names) > 1 and all(run["state"] in ("completed", "cancelled") for run in runs)

    def _try_move(self, reference: str, role: str, target: str, said: dict[str, Any]) -> None:
        answer = self._transition(reference, role, target, **said)
        if not answer.ok and answer.status_code not in (409, 412, 503):
            raise RuntimeError(f"{reference} could not move to {target}: {answer.status_code} {answer.text[:500]}")

    def _try_change(self, reference: str, changes: dict[str, Any]) -> None:
        headers = {"If-Match": self._etag("coordinator", reference)}
        answer = self.send("coordinator", "PATCH", f"/incidents/{reference}", changes, **headers)
        if not answer.ok and answer.status_code not in (409, 412, 503):
            raise RuntimeError(f"{reference} could not be changed: {answer.status_code} {answer.text[:500]}")

    def _do_tasks(self, reference: str) -> int:
        done = 0
        for task in self.get("coordinator", f"/incidents/{reference}/tasks")["items"]:
            if task["state"] != "open":
                continue
            try:
                done += self._do(task)
            except _DoneAlready:
                done += 1
        return done

    def _do(self, task: dict[str, Any]) -> int:
        from workers.demo.officers import _result

        for role in self._candidates(task["role"]):
            result = {"outcome": "successful", "result": _result(task)}
            answer = self.send(role, "POST", f"/tasks/{task['id']}/complete", result)
            if answer.ok:
                return 1
            if answer.status_code >= 500:
                return 0
            if answer.status_code == 409:
                raise _DoneAlready()
        raise RuntimeError(f"nobody could do the task {task['title']!r}: {answer.status_code} {answer.text[:500]}")


class _DoneAlready(Exception):
    """The task is over: our answer got lost on its way back, or somebody was faster."""

"""What becomes of what was said: asked back, corrected, closed, wrongly sent, consented to, owed, assessed, drilled."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from coordinator import clock
from coordinator.assessments.service import ask as ask_assessment
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.references import parse_reference
from coordinator.tasks.service import open_task
from tests.alerting import put_contact, put_system, webhook
from tests.canary.model import Case

DUTY, LEAD, SECOND = "duty-officer-0", "coordinator-0", "release-authority-0"
_LEFT = """
SELECT a.id, a.incident_id, a.recipient, a.public_id, a.kind FROM alerts a
WHERE a.kind IN ('initial', 'update') AND a.incident_id IS NOT NULL AND a.exercise = '' AND a.state <> 'withdrawn'
AND EXISTS (SELECT 1 FROM deliveries d JOIN delivery_attempts t ON t.delivery_id = d.id
            WHERE d.alert_id = a.id AND d.kind <> 'voice' AND t.outcome <> 'withheld')
ORDER BY a.id
"""


class Afterwards:
    """`done`: how often each of these came about; what the rules refuse does not."""

    def __init__(self, built: Any, exercise: str) -> None:
        self.built, self.exercise, self.done = built, exercise, Counter[str]()

    def happen(self) -> None:
        self._exercise_told()
        for place in (0, 1, 3):
            self._duties(place)
            self._assessment(place)
            self._ask_consent(place)
        self.built.wait()
        self._answer_consents()
        self._what_left()
        self.built.wait()
        self._answer_recalls()
        self.built.wait()

    # ------------------------------------------------------------ beside the texts

    def _exercise_told(self) -> None:
        """A partner hears of something in an exercise, by a system that is there for it: a collection of its own."""
        built, partner = self.built, self.built.partners[3]
        with built.machine.store.unit_of_work() as tx:
            put_system(tx, partner.url, code=partner.code, slug="p3-ex-out", exercise=self.exercise,
                       allow_private=["127.0.0.0/8"])  # fmt: skip
            put_contact(tx, webhook("p3-ex-out"), code="p3-exercise", organisation=partner.code, order=9)
        place = list(built.model.cases).index("the exercise")
        self._tell("the exercise", built.references[place], "initial", [partner.code])

    def _duties(self, place: int) -> None:
        built, (case, reference) = self.built, self._case(place)
        rules = [each["rule"] for each in built.api("legal-adviser-0", "GET", "/obligation-rules?limit=200")["items"]]
        for each in built.dice.sample(rules, 2):
            begun = built.call(DUTY, "POST", f"/incidents/{reference}/obligations", {
                "rule": each, "basis_at": "2026-11-22T01:10:00Z"})  # fmt: skip
            if not self._count("a duty", begun):
                continue
            number = begun.json()["id"]
            if built.dice.random() < 0.5:
                self._count("a duty met", built.call(DUTY, "POST", f"/obligations/{number}/meet", {
                    "submitted_at": "2026-11-22T03:00:00Z", "evidence": self._word("evidence of a duty", case)}))
            else:
                self._count("a duty set aside", built.call(LEAD, "POST", f"/obligations/{number}/set-aside", {
                    "state": "waived", "reason": self._word("reason to waive a duty", case)}))  # fmt: skip

    def _assessment(self, place: int) -> None:
        built, (case, reference) = self.built, self._case(place)
        with built.machine.store.unit_of_work() as tx:
            incident = lock_incident(tx, parse_reference(reference) or 0)
            task = open_task(tx, title=self._word("task of an assessment", case), role="duty-officer",
                             created_by="system", incident=incident)  # fmt: skip
            ask_assessment(tx, incident, task.id, method="nciss")
            number = task.id
        result = {"note": self._word("assessment", case)}
        self._count("an assessment", built.call(
            DUTY, "POST", f"/tasks/{number}/complete", {"outcome": "successful", "result": result}))  # fmt: skip

    # ------------------------------------------------------------ consents

    def _ask_consent(self, place: int) -> None:
        """Of whoever reported the case, to pass it on to the next partner."""
        built, (case, reference) = self.built, self._case(place)
        giver, to = built.partners[place % len(built.partners)], built.partners[(place + 1) % len(built.partners)]
        at = len(built.model.words)
        reason = built.model.word(f"reason of a request in {case}", "alert", case=case)
        asked = built.call(LEAD, "POST", f"/incidents/{reference}/consent-requests", {
            "from": giver.code, "to": to.code, "purpose": "network-defence", "reason": reason, "tlp": "GREEN",
            "valid_until": clock.rfc3339(clock.now() + timedelta(days=20)),
            "reply_by": clock.rfc3339(clock.now() + timedelta(days=2))})  # fmt: skip
        if self._count("a consent asked", asked):
            built.model.asked.add((giver.code, to.code))
            row = built.rows("SELECT release_id FROM consent_requests WHERE id = :id", id=asked.json()["id"])[0]
            self._of_release(at, row.release_id)

    def _answer_consents(self) -> None:
        """Some grant, some refuse; a second person of ours confirms; some take it back."""
        built = self.built
        query = "SELECT a.public_id, a.recipient, a.incident_id, c.id FROM alerts a JOIN consent_requests c" \
                " ON c.release_id = a.release_id ORDER BY a.id"  # fmt: skip
        for place, row in enumerate(built.rows(query)):
            case, who = built.case_of(row.incident_id), self._person_of(row.recipient)
            ways = (["granted", "withdrawn"], ["granted"], ["refused"])
            for said in ways[place] if place < 2 else built.dice.choice(ways):
                note = built.model.word(f"note with {said}", "case", case=case, partner=row.recipient)
                answer = built.call(who, "POST", f"/released/{row.public_id}/answer", {"answer": said, "note": note})
                self._count(f"a consent {said}", answer)
                if said == "granted" and self.done["a consent confirmed"]:
                    why = {"reason": self._word("reason to decline", case)}
                    self._count("a consent declined", built.call(
                        SECOND, "POST", f"/consent-requests/{row.id}/decline", why))  # fmt: skip
                elif said == "granted":
                    self._count("a consent confirmed", built.call(
                        SECOND, "POST", f"/consent-requests/{row.id}/confirm", {}))  # fmt: skip

    # ------------------------------------------------------------ what left

    def _what_left(self) -> None:
        """One of the texts is asked back, one was sent wrongly, one is corrected, one case is said to be over."""
        left = self.built.rows(_LEFT)
        self.built.dice.shuffle(left)
        wanted = ["wrong-release", "recall", "correction", "closure", "recall"]
        for row in left:
            if not wanted:
                break
            what = wanted[0]
            case = self.built.case_of(row.incident_id)
            reference = self.built.references[list(self.built.model.cases).index(case)]
            if what in ("correction", "closure"):
                self._tell(case, reference, what, [row.recipient])
                wanted.pop(0)
                continue
            said = {"reason": self._word(f"reason of a {what}", case)}
            answer = self.built.call(DUTY, "POST", f"/incidents/{reference}/alerts/{row.id}/{what}", said)
            if self._count(what, answer):
                wanted.pop(0)
                if what == "wrong-release":
                    self._opened(row.incident_id)

    def _opened(self, about: int) -> None:
        """The incident of the mistake: for those who handle it."""
        built = self.built
        owner = built.rows("SELECT owner_id FROM incidents WHERE id = :id", id=about)[0].owner_id
        duty = next(one.user_id for one in built.people if one.name == DUTY)
        case = f"the mistake {len(built.references)}"
        built.model.cases[case] = Case(restricted=True, named=frozenset({duty, owner or duty}))
        built.opened(case)

    def _answer_recalls(self) -> None:
        query = "SELECT public_id, recipient, incident_id FROM alerts WHERE kind = 'recall' ORDER BY id"
        for row in self.built.rows(query):
            case, said = self.built.case_of(row.incident_id), self.built.dice.choice(("deleted", "cannot-delete"))
            note = self.built.model.word(f"note with {said}", "case", case=case, partner=row.recipient)
            self._count(f"a recall {said}", self.built.call(
                self._person_of(row.recipient), "POST", f"/released/{row.public_id}/answer",
                {"answer": said, "note": note}))  # fmt: skip

    def _tell(self, case: str, reference: str, kind: str, to: list[str]) -> None:
        built, at = self.built, len(self.built.model.words)
        answer = built.call(DUTY, "POST", f"/incidents/{reference}/alerts", {
            "kind": kind, "audience": to, "purpose": "network-defence",
            "title": built.model.word(f"title of a {kind} in {case}", "alert", case=case),
            "body": built.model.word(f"body of a {kind} in {case}", "alert", case=case)})  # fmt: skip
        if self._count(f"told: {kind}", answer):
            for place in (at, at + 1):
                self._of_release(place, answer.json()["release"])

    # ------------------------------------------------------------ small things

    def _case(self, place: int) -> tuple[str, str]:
        return list(self.built.model.cases)[place], self.built.references[place]

    def _word(self, what: str, case: str) -> str:
        return str(self.built.model.word(f"{what} in {case}", "case", case=case))

    def _of_release(self, place: int, release: int) -> None:
        word = self.built.model.words[place]
        self.built.model.words[place] = type(word)(**vars(word) | {"release": release})

    def _person_of(self, code: str) -> str:
        return str(next(one.name for one in self.built.people if one.partner == code))

    def _count(self, what: str, answer: Any) -> bool:
        assert answer.status_code < 500, f"{what}: {answer.status_code} {answer.text[:400]}"
        self.done[what if answer.ok else f"{what}, refused"] += 1
        return bool(answer.ok)

"""A random world in which every item and field carries a word of its own, built through the real doors.

Only what has no door on this machine (the first accounts, tokens, sessions) is made beside them.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import replace
from typing import Any

import requests
from sqlalchemy import text

from coordinator import clock
from coordinator.accounts import sessions
from coordinator.accounts.rules import Role, scopes_allowed
from coordinator.accounts.service import create_token, create_user, find_user
from coordinator.app import create_app
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.references import parse_reference
from coordinator.partners.queries import organisation_by_code
from coordinator.tasks.service import open_task
from tests.canary import beside, enclosed, playbook, published
from tests.canary.afterwards import Afterwards
from tests.canary.model import OWN_ROLES, Case, Model, Reader
from tests.canary.playbook import Service
from tests.canary.said import fields, filled, name_of
from tests.coordinator.web.conftest import Browser
from tests.factories import inbound_endpoint, running_exercise, signed, user_row
from tests.harness.installation import Installation
from tests.harness.processes import wait_for
from tests.harness.receiver import Receiver
from tests.openpgp import public_key
from workers.demo.world import OWN, Partner
from workers.demo.world import world as plain_world

LABELS = ("CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED")
EXERCISE = "EX-CANARY"
#: Ours, as partners see it: over https, so that AMBER may be read on our pages.
BASE_URL = "https://desk.example"
SEALED_TO = "Duty desk of the second partner"
#: How many of each there are in one world.
PARTNERS, REPORTS, ALERTS = 4, 8, 12
FEWER_REPORTS, FEWER_ALERTS = 5, 7


class Built:
    """The world as it stands: its people by role, and what they can reach."""

    def __init__(
        self, machine: Installation, receiver: Receiver, service: Service, seed: int, *, full: bool
    ) -> None:
        self.machine, self.receiver, self.service, self.dice = machine, receiver, service, random.Random(seed)
        self.model = Model(dice=random.Random(seed + 1))
        self.people: list[Reader] = []
        self.tokens: dict[str, str] = {}
        self.keys: dict[str, str] = {}  # mailbox -> the user id of the OpenPGP key its mail is sealed to
        self.sessions: dict[str, str] = {}
        self.partners: list[Partner] = []
        self.references: list[str] = []
        self.base_url = BASE_URL
        self.addresses: dict[bool, list[tuple[str, str, str]]] = {}
        self.reports, self.alerts = (REPORTS, ALERTS) if full else (FEWER_REPORTS, FEWER_ALERTS)
        self.number = 0
        self.said: list[tuple[str, str, str]] = []  # method, path, pointer of the field in which a word was sent
        self.refused: list[str] = []
        self.afterwards = Afterwards(self, EXERCISE)
        self.app = create_app(machine.store)
        self.app.config |= {"LIMIT_GUESSES": "1000000 per minute", "TESTING": False}
        self._http = requests.Session()
        self._http.trust_env = False

    # ------------------------------------------------------------ doors

    def api(self, who: str, method: str, path: str, body: Any = None, *, match: str = "") -> Any:
        """One call of somebody's tool; its JSON. Fails on anything but a success."""
        answer = self.call(who, method, path, body, match=match)
        assert answer.ok, f"{who} {method} {path}: {answer.status_code} {answer.text[:600]}"
        return answer.json()

    def call(self, who: str, method: str, path: str, body: Any = None, *, match: str = "") -> requests.Response:
        headers = {"Idempotency-Key": f"k{self._next()}"}
        headers |= {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}
        if match:
            seen = self._http.get(f"{self.machine.base_url}/api/v1{match}", headers=headers, timeout=60)
            headers["If-Match"] = seen.headers["ETag"]
        answer = self._http.request(
            method, f"{self.machine.base_url}/api/v1{path}", json=body, headers=headers, timeout=60
        )
        if answer.ok:
            self.said += [(method, path, pointer) for pointer in filled(body)]
        return answer

    def report(self, partner: Partner, report: dict[str, Any]) -> Any:
        raw = json.dumps(report).encode()
        door = f"{self.machine.base_url}/api/v1/intake/{partner.intake}"
        answer = self._http.post(door, data=raw, headers=signed(partner.in_secret, raw, f"m{self._next()}"), timeout=60)
        assert answer.status_code == 202, answer.text
        self.said += [("POST", f"/intake/{partner.intake}", pointer) for pointer in filled(report)]
        return answer.json()

    def put_file(self, partner: Partner, body: bytes) -> None:
        digest = hashlib.sha256(body).hexdigest()
        headers = signed(partner.in_secret, body, f"f{self._next()}", content_type="application/octet-stream")
        door = f"{self.machine.base_url}/api/v1/intake/{partner.intake}/attachments/{digest}"
        assert self._http.put(door, data=body, headers=headers, timeout=60).status_code in (200, 201)

    def rows(self, query: str, **values: Any) -> list[Any]:
        """Rows by plain SQL."""
        with self.machine.store.read() as tx:
            return list(tx.execute(text(query), values))

    def _next(self) -> int:
        self.number += 1
        return self.number

    def browser(self, reader: Reader) -> Browser:
        """Somebody's browser, signed in with a second factor of just now, on pages of this process."""
        browser = Browser(self.app)
        if reader.name in self.sessions:
            with browser.client.session_transaction(base_url=BASE_URL) as session:
                session["token"] = self.sessions[reader.name]
        return browser

    def unsaid(self) -> list[str]:
        """Fields of the API that take words of somebody, and in which none was sent with success."""
        described = self.app.test_client().get("/api/v1/openapi.json").get_json()
        sent = {(name_of(described, method, path), pointer) for method, path, pointer in set(self.said)}
        return sorted(f"{name} {pointer}" for name, pointers in fields(described).items() for pointer in pointers
                      if (name, pointer) not in sent)  # fmt: skip

    # ------------------------------------------------------------ who there is

    def settle(self) -> None:
        """Organisations, endpoints, contacts, agreements and consents as a world file; then people of every role."""
        word = self.model.word
        made: list[dict[str, Any]] = []
        for number in range(PARTNERS):
            code = f"X{number}-" + word(f"code of partner {number}", "code", partner=str(number)).upper()
            self.partners.append(self.receiver.partner(code, f"p{number}"))
        self.model.words = [
            type(one)(**vars(one) | {"partner": self.partners[int(one.partner)].code}) for one in self.model.words
        ]
        world = plain_world(self.partners)
        for number, partner in enumerate(self.partners):
            world["organisations"][number + 1] |= {
                "name": word(f"name of partner {number}", "partner", partner=partner.code),
                "country": ("FI", "LV", "SE", "NO")[number]}  # fmt: skip
            contact = world["contacts"][number]
            contact |= {"function": word(f"function at partner {number}", "partner"), "tlp_max": "RED"}
            mailbox = word(f"mailbox of partner {number}", "partner")
            contact["channels"][1]["address"] = f"{mailbox}@p.example"
            if number == 1:  # this one has no system that we could tell, and reads sealed mail
                del contact["channels"][0]
                self.keys[f"{mailbox}@p.example"] = SEALED_TO
                contact["channels"][0]["pgp_key"] = public_key(SEALED_TO)
            mine = f"person{number}@p.example"
            made.append({**contact, "code": f"p{number}-person", "order": 2, "person": {
                "name": word(f"person at partner {number}", "partner", partner=partner.code), "email": mine},
                "channels": [{"kind": "email", "address": mine}]})  # fmt: skip
            world["agreements"][number] |= {
                "title": word(f"agreement {number}", "agreement"), "tlp_ceiling": self.dice.choice(LABELS[1:]),
                "scope_description": word(f"scope of agreement {number}", "agreement"),
            }  # fmt: skip
        world["contacts"] += made
        del world["agreements"][-1]  # with the last of them nothing was agreed
        world["consents"] = [{
            "from": self.partners[0].code, "to": self.partners[1].code, "purpose": "*", "item": "*",
            "valid_until": "2030-01-01T00:00:00Z", "evidence": word("evidence of a consent", "agreement"),
        }]  # fmt: skip
        world["users"] = []
        self.machine.load(world)
        (self.machine.folder / "world.json").unlink()  # which whoever runs the machine wrote, and we did not
        self._add_people()

    def _add_people(self) -> None:
        with self.machine.store.unit_of_work() as tx:
            for role in sorted(OWN_ROLES | {"partner-user"}) + ["coordinator", "analyst", "liaison-officer"]:
                for number in range(PARTNERS if role == "partner-user" else 1):
                    name = f"{role}-{sum(one.role == role for one in self.people)}"
                    theirs = self.partners[number].code if role == "partner-user" else ""
                    called = self.model.word(f"name of {name}", "person", partner=theirs)
                    email = f"person{number}@p.example" if theirs else f"{called}@ee.example"
                    organisation = organisation_by_code(tx, theirs or OWN)
                    assert organisation is not None and find_user(tx, email) is None
                    user = create_user(tx, email=email, name=called, role=role, actor="cli:test",
                                       organisation_id=organisation.id)  # fmt: skip
                    user.enrolled_at = clock.now()
                    self.people.append(Reader(name, role, user.id, email, theirs))
                    scopes = sorted(str(scope) for scope in scopes_allowed(Role(role)))
                    if scopes:
                        self.tokens[name] = create_token(tx, user.id, name="x", scopes=scopes, actor="cli:test")
                    self.sessions[name] = sessions.open_session(tx, user_row(tx, user.id), how="test",
                                                                second_factor=True)  # fmt: skip

    # ------------------------------------------------------------ what happened

    def happen(self) -> None:
        """Reports from partners and our own, and everything that is done about them."""
        for number in range(self.reports):
            label = LABELS[number] if number < len(LABELS) else self.dice.choice(LABELS)
            self._report(number, label, self.partners[number % PARTNERS])
        self._own_report("AMBER")
        self._second_reporter()
        self._exercise()
        self._set_aside()
        for case, reference in list(zip(self.model.cases, self.references, strict=True)):
            self._work_on(case, reference)
        for number in range(self.alerts):
            self._tell(number)
        enclosed.release_files(self, case="our own case")
        published.publish(self, case="our own case")
        published.in_versions(self, case="our own case")
        self._answers()
        self.afterwards.happen()
        playbook.run(self, self.service)
        beside.write(self)
        beside.keep(self)
        self.wait()

    def _report(self, number: int, label: str, partner: Partner) -> None:
        case = f"case {number}"
        named = [one.user_id for one in self.people if one.name == "analyst-1"]
        self.model.cases[case] = Case(restricted=label == "RED")

        def word(what: str) -> str:
            return self.model.word(f"{what} of {case} ({label})", "case", case=case, partner=partner.code)

        body = b"%PDF-1.7 " + word("bytes of a file").encode()
        answer = self.report(partner, {
            "title": f"Ransomware {word('title')}", "description": f"Seen {word('description')}", "tlp": label,
            "noticed_at": "2026-11-22T01:10:00Z", "external_id": word("external id"), "asks": word("asks"),
            "observables": [{"type": "domain-name", "value": f"{word('observable')}.example"}],
            "contact": {"name": word("contact"), "phone": "+3580000",
                        "email": f"{word('mail of a contact')}@x.example"}, "sectors": ["health"],
            "classification": "information-content-security/data-loss", "severity": 3,
            "suspected_malicious": "yes", "states_affected": ["FI"], "caveats": {
                "no_attribution": self.dice.random() < 0.3,
                "named_recipients": [f"{word('named recipient')}@x.example"],
                **({"orcon": True} if self.dice.random() < 0.2 else {})},
            "iep": {"attribution": "may", "name": word("name of a policy"), "description": word("words on a policy")},
            "attachments": [{"name": f"{word('name of a file')}.pdf", "media_type": "application/pdf",
                             "sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}],
        })  # fmt: skip
        assert answer["disposition"] == "accepted", answer
        self.put_file(partner, body)
        self.opened(case)
        if label == "AMBER":  # restricted later, to one who would not see it else
            self._restrict(case, named)

    def opened(self, case: str) -> None:
        newest = self.rows("SELECT id, created_at FROM incidents ORDER BY id DESC LIMIT 1")[0]
        reference = f"INC-{str(newest.created_at)[:4]}-{newest.id:06d}"
        self.references.append(reference)

    def _restrict(self, case: str, named: list[int]) -> None:
        reference = self.references[list(self.model.cases).index(case)]
        self.api("duty-officer-0", "PATCH", f"/incidents/{reference}", {"restricted_to": named},
                 match=f"/incidents/{reference}")  # fmt: skip
        self.model.cases[case] = Case(restricted=True, named=frozenset(named))

    def _own_report(self, label: str) -> None:
        case = "our own case"
        self.model.cases[case] = Case()
        self.api("liaison-officer-0", "POST", "/reports", {
            "title": self.model.word("title of our own", "case", case=case), "tlp": label,
            "description": self.model.word("description of our own", "case", case=case),
            "noticed_at": "2026-11-22T02:10:00Z",
        })  # fmt: skip
        self.opened(case)

    def _second_reporter(self) -> None:
        """Another partner reports the same thing: marked a duplicate, so that two partners are of one incident."""
        case, partner = "the duplicate", self.partners[2]
        self.model.cases[case] = Case()
        word = self.model.word
        self.report(partner, {
            "title": word("title of the duplicate", "case", case=case, partner=partner.code), "tlp": "GREEN",
            "description": word("description of the duplicate", "case", case=case, partner=partner.code),
            "noticed_at": "2026-11-22T01:20:00Z",
        })  # fmt: skip
        self.opened(case)
        mine = f"/incidents/{self.references[-1]}"
        self.api("duty-officer-0", "POST", f"{mine}/status",
                 {"status": "duplicate", "duplicate_of": self.references[1], "reason": "the same"},
                 match=mine)  # fmt: skip

    def _exercise(self) -> None:
        code = self.partners[3].code
        with self.machine.store.unit_of_work() as tx:
            running_exercise(tx, EXERCISE, code)
            theirs = organisation_by_code(tx, code)
            assert theirs is not None
            _, secret = inbound_endpoint(tx, theirs.id, "p3-ex", exercise=EXERCISE)
        case = "the exercise"
        self.model.cases[case] = Case()
        answer = self.report(replace(self.partners[3], intake="p3-ex", in_secret=secret), {
            "title": self.model.word("title in an exercise", "case", case=case, partner=code), "tlp": "GREEN",
            "noticed_at": "2026-11-22T01:30:00Z", "exercise": EXERCISE,
        })  # fmt: skip
        assert answer["disposition"] == "accepted", answer
        self.opened(case)

    def _set_aside(self) -> None:
        """Reports that wait in quarantine, one of them RED."""
        for label in ("GREEN", "RED"):
            title = self.model.word(f"title in quarantine ({label})", "quarantine", red=label == "RED")
            answer = self.report(self.partners[0], {
                "title": title, "tlp": label,
                "noticed_at": "2026-11-22T01:40:00Z", "exercise": "NO-SUCH-EXERCISE",
            })  # fmt: skip
            assert answer["disposition"] == "quarantined", answer

    def _work_on(self, case: str, reference: str) -> None:
        path, word = f"/incidents/{reference}", self.model.word
        note = word(f"note in {case}", "case", case=case)
        self.api("duty-officer-0", "POST", f"{path}/notes", {"text": note})
        red = word(f"RED note in {case}", "case", case=case, red=True)
        self.call("duty-officer-0", "POST", f"{path}/notes", {"text": red, "tlp": "RED"})
        with self.machine.store.unit_of_work() as tx:
            incident = lock_incident(tx, parse_reference(reference) or 0)
            task = open_task(
                tx, title=word(f"task of {case}", "case", case=case), role="duty-officer", created_by="system",
                instructions=word(f"instructions of {case}", "case", case=case), incident=incident,
            )  # fmt: skip
            number = task.id
        if self.dice.random() < 0.5:
            result = {"note": word(f"result in {case}", "case", case=case)}
            self.api("duty-officer-0", "POST", f"/tasks/{number}/complete", {"outcome": "successful", "result": result})
        if case.startswith("case") and self.dice.random() < 0.6:
            me = self.api("duty-officer-0", "GET", "/me")["id"]
            triage = {"status": "triage", "reason": word(f"reason in {case}", "case", case=case)}
            self.api("duty-officer-0", "POST", f"{path}/status", triage, match=path)
            self.api("duty-officer-0", "PATCH", path, {"owner": me, "severity": 3, "severity_reason": word(
                f"why so severe in {case}", "case", case=case)}, match=path)  # fmt: skip
            active = {"status": "active", "reason": "confirmed"}
            self.call("duty-officer-0", "POST", f"{path}/status", active, match=path)

    def _tell(self, number: int) -> None:
        """A text to some partners, with whatever label: permitted, referred or denied as the rules say."""
        places = [place for place, case in enumerate(self.model.cases) if case != "the duplicate"]
        place = 1 if number < 2 else self.dice.choice(places)  # of one incident two partners hear for sure
        case, reference = list(self.model.cases)[place], self.references[place]
        to = [self.partners[number].code] if number < 2 else [
            one.code for one in self.partners if self.dice.random() < 0.6] or [self.partners[0].code]  # fmt: skip
        words = [len(self.model.words) + each for each in range(2)]
        said = {"kind": "initial" if number % 3 else "update", "audience": to, "purpose": "network-defence",
                "title": self.model.word(f"title of alert {number}", "alert", case=case),
                "body": self.model.word(f"body of alert {number}", "alert", case=case)}  # fmt: skip
        if self.dice.random() < 0.4:
            said["tlp"] = self.dice.choice(LABELS)
        answer = self.call("duty-officer-0", "POST", f"/incidents/{reference}/alerts", said)
        if not answer.ok:
            assert answer.status_code in (409, 422), answer.text
            return
        release = answer.json()["release"]
        for each in words:
            self.model.words[each] = type(self.model.words[each])(
                **vars(self.model.words[each]) | {"release": release})  # fmt: skip
        for decision in answer.json()["decisions"]:
            if decision["result"] == "refer" and self.dice.random() < 0.7:
                self.call("release-authority-0", "POST", f"/decisions/{decision['id']}/approve", {})

    def _answers(self) -> None:
        """Partners answer what reached them, in words of their own."""
        self.wait()
        for partner in (one for one in self.people if one.role == "partner-user"):
            for each in self.api(partner.name, "GET", "/released")["items"][:3]:
                row = self.rows("SELECT incident_id FROM alerts WHERE public_id = :id", id=each["public_id"])[0]
                case = self.case_of(row.incident_id)
                self.api(partner.name, "POST", f"/released/{each['public_id']}/answer", {
                    "answer": "question", "note": self.model.word(
                        f"question of {partner.partner}", "case", case=case, partner=partner.partner)})  # fmt: skip

    def case_of(self, incident_id: int | None) -> str:
        for case, reference in zip(self.model.cases, self.references, strict=True):
            if parse_reference(reference) == incident_id:
                return case
        return ""

    def wait(self) -> None:
        """Until nothing is due any more: everything that could leave has left."""
        wait_for(
            lambda: not self.rows(
                "SELECT 1 FROM deliveries WHERE state = 'queued' AND attempts = 0 UNION ALL "
                "SELECT 1 FROM pending WHERE ready_at <= :now AND NOT dead", now=clock.now()),
            what="everything to be sent",
        )  # fmt: skip

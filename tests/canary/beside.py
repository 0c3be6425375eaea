"""What officers write beside the texts of a random world: reasons, answers, changes that wait, the registers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from coordinator import clock
from coordinator.incidents.models import Incident
from tests.canary.model import Case
from tests.harness.processes import wait_for
from tests.leaving import put_file

DUTY, LEAD, SECOND, LEGAL = "duty-officer-0", "coordinator-0", "release-authority-0", "legal-adviser-0"
MANAGER, ADMIN, CONTROLLER = "agreement-manager-0", "administrator-0", "exercise-controller-0"
_SAID = """
SELECT v.id, v.item FROM item_versions v JOIN incidents i ON i.id = v.incident_id
WHERE v.incident_id = :incident AND v.kind = 'note' ORDER BY v.id
"""


def write(built: Any) -> None:
    """On a case of ours of its own, which ends closed; and in the registers."""
    case = "the written case"
    built.model.cases[case] = Case()
    built.api("liaison-officer-0", "POST", "/reports", _form(built, case))
    built.opened(case)
    desk = _Writing(built, case, built.references[-1])
    desk.about_the_case()
    desk.about_what_leaves()
    desk.about_what_waits()
    desk.in_the_registers()
    desk.at_the_end()


def keep(built: Any) -> None:
    """A draft, a change that waits, texts cleared beforehand."""
    word = built.model.word
    built.api("coordinator-0", "POST", "/standing-clearances", {
        "title": word("title of a standing text", "standing"), "body": word("standing text", "standing"),
        "language": "en"})  # fmt: skip
    for who in ("coordinator-0", "liaison-officer-1"):
        user = next(one for one in built.people if one.name == who)
        browser = built.browser(user)
        browser.get("/report", base_url=built.base_url)
        said = {"title": word(f"draft of {who}", "draft", user=user.user_id)}
        kept = browser.post("/report/draft", said, base_url=built.base_url)
        assert kept.status_code == 303, kept.text[:500]
    for place, case in enumerate(built.model.cases):
        if built.model.cases[case].restricted:
            built.model.words.append(type(built.model.words[0])(
                built.references[place], f"reference of {case}", "case", case=case))  # fmt: skip


def _form(built: Any, case: str) -> dict[str, Any]:
    """Every field of a report that takes words, by our own form."""
    def word(what: str) -> str:
        return str(built.model.word(f"{what} of {case}", "case", case=case))

    return {
        "title": word("title"), "description": word("description"), "tlp": "GREEN", "external_id": word("external id"),
        "noticed_at": "2026-11-22T02:20:00Z", "asks": word("asks"), "classification": "malicious-code/infected-system",
        "humanitarian_flags": ["hospital-or-medical"], "states_affected": ["FI", "LV"], "sectors": ["health"],
        "observables": [{"type": "domain-name", "value": f"{word('observable')}.example"}],
        "contact": {"name": word("contact"), "email": f"{word('mail of a contact')}@x.example", "phone": "+358000"},
        "attachments": [{"name": f"{word('name of a file')}.pdf", "media_type": "application/pdf", "sha256": "0" * 64,
                         "size": 7}],
        "caveats": {"named_recipients": [f"{word('named recipient')}@x.example"]},
        "iep": {"attribution": "may", "name": word("name of a policy"), "description": word("words on a policy")},
    }  # fmt: skip


class _Writing:
    def __init__(self, built: Any, case: str, reference: str) -> None:
        self.built, self.case, self.path = built, case, f"/incidents/{reference}"
        self.number = int(reference[-6:])

    # ------------------------------------------------------------ the case

    def about_the_case(self) -> None:
        me = self.built.api(DUTY, "GET", "/me")["id"]
        self._did("taken", DUTY, f"{self.path}/status", {
            "status": "triage", "reason": self._word("reason")}, match=True)
        self._did("owned", DUTY, self.path, {"owner": me}, method="PATCH", match=True)
        self._did("severe", LEAD, self.path, {
            "severity": 3, "reason": self._word("why severe (reason)"), "title": self._word("title anew")},
            method="PATCH", match=True)  # fmt: skip
        self._did("severe again", LEAD, self.path, {
            "severity": 2, "severity_reason": self._word("why severe")}, method="PATCH", match=True)
        self._did("active", DUTY, f"{self.path}/status", {"status": "active"}, match=True)
        self._did("noted", DUTY, f"{self.path}/notes", {"text": self._word("note")})
        found = self.built.api(LEAD, "GET", f"{self.path}/suggestions")["severity"]
        if found:
            self._did("a suggestion", LEAD, f"{self.path}/suggestions/severity", {
                "mark": found["mark"], "reason": self._word("reason against a suggestion")})
        for task in self.built.api(DUTY, "GET", f"{self.path}/tasks")["items"][:1]:
            self._did("assigned", DUTY, f"/tasks/{task['id']}/assign", {
                "assignee": me, "reason": self._word("reason to assign")})
        self._duty()
        said = self.built.rows(_SAID, incident=self.number)
        self._did("marked", DUTY, f"{self.path}/markings", {
            "item": said[-1].item, "orcon": True, "reason": self._word("reason of a marking"), "iep": {
                "attribution": "may", "name": self._word("name of a policy added"),
                "description": self._word("words on a policy added")}})
        fact = self.built.rows(
            "SELECT v.id FROM item_versions v WHERE v.incident_id = :incident AND v.kind = 'details'",
            incident=self.number)  # fmt: skip
        for row in fact[:1]:
            self._did("a fact", LEAD, f"{self.path}/facts", {
                "name": "classification", "version": row.id, "reason": self._word("reason for a fact")}, match=True)

    def _duty(self) -> None:
        rules = self.built.api(LEGAL, "GET", "/obligation-rules?limit=200")["items"]
        begun = self._did("a duty", DUTY, f"{self.path}/obligations", {
            "rule": rules[0]["rule"], "basis_at": "2026-11-22T01:10:00Z"})
        number = begun.json()["id"]
        self._did("its instant", LEGAL, f"/obligations/{number}/basis", {
            "basis_at": "2026-11-22T01:20:00Z", "reason": self._word("reason for an instant")})
        self._did("met", LEGAL, f"/obligations/{number}/meet", {
            "submitted_at": "2026-11-22T03:00:00Z", "evidence": self._word("evidence")})
        self._did("a rule signed", LEGAL, f"/obligation-rules/{rules[0]['id']}/sign", {
            "note": self.built.model.word("note on a clock rule", "ours")})

    # ------------------------------------------------------------ what leaves

    def about_what_leaves(self) -> None:
        """Withdrawn, bounced, recalled by its item; a draft withdrawn; a file as it came; an answer by a system."""
        draft = self._did("a draft", LEAD, f"{self.path}/releases", {
            "kind": "initial", "purpose": "network-defence", "title": self._word("title of a draft"),
            "body": self._word("draft"), "asks": self._word("asks of a draft")})  # fmt: skip
        self._did("a draft withdrawn", LEAD, f"{self.path}/releases/{draft.json()['id']}/withdraw", {
            "reason": self._word("reason to withdraw a draft")})
        unsaid = {name: self._in("secret", f"{name} of a preview") for name in ("title", "body")}
        self._did("previewed", LEAD, f"{self.path}/alerts/preview", {
            "kind": "initial", "audience": [self.built.partners[0].code], "purpose": "network-defence"} | unsaid)
        self._file_as_it_came()
        sent, _ = self._told("answered and withdrawn", 0)
        self.built.wait()
        for row in self.built.rows(
                "SELECT d.id, d.webhook_id, d.alert_id, d.kind FROM deliveries d JOIN alerts a ON a.id = d.alert_id "
                "WHERE a.release_id = :release ORDER BY d.id", release=sent):  # fmt: skip
            token = self.built.machine.store.vault.token("acknowledge", f"delivery:{row.webhook_id}")
            partner = self.built.partners[0].code
            said = {name: self.built.model.word(f"{name} of a system", "case", case=self.case, partner=partner)
                    for name in ("by", "note")}  # fmt: skip
            self._did("answered", "", f"/acknowledgements/{token}", {"kind": "system", "answer": "question"} | said)
            self._did("withdrawn", DUTY, f"{self.path}/alerts/{row.alert_id}/withdraw", {
                "reason": self._word("reason to withdraw")})
            break
        sent, item = self._told("bounced and recalled", 1)
        self.built.wait()
        for row in self.built.rows(
                "SELECT d.id, d.alert_id FROM deliveries d JOIN alerts a ON a.id = d.alert_id "
                "WHERE a.release_id = :release AND d.kind = 'email' ORDER BY d.id", release=sent)[:1]:  # fmt: skip
            self._did("bounced", DUTY, f"{self.path}/alerts/{row.alert_id}/deliveries/{row.id}/bounced", {
                "note": self._word("note on a bounce")})
        self._did("an item recalled", LEAD, f"/items/{item}/recall", {
            "reason": self._word("reason to recall an item")})

    def _file_as_it_came(self) -> None:
        """A draft with a file that cannot be cleaned, and why it goes all the same."""
        name, body = self._word("name of a file that cannot be cleaned"), self._word("bytes of a file").encode()
        with self.built.machine.store.unit_of_work() as tx:
            put_file(tx, tx.get_one(Incident, self.number), b"MZ\x90\0 " + body, name=f"{name}.exe", tlp="GREEN")
        (file,) = [one for one in self.built.api(LEAD, "GET", f"{self.path}/files")["items"] if name in one["name"]]
        self.built.api(LEAD, "POST", f"/attachments/{file['attachment']}/copy")
        wait_for(lambda: self.built.rows("SELECT 1 FROM file_copies WHERE attachment_id = :file AND state = 'refused'",
                                         file=file["attachment"]), what="the file to be refused")  # fmt: skip
        self._did("a file as it came", LEAD, f"{self.path}/releases", {
            "kind": "initial", "purpose": "network-defence", "title": self._word("title of a second draft"),
            "body": self._word("second draft"), "items": [file["id"]], "enclosed": [file["id"]],
            "uncleaned": [{"item": file["id"], "reason": self._word("reason to release a file as it came")}]})

    def _told(self, what: str, partner: int) -> tuple[int, str]:
        first = len(self.built.model.words)
        note = self._did("a part", DUTY, f"{self.path}/notes", {
            "text": self.built.model.word(f"part of what is {what}", "alert", case=self.case), "tlp": "GREEN"}).json()
        made = self._did("composed", LEAD, f"{self.path}/releases", {
            "kind": "initial", "purpose": "network-defence", "items": [note["id"]],
            "title": self.built.model.word(f"title of what is {what}", "alert", case=self.case), "tlp": "GREEN",
            "body": self.built.model.word(f"body of what is {what}", "alert", case=self.case)}).json()["id"]
        for place in range(first, len(self.built.model.words)):
            self.built.afterwards._of_release(place, made)
        self._did("submitted", LEAD, f"{self.path}/releases/{made}/submit", {
            "recipients": [self.built.partners[partner].code]})
        return int(made), str(note["item"])

    # ------------------------------------------------------------ what waits

    def about_what_waits(self) -> None:
        """A clearance refused, what was set aside decided upon, a sender in doubt."""
        waiting = self.built.rows(
            "SELECT d.id, d.incident_id FROM share_decisions d WHERE d.result = 'refer' AND NOT EXISTS "
            "(SELECT 1 FROM approvals a WHERE a.decision_id = d.id) ORDER BY d.id")  # fmt: skip
        for row in waiting:
            case = self.built.case_of(row.incident_id)
            reason = self.built.model.word(f"reason to refuse something of {case}", "case", case=case)
            if self._did("refused", SECOND, f"/decisions/{row.id}/refuse", {"reason": reason}).ok:
                break
        for what in ("real", "attach", "refuse"):
            self._set_aside(what)
        report = self.built.rows("SELECT r.public_id, r.incident_id FROM reports r JOIN incidents i ON "
                                 "i.id = r.incident_id WHERE NOT i.restricted AND r.endpoint_id IS NOT NULL "
                                 "ORDER BY r.id")[0]  # fmt: skip
        case = self.built.case_of(report.incident_id)
        self._did("doubted", LEAD, f"/received/{report.public_id}/doubt", {
            "reason": self.built.model.word(f"reason to doubt who wrote {case}", "case", case=case)})

    def _set_aside(self, what: str) -> None:
        """A report that waits, and what is decided: its words are then of the case that it became, or stay here."""
        built = self.built
        case = f"what was set aside ({what})"
        known = Case() if what != "attach" else built.model.cases[self.case]
        words = [len(built.model.words)]
        title = built.model.word(f"title in quarantine ({what})", "quarantine", partner=built.partners[0].code)
        answer = built.report(built.partners[0], {
            "title": title, "tlp": "GREEN", "noticed_at": "2026-11-22T01:50:00Z", "exercise": "NO-SUCH-EXERCISE"})
        report = answer["report"]
        more = {"incident": f"INC-{self.built.references[-1][4:]}"} if what == "attach" else {}
        words.append(len(built.model.words))
        reason = built.model.word(f"reason to {what} what was set aside", "quarantine")
        opened = built.rows("SELECT max(id) AS id FROM incidents")[0].id
        if not self._did(f"quarantine {what}", LEAD, f"/quarantine/{report}/{what}", {"reason": reason} | more).ok:
            return
        if what == "refuse":
            return
        if built.rows("SELECT max(id) AS id FROM incidents")[0].id != opened:
            built.model.cases[case] = known
            built.opened(case)
        else:
            case = self.case
        for place in words:
            one = built.model.words[place]
            built.model.words[place] = type(one)(**vars(one) | {"area": "case", "case": case})

    # ------------------------------------------------------------ registers

    def in_the_registers(self) -> None:
        self._texts_beforehand()
        self._keys()
        self._agreement()
        self._did("a service", ADMIN, "/http-hosts/old", {
            "organisation": self.built.partners[0].code, "methods": ["GET"], "auth_header": "X-Key",
            "origin": f"https://{self._in('partner', 'origin of a service')}.example",
            "credential": self._in("secret", "credential of a service")}, method="PUT")  # fmt: skip
        self._did("a service stopped", ADMIN, "/http-hosts/old/disable", {
            "reason": self._in("endpoint", "reason to stop a service")})
        self._exercise()
        self._hold()

    def _exercise(self) -> None:
        """By the page: no token reaches the register of exercises."""
        now = clock.now()
        self._page(CONTROLLER, "/exercises/new", "/exercises/new", {
            "code": "EX-LATER", "title": self._in("exercise", "title of an exercise"),
            "organisations": [self.built.partners[2].code],
            "starts_at_date": f"{now + timedelta(days=9):%Y-%m-%d}", "starts_at_time": "08:00",
            "ends_at_date": f"{now + timedelta(days=10):%Y-%m-%d}", "ends_at_time": "08:00"})  # fmt: skip
        self.built.said.append(("PUT", "/exercises/EX-LATER", "/title"))

    def _hold(self) -> None:
        """All sending stops for a moment."""
        self._did("sending stopped", LEAD, "/operations/sending/stop", {
            "reason": self._in("sending", "reason to stop sending")})
        for row in self.built.rows("SELECT id FROM sending_holds WHERE lifted_at IS NULL"):
            self._page(LEAD, "/sending", f"/sending/{row.id}/lift", {
                "reason": self._in("sending", "reason to go on sending")})
        assert not self.built.rows("SELECT 1 FROM sending_holds WHERE lifted_at IS NULL")

    def _page(self, who: str, page: str, path: str, said: dict[str, Any]) -> None:
        browser = self.built.browser(next(one for one in self.built.people if one.name == who))
        browser.get(page, base_url=self.built.base_url)
        answer = browser.post(path, said, base_url=self.built.base_url)
        assert answer.status_code == 303, f"{path}: {answer.status_code} {answer.text[-3000:]}"

    def _texts_beforehand(self) -> None:
        kept = self._did("a text beforehand", LEAD, "/standing-clearances", {
            "title": self._in("standing", "title of a second standing text"), "language": "en",
            "body": self._in("standing", "second standing text")})  # fmt: skip
        number = kept.json()["id"]
        self._did("a text cleared", SECOND, f"/standing-clearances/{number}/confirm", {})
        self._did("a text revoked", SECOND, f"/standing-clearances/{number}/revoke", {
            "reason": self._in("standing", "reason to revoke a text")})

    def _keys(self) -> None:
        self._did("a key", ADMIN, "/endpoints/p2/keys", {
            "overlap_days": 3, "reason": self._in("ours", "reason of a new key")})
        for row in self.built.rows("SELECT k.id FROM endpoint_keys k JOIN endpoints e ON e.id = k.endpoint_id "
                                   "WHERE e.slug = 'p3-ex' ORDER BY k.id")[:1]:  # fmt: skip
            self._did("a key revoked", ADMIN, f"/keys/{row.id}/revoke", {
                "reason": self._in("endpoint", "reason to revoke a key")})

    def _agreement(self) -> None:
        def word(what: str) -> str:
            return self._in("agreement", f"{what} of an agreement")

        asked = self._did("an agreement", MANAGER, "/agreements", {"reason": word("reason"), "terms": {
            "agreement_id": "MOU-CANARY", "reference": word("reference"), "title": word("title"), "kind": "cert-cert",
            "legal_status": "operational", "legal_basis": word("legal basis"), "tlp_ceiling": "GREEN",
            "depositary_or_holder": word("depositary"), "scope_description": word("scope"),
            "channels": [word("channel")],
            "parties": [{"party": self.built.partners[2].code, "role": "both", "capacity": word("capacity"),
                         "signatory": word("signatory"), "signed_on": "2026-01-12"},
                        {"party": "EE-MFA", "role": "both", "signed_on": "2026-01-12"}],
            "info_categories_allowed": ["incident-notification"], "info_categories_excluded": [],
            "permitted_purposes": ["network-defence"], "prohibited_uses": [], "personal_data": "none",
            "onward_sharing": "none", "effective_from": "2026-01-15T00:00:00Z", "expires_on": "2030-01-15T00:00:00Z",
            "last_reviewed": {"on": "2026-06-01", "by": word("reviewer")},
            "suspended": [{"from": "2026-02-01T00:00:00Z", "by": word("suspender"),
                           "reason": word("reason of a suspension")}],
            "instrument_text_ref": {"document": word("document")},
        }})  # fmt: skip
        if asked.ok and asked.json().get("change"):
            self._did("refused as a second person", SECOND, f"/changes/{asked.json()['change']}/refuse", {
                "reason": word("reason to refuse the change")})
        given = self._did("a consent recorded", MANAGER, "/consents", {"answer": "refused", "consent": {
            "from": self.built.partners[0].code, "to": self.built.partners[2].code, "purpose": "*", "item": "*",
            "valid_until": "2027-01-01T00:00:00Z", "evidence": word("evidence of a consent")}})  # fmt: skip
        for row in self.built.rows("SELECT id FROM consents ORDER BY id")[:1] if given.ok else ():
            self._did("a consent withdrawn", MANAGER, f"/consents/{row.id}/withdraw", {
                "reason": word("reason to withdraw a consent")})

    def at_the_end(self) -> None:
        """Over, with the note of closing."""
        for run in self.built.api(LEAD, "GET", f"{self.path}/runs")["items"]:
            self._did("cancelled", LEAD, f"/runs/{run['id']}/ask", {
                "do": "cancel", "reason": self._word("reason to cancel a run")})
        wait_for(lambda: not self._open("runs", "state IN ('running', 'waiting', 'paused', 'needs-attention')"),
                 what="the runs to end")  # fmt: skip
        for task in self._open("tasks", "state = 'open'"):
            self._did("done", LEAD, f"/tasks/{task.id}/complete", {
                "outcome": "failed", "result": {"note": self._word("result")}})
        for alert in self._open("alerts", "state <> 'withdrawn' AND user_id IS NULL"):
            self._did("taken back", DUTY, f"{self.path}/alerts/{alert.id}/withdraw", {
                "reason": self._word("reason to take back")})
        self._did("resolved", DUTY, f"{self.path}/status", {"status": "resolved", "outlook": "improving"}, match=True)
        self._did("closed", DUTY, f"{self.path}/status", {
            "status": "closed", "note": self._word("note of closing"), "reason": self._word("reason to close")},
            match=True)  # fmt: skip

    # ------------------------------------------------------------ small things

    def _open(self, table: str, state: str) -> list[Any]:
        query = f"SELECT id FROM {table} WHERE incident_id = :incident AND {state}"
        return list(self.built.rows(query, incident=self.number))

    def _word(self, what: str) -> str:
        return str(self.built.model.word(f"{what} of {self.case}", "case", case=self.case))

    def _in(self, area: str, what: str) -> str:
        return str(self.built.model.word(what, area))

    def _did(self, what: str, who: str, path: str, said: Any, *, method: str = "POST", match: bool = False) -> Any:
        answer = self.built.call(who, method, path, said, match=self.path if match else "")
        assert answer.status_code < 500, f"{what}: {answer.status_code} {answer.text[:400]}"
        self.built.afterwards.done[f"written: {what}" if answer.ok else f"written: {what}, refused"] += 1
        if answer.ok and method == "PUT":  # waits for a second person
            self.built.api(LEAD, "POST", f"/changes/{answer.json()['change']}/accept", {})
        if not answer.ok:
            self.built.refused.append(f"{what}: {answer.status_code} {answer.text[:300]}")
        return answer

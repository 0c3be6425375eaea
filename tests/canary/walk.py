"""Every exit as everybody: what came out is searched for every word, and the model says whether it may be there."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from email import message_from_bytes
from itertools import groupby
from typing import Any

import requests

from coordinator.accounts.rules import approvers
from coordinator.interchange.exits import FORMS
from tests.canary import at_rest
from tests.canary.addresses import TAXII, addresses
from tests.canary.exits import EXITS, OURS
from tests.canary.model import OWN_ROLES, VISITOR, Case, Left, Reader, Word
from tests.canary.world import BASE_URL, Built
from tests.harness.mail import MailServer
from tests.harness.receiver import Receiver
from tests.hostile.looking import Overhearing
from tests.openpgp import opened
from tests.unfolded import read_pdf, unfolded

_LEFT = """
SELECT a.id, a.recipient, a.release_id, d.effective_tlp, d.obligations, c.person_email, o.code AS originator, a.state,
  (SELECT COUNT(*) FROM recalled b WHERE b.release_id = a.release_id AND b.recipient = a.recipient) AS recalled
FROM alerts a JOIN share_decisions d ON d.id = a.decision_id JOIN releases r ON r.id = a.release_id
LEFT JOIN contacts c ON c.id = a.contact_id LEFT JOIN organisations o ON o.id = r.originator_id
WHERE d.result = 'permit' AND a.user_id IS NULL
"""
#: Areas of words that were said of a case.
_CONTENT = {"case", "alert", "quarantine", "draft"}
#: Addresses of one kind that the short walk looks at, for each reader.
FEW = 2
#: Left out of the short walk: what others of their role show as well.
_ALIKE = ("coordinator-1", "liaison-officer-1", "liaison-officer-0", "exercise-controller-0", "legal-adviser-0",
          "release-authority-1")
#: Restricted incidents in which nothing is RED and something was to be cleared.
_TO_CLEAR = """
SELECT r.incident_id, d.reasons, d.effective_tlp, r.info_category FROM share_decisions d
JOIN releases r ON r.id = d.release_id JOIN incidents i ON i.id = r.incident_id
WHERE d.result = 'refer' AND i.restricted AND i.tlp <> 'RED' AND NOT EXISTS (
  SELECT 1 FROM item_versions v WHERE v.incident_id = i.id AND v.tlp = 'RED' AND v.kind NOT LIKE 'alert-%')
"""
_MAILBOXES = """
SELECT c.address, o.code FROM channels c JOIN contacts k ON k.id = c.contact_id
JOIN organisations o ON o.id = k.organisation_id WHERE c.kind = 'email'
"""
_HEALTH = ("metrics", "healthz", "readyz")
_TOLD = """
SELECT a.public_id, a.recipient, (SELECT COUNT(*) FROM release_files f WHERE f.release_id = a.release_id) AS files
FROM alerts a WHERE a.user_id IS NULL
"""
_GIVEN = """
SELECT c.idempotency_key, d.result, d.recipient,
  (SELECT COUNT(*) FROM http_attempts t WHERE t.call_id = c.id) AS tried
FROM http_calls c LEFT JOIN share_decisions d ON d.id = c.decision_id
"""
_ACKS = "SELECT id, alert_id, webhook_id, kind FROM deliveries"


class Walk:
    """`faults`: a line for each word that turned up where it may not be. `ours`, `theirs`:
    exit -> areas that came out to our own people, and to partners and visitors."""

    def __init__(self, built: Built, mail: MailServer, receiver: Receiver, broker: Overhearing, *, full: bool) -> None:
        self.built, self.mail, self.receiver, self.broker, self.full = built, mail, receiver, broker, full
        self.model = built.model
        self.faults: list[str] = []
        self.looks = Counter[str]()
        self.found = Counter[str]()
        self.ours: dict[str, set[str]] = {}
        self.theirs: dict[str, set[str]] = {}
        self.statuses = Counter[int]()
        self._seen: set[tuple[str, ...]] = set()
        self._by_text: dict[str, Word] = {}
        self._pattern = re.compile("")
        self._open = set[str]()  # words that stand in a column in the open

    def everything(self) -> None:
        self._what_is_known()
        self._let_in()
        told = self.built.rows(_TOLD)
        self._own = [(row.public_id, row.recipient) for row in told]
        self._to_read, self._with_files = {row.public_id for row in told}, {row.public_id for row in told if row.files}
        self._by_text = {word.text.lower(): word for word in self.model.words}
        self._pattern = re.compile("zqk[a-z]{11}|inc-[0-9]{4}-[0-9]{6}")
        self.broker.watch(word.text for word in self.model.words)
        for reader in (VISITOR, *self.readers()):
            self._pages(reader)
            if reader.name in self.built.tokens:
                self._tools(reader)
        self._mails()
        self._webhooks()
        self._services()
        self._written_down()

    def readers(self) -> Iterator[Reader]:
        yield from (one for one in self.built.people if self.full or one.name not in _ALIKE)

    def _some(self, reader: Reader, *, api: bool) -> Iterator[tuple[str, str, str]]:
        """Every address. In the short walk a few of each kind, others for each reader: one only of what is refused to a
        partner's person whatever its id, and all by which they read what was released to them."""
        for endpoint, group in groupby(addresses(self.built, api=api), key=lambda one: one[0]):
            several = list(group)
            most = 1 if reader.partner and not _theirs(endpoint) else FEW
            told = reader.partner and not self.full and endpoint in _READ_BY_THEM
            first = [one for one in several if told and _named(one[1]) in self._to_read]
            if self.full or endpoint == "public.one":
                yield from several
                continue
            if "/files/" in several[0][1]:
                first = [one for one in first if _named(one[1]) in self._with_files]
            if endpoint in _FILES:
                first = self._in_each_form(reader, several)
            others = [one for one in several if one not in first]
            yield from [*first, *self.built.dice.sample(others, min(len(others), most))]

    def _in_each_form(self, reader: Reader, several: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
        """Two files in each form, of what was told to the partner of that reader."""
        own, found = {name for name, recipient in self._own if recipient == reader.partner}, []
        for form in FORMS:
            theirs = [one for one in several if one[1].endswith(f"as={form}") and _named(one[1]) in own]
            found += self.built.dice.sample(theirs, min(len(theirs), 2))
        return found

    # ------------------------------------------------------------ exits

    def _pages(self, reader: Reader) -> None:
        browser, refused = self.built.browser(reader), ""
        for endpoint, path, token in self._some(reader, api=False):
            if endpoint == refused:
                continue
            answer = browser.client.get(path, base_url=BASE_URL)
            refused = self._answered(endpoint, path, answer.status_code)
            self._look(f"page {endpoint}", reader, self._whole(answer), token, path)

    def _tools(self, reader: Reader) -> None:
        client, bearer = self.built.app.test_client(), {"Authorization": f"Bearer {self.built.tokens[reader.name]}"}
        refused = ""
        for endpoint, path, token in self._some(reader, api=True):
            if endpoint == refused:
                continue
            accepts = {"Accept": TAXII} if path.startswith("/taxii2") else {}
            answer = client.get(path, base_url=BASE_URL, headers=bearer | accepts)
            refused = self._answered(endpoint, path, answer.status_code)
            self._look(f"tool {endpoint}", reader, self._whole(answer), token, path)

    def _answered(self, endpoint: str, path: str, status: int) -> str:
        """Count it; the endpoint, where the reader's role alone is refused there and the short walk goes on. The
        application asked here is not the one that serves, so it is not ready, and says so."""
        self.statuses[status] += 1
        if status >= 500 and endpoint != "health.readyz":
            self.faults.append(f"  {endpoint} {path}: answered {status}")
        return endpoint if status == 403 and not self.full else ""

    def _mails(self) -> None:
        """A mail is read by whoever has the mailbox: a contact of a partner, or one of our own people."""
        boxes = {one.email.lower(): one for one in self.built.people}
        for email, role in self.built.rows("SELECT email, role FROM users WHERE role = 'administrator'"):
            boxes.setdefault(email.lower(), Reader(email, role, email=email))
        for address, code in self.built.rows(_MAILBOXES):
            boxes.setdefault(address.lower(), Reader(address, "partner-user", partner=code, email=address))
        for letter in self.mail.letters:
            to = str(letter["X-RcptTo"] or letter["To"]).lower()
            whole = "\n".join(f"{name}: {value}" for name, value in letter.items() if name.lower() not in (
                "to", "x-rcptto"))  # the reader's own address
            bodies = [part.get_payload(decode=True) or b"" for part in letter.walk()]
            text = whole + "\n" + "\n".join(each.decode("utf-8", "replace") for each in bodies)
            reader = boxes[to.strip("<> ")]
            self._look("mail", reader, text, "", str(letter["Subject"]))
            if letter.get_content_type() == "multipart/encrypted":
                self._look("mail", reader, _opened(bodies[-1], self.built.keys[to.strip("<> ")]), "", "", sealed=True)
                self.looks["mail, opened"] += 1

    def _services(self) -> None:
        """What a playbook gave a service: its document's words and the service's own credential; of the case what a
        permit to the organisation that runs it allows."""
        permits = {row.idempotency_key: row for row in self.built.rows(_GIVEN)}
        for request in self.built.service.taken:
            given = permits[request.key]
            self.looks["service"] += 1
            for found in set(self._pattern.findall(unfolded(request.text).lower())):
                word = self._by_text[found]
                self.found["service"] += 1
                permitted = given.result == "permit" and given.recipient == self.built.partners[0].code
                if not (word.area in ("playbook", "service") or (permitted and word.given)):
                    self._fault("service", request.key, f"it was given the {word.what}")

    def _webhooks(self) -> None:
        """What a partner's system took is that partner's, RED never goes there."""
        for arrival in self.receiver.kept():
            number = int(arrival.path.removeprefix("/p"))
            reader = Reader(f"system of partner {number}", "partner-system", partner=self.built.partners[number].code)
            self._look("webhook", reader, arrival.raw.decode(), "", arrival.kind)

    def _written_down(self) -> None:
        """Nobody may read a word in logs, in the broker, in metrics, in what the machine tells of its processes or
        commands print; not even the operator of the machine."""
        machine = self.built.machine
        asked = (requests.get(f"{machine.base_url}/{name}", timeout=30).text for name in _HEALTH)
        nobody = Reader("the operator")
        for place, text in (("commands", at_rest.commands(machine)), ("broker, left", self.broker.left()),
                            ("processes", at_rest.processes(machine.tree())), *zip(_HEALTH, asked, strict=True),
                            ("log", "\n".join(machine.output))):  # fmt: skip
            self._look(place, nobody, text, "", "")
        for word in self.broker.heard:
            self._look("broker, command", nobody, word, "", "")
        self._at_rest()

    def _at_rest(self) -> None:
        """What is sealed by docs/security.md stands in no column in the open, and in no file: neither the database's
        own, with all that was deleted in it, nor a backup, nor what was left in the folder of the installation."""
        for column, text in at_rest.rows(self.built.machine.store):
            word = self._by_text.get(text)
            if word is not None and not at_rest.may_stand(column, word, restricted=self._restricted(word)):
                self._fault("database", column, f"the {word.what} stands there in the open")
            self.looks["database"] += 1
            self._open.add(text)
        for file, text in at_rest.files([self.built.machine.folder]):
            of_database = file.name.startswith("coordinator.db")
            word = self._by_text.get(text)
            if word is None or (of_database and text in self._open):
                continue
            if not of_database or not at_rest.may_stand("incidents.title", word, restricted=self._restricted(word)):
                self._fault("file", file.name, f"the {word.what} stands there in the open")
            self.looks["file"] += 1

    # ------------------------------------------------------------ judging

    def _look(self, exit_: str, reader: Reader, text: str, token: str, where: str, *, sealed: bool = False) -> None:
        self.looks[exit_] += 1
        asked = where.lower()  # what a reader asked for themselves is no news to them
        for found in set(self._pattern.findall(unfolded(text).lower())):
            if found in asked:
                continue
            word = self._by_text.get(found)
            if word is None:
                continue
            self.found[exit_] += 1
            inside = self.ours if reader.role in OWN_ROLES else self.theirs
            inside.setdefault(exit_, set()).add(word.area)
            told = self._may(reader, word, token=token, door=exit_.startswith(("page ", "tool ")))
            if not told or (exit_ == "mail" and not sealed and not self.model.may_be_mailed(reader, word)):
                key = (exit_, reader.role, reader.partner and "partner", word.what)
                if key not in self._seen:
                    self._seen.add(key)
                    self._fault(exit_, where, f"{reader.name} came across the {word.what}")

    def _whole(self, answer: Any) -> str:
        """All that an answer says: headers, body, and what is drawn in it."""
        said = "\n".join(f"{name}: {value}" for name, value in answer.headers if name.lower() != "set-cookie")
        body = answer.get_data()
        inside = read_pdf(body) if answer.mimetype == "application/pdf" else ""
        if inside:
            self.looks["PDF"] += 1
            self.found["PDF"] += len(set(self._pattern.findall(inside.lower())))
        return f"{said}\n{body.decode('utf-8', 'replace')}\n{inside}"

    def _restricted(self, word: Word) -> bool:
        return self.model.cases.get(word.case, Case()).restricted

    def _fault(self, exit_: str, where: str, what: str) -> None:
        line = f"  {exit_} {where}: {what}"
        if line not in self.faults:
            self.faults.append(line)

    def _let_in(self) -> None:
        """Who may clear something of a restricted incident may know of it, while nothing in it is RED."""
        for row in self.built.rows(_TO_CLEAR):
            reasons = json.loads(row.reasons) if isinstance(row.reasons, str) else row.reasons
            roles = {str(role) for role in approvers(reasons, row.effective_tlp, row.info_category)}
            case = self.built.case_of(row.incident_id)
            let_in = {one.user_id for one in self.built.people if one.role in roles}
            known = self.model.cases[case]
            self.model.cases[case] = replace(known, named=known.named | let_in)

    def _may(self, reader: Reader, word: Word, *, token: str, door: bool) -> bool:
        """Whether the model allows it now: workers go on while the walk does, and what left since counts."""
        if self.model.may(reader, word, token=token, door=door):
            return True
        self._what_is_known()
        return self.model.may(reader, word, token=token, door=door)

    def _what_is_known(self) -> None:
        self.model.left = list(self._what_left())
        self.model.served = {row.recipient for row in self.built.rows(_GIVEN) if row.result == "permit" and row.tried}
        own = self.built.rows("SELECT webhook_id FROM deliveries WHERE user_id IS NOT NULL")
        made = self.built.machine.store.vault.token
        self.model.notices = {made("acknowledge", f"delivery:{row.webhook_id}") for row in own}

    def _what_left(self) -> Iterator[Left]:
        """From rows alone. A permit of which nothing left yet is no reason to show it."""
        acks: dict[int, list[Any]] = {}
        for row in self.built.rows(_ACKS):
            acks.setdefault(row.alert_id, []).append(row)
        tried = {row.delivery_id for row in self.built.rows(
            "SELECT delivery_id FROM delivery_attempts WHERE outcome <> 'withheld'")}  # fmt: skip
        vault = self.built.machine.store.vault
        for row in self.built.rows(_LEFT):
            for one in acks.get(row.id, []):
                if one.id not in tried or one.kind == "voice":
                    continue
                yield Left(
                    partner=row.recipient, release=row.release_id, tlp=row.effective_tlp, person=row.person_email or "",
                    token=vault.token("acknowledge", f"delivery:{one.webhook_id}"),
                    attributed="" if "O-NO-ATTRIBUTION" in str(row.obligations) else row.originator or "",
                    over=bool(row.recalled) or row.state == "withdrawn",
                )  # fmt: skip

    def unlisted(self) -> set[str]:
        """Exits at which something that was said came out, and that are not in tests/canary/exits.py."""
        partners = {exit_ for exit_, areas in self.theirs.items() if areas & _CONTENT}
        known = {name for name, one in EXITS.items() if not one.route} | {one.route for one in EXITS.values()}
        ours = {exit_.partition(" ")[2] for exit_, areas in self.ours.items() if areas & _CONTENT and " " in exit_}
        return ({exit_.partition(" ")[2] or exit_ for exit_ in partners} - known) | (ours - OURS)

    def numbers(self) -> str:
        """What was walked, in one line."""
        statuses = ", ".join(f"{number} × {status}" for status, number in sorted(self.statuses.items()))
        return (
            f"{len(self.model.words)} words, {len(self.model.cases)} incidents, {len(self.model.left)} deliveries of "
            f"permits, {sum(self.looks.values())} looks at {len(self.looks)} exits ({statuses}), words found "
            f"{sum(self.found.values())} times; {len(self.mail.letters)} mails, {len(self.receiver.kept())} webhooks, "
            f"{len(self.built.service.taken)} requests to a service, "
            f"{self.broker.commands} broker commands, {len(self.built.machine.output)} lines of log; "
            + "; ".join(f"{number} × {what}" for what, number in sorted(self.built.afterwards.done.items()))
        )


_FILES = ("released.file", "api.exits.taken")
_READ_BY_THEM = ("released.one", "api.released.one", "released.enclosed", "api.files.taken", "public.one")


def _named(path: str) -> str:
    """The name, for the partner, of what an address below /released is of."""
    return path.split("/file")[0].rpartition("/")[2]


def _theirs(endpoint: str) -> bool:
    return "released" in endpoint or endpoint.startswith(("acknowledge.", "taxii.", "api.exits.", "api.files."))


def _opened(sealed: bytes, key: str) -> str:
    """What its owner reads of a sealed mail."""
    inner = message_from_bytes(opened(sealed, key))
    bodies = [part.get_payload(decode=True) or b"" for part in inner.walk()]
    return f"{inner}\n" + "\n".join(each.decode("utf-8", "replace") for each in bodies)

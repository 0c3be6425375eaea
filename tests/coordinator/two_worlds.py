"""Two worlds that differ only in what somebody outside may not know, and everything that these can ask of either.

Both are told the same, at the same instants, by hands of the same clock. What is random in an answer (ids, tokens,
digests) stands there as the place at which it was first met; numbers, orders, lengths and times stand as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from email import message_from_bytes
from email.message import Message
from typing import Any

from sqlalchemy import select

from coordinator import clock
from coordinator.accounts import sessions
from coordinator.accounts.rules import Role, scopes_allowed
from coordinator.accounts.service import create_token
from coordinator.alerts.models import Alert
from coordinator.alerts.rungs import ack_token, newest_delivery
from coordinator.app import create_app
from coordinator.partners.models import Organisation
from coordinator.store import Store
from tests.alerting import MailBox, agreement, due, mailbox, put_contact, put_organisation, put_system, webhook
from tests.factories import (
    OTHER,
    PARTNER,
    PartnerSystem,
    World,
    at_endpoint,
    inbound_endpoint,
    native,
    person,
    small_world,
    user_row,
)
from tests.harness.receiver import Receiver
from workers import deliver as worker

HTTPS = "https://us.example"
TAXII = "application/taxii+json;version=2.1"
#: What is drawn by lot, and as long in one world as in the other.
_RANDOM = re.compile(
    r"(?<![\w-])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|msg_[0-9a-f]{32}"
    r"|[A-Za-z0-9_-]{32,})(?![\w-])|[a-z]{3}-[0-9A-Z]{20}|REF(?:-[0-9A-Z]{4}){3}|(?<=/account/sessions/)[\w-]{16}"
    r"|(?<=/account/tokens/)[\w-]{16}"
)
#: Signed with the second of the machine's own clock.
_SIGNED = re.compile(r"[\w-]{56,}\.[\w-]{6}\.[\w-]{27}(?![\w-])")
#: Parts of a second: how long a thing took, which no two worlds share.
_MOMENT = re.compile(r"(?<=\d\d:\d\d:\d\d)\.\d{3,6}(?=Z|\+)")


class Hands:
    """One clock for both worlds: set at each step, and a microsecond on whenever it is read."""

    def __init__(self) -> None:
        self.at = self.begin = clock.now().replace(microsecond=0)

    def now(self) -> datetime:
        self.at += timedelta(microseconds=1)
        return self.at

    def set(self, step: int) -> None:
        self.at = self.begin + timedelta(seconds=step)


class Seen:
    """One of the two worlds, as it is seen from outside. `said`: what was asked and all that came back, in order."""

    def __init__(self, store: Store, hands: Hands, box: MailBox, receiver: Receiver) -> None:
        self.store, self.hands, self.box, self.receiver = store, hands, box, receiver
        self.said: list[tuple[str, str]] = []
        self._places: dict[str, str] = {}
        self.hands.set(0)
        self.world: World = small_world(store)
        self._parties()
        self.app = create_app(store)
        self.app.config |= {"TESTING": False, "LIMIT_GUESSES": "1000000 per minute"}
        self.officers = {name: self._token(person(store, name).user_id) for name in (
            "duty-officer", "coordinator", "release-authority")}  # fmt: skip
        self.aino = person(store, "partner-user", "Aino", self.world.partner_id)
        self.liga = person(store, "partner-user", "Liga", self.world.other_id)
        self.tokens = {one.name: self._token(one.user_id) for one in (self.aino, self.liga)}
        self.system = PartnerSystem(self.app.test_client(), self.world)
        self.others = at_endpoint(self.app.test_client(), self.world, "lv-in", self._their_secret())
        self.browser = self.sign_in(self.aino.user_id)

    def _parties(self) -> None:
        with self.store.unit_of_work() as tx:
            for code, slug in ((PARTNER, "fi"), (OTHER, "lv")):
                put_organisation(tx, code)
                system = self.receiver.partner(code, slug)
                put_system(tx, system.url, code=code, slug=f"{slug}-out", secret=system.out_secret,
                           allow_private=["127.0.0.0/8"])  # fmt: skip
                put_contact(tx, webhook(f"{slug}-out"), mailbox(f"desk@{slug}.example"), code=f"{slug}-duty",
                            organisation=code, tlp_max="RED")  # fmt: skip
                agreement(tx, code=code, agreement_id=f"MOU-{slug}", ceiling="AMBER+STRICT")

    def _their_secret(self) -> str:
        with self.store.unit_of_work() as tx:
            return inbound_endpoint(tx, self.world.other_id, "lv-in")[1]

    def _token(self, user_id: int) -> str:
        with self.store.unit_of_work() as tx:
            scopes = sorted(str(one) for one in scopes_allowed(Role(user_row(tx, user_id).role)))
            return create_token(tx, user_id, name="tool", scopes=scopes, actor="cli:test")

    def sign_in(self, user_id: int) -> Any:
        with self.store.unit_of_work() as tx:
            token = sessions.open_session(tx, user_row(tx, user_id), how="test", second_factor=True)
        client = self.app.test_client()
        with client.session_transaction(base_url=HTTPS) as session:
            session["token"] = token
        return client

    # ------------------------------------------------------------ what happens in both

    def begin(self) -> None:
        """The partner reports; it is told of that, and of something of our own."""
        self.hands.set(1)
        self.reported("Ransomware at a hospital", external_id="T-1")
        self.reference = self.newest()
        self.hands.set(2)
        self.do("duty-officer", "POST", "/reports", native(title="Our own case"), **{"Idempotency-Key": "k1"})
        self.own = self.newest()
        self.hands.set(3)
        self.tell(self.reference, PARTNER)
        self.hands.set(4)
        self.tell(self.own, PARTNER, tlp="AMBER", title="Only signed in")
        self.send()
        self.hands.set(5)
        self.ask("tool", self.app.test_client(), "/api/v1/released",
                 headers={"Authorization": f"Bearer {self.tokens['Aino']}"})  # fmt: skip

    def go_on(self) -> None:
        """What was asked again; then both hear more, the partner reports more and answers, and it asks once more."""
        self.hands.set(40)
        self.look_around(theirs=True)
        self.hands.set(50)
        self.tell(self.reference, PARTNER, kind="update", title="More of it")
        self.send()
        self.hands.set(51)
        self.reported("Ransomware at another hospital", external_id="T-2")
        self.reported("Ransomware at a hospital", external_id="T-1")
        self.hands.set(52)
        first = self._mine()["public_id"][0]
        for answer in ("acknowledged", "nonsense"):
            self.ask("tool", self.app.test_client(), f"/api/v1/released/{first}/answer", "POST",
                     json={"answer": answer}, headers={"Authorization": f"Bearer {self.tokens['Aino']}"})  # fmt: skip
        self.hands.set(60)
        self.look_around()

    def reported(self, title: str, **more: Any) -> None:
        answer = self.system.post(native(title=title, **more))
        self.note(f"system: {title}", self.whole(answer))

    # ------------------------------------------------------------ what is done by our officers

    def do(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """A call of one of our officers, or of somebody's tool; its JSON."""
        token = self.officers.get(who) or self.tokens[who]
        answer = self.app.test_client().open(
            f"/api/v1{path}", method=method, json=body, base_url=HTTPS,
            headers={"Authorization": f"Bearer {token}", **headers})  # fmt: skip
        assert answer.status_code < 300, f"{who} {method} {path}: {answer.text[:600]}"
        return answer.get_json(silent=True)

    def change(self, who: str, method: str, path: str, body: Any, of: str) -> Any:
        seen = self.app.test_client().get(
            f"/api/v1{of}", base_url=HTTPS, headers={"Authorization": f"Bearer {self.officers[who]}"}
        )
        return self.do(who, method, path, body, **{"If-Match": seen.headers["ETag"]})

    def newest(self) -> str:
        found: str = self.do("duty-officer", "GET", "/incidents?limit=1")["items"][0]["reference"]
        return found

    def tell(self, reference: str, *to: str, **more: Any) -> Any:
        return self.do("duty-officer", "POST", f"/incidents/{reference}/alerts", {
            "kind": "initial", "title": "Ransomware", "body": "Look for it.", "purpose": "network-defence",
            "audience": list(to), **more})  # fmt: skip

    def send(self) -> None:
        for delivery_id in due(self.store, "delivery.due"):
            worker.deliver(self.store, delivery_id)

    # ------------------------------------------------------------ what they ask

    def note(self, asked: str, answer: str) -> None:
        self.said.append((self._plain(asked), self._plain(answer)))

    def _plain(self, text: str) -> str:
        text = _SIGNED.sub(lambda one: f"<signed:{len(one[0])}>", _MOMENT.sub(".f", text))
        return _RANDOM.sub(lambda one: self._places.setdefault(one[0], f"<{len(self._places)}:{len(one[0])}>"), text)

    def whole(self, answer: Any) -> str:
        """Status, headers in their order, and body. A session's cookie is sealed: that it is set, and how."""
        headers = [
            (name, re.sub("session=[^;]+", "session=S", value)) for name, value in answer.headers if name != "Date"
        ]
        body = answer.get_data()
        if answer.mimetype == "application/pdf":
            headers, body = [one for one in headers if one[0] != "Content-Length"], b""
        if answer.mimetype == "application/taxii+json":
            body = re.sub(rb'"next": "(\d+)\d{6}"', rb'"next": "\1"', body)
        return "\n".join([answer.status, *(f"{name}: {value}" for name, value in headers), "",
                          body.decode("utf-8", "replace")])  # fmt: skip

    def ask(self, name: str, client: Any, path: str, method: str = "GET", **more: Any) -> Any:
        answer = client.open(path, method=method, base_url=HTTPS, **more)
        self.note(f"{name}: {method} {path}", self.whole(answer))
        return answer

    def look_around(self, *, theirs: bool = False) -> None:
        """Everything that the partner's person, its tool, the holder of its links and nobody can ask, and what was
        pushed; `theirs`: only at the doors that are made for them."""
        mine = self._mine()
        tool = {"Authorization": f"Bearer {self.tokens['Aino']}"}
        for path in dict.fromkeys(self._paths(mine)):
            if theirs and not any(door in path for door in _THEIRS):
                continue
            for name, client, headers in (
                ("person", self.browser, {}), ("tool", self.app.test_client(), tool),
                ("nobody", self.app.test_client(), {}),
            ):  # fmt: skip
                if name == "person" and path.startswith(("/api/v1", "/taxii2")):
                    continue
                if name == "tool" and not path.startswith(("/api/v1", "/taxii2")):
                    continue
                self.ask(name, client, path, headers=headers)
        for method, path in () if theirs else self._written():
            self.ask("tool", self.app.test_client(), path, method, json={}, headers=tool)
        self.note("what was pushed", self._pushed())

    def _mine(self) -> dict[str, list[str]]:
        """What the partner knows of itself: the ids and the links that reached it."""
        with self.store.read() as tx:
            rows = (
                tx.execute(
                    select(Alert)
                    .join(Organisation)
                    .where(Organisation.code == PARTNER, Alert.user_id.is_(None))
                    .order_by(Alert.created_at)
                )
                .scalars()
                .all()
            )
            tokens = [ack_token(tx, one) for row in rows if (one := newest_delivery(tx, row)) is not None]
            return {"public_id": [row.public_id for row in rows], "token": tokens}

    def _paths(self, mine: dict[str, list[str]]) -> Iterator[str]:
        tool = {"Authorization": f"Bearer {self.tokens['Aino']}", "Accept": TAXII}
        client = self.app.test_client()
        root = "/taxii2/released/collections/"
        found = client.get(root, headers=tool, base_url=HTTPS).get_json(force=True)["collections"]
        objects = client.get(f"{root}{found[0]['id']}/objects/", headers=tool, base_url=HTTPS).get_json(force=True)
        known = {
            **mine, "collection_id": [one["id"] for one in found],
            "object_id": [one["id"] for one in objects.get("objects", ())][:1],
            "reference": [f"INC-{self.hands.begin.year}-000004"],  # there in one of them only
        }  # fmt: skip
        for rule in sorted(self.app.url_map.iter_rules(), key=lambda rule: rule.rule):
            if "GET" in (rule.methods or ()) and rule.endpoint not in _NOT_ASKED:
                yield from _filled(rule.rule, known)
        for path in ("/released", "/api/v1/released"):
            yield from (f"{path}?q=ransom", f"{path}?q=nothing-like-it", f"{path}?limit=1", f"{path}?show=waiting")
            yield from (f"{path}?before={each}&cursor={each}" for each in mine["public_id"])
        for each in mine["public_id"]:
            for form in ("json", "stix", "misp"):
                yield f"/released/{each}/file?as={form}"
                yield f"/api/v1/released/{each}/file?as={form}"
        yield from (f"{root}{each}/objects/?limit=1" for each in known["collection_id"])

    def _written(self) -> Iterator[tuple[str, str]]:
        """Every call of the API that would change something, and of their own collection; none of them is theirs."""
        for rule in sorted(self.app.url_map.iter_rules(), key=lambda rule: (rule.rule, sorted(rule.methods or ()))):
            for method in sorted({"POST", "PUT", "PATCH", "DELETE"} & (rule.methods or set())):
                if rule.rule.startswith(("/api/v1", "/taxii2")):
                    yield from ((method, path) for path in _filled(rule.rule, {"reference": [
                        f"INC-{self.hands.begin.year}-000004"]}))  # fmt: skip

    def _pushed(self) -> str:
        hooks = [json.dumps([each.kind, each.webhook_id, json.loads(each.raw)], sort_keys=False)
                 for each in self.receiver.kept() if each.path == "/fi"]  # fmt: skip
        mails = [message_from_bytes(letter.content) for letter in self.box.letters
                 if letter.rcpt_tos == ["desk@fi.example"]]  # fmt: skip
        return "\n".join([*hooks, *(_letter(each) for each in mails)])


def _letter(mail: Message) -> str:
    """All of a mail but when the machine made it, and what parts its parts."""
    headers = [f"{name}: {value}" for name, value in mail.items() if name not in ("Date", "Content-Type")]
    bodies = [(part.get_payload(decode=True) or b"").decode() for part in mail.walk()]  # type: ignore[union-attr]
    return "\n".join([*headers, *bodies])


_THEIRS = ("/released", "/a/", "/public", "/account", "/changes", "/me")
#: The last shows a secret that is drawn by lot, and as a picture.
_NOT_ASKED = {"health.metrics", "site.static_file", "docs.file", "account.second_factor"}
_PART = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")


def _filled(rule: str, known: dict[str, list[str]]) -> Iterator[str]:
    match = _PART.search(rule)
    if match is None:
        yield rule
        return
    usual = ["5"] if "int:" in match[0] else ["none"]
    for value in known.get(match[1], usual):
        yield from _filled(rule.replace(match[0], value, 1), known)


Story = Callable[[Seen], None]

"""The same text, decided in the same way, gives the same answer at every exit to partners."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select

from coordinator import clock
from coordinator.accounts import sessions
from coordinator.accounts.principal import Principal
from coordinator.accounts.service import create_token
from coordinator.alerts import rungs
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Alert, Delivery, DeliveryAttempt
from coordinator.app import create_app
from coordinator.partners.queries import organisation_by_code
from coordinator.store import Store
from tests.alerting import (
    MailBox,
    agreement,
    due,
    mail_server,
    mailbox,
    put_contact,
    put_incident,
    put_organisation,
    put_system,
    settings_of,
    webhook,
)
from tests.canary.addresses import TAXII
from tests.canary.exits import EXITS, LINK, PUSHED, SIGNED_IN
from tests.factories import OTHER, PARTNER, World, person, small_world, user_row
from tests.harness.receiver import Receiver
from workers import deliver as worker

HTTPS = "https://us.example"
STRANGER = "NO-CSIRT"


class Scene:
    """One text told to a partner by mail, and to another by its system; a third one hears nothing."""

    word = "zqkwalnut"

    def __init__(self, store: Store, box: MailBox, receiver: Receiver) -> None:
        self.store, self.box, self.receiver = store, box, receiver
        self.world: World = small_world(store)
        with store.unit_of_work() as tx:
            for code in (PARTNER, OTHER, STRANGER):
                put_organisation(tx, code)
            put_contact(tx, mailbox("desk@fi.example"), tlp_max="RED")
            system = receiver.partner(OTHER, "lv")
            near = {"secret": system.out_secret, "allow_private": ["127.0.0.0/8"]}
            put_system(tx, system.url, code=OTHER, slug="lv-out", **near)
            put_contact(tx, webhook("lv-out"), code="lv", organisation=OTHER, tlp_max="RED")
            agreement(tx)
            nobodys = organisation_by_code(tx, STRANGER)
            assert nobodys is not None
        self.reader = person(store, "partner-user", "Aino", self.world.partner_id)
        self.stranger = person(store, "partner-user", "Nora", nobodys.id)
        self.third_id = nobodys.id
        self.app = create_app(store)

    # ------------------------------------------------------------ what is done

    def tell(self, tlp: str, **more: Any) -> None:
        with self.store.unit_of_work() as tx:
            alerts.tell(
                tx, incident=put_incident(tx, tlp=tlp, **more), kind="initial", title=f"{self.word} title",
                body=f"{self.word} body", purpose="network-defence", info_category="incident-notification",
                requested_by="user:99", ack="person", audience={"organisations": [PARTNER, OTHER]},
            )  # fmt: skip

    def send(self) -> None:
        for delivery_id in due(self.store, "delivery.due"):
            worker.deliver(self.store, delivery_id)

    def end_agreement(self) -> None:
        with self.store.unit_of_work() as tx:
            agreement(tx, expires_on=clock.now())

    def withdraw(self) -> None:
        officer = person(self.store, "coordinator")
        with self.store.unit_of_work() as tx:
            for number in tx.execute(select(Alert.id)).scalars().all():
                alerts.withdraw(tx, number, principal=officer, reason="Sent to the wrong partner.")

    # ------------------------------------------------------------ what comes out

    def mails(self) -> str:
        return "\n".join(str(letter.content) for letter in self.box.letters)

    def webhooks(self) -> str:
        return "\n".join(arrival.raw.decode() for arrival in self.receiver.kept())

    def public_id(self) -> str:
        with self.store.read() as tx:
            query = select(Alert.public_id).where(Alert.recipient == PARTNER)
            return tx.execute(query).scalars().first() or "alr-none"

    def behind_link(self, reader: Principal | None) -> str:
        """Behind the link that reached the partner; nobody has one that did not leave."""
        with self.store.read() as tx:
            query = (
                select(Delivery)
                .join(Alert, Alert.id == Delivery.alert_id)
                .join(DeliveryAttempt, DeliveryAttempt.delivery_id == Delivery.id)
                .where(Alert.recipient == PARTNER, DeliveryAttempt.outcome != "withheld")
            )
            delivery = tx.execute(query).scalars().first()
            token = rungs.ack_token(tx, delivery) if delivery is not None else "none"
        client = self.app.test_client()
        if reader is not None:
            self._sign_in(client, reader)
        return _whole(client.get(f"/a/{token}", base_url=HTTPS))

    def page(self, path: str) -> str:
        client = self.app.test_client()
        self._sign_in(client, self.reader)
        return _whole(client.get(path, base_url=HTTPS))

    def tool(self, path: str) -> str:
        return _whole(self._asked(f"/api/v1{path}"))

    def collected(self, path: str) -> str:
        """The partner's TAXII collection, or a part of it."""
        return _whole(self._asked(self._collection() + path))

    def collected_one(self) -> str:
        found = self._asked(f"{self._collection()}objects/").get_json(force=True).get("objects", [])
        several = [one["id"] for one in found if one["type"] in ("incident", "report")] or ["incident--1"]
        return "".join(self.collected(f"objects/{each}/") for each in several)

    def _collection(self) -> str:
        root = "/taxii2/released/collections/"
        return root + self._asked(root).get_json(force=True)["collections"][0]["id"] + "/"

    def _asked(self, path: str) -> Any:
        with self.store.unit_of_work() as tx:
            token = create_token(tx, self.reader.user_id, name="x", scopes=["read"], actor="cli:test")
        headers = {"Authorization": f"Bearer {token}"} | ({"Accept": TAXII} if path.startswith("/taxii2") else {})
        return self.app.test_client().get(path, base_url=HTTPS, headers=headers)

    def file(self, form: str) -> str:
        return self.tool(f"/released/{self.public_id()}/file?as={form}")

    def _sign_in(self, client: Any, reader: Principal) -> None:
        with self.store.unit_of_work() as tx:
            token = sessions.open_session(tx, user_row(tx, reader.user_id), how="test", second_factor=True)
        with client.session_transaction(base_url=HTTPS) as session:
            session["token"] = token


def _whole(answer: Any) -> str:
    return f"{answer.headers}\n{answer.get_data(as_text=True)}"


@pytest.fixture
def scene(sqlite_store: Store) -> Iterator[Scene]:
    box = MailBox()
    with (
        mail_server(box) as url, Receiver(acknowledge=False) as receiver,
        settings_of(sqlite_store, smtp_url=url, base_url=HTTPS),
    ):  # fmt: skip
        yield Scene(sqlite_store, box, receiver)


Story = Callable[[Scene], None]


def _green(scene: Scene) -> None:
    scene.tell("GREEN")
    scene.send()


def _amber(scene: Scene) -> None:
    scene.tell("AMBER")
    scene.send()


def _not_sent_yet(scene: Scene) -> None:
    scene.tell("GREEN")


def _above_the_agreement(scene: Scene) -> None:
    scene.tell("AMBER+STRICT")
    scene.send()


def _received_and_referred(scene: Scene) -> None:
    scene.tell("GREEN", originator_id=scene.third_id, source_id=scene.third_id)
    scene.send()


def _red_for_nobody_named(scene: Scene) -> None:
    scene.tell("RED", restricted=True)
    scene.send()


def _over_before_it_was_sent(scene: Scene) -> None:
    scene.tell("AMBER")
    scene.end_agreement()
    scene.send()


def _over_after_it_was_sent(scene: Scene) -> None:
    _amber(scene)
    scene.end_agreement()


def _taken_back_before(scene: Scene) -> None:
    scene.tell("GREEN")
    scene.withdraw()
    scene.send()


def _taken_back_after(scene: Scene) -> None:
    _green(scene)
    scene.withdraw()


#: What was done, and by which kinds of exits the text is to be read then.
STORIES: list[tuple[Story, set[str]]] = [
    (_green, {PUSHED, LINK, SIGNED_IN}),
    (_amber, {SIGNED_IN}),
    (_not_sent_yet, set()),
    (_above_the_agreement, set()),
    (_received_and_referred, set()),
    (_red_for_nobody_named, set()),
    (_over_before_it_was_sent, set()),
    (_over_after_it_was_sent, set()),
    (_taken_back_before, set()),
    (_taken_back_after, {PUSHED}),
]


@pytest.mark.parametrize(("story", "shown"), STORIES, ids=lambda part: getattr(part, "__name__", "").strip("_"))
def test_the_same_decision_gives_the_same_answer_at_every_exit(scene: Scene, story: Story, shown: set[str]) -> None:
    story(scene)
    found = {name: scene.word in one.look(scene) for name, one in EXITS.items()}
    assert found == {name: one.how in shown for name, one in EXITS.items()}
    scene.reader = scene.stranger
    found = {name: scene.word in one.look(scene) for name, one in EXITS.items() if one.how == SIGNED_IN}
    assert found == {name: LINK in shown and name == "link, signed in" for name in found}

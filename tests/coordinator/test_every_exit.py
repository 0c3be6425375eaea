"""The same text, decided in the same way, gives the same answer at every exit to partners, at any time.

What was pushed lies with the partner. What is read at our doors is read there only while the rules permit it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from coordinator import clock
from coordinator.accounts import sessions
from coordinator.accounts.principal import Principal
from coordinator.accounts.service import create_token, suspend_user
from coordinator.agreements.models import Consent
from coordinator.agreements.service import record_consent
from coordinator.alerts import recalls, rungs
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Alert, Delivery, DeliveryAttempt
from coordinator.app import create_app
from coordinator.incidents.models import Incident
from coordinator.markings import Marking
from coordinator.partners.models import Contact, Organisation
from coordinator.partners.queries import organisation_by_code
from coordinator.sharing.approvals import approve
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
from tests.drawn import whole
from tests.factories import OTHER, OWN, PARTNER, World, person, small_world, user_row
from tests.harness.receiver import Receiver
from tests.leaving import put_cleaned
from tests.owner import past_protection
from tests.releasing import clearing
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
            for code in (PARTNER, OTHER):
                record_consent(tx, {
                    "from": STRANGER, "to": code, "purpose": "*", "item": "*", "evidence": "by phone",
                    "valid_until": clock.now() + timedelta(days=9),
                }, actor="user:1")  # fmt: skip
        self.officer = person(store, "coordinator")
        self.third_id = nobodys.id
        self.recipient, self.readers = PARTNER, {
            PARTNER: person(store, "partner-user", "Aino", self.world.partner_id),
            OTHER: person(store, "partner-user", "Liga", self.world.other_id),
            STRANGER: person(store, "partner-user", "Nora", nobodys.id),
        }  # fmt: skip
        with store.unit_of_work() as tx:
            self.tokens = {
                reader.user_id: create_token(tx, reader.user_id, name="x", scopes=["read"], actor="cli:test")
                for reader in self.readers.values()
            }
        self.reader = self.readers[PARTNER]
        self.app = create_app(store)

    def as_seen_by(self, code: str) -> Scene:
        """From here on looked at as the person of this partner; its own alert is asked for, where it has one."""
        self.reader = self.readers[code]
        self.recipient = code if code != STRANGER else PARTNER
        return self

    # ------------------------------------------------------------ what is done

    def tell(self, tlp: str, *, approved: bool = False, **more: Any) -> None:
        with self.store.unit_of_work() as tx:
            incident = put_incident(tx, tlp=tlp, **more)
            file = put_cleaned(tx, incident, f"{self.word} file", tlp=tlp, originator_id=incident.originator_id)
            told = alerts.tell(
                tx, incident=incident, kind="initial", title=f"{self.word} title", body=f"{self.word} body",
                purpose="network-defence", info_category="incident-notification", requested_by="user:99", items=[file],
                ack="person", audience={"organisations": [PARTNER, OTHER]}, enclosed=[file], of_incident=True)
            for decision in told.referred if approved else ():
                alerts.raise_approved(tx, approve(tx, decision.id, principal=clearing(tx)).id)

    def send(self) -> None:
        for delivery_id in due(self.store, "delivery.due"):
            worker.deliver(self.store, delivery_id)

    def end_agreement(self, **more: Any) -> None:
        with self.store.unit_of_work() as tx:
            agreement(tx, **(more or {"expires_on": clock.now()}))

    def withdraw(self) -> None:
        self.for_each_alert(
            lambda tx, number: alerts.withdraw(tx, number, principal=self.officer, reason="To the wrong partner.")
        )

    def for_each_alert(self, do: Callable[[Any, int], object]) -> None:
        with self.store.unit_of_work() as tx:
            for number in tx.execute(select(Alert.id)).scalars().all():
                do(tx, number)

    def change(self, table: Any, **values: Any) -> None:
        with self.store.unit_of_work() as tx:
            for row in tx.execute(select(table)).scalars():
                for name, value in values.items():
                    setattr(row, name, value)

    # ------------------------------------------------------------ what comes out

    def mails(self) -> str:
        return "\n".join(str(letter.content) for letter in self.box.letters)

    def webhooks(self) -> str:
        return "\n".join(arrival.raw.decode() for arrival in self.receiver.kept())

    def public_id(self) -> str:
        with self.store.read() as tx:
            query = select(Alert.public_id).where(Alert.id.in_(self._its_alert()))
            return tx.execute(query).scalars().first() or "alr-none"

    def _its_alert(self) -> Any:
        return select(Alert.id).where(Alert.recipient == self.recipient, Alert.kind == "initial")

    def behind_link(self, reader: Principal | None) -> str:
        """Behind the link that reached the partner; nobody has one that did not leave."""
        with self.store.read() as tx:
            query = (
                select(Delivery)
                .join(Alert, Alert.id == Delivery.alert_id)
                .join(DeliveryAttempt, DeliveryAttempt.delivery_id == Delivery.id)
                .where(DeliveryAttempt.outcome != "withheld", Alert.id.in_(self._its_alert()))
            )
            delivery = tx.execute(query).scalars().first()
            token = rungs.ack_token(tx, delivery) if delivery is not None else "none"
        client = self.app.test_client()
        if reader is not None:
            self._sign_in(client, reader)
        return whole(client.get(f"/a/{token}", base_url=HTTPS, follow_redirects=True))

    def page(self, path: str) -> str:
        client = self.app.test_client()
        self._sign_in(client, self.reader)
        return whole(client.get(path, base_url=HTTPS))

    def tool(self, path: str) -> str:
        return whole(self._asked(f"/api/v1{path}"))

    def collected(self, path: str) -> str:
        """The partner's TAXII collection, or a part of it."""
        return whole(self._asked(self._collection() + path))

    def collected_one(self) -> str:
        found = (self._asked(f"{self._collection()}objects/").get_json(force=True) or {}).get("objects", [])
        several = [one["id"] for one in found if one["type"] in ("incident", "report")] or ["incident--1"]
        return "".join(self.collected(f"objects/{each}/") for each in several)

    def _collection(self) -> str:
        root = "/taxii2/released/collections/"
        found = self._asked(root).get_json(force=True).get("collections") or [{"id": "none"}]
        return f"{root}{found[0]['id']}/"

    def _asked(self, path: str) -> Any:
        bearer = {"Authorization": f"Bearer {self.tokens[self.reader.user_id]}"}
        headers = bearer | ({"Accept": TAXII} if path.startswith("/taxii2") else {})
        return self.app.test_client().get(path, base_url=HTTPS, headers=headers)

    def file(self, form: str) -> str:
        return self.tool(f"/released/{self.public_id()}/file?as={form}")

    def _sign_in(self, client: Any, reader: Principal) -> None:
        with self.store.unit_of_work() as tx:
            token = sessions.open_session(tx, user_row(tx, reader.user_id), how="test", second_factor=True)
        with client.session_transaction(base_url=HTTPS) as session:
            session["token"] = token


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


def _received_with_consent(scene: Scene) -> None:
    """What a third party told us and controls, passed on with its consent and by two of us."""
    marking = Marking(tlp="GREEN", orcon=True)
    scene.tell("GREEN", approved=True, originator_id=scene.third_id, source_id=scene.third_id, marking=marking)
    scene.send()


def _consent_withdrawn(scene: Scene) -> None:
    _received_with_consent(scene)
    scene.change(Consent, withdrawn_at=clock.now())


def _consent_over(scene: Scene) -> None:
    _received_with_consent(scene)
    past_protection(scene.store, "consents", "UPDATE consents SET valid_until = :now", now=clock.now())


def _label_raised(scene: Scene) -> None:
    _green(scene)
    scene.change(Incident, tlp="AMBER")


def _caveat_added(scene: Scene) -> None:
    _green(scene)
    scene.change(Incident, marking=Marking(tlp="GREEN", orcon=True).to_json())


def _agreement_suspended(scene: Scene) -> None:
    _amber(scene)
    scene.end_agreement(suspended=[{"from": clock.rfc3339(clock.now()), "reason": "talks", "by": OWN}])


def _agreement_to_be_suspended(scene: Scene) -> None:
    _amber(scene)
    later = clock.now() + timedelta(hours=1)
    scene.end_agreement(suspended=[{"from": clock.rfc3339(later), "reason": "talks", "by": OWN}])


def _agreement_narrowed(scene: Scene) -> None:
    _amber(scene)
    scene.end_agreement(ceiling="GREEN")


def _recalled(scene: Scene) -> None:
    _green(scene)
    with scene.store.unit_of_work() as tx:
        number = tx.execute(select(Alert.id)).scalars().first()
        recalls.recall_alert(tx, number, principal=scene.officer, reason="Ours by mistake.")


def _contact_removed(scene: Scene) -> None:
    """Whoever has the link is no contact any more; the organisation's people are still its people."""
    _green(scene)
    scene.change(Contact, active=False)


def _contact_in_doubt(scene: Scene) -> None:
    _green(scene)
    scene.change(Contact, suspect_since=clock.now())


def _partner_no_more(scene: Scene) -> None:
    _green(scene)
    scene.change(Organisation, active=False)


def _account_suspended(scene: Scene) -> None:
    _amber(scene)
    with scene.store.unit_of_work() as tx:
        suspend_user(tx, scene.reader.user_id, actor="user:1", reason="Seen elsewhere.")


def _text_altered(scene: Scene) -> None:
    """By whoever owns the database."""
    _green(scene)
    past_protection(scene.store, "releases", "UPDATE releases SET content_digest = :other", other="0" * 64)


#: What was done, and by which kinds of exits the text is to be read then: by the partner told by mail, and by the one
#: told by its system (None: it was told nothing, for want of an agreement).
EVERYWHERE, NOWHERE = frozenset({PUSHED, LINK, SIGNED_IN}), frozenset[str]()
STORIES: list[tuple[Story, frozenset[str], frozenset[str] | None]] = [
    (_green, EVERYWHERE, EVERYWHERE),
    (_received_with_consent, EVERYWHERE, EVERYWHERE),
    (_not_sent_yet, NOWHERE, NOWHERE),
    (_received_and_referred, NOWHERE, NOWHERE),
    (_taken_back_before, NOWHERE, NOWHERE),
    *((story, frozenset({SIGNED_IN}), None) for story in (_amber, _agreement_to_be_suspended)),
    *((story, NOWHERE, None) for story in (
        _above_the_agreement, _red_for_nobody_named, _over_before_it_was_sent, _over_after_it_was_sent,
        _agreement_suspended, _agreement_narrowed, _account_suspended)),
    *((story, frozenset({PUSHED}), frozenset({PUSHED})) for story in (
        _taken_back_after, _consent_withdrawn, _consent_over, _label_raised, _caveat_added, _recalled,
        _partner_no_more, _text_altered)),
    *((story, frozenset({PUSHED, SIGNED_IN}), frozenset({PUSHED, SIGNED_IN})) for story in (
        _contact_removed, _contact_in_doubt)),
]  # fmt: skip


@pytest.mark.parametrize(("story", "by_mail", "by_system"), STORIES, ids=lambda part: getattr(part, "__name__", ""))
def test_the_same_decision_gives_the_same_answer_at_every_exit(
    scene: Scene, story: Story, by_mail: frozenset[str], by_system: frozenset[str] | None
) -> None:
    story(scene)
    for code, shown in ((PARTNER, by_mail), (OTHER, by_system)):
        if shown is not None:
            found = {name: scene.word in one.look(scene.as_seen_by(code)) for name, one in EXITS.items()}
            assert found == {name: one.how in shown for name, one in EXITS.items()}, code
    if by_mail:  # there is something for a third one not to see
        scene.as_seen_by(STRANGER)
        found = {name: scene.word in one.look(scene) for name, one in EXITS.items() if one.how == SIGNED_IN}
        assert found == {name: LINK in by_mail and name == "link, signed in" for name in found}


def test_whoever_may_read_no_more_learns_that_and_not_why(scene: Scene) -> None:
    """Consent, label, agreement and contact: the same words, and the same page but for what is the alert's own."""
    said = set()
    for story in (_consent_withdrawn, _label_raised, _agreement_suspended):
        story(scene)
        page = scene.page(f"/released/{scene.public_id()}").split("<main")[1].split("</main")[0]
        assert "not given out at present" in page
        assert not re.search("consent|agreement|raised|suspend|withdraw", page.lower())
        said.add(scene.file("json").partition("{")[2])
    assert len(said) == 1

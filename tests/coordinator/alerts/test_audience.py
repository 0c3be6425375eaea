"""Who is told, and by which way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import time_machine
from sqlalchemy import update
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.alerts.audience import find, on_duty, resolve, ways_to
from coordinator.markings import Tlp
from coordinator.partners.models import Contact, Endpoint, Organisation
from coordinator.partners.queries import organisation_by_code
from coordinator.store import Store
from tests.alerting import (
    agreement,
    mailbox,
    phone,
    put_contact,
    put_incident,
    put_organisation,
    put_system,
    settings_of,
    webhook,
)
from tests.factories import OTHER, OWN, PARTNER


@pytest.fixture
def tx(sqlite_store: Store) -> Iterator[Session]:
    """Three organisations of the community, a contact at each, our own among them."""
    with settings_of(sqlite_store, smtp_url="smtp://127.0.0.1:1"), sqlite_store.unit_of_work() as tx:
        put_organisation(tx, OWN, own=True, kind="ministry", country="EE")
        put_organisation(tx, PARTNER, country="FI")
        put_organisation(tx, OTHER, kind="ministry", country="LV", communities=[])
        put_system(tx, "https://csirt.fi.example/hook")
        put_contact(tx, mailbox("own@ee.example"), code="own", organisation=OWN)
        put_contact(tx, webhook(), mailbox(), phone())
        put_contact(tx, mailbox("lv@lv.example"), code="lv", organisation=OTHER, kind="diplomatic")
        yield tx


def codes(tx: Session, audience: dict[str, object], **more: object) -> list[str]:
    fields = {"incident": None, "exercise": "", "tlp": Tlp.GREEN, **more}
    return [each.recipient for each in resolve(tx, audience, **fields)]  # type: ignore[arg-type]


def ways(tx: Session, code: str = PARTNER, *, tlp: Tlp | None = Tlp.GREEN, exercise: str = "") -> list[tuple[str, str]]:
    organisation = organisation_by_code(tx, code)
    found = ways_to(tx, organisation, exercise=exercise, tlp=tlp)
    return [(tx.get_one(Contact, each.contact_id).code, each.channel_kind) for each in found]


@pytest.mark.parametrize(("audience", "expected"), [
    ({"organisations": [OTHER, PARTNER]}, [PARTNER, OTHER]),
    ({"organisations": [OWN]}, []),
    ({"directory": "all"}, [PARTNER, OTHER]),
    ({"directory": "diplomatic"}, [OTHER]),
    ({"contact_kind": "technical"}, [PARTNER]),
    ({"community": "cyber-defence"}, [PARTNER]),
    ({"agreement": "MOU"}, [PARTNER]),
    ({"agreement": "NONE"}, []),
    ({"affected_states": True}, [PARTNER]),
    ({"reporter": True}, [OTHER]),
    ({}, []),
])  # fmt: skip
def test_the_words_of_an_audience(tx: Session, audience: dict[str, object], expected: list[str]) -> None:
    agreement(tx)
    incident = put_incident(tx, source_id=organisation_by_code(tx, OTHER).id)
    assert sorted(codes(tx, audience, incident=incident)) == sorted(expected)


def test_our_own_organisation_is_never_an_audience(tx: Session) -> None:
    for audience in ({"directory": "all"}, {"community": "cyber-defence"}, {"organisations": [OWN]}):
        assert OWN not in codes(tx, audience)


def test_who_cannot_be_reached_is_said(tx: Session) -> None:
    put_organisation(tx, "SE-CSIRT")
    found = find(tx, {"organisations": ["SE-CSIRT", "XX"]}, incident=None, exercise="", tlp=Tlp.GREEN)
    assert found.addressees == ()
    assert {each.code for each in found.unreachable} == {"SE-CSIRT", "XX"}


def test_channels_are_offered_in_their_order(tx: Session) -> None:
    assert ways(tx) == [("fi-duty", "webhook"), ("fi-duty", "email"), ("fi-duty", "voice")]


def test_the_ceiling_of_a_contact_and_of_an_endpoint_are_looked_at_before_anything_is_offered(tx: Session) -> None:
    put_contact(tx, webhook(), code="fi-low", tlp_max="GREEN", order=0)
    assert ways(tx, tlp=Tlp.AMBER) == [("fi-duty", "webhook"), ("fi-duty", "email"), ("fi-duty", "voice")]
    assert ways(tx, tlp=Tlp.AMBER_STRICT) == [] == ways(tx, tlp=None)
    tx.execute(update(Endpoint).values(tlp_max="GREEN"))
    assert ways(tx, tlp=Tlp.AMBER) == [("fi-duty", "email"), ("fi-duty", "voice")]


def test_a_fresh_contact_comes_before_a_stale_or_suspect_one_whatever_the_order(tx: Session) -> None:
    put_contact(tx, mailbox(), code="fi-second", order=2)
    for changed in ({"verified_on": clock.now() - timedelta(days=366)}, {"verified_on": None},
                    {"suspect_since": clock.now(), "verified_on": clock.now()}):  # fmt: skip
        tx.execute(update(Contact).where(Contact.code == "fi-duty").values(**changed))
        tx.expire_all()
        assert ways(tx)[0] == ("fi-second", "email")
        assert ways(tx)[-1] == ("fi-duty", "voice")


@pytest.mark.parametrize(
    ("zone", "there"), [("Europe/Tallinn", False), ("Asia/Tokyo", True), ("nowhere/at-all", False)]
)
def test_office_hours_are_those_of_the_contacts_own_place(zone: str, there: bool) -> None:
    monday_night = datetime.fromisoformat("2026-11-23T03:10:00+00:00")
    assert on_duty(Contact(hours="office", time_zone=zone), monday_night) is there
    assert on_duty(Contact(hours="24x7", time_zone=zone), monday_night)
    assert not on_duty(Contact(hours="office", time_zone="Asia/Tokyo"), monday_night - timedelta(days=1))


def test_at_night_the_desk_that_is_there_is_tried_first(tx: Session) -> None:
    put_contact(tx, phone(), code="lv-desk", organisation=OTHER, hours="24x7", order=5, verified_on=clock.now())
    tx.execute(update(Contact).where(Contact.code == "lv").values(hours="office", time_zone="Europe/Riga"))
    with time_machine.travel("2026-11-24T02:00:00Z"):
        assert ways(tx, OTHER)[0] == ("lv-desk", "voice")
    with time_machine.travel("2026-11-24T10:00:00Z"):
        assert ways(tx, OTHER)[0] == ("lv", "email")


def test_an_exercise_has_channels_of_its_own(tx: Session) -> None:
    assert ways(tx, exercise="EX-1") == []
    tx.execute(update(Contact).where(Contact.code == "fi-duty").values(exercise="EX-2"))
    tx.expire_all()
    assert ways(tx) == []  # somebody of an exercise is not told of what is real
    assert codes(tx, {"directory": "all"}, exercise="EX-1") == []


def test_what_is_retired_disabled_or_has_no_server_is_not_offered(tx: Session, sqlite_store: Store) -> None:
    tx.execute(update(Endpoint).values(state="disabled"))
    with settings_of(sqlite_store, smtp_url=""):
        assert ways(tx) == [("fi-duty", "voice")]
    tx.execute(update(Contact).values(active=False))
    assert ways(tx) == []
    tx.execute(update(Organisation).where(Organisation.code == PARTNER).values(active=False))
    assert codes(tx, {"community": "cyber-defence"}) == []


def test_a_named_person_is_one_only_where_the_way_reaches_that_one_alone(tx: Session) -> None:
    aino = {"name": "Aino", "email": "aino@fi.example"}
    contact = put_contact(tx, webhook(), mailbox("aino@fi.example"), mailbox("desk@fi.example"), phone(),
                          code="fi-aino", person=aino, order=0)  # fmt: skip
    organisation = organisation_by_code(tx, PARTNER)
    found = [each for each in ways_to(tx, organisation, exercise="", tlp=Tlp.GREEN) if each.contact_id == contact.id]
    assert [(each.channel_kind, each.person) for each in found] == [
        ("webhook", ""), ("email", "aino@fi.example"), ("email", ""), ("voice", "aino@fi.example"),
    ]  # fmt: skip

"""A change asked for by one is made when another one accepts; stale, late, double and hostile answers are refused."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts import service as accounts
from coordinator.accounts import staff
from coordinator.accounts.models import User
from coordinator.alerts.models import Alert, Delivery
from coordinator.changes import queries, service
from coordinator.changes.models import ProposedChange
from coordinator.changes.rules import Kind
from coordinator.errors import Invalid, NotFound, Refused, StepUpNeeded
from coordinator.interchange.world import load_world
from coordinator.partners.models import Endpoint, EndpointKey
from coordinator.partners.queries import duty_role, organisation_by_code, setting
from coordinator.partners.signing import generate_secret
from coordinator.sharing.inputs_from_world import text_of
from coordinator.sharing.models import Release
from coordinator.timeline.models import Entry
from tests.alerting import due, settings_of
from tests.coordinator.changes.conftest import Pair
from tests.factories import person
from workers import tell

OUT = {"id": "fi-out", "organisation": "FI-CSIRT", "direction": "out", "url": "https://fi.example/hook"}


def ask_for_endpoint(pair: Pair, **more: Any) -> int:
    with pair.store.unit_of_work() as tx:
        wanted = OUT | {"secret": generate_secret()} | more
        change = service.ask(tx, Kind.ENDPOINT, wanted, actor=pair.administrator.actor, reason="They moved.").change
        assert change is not None
        return change.id


def kinds(tx: Session) -> list[str]:
    return list(tx.execute(select(Entry.kind).where(Entry.kind.like("change.%")).order_by(Entry.id)).scalars())


def test_nothing_changes_until_another_person_accepts(pair: Pair) -> None:
    change_id = ask_for_endpoint(pair)
    with pair.store.read() as tx:
        assert tx.execute(select(func.count()).select_from(Endpoint).where(Endpoint.slug == "fi-out")).scalar() == 0
    with pair.store.unit_of_work() as tx, pytest.raises(Refused):
        service.accept(tx, change_id, principal=pair.administrator)
    with pair.store.unit_of_work() as tx:
        service.accept(tx, change_id, principal=pair.coordinator)
    with pair.store.read() as tx:
        made = tx.execute(select(Endpoint).where(Endpoint.slug == "fi-out")).scalar_one()
        assert made.url == OUT["url"]
        assert tx.execute(select(func.count()).where(EndpointKey.endpoint_id == made.id)).scalar() == 1
        assert kinds(tx) == ["change.asked", "change.accepted"]
        added = tx.execute(select(Entry).where(Entry.kind == "endpoint.added")).scalar_one()
        assert added.actor == pair.administrator.actor


def test_a_secret_that_waits_is_nowhere_in_the_open_and_in_no_answer(pair: Pair) -> None:
    secret = generate_secret()
    change_id = ask_for_endpoint(pair, secret=secret)
    with pair.store.read() as tx:
        shown = repr(queries.one(tx, change_id, principal=pair.coordinator))
        row = tx.get_one(ProposedChange, change_id)
        assert secret not in shown and secret[6:].encode() not in row.sealed


def test_what_decides_who_gets_things_is_changed_by_two(pair: Pair) -> None:
    """A community's members get its GREEN, our clients our AMBER: neither is one person's to say."""
    wanted = {"code": "FI-CSIRT", "name": "National CSIRT", "kind": "national-csirt", "country": "FI"}
    with pair.store.unit_of_work() as tx:
        named = service.ask_organisation(tx, wanted, actor=pair.administrator.actor)
        assert named.change is None and "changed name" in named.line
    for more in ({"communities": ["cyber-defence"]}, {"client_of_own": True}, {"own": True}, {"country": "SE"}):
        with pair.store.unit_of_work() as tx:
            change = service.ask_organisation(tx, wanted | more, actor=pair.administrator.actor).change
            assert change is not None
            row = organisation_by_code(tx, "FI-CSIRT")
            assert row is not None
            assert (row.communities, row.client_of_own, row.is_own, row.country) == ([], False, False, "FI")
            number = change.id
        with pair.store.unit_of_work() as tx, pytest.raises(Refused):
            service.accept(tx, number, principal=pair.administrator)
    with pair.store.unit_of_work() as tx:
        service.accept(tx, number - 3, principal=pair.coordinator)
    with pair.store.read() as tx:
        row = organisation_by_code(tx, "FI-CSIRT")
        assert row is not None and (row.communities, row.client_of_own) == (["cyber-defence"], False)
        assert tx.get_one(ProposedChange, number).state == "overtaken"


def test_a_new_organisation_is_there_at_once_and_in_no_community_until_another_accepts(pair: Pair) -> None:
    wanted = {"code": "SE-CERT", "name": "CERT", "kind": "csirt", "country": "SE", "communities": ["nordic"],
              "client_of_own": True}  # fmt: skip
    with pair.store.unit_of_work() as tx:
        asked = service.ask_organisation(tx, wanted, actor=pair.administrator.actor)
        assert asked.change is not None and "organisation SE-CERT: added" in asked.line
    with pair.store.unit_of_work() as tx:
        row = organisation_by_code(tx, "SE-CERT")
        assert row is not None and (row.country, row.communities, row.client_of_own) == ("SE", [], False)
        shown = queries.one(tx, asked.change.id, principal=pair.coordinator)
        assert {each["field"] for each in shown["differences"]} == {"communities", "client_of_own"}
        service.accept(tx, asked.change.id, principal=pair.coordinator)
    with pair.store.read() as tx:
        row = organisation_by_code(tx, "SE-CERT")
        assert row is not None and (row.communities, row.client_of_own) == (["nordic"], True)


def test_asked_twice_it_waits_once(pair: Pair) -> None:
    secret = generate_secret()
    assert ask_for_endpoint(pair, secret=secret) == ask_for_endpoint(pair, secret=secret)


def test_a_change_is_made_once_and_an_answer_stands(pair: Pair) -> None:
    change_id = ask_for_endpoint(pair)
    with pair.store.unit_of_work() as tx:
        service.accept(tx, change_id, principal=pair.coordinator)
    for answer in (service.accept, lambda tx, number, principal: service.refuse(tx, number, principal=principal,
                                                                                 reason="No.")):  # fmt: skip
        with pair.store.unit_of_work() as tx, pytest.raises(Refused):
            answer(tx, change_id, principal=pair.coordinator)


def test_what_was_changed_meanwhile_is_not_overwritten(pair: Pair) -> None:
    with pair.store.unit_of_work() as tx:
        service.accept(tx, ask_for_endpoint_in(tx, pair, generate_secret()), principal=pair.coordinator)
    first = ask_for_endpoint(pair, url="https://new.example/hook")
    with pair.store.unit_of_work() as tx:
        tx.execute(update(Endpoint).where(Endpoint.slug == "fi-out").values(restricted=True))
    with pair.store.unit_of_work() as tx:
        tx.execute(update(Delivery).values(attempts=1))
    with pair.store.unit_of_work() as tx, pytest.raises(Refused, match="changed meanwhile"):
        service.accept(tx, first, principal=pair.coordinator)


def ask_for_endpoint_in(tx: Session, pair: Pair, secret: str) -> int:
    change = service.ask(tx, Kind.ENDPOINT, OUT | {"secret": secret}, actor=pair.administrator.actor).change
    assert change is not None
    return change.id


def test_of_two_changes_of_one_thing_the_second_is_overtaken(pair: Pair) -> None:
    first, second = ask_for_endpoint(pair), ask_for_endpoint(pair, url="https://second.example/hook")
    with pair.store.unit_of_work() as tx:
        service.accept(tx, second, principal=pair.coordinator)
    with pair.store.read() as tx:
        assert tx.get_one(ProposedChange, first).state == "overtaken"


def test_refused_needs_a_reason_and_changes_nothing(pair: Pair) -> None:
    change_id = ask_for_endpoint(pair)
    with pair.store.unit_of_work() as tx, pytest.raises(Invalid):
        service.refuse(tx, change_id, principal=pair.coordinator, reason=" ")
    with pair.store.unit_of_work() as tx:
        service.refuse(tx, change_id, principal=pair.coordinator, reason="They know nothing of it.")
    with pair.store.read() as tx:
        assert tx.execute(select(Endpoint).where(Endpoint.slug == "fi-out")).scalar_one_or_none() is None
        assert kinds(tx) == ["change.asked", "change.refused"]


def test_an_old_session_without_second_factor_answers_nothing(pair: Pair) -> None:
    from dataclasses import replace

    change_id = ask_for_endpoint(pair)
    weak = replace(pair.coordinator, second_factor_at=None)
    with pair.store.unit_of_work() as tx, pytest.raises(StepUpNeeded):
        service.accept(tx, change_id, principal=weak)


def test_unanswered_it_is_over(pair: Pair) -> None:
    change_id = ask_for_endpoint(pair)
    with pair.store.unit_of_work() as tx:
        service.expire(tx, change_id)
        assert tx.get_one(ProposedChange, change_id).state == "waiting"
        tx.execute(update(ProposedChange).values(expires_at=clock.now() - timedelta(seconds=1)))
    with pair.store.unit_of_work() as tx, pytest.raises(Refused, match="in time"):
        service.accept(tx, change_id, principal=pair.coordinator)
    with pair.store.unit_of_work() as tx:
        service.expire(tx, change_id)
        assert tx.get_one(ProposedChange, change_id).state == "expired"


def test_who_may_not_read_agreements_does_not_see_their_changes(pair: Pair) -> None:
    manager = person(pair.store, "agreement-manager")
    terms = {
        "agreement_id": "MOU-1", "kind": "mou-bilateral", "tlp_ceiling": "AMBER", "permitted_purposes": ["attribution"],
        "parties": [{"party": "EE-MFA", "role": "both"}, {"party": "FI-CSIRT", "role": "both"}],
        "info_categories_allowed": ["statistics"],
    }  # fmt: skip
    with pair.store.unit_of_work() as tx:
        change = service.ask(tx, Kind.AGREEMENT, terms, actor=manager.actor).change
        assert change is not None
        change_id = change.id
    with pair.store.unit_of_work() as tx:
        assert queries.waiting(tx, principal=pair.administrator) == []
        with pytest.raises(NotFound):
            service.accept(tx, change_id, principal=pair.administrator)
        assert queries.waiting_count(tx, principal=pair.coordinator) == 1


def test_the_old_channel_is_told_before_the_change_can_be_made(pair: Pair) -> None:
    with pair.store.unit_of_work() as tx:
        service.accept(tx, ask_for_endpoint_in(tx, pair, generate_secret()), principal=pair.coordinator)
    change_id = ask_for_endpoint(pair, url="https://new.example/hook")
    with pair.store.unit_of_work() as tx:
        told = tx.execute(select(Alert).where(Alert.kind == "contact-change")).scalar_one()
        assert told.recipient == "FI-CSIRT" and tx.get_one(ProposedChange, change_id).notices == [told.id]
        with pytest.raises(Refused, match="told first"):
            service.accept(tx, change_id, principal=pair.coordinator)
    with pair.store.unit_of_work() as tx:  # it was tried: whether it arrived or not, the change can be answered
        tx.execute(update(Delivery).where(Delivery.alert_id == told.id).values(attempts=1))
    with pair.store.unit_of_work() as tx:
        service.accept(tx, change_id, principal=pair.coordinator)


def test_until_there_are_two_persons_changes_are_made_at_once(store: Any, world: Any) -> None:
    person(store, "liaison-officer")
    alone = person(store, "administrator")
    with store.unit_of_work() as tx:
        assert not service.two_persons(tx, Kind.ENDPOINT)
        made = service.ask(tx, Kind.ENDPOINT, OUT | {"secret": generate_secret()}, actor=alone.actor)
        assert made.change is None and made.line.startswith("endpoint fi-out: added")
        first = {"email": "first@ee.example", "name": "First", "role": "coordinator"}
        assert service.ask(tx, Kind.ACCOUNT, first, actor=alone.actor).change is None
        second = {"email": "second@ee.example", "name": "Second", "role": "release-authority"}
        assert service.ask(tx, Kind.ACCOUNT, second, actor=alone.actor).change is not None
        accounts.suspend_user(tx, accounts.user_by_email(tx, "first@ee.example").id, actor=alone.actor, reason="x")
        assert service.two_persons(tx, Kind.ACCOUNT), "stopping the only other person opens nothing"


def test_a_reset_factor_ends_everything_and_bars_approving_for_a_day(pair: Pair) -> None:
    release = person(pair.store, "release-authority")
    with pair.store.unit_of_work() as tx:
        token = accounts.create_token(tx, release.user_id, name="t", scopes=["read"], actor="cli:test")
        with pytest.raises(Refused):
            staff.make_link(tx, release.user_id, actor="cli:test")
        change = service.ask(tx, Kind.FACTOR_RESET, {"user": release.user_id}, actor=pair.administrator.actor).change
        assert change is not None
    with pair.store.unit_of_work() as tx, pytest.raises(Refused, match="your own account"):
        service.accept(tx, change.id, principal=release)
    with pair.store.unit_of_work() as tx:
        service.accept(tx, change.id, principal=pair.coordinator)
    with pair.store.unit_of_work() as tx:
        user = tx.get_one(User, release.user_id)
        assert user.enrolled_at is None and accounts.token_principal(tx, token) is None
        assert staff.make_link(tx, release.user_id, actor="cli:test")
        with pytest.raises(Refused, match="24 hours"):
            service.accept(tx, _another(tx, pair), principal=release)
        staff.check_may_approve(tx, release.user_id, now=clock.now() + timedelta(hours=24, seconds=1))


def test_the_owner_is_told_of_what_was_asked_and_done_and_of_a_link(pair: Pair) -> None:
    release = person(pair.store, "release-authority")
    with settings_of(pair.store, smtp_url="smtp://127.0.0.1:1"):
        with pair.store.unit_of_work() as tx:
            wanted = {"user": release.user_id}
            change = service.ask(tx, Kind.FACTOR_RESET, wanted, actor=pair.administrator.actor).change
            assert change is not None
            assert notices(tx, release.user_id) == ["A change of your account was asked for",
                                                    "A change waits for a second person"]  # fmt: skip
            service.accept(tx, change.id, principal=pair.coordinator)
            tx.get_one(User, release.user_id).last_sign_in_at = clock.now()
            staff.make_link(tx, release.user_id, actor=pair.administrator.actor)
        for kind, job in (("user.factor-reset", tell.factor_reset), ("link.made", tell.link_made)):
            for user_id in due(pair.store, kind):
                with pair.store.unit_of_work() as tx:
                    job(tx, user_id)
        with pair.store.read() as tx:
            assert notices(tx, release.user_id)[2:] == ["Your second factor was reset",
                                                        "A sign-in link for your account was made"]  # fmt: skip


def notices(tx: Session, user_id: int) -> list[str]:
    query = select(Alert.release_id).where(Alert.user_id == user_id, Alert.kind == "notice").order_by(Alert.id)
    return [text_of(tx, tx.get_one(Release, release_id))[0] for release_id in tx.execute(query).scalars()]


def world_with(store: Any, **settings: str) -> list[str]:
    with store.unit_of_work() as tx:
        return load_world(tx, json.dumps({"settings": settings}).encode(), actor="cli:root", digest="0" * 64)


def test_who_we_are_and_who_is_told_is_changed_in_a_world_file_by_two(pair: Pair) -> None:
    """At the first time it is set at once. That nobody set the duty role yet does not make it anybody's to move."""
    duty = person(pair.store, "duty-officer")
    settings = {"own_organisation": "EE-MFA", "community": "cyber-defence"}
    assert len(world_with(pair.store, **settings)) == 2 and world_with(pair.store, **settings) == []
    with settings_of(pair.store, smtp_url="smtp://127.0.0.1:1"):
        lines = world_with(pair.store, own_organisation="FI-CSIRT", community="nordic", duty_role="analyst")
    assert len(lines) == 3 and all("waits for a second person" in line for line in lines)
    assert all("already" in line for line in world_with(pair.store, community="nordic", duty_role="analyst"))
    with pair.store.read() as tx:
        assert (setting(tx, "own_organisation"), setting(tx, "community")) == ("EE-MFA", "cyber-defence")
        assert duty_role(tx) == "duty-officer"
        assert "A change waits for a second person" in notices(tx, duty.user_id)
        by_subject = {each["subject"]: each for each in queries.waiting(tx, principal=pair.coordinator)}
        (moved,) = by_subject["duty_role"]["differences"]
        assert (moved["old"], moved["new"]) == ("duty-officer", "analyst")
    with pair.store.unit_of_work() as tx:
        with pytest.raises(Refused, match="not an administrator"):
            service.accept(tx, by_subject["duty_role"]["id"], principal=pair.administrator)
        service.accept(tx, by_subject["duty_role"]["id"], principal=pair.coordinator)
    with pair.store.read() as tx:
        assert duty_role(tx) == "analyst" and setting(tx, "community") == "cyber-defence"


def test_days_off_are_kept_up_by_one_person_on_record(pair: Pair) -> None:
    document = json.dumps({"settings": {"holidays": {"EE": ["2026-12-24"]}}}).encode()
    with pair.store.unit_of_work() as tx:
        assert load_world(tx, document, actor="cli:root", digest="0" * 64) == ["setting holidays: added"]
        assert tx.execute(select(Entry).where(Entry.kind == "setting.changed")).scalar_one().actor == "cli:root"


def _another(tx: Session, pair: Pair) -> int:
    return ask_for_endpoint_in(tx, pair, generate_secret())

"""Passkeys: who may add and remove them, how they confirm a session, and at which addresses there are any."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest
import time_machine

from coordinator import clock, config
from coordinator.accounts import ceremonies, factors, passkeys
from coordinator.accounts.models import Passkey, User, UserSession
from coordinator.errors import Invalid, NotFound, Refused, StepUpNeeded
from tests.authenticator import Authenticator
from tests.signing_in import (
    ORIGIN,
    PASSWORD,
    account,
    added,
    asked,
    begun,
    by_link,
    finished,
    kinds,
    row_of,
    sign_in,
    signed_in,
    with_password,
)


@pytest.fixture
def desk(store):
    """The store at an address that browsers allow passkeys at."""
    store.settings = replace(store.settings, base_url=ORIGIN)
    return store


# ---------------------------------------------------------------- who may add and remove


def test_a_link_cannot_add_a_passkey_to_an_account_that_has_factors(desk):
    user = account(desk)
    open_before = by_link(desk, user)
    options = begun(desk, open_before)
    _, confirmed = with_password(desk, user)
    with pytest.raises(StepUpNeeded):
        begun(desk, by_link(desk, user))
    with pytest.raises(StepUpNeeded):
        finished(desk, open_before, Authenticator(ORIGIN).make(options))
    assert signed_in(desk, added(desk, confirmed)).user_id == user


def test_an_authenticator_app_that_was_never_proven_is_no_factor_beside_a_passkey(desk):
    principal = by_link(desk, account(desk))
    with desk.unit_of_work() as tx:
        totp = pyotp.parse_uri(factors.begin_enrolment(tx, principal))
    added(desk, principal)
    with desk.unit_of_work() as tx:
        assert factors.step_up(tx, principal, code=totp.at(clock.now())) is False


def test_an_account_enrolled_by_passkey_adds_a_password_and_an_authenticator_later(desk):
    principal = by_link(desk, account(desk))
    device = added(desk, principal)
    sure = signed_in(desk, device)
    with desk.unit_of_work() as tx, pytest.raises(StepUpNeeded):
        factors.begin_enrolment(tx, replace(sure, second_factor_at=None))
    with desk.unit_of_work() as tx:
        totp = pyotp.parse_uri(factors.begin_enrolment(tx, sure))
        assert not factors.step_up(tx, sure, code=totp.now()), "it is not proven yet"
    with desk.unit_of_work() as tx:
        factors.finish_enrolment(tx, sure, password=PASSWORD, code=totp.now())
    with desk.unit_of_work() as tx, pytest.raises(Refused):
        factors.begin_enrolment(tx, sure)
    with time_machine.travel(clock.now() + timedelta(minutes=2), tick=True), desk.unit_of_work() as tx:
        email = tx.get_one(User, sure.user_id).email
        assert factors.sign_in(tx, email=email, password=PASSWORD, code=totp.now()) is not None


@pytest.mark.parametrize("name", ["", "   ", "x" * 101])
def test_a_passkey_needs_a_name(desk, name):
    principal = by_link(desk, account(desk))
    credential = Authenticator(ORIGIN).make(begun(desk, principal))
    with pytest.raises(Invalid) as refused:
        finished(desk, principal, credential, name=name)
    assert [fault.pointer for fault in refused.value.errors] == ["/name"]


def test_an_account_has_at_most_twenty(desk, monkeypatch):
    monkeypatch.setattr(passkeys, "MOST", 2)
    _, principal = with_password(desk, account(desk))
    added(desk, principal), added(desk, principal)
    with pytest.raises(Refused):
        added(desk, principal)


def test_the_last_way_to_sign_in_stays_and_a_removed_passkey_opens_nothing(desk):
    principal = by_link(desk, account(desk))
    first = added(desk, principal)
    principal = replace(principal, second_factor_at=clock.now())
    with pytest.raises(Refused), desk.unit_of_work() as tx:
        passkeys.remove(tx, principal, first.row)
    second = added(desk, principal)
    with desk.unit_of_work() as tx:
        passkeys.remove(tx, principal, first.row)
    assert sign_in(desk, first.sign(asked(desk))) is None
    assert signed_in(desk, second)
    assert "passkey.removed" in kinds(desk)


def test_beside_a_password_the_only_passkey_may_go(desk):
    _, principal = with_password(desk, account(desk))
    device = added(desk, principal)
    with desk.unit_of_work() as tx:
        passkeys.remove(tx, principal, device.row)
    assert sign_in(desk, device.sign(asked(desk))) is None


def test_two_who_remove_the_last_two_at_once_leave_one(desk):
    principal = by_link(desk, account(desk))
    rows = [added(desk, principal).row]
    principal = replace(principal, second_factor_at=clock.now())
    rows.append(added(desk, principal).row)
    gate, refused = threading.Barrier(2), []

    def try_it(row):
        gate.wait()
        try:
            with desk.unit_of_work() as tx:
                passkeys.remove(tx, principal, row)
        except Refused:
            refused.append(row)

    threads = [threading.Thread(target=try_it, args=(row,)) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    with desk.read() as tx:
        assert [row.id for row in passkeys.passkeys_of(tx, principal.user_id)] == refused


def test_nobody_removes_anothers_passkey_nor_without_a_second_factor(desk):
    device = added(desk, by_link(desk, account(desk)))
    _, other = with_password(desk, account(desk, "other@ministry.example"))
    with pytest.raises(NotFound), desk.unit_of_work() as tx:
        passkeys.remove(tx, other, device.row)
    owner = by_link(desk, row_of(desk, Passkey, device.row).user_id)
    with pytest.raises(StepUpNeeded), desk.unit_of_work() as tx:
        passkeys.remove(tx, owner, device.row)


# ---------------------------------------------------------------- confirming


def confirmed_with(store, principal, device, **more):
    with store.unit_of_work() as tx:
        options = passkeys.begin_step_up(tx, principal)
    with store.unit_of_work() as tx:
        return passkeys.step_up(tx, principal, device.sign(options, **more))


def test_a_session_is_confirmed_again_with_ones_own_passkey_and_nobody_elses(desk):
    device = added(desk, by_link(desk, user := account(desk)))
    other = added(desk, by_link(desk, account(desk, "other@ministry.example")))
    principal = by_link(desk, user)
    assert confirmed_with(desk, principal, other) is False
    assert confirmed_with(desk, principal, other, handle=b"") is False
    assert row_of(desk, UserSession, principal.session_id).second_factor_at is None
    assert confirmed_with(desk, principal, device, handle=b"") is True, "asked for by id it need not name the account"
    assert confirmed_with(desk, principal, device) is True
    assert row_of(desk, UserSession, principal.session_id).second_factor_at is not None


def test_wrong_codes_and_wrong_passkeys_are_counted_together(desk):
    totp, principal = with_password(desk, account(desk))
    device, stranger = added(desk, principal), Authenticator(ORIGIN)
    for _ in range(3):
        assert confirmed_with(desk, principal, stranger) is False
    for _ in range(2):
        with desk.unit_of_work() as tx:
            assert factors.step_up(tx, principal, code="000000") is False
    assert confirmed_with(desk, principal, device) is False, "it rests"
    assert sign_in(desk, device.sign(asked(desk))) is None


def test_one_code_opens_one_session_however_many_try_it_at_once(desk):
    totp, _ = with_password(desk, account(desk))
    with time_machine.travel(clock.now() + timedelta(seconds=60), tick=True):
        code, gate, tokens = totp.at(clock.now()), threading.Barrier(4), []

        def try_it():
            gate.wait()
            with desk.unit_of_work() as tx:
                tokens.append(factors.sign_in(
                    tx, email="anna@ministry.example", password=PASSWORD, code=code
                ))  # fmt: skip

        threads = [threading.Thread(target=try_it) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(tokens) == 4 and len([token for token in tokens if token]) == 1


# ---------------------------------------------------------------- the site


@pytest.mark.parametrize(("url", "host", "origin"), [
    ("https://coordinator.example", "coordinator.example", "https://coordinator.example"),
    ("https://Coordinator.Example:443", "coordinator.example", "https://coordinator.example"),
    ("https://coordinator.example:8443/desk", "coordinator.example", "https://coordinator.example:8443"),
    ("http://localhost:8080", "localhost", "http://localhost:8080"),
    ("https://bücher.example", "xn--bcher-kva.example", "https://xn--bcher-kva.example"),
])  # fmt: skip
def test_the_site_is_that_of_the_base_url(url, host, origin):
    settings = config.load({"COORDINATOR_BASE_URL": url}, data_dir="/nowhere")
    assert ceremonies.site_of(settings) == ceremonies.Site(host, origin)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "https://[::1]", "https://192.0.2.1", "http://coordinator.example"]
)
def test_there_are_no_passkeys_where_browsers_allow_none(store, url):
    store.settings = replace(store.settings, base_url=url)
    assert ceremonies.site_of(store.settings) is None
    with pytest.raises(Refused):
        asked(store)
    with pytest.raises(Refused):
        begun(store, by_link(store, account(store)))

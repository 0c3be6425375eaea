"""Passkeys: used once a challenge, at our own site, by a verified user; what is wrong is refused alike."""

from __future__ import annotations

import copy
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from coordinator import clock
from coordinator.accounts import ceremonies, challenges, factors, passkeys, service
from coordinator.accounts.models import Passkey, SpentChallenge, User, UserSession
from coordinator.errors import Invalid, Refused
from coordinator.vault import Vault
from tests.authenticator import PRESENT, Authenticator
from tests.signing_in import (
    BROWSER,
    ORIGIN,
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
)


@pytest.fixture
def desk(store):
    """The store at an address that browsers allow passkeys at."""
    store.settings = replace(store.settings, base_url=ORIGIN)
    return store


# ---------------------------------------------------------------- the whole way


def test_a_passkey_enrols_the_account_and_opens_confirmed_sessions_alone(desk):
    user = account(desk)
    device = added(desk, principal := by_link(desk, user))
    assert row_of(desk, User, user).enrolled_at is not None and row_of(desk, User, user).password_hash == ""
    assert row_of(desk, UserSession, principal.session_id).second_factor_at is not None
    again = signed_in(desk, device)
    assert again.user_id == user and again.second_factor_at is not None
    assert row_of(desk, Passkey, device.row).last_used_at is not None
    assert kinds(desk)[-4:] == ["session.opened", "passkey.added", "user.enrolled", "session.opened"]


def test_authenticators_that_do_not_count_are_taken_again_and_again(desk):
    device = added(desk, by_link(desk, account(desk)), counting=False)
    assert signed_in(desk, device) and signed_in(desk, device)


def test_the_browser_is_asked_to_verify_the_user_and_told_no_account(desk):
    user = account(desk)
    options = begun(desk, by_link(desk, user))
    wanted = options["authenticatorSelection"]
    assert (wanted["userVerification"], wanted["residentKey"]) == ("required", "required")
    assert options["rp"]["id"] == "coordinator.example" and options["timeout"] == 300_000
    request = asked(desk)
    assert request["userVerification"] == "required" and not request.get("allowCredentials")


def test_a_device_is_asked_not_to_make_a_second_one_for_the_same_account(desk):
    principal = by_link(desk, account(desk))
    device = added(desk, principal)
    with desk.read() as tx:
        principal = replace(principal, second_factor_at=tx.get(UserSession, principal.session_id).second_factor_at)
    options = begun(desk, principal)
    assert len(options["excludeCredentials"]) == 1
    with pytest.raises(Refused):
        finished(desk, principal, device.make(options))


# ---------------------------------------------------------------- answers that are refused


def test_an_answer_is_taken_once(desk):
    device = added(desk, by_link(desk, account(desk)), counting=False)
    answer = device.sign(asked(desk))
    assert sign_in(desk, answer) is not None
    assert sign_in(desk, answer) is None


def test_two_at_once_one_wins(desk):
    device = added(desk, by_link(desk, account(desk)), counting=False)
    answer, gate, tokens = device.sign(asked(desk)), threading.Barrier(6), []

    def try_it():
        gate.wait()
        tokens.append(sign_in(desk, answer))

    threads = [threading.Thread(target=try_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tokens) == 6 and len([token for token in tokens if token]) == 1


@pytest.mark.parametrize("changed", [
    {"origin": "https://coordinator.example.evil.example"}, {"origin": "http://coordinator.example"},
    {"origin": "https://coordinator.example:8443"}, {"host": "evil.example"}, {"crossOrigin": True},
    {"flags": PRESENT}, {"flags": 0}, {"type": "webauthn.create"}, {"handle": b"somebody else"}, {"handle": b""},
])  # fmt: skip
def test_an_answer_for_another_site_or_without_the_users_proof_is_refused(desk, changed):
    device = added(desk, by_link(desk, account(desk)))
    assert sign_in(desk, device.sign(asked(desk), **changed)) is None
    assert signed_in(desk, device), "the same passkey works where nothing is wrong"


@pytest.mark.parametrize("changed", [
    {"origin": "https://evil.example"}, {"flags": PRESENT}, {"type": "webauthn.get"}, {"crossOrigin": True},
])  # fmt: skip
def test_a_new_passkey_from_another_site_or_without_the_users_proof_is_refused(desk, changed):
    user = account(desk)
    principal, device = by_link(desk, user), Authenticator(ORIGIN)
    with pytest.raises(Invalid) as refused:
        finished(desk, principal, device.make(begun(desk, principal), **changed))
    assert [fault.pointer for fault in refused.value.errors] == ["/credential"]
    assert row_of(desk, User, user).enrolled_at is None


def test_a_challenge_holds_five_minutes(desk):
    device = added(desk, by_link(desk, account(desk)), counting=False)
    late, early = device.sign(asked(desk)), device.sign(asked(desk))
    with time_machine.travel(clock.now() + timedelta(minutes=4, seconds=58), tick=False):
        assert sign_in(desk, early) is not None
    with time_machine.travel(clock.now() + timedelta(minutes=5), tick=False):
        assert sign_in(desk, late) is None


def test_a_challenge_belongs_to_one_browser_and_one_purpose(desk):
    principal = by_link(desk, account(desk))
    device = added(desk, principal)
    answer = device.sign(asked(desk, "another browser"))
    assert sign_in(desk, answer) is None
    with desk.unit_of_work() as tx:
        assert passkeys.step_up(tx, principal, answer) is False
        own = passkeys.begin_step_up(tx, principal)
    assert sign_in(desk, device.sign(own), f"session {principal.session_id}") is None


def test_a_challenge_we_never_made_is_refused(desk):
    device = added(desk, by_link(desk, account(desk)))
    options = asked(desk)
    forged = ("A" if options["challenge"][0] != "A" else "B") + options["challenge"][1:]
    for challenge in (forged, "", "AAAA", options["challenge"][:-8]):
        assert sign_in(desk, device.sign(options | {"challenge": challenge})) is None


def test_another_devices_signature_is_refused_and_the_account_rests_after_five(desk):
    device = added(desk, by_link(desk, account(desk)))
    thief = Authenticator(ORIGIN)
    thief.id, thief.handle = device.id, device.handle
    for _ in range(factors.TRIES):
        assert sign_in(desk, thief.sign(asked(desk))) is None
    assert sign_in(desk, device.sign(asked(desk))) is None, "even the right one has to wait now"
    assert "user.resting" in kinds(desk)
    with time_machine.travel(clock.now() + timedelta(minutes=20), tick=False):
        assert signed_in(desk, device)


def test_a_passkey_whose_count_goes_back_is_refused_and_on_record(desk):
    device = added(desk, by_link(desk, account(desk)))
    device.count = 40
    assert signed_in(desk, device)
    for before in (39, 40):
        device.count = before
        assert sign_in(desk, device.sign(asked(desk))) is None, "the last one said 41"
        assert kinds(desk)[-1] == "passkey.suspect"
    assert signed_in(desk, device), "42"


def test_a_passkey_nobody_has_is_answered_like_a_wrong_one_and_counts_for_nobody(desk):
    user = account(desk)
    added(desk, by_link(desk, user))
    stranger = Authenticator(ORIGIN)
    stranger.handle = b"x" * 32
    assert sign_in(desk, stranger.sign(asked(desk))) is None
    assert row_of(desk, User, user).failed_sign_ins == 0


def test_a_suspended_account_is_not_let_in(desk):
    user = account(desk)
    device = added(desk, by_link(desk, user))
    with desk.unit_of_work() as tx:
        service.suspend_user(tx, user, actor="user:2", reason="The laptop was stolen.")
    assert sign_in(desk, device.sign(asked(desk))) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip
@given(data=st.data())
def test_hostile_answers_are_refused_in_silence(sqlite_store, data):
    site = ceremonies.Site("coordinator.example", ORIGIN)
    device = Authenticator(ORIGIN)
    options = {"rpId": site.host, "rp": {"id": site.host}, "challenge": "AAAA", "user": {"id": "AAAA"}}
    for good in (device.make(options), device.sign(options)):
        bad = copy.deepcopy(good)
        where = [(part, name) for part in (bad, bad["response"]) for name in part]
        part, name = data.draw(st.sampled_from(where))
        part[name] = data.draw(JSON)
        for read in (ceremonies.read_new, ceremonies.read_proof):
            answer = read(bad)
            if answer is not None:
                ceremonies.check_new(site, answer)
                assert ceremonies.check_proof(site, answer, public_key=b"\xa0") is None
        assert ceremonies.read_proof(data.draw(JSON)) is None


# ---------------------------------------------------------------- what is kept


def test_visitors_who_never_answer_leave_nothing_and_old_answers_go(desk):
    device = added(desk, by_link(desk, account(desk)))
    for _ in range(5):
        asked(desk)
    count = select(SpentChallenge.digest)
    with desk.read() as tx:
        assert len(tx.execute(count).all()) == 1
    with time_machine.travel(clock.now() + timedelta(minutes=6), tick=False):
        answer = device.sign(asked(desk))
        assert sign_in(desk, answer) is not None
        with desk.read() as tx:
            kept = tx.execute(count).scalars().all()
    assert len(kept) == 1
    assert answer["response"]["clientDataJSON"] not in kept


def test_a_challenge_of_another_installation_is_not_ours(desk):
    with desk.read() as tx:
        challenge = challenges.issue(tx, challenges.Purpose.SIGN_IN, bound_to=BROWSER)
        assert challenges.is_ours(tx, challenge, challenges.Purpose.SIGN_IN, bound_to=BROWSER)
        desk.vault = Vault(b"k" * 32)
        assert not challenges.is_ours(tx, challenge, challenges.Purpose.SIGN_IN, bound_to=BROWSER)

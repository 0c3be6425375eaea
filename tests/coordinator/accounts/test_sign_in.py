"""Signing in: links that work once, sessions that end, a second factor that cannot be replayed, tokens with scopes."""

from __future__ import annotations

from datetime import timedelta

import pyotp
import pytest
import time_machine
from sqlalchemy import select

from coordinator import clock
from coordinator.accounts import factors, service, sessions
from coordinator.accounts.models import ApiToken, SignInLink, User, UserSession
from coordinator.errors import Gone, Invalid, NotFound, Refused

PASSWORD = "a long enough password"


@pytest.fixture
def user(store):
    with store.unit_of_work() as tx:
        return service.create_user(
            tx, email="Coordinator@Ministry.example", name="Coordinator", role="coordinator", actor="cli:test"
        )


def link_for(store, user, **more):
    with store.unit_of_work() as tx:
        return service.create_link(tx, user.id, actor="cli:test", **more)


def opened(store, link):
    with store.unit_of_work() as tx:
        return sessions.use_link(tx, link, browser="test", address="127.0.0.1")


def principal_of(store, token):
    with store.read() as tx:
        found = sessions.session_principal(tx, token)
    return found[0] if found else None


def enrolled(store, user):
    """An account with password and authenticator; returns the authenticator."""
    principal = principal_of(store, opened(store, link_for(store, user)))
    with store.unit_of_work() as tx:
        totp = pyotp.parse_uri(factors.begin_enrolment(tx, principal))
    with store.unit_of_work() as tx:
        factors.finish_enrolment(tx, principal, password=PASSWORD, code=totp.at(clock.now()))
    return totp


def sign_in(store, code, *, email="coordinator@ministry.example", password=PASSWORD):
    with store.unit_of_work() as tx:
        return factors.sign_in(tx, email=email, password=password, code=code)


def test_an_address_is_one_account_whatever_its_letters(store, user):
    assert user.email == "coordinator@ministry.example"
    with pytest.raises(Refused), store.unit_of_work() as tx:
        service.create_user(tx, email="COORDINATOR@ministry.example", name="x", role="analyst", actor="cli:test")


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [({"email": "no address"}, "/email"), ({"name": " "}, "/name"), ({"role": "king"}, "/role"),
     ({"role": "partner-system"}, "/role")],
)  # fmt: skip
def test_wrong_fields_of_an_account_are_named(store, fields, pointer):
    given = {"email": "a@b.example", "name": "A", "role": "analyst"} | fields
    with pytest.raises(Invalid) as refused, store.unit_of_work() as tx:
        service.create_user(tx, **given, actor="cli:test")
    assert [fault.pointer for fault in refused.value.errors] == [pointer]


def test_looking_at_a_link_does_not_spend_it_and_using_it_twice_does(store, user):
    link = link_for(store, user)
    for _ in range(3):
        with store.read() as tx:
            assert sessions.link_user(tx, link).id == user.id
    assert principal_of(store, opened(store, link)).user_id == user.id
    with pytest.raises(Gone):
        opened(store, link)


def test_a_link_is_over_after_fifteen_minutes(store, user):
    link = link_for(store, user)
    with time_machine.travel(clock.now() + timedelta(minutes=15), tick=False), pytest.raises(Gone):
        opened(store, link)


def test_neither_links_nor_sessions_nor_tokens_are_stored_readably(store, user):
    link = link_for(store, user)
    session = opened(store, link)
    with store.unit_of_work() as tx:
        token = service.create_token(tx, user.id, name="script", scopes=["read"], actor="cli:test")
        kept = [*tx.execute(select(SignInLink.token_hash)).scalars(),
                *tx.execute(select(UserSession.token_hash)).scalars(),
                *tx.execute(select(ApiToken.token_hash)).scalars()]  # fmt: skip
    assert all(secret not in row for secret in (link, session, token) for row in kept)


@pytest.mark.parametrize(
    ("later", "alive"),
    [(timedelta(minutes=14, seconds=59), True), (timedelta(minutes=15), False), (timedelta(hours=12), False)],
)
def test_a_session_ends_when_nobody_is_there(store, user, later, alive):
    token = opened(store, link_for(store, user))
    with time_machine.travel(clock.now() + later, tick=False):
        assert (principal_of(store, token) is not None) is alive


def test_a_session_ends_after_twelve_hours_however_busy(store, user):
    token = opened(store, link_for(store, user))
    start = clock.now()
    for minutes in range(10, 12 * 60 + 10, 10):
        with time_machine.travel(start + timedelta(minutes=minutes), tick=False):
            principal = principal_of(store, token)
            assert (principal is not None) is (minutes < 12 * 60)
            if principal:
                with store.unit_of_work() as tx:
                    sessions.touch(tx, principal.session_id)


def test_one_can_end_ones_own_sessions_and_nobody_elses(store, user):
    token = opened(store, link_for(store, user))
    session = principal_of(store, token).session_id
    with pytest.raises(NotFound), store.unit_of_work() as tx:
        sessions.end_session(tx, session, user_id=user.id + 1, actor="user:99")
    with store.unit_of_work() as tx:
        sessions.end_session(tx, session, user_id=user.id, actor="user:1")
    assert principal_of(store, token) is None


def test_a_suspended_account_is_out_at_once_everywhere(store, user):
    session, link = opened(store, link_for(store, user)), link_for(store, user)
    with store.unit_of_work() as tx:
        token = service.create_token(tx, user.id, name="script", scopes=["read"], actor="cli:test")
    with store.unit_of_work() as tx:
        service.suspend_user(tx, user.id, actor="user:2", reason="The laptop was stolen.")
    assert principal_of(store, session) is None
    with pytest.raises(Gone):
        opened(store, link)
    with store.read() as tx:
        assert service.token_principal(tx, token) is None
    with pytest.raises(Refused):
        link_for(store, user)


def test_a_link_gives_a_session_without_second_factor_and_enrolling_adds_it(store, user):
    token = opened(store, link_for(store, user))
    assert principal_of(store, token).second_factor_at is None
    enrolled(store, user)
    with store.read() as tx:
        assert tx.get(User, user.id).enrolled_at is not None


@pytest.mark.parametrize(("password", "code", "pointers"), [
    ("short", None, ["/password"]), (PASSWORD, "000000", ["/code"]), ("short", "abc", ["/password", "/code"]),
])  # fmt: skip
def test_enrolling_names_everything_that_is_wrong(store, user, password, code, pointers):
    principal = principal_of(store, opened(store, link_for(store, user)))
    with store.unit_of_work() as tx:
        totp = pyotp.parse_uri(factors.begin_enrolment(tx, principal))
    with pytest.raises(Invalid) as refused, store.unit_of_work() as tx:
        factors.finish_enrolment(tx, principal, password=password, code=code or totp.at(clock.now()))
    assert [fault.pointer for fault in refused.value.errors] == pointers


def test_the_second_factor_cannot_be_replaced_by_whoever_holds_a_link(store, user):
    enrolled(store, user)
    principal = principal_of(store, opened(store, link_for(store, user)))
    with pytest.raises(Refused), store.unit_of_work() as tx:
        factors.begin_enrolment(tx, principal)


def test_password_and_code_open_a_confirmed_session_and_a_code_works_once(store, user):
    totp = enrolled(store, user)
    with time_machine.travel(clock.now() + timedelta(seconds=60), tick=False):
        code = totp.at(clock.now())
        assert principal_of(store, sign_in(store, code)).second_factor_at is not None
        assert sign_in(store, code) is None


def test_wrong_tries_are_all_answered_alike_and_the_account_rests(store, user):
    totp = enrolled(store, user)
    with time_machine.travel(clock.now() + timedelta(minutes=2), tick=False):
        assert sign_in(store, totp.at(clock.now()), email="nobody@ministry.example") is None
        assert sign_in(store, totp.at(clock.now()), password="wrong password 12") is None
        for _ in range(4):
            assert sign_in(store, "000000") is None
        assert sign_in(store, totp.at(clock.now())) is None, "even the right code has to wait now"
    with time_machine.travel(clock.now() + timedelta(minutes=20), tick=False):
        assert sign_in(store, totp.at(clock.now())) is not None


def test_a_token_never_carries_more_than_its_users_role(store, user):
    with pytest.raises(Invalid), store.unit_of_work() as tx:
        service.create_token(tx, user.id, name="script", scopes=["read", "admin", "root"], actor="cli:test")
    with store.unit_of_work() as tx:
        token = service.create_token(tx, user.id, name="script", scopes=["read", "coordinate"], actor="cli:test")
    with store.read() as tx:
        principal = service.token_principal(tx, token)
    assert (principal.user_id, principal.scopes) == (user.id, frozenset({"read", "coordinate"}))


def test_a_revoked_or_expired_token_speaks_for_nobody(store, user):
    with store.unit_of_work() as tx:
        brief = service.create_token(
            tx, user.id, name="brief", scopes=["read"], actor="cli:test", expires_at=clock.now() + timedelta(hours=1)
        )
        revoked = service.create_token(tx, user.id, name="old", scopes=["read"], actor="cli:test")
        row = service.tokens_of(tx, user.id)[0]
        service.revoke_token(tx, row.id, user_id=user.id, actor="user:1")
    with store.read() as tx:
        assert service.token_principal(tx, revoked) is None
        assert service.token_principal(tx, brief) is not None
        assert service.token_principal(tx, "ct_" + "x" * 43) is None
        assert service.token_principal(tx, "x" * 5000) is None
    with time_machine.travel(clock.now() + timedelta(hours=1), tick=False), store.read() as tx:
        assert service.token_principal(tx, brief) is None


def test_the_first_administrators_link_is_void_once_one_is_enrolled(store):
    with store.unit_of_work() as tx:
        first = service.create_user(tx, email="one@m.example", name="One", role="administrator", actor="cli:test")
    spare = link_for(store, first, purpose="first-administrator")
    enrolled(store, first)
    with pytest.raises(Gone):
        opened(store, spare)


def test_where_there_is_no_account_the_password_takes_as_long_to_compare():
    assert not factors._hasher.check_needs_rehash(factors._NOBODY)

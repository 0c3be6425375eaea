"""OpenPGP keys that people pin: what is taken, what is refused and in which words, what only its owner can open."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pysequoia import Tsk

from coordinator.errors import Invalid
from coordinator.partners.openpgp import BadKey, blocks, check, fingerprint_of, look_at, seal
from coordinator.web.pgp_keys import paired, shown
from tests.openpgp import EXPIRED, opened, public_key, secret_key

DUTY = "Duty desk <duty@fi.example>"


def test_a_key_says_whose_it_is_and_until_when() -> None:
    key = check(public_key())
    assert key.addresses == ("duty@fi.example",)
    assert key.fingerprint == secret_key().extract_certificate().fingerprint
    assert key.in_groups.replace(" ", "").lower() == key.fingerprint
    assert look_at(EXPIRED).expires_at == datetime(2020, 1, 2, tzinfo=UTC)


def test_what_is_sealed_is_opened_by_its_owner_alone() -> None:
    sealed = seal(b"canary", [public_key()])
    assert sealed.startswith(b"-----BEGIN PGP MESSAGE-----") and b"canary" not in sealed
    assert opened(sealed) == b"canary"
    with pytest.raises(Exception):  # noqa: B017 - the library has no narrower one
        opened(sealed, "Another <other@fi.example>")


@pytest.mark.parametrize(("text", "says"), [
    ("", "Send one public key"), ("ssh-ed25519 AAAA", "Send one public key"),
    ("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabcd\n-----END PGP PUBLIC KEY BLOCK-----", "cannot be read"),
    (EXPIRED, "has expired"), (EXPIRED.replace("IClz", "IClx"), "cannot be read"),
    (str(Tsk.generate(DUTY)), "private key"), (public_key() + "\n" + public_key(), "Send one public key"),
    (public_key() + "x" * 50_000, "Send one public key"),
])  # fmt: skip
def test_what_cannot_be_sealed_to_is_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(BadKey, match=says):
        check(text)


@given(st.integers(40, len(EXPIRED) - 40), st.characters(codec="utf-8"))
def test_a_damaged_key_is_refused_or_says_the_same(at: int, character: str) -> None:
    damaged = EXPIRED[:at] + character + EXPIRED[at + 1 :]
    assert fingerprint_of(damaged) in ("", look_at(EXPIRED).fingerprint)


# ---------------------------------------------------------------- on the form of a contact

WAYS = "email duty@fi.example\r\nvoice +358 000\r\nemail second@fi.example"


def test_a_pasted_key_goes_to_the_address_it_names() -> None:
    text = f"our keys:\r\n{public_key()}\r\n\r\n{public_key('S <Second@FI.example>')}\r\n".replace("\n", "\r\n")
    assert {each: fingerprint_of(key) for each, key in paired(text, WAYS, {}).items()} == {
        "duty@fi.example": fingerprint_of(public_key()),
        "second@fi.example": fingerprint_of(public_key("S <Second@FI.example>")),
    }
    assert paired("", WAYS, {}) == {}


@pytest.mark.parametrize("text", [public_key("X <x@else.example>"), EXPIRED, "my key", str(Tsk.generate(DUTY))])
def test_a_key_of_nobody_there_or_of_no_use_is_refused_at_its_field(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        paired(text, WAYS, {})
    assert [each.pointer for each in refused.value.errors] == ["/pgp_keys"]


def test_a_key_pinned_by_a_file_to_another_name_stays() -> None:
    other = blocks(public_key("Team <team@else.example>"))[0]
    assert paired(other, WAYS, {"second@fi.example": other}) == {"second@fi.example": other}


def test_the_page_says_what_is_wrong_with_a_key() -> None:
    assert shown(public_key())[2] == ""
    assert "expired" in shown(EXPIRED)[2]
    assert shown("of old")[0] == "" and shown("of old")[2]

"""Standard Webhooks 1.0: what is accepted, what is refused, and that nothing a header holds gets past those two."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from coordinator.partners.signing import (
    BadSecret,
    BadSignature,
    MalformedHeaders,
    check_secret,
    generate_secret,
    sign,
    signed_headers,
    verify,
)

# The vector of the reference implementations.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
NOW = datetime.fromtimestamp(AT, UTC)

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
OTHER = "whsec_" + base64.b64encode(b"another key of thirty-two bytes!").decode()


def headers(**changes: str) -> dict[str, str]:
    given_ = {"id": ID, "timestamp": str(AT), "signature": SIGNATURE} | changes
    return {f"webhook-{name}": value for name, value in given_.items()}


def accepted(given_: dict[str, str], *, secrets: tuple[str, ...] = (SECRET,), body: bytes = BODY) -> int:
    return verify(secrets, given_, body, NOW)


def test_the_published_vector_is_signed_and_verified() -> None:
    assert sign(SECRET, ID, AT, BODY) == SIGNATURE
    assert accepted(headers()) == 0


def test_a_signature_is_the_hmac_of_id_time_and_raw_body() -> None:
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, f"{ID}.{AT}.".encode() + BODY, hashlib.sha256).digest()).decode()
    assert sign(SECRET.removeprefix("whsec_"), ID, AT, BODY) == f"v1,{expected}"


@pytest.mark.parametrize("body", [b"", b"\x00\xff\xfe", "Žluťoučký 日本 \u202e".encode(), b"x" * 1_000_000])
def test_any_bytes_can_be_signed(body: bytes) -> None:
    assert verify([OTHER], signed_headers([OTHER], "m1", AT, body), body, NOW) == 0


def test_one_good_signature_among_others_is_enough() -> None:
    wrong = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
    for value in (f"{wrong} {SIGNATURE}", f"v1a,xyz {SIGNATURE}", f"{SIGNATURE}  {wrong} ", f"v1, {SIGNATURE}"):
        assert accepted(headers(signature=value)) == 0


def test_the_key_that_verified_is_told() -> None:
    assert accepted(headers(), secrets=(OTHER, SECRET)) == 1
    assert accepted(headers(), secrets=(SECRET, OTHER)) == 0
    both = signed_headers([SECRET, OTHER], ID, AT, BODY)
    assert both["webhook-signature"].count("v1,") == 2
    assert accepted(both, secrets=(OTHER,)) == 0
    assert accepted(both, secrets=(OTHER, SECRET)) == 0


def test_header_names_are_read_in_any_case_and_from_a_real_request() -> None:
    assert accepted({name.title(): value for name, value in headers().items()}) == 0
    assert verify([SECRET], Headers(headers()), BODY, NOW) == 0


@pytest.mark.parametrize("seconds", [-300, -299, 0, 300])
def test_a_time_within_five_minutes_is_accepted(seconds: int) -> None:
    assert verify([SECRET], headers(), BODY, NOW + timedelta(seconds=seconds)) == 0


@pytest.mark.parametrize("seconds", [-301, -300.5, 300.001, 301, 86400])
def test_a_time_further_off_is_refused_both_ways(seconds: float) -> None:
    with pytest.raises(BadSignature):
        verify([SECRET], headers(), BODY, NOW + timedelta(seconds=seconds))


def test_now_in_another_zone_is_the_same_instant_and_without_a_zone_is_an_error() -> None:
    assert verify([SECRET], headers(), BODY, NOW.astimezone(timezone(timedelta(hours=9)))) == 0
    with pytest.raises(ValueError):
        verify([SECRET], headers(), BODY, NOW.replace(tzinfo=None))


@pytest.mark.parametrize(
    "timestamp",
    ["1614_265330", "1614265330.0", "1614265330.9", "+1614265330", "-1614265330", " 1614265330", "1614265330\n",
     "01614265330", "1.614265330e9", "0x60380DB2", "１６１４２６５３３０", "hello", "NaN", "inf", "9" * 13, "9" * 5000],
)  # fmt: skip
def test_a_time_that_is_not_a_plain_integer_is_refused_even_where_it_is_signed(timestamp: str) -> None:
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = hmac.new(key, f"{ID}.{timestamp}.".encode() + BODY, hashlib.sha256).digest()
    forged = headers(timestamp=timestamp, signature="v1," + base64.b64encode(signed).decode())
    with pytest.raises(BadSignature):
        accepted(forged)
    with pytest.raises(BadSignature):
        accepted(headers(timestamp=timestamp))


@pytest.mark.parametrize(
    "signature",
    ["garbage", "v1", "v1,", ",", "v1,AAAA", "v2" + SIGNATURE[2:], "V1" + SIGNATURE[2:], "v1a" + SIGNATURE[2:],
     SIGNATURE[3:], SIGNATURE.replace(",", ", "), SIGNATURE.rstrip("="), SIGNATURE + "=", SIGNATURE[:-2] + "F=",
     "v1," + SIGNATURE, SIGNATURE.replace(" ", ",") + "," + SIGNATURE, "v1,é", "v1,\ud800", "v1,\x00", " "],
)  # fmt: skip
def test_a_signature_that_is_not_exactly_right_is_refused(signature: str) -> None:
    with pytest.raises(BadSignature):
        accepted(headers(signature=signature))


@pytest.mark.parametrize("change", [{"id": "msg_other"}, {"timestamp": str(AT + 1)}])
def test_what_was_signed_cannot_be_changed(change: dict[str, str]) -> None:
    with pytest.raises(BadSignature):
        accepted(headers(**change))
    with pytest.raises(BadSignature):
        accepted(headers(), body=BODY.replace(b" ", b""))
    with pytest.raises(BadSignature):
        accepted(headers(), secrets=(OTHER,))


def test_an_unknown_endpoint_and_a_wrong_key_get_the_same_answer() -> None:
    answers = []
    for secrets in ((), (OTHER,)):
        with pytest.raises(BadSignature) as refusal:
            accepted(headers(), secrets=secrets)
        answers.append((str(refusal.value), refusal.value.status, refusal.value.title))
    assert answers[0] == answers[1]
    assert answers[0][1] == 401


def test_a_signature_with_the_key_that_stands_in_for_none_is_refused() -> None:
    forged = signed_headers(["whsec_" + base64.b64encode(bytes(32)).decode()], ID, AT, BODY)
    with pytest.raises(BadSignature):
        verify([], forged, BODY, NOW)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_or_empty_or_repeated_header_is_malformed(name: str) -> None:
    given_ = headers()
    for spoilt in (given_ | {name: ""}, {key: value for key, value in given_.items() if key != name}):
        with pytest.raises(MalformedHeaders, match=name):
            accepted(spoilt)
    twice = Headers(given_)
    twice.add(name.upper(), given_[name])
    with pytest.raises(MalformedHeaders, match="once"):
        verify([SECRET], twice, BODY, NOW)


@pytest.mark.parametrize("message_id", ["a.b", "msg.1614265330", " ", "a b", "a\tb", "é", "a\x00", "a\n", "x" * 257])
def test_an_id_that_could_be_mistaken_for_more_is_malformed(message_id: str) -> None:
    with pytest.raises(MalformedHeaders) as refusal:
        accepted(headers(id=message_id))
    assert refusal.value.status == 400
    with pytest.raises(ValueError):
        sign(SECRET, message_id, AT, BODY)


def test_headers_are_bounded() -> None:
    assert accepted(headers(signature=" ".join([*["v1,AAAA"] * 15, SIGNATURE]))) == 0
    assert accepted(headers(signature=SIGNATURE.ljust(2048))) == 0
    for signature in (" ".join([*["v1,AAAA"] * 16, SIGNATURE]), "v1," + "A" * 2048, " " * 2049):
        with pytest.raises(MalformedHeaders):
            accepted(headers(signature=signature))


@pytest.mark.parametrize("timestamp", [-1, 1.0, True, "1614265330", None, 10**12])
def test_only_a_plain_number_of_seconds_can_be_signed(timestamp: object) -> None:
    with pytest.raises(ValueError):
        sign(SECRET, ID, timestamp, BODY)  # type: ignore[arg-type]


def test_nothing_is_sent_unsigned() -> None:
    with pytest.raises(ValueError):
        signed_headers([], ID, AT, BODY)


def test_a_generated_secret_is_usable_and_never_the_same() -> None:
    secrets = {generate_secret() for _ in range(50)}
    assert len(secrets) == 50
    for secret in secrets:
        check_secret(secret)
        assert secret.startswith("whsec_") and len(base64.b64decode(secret[6:])) == 32


def secret_of(size: int) -> str:
    return "whsec_" + base64.b64encode(b"k" * size).decode()


@pytest.mark.parametrize("secret", [secret_of(24), secret_of(64), secret_of(32)[6:]])
def test_a_secret_has_24_to_64_bytes_and_may_lack_its_prefix(secret: str) -> None:
    check_secret(secret)


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", secret_of(23), secret_of(65), secret_of(32) + "!", secret_of(32)[:-1], "whsk_" + secret_of(32)[6:],
     "whsec_" + secret_of(32), secret_of(32) + "\n", "whsec_é", "correct horse battery staple"],
)  # fmt: skip
def test_any_other_secret_is_refused_without_showing_it(secret: str) -> None:
    with pytest.raises(BadSecret) as refusal:
        check_secret(secret)
    assert len(secret) < 12 or secret[6:] not in str(refusal.value)


texts = st.text(st.characters(), max_size=60)


@unhurried
@given(texts | st.just(ID), texts | st.just(str(AT)), texts | st.text("v12a,= AB", max_size=60), st.binary(max_size=60))
@example(ID, str(AT), "v1,\udfff", BODY)
@example("\ud800", str(AT), SIGNATURE, BODY)
def test_hostile_headers_are_refused_in_one_of_two_ways(id_: str, timestamp: str, signature: str, body: bytes) -> None:
    with pytest.raises((MalformedHeaders, BadSignature)) as refusal:
        accepted(headers(id=id_, timestamp=timestamp, signature=signature), body=body)
    assert refusal.value.status in (400, 401)


ids = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="."), min_size=1, max_size=256)


@unhurried
@given(ids, st.integers(-300, 300), st.binary(max_size=200))
def test_what_we_sign_is_accepted_and_a_changed_byte_is_not(id_: str, drift: int, body: bytes) -> None:
    sent = signed_headers([OTHER], id_, AT + drift, body)
    assert verify([SECRET, OTHER], sent, body, NOW) == 1
    with pytest.raises(BadSignature):
        verify([SECRET, OTHER], sent, body + b"\x00", NOW)

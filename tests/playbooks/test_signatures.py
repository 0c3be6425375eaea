"""Signatures: worth something only for a key on our list, over exactly this document, now."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from playbooks import signatures
from playbooks.checks import check
from playbooks.document import load
from tests.playbooks.documents import NOW, line

ED = ed25519.Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
RSA = rsa.generate_private_key(65537, 2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
AT = "2026-11-23T08:00:00.000Z"
JSS = "jss--3f8e4f6e-2d0a-4b8e-9a54-1a2b3c4d5e6f"


def key_text(key: Any) -> str:
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def signed(document: dict[str, Any] | None = None) -> dict[str, Any]:
    return signatures.sign(document or line(), ED, identifier=JSS, signee="Our ministry", at=AT)


def verdicts(document: dict[str, Any], *keys: Any) -> list[str]:
    trusted = {key_text(key): "known" for key in keys}
    return [each.verdict for each in signatures.verify(document, trusted, now=NOW)]


def raw_ecdsa(message: bytes) -> bytes:
    pair = decode_dss_signature(CURVE.sign(message, ec.ECDSA(hashes.SHA256())))
    return b"".join(each.to_bytes(32) for each in pair)


OTHERS: list[tuple[str, Any, Callable[[bytes], bytes]]] = [
    ("RS256", RSA, lambda message: RSA.sign(message, padding.PKCS1v15(), hashes.SHA256())),
    ("PS256", RSA, lambda message: RSA.sign(message, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())),
    ("ES256", CURVE, raw_ecdsa),
]


def test_what_we_sign_is_trusted_where_our_key_is_and_stays_the_same_version() -> None:
    document = signed()
    assert verdicts(document, ED) == ["trusted"]
    assert verdicts(document, RSA) == ["unknown-key"]
    assert load(document).digest == load(line()).digest
    assert [each for each in check(document) if each.pointer.startswith("/signatures")] == []


@pytest.mark.parametrize(("algorithm", "key", "made"), OTHERS, ids=[each[0] for each in OTHERS])
def test_the_algorithms_of_others_are_read(algorithm: str, key: Any, made: Callable[[bytes], bytes]) -> None:
    bare = {**signed()["signatures"][0], "algorithm": algorithm, "public_key": key_text(key)}
    del bare["value"]
    message = signatures._signed(line(), bare, "sha-256")
    value = base64.urlsafe_b64encode(made(message)).rstrip(b"=").decode()
    document = line() | {"signatures": [bare | {"value": value}]}
    assert verdicts(document, key) == ["trusted"]
    assert verdicts({**document, "name": "Changed"}, key) == ["wrong"]


@pytest.mark.parametrize("change", [
    {"signee": "Somebody else"}, {"value": "AAAA"}, {"value": "!"}, {"value": 3}, {"algorithm": "RS256"},
    {"related_version": "2020-01-01T00:00:00.000Z"}, {"hash_algorithm": "sha-512"},
])  # fmt: skip
def test_a_signature_that_was_touched_is_wrong(change: dict[str, Any]) -> None:
    document = signed()
    document["signatures"][0].update(change)
    assert verdicts(document, ED) == ["wrong"]
    assert not signatures.is_trusted(signatures.verify(document, {key_text(ED): "known"}, now=NOW))


@pytest.mark.parametrize("change", [{"algorithm": "HS256"}, {"algorithm": "XMSS"}, {"hash_algorithm": "md5"},
                                    {"public_key": "nonsense"}, {"public_key": None, "cert_url": "https://x.example"}])
def test_what_cannot_be_checked_here_is_said_to_be(change: dict[str, Any]) -> None:
    document = signed()
    document["signatures"][0].update(change)
    assert verdicts(document, ED) == ["unsupported"]


def test_a_signature_ends_with_its_validity_and_can_be_revoked_by_its_maker() -> None:
    for change, verdict in ((("revoked", True), "revoked"), (("valid_until", AT), "not-valid-now"),
                            (("valid_from", "2027-01-01T00:00:00.000Z"), "not-valid-now")):
        bare = {name: value for name, value in signed()["signatures"][0].items() if name != "value"} | dict([change])
        value = ED.sign(signatures._signed(line(), bare, "sha-256"))
        document = line() | {"signatures": [bare | {"value": base64.urlsafe_b64encode(value).decode()}]}
        assert verdicts(document, ED) == [verdict]


def test_several_signatures_stand_by_themselves() -> None:
    twice = signatures.sign(signed(), ed25519.Ed25519PrivateKey.from_private_bytes(b"\2" * 32),
                            identifier=JSS[:-1] + "0", signee="A neighbour", at=AT)  # fmt: skip
    assert verdicts(twice, ED) == ["trusted", "unknown-key"]
    assert signatures.is_trusted(signatures.verify(twice, {key_text(ED): "known"}, now=NOW))


@pytest.mark.parametrize("text", ["", "x", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "é"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(signatures.BadKey):
        signatures.read_public_key(text)


def test_a_key_is_one_text_however_it_came() -> None:
    pem = ED.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert signatures.read_public_key(pem) == key_text(ED)
    with pytest.raises(signatures.BadKey):
        signatures.read_public_key(key_text(rsa.generate_private_key(65537, 1024)))

"""Signatures on a document: checked against keys somebody here trusts, and made on export.

CACAO 2.0, data type signature: the other signatures are left out, the signature stands in the document without its
`value`, the whole is brought into canonical form (RFC 8785) and hashed; what is signed is the hash in lower-case hex,
as the committee's worked example does it. A key inside a signature proves nothing: only a key on our list does.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from playbooks.document import canonical
from playbooks.durations import read_instant

MAX_SIGNATURES = 20
LEAST_RSA_BITS = 2048
_HASHES = {"sha-256": hashlib.sha256, "sha-384": hashlib.sha384, "sha-512": hashlib.sha512}
_SIZES: dict[str, type[hashes.HashAlgorithm]] = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
_CURVES = {"ES256": (ec.SECP256R1, 32), "ES384": (ec.SECP384R1, 48), "ES512": (ec.SECP521R1, 66)}

TRUSTED, UNKNOWN_KEY, WRONG, REVOKED, NOT_NOW, UNSUPPORTED = (
    "trusted", "unknown-key", "wrong", "revoked", "not-valid-now", "unsupported",
)  # fmt: skip


class BadKey(Exception):
    """This is no public key that can be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one signature is worth. `name` is what our list calls the key, "" for one that is not on it; `signee` is
    what the signature says of itself, which nobody has proved."""

    verdict: str
    signee: str
    algorithm: str
    key: str = ""
    name: str = ""


def read_public_key(text: str) -> str:
    """The key in our one form: base64 of its DER (SubjectPublicKeyInfo), from that or from PEM. Raises BadKey."""
    body = "".join(line for line in text.strip().splitlines() if not line.startswith("-----"))
    _usable(_loaded(body))
    return base64.b64encode(base64.b64decode("".join(body.split()))).decode()


def fingerprint(key: str) -> str:
    """SHA-256 of a key in our form, in hex: what two people read to each other."""
    return hashlib.sha256(base64.b64decode(key)).hexdigest()


def verify(document: Mapping[str, Any], trusted: Mapping[str, str], *, now: datetime) -> list[Verdict]:
    """A verdict for each signature of a document. `trusted`: key in our form -> its name on our list."""
    found = document.get("signatures")
    signatures = [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []
    return [_judge(document, each, trusted, now) for each in signatures[:MAX_SIGNATURES]]


def is_trusted(verdicts: Iterable[Verdict]) -> bool:
    """Whether somebody we trust signed this, and no signature of a key we know is wrong."""
    said = {each.verdict for each in verdicts}
    return TRUSTED in said and WRONG not in said


def sign(
    document: Mapping[str, Any], key: ed25519.Ed25519PrivateKey, *, identifier: str, signee: str, at: str
) -> dict[str, Any]:
    """The document with our signature added; earlier ones stay. `identifier` is jss--UUID, `at` in CACAO's form."""
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    signature = {
        "type": "jss", "id": identifier, "created": at, "modified": at, "signee": signee,
        "related_to": document["id"], "related_version": document["modified"], "hash_algorithm": "sha-256",
        "algorithm": "Ed25519", "public_key": base64.b64encode(public).decode(),
    }  # fmt: skip
    value = key.sign(_signed(document, signature, "sha-256"))
    earlier = document.get("signatures") or []
    return {**document, "signatures": [*earlier, signature | {"value": _url64(value)}]}


def _judge(
    document: Mapping[str, Any], signature: Mapping[str, Any], trusted: Mapping[str, str], now: datetime
) -> Verdict:
    algorithm, signee = str(signature.get("algorithm", ""))[:40], str(signature.get("signee", ""))[:200]
    try:
        key = _key_of(signature)
    except BadKey:
        return Verdict(UNSUPPORTED, signee, algorithm)
    name = trusted.get(key, "")

    def said(verdict: str) -> Verdict:
        return Verdict(verdict, signee, algorithm, key, name)

    if str(signature.get("hash_algorithm")) not in _HASHES or not _known(algorithm):
        return said(UNSUPPORTED)
    about = (signature.get("related_to"), signature.get("related_version"))
    if about != (document.get("id"), document.get("modified")) or not _holds(document, signature, key, algorithm):
        return said(WRONG)
    if signature.get("revoked") is True:
        return said(REVOKED)
    since, until = read_instant(signature.get("valid_from")), read_instant(signature.get("valid_until"))
    if (since and now < since) or (until and now >= until):
        return said(NOT_NOW)
    return said(TRUSTED if name else UNKNOWN_KEY)


def _key_of(signature: Mapping[str, Any]) -> str:
    """The key the signature names: given, or of the first certificate. What would have to be fetched is not."""
    if isinstance(given := signature.get("public_key"), str):
        return read_public_key(given)
    chain = signature.get("public_cert_chain")
    if not isinstance(chain, list) or not chain or not isinstance(chain[0], str):
        raise BadKey("a signature without its key")
    try:
        certificate = x509.load_der_x509_certificate(base64.b64decode(chain[0], validate=True))
        der = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except Exception:  # whatever a hostile certificate makes the parser say
        raise BadKey("a certificate that cannot be read") from None
    return read_public_key(base64.b64encode(der).decode())


def _holds(document: Mapping[str, Any], signature: Mapping[str, Any], key: str, algorithm: str) -> bool:
    value = signature.get("value")
    if not isinstance(value, str):
        return False
    try:
        raw = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
        bare = {name: each for name, each in signature.items() if name not in ("value", "signature")}
        _check(_loaded(key), algorithm, raw, _signed(document, bare, str(signature["hash_algorithm"])))
    except (InvalidSignature, BadKey, ValueError, binascii.Error):
        return False
    return True


def _signed(document: Mapping[str, Any], bare: Mapping[str, Any], hashed_by: str) -> bytes:
    return _HASHES[hashed_by](canonical({**document, "signatures": [bare]})).hexdigest().encode()


def _check(key: Any, algorithm: str, value: bytes, message: bytes) -> None:
    """RFC 7518 (RS, PS, ES) and RFC 8037 (Ed25519). Raises InvalidSignature, BadKey for a key of another kind."""
    if isinstance(key, ed25519.Ed25519PublicKey) and algorithm in ("Ed25519", "EdDSA"):
        return key.verify(value, message)
    if isinstance(key, rsa.RSAPublicKey) and algorithm[:2] in ("RS", "PS"):
        hashed = _SIZES[algorithm[2:]]()
        salted = padding.PSS(padding.MGF1(hashed), hashed.digest_size)
        return key.verify(value, message, padding.PKCS1v15() if algorithm[0] == "R" else salted, hashed)
    curve, size = _CURVES.get(algorithm, (None, 0))
    if isinstance(key, ec.EllipticCurvePublicKey) and curve and isinstance(key.curve, curve) and len(value) == 2 * size:
        pair = int.from_bytes(value[:size]), int.from_bytes(value[size:])
        return key.verify(encode_dss_signature(*pair), message, ec.ECDSA(_SIZES[algorithm[2:]]()))
    raise BadKey("the key does not fit the algorithm")


def _known(algorithm: str) -> bool:
    return algorithm in ("Ed25519", "EdDSA") or (algorithm[:2] in ("RS", "PS", "ES") and algorithm[2:] in _SIZES)


def _loaded(body: str) -> Any:
    try:
        return load_der_public_key(base64.b64decode("".join(body.split()), validate=True))
    except Exception:  # whatever hostile bytes make the parser say
        raise BadKey("this is not a public key in PEM or base64 of DER") from None


def _usable(key: Any) -> None:
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < LEAST_RSA_BITS:
        raise BadKey(f"an RSA key has at least {LEAST_RSA_BITS} bits")
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        raise BadKey("keys are Ed25519, RSA, or on a NIST curve")


def _url64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

"""An authenticator in software: makes passkeys and signs with them as a security key does (W3C WebAuthn level 2, 6)."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


class Authenticator:
    """One passkey (ES256). What a browser would pass on can be changed for each answer by keyword."""

    def __init__(self, origin: str, *, counting: bool = True) -> None:
        self.origin, self.counting, self.count = origin, counting, 0
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id, self.handle = os.urandom(32), b""
        self.row = 0  # where the passkey is kept

    def make(self, options: dict[str, Any], *, flags: int = PRESENT | VERIFIED, **client: Any) -> dict[str, Any]:
        """What navigator.credentials.create gives, as JSON data."""
        self.handle = base64url_to_bytes(options["user"]["id"])
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(self._cose())
        data = self._data(options["rp"]["id"], flags | ATTESTED) + attested
        statement = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        said = self._said("webauthn.create", options, client)
        return self._answer({"clientDataJSON": said, "attestationObject": statement})

    def sign(
        self, options: dict[str, Any], *, flags: int = PRESENT | VERIFIED, host: str = "", handle: bytes | None = None,
        **client: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """What navigator.credentials.get gives, as JSON data. `handle` b"": the authenticator names no account."""
        self.count += self.counting
        data = self._data(host or options["rpId"], flags)
        said = self._said("webauthn.get", options, client)
        signature = self.key.sign(data + hashlib.sha256(said).digest(), ec.ECDSA(hashes.SHA256()))
        parts = {"clientDataJSON": said, "authenticatorData": data, "signature": signature}
        named = self.handle if handle is None else handle
        return self._answer(parts | ({"userHandle": named} if named else {}))

    def _data(self, host: str, flags: int) -> bytes:
        return hashlib.sha256(host.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _said(self, kind: str, options: dict[str, Any], client: dict[str, Any]) -> bytes:
        said = {"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}
        return json.dumps(said | client).encode()

    def _cose(self) -> dict[int, Any]:
        numbers = self.key.public_key().public_numbers()
        return {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}

    def _answer(self, parts: dict[str, bytes]) -> dict[str, Any]:
        name = bytes_to_base64url(self.id)
        response = {part: bytes_to_base64url(value) for part, value in parts.items()}
        return {"id": name, "rawId": name, "type": "public-key", "response": response}

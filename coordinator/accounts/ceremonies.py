"""The two ceremonies of WebAuthn (W3C, level 2, 7.1 and 7.2): what browsers are asked, and whether their answers hold.

No database here: answers come from outside, and whatever a reader of them raises means that the answer is refused.
The library is loaded by whoever needs it first: it takes a third of a second, and few processes ever do.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from coordinator.config import Settings

if TYPE_CHECKING:
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

#: The longest id a credential may have, in bytes (WebAuthn level 2, 4).
LONGEST_ID = 1023


@dataclass(frozen=True)
class Site:
    """What passkeys are bound to: the host's name (the relying party id) and the origin of our pages."""

    host: str
    origin: str


@dataclass(frozen=True)
class Answer:
    """A browser's answer, nothing in it proven yet. `credential_id` and `handle` (the account it names) are
    base64url."""

    credential_id: str
    challenge: bytes
    handle: str | None
    credential: Any


@dataclass(frozen=True)
class New:
    """A credential to keep: `credential_id` is base64url, `public_key` COSE."""

    credential_id: str
    public_key: bytes
    sign_count: int


def site_of(settings: Settings) -> Site | None:
    """The site of these settings. None where browsers allow no passkeys: at an IP address, or without https beyond
    localhost (WebAuthn level 2, 5.1.3 and 13.4.9)."""
    parts = urlsplit(settings.base_url)
    try:
        host = (parts.hostname or "").encode("idna").decode()
    except UnicodeError:
        return None
    with suppress(ValueError):
        ipaddress.ip_address(host)
        return None
    local = host == "localhost" or host.endswith(".localhost")
    if not host or not (parts.scheme == "https" or local):
        return None
    usual = {"https": 443, "http": 80}[parts.scheme]
    port = f":{parts.port}" if parts.port not in (None, usual) else ""
    return Site(host, f"{parts.scheme}://{host}{port}")


def ask_for_new(
    site: Site, *, issuer: str, handle: str, email: str, name: str, challenge: bytes, known: Iterable[str], seconds: int
) -> dict[str, Any]:
    """PublicKeyCredentialCreationOptions as JSON: discoverable, the user verified, no attestation wanted; not on an
    authenticator that holds one of `known` (credential ids)."""
    import webauthn
    from webauthn.helpers import structs

    options = webauthn.generate_registration_options(
        rp_id=site.host, rp_name=issuer, user_id=webauthn.base64url_to_bytes(handle), user_name=email,
        user_display_name=name,
        challenge=challenge, timeout=seconds * 1000, exclude_credentials=_descriptors(known),
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.REQUIRED, require_resident_key=True,
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        ),
    )  # fmt: skip
    return webauthn.helpers.options_to_json_dict(options)


def ask_for_proof(site: Site, *, challenge: bytes, known: Iterable[str], seconds: int) -> dict[str, Any]:
    """PublicKeyCredentialRequestOptions as JSON: the user verified; any passkey of this site where `known` is empty."""
    import webauthn
    from webauthn.helpers import structs

    options = webauthn.generate_authentication_options(
        rp_id=site.host, challenge=challenge, timeout=seconds * 1000, allow_credentials=_descriptors(known),
        user_verification=structs.UserVerificationRequirement.REQUIRED,
    )  # fmt: skip
    return webauthn.helpers.options_to_json_dict(options)


def read_new(credential: Any) -> Answer | None:
    """The answer to `ask_for_new`, from JSON data."""
    from webauthn.helpers import parse_registration_credential_json

    with suppress(Exception):
        return _answer(parse_registration_credential_json(credential), None)
    return None


def read_proof(credential: Any) -> Answer | None:
    """The answer to `ask_for_proof`, from JSON data."""
    from webauthn.helpers import parse_authentication_credential_json

    with suppress(Exception):
        parsed = parse_authentication_credential_json(credential)
        return _answer(parsed, parsed.response.user_handle)
    return None


def check_new(site: Site, answer: Answer) -> New | None:
    """The new credential, where the answer was made at this site with the user verified. The challenge is the
    caller's to judge."""
    import webauthn

    with suppress(Exception):
        made = webauthn.verify_registration_response(
            credential=answer.credential, expected_challenge=answer.challenge, expected_rp_id=site.host,
            expected_origin=site.origin, require_user_verification=True,
        )  # fmt: skip
        if made.credential_id == answer.credential.raw_id:
            return New(answer.credential_id, made.credential_public_key, made.sign_count)
    return None


def check_proof(site: Site, answer: Answer, *, public_key: bytes) -> int | None:
    """The authenticator's signature count, where the answer was signed with this key at this site, the user verified.

    Whether the count went back is the caller's to judge, after the signature held: else anybody could make a passkey
    look copied. So is the challenge.
    """
    import webauthn

    with suppress(Exception):
        return webauthn.verify_authentication_response(
            credential=answer.credential, expected_challenge=answer.challenge, expected_rp_id=site.host,
            expected_origin=site.origin, credential_public_key=public_key, credential_current_sign_count=0,
            require_user_verification=True,
        ).new_sign_count  # fmt: skip
    return None


def _answer(credential: Any, handle: bytes | None) -> Answer | None:
    from webauthn.helpers import bytes_to_base64url, parse_client_data_json

    said = parse_client_data_json(credential.response.client_data_json)
    if said.cross_origin or len(credential.raw_id) > LONGEST_ID:
        return None
    whose = bytes_to_base64url(handle) if handle is not None else None
    return Answer(bytes_to_base64url(credential.raw_id), said.challenge, whose, credential)


def _descriptors(ids: Iterable[str]) -> list[PublicKeyCredentialDescriptor]:
    from webauthn.helpers import base64url_to_bytes
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

    return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(one)) for one in ids]

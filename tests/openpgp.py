"""OpenPGP keys for tests: made on the spot, and one that ended years ago."""

from __future__ import annotations

from pysequoia import Tsk, decrypt

_MADE: dict[str, Tsk] = {}


def secret_key(user_id: str = "Duty desk <duty@fi.example>") -> Tsk:
    if user_id not in _MADE:
        _MADE[user_id] = Tsk.generate(user_id)
    return _MADE[user_id]


def public_key(user_id: str = "Duty desk <duty@fi.example>") -> str:
    return str(secret_key(user_id).extract_certificate())


def opened(sealed: bytes, user_id: str = "Duty desk <duty@fi.example>") -> bytes:
    """What was sealed to that key. Raises where it was sealed to another."""
    found = decrypt(bytes=sealed, decryptor=secret_key(user_id).decryptor())
    assert found.bytes is not None
    return found.bytes


#: Made on 2020-01-01 for a day.
EXPIRED = """-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEXgvhABYJKwYBBAHaRw8BAQdA/hticvausXsAn6ka5SCDIsAME/SB0TqltgNx
xF7/IR+0Gk9sZCBkZXNrIDxkdXR5QGZpLmV4YW1wbGU+iJYEExYIAD4WIQQZ+Hmq
IClz61TsUH1bRqOL7KyHsAUCXgvhAAIbAQUJAAFRgAULCQgHAgYVCgkICwIEFgID
AQIeAQIXgAAKCRBbRqOL7KyHsHmGAQDV9RsIk0Rq5jDlVDDpYuSVENjlpDI+kdUr
8mjtXnSzTAD/emV6nPnM4P5kxS1UEl9fV9VziANy6BME98PycjYlUw24OAReC+EA
EgorBgEEAZdVAQUBAQdAhdYFx18AXvfE6NAP19c46FshUTecDROGb3Q1VYQFumQD
AQgHiH4EGBYIACYWIQQZ+HmqIClz61TsUH1bRqOL7KyHsAUCXgvhAAIbDAUJAAFR
gAAKCRBbRqOL7KyHsK8hAQDrJxnMvMVL8vL1hE05xCm4loKPVxZMJ3xIeQ+U18E7
dQD9GCiCXl1waijPqJIojrOkWEUHAufOoboEMJ5ilVZ07wM=
=2jcZ
-----END PGP PUBLIC KEY BLOCK-----"""

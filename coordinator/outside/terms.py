"""Fields for the terms of this field of work: labels, organisations, countries, languages, addresses."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

from marshmallow import ValidationError

from coordinator import vocabulary
from coordinator.markings import Pap, Tlp
from coordinator.outside.fields import Choice, Instant, Listed, Text, Token

_NOT_IN_ADDRESS = r"[^\s@<>()\[\]\\,;:\"\x00-\x1f\x7f-\x9f\ud800-\udfff]"
_MEDIA = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_TRI_STATE = ("yes", "no", "unknown")


class OrganisationCode(Token):
    """The code of an organisation: A-Z, 0-9 and dashes, in capitals. OWN is kept for ourselves and never comes in."""

    def __init__(self, **kwargs: Any) -> None:
        sentence = "Send an organisation's code: capitals, digits and dashes, at most 32, like FI-CSIRT."
        super().__init__(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?", sentence, longest=32,
                         canonical=str.upper, **kwargs)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        code = super()._deserialize(value, attr, data, **kwargs)
        if code == "OWN":
            raise ValidationError("OWN is reserved: send the organisation's code.")
        return code


def tlp(**kwargs: Any) -> Choice:
    """A label of TLP 2.0, with or without `TLP:`; WHITE, its name in TLP 1, is CLEAR."""
    return _label("TLP", [label.value for label in Tlp], kwargs)


def pap(**kwargs: Any) -> Choice:
    """A level of the Permissible Actions Protocol, with or without `PAP:`; WHITE is CLEAR."""
    return _label("PAP", [level.value for level in Pap], kwargs)


def _label(scheme: str, values: list[str], kwargs: dict[str, Any]) -> Choice:
    also = {f"{scheme}:{value}": value for value in values} | {"WHITE": "CLEAR", f"{scheme}:WHITE": "CLEAR"}
    return Choice(values, also=also, **kwargs)


def choice(words: Any, sentence: str = "", **kwargs: Any) -> Choice:
    """One code of a vocabulary."""
    return Choice(words.codes, sentence=sentence, **kwargs)


def legal_basis() -> Text:
    """On what personal data is processed: the law and article it rests on."""
    said = "The legal basis of the personal data in it. Where it is given, there is personal data."
    return Text(500, metadata={"description": said})


def delete_by() -> Instant:
    """By when personal data is to be deleted."""
    said = "By when the personal data in it is to be deleted (RFC 3339). Where it is given, there is personal data."
    return Instant(metadata={"description": said})


def country(**kwargs: Any) -> Choice:
    """ISO 3166-1 alpha-2, given back in capitals."""
    return choice(vocabulary.COUNTRIES, "Send an ISO 3166-1 alpha-2 code, like FI.", **kwargs)


def sectors(**kwargs: Any) -> Listed:
    """Sectors of NIS2 (Directive (EU) 2022/2555, annexes I and II)."""
    return Listed(choice(vocabulary.SECTORS), most=len(vocabulary.SECTORS.codes), **kwargs)


def incident_type(**kwargs: Any) -> Choice:
    """RSIT class or class/type, or undetermined (Reference Security Incident Taxonomy)."""
    sentence = "Send an RSIT class or class/type, like availability/ddos, or undetermined."
    return choice(vocabulary.INCIDENT_TYPES, sentence, **kwargs)


def tri_state(**kwargs: Any) -> Choice:
    """yes, no or unknown."""
    return Choice(_TRI_STATE, **kwargs)


class Language(Token):
    """A BCP 47 language tag, in the recommended writing: `en`, `pt-BR`, `zh-Hant` (RFC 5646, 2.1.1)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(r"[A-Za-z0-9-]{2,20}", "Send a BCP 47 language tag, like en or pt-BR.", longest=20, **kwargs)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        tag = super()._deserialize(value, attr, data, **kwargs)
        if not vocabulary.valid_language(tag):
            raise ValidationError(self.sentence)
        return _recommended_case(tag)


def _recommended_case(tag: str) -> str:
    first, *rest = tag.split("-")
    written, single = [first.lower()], False
    for part in rest:
        plain = single or len(part) not in (2, 4) or part[0].isdigit()
        written.append(part.lower() if plain else part.upper() if len(part) == 2 else part.title())
        single = single or len(part) == 1
    return "-".join(written)


def email(**kwargs: Any) -> Token:
    """One mail address without a display name; letters of any script."""
    sentence = "Send one mail address without a name, like duty@example.org."
    return Token(rf"{_NOT_IN_ADDRESS}{{1,64}}@{_NOT_IN_ADDRESS}{{1,190}}", sentence, longest=254, **kwargs)


def phone(**kwargs: Any) -> Token:
    """A telephone number, best in E.164 with a leading plus."""
    sentence = "Send a telephone number with its country code, like +358 0 000 000."
    return Token(r"\+?[0-9][0-9 ()./-]{2,38}(?: ?(?:x|ext\.?) ?[0-9]{1,8})?", sentence, longest=40, **kwargs)


def media_type(**kwargs: Any) -> Token:
    """A media type; parameters are left out, letters are small (RFC 6838, 4.2)."""
    sentence = "Send a media type, like application/pdf."
    return Token(rf"{_MEDIA}/{_MEDIA}(?:[ \t]*;[\x20-\x7e]*)?", sentence, longest=120,
                 canonical=lambda text: text.split(";")[0].strip().lower(), **kwargs)


def sha256(**kwargs: Any) -> Token:
    """A SHA-256 digest as 64 hexadecimal digits, small letters out."""
    return Token(r"[0-9a-fA-F]{64}", "Send the SHA-256 as 64 hexadecimal digits.", longest=64,
                 canonical=str.lower, **kwargs)


@lru_cache(maxsize=1)
def time_zones() -> frozenset[str]:
    """The names of the IANA time zone database; looked up once, because it reads many files."""
    return frozenset(available_timezones())


def identifier(**kwargs: Any) -> Token:
    """An id that can stand in a path or be said on the phone: letters, digits, dash, underscore, dot; at most 64."""
    sentence = "Send an id of letters, digits, dashes, underscores and dots, at most 64, first a letter or digit."
    return Token(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", sentence, longest=64, **kwargs)

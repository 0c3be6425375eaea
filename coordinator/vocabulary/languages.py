"""Language tags (BCP 47, RFC 5646): enough of the grammar for what people speak and templates are written in."""

from __future__ import annotations

import re

from coordinator.vocabulary.lists import COUNTRIES
from coordinator.vocabulary.vocabulary import load

# language, script, region, variants. Extensions and private use say nothing to a person who looks for an interpreter.
_TAG = re.compile(
    r"(?P<language>[a-z]{2,3})(-(?P<script>[a-z]{4}))?(-(?P<region>[a-z]{2}|\d{3}))?(-([a-z0-9]{5,8}|\d[a-z0-9]{3}))*",
    re.ASCII | re.IGNORECASE,
)
_NAMES: dict[str, str] = load("languages")["codes"]


def valid_language(tag: object) -> bool:
    """Whether it is a well-formed tag of a language that exists. Two-letter languages and regions are looked up."""
    found = _TAG.fullmatch(tag) if isinstance(tag, str) else None
    if not found:
        return False
    language, region = found["language"].lower(), (found["region"] or "").upper()
    known = len(language) == 3 or language in _NAMES
    return known and (len(region) != 2 or region in COUNTRIES)


def language_name(tag: str) -> str:
    """The English name of the tag's language; the tag itself where the name is not known."""
    return _NAMES.get(tag.split("-")[0].lower(), tag)

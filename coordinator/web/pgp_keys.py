"""OpenPGP keys on the pages of partners: pasted into the form of a contact, and shown beside its addresses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from flask_babel import gettext as _

from coordinator.errors import Fault, Invalid
from coordinator.partners import openpgp


def paired(text: str, channels: str, had: Mapping[str, str]) -> dict[str, str]:
    """Each pasted key by the e-mail address it is for: one its owner named in it, or that it was pinned to before.

    `channels`: one way a line, as the form has it; `had`: the keys before, by address. Raises Invalid at /pgp_keys.
    """
    blocks = openpgp.blocks(text.replace("\r\n", "\n"))
    if text.strip() and not blocks:
        raise _invalid(_("Paste whole keys, each from its BEGIN line to its END line."))
    ways = (line.split(maxsplit=1) for line in channels.splitlines())
    addresses = [way[1].strip() for way in ways if len(way) == 2 and way[0].lower() == "email"]
    found: dict[str, str] = {}
    for block in blocks:
        try:
            named = openpgp.check(block).addresses
        except openpgp.BadKey as fault:
            raise _invalid(fault.detail) from None
        whose = [each for each in addresses if each.casefold() in named or had.get(each) == block]
        if not whose:
            raise _invalid(_("A key names none of the e-mail addresses above. Add the address, or leave the key out."))
        found |= dict.fromkeys(whose, block)
    return found


def shown(armoured: str) -> tuple[str, datetime | None, str]:
    """A pinned key for the page: its fingerprint in groups of four, when it ends, and what is wrong with it ("")."""
    try:
        key = openpgp.look_at(armoured)
    except openpgp.BadKey as fault:
        return "", None, fault.detail
    try:
        openpgp.check(armoured)
    except openpgp.BadKey as fault:
        return key.in_groups, key.expires_at, fault.detail
    return key.in_groups, key.expires_at, ""


def _invalid(sentence: str) -> Invalid:
    return Invalid([Fault("/pgp_keys", sentence)])

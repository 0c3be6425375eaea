"""Which changes wait for a second person, who that may be, and how a change reads. Pure.

Two persons are needed for what would let one of them listen in, speak for us, or clear alone: a channel, URL, key or
private range of a partner, what a partner is to us and to whom it belongs, who we are and who is told of everything
new, an agreement, a consent, an account's role, a second factor made new.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any

from coordinator.accounts.rules import ADMINISTERING, CASE_CONTENT, CLEARING, RIGHTS, Right, Role, may

#: A change nobody answered is over after this long.
LIFE = timedelta(days=14)
#: The old channel is told before the change can be made; for a channel that is dead nobody waits longer than this.
TOLD_FIRST = timedelta(minutes=10)


class Kind(StrEnum):
    ENDPOINT = "endpoint"
    KEY = "key"
    HTTP_HOST = "http-host"
    ORGANISATION = "organisation"
    CONTACT = "contact"
    AGREEMENT = "agreement"
    CONSENT = "consent"
    ACCOUNT = "account"
    FACTOR_RESET = "factor-reset"
    SETTING = "setting"


#: What the second person must be able to read, beside holding `confirm-change`: nobody confirms what they cannot see.
READS: Mapping[Kind, Right] = {
    Kind.ENDPOINT: Right.READ_PARTNERS,
    Kind.KEY: Right.READ_PARTNERS,
    Kind.HTTP_HOST: Right.READ_PARTNERS,
    Kind.ORGANISATION: Right.READ_PARTNERS,
    Kind.CONTACT: Right.READ_PARTNERS,
    Kind.AGREEMENT: Right.READ_AGREEMENTS,
    Kind.CONSENT: Right.READ_AGREEMENTS,
    Kind.ACCOUNT: Right.READ_USERS,
    Kind.FACTOR_RESET: Right.READ_USERS,
    Kind.SETTING: Right.READ_PARTNERS,
}

_REACHED_BY = frozenset({"organisation", "person", "tlp_max", "channels"})
#: What decides which alerts an organisation gets: GREEN goes to a community, AMBER to our clients, anything to our own;
#: an alert to affected states goes by country and kind.
STANDING = frozenset({"communities", "client_of_own", "own"})
_GETS_BY = STANDING | {"country", "kind"}


def may_see(kind: Kind, role: Role) -> bool:
    """Whether this role may look at waiting changes of this kind."""
    return may(role, READS[kind])


def confirming_roles(kind: Kind) -> frozenset[Role]:
    """The roles that may answer a change of this kind."""
    return frozenset(role for role in Role if may(role, Right.CONFIRM_CHANGE) and may_see(kind, role))


def may_answer(kind: Kind, *, role: Role, actor: str, asked_by: str, about: str = "") -> str:
    """Why this person may not accept or refuse the change, as a sentence; "" where they may.

    `about` is the actor whose account it is. Whoever asks at the command line holds the machine, as an administrator
    does: the second person is another one then.
    """
    if role not in confirming_roles(kind):
        return "Your role may not answer a change of this kind."
    if actor == asked_by:
        return "You asked for this change yourself: another person has to answer."
    if about and actor == about:
        return "This change is about your own account: another person has to answer."
    if asked_by.startswith("cli:") and role is Role.ADMINISTRATOR:
        return "This change was asked for at the command line: somebody who is not an administrator has to answer."
    return ""


def grants(role: Role) -> bool:
    """Whether holding this role lets somebody clear, administer, or read a case or what partners were told of one:
    then two persons give it. An administrator alone would otherwise read the partner view as a partner's person."""
    return not RIGHTS[role].isdisjoint(CLEARING | ADMINISTERING | CASE_CONTENT | {Right.SEE_PARTNER_VIEW})


def waits(kind: Kind, old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> bool:
    """Whether this change is one that two persons make. `old` None: it is not there yet."""
    changed = set(differences(old, new))
    if kind is Kind.CONTACT:
        return bool(new.get("channels")) if old is None else not changed.isdisjoint(_REACHED_BY)
    if kind is Kind.ORGANISATION:
        return any(new.get(name) for name in STANDING) if old is None else not changed.isdisjoint(_GETS_BY)
    if kind is Kind.SETTING:
        return old is not None and bool(changed)
    if kind is Kind.ACCOUNT:
        return "role" in changed and grants(Role(new["role"]))
    return bool(changed)


def differences(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Field -> (old, new), for what is not the same; an absent field and an empty one are."""
    before = old or {}
    names = [*new, *(name for name in before if name not in new)]
    return {
        name: (before.get(name), new.get(name))
        for name in names
        if (before.get(name) or None) != (new.get(name) or None)
    }


def in_words(value: Any) -> str:
    """A value of a field for people: lists with commas, objects as name: value."""
    if value is None or value == "" or value == []:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {in_words(each)}" for name, each in value.items() if in_words(each))
    if isinstance(value, list):
        return "; ".join(in_words(each) for each in value)
    return str(value)

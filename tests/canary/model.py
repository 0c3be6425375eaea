"""Who may come across which word: a small model of need-to-know, written down beside the product and not from its code.

The rights are the table of docs/security.md in this test's own words. What a partner may know follows from the rows of
share_decisions alone: a permit for it, for that text, of which something left.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

#: Own roles that read cases, and those that see restricted ones unnamed.
READ_CASES = {"liaison-officer", "coordinator", "duty-officer", "release-authority", "legal-adviser",
              "exercise-controller", "analyst", "auditor"}  # fmt: skip
SEE_RESTRICTED = {"duty-officer", "auditor"}
READ_AGREEMENTS = {"coordinator", "duty-officer", "release-authority", "legal-adviser", "agreement-manager", "auditor"}
HANDLE_QUARANTINE = {"coordinator", "duty-officer"}
READ_PLAYBOOKS = READ_CASES | {"administrator"}
#: Who stops a partner's key or service, and who stops all sending; and who looks after it or audits it.
STOP_KEYS = {"administrator", "coordinator", "duty-officer", "auditor"}
STOP_SENDING = {"coordinator", "duty-officer", "release-authority", "administrator", "auditor"}
READ_AREAS = {"agreement": READ_AGREEMENTS, "playbook": READ_PLAYBOOKS, "endpoint": STOP_KEYS,
              "sending": STOP_SENDING}  # fmt: skip
OWN_ROLES = READ_CASES | {"agreement-manager", "administrator"}
#: The administrator knows partners, accounts and the state of the system, and no case.
READ_PARTNERS = OWN_ROLES


@dataclass(frozen=True)
class Reader:
    """Somebody who looks. `partner`: the code of the organisation a partner's person belongs to, "" for our own."""

    name: str
    role: str = ""
    user_id: int = 0
    email: str = ""
    partner: str = ""


VISITOR = Reader("visitor")


@dataclass(frozen=True)
class Case:
    """What the model knows of an incident. `named`: users who may know of it while it is restricted."""

    restricted: bool = False
    named: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Word:
    """One word that stands in one place only. `area` says whose need-to-know it is; `case` the incident it is about.

    Areas: case, alert, report (of a partner, before and beside its case), partner, agreement, person, draft,
    quarantine, standing, code (of a partner), reference (of a restricted incident), public (everybody's), secret
    (nobody's), service (its own credential), exercise, ours (all of our people's: of the
    directory, of clock rules), and those of READ_AREAS.
    """

    text: str
    what: str
    area: str
    case: str = ""
    release: int = 0
    also: tuple[int, ...] = ()  # further releases that say it
    user: int = 0
    partner: str = ""
    red: bool = False
    given: bool = False  # to a service, by a playbook


@dataclass(frozen=True)
class Left:
    """Something left for a partner: from the rows of decisions, deliveries and answers, by plain SQL."""

    partner: str
    release: int
    tlp: str
    person: str  # address of the contact's person, for RED
    token: str  # of the link it bore, "" where none was made
    attributed: str  # the code of whose information it is, unless that is withheld
    over: bool = False  # asked back or withdrawn since: what was delivered lies there, our doors show it no more


@dataclass
class Model:
    """Words, cases and what left; `may(reader, word)` is the oracle."""

    words: list[Word] = field(default_factory=list)
    cases: dict[str, Case] = field(default_factory=dict)
    left: list[Left] = field(default_factory=list)
    served: set[str] = field(default_factory=set)  # partners whose service was given something under a permit
    asked: set[tuple[str, str]] = field(default_factory=set)  # (who was asked for a consent, for whom)
    notices: set[str] = field(default_factory=set)  # tokens of links that were mailed to our own people
    task_roles: dict[str, str] = field(default_factory=dict)
    dice: random.Random = field(default_factory=random.Random)

    def word(self, what: str, area: str, **more: object) -> str:
        """A new word: lower-case letters that stand nowhere else and survive every folding of text."""
        text = "zqk" + "".join(self.dice.choice("bcdfghjklmnpqrstvwxz") for _ in range(11))
        self.words.append(Word(text, what, area, **more))  # type: ignore[arg-type]
        return text

    def may(self, reader: Reader, word: Word, *, token: str = "", door: bool = True) -> bool:
        """Whether this reader may come across this word; `token`: of the link through which they look; `door`: at ours,
        else in what was delivered to them."""
        if word.area in ("public", "secret", "service"):
            return word.area == "public"
        return self._told(reader, word, token, door) or (reader.role in OWN_ROLES and self._ours(reader, word))

    def may_be_mailed(self, reader: Reader, word: Word) -> bool:
        """Whether the word may stand in a mail that is not sealed: to our own no content of any case, to a partner only
        what is GREEN or CLEAR, and the reference that the partner gave it."""
        if reader.role in OWN_ROLES:
            return word.area in ("person", "partner", "code", "reference", "exercise", "playbook", "standing")
        if word.area != "alert":
            return word.area in ("code", "partner", "person", "public") or word.what.startswith("external id")
        return any(
            one.partner == reader.partner and one.release in (word.release, *word.also)
            and one.tlp in ("CLEAR", "GREEN")
            for one in self.left
        )

    def _ours(self, reader: Reader, word: Word) -> bool:
        if word.area in ("person", "partner", "code", "standing", "exercise", "ours"):
            return True
        if word.area in READ_AREAS:
            return reader.role in READ_AREAS[word.area]
        if word.area == "draft":
            return reader.user_id == word.user
        if word.area == "quarantine":
            return reader.role in HANDLE_QUARANTINE & (SEE_RESTRICTED if word.red else HANDLE_QUARANTINE)
        if self.task_roles.get(word.text) == reader.role:
            return True
        return reader.role in READ_CASES and self._knows(reader, word)

    def _knows(self, reader: Reader, word: Word) -> bool:
        """RED is for named people wherever it is said, our own too."""
        known = self.cases.get(word.case, Case())
        return not (known.restricted or word.red) or reader.role in SEE_RESTRICTED or reader.user_id in known.named

    def _told(self, reader: Reader, word: Word, token: str, door: bool) -> bool:
        """What a partner's person may know: what left for the partner, its own words, its own name."""
        if token and any(self._behind(one, word) for one in self.left if one.token == token):
            return True
        if token in self.notices and word.area == "reference":
            return True  # a notice named the incident before it was restricted, and only our own person has the link
        asked = {reader.partner, *(one.partner for one in self.left if token and one.token == token)}
        if word.area in ("code", "partner") and any((each, word.partner) in self.asked for each in asked):
            return True  # who is asked for a consent has to know for whom
        if not reader.partner:
            return False
        if reader.partner == word.partner:
            return True
        if word.given:
            return reader.partner in self.served
        if word.area == "code" or word.what.startswith("name of partner"):  # STIX identities have both
            return any(one.partner == reader.partner and one.attributed == word.partner for one in self.left)
        return word.area == "alert" and any(
            one.partner == reader.partner and one.release in (word.release, *word.also) and not (door and one.over)
            and (one.tlp != "RED" or one.person.casefold() == reader.email.casefold())
            for one in self.left
        )

    @staticmethod
    def _behind(one: Left, word: Word) -> bool:
        """Up to GREEN the holder of the link sees the text; whose it is and to whom it went stand on the page."""
        if word.area == "code":
            return word.partner in (one.partner, one.attributed)
        given = one.tlp in ("CLEAR", "GREEN") and not one.over
        if word.what.startswith("external id") and word.partner == one.partner:
            return given  # a request for a consent names what they told us by their own reference
        return word.area == "alert" and one.release in (word.release, *word.also) and given

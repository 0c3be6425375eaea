"""The state of an agreement at an instant, and its terms in the words of the sharing decision. Pure.

Status is a function of dates and never typed in (I9). A start is in, an end is out: at `expires_on` itself it is over.
`register` is always the stored terms: the register's field names, instants as RFC 3339 text, dates as YYYY-MM-DD.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

Register = Mapping[str, Any]

# An agreement without a start has not begun, whatever the reader of these terms asks first.
_NEVER = "9999-12-31T00:00:00Z"


class AgreementStatus(StrEnum):
    DRAFT = "draft"
    SIGNED = "signed"
    PROVISIONAL = "provisional"
    IN_FORCE = "in-force"
    SUSPENDED = "suspended"
    EXPIRED = "expired"
    TERMINATED = "terminated"
    SUPERSEDED = "superseded"


LIVE = frozenset({AgreementStatus.IN_FORCE, AgreementStatus.PROVISIONAL})
OVER = frozenset({AgreementStatus.EXPIRED, AgreementStatus.TERMINATED, AgreementStatus.SUPERSEDED})


def status(register: Register, now: datetime, *, superseded_at: datetime | None = None) -> AgreementStatus:
    """The status at `now`. `superseded_at` is when an agreement that names this one in `supersedes` took effect.

    What ended first names the end: an agreement that was terminated and would have expired later is terminated.
    """
    ended = _ended(register, now, superseded_at)
    if ended is not None:
        return ended
    signed, start = is_signed(register, now), _instant(register.get("effective_from"))
    if not signed and not register.get("provisional"):
        return AgreementStatus.DRAFT
    if start is None or now < start:
        return AgreementStatus.SIGNED if signed else AgreementStatus.DRAFT
    if is_suspended(register, now):
        return AgreementStatus.SUSPENDED
    return AgreementStatus.IN_FORCE if signed else AgreementStatus.PROVISIONAL


def supersessions(registers: Iterable[Register], now: datetime) -> dict[str, datetime]:
    """agreement_id -> when its successor took effect, for every successor that is signed or applied provisionally."""
    found: dict[str, datetime] = {}
    for register in registers:
        start, earlier = _instant(register.get("effective_from")), register.get("supersedes")
        if earlier and start and (register.get("provisional") or is_signed(register, now)):
            found[earlier] = min(start, found.get(earlier, start))
    return found


def is_live(register: Register, now: datetime, *, superseded_at: datetime | None = None) -> bool:
    """Whether something can flow under it at `now`: in force or provisionally applied."""
    return status(register, now, superseded_at=superseded_at) in LIVE


def may_end(register: Register, now: datetime) -> bool:
    """Whether its dates still matter to somebody: it has not ended, though it may not have begun."""
    return _ended(register, now, None) is None


def _ended(register: Register, now: datetime, superseded_at: datetime | None) -> AgreementStatus | None:
    ends = [
        (_instant(register.get("terminated_on")), AgreementStatus.TERMINATED),
        (superseded_at, AgreementStatus.SUPERSEDED),
        (_instant(register.get("expires_on")), AgreementStatus.EXPIRED),
    ]
    over = [(at, number, name) for number, (at, name) in enumerate(ends) if at is not None and now >= at]
    return min(over)[2] if over else None


def is_signed(register: Register, now: datetime) -> bool:
    """Whether every party has signed by `now`. A date for the whole counts where no party has a date of its own."""
    dates = [party.get("signed_on") for party in register.get("parties", ())]
    if not any(dates):
        dates = [register.get("signed_on")]
    return all(day is not None and _day(day) <= now for day in dates)


def is_suspended(register: Register, now: datetime) -> bool:
    """Whether `now` lies in a suspension; one without an end lasts."""
    return any(
        _begun(pause.get("from"), now) and not _over(pause.get("to"), now) for pause in register.get("suspended") or ()
    )


def _begun(start: Any, now: datetime) -> bool:
    instant = _instant(start)
    return instant is None or instant <= now


def _over(end: Any, now: datetime) -> bool:
    instant = _instant(end)
    return instant is not None and now >= instant


def _instant(value: Any) -> datetime | None:
    if not value:
        return None
    return (value if isinstance(value, datetime) else datetime.fromisoformat(value)).astimezone(UTC)


def _day(value: str) -> datetime:
    return datetime.fromisoformat(value).replace(tzinfo=UTC)


def to_decision_input(
    register: Register, *, now: datetime, own: str, superseded_at: datetime | None = None
) -> dict[str, Any]:
    """The terms as the sharing decision takes them; `own` is our organisation's code, which is written OWN there.

    `recipients` are the parties that may receive from us: none where we are no party, or only receive. An agreement
    that was superseded has ended there as terminated.
    """
    return {
        "id": register["agreement_id"],
        "effective_from": register.get("effective_from") or _NEVER,
        "expires_on": register.get("expires_on"),
        "terminated_on": _first_end(register.get("terminated_on"), superseded_at),
        "suspended": is_suspended(register, now),
        "signed": is_signed(register, now),
        "provisional": bool(register.get("provisional")),
        "recipients": sorted(recipients_of(register, own)),
        "categories": list(register.get("info_categories_allowed", ())),
        "categories_excluded": list(register.get("info_categories_excluded", ())),
        "tlp_ceiling": register["tlp_ceiling"],
        "purposes": list(register.get("permitted_purposes", ())),
        "purposes_prohibited": list(register.get("prohibited_uses", ())),
        "personal_data": register.get("personal_data") or "none",
        "onward": register.get("onward_sharing") or "none",
        "retention_max": register.get("retention_max"),
        "encryption": register.get("encryption_in_transit"),
        "attribution": register.get("attribution_rule"),
        "destruction": register.get("destruction_on"),
        "certificate": bool(register.get("destruction_certificate")),
    }


def _first_end(terminated_on: str | None, superseded_at: datetime | None) -> str | None:
    ends = [instant for instant in (_instant(terminated_on), superseded_at) if instant is not None]
    return min(ends).isoformat().replace("+00:00", "Z") if ends else None


def recipients_of(register: Register, own: str) -> set[str]:
    """The parties that may receive from us under it."""
    parties = register.get("parties", ())
    if own not in _in_role(parties, "provider"):
        return set()
    return {"OWN" if code == own else code for code in _in_role(parties, "recipient")}


def givers_of(register: Register, own: str) -> set[str]:
    """The parties that may give us under it."""
    parties = register.get("parties", ())
    return _in_role(parties, "provider") - {own} if own in _in_role(parties, "recipient") else set()


def guarded(register: Register, now: datetime, *, own: str, superseded_at: datetime | None = None) -> set[str]:
    """The parties of whose information we pass nothing on without their prior written consent, whatever its label: the
    third-party rule. It holds while a suspension lasts, and after the end where it is said to survive it."""
    if not register.get("third_party_rule"):
        return set()
    return _giving(register, now, own=own, superseded_at=superseded_at, surviving="third-party-rule")


def unnamed(register: Register, now: datetime, *, own: str, superseded_at: datetime | None = None) -> set[str]:
    """The parties whom we do not name as the source of what they told us. As long as `guarded`; after the end where
    confidentiality is said to survive it."""
    if register.get("attribution_rule") != "must-not":
        return set()
    return _giving(register, now, own=own, superseded_at=superseded_at, surviving="confidentiality")


def named(register: Register, now: datetime, *, own: str, superseded_at: datetime | None = None) -> set[str]:
    """The parties whom whoever uses what they told us has to name as its source."""
    if register.get("attribution_rule") != "must":
        return set()
    return _giving(register, now, own=own, superseded_at=superseded_at, surviving="")


def _giving(
    register: Register, now: datetime, *, own: str, superseded_at: datetime | None, surviving: str
) -> set[str]:
    """The parties that give us, while what is agreed of it binds us: in force or suspended, or over and `surviving` is
    among what survives."""
    found = status(register, now, superseded_at=superseded_at)
    start = _instant(register.get("effective_from"))
    begun = start is not None and start <= now and (is_signed(register, now) or bool(register.get("provisional")))
    survives = surviving in (register.get("survives_termination") or ())
    holds = found in LIVE or found is AgreementStatus.SUSPENDED or (begun and found in OVER and survives)
    return givers_of(register, own) if holds else set()


def _in_role(parties: Iterable[Register], role: str) -> set[str]:
    return {party["party"] for party in parties if party["role"] in (role, "both")}

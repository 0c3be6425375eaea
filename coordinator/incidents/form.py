"""The report form's fields as a native report, so that a person and a partner system pass the same shape.

Only names change here, and local dates become instants: nothing is judged. What cannot be read goes on as it stands,
with a sentence, and is refused by the shape together with everything else that is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from coordinator.incidents.rules import REPORT_INSTANTS
from coordinator.incidents.schema import load_report
from coordinator.outside.fields import Unreadable
from coordinator.outside.terms import time_zones

_DAY = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?\Z")
_TIME = re.compile(r"([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?\Z")


class Form(Protocol):
    """What web frameworks call a multi-dict."""

    def getlist(self, key: str) -> list[str]: ...


# ---------------------------------------------------------------- one field to one value


def _first(form: Form, name: str) -> str:
    values = form.getlist(name)
    return values[0] if values else ""


def _prose(form: Form, name: str) -> str:
    # Browsers send CR LF for every line end of a text area (HTML, form submission); people typed one.
    return _first(form, name).replace("\r\n", "\n")


def _code(form: Form, name: str) -> str:
    return _first(form, name).strip()


def _number(form: Form, name: str) -> int | str:
    text = _code(form, name)
    return int(text) if re.fullmatch(r"[0-9]{1,3}", text, re.ASCII) else text


def _ticked(form: Form, name: str) -> bool | str:
    return _code(form, name).lower() in ("on", "true", "1", "yes") or ""


def _several(form: Form, name: str) -> list[str] | str:
    """Values of check boxes or of a list, or one text with commas or spaces between."""
    return [part for value in form.getlist(name) for part in re.split(r"[\s,;]+", value) if part] or ""


def _lines(form: Form, name: str) -> list[str] | str:
    return [line.strip() for line in _first(form, name).splitlines() if line.strip()] or ""


def _observables(form: Form, name: str) -> list[dict[str, str]] | str:
    """A line each: the type, a space, the value."""
    lines = _lines(form, name)
    return [dict(zip(("type", "value"), line.split(None, 1), strict=False)) for line in lines] or ""


# ---------------------------------------------------------------- local time


def _instant(form: Form, name: str) -> tuple[str, str]:
    """RFC 3339 text and the fidelity that was typed, both "" where nothing was."""
    day, time = _code(form, f"{name}_date"), _code(form, f"{name}_time")
    zone = _code(form, f"{name}_zone") or _code(form, "zone") or "UTC"
    if not day:
        return (Unreadable(time, "Give the date as well."), "") if time else ("", "")
    days, times = _DAY.match(day), _TIME.match(time or "00:00")
    if not days or not times or (time and not days[3]):
        return Unreadable(day, "Write the date like 2026-11-22 and the time like 17:53."), ""
    if zone not in time_zones():
        return Unreadable(day, "Choose a time zone, like Europe/Tallinn."), ""
    year, month, dom = (int(part or 1) for part in days.groups())
    hour, minute, second = (int(part or 0) for part in times.groups())
    try:
        local = datetime(year, month, dom, hour, minute, second, tzinfo=ZoneInfo(zone))
        utc = local.astimezone(UTC)
    except (ValueError, OverflowError):
        return Unreadable(day, "There is no such date or time."), ""
    if utc.astimezone(local.tzinfo).replace(tzinfo=None) != local.replace(tzinfo=None):
        return Unreadable(day, "The clocks there skipped this time: choose another."), ""
    return utc.isoformat(), _fidelity(days, times, time)


def _fidelity(days: re.Match[str], times: re.Match[str], time: str) -> str:
    if time:
        return "second" if times[3] else "minute"
    return "day" if days[3] else "month" if days[2] else "year"


def _exact(form: Form, name: str) -> str:
    """An instant that needs its time: a date alone would leave open whether its start or its end is meant."""
    text, fidelity = _instant(form, name)
    if fidelity and fidelity not in ("minute", "second"):
        return Unreadable(text, "Give the time as well.")
    return text


def _day(form: Form, name: str) -> str:
    return day_of(_code(form, name))


def day_of(day: str) -> str:
    """What the field of a date gave, as a schema takes an instant: its beginning in UTC; "" where nothing was given."""
    if not day:
        return ""
    try:
        return f"{date.fromisoformat(day).isoformat()}T00:00:00Z"
    except ValueError:
        return Unreadable(day, "Write the date like 2026-11-22.")


# ---------------------------------------------------------------- the form

_READ: dict[str, Callable[[Form, str], Any]] = {
    "title": _prose,
    "description": _prose,
    "external_id": _prose,
    "tlp": _code,
    "pap": _code,
    "classification": _code,
    "severity": _number,
    "sectors": _several,
    "states_affected": _several,
    "suspected_malicious": _code,
    "cross_border": _code,
    "humanitarian_flags": _several,
    "originator": _code,
    "observables": _observables,
    "asks": _prose,
    "reply_by": _exact,
    "language": _code,
    "exercise": _code,
}
_CAVEATS: dict[str, Callable[[Form, str], Any]] = {
    "rel_to": _several,
    "not_rel_to": _several,
    "orcon": _ticked,
    "no_attribution": _ticked,
    "le_sensitive": _ticked,
    "personal_data": _ticked,
    "pd_basis": _prose,
    "pd_delete_by": _day,
    "embargo_until": _exact,
    "named_recipients": _lines,
}
_IEP: dict[str, Callable[[Form, str], Any]] = {
    **dict.fromkeys(("tlp", "encrypt_in_transit", "permitted_actions", "affected_party_notifications", "attribution",
                     "unmodified_resale", "external_reference"), _code),
    "start_date": _exact,
    "end_date": _exact,
}  # fmt: skip
_MARKING: dict[str, Callable[[Form, str], Any]] = {
    **dict.fromkeys(("item", "info_category", "tlp", "pap", "asked_by"), _code),
    **dict.fromkeys(("pd_basis", "reason"), _prose),
    **dict.fromkeys(("rel_to", "not_rel_to", "embargo_set"), _several),
    "embargo_until": _exact,
    "pd_delete_by": _day,
    "named_recipients": _lines,
}
_CONTACT: dict[str, Callable[[Form, str], Any]] = dict.fromkeys(("name", "email", "phone"), _code)


def from_form(form: Form) -> dict[str, Any]:
    """The form as a native report, for `load_report`. Fields left empty are absent; other names are not looked at."""
    report = _read(form, _READ)
    for name in REPORT_INSTANTS:
        report |= _with_fidelity(form, name)
    caveats = _read(form, _CAVEATS, "caveats_")
    if _ticked(form, "caveats_rel_to_nobody"):
        caveats.setdefault("rel_to", [])
    groups = {"caveats": caveats, "contact": _read(form, _CONTACT, "contact_"), "iep": _read(form, _IEP, "iep_")}
    return report | {name: values for name, values in groups.items() if values}


def marking_from_form(form: Form, flags: Sequence[str]) -> dict[str, Any]:
    """The form of a label and caveats, for `requests.load_tightening`; `flags`: those that a box "caveats" may tick."""
    ticked = {name: True for name in form.getlist("caveats") if name in flags}
    policy = _read(form, _IEP, "iep_")
    return _read(form, _MARKING) | ticked | ({"iep": policy} if policy else {})


def _read(form: Form, readers: dict[str, Callable[[Form, str], Any]], prefix: str = "") -> dict[str, Any]:
    values = {name: reader(form, prefix + name) for name, reader in readers.items()}
    return {name: value for name, value in values.items() if value != "" or isinstance(value, Unreadable)}


def _with_fidelity(form: Form, name: str) -> dict[str, str]:
    instant, typed = _instant(form, name)
    fidelity = _code(form, f"{name}_fidelity") if instant else ""
    values = {name: instant, f"{name}_fidelity": fidelity or typed}
    return {key: value for key, value in values.items() if value or isinstance(value, Unreadable)}


def load_form(
    form: Form, *, attachments: Sequence[dict[str, Any]] = (), now: datetime | None = None
) -> dict[str, Any]:
    """As `load_report`; the pointers of Invalid are those of the native report (see `form_field`).

    `attachments` are the files the door took: name, media_type, sha256, size.
    """
    report = from_form(form)
    return load_report(report | {"attachments": list(attachments)} if attachments else report, now=now)


_DATED = ("reply_by", "caveats_embargo_until", "embargo_until", "iep_start_date", "iep_end_date")


def form_field(pointer: str) -> str:
    """The name of the form field that a fault's pointer belongs to. The missing instant is asked for at noticed_at."""
    first, *rest = pointer.removeprefix("/").split("/")
    if not first:
        return "noticed_at_date"
    name = f"{first}_{rest[0]}" if first in ("caveats", "contact", "iep") and rest else first
    dated = name in REPORT_INSTANTS or name in _DATED
    return f"{name}_date" if dated else name

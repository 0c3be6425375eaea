"""The shape of a clock rule as data, and of what people send about a duty."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, validates_schema

from coordinator.obligations.rules import known_offset
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Choice, Instant, Listed, Part, Text, Token, Whole

STATUSES = ("in-force", "not-in-force", "template")
FIDELITIES = ("second", "minute", "hour", "day", "month", "year")
_NAME = r"[a-z][a-z_]{0,60}(:[A-Z0-9-]{1,60})?"


class ClockSchema(Shape):
    """So long after an instant that `basis` names; `submitted_at:<rule>`, `due_at:<rule>` are another duty's."""

    basis = Token(_NAME, "Write the name of an instant, like aware_at or submitted_at:EU-NIS2-IN.", required=True)
    offset = Text(40, required=True)
    unless_over_by = Token(_NAME, "Write the name of an instant, like classified_at.")

    @validates_schema
    def _can_be_reckoned(self, data: Any, **_: Any) -> None:
        if not known_offset(data.get("offset", "")):
            raise ValidationError(
                {"offset": ["Write PT24H, P1M, 4BD, without-undue-delay, or given."]}
            )


class RuleSchema(Shape):
    """A rule of the table. `confidence` says how surely it was read, `status` whether it is in force as far as read."""

    rule = Token(r"[A-Z0-9][A-Z0-9-]{1,59}", "Write capitals, digits and hyphens, like EU-NIS2-EW.", required=True)
    jurisdiction = Text(40, required=True)
    instrument = Text(300, required=True)
    who = Text(300, required=True)
    to = Text(300, required=True)
    trigger = Text(300, required=True)
    clocks = Listed(Part(ClockSchema), most=8, required=True)
    calendar = Text(40)
    kind = Text(60, required=True)
    content = Listed(Text(300), most=30)
    status = Choice(STATUSES, required=True)
    confidence = Text(200, required=True)
    note = Text(1000, lines=True)
    applies_from = Text(10)

    @validates_schema
    def _has_a_clock(self, data: Any, **_: Any) -> None:
        if not data.get("clocks"):
            raise ValidationError({"clocks": ["Give one clock or more."]})


class StartDutySchema(Shape):
    """`POST …/obligations`. `basis_at` for a rule whose instant the incident does not hold."""

    rule = Text(60, required=True)
    basis_at = Instant()
    fidelity = Choice(FIDELITIES)


class MeetSchema(Shape):
    """`POST /obligations/{id}/meet`: when it was submitted, and what shows it."""

    submitted_at = Instant(required=True)
    evidence = Text(4000, lines=True, required=True)


class SetAsideSchema(Shape):
    """`POST /obligations/{id}/set-aside`."""

    state = Choice(("waived", "not-applicable", "superseded"), required=True)
    reason = Text(4000, lines=True, required=True)


class BasisSchema(Shape):
    """`POST /obligations/{id}/basis`: the instant it counts from, given or corrected by a person."""

    basis_at = Instant(required=True)
    fidelity = Choice(FIDELITIES)
    reason = Text(4000, lines=True, required=True)


class SignRuleSchema(Shape):
    """`POST /obligation-rules/{id}/sign`: what the legal reviewer states."""

    note = Text(4000, lines=True, required=True)


class AnswerSuggestionSchema(Shape):
    """`POST …/suggestions/severity`: `mark` of the suggestion that was seen; no `level` turns it down."""

    mark = Text(40, required=True)
    level = Whole(0, 5)
    reason = Text(2000, lines=True)


_RULE, _START, _MEET, _ASIDE, _BASIS, _SIGN = (
    RuleSchema(), StartDutySchema(), MeetSchema(), SetAsideSchema(), BasisSchema(), SignRuleSchema()
)  # fmt: skip


def load_rule(data: Any, *, pointer: str = "") -> dict[str, Any]:
    """A rule as it is stored. Raises Invalid."""
    return load(_RULE, data, pointer=pointer)


def load_start(data: Any) -> dict[str, Any]:
    return load(_START, data)


def load_meet(data: Any) -> dict[str, Any]:
    return load(_MEET, data)


def load_set_aside(data: Any) -> dict[str, Any]:
    return load(_ASIDE, data)


def load_basis(data: Any) -> dict[str, Any]:
    return load(_BASIS, data)


def load_answer(data: Any) -> dict[str, Any]:
    return load(AnswerSuggestionSchema(), data)


def load_sign(data: Any) -> dict[str, Any]:
    return load(_SIGN, data)

"""The register of exercises: which run, when, and who takes part. What names another one may be real."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, request
from flask_babel import gettext as _

from coordinator import clock
from coordinator.accounts.rules import Right
from coordinator.errors import Fault, Invalid
from coordinator.outside.faults import load
from coordinator.partners import exercises as register
from coordinator.partners.queries import organisations
from coordinator.partners.schema import ExerciseSchema
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs

pages = Blueprint("exercises", __name__, url_prefix="/exercises")

_EXERCISE = ExerciseSchema()


@pages.get("")
@needs(Right.READ_PARTNERS)
def listed() -> Response:
    with access.store().read() as tx:
        rows = register.exercises(tx)
    return page.show("exercises/list.html", here="exercises", rows=rows)


@pages.get("/new")
@needs(Right.MANAGE_EXERCISES)
def new() -> Response:
    now = clock.now().astimezone(ZoneInfo(page.zone()))
    day = f"{now:%Y-%m-%d}"
    return _form({"starts_at_date": day, "starts_at_time": "09:00", "ends_at_date": day, "ends_at_time": "17:00"}, {})


@pages.get("/<code>/edit")
@needs(Right.MANAGE_EXERCISES)
def edit(code: str) -> Response:
    with access.store().read() as tx:
        row = register.exercise_by_code(tx, code)
    values = {name: row[name] for name in ("code", "title", "organisations")}
    for name in ("starts_at", "ends_at"):
        at = row[name].astimezone(ZoneInfo(page.zone()))
        values |= {f"{name}_date": f"{at:%Y-%m-%d}", f"{name}_time": f"{at:%H:%M}"}
    return _form(values, {}, code=code)


@pages.post("/new", defaults={"code": ""})
@pages.post("/<code>/edit")
@needs(Right.MANAGE_EXERCISES)
def save(code: str) -> Any:
    form = request.form
    times = [f"{name}_{part}" for name in ("starts_at", "ends_at") for part in ("date", "time")]
    values: dict[str, Any] = {name: form.get(name, "").strip() for name in ("title", *times)}
    values |= {"code": code or form.get("code", "").strip(), "organisations": form.getlist("organisations")}
    try:
        given = {name: values[name] for name in ("code", "title", "organisations")}
        wanted = load(_EXERCISE, given | {name: _instant(values, name) for name in ("starts_at", "ends_at")})
        with access.store().unit_of_work() as tx:
            register.put_exercise(tx, wanted, actor=access.required().actor)
    except Invalid as error:
        errors = {f"{name}_date" if name.endswith("_at") else name: text
                  for name, text in page.errors_by_field(error).items()}  # fmt: skip
        return _form(values, errors, code=code, status=422)
    return page.after("exercises.listed", _("Saved."))


@pages.post("/<code>/end")
@needs(Right.MANAGE_EXERCISES)
def end(code: str) -> Any:
    with access.store().unit_of_work() as tx:
        register.end_exercise(tx, code, actor=access.required().actor)
    return page.after("exercises.listed", _("It is over: what still comes under its name is set aside."))


def _instant(values: dict[str, Any], name: str) -> str:
    """Day and time of day in the person's own zone, as an instant. Raises Invalid."""
    try:
        local = datetime.strptime(f"{values[f'{name}_date']} {values[f'{name}_time'] or '00:00'}", "%Y-%m-%d %H:%M")
    except ValueError:
        raise Invalid([Fault(f"/{name}", _("Give a day and a time of day."))]) from None
    return clock.rfc3339(local.replace(tzinfo=ZoneInfo(page.zone())).astimezone(UTC))


def _form(values: dict[str, Any], errors: dict[str, str], *, code: str = "", status: int = 200) -> Response:
    with access.store().read() as tx:
        rows = [(row.code, row.name) for row in organisations(tx)]
    return page.show(
        "exercises/form.html", here="exercises", values=values, errors=errors, code=status, exercise_code=code,
        organisations=rows,
    )  # fmt: skip

"""One's own tasks, and one task: its form, its options, its approval; done, not done, taken, handed back."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _

from coordinator.accounts import service as accounts
from coordinator.accounts.models import User
from coordinator.accounts.rules import Right
from coordinator.errors import Invalid
from coordinator.incidents import quarantine_queries as quarantine
from coordinator.markings import Tlp
from coordinator.obligations import queries as duties
from coordinator.status import outgoing, task_lists
from coordinator.tasks import queries, rules, service
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs

pages = Blueprint("tasks", __name__, url_prefix="/tasks")


@pages.get("")
@needs(Right.COMPLETE_TASK)
def mine() -> Response:
    with access.store().read() as tx:
        shown = task_lists.my_tasks(
            tx, principal=access.required(), cursor=request.args.get("cursor", ""), limit=30
        )
        clocks = duties.mine(tx, principal=access.required())
    return page.show("tasks/mine.html", here="tasks", shown=shown, first=not request.args.get("cursor"), clocks=clocks)


@pages.get("/<int:task_id>")
@needs(Right.COMPLETE_TASK)
def task(task_id: int) -> Response:
    return _task_page(task_id, {}, {})


@pages.post("/<int:task_id>/complete")
@needs(Right.COMPLETE_TASK)
def complete(task_id: int) -> Any:
    principal = access.required()
    outcome = "failed" if request.form.get("outcome") == "failed" else "successful"
    with access.store().read() as tx:
        fields = queries.task_view(tx, task_id, principal=principal)["fields"]
    given = {name: request.form.get(f"f_{name}", "").replace("\r\n", "\n") for name in _names(fields)}
    try:
        with access.store().unit_of_work() as tx:
            result = {name: text for name, text in given.items() if text}
            tlp = request.form.get("tlp", "")
            service.complete_task(tx, task_id, principal=principal, outcome=outcome, result=result,
                                  tlp=tlp if tlp in set(map(str, Tlp)) else "")  # fmt: skip
    except Invalid as error:
        errors = page.errors_by_field(error, field=lambda pointer: f"f_{pointer.removeprefix('/result/')}")
        said = {f"f_{name}": text for name, text in given.items()} | {"tlp": request.form.get("tlp", "")}
        return _task_page(task_id, said, errors, code=422)
    return page.after("tasks.mine", _("The task is done.") if outcome == "successful" else _("It is on record."))


@pages.post("/<int:task_id>/assign")
@needs(Right.COMPLETE_TASK)
def assign(task_id: int) -> Any:
    """Take it oneself, give it to somebody, or hand it back to its role."""
    text = request.form.get("assignee", "")
    principal = access.required()
    who = principal.user_id if text == "me" else int(text) if text.isdecimal() and len(text) < 16 else None
    reason = request.form.get("reason", "")[:2000]
    try:
        with access.store().unit_of_work() as tx:
            service.assign_task(tx, task_id, assignee_id=who, principal=principal, reason=reason)
    except Invalid as error:
        return _task_page(task_id, {}, page.errors_by_field(error), code=422)
    return page.after("tasks.task", _("The task changed hands."), task_id=task_id)


def _names(fields: list[dict[str, Any]]) -> list[str]:
    return [*(field["name"] for field in fields), *({rules.NOTE} - {field["name"] for field in fields})]


def _task_page(task_id: int, values: dict[str, Any], errors: dict[str, str], *, code: int = 200) -> Response:
    principal = access.required()
    with access.store().read() as tx:
        one = queries.task_view(tx, task_id, principal=principal)
        people: list[User] = []
        if one["state"] == "open" and one["may_complete"]:
            roles = {one["role"], one["fallback_role"] or one["role"]}
            people = [user for role in sorted(roles) for user in accounts.users_with_role(tx, role)]
        flood = quarantine.flood_of_task(tx, task_id)
        call = outgoing.call_of(tx, task_id) if one["kind"] == "voice" else None
    return page.show(
        "tasks/task.html", here="tasks", task=one, values=values, errors=errors, people=people, code=code, call=call,
        exercise=one["exercise"], flood=flood,
    )  # fmt: skip

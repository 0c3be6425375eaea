"""The catalogue of playbooks, one drawn, and runs: started, looked at, paused, ended."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _
from sqlalchemy import select

from coordinator.accounts.rules import Right, Role, may
from coordinator.errors import Invalid, NotFound
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.queries import described_in_full, facts, get_visible
from coordinator.runs import activation, catalogue, mending, service, signers
from coordinator.runs.models import PlaybookVersion
from coordinator.runs.saved import has_begun
from coordinator.status import people, run_view
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs
from playbooks.coordination import matches, trigger_words
from playbooks.state import ENDED

pages = Blueprint("playbooks", __name__)


@pages.get("/playbooks")
@needs(Right.READ_PLAYBOOKS)
def listed() -> Response:
    with access.store().read() as tx:
        rows = tx.execute(select(PlaybookVersion).order_by(PlaybookVersion.name, PlaybookVersion.version.desc()))
        found = list(rows.scalars())
    return page.show("playbooks/list.html", here="playbooks", rows=found)


@pages.get("/playbooks/<int:version_id>")
@needs(Right.READ_PLAYBOOKS)
def one(version_id: int) -> Response:
    with access.store().read() as tx:
        row = tx.get(PlaybookVersion, version_id)
        if row is None:
            raise NotFound()
        playbook = catalogue.document_of(tx, version_id)
        drawing = run_view.picture(playbook, {})
        versions = catalogue.versions_of(tx, row.playbook_id)
        verdicts = signers.verdicts(tx, signers.document_of(tx, row))
        who = people.names(tx, row.activated_by)
    return page.show("playbooks/one.html", here="playbooks", row=row, playbook=playbook, drawing=drawing, who=who,
                     versions=versions, verdicts=verdicts, trigger=trigger_words(playbook.options.trigger),
                     me=access.required().actor)  # fmt: skip


@pages.get("/playbooks/<int:version_id>/document")
@needs(Right.READ_PLAYBOOKS)
def document(version_id: int) -> Response:
    """The canonical document, as it was checked and is run (RFC 8785)."""
    with access.store().read() as tx:
        row = tx.get(PlaybookVersion, version_id)
        if row is None:
            raise NotFound()
        raw = signers.document_of(tx, row).canonical
    answer = Response(raw, mimetype="application/json")
    answer.headers["Content-Disposition"] = f'attachment; filename="playbook-{version_id}.json"'
    return answer


@pages.post("/playbooks/<int:version_id>/activate")
@needs(Right.DECIDE, fresh=True)
def activate(version_id: int) -> Any:
    with access.store().unit_of_work() as tx:
        row = activation.agree(tx, version_id, principal=access.required())
        used = row.state == activation.ACTIVE
    told = _("New runs use this version now.") if used else _("You agreed. A second person has to agree as well.")
    return page.after("playbooks.one", told, version_id=version_id)


# ---------------------------------------------------------------- runs


@pages.get("/incidents/<reference>/runs/new")
@needs(Right.MANAGE_RUNS)
def choose(reference: str) -> Response:
    with access.store().read() as tx:
        row = get_visible(tx, reference, principal=access.required())
        known = facts(tx, row)
        offered = [
            (each.id, each.playbook, *matches(each.playbook.options.trigger, known))
            for each in catalogue.active_playbooks(tx)
        ]
        incident = described_in_full(tx, row)
    offered.sort(key=lambda each: not each[2])
    return page.show("playbooks/choose.html", here="board", one=incident, offered=offered, exercise=row.exercise)


@pages.post("/incidents/<reference>/runs/new")
@needs(Right.MANAGE_RUNS)
def start(reference: str) -> Any:
    version_id = request.form.get("version_id", 0, type=int)
    with access.store().unit_of_work() as tx:
        row = get_visible(tx, reference, principal=access.required())
        run = service.start_run(
            tx, version_id, incident=lock_incident(tx, row.id), started_by=access.required().actor,
            once_key=f"asked:{request.form.get('once', '')[:60]}" if request.form.get("once") else "",
            explanation=[_("Started by hand.")],
        )  # fmt: skip
        run_id = run.id
    return page.after("playbooks.run", _("The playbook was started."), run_id=run_id)


@pages.get("/runs/<int:run_id>")
@needs(Right.READ_INCIDENTS)
def run(run_id: int) -> Response:
    return _run_page(run_id, {}, {})


@pages.post("/runs/<int:run_id>/<do>")
@needs(Right.MANAGE_RUNS)
def ask(run_id: int, do: str) -> Any:
    given = {name: request.form.get(name, "") for name in ("reason", "token")}
    try:
        with access.store().unit_of_work() as tx:
            service.ask(
                tx, run_id, do, principal=access.required(), reason=given["reason"], token=given["token"]
            )
    except Invalid as error:
        return _run_page(run_id, given, page.errors_by_field(error), code=422)
    return page.after("playbooks.run", _("It was asked for; a worker does it now."), run_id=run_id)


@pages.post("/runs/<int:run_id>/reassign")
@needs(Right.MANAGE_RUNS)
def reassign(run_id: int) -> Any:
    """Give a standing step to another role."""
    given = {name: request.form.get(name, "")[:2000] for name in ("reason", "token", "role")}
    try:
        with access.store().unit_of_work() as tx:
            service.reassign(tx, run_id, **given, principal=access.required())
    except Invalid as error:
        return _run_page(run_id, given, page.errors_by_field(error), code=422)
    return page.after("playbooks.run", _("It was given to another role."), run_id=run_id)


@pages.get("/runs/<int:run_id>/move")
@needs(Right.MANAGE_RUNS)
def newer(run_id: int) -> Response:
    """What would become of each place at which the run stands in a newer version, and where it should go."""
    return _move_page(run_id, request.args.get("to", 0, type=int), _mapping(request.args), {})


@pages.post("/runs/<int:run_id>/move")
@needs(Right.MANAGE_RUNS)
def move(run_id: int) -> Any:
    to, mapping = request.form.get("to", 0, type=int), _mapping(request.form)
    try:
        with access.store().unit_of_work() as tx:
            service.ask(tx, run_id, "move", principal=access.required(), reason=request.form.get("reason", "")[:2000],
                        values={"to": to, "mapping": mapping})  # fmt: skip
    except Invalid as error:
        return _move_page(run_id, to, mapping, page.errors_by_field(error), code=422)
    return page.after("playbooks.run", _("It was asked for; a worker does it now."), run_id=run_id)


def _mapping(given: Any) -> dict[str, str]:
    """Step by step, where the form says another one than the same."""
    found = {name.removeprefix("step:"): value for name, value in given.items() if name.startswith("step:")}
    return {step: to[:200] for step, to in found.items() if to and to != step}


def _move_page(run_id: int, to: int, mapping: dict[str, str], errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        shown = run_view.run_page(tx, run_id, principal=access.required())
        row = run_view.visible_run(tx, run_id, principal=access.required())
        versions = mending.newer_versions(tx, row)
        chosen = next((each for each in versions if each.id == to), versions[0] if versions else None)
        places = mending.places(tx, row, chosen.id, mapping) if chosen and has_begun(row) else []
        after = catalogue.document_of(tx, chosen.id) if chosen else None
        before = catalogue.document_of(tx, row.playbook_version_id)
    return page.show(
        "playbooks/move.html", here="board", run=shown, versions=versions, chosen=chosen, places=places, code=code,
        names={each.id: each.name or each.id for each in before.steps.values()}, mapping=mapping,
        steps=[each for each in run_view.in_order(after) if each.type not in ("start", "end")] if after else [],
        values=request.form.to_dict(), errors=errors, exercise=shown["exercise"],
    )  # fmt: skip


def _run_page(run_id: int, values: dict[str, str], errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        shown = run_view.run_page(tx, run_id, principal=access.required())
        row = run_view.visible_run(tx, run_id, principal=access.required())
        playbook = catalogue.document_of(tx, row.playbook_version_id)
        wanted = playbook.steps.get(request.args.get("step", ""))
        step = run_view.step_history(tx, run_id, wanted) if wanted else None
        newer = mending.newer_versions(tx, row) if shown["state"] not in ENDED else []
    return page.show(
        "playbooks/run.html", here="board", run=shown, values=values, errors=errors, code=code, step=step, newer=newer,
        exercise=shown["exercise"], roles=[str(role) for role in Role if may(role, Right.COMPLETE_TASK)],
    )  # fmt: skip

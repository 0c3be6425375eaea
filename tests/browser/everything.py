"""A world with something on every page, and where the pages are: for tests that look at all of them."""

from __future__ import annotations

import json
from datetime import timedelta

from sqlalchemy import select

from coordinator import clock
from coordinator.agreements.service import record_refusal
from coordinator.alerts import drafts, lowering, publishing, versions
from coordinator.alerts.evidence import Evidence
from coordinator.alerts.models import PublicNotice
from coordinator.changes import service as changes
from coordinator.changes.rules import Kind
from coordinator.cleaning.bounded import Outcome
from coordinator.incidents import intake, quarantine_queries, service
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.items import write_item
from coordinator.incidents.references import reference_of
from coordinator.markings import Marking
from coordinator.obligations import register
from coordinator.obligations import service as obligations
from coordinator.partners.http_hosts import put_http_host
from coordinator.partners.queries import intake_endpoint
from coordinator.runs import service as runs
from coordinator.runs.catalogue import ship_library
from coordinator.sharing import approvals, copies, standing
from coordinator.tasks.service import open_task
from tests.alerting import agreement, mailbox, phone, put_contact, settings_of
from tests.browser.conftest import Site
from tests.factories import PARTNER, native, running_exercise
from tests.leaving import put_cleaned, put_file
from tests.playbooks.documents import action, document, end, sid
from tests.workers.running import keep
from workers.steps import ARMS

TITLES = ["Ransomware at two hospitals", "هجوم على شبكة الكهرباء", "A very long word: " + "x" * 100]
_FORM = {
    "__down__": {"label": "What is down?", "type": "text", "required": True},
    "__risk__": {"label": "Are patients at risk?", "type": "choice", "options": ["yes", "no"], "required": True},
}  # fmt: skip
PAGES = {
    "coordinator": [
        "/board", "/board?q=nothing", "/report", "/incidents/INC-{year}-000001", "/incidents/INC-{year}-000001/edit",
        "/incidents/INC-{year}-000001/facts", "/incidents/INC-{year}-000002",
        "/incidents/INC-{year}-000002/status/reported",
        "/incidents/INC-{year}-000001/status/rejected", "/incidents/INC-{year}-000001/timeline",
        "/incidents/INC-{year}-000001/releases", "/incidents/INC-{year}-000001/releases/new",
        "/incidents/INC-{year}-000001/releases/1", "/incidents/INC-{year}-000001/releases/2",
        "/incidents/INC-{year}-000001/releases/3", "/incidents/INC-{year}-000001/releases/4",
        "/incidents/INC-{year}-000001/releases/5", "/incidents/INC-{year}-000001/releases/6",
        "/incidents/INC-{year}-000001/alerts/new", "/incidents/INC-{year}-000001/alerts/1",
        "/incidents/INC-{year}-000001/alerts/new?corrects=1",
        "/incidents/INC-{year}-000001/runs/new", "/tasks", "/tasks/1", "/tasks/2",
        "/clearances", "/clearances/standing", "/incidents/INC-{year}-000001/call",
        "/incidents/INC-{year}-000001/call?to=FI-CSIRT", "/partners", "/partners/FI-CSIRT",
        "/partners/FI-CSIRT/contacts/new", "/partners/new",
        "/agreements", "/agreements/MOU", "/consents", "/incidents/INC-{year}-000001/markings",
        "/consents/new?incident=INC-{year}-000001",
        "/incidents/INC-{year}-000001/lowered-labels",
        "/incidents/INC-{year}-000001/lowered-labels/1",
        "/changes", "/changes/1", "/users/1", "/users/1/leave", "/ledger",
        "/playbooks", "/playbooks/3", "/playbooks/3/try", "/runs/1", f"/runs/1?step={sid('a')}", "/runs/1/move",
        "/playbooks/3/changes/3", "/playbooks/import", "/playbooks/signers", "/users", "/account",
        "/account/tokens", "/help",
        "/help/labels", "/nowhere", "/duties/1", "/duties/rules",
        "/incidents/INC-{year}-000001/at?date={day}&time=23:59",
    ],
    "release-authority": ["/clearances", "/clearances/{clearance}"],
    "administrator": ["/users", "/users/new", "/operations", "/partners/FI-CSIRT", "/partners/FI-CSIRT/endpoints/new",
                      "/keys/1/revoke", "/changes/1", "/users/1", "/services"],
    "duty-officer": ["/quarantine", "/quarantine/{report}", "/quarantine/floods/1", "/sending",
                     "/keys/1/reports", "/exercises"],
    "exercise-controller": ["/exercises/new"],
    "agreement-manager": ["/agreements", "/agreements/MOU", "/agreements/MOU/amend", "/agreements/consents/new"],
    "auditor": ["/record", "/operations"],
    "partner-user": ["/released"],
    "": ["/sign-in", "/help", "/public", "/public/{notice}", "/a/not-a-link", "/sign-in/not-a-link"],
}  # fmt: skip


LOWERED = {
    "from": PARTNER, "tlp": "CLEAR", "channel": "email", "said_by": "Aino Virtanen, duty desk", "reason": "They wrote.",
    "words": "From now on you may treat report 4711 as TLP:CLEAR.",
}  # fmt: skip


def furnish(site: Site) -> None:
    """Something on every page."""
    for role in ("liaison-officer", "coordinator", "duty-officer", "release-authority", "administrator"):
        site.link(role)
    with site.store.unit_of_work() as tx:
        ship_library(tx)
    _report(site)
    _work(site)
    _set_aside(site)
    _run_with_a_newer_version(site)
    _partners(site)
    _releases(site)


def paths(role: str, site: Site) -> list[str]:
    """The pages of a role (of visitors: empty) in this world."""
    now = clock.now()
    with site.store.read() as tx:
        report = quarantine_queries.waiting(tx, principal=site.people["duty-officer"])[0]["report"]
        notice = tx.execute(select(PublicNotice.public_id)).scalars().first()
    known = {"year": now.year, "day": f"{now:%Y-%m-%d}", "report": report, "notice": notice,
             "clearance": site.waiting}  # fmt: skip
    return [path.format(**known) for path in PAGES[role]]


def _report(site: Site) -> None:
    for number, title in enumerate(TITLES):
        raw = json.dumps(
            native(title=title, humanitarian_flags=["life-at-risk"], severity=4 - number % 2, asks="Who else?")
        ).encode()
        with site.store.unit_of_work() as tx:
            kept = intake.keep_raw(
                tx, via="form", media_type="application/json", raw=raw, message_id=f"m{number}",
                principal=site.people["liaison-officer"],
            )  # fmt: skip
        with site.store.unit_of_work() as tx:
            intake.read_report(tx, kept.report_id)


def _work(site: Site) -> None:
    coordinator = site.people["coordinator"]
    with site.store.unit_of_work() as tx:
        incident = lock_incident(tx, 1)
        open_task(
            tx, title="Decide on help", kind="decision", role="coordinator", created_by="system", incident=incident,
            options=["yes", "no"], due_at=clock.now() - timedelta(minutes=5), blocks="resolve",
        )  # fmt: skip
        open_task(
            tx, title="Ask the hospitals", kind="task", role="coordinator", created_by="system", incident=incident,
            fields=_FORM, checklist=["Duty doctor reached"], due_at=clock.now() + timedelta(hours=3),
        )  # fmt: skip
        service.transition(tx, 1, "triage", principal=coordinator)
        service.add_note(tx, 1, "Backups are there.", principal=coordinator)
        service.transition(
            tx, 2, "duplicate", duplicate_of=reference_of(incident), principal=coordinator, reason="The same."
        )
        incident.owner_id = coordinator.user_id
        register.ship_rules(tx)
        obligations.start(tx, incident, "EU-NIS2-EW", actor="system", basis_at=clock.now() - timedelta(hours=20))
        obligations.start(tx, incident, "EU-NIS2-FR", actor="system")


def _set_aside(site: Site) -> None:
    """Three reports in quarantine: one of them alone, two as a flood; and an exercise in the register."""
    with settings_of(site.store, flood_limit=1):
        for number, fields in enumerate(({}, {}, {}, {"exercise": "EX-9"})):
            raw = json.dumps(native(title=f"Number {number}", **fields)).encode()
            with site.store.unit_of_work() as tx:
                kept = intake.keep_raw(
                    tx, via="webhook", media_type="application/json", raw=raw,
                    message_id=f"q{number}", endpoint=intake_endpoint(tx, site.world.endpoint), endpoint_key_id=1,
                )  # fmt: skip
            with site.store.unit_of_work() as tx:
                intake.read_report(tx, kept.report_id)
    with site.store.unit_of_work() as tx:
        running_exercise(tx)


def _run_with_a_newer_version(site: Site) -> None:
    """A run that waits at a step which the newer version of its playbook does not have."""
    task = {"kind": "task", "role": "analyst"}
    steps = {"a": action("Look who هجوم", work=task, on_completion="end"), "end": end()}
    version_id = keep(site.store, document(steps, "a"))
    with site.store.unit_of_work() as tx:
        runs.start_run(tx, version_id, started_by="system", arms=ARMS)
    steps = {"first": steps["a"], "end": end()}
    keep(site.store, document(steps, "first", modified="2026-03-01T09:00:00.000Z"))


def _partners(site: Site) -> None:
    with site.store.unit_of_work() as tx:
        put_contact(tx, mailbox(), phone(), mailbox("second@fi.example"))
        agreement(tx, expires_on=clock.now() + timedelta(days=100))
        put_http_host(tx, {"id": "fi-tickets", "organisation": PARTNER, "origin": "https://tickets.fi.example",
                           "methods": ["GET", "POST"], "credential": "Bearer canary"}, actor="cli:test")  # fmt: skip
        record_refusal(tx, {"from": "FI-CSIRT", "to": "LV-MFA", "purpose": "attribution", "evidence": "By mail"},
                       actor="cli:test")  # fmt: skip
        standing.propose(tx, title="Call us", body="Please call our duty desk.", language="en",
                         principal=site.people["liaison-officer"])  # fmt: skip
        wanted = {"email": "bo@ee.example", "name": "Bo هجوم", "role": "release-authority"}
        changes.ask(tx, Kind.ACCOUNT, wanted, actor=site.people["administrator"].actor, reason="x" * 100)


def _releases(site: Site) -> None:
    """A draft; one with a file and a version of its own; one that left; one with a file that waits; a public notice."""
    officer, authority = site.people["coordinator"], site.people["release-authority"]
    text = {"kind": "initial", "title": "هجوم: loader seen", "body": "What we saw.", "purpose": "incident-response",
            "info_category": "incident-notification", "principal": officer}  # fmt: skip
    with site.store.unit_of_work() as tx:
        incident = lock_incident(tx, 1)
        drafts.draft(tx, incident=incident, **text)
        clean = put_cleaned(tx, incident, "What the log says.")
        several = drafts.draft(tx, incident=incident, **text | {"title": "With a file"}, enclosed=[clean],
                               facts=["severity"])  # fmt: skip
        versions.make(tx, several.id, audience={"organisations": [PARTNER]}, include=["description"], principal=officer)
        sent = drafts.draft(tx, incident=incident, **text | {"title": "Loader seen"})
        drafts.submit(tx, sent.id, codes=[PARTNER], principal=officer)
        sample = put_file(tx, incident, b"MZ", name="sample of the loader.exe")
        copy = copies.ask(tx, sample.id, principal=officer)
        work = copies.begin(tx, copy.id, now=clock.now())
        assert isinstance(work, copies.Work) and sample.item_version_id is not None
        copies.settle(tx, copy.id, work.fence, Outcome(why="program"))
    with site.store.unit_of_work() as tx:
        incident = lock_incident(tx, 1)
        waits = drafts.draft(tx, incident=incident, **text | {"title": "With what was found"},
                             enclosed=[sample.item_version_id],
                             uncleaned={sample.item_version_id: "They asked for it as it came."})  # fmt: skip
        told = drafts.submit(tx, waits.id, codes=[PARTNER], principal=officer)
        site.waiting = told.referred[0].id
        notice = drafts.draft(tx, incident=incident, **text | {"title": "Patch your mail servers"},
                              marking=Marking(tlp="CLEAR"))  # fmt: skip
        decision = publishing.ask(tx, notice.id, principal=officer)
        approvals.approve(tx, decision.id, principal=authority)
        publishing.publish(tx, notice.id, principal=officer)
        write_item(tx, kind="note", content="What FI saw.", marking=Marking(tlp="AMBER"), author="system",
                   info_category="indicators", incident=incident, originator_id=site.world.partner_id)  # fmt: skip
        lowering.record(tx, 1, LOWERED | {"said_at": clock.now()}, principal=officer,
                        file=Evidence("our letter.eml", "message/rfc822", b"From: fi"))  # fmt: skip

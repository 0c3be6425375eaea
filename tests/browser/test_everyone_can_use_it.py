"""Every page, measured with axe (WCAG 2.2 AA): light and dark, both directions, and at 320 pixels without a sideways
scroll."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from coordinator import clock
from coordinator.agreements.service import record_refusal
from coordinator.alerts import drafts
from coordinator.changes import service as changes
from coordinator.changes.rules import Kind
from coordinator.incidents import intake, quarantine_queries, service
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.references import reference_of
from coordinator.obligations import register
from coordinator.obligations import service as obligations
from coordinator.partners.queries import intake_endpoint
from coordinator.runs import service as runs
from coordinator.runs.catalogue import ship_library
from coordinator.sharing import standing
from coordinator.tasks.service import open_task
from tests.alerting import agreement, mailbox, phone, put_contact, settings_of
from tests.browser.conftest import Site
from tests.factories import native, running_exercise
from tests.playbooks.documents import action, document, end, sid
from tests.workers.running import keep
from workers.steps import ARMS

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
TITLES = ["Ransomware at two hospitals", "هجوم على شبكة الكهرباء", "A very long word: " + "x" * 100]


@pytest.fixture
def busy(site: Site) -> Site:
    """Something on every page."""
    site.link("liaison-officer"), site.link("coordinator"), site.link("duty-officer")
    officer, coordinator = site.people["liaison-officer"], site.people["coordinator"]
    with site.store.unit_of_work() as tx:
        ship_library(tx)
    for number, title in enumerate(TITLES):
        raw = json.dumps(
            native(title=title, humanitarian_flags=["life-at-risk"], severity=4 - number % 2, asks="Who else?")
        ).encode()
        with site.store.unit_of_work() as tx:
            kept = intake.keep_raw(
                tx, via="form", media_type="application/json", raw=raw, message_id=f"m{number}", principal=officer
            )
        with site.store.unit_of_work() as tx:
            intake.read_report(tx, kept.report_id)
    with site.store.unit_of_work() as tx:
        incident = lock_incident(tx, 1)
        open_task(
            tx, title="Decide on help", kind="decision", role="coordinator", created_by="system", incident=incident,
            options=["yes", "no"], due_at=clock.now() - timedelta(minutes=5), blocks="resolve",
        )  # fmt: skip
        service.transition(tx, 1, "triage", principal=coordinator)
        service.add_note(tx, 1, "Backups are there.", principal=coordinator)
        service.transition(
            tx, 2, "duplicate", duplicate_of=reference_of(incident), principal=coordinator, reason="The same."
        )
        put_contact(tx, mailbox(), phone(), mailbox("second@fi.example"))
        standing.propose(tx, title="Call us", body="Please call our duty desk.", language="en", principal=officer)
    set_aside(site)
    run_with_a_newer_version(site)
    with site.store.unit_of_work() as tx:
        register.ship_rules(tx)
        incident = lock_incident(tx, 1)
        incident.owner_id = coordinator.user_id
        obligations.start(tx, incident, "EU-NIS2-EW", actor="system", basis_at=clock.now() - timedelta(hours=20))
        obligations.start(tx, incident, "EU-NIS2-FR", actor="system")
    with site.store.unit_of_work() as tx:
        agreement(tx, expires_on=clock.now() + timedelta(days=100))
        drafts.draft(
            tx, incident=lock_incident(tx, 1), principal=coordinator, kind="initial", title="هجوم: loader seen",
            body="What we saw.", purpose="incident-response", info_category="incident-notification",
        )  # fmt: skip
        record_refusal(tx, {"from": "FI-CSIRT", "to": "LV-MFA", "purpose": "attribution", "evidence": "By mail"},
                       actor="cli:test")  # fmt: skip
    site.link("administrator")
    with site.store.unit_of_work() as tx:
        wanted = {"email": "bo@ee.example", "name": "Bo هجوم", "role": "release-authority"}
        changes.ask(tx, Kind.ACCOUNT, wanted, actor=site.people["administrator"].actor, reason="x" * 100)
    return site


def run_with_a_newer_version(site: Site) -> None:
    """A run that waits at a step which the newer version of its playbook does not have."""
    task = {"kind": "task", "role": "analyst"}
    steps = {"a": action("Look who هجوم", work=task, on_completion="end"), "end": end()}
    version_id = keep(site.store, document(steps, "a"))
    with site.store.unit_of_work() as tx:
        runs.start_run(tx, version_id, started_by="system", arms=ARMS)
    steps = {"first": steps["a"], "end": end()}
    keep(site.store, document(steps, "first", modified="2026-03-01T09:00:00.000Z"))


def set_aside(site: Site) -> None:
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


PAGES = {
    "coordinator": [
        "/board", "/board?q=nothing", "/report", "/incidents/INC-{year}-000001", "/incidents/INC-{year}-000001/edit",
        "/incidents/INC-{year}-000001/facts", "/incidents/INC-{year}-000002",
        "/incidents/INC-{year}-000002/status/reported",
        "/incidents/INC-{year}-000001/status/rejected", "/incidents/INC-{year}-000001/timeline",
        "/incidents/INC-{year}-000001/releases", "/incidents/INC-{year}-000001/releases/new",
        "/incidents/INC-{year}-000001/releases/1", "/incidents/INC-{year}-000001/alerts/new",
        "/incidents/INC-{year}-000001/runs/new", "/tasks", "/tasks/1",
        "/clearances", "/clearances/standing", "/incidents/INC-{year}-000001/call",
        "/incidents/INC-{year}-000001/call?to=FI-CSIRT", "/partners", "/partners/FI-CSIRT",
        "/partners/FI-CSIRT/contacts/new", "/partners/new",
        "/agreements", "/agreements/MOU", "/consents", "/incidents/INC-{year}-000001/markings",
        "/consents/new?incident=INC-{year}-000001", "/changes", "/changes/1", "/users/1", "/users/1/leave", "/ledger",
        "/playbooks", "/playbooks/3", "/playbooks/3/try", "/runs/1", f"/runs/1?step={sid('a')}", "/runs/1/move",
        "/playbooks/3/changes/3", "/playbooks/import", "/playbooks/signers", "/users", "/account",
        "/account/tokens", "/help",
        "/help/labels", "/nowhere", "/duties/1", "/duties/rules",
        "/incidents/INC-{year}-000001/at?date={day}&time=23:59",
    ],
    "administrator": ["/users", "/users/new", "/operations", "/partners/FI-CSIRT", "/partners/FI-CSIRT/endpoints/new",
                      "/keys/1/revoke", "/changes/1", "/users/1", "/services"],
    "duty-officer": ["/quarantine", "/quarantine/{report}", "/quarantine/floods/1", "/sending",
                     "/keys/1/reports", "/exercises"],
    "exercise-controller": ["/exercises/new"],
    "agreement-manager": ["/agreements", "/agreements/MOU", "/agreements/MOU/amend", "/agreements/consents/new"],
    "auditor": ["/record", "/operations"],
    "partner-user": ["/released"],
}  # fmt: skip


def paths(role: str, site: Site) -> list[str]:
    now = clock.now()
    with site.store.read() as tx:
        report = quarantine_queries.waiting(tx, principal=site.people["duty-officer"])[0]["report"]
    return [path.format(year=now.year, day=f"{now:%Y-%m-%d}", report=report) for path in PAGES[role]]


def findings(page: Any) -> list[str]:
    result = Axe().run(page, options=RULES)
    return [f"{page.url}: {found['id']}: {found['nodes'][0]['html']}" for found in result.response["violations"]]


@pytest.mark.parametrize("role", PAGES)
def test_axe_finds_nothing_on_any_page(busy: Site, role: str) -> None:
    found: list[str] = []
    page = busy.sit(role)
    for path in paths(role, busy):
        page.goto(f"{busy.url}{path}")
        page.evaluate("for (const fold of document.querySelectorAll('main details')) fold.open = true")
        for scheme, direction in (("light", "ltr"), ("dark", "rtl")):
            page.emulate_media(color_scheme=scheme)
            page.evaluate(f"document.documentElement.dir = '{direction}'")
            found += [f"{scheme} {direction} {each}" for each in findings(page)]
    assert found == []


@pytest.mark.parametrize("path", ["/sign-in", "/help", "/public", "/a/not-a-link", "/sign-in/not-a-link"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_for_visitors(site: Site, scheme: str, path: str) -> None:
    page = site.window(color_scheme=scheme)
    page.goto(f"{site.url}{path}")
    assert findings(page) == []


def test_axe_finds_nothing_on_a_form_with_mistakes_and_behind_open_menus(busy: Site) -> None:
    page = busy.sit("liaison-officer")
    page.goto(f"{busy.url}/report")
    page.get_by_role("button", name="Send the report").click()
    expect(page.locator("#summary")).to_be_focused()
    found = findings(page)
    page.locator("details.menu summary").first.click()
    found += findings(page)
    page.keyboard.press("Escape")
    expect(page.locator("details.menu[open]")).to_have_count(0)
    page.get_by_role("combobox", name="States affected").fill("est")
    page.locator(".combo [role=option]").first.wait_for()
    assert found + findings(page) == []


def test_no_page_scrolls_sideways_at_320_pixels(busy: Site) -> None:
    wide: list[str] = []
    for role in PAGES:
        page = busy.sit(role, viewport={"width": 320, "height": 640})
        for path in paths(role, busy):
            page.goto(f"{busy.url}{path}")
            for direction in ("ltr", "rtl"):
                page.evaluate(f"document.documentElement.dir = '{direction}'")
                over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                if over > 0:
                    wide.append(f"{path}: {over}")
    assert wide == []


def test_what_is_wider_scrolls_by_itself_and_with_the_keyboard(busy: Site) -> None:
    page = busy.sit("coordinator", viewport={"width": 320, "height": 640})
    page.goto(f"{busy.url}/playbooks/3")
    box = page.locator(".scroll").first
    box.focus()
    page.keyboard.press("ArrowRight")
    # Not wait_for_function: it evaluates text inside the page, which the page's own policy refuses.
    for _ in range(50):
        if box.evaluate("element => element.scrollLeft") > 0:
            return
        page.wait_for_timeout(100)
    raise AssertionError("the box did not move")


def test_text_can_be_twice_as_large(busy: Site, fill: Callable[..., None]) -> None:
    page = busy.sit("liaison-officer", viewport={"width": 640, "height": 900})
    page.goto(f"{busy.url}/report")
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert over <= 0

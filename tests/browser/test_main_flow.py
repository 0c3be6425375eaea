"""The main job in a browser, on a whole installation with workers and mail: form, board, tasks, alert, the page behind
the link in the mail, resolved, closed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from coordinator.accounts import service
from coordinator.runs.models import Run
from tests.browser.conftest import Site
from tests.harness.installation import Installation, installation
from tests.harness.mail import MailServer
from tests.harness.processes import wait_for

WORLD: dict[str, Any] = {
    "settings": {"own_organisation": "EE-MFA", "community": "cyber-defence", "duty_role": "duty-officer"},
    "organisations": [
        {"code": "EE-MFA", "name": "Ministry (fictional)", "kind": "ministry", "country": "EE", "own": True},
        {"code": "FI-CSIRT", "name": "CSIRT (fictional)", "kind": "national-csirt", "country": "FI",
         "communities": ["cyber-defence"]},
    ],
    "contacts": [
        {"code": "fi-duty", "organisation": "FI-CSIRT", "kind": "technical", "function": "Duty desk",
         "languages": ["en"], "time_zone": "Europe/Helsinki", "hours": "24x7", "order": 1,
         "verified_on": "2026-11-01T08:00:00Z", "tlp_max": "AMBER",
         "channels": [{"kind": "email", "address": "duty@fi.example"}]},
    ],
    "users": [
        {"email": "duty@ee.example", "name": "Mari Duty", "role": "duty-officer"},
        {"email": "coordinator@ee.example", "name": "Karl Coordinator", "role": "coordinator"},
        {"email": "liaison@ee.example", "name": "Liis Liaison", "role": "liaison-officer"},
    ],
}  # fmt: skip
EMAILS = {user["role"]: user["email"] for user in WORLD["users"]}


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def machine(tmp_path: Path, mail: MailServer) -> Iterator[Installation]:
    with installation(tmp_path / "var", mail=mail.url) as made:
        made.load(WORLD)
        yield made


class Desk(Site):
    """The same windows before an installation that runs by itself."""

    def link(self, role: str) -> str:
        with self.store.unit_of_work() as tx:
            user = service.user_by_email(tx, EMAILS[role])
            self.people[role] = user  # type: ignore[assignment]
            return f"{self.url}/sign-in/{service.create_link(tx, user.id, actor='cli:test')}"

    def confirm(self, role: str) -> None:
        from sqlalchemy import update

        from coordinator import clock
        from coordinator.accounts.models import UserSession

        with self.store.unit_of_work() as tx:
            user = service.user_by_email(tx, EMAILS[role])
            tx.execute(update(UserSession).where(UserSession.user_id == user.id).values(second_factor_at=clock.now()))


@pytest.fixture
def desk(chromium: Any, machine: Installation) -> Iterator[Desk]:
    made = Desk(chromium, machine.store, None, machine.base_url)  # type: ignore[arg-type]
    yield made
    for context in made.windows:
        context.close()
    assert made.faults == []


def addresses(links: Any) -> list[str]:
    """Where these links lead, all seen in one look: an open page follows what others do."""
    found: list[str] = links.evaluate_all("links => links.map((link) => link.getAttribute('href'))")
    return found


def finish_tasks(page: Any, url: str, reference: str) -> int:
    """Do every task on the incident that this person may do, also those that follow; answers how many."""
    done = 0
    while True:
        page.goto(f"{url}/incidents/{reference}")
        waiting = page.locator("section#tasks li", has=page.locator(".badge", has_text="Open")).locator("a.subject")
        found = addresses(waiting)
        if not any([_finish(page, f"{url}{path}") for path in found]):
            return done
        done += 1


def _finish(page: Any, address: str) -> bool:
    """The first option, and a word in every field."""
    page.goto(address)
    form = page.locator("form[action$='/complete']")
    if not form.count():
        return False  # somebody else's
    for group in form.locator("fieldset").all():
        group.locator("input[type=radio]").first.check()
    for field in form.locator("textarea, input[type=text]").all():
        field.fill("1" if field.get_attribute("inputmode") == "numeric" else "Done as asked.")
    with page.expect_navigation():
        form.locator("button[value=successful]").click()
    expect(page).to_have_url(re.compile("/tasks$"))
    return True


def still_open(page: Any, url: str, reference: str) -> str:
    """What the page says stands in the way, "" when nothing does."""
    page.goto(f"{url}/incidents/{reference}")
    return str(page.locator("[data-part=next]").inner_text()).partition("Still open:")[2]


def end_runs(page: Any, desk: Desk, reference: str) -> None:
    """Ends every run by hand and waits for it: a task of one that is ending would be gone before it is done."""

    def is_over(run_id: int) -> bool:
        with desk.store.read() as tx:
            return tx.get_one(Run, run_id).ended_at is not None

    page.goto(f"{desk.url}/incidents/{reference}")
    for path in addresses(page.locator("section#runs h3 a")):
        page.goto(f"{desk.url}{path}")
        if page.get_by_role("button", name="End the run").count():
            page.get_by_label("Reason").last.fill("The incident is over.")
            with page.expect_navigation():
                page.get_by_role("button", name="End the run").click()
            expect(page.get_by_text("It was asked for")).to_be_visible()
            wait_for(lambda path=path: is_over(int(path.rpartition("/")[2])), what="the run to be over")


def test_from_the_form_to_closed(desk: Desk, mail: MailServer) -> None:
    officer = desk.sit("liaison-officer")
    officer.goto(f"{desk.url}/report")
    officer.get_by_label("In one line").fill("Loader in a hospital network")
    officer.get_by_role("button", name="Now").click()
    officer.get_by_label("Ours: we saw it ourselves").check()
    officer.locator("input[name=tlp][value=GREEN]").check()
    with officer.expect_navigation():
        officer.get_by_role("button", name="Send the report").click()
    reference = officer.locator(".reference").inner_text()

    duty = desk.sit("duty-officer")
    duty.goto(f"{desk.url}/board")
    duty.get_by_role("link", name="Loader in a hospital network").click()
    duty.get_by_role("link", name="Start triage").click()
    duty.get_by_role("button", name="Start triage").click()
    duty.locator("section#tasks a.subject").first.wait_for()  # the first hour's playbook gives out work by itself
    assert finish_tasks(duty, desk.url, reference) > 0
    duty.goto(f"{desk.url}/incidents/{reference}")
    if duty.get_by_role("link", name="Accept", exact=True).count():
        duty.get_by_role("link", name="Accept", exact=True).click()
        with duty.expect_navigation():
            duty.get_by_role("button", name="Accept").click()

    coordinator = desk.sit("coordinator")
    coordinator.goto(f"{desk.url}/incidents/{reference}")
    coordinator.get_by_role("link", name="Write an alert").click()
    coordinator.get_by_label("Organisations I choose").check()
    coordinator.get_by_label("CSIRT (fictional)").check()
    coordinator.get_by_label("Title").fill("Loader seen in a hospital")
    coordinator.get_by_label("Text", exact=True).fill("We saw a loader. Please look at your health sector.")
    coordinator.get_by_label("Our own words only").check()
    coordinator.get_by_label("Label of the text").select_option("GREEN")
    coordinator.get_by_label("Answer").select_option("person")
    coordinator.get_by_role("button", name="See what the rules say").click()
    coordinator.get_by_text("1 recipient is told now.").wait_for()
    with coordinator.expect_navigation():
        coordinator.get_by_role("button", name="Send", exact=True).click()
    coordinator.get_by_text("Loader seen in a hospital").first.wait_for()

    def letter() -> str:
        texts = [str(each) for each in mail.letters if "duty@fi.example" in str(each["to"])]
        return next((text for text in texts if "/a/" in text), "")

    wait_for(lambda: bool(letter()), what="the alert to arrive by mail")
    link = re.search(r"https?://[^\s\"<>=]+/a/[\w-]+", letter().replace("=\n", ""))
    assert link is not None
    contact = desk.window()
    contact.goto(link[0])
    expect(contact.get_by_text("We saw a loader. Please look at your health sector.")).to_be_visible()
    assert reference not in contact.content()
    contact.get_by_label("Your name").fill("Aino, duty desk")
    contact.get_by_role("button", name="Acknowledge").click()
    contact.get_by_text("Your acknowledgement is recorded.").wait_for()
    coordinator.get_by_text("Aino, duty desk").first.wait_for()  # the open page follows

    left = ""
    for _round in range(100):  # playbooks go on when tasks are done, and may give out more
        for page in (coordinator, duty, officer):
            finish_tasks(page, desk.url, reference)
        left = still_open(coordinator, desk.url, reference)
        if not left:
            break
        if "Playbook" in left:  # one that would wait for news for hours: ended by hand, with a reason
            end_runs(coordinator, desk, reference)
        coordinator.wait_for_timeout(1000)
    assert not left, left
    for move, button, extra in (("resolved", "Resolve", "Stable"), ("closed", "Close", "")):
        coordinator.goto(f"{desk.url}/incidents/{reference}/status/{move}")
        if extra:
            coordinator.get_by_label(extra).check()
        else:
            coordinator.get_by_label("Closing note").fill("Cleaned; partners told.")
        coordinator.get_by_role("button", name=button, exact=True).click()
        coordinator.get_by_text("The status was changed.").wait_for()
    expect(coordinator.locator("header .badge", has_text="Closed")).to_have_count(1)
    wait_for(lambda: sum("duty@fi.example" in str(each["to"]) for each in mail.letters) >= 2, what="the closing alert")

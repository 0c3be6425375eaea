"""A hostile mail client, page title, file name and text, a PDF that is a page, a link pasted into a chat: nothing runs,
nothing is read by one who should not, and tokens are in no log, queue, metric or Referer."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import expect
from sqlalchemy import select

from coordinator.accounts import service as accounts
from coordinator.alerts import rungs
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Acknowledgement, Alert, Delivery
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.models import Incident
from coordinator.incidents.references import reference_of
from coordinator.markings import Marking, Tlp
from coordinator.store import Store
from tests.alerting import agreement
from tests.factories import native, small_world
from tests.harness.installation import installation
from tests.harness.processes import wait_for
from tests.hostile.__main__ import leaks
from tests.hostile.looking import MARK, Overhearing, what_runs
from tests.hostile.site import Site

EVIL = f"</title>'\"><script>document.title='{MARK}'</script><img src=x onerror=alert('{MARK}')>"
ARABIC = "\u202eهجوم على المستشفى\u2066 gnp.exe"
NAME = f"\u202e{EVIL[:80]}.pdf"
PAGE = b"<html><script>alert('ran')</script><h1>not a PDF</h1></html>"


def report(site: Site, **fields: Any) -> str:
    """What a partner sends, with a file; the incident's reference."""
    digest = hashlib.sha256(PAGE).hexdigest()
    file = {"name": NAME, "media_type": "application/pdf", "sha256": digest, "size": len(PAGE)}
    raw = json.dumps(native(attachments=[file], **fields)).encode()
    assert site.webhook(raw).status_code == 202
    assert site.put_file(PAGE, digest).status_code == 200
    with site.store.read() as tx:
        return reference_of(tx.execute(select(Incident).order_by(Incident.id.desc())).scalars().first())


def tell(site: Site, reference: str) -> str:
    """An AMBER alert of our own words to a partner; the token of its link."""
    with site.store.unit_of_work() as tx:
        agreement(tx, code="XX-CSIRT")
        told = alerts.tell(
            tx, incident=lock_incident(tx, int(reference[-6:])), kind="initial", title=f"Told {MARK}", body=EVIL,
            purpose="network-defence", info_category="incident-notification", requested_by="user:1",
            audience={"organisations": ["XX-CSIRT"]},
            marking=Marking(tlp=Tlp.AMBER),
        )  # fmt: skip
        waiting, reasons = [each.id for each in told.referred], [each.reasons for each in told.denied]
    for decision in waiting:
        assert site.api("POST", f"/decisions/{decision}/approve", role="release-authority", json={}).status_code == 200
    query = select(Delivery).join(Alert, Alert.id == Delivery.alert_id).where(Alert.kind == "initial")

    def delivery() -> str:
        with site.store.read() as tx:
            last = tx.execute(query).scalars().first()
            return rungs.ack_token(tx, last) if last is not None else ""

    wait_for(lambda: bool(delivery()), what=f"the alert to be raised: {reasons}")
    return delivery()


def answers(store: Store) -> list[str]:
    with store.read() as tx:
        return list(tx.execute(select(Acknowledgement.answer)).scalars())


def test_hostile_readers_and_writers(chromium: Any, tmp_path: Path) -> None:
    with installation(tmp_path / "var", log_level="DEBUG") as machine:
        site = Site(machine.base_url, machine.store, small_world(machine.store))
        with Overhearing(machine.broker_url) as broker:
            broker.watch({MARK, *site.secrets})
            _story(chromium, site)
        assert leaks(machine, site, broker) == []


def _story(chromium: Any, site: Site) -> None:
    # A scanner of a mail gateway opens every link it sees, sends every form as it stands and presses every button: it
    # gives no name, and without one nobody has answered.
    link = f"/a/{site.known['token']}"
    for agent in ("Mozilla/5.0 (link scanner)", "Slackbot-LinkExpanding 1.0"):
        preview = site.request("GET", link, headers={"User-Agent": agent, "Purpose": "prefetch"})
        assert preview.status_code == 200 and preview.headers["Referrer-Policy"] == "no-referrer"
        assert preview.headers["Cache-Control"] == "no-store" and 'property="og:' not in preview.text
    site.request("HEAD", link)
    for sent in ({}, {"answer": "", "by": "scanner"}, {"answer": "x"}, {"answer": "acknowledged", "by": "", "note": ""},
                 {"answer": "not-for-me"}, {"answer": "question", "note": "x"},
                 {"answer": "acknowledged", "by": "x", "note": "x", "subject": "x"}):  # fmt: skip
        assert site.request("POST", link, data=sent).status_code in (400, 422), sent
    assert answers(site.store) == []
    with site.store.unit_of_work() as tx:
        token = accounts.create_link(tx, site.people["coordinator"].user_id, actor="cli:test")
    site.secrets.add(token)
    for _ in range(2):
        assert site.request("GET", f"/sign-in/{token}", headers={"Purpose": "prefetch"}).status_code == 200
    assert site.request("POST", f"/sign-in/{token}", data={}).status_code == 400

    # What a partner sent is shown to an officer: title, text, direction, the name of a file. Nothing of it runs.
    reference = report(site, title=EVIL[:110], description=f"{ARABIC}\n{EVIL}", asks=EVIL, tlp="AMBER")
    context = chromium.new_context(accept_downloads=True)
    dialogs, referers = list[str](), list[str]()
    page = context.new_page()
    page.on("dialog", lambda one: (dialogs.append(one.message), one.dismiss()))
    page.on("request", lambda one: referers.append(one.headers.get("referer", "")))
    page.goto(f"{site.url}/sign-in/{token}")  # the scanner has not used it up
    with page.expect_navigation():
        page.click("main button[type=submit]")
    page.goto(f"{site.url}/incidents/{reference}")
    assert page.title().startswith(reference) and "<script>" in page.title()
    heading = page.locator("h1 bdi")
    expect(heading).to_contain_text(re.compile("onerror|<script>"))
    assert heading.evaluate("each => getComputedStyle(each).unicodeBidi") == "isolate"
    expect(page.locator("#summary-part .foreign").first).to_have_attribute("dir", "auto")
    assert what_runs(page.content()) == []

    # The PDF that is a page is only ever saved.
    with page.expect_download() as waiting:
        page.locator("#files a").first.click()
    saved = waiting.value
    assert Path(saved.path()).read_bytes() == PAGE
    assert "/" not in saved.suggested_filename and "<" not in saved.suggested_filename
    assert page.url.endswith(reference) and dialogs == []

    # A link is pasted into a chat: without an account nobody reads a case, or learns that there is one.
    amber = tell(site, reference)
    site.secrets.add(amber)
    stranger = chromium.new_context().new_page()
    stranger.on("dialog", lambda one: (dialogs.append(one.message), one.dismiss()))
    stranger.on("request", lambda one: referers.append(one.headers.get("referer", "")))
    stranger.goto(f"{site.url}/a/{amber}")
    said = stranger.content()
    assert MARK not in said and "TLP:AMBER" in said
    assert stranger.goto(f"{site.url}/incidents/{reference}").url.endswith(f"/sign-in?then=/incidents/{reference}")
    closed = report(site, title="For the duty roster", tlp="RED")
    outsider = site.as_role("coordinator", "GET", f"/incidents/{closed}")
    nothing = site.as_role("coordinator", "GET", f"/incidents/{closed[:-6]}999999")
    assert (outsider.status_code, "duty roster" in outsider.text) == (nothing.status_code, False) == (404, False)

    tokens = {site.known["token"], token, amber}
    assert [one for one in referers if any(each in one for each in tokens)] == []
    assert dialogs == []
    context.close()
    stranger.context.close()

"""The public page: what everybody gets, and how a text comes there from the desk."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select

from coordinator.alerts.models import FileHandout, PublicNotice
from coordinator.incidents.queries import get_visible
from coordinator.sharing.models import ReleaseFile, ShareDecision
from tests.coordinator.web.conftest import Browser, Desk, visible_text
from tests.coordinator.web.test_release_desk_pages import drafted
from tests.coordinator.web.test_telling import told_desk  # noqa: F401  a desk with a partner
from tests.leaving import put_cleaned


def published(desk: Desk, officer: Browser, reference: str, **fields: str) -> str:
    """Ask, clear, publish; the address on the desk."""
    path = drafted(officer, reference, tlp="CLEAR", **fields)
    assert officer.post(f"{path}/ask-public").status_code == 303
    assert "Publish it now" not in officer.text(path)
    assert officer.post(f"{path}/publish").status_code == 409
    with desk.store.read() as tx:
        decision = max(tx.execute(select(ShareDecision.id)).scalars())
    authority = desk.sit("release-authority")
    assert "PUBLIC" in authority.text(f"/clearances/{decision}")
    assert authority.post(f"/clearances/{decision}/approve", {"hours": "72"}).status_code == 303
    assert "Publish it now" in officer.text(path)
    assert officer.post(f"{path}/publish").status_code == 303
    return path


def test_everybody_reads_what_was_published_and_sees_what_was_corrected_and_withdrawn(
    told_desk: Desk, file_report: Callable[..., str]  # noqa: F811
) -> None:
    reference, officer = file_report(told_desk.sit("liaison-officer"), tlp="CLEAR"), told_desk.sit("coordinator")
    visitor = Browser(told_desk.app)
    assert "Nothing has been published here yet" in visitor.text("/public")
    path = published(told_desk, officer, reference, title="<b>Loader</b> seen")
    shown = visitor.get("/public")
    assert "&lt;b&gt;Loader" in shown.text and reference not in shown.text
    assert shown.headers["Cache-Control"] == "public, max-age=60" and "Set-Cookie" not in shown.headers
    assert "Cookie" not in shown.headers.get("Vary", "")
    assert "script-src" not in shown.headers["Content-Security-Policy"] and "<script" not in shown.text
    assert officer.get("/public").data == shown.data  # the same for whoever is signed in
    assert visitor.client.get("/public", headers={"If-None-Match": shown.headers["ETag"]}).status_code == 304
    (item,) = visitor.get("/public/feed.json").json["items"]
    assert (item["title"], item["content_text"]) == ("<b>Loader</b> seen", "We saw a loader.")
    one = item["url"][item["url"].index("/public/"):]
    assert "We saw a loader." in visitor.text(one)
    assert "Told to the public" in officer.text("/ledger")
    published(told_desk, officer, reference, kind="correction", title="Corrected")
    assert "read the correction" in visitor.text(one)
    assert "_coordinator" in item and visitor.get("/public/feed.json").json["items"][1]["_coordinator"]["state"] == (
        "corrected")  # fmt: skip
    officer.get(path)
    assert officer.post(f"{path}/withdraw-notice", {"reason": "It named a victim."}).status_code == 303
    text = visitor.text(one)
    assert "Withdrawn on" in text and "Loader" not in text and "victim" not in text
    assert "Withdrawn" in officer.text(path) and "It named a victim." in officer.text(path)
    assert "We saw a loader." not in visible_text(visitor.get("/public/feed.json").json["items"][1]["content_text"])


def test_no_file_is_public_whatever_went_along_with_the_draft(
    told_desk: Desk, file_report: Callable[..., str]  # noqa: F811
) -> None:
    reference, officer = file_report(told_desk.sit("liaison-officer"), tlp="CLEAR"), told_desk.sit("coordinator")
    with told_desk.store.unit_of_work() as tx:
        incident = get_visible(tx, reference, principal=told_desk.who("coordinator"))
        version = put_cleaned(tx, incident, "what is in the file", tlp="CLEAR")
    path = published(told_desk, officer, reference, files=str(version))
    with told_desk.store.read() as tx:
        file = tx.execute(select(ReleaseFile)).scalar_one()
        notice = tx.execute(select(PublicNotice)).scalar_one()
    assert file.name in officer.text(path)
    visitor = Browser(told_desk.app)
    one = f"/public/{notice.public_id}"
    for page in ("/public", one, "/public/feed.json"):
        said = visitor.get(page).text
        assert "Loader seen" in said
        assert not any(each in said for each in (file.name, file.sha256, file.sha256[:16], "/files/", "enclosure"))
    number = path.rsplit("/", 1)[1]
    for way in (f"{one}/files/1", f"{one}/{file.name}", f"{one}/file?as=json", f"/released/{notice.public_id}/files/1",
                f"{path}/files/1", f"/a/{notice.public_id}/files/1", f"/releases/{number}/files/1"):  # fmt: skip
        answer = visitor.get(way)
        assert answer.status_code in (302, 303, 401, 404) and "what is in the file" not in answer.text, way
    with told_desk.store.read() as tx:
        assert tx.execute(select(FileHandout)).first() is None


def test_who_has_no_part_in_releases_publishes_and_withdraws_nothing(
    told_desk: Desk, file_report: Callable[..., str]  # noqa: F811
) -> None:
    reference, officer = file_report(told_desk.sit("liaison-officer"), tlp="CLEAR"), told_desk.sit("coordinator")
    path = drafted(officer, reference, tlp="CLEAR")
    analyst = told_desk.sit("analyst")
    analyst.get(path)
    for act in ("ask-public", "publish", "withdraw-notice"):
        assert analyst.post(f"{path}/{act}").status_code == 403
    assert officer.post(f"{path}/withdraw-notice", {"reason": "None."}).status_code == 404
    assert Browser(told_desk.app).get("/public/pub-none").status_code == 404

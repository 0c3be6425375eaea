"""Files on the release desk and in the partner view, by their pages: cleaned, looked into, cleared, taken."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select

from coordinator.alerts.models import FileHandout
from coordinator.incidents.items import write_item
from coordinator.incidents.models import Incident
from coordinator.markings import Marking
from coordinator.partners.models import Organisation
from coordinator.sharing.models import FileCopy, Release, ReleaseItem
from tests.coordinator.web.conftest import Desk, visible_text
from tests.coordinator.web.test_release_desk_pages import DRAFT
from tests.coordinator.web.test_telling import count, told_desk  # noqa: F401  a desk with a partner
from tests.files import jpeg, pdf
from tests.leaving import put_file
from workers.clean import clean_file

SECRET = "Zqk Walnut"


def test_a_file_is_chosen_cleaned_and_looked_into_before_it_leaves(
    told_desk: Desk, file_report: Callable[..., str]  # noqa: F811
) -> None:
    reference, officer = file_report(told_desk.sit("liaison-officer"), tlp="GREEN"), told_desk.sit("coordinator")
    with told_desk.store.unit_of_work() as tx:
        incident = tx.execute(select(Incident)).scalar_one()
        version = str(put_file(tx, incident, jpeg(SECRET), name="photo.jpg").item_version_id)
        theirs = tx.execute(select(Organisation).where(Organisation.is_own.is_(False))).scalars().first()
        assert theirs is not None
        page = pdf(text=f"Seen by {theirs.code} at night.")
        named = str(put_file(tx, incident, page, name="page.pdf", originator_id=theirs.id).item_version_id)
        code = theirs.code
        bad = str(put_file(tx, incident, b"MZ sample", name="sample.exe").item_version_id)
    new = f"/incidents/{reference}/releases/new"
    assert "photo.jpg" in officer.text(new) and "Not cleaned yet" in officer.text(new)
    waits = officer.post(new, DRAFT | {"files": [version, bad, named]})
    assert waits.status_code == 422 and "A cleaned copy is being made" in waits.text and "Look again" in waits.text
    assert DRAFT["body"] in waits.text and count(told_desk, Release) == 0, "what was written stays"
    with told_desk.store.read() as tx:
        several = list(tx.execute(select(FileCopy.id)).scalars())
    for copy_id in several:
        clean_file(told_desk.store, copy_id)
    looked = visible_text(officer.post(new, DRAFT | {"files": [version, bad], "look": "on"}).text)
    assert f"Names its source {code} on page 1" in looked
    assert "Where it was made (GPS)" in looked and "A program or script." in looked
    refused = officer.post(new, DRAFT | {"files": [version, bad]})
    assert refused.status_code == 422 and "Say why it is to go as it came" in refused.text
    made = officer.post(new, DRAFT | {"files": [version, bad], f"reason-{bad}": "They asked for the sample."})
    assert made.status_code == 303, visible_text(made.text)
    text = officer.text(made.location)
    assert "file-1.jpg" in text and "From photo.jpg" in text and "They asked for the sample." in text
    assert "A file goes along as it came" in text, "why each partner is referred"
    assert "file-1.jpg (photo.jpg)" in text and "(sample.exe)" in text, "each can be told from the others in a version"
    body = officer.get(f"{made.location}/files/1")
    assert body.headers["Content-Disposition"].startswith("attachment") and SECRET.encode() not in body.data
    assert (body.headers["X-Content-Type-Options"], "sandbox" in body.headers["Content-Security-Policy"]) == (
        "nosniff", True)  # fmt: skip
    assert officer.get(f"{made.location}/files/3").status_code == 404
    assert told_desk.sit("partner-user").get(f"{made.location}/files/1").status_code == 403
    with told_desk.store.read() as tx:
        assert tx.execute(select(FileHandout)).first() is None


def test_indicators_that_go_along_are_ticked_on_the_page(
    told_desk: Desk, file_report: Callable[..., str]  # noqa: F811
) -> None:
    reference, officer = file_report(told_desk.sit("liaison-officer"), tlp="GREEN"), told_desk.sit("coordinator")
    with told_desk.store.unit_of_work() as tx:
        incident = tx.execute(select(Incident)).scalar_one()
        content = {"observables": [{"type": "domain-name", "value": "a.example"}]}
        number = str(write_item(
            tx, kind="details", content=content, marking=Marking(tlp="GREEN"), author="user:1",
            info_category="technical-indicators", incident=incident,
        ).id)  # fmt: skip
    new = f"/incidents/{reference}/releases/new"
    assert "Indicators of these items" in officer.text(new)
    made = officer.post(new, DRAFT | {"enclosed": [number]})
    assert made.status_code == 303, visible_text(made.text)
    with told_desk.store.read() as tx:
        [row] = tx.execute(select(ReleaseItem).where(ReleaseItem.enclosed)).scalars()
        assert str(row.item_version_id) == number

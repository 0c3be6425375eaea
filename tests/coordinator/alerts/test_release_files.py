"""Files in releases: cleaned first, decided like any item, bound to their very bytes, taken only by their recipient."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from coordinator import clock
from coordinator.alerts.letters import event_for, letter_for
from coordinator.alerts.models import Alert, Delivery, FileHandout, Handout
from coordinator.errors import Invalid, NotFound
from coordinator.incidents.models import Incident
from coordinator.interchange import exits
from coordinator.interchange.exits import NotGiven
from coordinator.sharing import approvals, copies
from coordinator.sharing.files import FileChanged, look_into
from coordinator.sharing.models import FileCopy, FileCopyPart, Release
from coordinator.sharing.service import TextChanged
from coordinator.status import ledger, release_desk
from coordinator.status.ledger import Asked
from coordinator.store import Store
from coordinator.timeline.keys import seal
from coordinator.timeline.models import Entry
from tests.alerting import agreement, put_incident
from tests.factories import OTHER, PARTNER, World
from tests.files import docx, jpeg, pdf
from tests.handing import two_partners
from tests.leaving import Desk, put_file
from workers.clean import clean_file
from workers.jobs import Later

SECRET = "Zqk Walnut"


@pytest.fixture
def store(sqlite_store: Store) -> Store:
    """What the database refuses by itself is asked of both of them in test_release_files_database.py."""
    return sqlite_store


@pytest.fixture
def desk(store: Store, world: World) -> Iterator[Desk]:
    with two_partners(store):
        yield Desk(store, world)


def test_a_cleaned_copy_leaves_under_a_neutral_name_and_nothing_of_its_source(desk: Desk) -> None:
    release = desk.draft(desk.file(jpeg(SECRET), name=f"{SECRET}.jpg"))
    assert desk.submit(release) == []
    taken = desk.take()
    assert SECRET.encode() not in taken.body and taken.name.startswith("TLP-GREEN_") and SECRET not in taken.name
    [shown] = desk.files(release)
    assert shown["sha256"] == hashlib.sha256(taken.body).hexdigest()
    assert {"author", "position"} <= {each["code"] for each in shown["removed"]}
    assert shown["original"] == f"{SECRET}.jpg"


def test_who_takes_a_file_is_on_record_and_in_the_ledger(desk: Desk) -> None:
    desk.submit(desk.draft(desk.file(jpeg())))
    desk.take()
    with desk.store.read() as tx:
        [left], [handed] = tx.execute(select(FileHandout)).scalars().all(), tx.execute(select(Handout)).scalars().all()
        assert (left.handout_id, handed.format, handed.user_id) == (handed.id, "file", desk.aino.user_id)
        [line] = ledger.lines(tx, principal=desk.officer, asked=Asked())["items"]
        [file] = line["files"]
        assert (file["sha256"], file["taken_at"] is not None) == (left.sha256, True)
        kinds = set(tx.execute(select(Entry.kind)).scalars())
        assert {"file.asked", "file.cleaned", "alert.taken"} <= kinds


def test_nobody_else_learns_that_there_is_a_file(desk: Desk) -> None:
    desk.submit(desk.draft(desk.file(jpeg())))
    for reader, number in ((desk.liga, 1), (desk.aino, 2), (desk.aino, 0)):
        with pytest.raises(NotFound):
            desk.take(reader, number)


def test_it_is_decided_again_at_each_taking(desk: Desk) -> None:
    with desk.store.unit_of_work() as tx:
        desk.incident_id = put_incident(tx, tlp="AMBER").id
    desk.submit(desk.draft(desk.file(jpeg(), tlp="AMBER")))
    desk.take()
    with desk.store.unit_of_work() as tx:
        agreement(tx, expires_on=clock.now())
    with pytest.raises(NotGiven):
        desk.take()


def test_a_file_is_decided_on_like_any_item(desk: Desk) -> None:
    """AMBER of another partner stays here, whatever the text says."""
    release = desk.draft(desk.file(jpeg(), tlp="AMBER", originator_id=desk.world.partner_id))
    with desk.store.read() as tx:
        groups = release_desk.recipients(tx, tx.get_one(Release, release), principal=desk.officer)
    lv = next(each for each in groups["deny"] if each["code"] == OTHER)
    assert "D-AMBER-ONWARD" in {reason["code"] for reason in lv["reasons"]}


def test_without_a_copy_nothing_is_drafted(desk: Desk) -> None:
    with desk.store.unit_of_work() as tx:
        version = put_file(tx, tx.get_one(Incident, desk.incident_id), jpeg()).item_version_id
    assert version is not None
    with pytest.raises(Invalid):
        desk.draft(version)
    with pytest.raises(Invalid):
        desk.draft(version, uncleaned={version: "It is urgent."})


def test_what_cannot_be_cleaned_needs_a_reason_and_a_second_person(desk: Desk) -> None:
    version = desk.file(b"MZ\x90\0 malware sample", name="sample.exe")
    with pytest.raises(Invalid):
        desk.draft(version)
    with pytest.raises(Invalid):
        desk.draft(version, uncleaned={version: " "})
    release = desk.draft(version, uncleaned={version: "They asked for the sample."})
    [waiting] = desk.submit(release)
    assert waiting.reasons == ["R-FILE-UNCLEANED"]
    with desk.store.unit_of_work() as tx:
        assert approvals.approve(tx, waiting.id, principal=desk.second).result == "permit"
    desk.send()
    taken = desk.take()
    assert taken.body.startswith(b"MZ") and taken.name.endswith("file-1.bin")
    assert desk.files(release)[0]["reason"] == "They asked for the sample."


def test_where_the_source_is_withheld_nothing_goes_as_it_came(desk: Desk) -> None:
    hidden = desk.file(b"MZ\x90\0", no_attribution=True)
    with pytest.raises(Invalid):
        desk.draft(hidden, uncleaned={hidden: "They asked for it."})


def test_where_the_source_is_withheld_a_file_that_names_it_stays(desk: Desk) -> None:
    theirs = {"originator_id": desk.world.partner_id, "no_attribution": True}
    with pytest.raises(Invalid):
        desk.draft(desk.file(f"Seen by {PARTNER} at night.".encode(), **theirs))
    with pytest.raises(Invalid):
        desk.draft(desk.file(docx(body=f"<w:p><w:r><w:t>By {PARTNER}</w:t></w:r></w:p>"), **theirs))
    assert desk.draft(desk.file(b"Seen at night.", **theirs))


def test_whoever_decides_is_told_on_which_page_a_file_names_its_source(desk: Desk) -> None:
    hidden, body = pdf(text=f"By {PARTNER} at night."), pdf(text=f"Seen by {PARTNER} at night.")
    with pytest.raises(Invalid):
        desk.draft(desk.file(hidden, originator_id=desk.world.partner_id, no_attribution=True))
    release = desk.draft(desk.file(body, originator_id=desk.world.partner_id))
    [shown] = desk.files(release)
    assert {"name": PARTNER, "page": 1} in shown["named"] and (shown["pages"], shown["searched"]) == (1, 1)


def test_where_the_source_is_withheld_a_second_person_reads_what_is_drawn(desk: Desk) -> None:
    release = desk.draft(desk.file(pdf(), no_attribution=True))
    [waiting] = desk.submit(release)
    assert waiting.reasons == ["R-FILE-UNREAD"]
    with desk.store.unit_of_work() as tx:
        assert approvals.approve(tx, waiting.id, principal=desk.second).result == "permit"
    desk.send()
    assert desk.take().body.startswith(b"%PDF")


def test_a_byte_that_was_changed_after_the_release_never_leaves(desk: Desk) -> None:
    desk.submit(desk.draft(desk.file(b"What we saw")))
    with desk.store.unit_of_work() as tx:
        copy = tx.execute(select(FileCopy)).scalar_one()
        part = tx.execute(select(FileCopyPart)).scalar_one()
        part.sealed = seal(tx, copy.data_key_id, b"What we sax", about=f"copy/{copy.id}/{copy.sha256}/0")
    with pytest.raises(FileChanged):
        desk.take()
    with desk.store.read() as tx:
        assert tx.execute(select(Handout)).first() is None


def test_an_approval_is_bound_to_the_bytes(desk: Desk) -> None:
    """Two releases of the same words with other files have other digests, and one whose file row says another digest is
    not the one that was approved."""
    first, second = desk.draft(desk.file(b"One.")), desk.draft(desk.file(b"Two."))
    with desk.store.unit_of_work() as tx:
        digests = {tx.get_one(Release, number).content_digest for number in (first, second)}
        assert len(digests) == 2
        tx.execute(text("DROP TRIGGER release_files_fixed"))  # as the owner of the host could
        tx.execute(text("UPDATE release_files SET sha256 = :other WHERE release_id = :one"),
                   {"other": "0" * 64, "one": first})  # fmt: skip
    with pytest.raises(TextChanged):
        desk.submit(first)


def test_no_bytes_of_a_file_are_sent_and_each_form_says_that_it_waits(desk: Desk) -> None:
    release = desk.draft(desk.file(b"What we saw at night"))
    desk.submit(release)
    [file] = desk.files(release)
    with desk.store.unit_of_work() as tx:
        alert = tx.execute(select(Alert)).scalar_one()
        delivery = tx.execute(select(Delivery)).scalar_one()
        event, (letter, _) = event_for(tx, alert, delivery), letter_for(tx, alert, delivery)
        contents = {
            form: exits.take(tx, alert.public_id, reader=desk.aino, form=form, way="page") for form in exits.FORMS
        }
        data_dir = desk.store.settings.data_dir
        made = {form: exits.render(form, each, data_dir=data_dir).body for form, each in contents.items()}
    [waits] = event.data["files"]
    assert (waits["sha256"], waits["size"]) == (file["sha256"], 20)
    assert waits["url"].endswith(f"/released/{alert.public_id}/files/1")
    assert file["sha256"] in letter.body and "at night" not in letter.body
    for form in ("stix", "misp", "json"):
        assert file["sha256"].encode() in made[form] and b"at night" not in made[form]


def test_cleaning_is_done_once_and_begun_again_when_its_worker_is_gone(desk: Desk) -> None:
    with desk.store.unit_of_work() as tx:
        attachment = put_file(tx, tx.get_one(Incident, desk.incident_id), jpeg()).id
        copy = copies.ask(tx, attachment, principal=desk.officer)
        assert copies.ask(tx, attachment, principal=desk.officer).id == copy.id
        copy_id, now = copy.id, clock.now()
        work = copies.begin(tx, copy_id, now=now)
        assert isinstance(work, copies.Work)
    with pytest.raises(Later):
        clean_file(desk.store, copy_id)
    with desk.store.unit_of_work() as tx:
        again = copies.begin(tx, copy_id, now=now + copies.LEASE + timedelta(seconds=1))
        assert isinstance(again, copies.Work) and again.fence == 2
        copies.settle(tx, copy_id, work.fence, copies.Outcome(why="damaged"))  # the first one woke late
        assert tx.get_one(FileCopy, copy_id).state == "waiting"
        late = now + 2 * (copies.LEASE + timedelta(seconds=1))
        assert isinstance(copies.begin(tx, copy_id, now=late), copies.Work)
        assert copies.begin(tx, copy_id, now=late + copies.LEASE + timedelta(seconds=1)) is None
        assert (tx.get_one(FileCopy, copy_id).state, tx.get_one(FileCopy, copy_id).why) == ("refused", "failed")
        assert copies.ask(tx, attachment, principal=desk.officer).state == "waiting", "asked again it is tried again"


def test_our_own_people_open_the_very_file_on_record(desk: Desk) -> None:
    release = desk.draft(desk.file(jpeg(SECRET)))
    with desk.store.unit_of_work() as tx:
        file, body = look_into(tx, tx.get_one(Release, release), 1, principal=desk.second)
        assert SECRET.encode() not in body and hashlib.sha256(body).hexdigest() == file.sha256
        assert "attachment.read" in set(tx.execute(select(Entry.kind)).scalars())

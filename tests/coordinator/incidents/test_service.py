"""What people do to an incident: changes, transitions, notes, links, need to know."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from coordinator.errors import Invalid, NotFound, Refused, SecrecyMarkingFound, Stale
from coordinator.incidents import queries, service
from coordinator.incidents.finding import Wanted, find_incidents
from coordinator.incidents.holds import lock_incident, open_holds, place_hold, settle_hold
from coordinator.incidents.items import read_item
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.incidents.references import reference_of
from coordinator.markings import Tlp
from coordinator.timeline import queries as record
from coordinator.timeline.models import Pending
from coordinator.timeline.verify import verify
from tests.factories import native, person


@pytest.fixture
def incident(store, partner) -> Incident:
    """An incident FI-CSIRT reported, GREEN."""
    assert partner.post(native()).status_code == 202
    with store.read() as tx:
        return tx.execute(select(Incident)).scalar_one()


def moved(store, incident, to, principal, **more):
    with store.unit_of_work() as tx:
        return service.transition(tx, incident.id, to, principal=principal, **more)


def changed(store, incident, principal, **changes):
    with store.unit_of_work() as tx:
        return service.change_incident(tx, incident.id, changes, principal=principal)


def test_from_report_to_closed_and_reopened(store, incident):
    someone = person(store)
    moved(store, incident, "triage", someone)
    active = moved(store, incident, "active", someone).incident
    assert (active.owner_id, active.triaged_at is not None) == (someone.user_id, True)
    moved(store, incident, "resolved", someone, outlook="stable")
    closed = moved(store, incident, "closed", someone, note="Restored from backup.").incident
    assert closed.closed_at is not None and closed.closure_note_id is not None
    with pytest.raises(Invalid):
        moved(store, incident, "active", someone)
    again = moved(store, incident, "active", someone, reason="It came back").incident
    assert (again.status, again.closed_at) == ("active", None)

    with store.read() as tx:
        kinds = [entry["kind"] for entry in record.entries(tx, incident_id=incident.id)]
        assert kinds[2:] == ["incident.triage", "incident.active", "incident.resolved", "note.added",
                             "incident.closed", "incident.active"]  # fmt: skip
        assert {"incident.active", "incident.closed"} <= {row.kind for row in tx.execute(select(Pending)).scalars()}
        assert not verify(tx).broken


def test_what_is_open_stands_in_the_way_until_it_is_settled(store, incident):
    someone = person(store)
    moved(store, incident, "triage", someone)
    moved(store, incident, "active", someone)
    with store.unit_of_work() as tx:
        locked = lock_incident(tx, incident.id)
        place_hold(tx, locked, kind="task", object_id=7, text="Call the hospital", blocks="resolve")
        place_hold(tx, locked, kind="alert", object_id=7, text="Told FI", blocks="close")
    with pytest.raises(Refused) as refused:
        moved(store, incident, "resolved", someone, outlook="stable")
    assert [(one.kind, one.id, one.text) for one in refused.value.blocked_by] == [("task", "7", "Call the hospital")]
    with store.unit_of_work() as tx:
        settle_hold(tx, kind="task", object_id=7)
        settle_hold(tx, kind="task", object_id=7)
    moved(store, incident, "resolved", someone, outlook="stable")
    with pytest.raises(Refused) as refused:
        moved(store, incident, "closed", someone, note="Done.")
    assert [one.kind for one in refused.value.blocked_by] == ["alert"]


def test_a_hold_placed_again_stands_again(store, incident):
    with store.unit_of_work() as tx:
        locked = lock_incident(tx, incident.id)
        for text in ("first", "second"):
            place_hold(tx, locked, kind="task", object_id=1, text=text, blocks="close")
            settle_hold(tx, kind="task", object_id=1)
            place_hold(tx, locked, kind="task", object_id=1, text=text, blocks="close")
        assert [hold.text for hold in open_holds(tx, incident.id)] == ["second"]


def test_rejecting_what_is_flagged_takes_two_people(store, partner):
    partner.post(native(humanitarian_flags=["hospital-or-medical"]))
    with store.read() as tx:
        incident = tx.execute(select(Incident)).scalar_one()
    first, second = person(store, name="Anna First"), person(store, name="Boris Second")
    moved(store, incident, "triage", first)
    for _ in range(2):
        asked = moved(store, incident, "rejected", first, reason="A drill")
        assert [one.kind for one in asked.refusal.blocked_by] == ["second-look"]
    assert moved(store, incident, "rejected", second, reason="Agreed").incident.status == "rejected"


def test_a_stale_version_is_refused(store, incident):
    someone = person(store)
    with store.unit_of_work() as tx:
        service.change_incident(tx, incident.id, {"outlook": "stable"}, principal=someone, if_version=incident.version)
    with pytest.raises(Stale), store.unit_of_work() as tx:
        service.change_incident(tx, incident.id, {"outlook": "worsening"}, principal=someone,
                                if_version=incident.version)  # fmt: skip


def test_a_change_records_old_and_new_and_one_without_effect_records_nothing(store, incident):
    someone = person(store)
    version = changed(store, incident, someone, severity=4, severity_reason="Wards closed").version
    assert changed(store, incident, someone, severity=4, severity_reason="Wards closed").version == version
    with store.read() as tx:
        last = record.entries(tx, incident_id=incident.id, newest_first=True, limit=1)[0]
        assert last["kind"] == "incident.changed"
        assert last["values"]["severity"] == [None, 4]
        assert "Wards" not in last["text"]


def test_severity_needs_a_reason_and_an_owner_must_be_active(store, incident):
    someone = person(store)
    with pytest.raises(Invalid):
        changed(store, incident, someone, severity=4)
    with pytest.raises(Invalid) as invalid:
        changed(store, incident, someone, owner=999)
    assert invalid.value.errors[0].pointer == "/owner"


def test_a_label_of_somebody_else_is_raised_but_never_lowered(store, incident):
    someone = person(store)
    assert changed(store, incident, someone, tlp="AMBER").tlp == "AMBER"
    with pytest.raises(Refused):
        changed(store, incident, someone, tlp="GREEN")


def test_raising_to_red_closes_the_incident_off(store, incident):
    officer, someone = person(store, "duty-officer"), person(store)
    red = changed(store, incident, someone, tlp="RED")
    assert (red.restricted, red.title, red.search_text) == (True, "", "")
    with store.read() as tx:
        assert queries.title_of(tx, queries.get_visible(tx, reference_of(red), principal=officer)) == (
            "Ransomware at a hospital")
        with pytest.raises(NotFound):
            queries.get_visible(tx, reference_of(red), principal=someone)


def test_aware_at_only_moves_to_an_earlier_instant(store, incident):
    someone = person(store)
    earlier = incident.aware_at.replace(year=2025)
    assert changed(store, incident, someone, aware_at=earlier).aware_at == earlier
    with pytest.raises(Refused):
        changed(store, incident, someone, aware_at=incident.aware_at)


def test_a_duplicate_needs_the_one_that_stays_and_no_circle(store, incident, partner):
    someone = person(store)
    partner.post(native(title="The same thing, told again"))
    with store.read() as tx:
        other = tx.execute(select(Incident).where(Incident.id != incident.id)).scalar_one()
    with pytest.raises(Invalid):
        moved(store, incident, "duplicate", someone)
    with pytest.raises(NotFound):
        moved(store, incident, "duplicate", someone, duplicate_of="INC-2026-999999")
    moved(store, incident, "duplicate", someone, duplicate_of=reference_of(other))
    with pytest.raises(Refused):
        moved(store, other, "duplicate", someone, duplicate_of=reference_of(incident))
    with store.read() as tx:
        assert tx.get(Incident, other.id).aware_at == incident.aware_at


def test_a_note_is_an_item_under_the_incidents_label(store, incident):
    someone = person(store)
    with store.unit_of_work() as tx:
        service.add_note(tx, incident.id, "CANARY spoke to the ward", principal=someone)
    with store.read() as tx:
        note = tx.execute(select(ItemVersion).where(ItemVersion.kind == "note")).scalar_one()
        assert (note.tlp, note.originator_id, note.author) == ("GREEN", None, someone.actor)
        assert read_item(tx, note) == "CANARY spoke to the ward"
        assert b"CANARY" not in note.sealed
    with pytest.raises(SecrecyMarkingFound), store.unit_of_work() as tx:
        service.add_note(tx, incident.id, "NATO SECRET\nabc", principal=someone)


@pytest.mark.parametrize(("tlp", "restricted", "taken"), [
    ("CLEAR", False, False), ("GREEN", False, True), ("AMBER", False, True), ("RED", False, False),
    ("RED", True, True),
])  # fmt: skip
def test_a_note_is_never_looser_than_the_incident_and_red_only_where_it_is_restricted(
    store, incident, tlp, restricted, taken
):
    someone = person(store)
    with store.unit_of_work() as tx:
        row = tx.get_one(Incident, incident.id)
        row.restricted = restricted
        row.marking = {**row.marking, "orcon": True}
    if not taken:
        with pytest.raises(Invalid) as refusal, store.unit_of_work() as tx:
            service.add_note(tx, incident.id, "x", principal=someone, tlp=Tlp(tlp))
        assert [fault.pointer for fault in refusal.value.errors] == ["/tlp"]
        return
    with store.unit_of_work() as tx:
        note = service.add_note(tx, incident.id, "x", principal=someone, tlp=Tlp(tlp))
        assert (note.tlp, note.marking["orcon"]) == (tlp, True)


def test_links_are_recorded_and_a_parent_is_never_below(store, incident, partner):
    someone = person(store)
    partner.post(native(title="Another one"))
    with store.read() as tx:
        other = tx.execute(select(Incident).where(Incident.id != incident.id)).scalar_one()
    with store.unit_of_work() as tx:
        service.link_incidents(tx, incident.id, reference_of(other), kind="parent", principal=someone)
    with pytest.raises(Refused), store.unit_of_work() as tx:
        service.link_incidents(tx, other.id, reference_of(incident), kind="parent", principal=someone)


def test_a_claimed_originator_is_bound_to_both_until_a_person_confirms_it(store, partner, world):
    partner.post(native(originator="LV-MFA"))
    someone = person(store)
    with store.read() as tx:
        incident = tx.execute(select(Incident)).scalar_one()
        assert (incident.originator_id, incident.source_id) == (world.other_id, world.partner_id)
        assert queries.originator_claimed(incident)
        title = tx.execute(select(ItemVersion).where(ItemVersion.kind == "title")).scalar_one()
        assert (title.originator_id, title.source_id) == (world.other_id, world.partner_id)
    with store.unit_of_work() as tx:
        service.confirm_originator(tx, incident.id, principal=someone, evidence="Called Riga")
    with store.read() as tx:
        assert not queries.originator_claimed(tx.get(Incident, incident.id))
        newest = tx.execute(select(ItemVersion).where(ItemVersion.item == title.item, ItemVersion.version == 2))
        second = newest.scalar_one()
        assert (second.source_id, read_item(tx, second)) == (None, "Ransomware at a hospital")


@pytest.mark.parametrize("tlp", ["GREEN", "RED"])
def test_a_changed_title_is_the_next_version_of_its_item(store, partner, tlp):
    partner.post(native(tlp=tlp, description="As it was."))
    officer = person(store, "duty-officer")
    with store.read() as tx:
        incident = tx.execute(select(Incident)).scalar_one()
    changed(store, incident, officer, title="Wiper at a hospital")
    with store.read() as tx:
        assert queries.title_of(tx, tx.get(Incident, incident.id)) == "Wiper at a hospital"
        titles = select(ItemVersion).where(ItemVersion.kind == "title").order_by(ItemVersion.version)
        said = tx.execute(titles).scalars()
        assert [(one.version, one.tlp, read_item(tx, one)) for one in said] == [
            (1, tlp, "Ransomware at a hospital"), (2, tlp, "Wiper at a hospital")]  # fmt: skip
        found = find_incidents(tx, Wanted(q="wiper"), principal=officer)
        assert len(found) == (1 if tlp == "GREEN" else 0)


@pytest.mark.parametrize("role, sees", [
    ("duty-officer", True), ("auditor", True), ("coordinator", False), ("liaison-officer", False),
    ("release-authority", False),
])  # fmt: skip
def test_a_restricted_incident_is_there_for_few(store, partner, role, sees):
    partner.post(native(tlp="RED"))
    someone = person(store, role)
    with store.read() as tx:
        found = find_incidents(tx, Wanted(), principal=someone)
        assert len(found) == (1 if sees else 0)
        assert find_incidents(tx, Wanted(q="hospital"), principal=someone) == []


def test_named_recipients_owner_and_members_see_a_restricted_incident(store, partner):
    named, owner, member, other = (person(store, name=name) for name in ("Ulla Named", "Otto", "Mia", "Ole"))
    partner.post(native(tlp="RED", caveats={"named_recipients": ["ulla named"]}))
    with store.read() as tx:
        incident = tx.execute(select(Incident)).scalar_one()
    duty = person(store, "duty-officer")
    changed(store, incident, duty, owner=owner.user_id, restricted_to=[named.user_id, member.user_id])
    with store.read() as tx:
        seen = {one.name: bool(find_incidents(tx, Wanted(), principal=one)) for one in (named, owner, member, other)}
    assert seen == {"Ulla Named": True, "Otto": True, "Mia": True, "Ole": False}


@pytest.mark.parametrize(("where", "sees"), [("another", True), ("the same", False)])
def test_who_was_let_in_to_clear_sees_a_case_unless_something_in_that_very_case_is_red(store, partner, where, sees):
    for title in ("The same", "Another"):
        partner.post(native(title=title, tlp="AMBER"))
    clearer, officer = person(store), person(store, "duty-officer")
    with store.unit_of_work() as tx:
        case, other = tx.execute(select(Incident).order_by(Incident.id)).scalars()
        case.restricted = other.restricted = True
        service.let_in_to_clear(tx, case, clearer.user_id)
        red = other.id if where == "another" else case.id
        service.add_note(tx, red, "For one pair of eyes.", principal=officer, tlp=Tlp.RED)
    with store.read() as tx:
        assert [row.id for row in find_incidents(tx, Wanted(), principal=clearer)] == ([case.id] if sees else [])


def test_opening_is_recorded_once_per_person_and_version(store, incident):
    someone = person(store)
    for _ in range(3):
        with store.unit_of_work() as tx:
            queries.note_read(tx, tx.get(Incident, incident.id), principal=someone)
    changed(store, incident, someone, outlook="stable")
    with store.unit_of_work() as tx:
        queries.note_read(tx, tx.get(Incident, incident.id), principal=someone)
    with store.read() as tx:
        reads = [one for one in record.entries(tx, incident_id=incident.id) if one["kind"] == "incident.read"]
        assert [one["about"] for one in reads] == [("version", 1), ("version", 2)]

"""Intake: the same answer again, duplicates, updates, quarantine, refusals; killed in between; two at once."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from coordinator import clock
from coordinator.errors import KeyReused
from coordinator.incidents import intake
from coordinator.incidents.items import read_item
from coordinator.incidents.models import Attachment, Incident, ItemVersion, Report, ReportBody
from coordinator.partners.models import Endpoint, Organisation
from coordinator.partners.queries import intake_endpoint
from coordinator.timeline import queries as record
from coordinator.timeline.models import DataKey, Pending
from tests.factories import PartnerSystem, at_endpoint, inbound_endpoint, native, person, running_exercise


def count(store, model, *where):
    with store.read() as tx:
        return tx.execute(select(func.count()).select_from(model).where(*where)).scalar_one()


def kept(store, world, report, message_id, **more):
    raw = json.dumps(report).encode()
    with store.unit_of_work() as tx:
        endpoint = intake_endpoint(tx, world.endpoint)
        return intake.keep_raw(tx, via="webhook", media_type="application/json", raw=raw, endpoint=endpoint,
                               message_id=message_id, **more)  # fmt: skip


def read(store, report_id):
    with store.unit_of_work() as tx:
        return intake.read_report(tx, report_id)


# ---------------------------------------------------------------- twice, late, killed in between


def test_the_same_message_is_answered_the_same_again(store, partner):
    first = partner.post(native(), "msg_a").get_json()
    assert partner.post(native(), "msg_a").get_json() == first
    assert count(store, Incident) == 1 and count(store, Report) == 1
    assert count(store, DataKey) == 2  # the webhook secret's and the report's: the repeat left none behind


def test_the_same_id_with_other_bytes_is_refused(store, partner):
    partner.post(native(), "msg_a")
    answer = partner.post(native(title="Another"), "msg_a")
    assert answer.status_code == 422
    assert answer.get_json()["type"] == "/problems/key-reused"
    assert count(store, Incident) == 1


def test_an_invalid_message_is_refused_the_same_way_again(store, partner):
    first = partner.post(native(tlp="PINK", colour="x"), "msg_a")
    assert first.status_code == 422
    assert {fault["pointer"] for fault in first.get_json()["errors"]} == {"/tlp", "/colour"}
    again = partner.post(native(tlp="PINK", colour="x"), "msg_a")
    assert (again.status_code, again.get_json()) == (422, first.get_json())
    assert count(store, Report, Report.disposition == "invalid") == 1


def test_a_report_left_unread_is_read_later_and_only_once(store, world):
    report = kept(store, world, native(), "msg_a")
    answers = [read(store, report.report_id) for _ in range(2)]
    assert answers[0] == answers[1]
    assert count(store, Incident) == 1
    assert found_unread(store, after=intake.READ_BY * 2) == []


@pytest.mark.parametrize(("after", "found"), [
    (timedelta(0), 0), (intake.READ_BY / 2, 0), (intake.READ_BY * 2, 1), (timedelta(days=40), 1),
    (-timedelta(hours=1), 1),
])  # fmt: skip
def test_word_is_left_of_what_nobody_read_in_time_and_once(store, world, after, found):
    report = kept(store, world, native(), "msg_a")
    assert found_unread(store, after=after) == [("report.received", report.report_id)] * found
    assert found_unread(store, after=after) == [("report.received", report.report_id)] * found


def found_unread(store, after):
    with time_machine.travel(clock.now() + after, tick=False), store.unit_of_work() as tx:
        intake.leave_word_of_unread(tx)
        query = select(Pending.kind, Pending.object_id).where(Pending.kind == "report.received")
        return [tuple(row) for row in tx.execute(query)]


def test_a_retry_while_the_first_was_killed_reads_the_report(store, world, partner):
    kept(store, world, native(), "msg_a")
    body = json.dumps(native()).encode()
    answer = partner.post(body, "msg_a")
    assert (answer.status_code, answer.get_json()["disposition"]) == (202, "accepted")
    assert count(store, Incident) == 1


def test_eight_at_once_with_one_message_id_make_one_incident(store, app, world):
    said = at_once(app, world, [("msg_same", native())] * 8)
    assert {one.status_code for one in said} == {202}
    assert len({one.get_data() for one in said}) == 1
    assert count(store, Incident) == 1


def test_eight_at_once_with_the_same_bytes_make_one_incident_and_duplicates(store, app, world):
    said = at_once(app, world, [(f"msg_{number}", native()) for number in range(8)])
    assert sorted(one.get_json()["disposition"] for one in said) == ["accepted"] + ["duplicate"] * 7
    assert len({one.get_json()["incident"] for one in said}) == 1
    assert count(store, Incident) == 1


def test_eight_at_once_with_one_external_id_make_one_incident_and_updates(store, app, world):
    said = at_once(app, world, [(f"m{n}", native(title=f"Report {n}", external_id="FI-1")) for n in range(8)])
    assert sorted(one.get_json()["disposition"] for one in said) == ["accepted"] + ["update"] * 7
    assert count(store, Incident) == 1


def at_once(app, world, messages):
    answers, ready = [], threading.Barrier(len(messages))

    def post(message_id, report):
        system = PartnerSystem(app.test_client(), world)
        ready.wait()
        answers.append(system.post(report, message_id))

    threads = [threading.Thread(target=post, args=message) for message in messages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_a_very_long_message_id_is_taken(store, partner):
    assert partner.post(native(), "m" * 256).status_code == 202
    assert partner.post(native(title="Other"), "m" * 256).status_code == 422


# ---------------------------------------------------------------- duplicates and updates


def test_the_same_bytes_under_another_id_are_a_duplicate(store, partner):
    first = partner.post(native(), "msg_a").get_json()
    second = partner.post(native(), "msg_b").get_json()
    assert (second["disposition"], second["incident"]) == ("duplicate", first["incident"])
    with store.read() as tx:
        incident = tx.execute(select(Incident)).scalar_one()
        kinds = [entry["kind"] for entry in record.entries(tx, incident_id=incident.id)]
        assert kinds == ["report.received", "incident.opened", "report.received"]


def test_the_same_external_id_is_a_further_report_whose_facts_stand_beside_the_others(store, partner):
    first = partner.post(native(external_id="FI-1", severity=2, states_affected=["FI"])).get_json()
    said = partner.post(native(external_id="FI-1", title="Ransomware at two hospitals", severity=4,
                               states_affected=["FI", "SE"], tlp="AMBER", aware_at="2026-11-21T08:00:00Z"))  # fmt: skip
    assert (said.get_json()["disposition"], said.get_json()["incident"]) == ("update", first["incident"])
    with store.read() as tx:
        incident = tx.execute(select(Incident)).scalar_one()
        assert (incident.title, incident.severity, incident.states_affected) == ("Ransomware at a hospital", 2, ["FI"])
        assert incident.tlp == "AMBER"  # the label only rises
        assert clock.rfc3339(incident.aware_at) == "2026-11-21T08:00:00Z"  # the earliest counts
        assert incident.version == 2
        titles = tx.execute(select(ItemVersion).where(ItemVersion.kind == "title").order_by(ItemVersion.id)).scalars()
        assert [(read_item(tx, one), one.tlp) for one in titles] == [
            ("Ransomware at a hospital", "GREEN"), ("Ransomware at two hospitals", "AMBER")]  # fmt: skip
        kinds = [entry["kind"] for entry in record.entries(tx, incident_id=incident.id)]
        assert kinds[2:] == ["report.received", "report.updated"]


def test_the_label_never_falls_with_an_update(store, partner):
    partner.post(native(external_id="FI-1", tlp="AMBER"))
    partner.post(native(external_id="FI-1", tlp="CLEAR"))
    with store.read() as tx:
        assert tx.execute(select(Incident.tlp)).scalar_one() == "AMBER"


def test_a_red_update_closes_the_incident_off(store, partner):
    partner.post(native(external_id="FI-1"))
    partner.post(native(external_id="FI-1", tlp="RED"))
    with store.read() as tx:
        incident = tx.execute(select(Incident)).scalar_one()
        assert (incident.restricted, incident.title, incident.search_text) == (True, "", "")


def test_another_organisations_external_id_is_another_incident(store, client, partner, world):
    with store.unit_of_work() as tx:
        _, secret = inbound_endpoint(tx, world.other_id, "lv-in")
    other = at_endpoint(client, world, "lv-in", secret)
    first = partner.post(native(external_id="X-1")).get_json()
    second = other.post(native(external_id="X-1")).get_json()
    assert (second["disposition"], count(store, Incident)) == ("accepted", 2)
    assert first["incident"] != second["incident"]


# ---------------------------------------------------------------- what it opens


def test_aware_at_is_when_it_arrived_unless_it_is_said(store, partner):
    partner.post(native())
    with store.read() as tx:
        incident, report = tx.execute(select(Incident)).scalar_one(), tx.execute(select(Report)).scalar_one()
        assert (incident.aware_at, incident.aware_fidelity) == (report.received_at, "second")
        assert (clock.rfc3339(incident.noticed_at), incident.noticed_fidelity) == ("2026-11-22T03:10:00Z", "second")


def test_a_flag_raises_severity_and_label_and_life_at_risk_calls_a_person(store, partner):
    partner.post(native(humanitarian_flags=["life-at-risk"], severity=1))
    with store.read() as tx:
        incident = tx.execute(select(Incident)).scalar_one()
        assert (incident.severity, incident.severity_by) == (4, "rule")
        assert tx.execute(select(Pending).where(Pending.kind == "incident.life-at-risk")).scalar_one().object_id == (
            incident.id)


@pytest.mark.parametrize("how", ["label", "endpoint"])
def test_restricted_ones_open_without_a_title_in_the_open(store, partner, world, how):
    if how == "endpoint":
        with store.unit_of_work() as tx:
            tx.get(Endpoint, world.endpoint_id).restricted = True
    label = "RED" if how == "label" else "GREEN"
    partner.post(native(tlp=label, title="CANARY", description="CANARY", external_id="C"))
    with store.read() as tx:
        incident = tx.execute(select(Incident)).scalar_one()
        assert (incident.restricted, incident.title, incident.search_text) == (True, "", "")


def test_the_text_of_amber_is_not_searchable_in_the_open(store, partner):
    partner.post(native(tlp="AMBER", description="CANARY body"))
    with store.read() as tx:
        assert "canary" not in tx.execute(select(Incident.search_text)).scalar_one()


def test_an_update_flagged_life_at_risk_calls_a_person_too(store, partner):
    partner.post(native(external_id="FI-1"))
    partner.post(native(external_id="FI-1", humanitarian_flags=["life-at-risk"]))
    assert count(store, Pending, Pending.kind == "incident.life-at-risk") == 1


# ---------------------------------------------------------------- quarantine and refusals


@pytest.mark.parametrize("fields, reason", [
    ({"exercise": "LOCKED-SHIELDS"}, "exercise-unknown"),
    ({"originator": "NOBODY-KNOWN"}, "originator-unknown"),
    ({"originator": "EE-MFA"}, "originator-is-us"),
])  # fmt: skip
def test_odd_claims_are_set_aside_for_a_person(store, partner, fields, reason):
    said = partner.post(native(**fields))
    assert (said.status_code, said.get_json()["disposition"], said.get_json()["incident"]) == (202, "quarantined", None)
    with store.read() as tx:
        report = tx.execute(select(Report)).scalar_one()
        assert (report.disposition, report.reason) == ("quarantined", reason)
        assert {(row.kind, row.object_id) for row in tx.execute(select(Pending)).scalars()} == {
            ("report.quarantined", report.id), ("quarantine.due", report.id)}  # fmt: skip
    assert count(store, Incident) == 0


def test_an_unlabelled_report_at_an_exercise_endpoint_may_be_real(store, client, world):
    with store.unit_of_work() as tx:
        _, secret = inbound_endpoint(tx, world.partner_id, "fi-ex", exercise="EX-1")
        running_exercise(tx, "EX-1")
    system = at_endpoint(client, world, "fi-ex", secret)
    assert system.post(native()).get_json()["disposition"] == "quarantined"
    assert system.post(native(exercise="EX-1", title="Drill")).get_json()["disposition"] == "accepted"
    with store.read() as tx:
        incident = tx.execute(select(Incident)).scalar_one()
        assert incident.exercise == "EX-1"
        assert {row.exercise for row in tx.execute(select(Pending)).scalars()} == {"EX-1"}
        assert {row["kind"] for row in record.entries(tx, incident_id=incident.id)} == {
            "report.received", "incident.opened"}  # fmt: skip


def test_a_sender_that_is_no_longer_active_is_set_aside(store, partner, world):
    with store.unit_of_work() as tx:
        tx.get(Organisation, world.partner_id).active = False
    assert partner.post(native()).get_json()["disposition"] == "quarantined"


def test_classified_material_is_refused_and_only_its_digest_is_kept(store, partner):
    said = partner.post(native(title="NATO SECRET: a canary"), "msg_a")
    assert said.status_code == 422
    assert b"canary" not in said.data and b"SECRET" not in said.data
    assert (count(store, ReportBody), count(store, Incident)) == (0, 0)
    with store.read() as tx:
        report = tx.execute(select(Report)).scalar_one()
        assert (report.disposition, len(report.raw_digest)) == ("refused", 64)
        assert tx.get(DataKey, report.data_key_id).wrapped is None
    assert partner.post(native(title="NATO SECRET: a canary"), "msg_a").data == said.data


def test_what_is_invalid_is_kept_sealed_for_thirty_days(store, partner):
    assert partner.post(b'{"title": ', "msg_a").status_code == 400
    assert partner.post(b'{"title": ', "msg_a").status_code == 400
    with store.read() as tx:
        erase_after = tx.execute(select(ReportBody.erase_after)).scalar_one()
        assert timedelta(days=29) < erase_after - clock.now() < timedelta(days=31)
    assert count(store, Pending) == 0


# ---------------------------------------------------------------- other doors


def test_the_same_key_of_a_person_is_one_report(store, world):
    someone, raw = person(store), json.dumps(native()).encode()

    def keep(body):
        with store.unit_of_work() as tx:
            return intake.keep_raw(tx, via="form", media_type="application/json", raw=body, message_id="draft-1",
                                   principal=someone)  # fmt: skip

    first = read(store, keep(raw).report_id)
    assert keep(raw).answer == first
    assert first.incident.startswith("INC-")
    with pytest.raises(KeyReused):
        keep(raw + b" ")
    with store.read() as tx:
        incident = tx.execute(select(Incident)).scalar_one()
        assert (incident.originator_id, incident.source_id) == (None, world.own_id)


def test_our_own_report_told_by_another_has_that_originator_without_a_claim(store, world):
    someone = person(store)
    with store.unit_of_work() as tx:
        raw = json.dumps(native(originator="LV-MFA")).encode()
        report = intake.keep_raw(tx, via="form", media_type="application/json", raw=raw, principal=someone)
    read(store, report.report_id)
    with store.read() as tx:
        item = tx.execute(select(ItemVersion).where(ItemVersion.kind == "title")).scalar_one()
        assert (item.originator_id, item.source_id) == (world.other_id, None)


def test_whoever_files_a_red_report_may_see_it(store, world):
    from coordinator.incidents import queries

    someone = person(store, "liaison-officer")
    with store.unit_of_work() as tx:
        raw = json.dumps(native(tlp="RED")).encode()
        report = intake.keep_raw(tx, via="form", media_type="application/json", raw=raw, principal=someone)
    answer = read(store, report.report_id)
    with store.read() as tx:
        found = queries.get_visible(tx, answer.incident, principal=someone)
        assert queries.title_of(tx, found) == "Ransomware at a hospital"


def test_announced_files_show_as_awaited(store, partner):
    digest = "a" * 64
    partner.post(native(attachments=[{"name": "log.txt", "media_type": "text/plain", "sha256": digest, "size": 5}]))
    with store.read() as tx:
        file = tx.execute(select(Attachment)).scalar_one()
        assert (file.name, file.sha256, file.state) == ("log.txt", digest, "awaited")
        assert file.incident_id is not None


# ---------------------------------------------------------------- odd text


def test_odd_text_is_stored_to_the_character(store, partner):
    odd = ["\u202etxt.exe", "Z\u0351\u036balgo", "\U0001f468\u200d\U0001f469", "\ufeffx", "a\u0308", "\ufffe x",
           "%s\\x00\\u0000", "\U0010ffff x", "\u0627\u0644"]  # fmt: skip
    for text in odd:
        assert partner.post(native(title=text, description=f"{text}\n\t{text}")).status_code == 202
    with store.read() as tx:
        said = tx.execute(select(ItemVersion).where(ItemVersion.kind == "title").order_by(ItemVersion.id)).scalars()
        assert [read_item(tx, one) for one in said] == odd
        assert set(tx.execute(select(Incident.title)).scalars()) == set(odd)

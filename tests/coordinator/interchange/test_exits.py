"""What was released, taken as a file: decided again each time, on record, and the same for nobody else."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import select
from stix2validator import ValidationOptions, validate_parsed_json

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.accounts.service import create_token
from coordinator.alerts import drafts
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Alert, Handout
from coordinator.errors import NotFound
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.interchange import exits, misp, stix
from coordinator.markings import Marking, Tlp
from coordinator.sharing.models import ShareDecision
from coordinator.status import ledger
from coordinator.status.ledger import Asked
from coordinator.store import Store
from coordinator.timeline.models import Entry
from tests.alerting import agreement, due
from tests.drawn import words_of
from tests.factories import OTHER, PARTNER, World, person
from tests.handing import told, two_partners
from workers import deliver as worker


@pytest.fixture
def store(sqlite_store: Store) -> Store:
    """What is asked of the database here is asked on both of them by the tests of the collections."""
    return sqlite_store


@pytest.fixture
def desk(store: Store, world: World) -> Iterator[Store]:
    with two_partners(store):
        yield store


def bearer(store: Store, user: Principal) -> dict[str, str]:
    with store.unit_of_work() as tx:
        return {"Authorization": f"Bearer {create_token(tx, user.user_id, name='t', scopes=['read'], actor='cli:t')}"}


@pytest.fixture
def aino(desk: Store, world: World) -> dict[str, str]:
    return bearer(desk, person(desk, "partner-user", "Aino", organisation_id=world.partner_id))


@pytest.fixture
def liga(desk: Store, world: World) -> dict[str, str]:
    return bearer(desk, person(desk, "partner-user", "Liga", organisation_id=world.other_id))


def file_of(client, public_id, who, form="stix"):
    return client.get(f"/api/v1/released/{public_id}/file?as={form}", headers=who)


def faults_of(bundle):
    results = validate_parsed_json(bundle, ValidationOptions(version="2.1", silent=True))
    return [str(error) for error in results.errors]


def test_a_released_alert_is_a_valid_bundle_with_the_labels_own_id(desk, client, aino):
    [alert] = told(desk, PARTNER)
    answer = file_of(client, alert, aino)
    assert (answer.status_code, answer.content_type) == (200, "application/stix+json;version=2.1")
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="TLP-AMBER_REF-')
    bundle = answer.get_json(force=True)
    assert faults_of(bundle) == []
    by_type = {one["type"]: one for one in bundle["objects"]}
    assert by_type["incident"]["object_marking_refs"][0] == "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"
    assert by_type["incident"]["description"] == "We saw a loader."
    assert by_type["report"]["object_refs"][0] == by_type["incident"]["id"]


def test_what_is_taken_comes_in_again_under_the_same_label(desk, client, aino):
    [alert] = told(desk, PARTNER)
    report = stix.read(file_of(client, alert, aino).data, clock.now()).report
    assert (report["title"], report["tlp"]) == ("Ransomware", "AMBER")


def test_it_is_on_record_with_a_permit_and_in_the_ledger(desk, client, aino):
    [alert] = told(desk, PARTNER)
    assert file_of(client, alert, aino).status_code == 200
    assert file_of(client, alert, aino, "json").status_code == 200
    officer = person(desk, "coordinator")
    with desk.read() as tx:
        taken = list(tx.execute(select(Handout).order_by(Handout.id)).scalars())
        assert [(one.way, one.format) for one in taken] == [("api", "stix"), ("api", "json")]
        permit = tx.get_one(ShareDecision, taken[0].decision_id)
        assert (permit.result, permit.recipient, permit.channel_kind) == ("permit", PARTNER, "portal")
        assert taken[1].decision_id == permit.id  # in force still: no second one is made
        assert len(list(tx.execute(select(Entry).where(Entry.kind == "alert.taken")).scalars())) == 2
        [line] = ledger.lines(tx, principal=officer, asked=Asked(partner=PARTNER))["items"]
        assert line["taken_as"] == ["api json", "api stix"]


def test_another_partners_alert_is_not_there(desk, client, aino, liga):
    [alert] = told(desk, PARTNER)
    none = file_of(client, "alr-none", liga)
    others = file_of(client, alert, liga)
    assert (others.status_code, others.data) == (none.status_code, none.data) == (404, none.data)


def test_what_may_no_longer_be_given_is_not_given(desk, client, aino):
    [alert] = told(desk, PARTNER)
    assert file_of(client, alert, aino).status_code == 200
    with desk.unit_of_work() as tx:
        agreement(tx, expires_on=clock.now())
    answer = file_of(client, alert, aino)
    assert answer.status_code == 410 and b"Ransomware" not in answer.data


def test_a_withdrawn_one_is_not_given(desk, client, aino):
    [alert] = told(desk, PARTNER)
    officer = person(desk, "coordinator")
    with desk.unit_of_work() as tx:
        number = tx.execute(select(Alert.id).where(Alert.public_id == alert)).scalar_one()
        alerts.withdraw(tx, number, principal=officer, reason="Wrong partner")
    assert file_of(client, alert, aino).status_code == 410


def test_two_partners_of_one_case_hold_nothing_in_common_but_what_everybody_has(desk, client, aino, liga):
    first, second = told(desk, PARTNER, OTHER, tlp="GREEN")
    held = [file_of(client, alert, who).get_json(force=True) for alert, who in ((first, aino), (second, liga))]
    ids = [{one["id"] for one in bundle["objects"]} for bundle in held]
    shared = {one.partition("--")[0] for one in ids[0] & ids[1]}
    assert shared <= {"marking-definition", "identity", "location"}
    assert OTHER not in json.dumps(held[0]) and PARTNER not in json.dumps(held[1])


def test_a_further_alert_is_a_newer_version_of_the_same_incident(desk, client, aino):
    [first] = told(desk, PARTNER, tlp="GREEN")
    with desk.read() as tx:
        incident_id = tx.execute(select(Alert.incident_id)).scalar_one()
    [second] = told(desk, PARTNER, incident_id=incident_id, kind="update", title="Now two")
    bundles = [file_of(client, alert, aino).get_json(force=True) for alert in (first, second)]
    one, two = (next(each for each in held["objects"] if each["type"] == "incident") for held in bundles)
    assert (one["id"], one["created"]) == (two["id"], two["created"])
    assert one["modified"] < two["modified"] and two["name"] == "Now two"


def test_an_unknown_form_is_refused_by_name(desk, client, aino):
    assert file_of(client, "alr-none", aino, "docx").status_code == 422


def test_as_misp_it_bears_the_label_as_a_tag_and_comes_in_again_with_it(desk, client, aino):
    [alert] = told(desk, PARTNER)
    answer = file_of(client, alert, aino, "misp")
    event = answer.get_json(force=True)["Event"]
    assert [tag["name"] for tag in event["Tag"]] == ["tlp:amber"]
    assert (event["distribution"], event["SharingGroup"]["name"]) == ("4", "Recipient")
    received = misp.read(answer.data, clock.now()).report
    assert (received["title"], received["tlp"], received.get("caveats")) == ("Ransomware", "AMBER", None)


def test_as_a_pdf_its_words_are_there_and_nothing_of_this_machine(desk, client, aino):
    [alert] = told(desk, PARTNER)
    answer = file_of(client, alert, aino, "pdf")
    assert (answer.content_type, answer.data[:5]) == ("application/pdf", b"%PDF-")
    assert str(desk.settings.data_dir).encode() not in answer.data
    said = words_of(answer.data)
    assert "TLP:AMBER" in said and "Ransomware" in said and "REF-" in said
    assert file_of(client, alert, aino, "pdf").data == answer.data


@pytest.mark.parametrize("form", exits.FORMS)
def test_in_every_form_the_answer_to_who_may_have_it_is_the_same(desk, client, aino, liga, form):
    [alert] = told(desk, PARTNER)
    assert [file_of(client, alert, who, form).status_code for who in (aino, liga)] == [200, 404]
    with desk.unit_of_work() as tx:
        agreement(tx, expires_on=clock.now())
    assert [file_of(client, alert, who, form).status_code for who in (aino, liga)] == [410, 404]


UNKNOWN = "extension-definition--11111111-1111-4111-8111-111111111111"
TIMES = {"created": "2026-11-21T22:00:00.000Z", "modified": "2026-11-21T23:00:00.000Z"}
CAME = [
    {"type": "incident", "spec_version": "2.1", "id": "incident--00000000-0000-4000-8000-000000000001", **TIMES,
     "name": "Wiper", "object_marking_refs": [Tlp.GREEN.stix_id],
     "extensions": {UNKNOWN: {"extension_type": "property-extension", "mood": "grim"}}},
    {"type": "x-odd-thing", "spec_version": "2.1", "id": "x-odd-thing--00000000-0000-4000-8000-000000000002", **TIMES,
     "whatever": [1, {"deep": "ä"}], "object_marking_refs": [Tlp.CLEAR.stix_id],
     "extensions": {UNKNOWN: {"extension_type": "new-sdo"}}},
    {"type": "indicator", "spec_version": "2.1", "id": "indicator--00000000-0000-4000-8000-000000000003", **TIMES,
     "pattern": "[ipv4-addr:value = '192.0.2.7']", "pattern_type": "stix", "valid_from": TIMES["created"],
     "object_marking_refs": [Tlp.GREEN.stix_id],
     "granular_markings": [{"marking_ref": Tlp.CLEAR.stix_id, "selectors": ["pattern"]}]},
]  # fmt: skip


@pytest.fixture
def released_bundle(desk, partner):
    """A bundle of FI-CSIRT comes in; what we release with it enclosed. The public id of the alert."""
    bundle = {"type": "bundle", "id": "bundle--00000000-0000-4000-8000-000000000009", "objects": CAME}
    assert partner.post(bundle, content_type="application/stix+json;version=2.1").status_code == 202
    officer = person(desk, "coordinator")

    def release(**more):
        with desk.unit_of_work() as tx:
            details = tx.execute(select(ItemVersion).where(ItemVersion.kind == "details")).scalar_one()
            incident = tx.get_one(Incident, details.incident_id)
            row = drafts.draft(
                tx, incident=incident, principal=officer, kind="initial", title="Your wiper", body="Seen here too.",
                purpose="network-defence", info_category="incident-notification", items=[details.id],
                enclosed=[details.id], **more,
            )  # fmt: skip
            found = drafts.submit(tx, row.id, codes=[PARTNER], principal=officer)
            alert = found.permitted[0].public_id
        for delivery_id in due(desk, "delivery.due"):
            worker.deliver(desk, delivery_id)
        return alert

    return release


def test_what_we_know_nothing_of_goes_out_again_as_it_came(desk, client, aino, released_bundle):
    bundle = file_of(client, released_bundle(), aino).get_json(force=True)
    held = {one["id"]: one for one in bundle["objects"]}
    assert [held[one["id"]] for one in CAME] == CAME
    assert faults_of(bundle) == []
    [report] = [one for one in bundle["objects"] if one["type"] == "report"]
    assert {one["id"] for one in CAME} <= set(report["object_refs"])


def test_objects_do_not_go_out_bound_more_loosely_than_the_release_or_where_their_source_is_withheld(
    desk, client, aino, released_bundle
):
    bound = (Marking(tlp="AMBER"), Marking(tlp="GREEN", pap="AMBER"), Marking(tlp="GREEN", no_attribution=True))
    for marking in bound:
        bundle = file_of(client, released_bundle(marking=marking), aino).get_json(force=True)
        assert not {one["id"] for one in CAME} & {one["id"] for one in bundle["objects"]}
        assert [one["pattern"] for one in bundle["objects"] if one["type"] == "indicator"] == [CAME[2]["pattern"]]
        if marking.no_attribution:
            assert "identity" not in json.dumps([one for one in bundle["objects"] if one["type"] != "identity"])


def test_only_an_item_of_the_incident_can_be_enclosed(desk, released_bundle):
    officer = person(desk, "duty-officer")
    with pytest.raises(NotFound), desk.unit_of_work() as tx:
        incident = tx.execute(select(Incident)).scalar_one()
        drafts.draft(
            tx, incident=incident, principal=officer, kind="initial", title="T", body="B", purpose="network-defence",
            info_category="incident-notification", enclosed=[999_999],
        )  # fmt: skip

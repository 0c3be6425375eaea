"""CloudEvents 1.0: native reports and alerts of other coordinators in, our own alerts out."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator import interchange
from coordinator.errors import Invalid, NotParseable, SecrecyMarkingFound
from coordinator.incidents import envelope as intake
from coordinator.interchange.cloudevents import FOLLOW_UPS, MEDIA_TYPE, Kind, envelope, load_event, read, write
from coordinator.outside.strict_json import parse_json

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
REPORT = {"title": "Mail servers", "tlp": "GREEN", "noticed_at": "2026-11-22T01:10:00Z"}
NATIVE = {"specversion": "1.0", "id": "1", "source": "/soc", "type": "example.incident.found", "data": REPORT}
ALERT_DATA = {
    "alert": "al_1", "reference": "REF-77", "kind": "initial", "in_reply_to": None, "title": "Mail servers",
    "body": "First.\nLast.", "tlp": "AMBER", "pap": "GREEN", "purpose": "incident-response",
    "handling": ["O-TLP-AMBER", "O-ENCRYPT"], "originator": "AA-MFA", "noticed_at": NOW, "states_affected": ["FI"],
    "reply_by": NOW, "acknowledge_url": "https://aa.example/a/t", "acknowledge_api": "https://aa.example/api/t",
    "exercise": "", "language": "en", "checkpoint": "ab" * 32,
}  # fmt: skip


def alert(kind="initial", **data):
    event = envelope(f"coordination.alert.{kind}", "https://aa.example", id="msg_1", time=NOW,
                     data=ALERT_DATA | {"kind": kind} | data)  # fmt: skip
    return parse_json(write(event))


def faults_of(document):
    with pytest.raises(Invalid) as refused:
        load_event(document)
    return sorted(fault.pointer for fault in refused.value.errors)


def test_an_alert_brings_the_exchange_policy_of_its_text():
    policy = {"encrypt_in_transit": "must", "tlp": "red", "end_date": "2027-01-01T00:00:00Z"}
    report = load_event(alert(iep=policy)).report
    assert (report["tlp"], report["iep"]["encrypt_in_transit"]) == ("RED", "must")
    assert faults_of(alert(iep=policy | {"tlp": "strict"})) == ["/data/iep/tlp"]


# ---------------------------------------------------------------- native reports


def test_a_native_report_in_an_envelope_is_read_as_that_report():
    event = load_event(NATIVE | {"time": "2026-11-22T02:00:00Z", "subject": "x", "traceparent": "00-ab", "count": 3})
    assert (event.kind, event.id, event.source) == (Kind.REPORT, "1", "/soc")
    assert event.report["title"] == "Mail servers" and event.facts == {}
    assert event.time == datetime(2026, 11, 22, 2, tzinfo=UTC)


@pytest.mark.parametrize("name", ["id", "source", "specversion", "type"])
def test_the_four_required_attributes_are_required(name):
    assert faults_of({key: value for key, value in NATIVE.items() if key != name}) == [f"/{name}"]
    assert faults_of(NATIVE | {name: ""}) == [f"/{name}"]
    assert faults_of(NATIVE | {name: 1}) == [f"/{name}"]


@pytest.mark.parametrize(
    "change, pointers",
    [
        ({"specversion": "0.3"}, ["/specversion"]),
        ({"time": "2026-11-22"}, ["/time"]),
        ({"datacontenttype": "text/plain"}, ["/datacontenttype"]),
        ({"data": "text"}, ["/data"]),
        ({"data": None}, ["/data"]),
        ({"data_base64": "eyJ9"}, ["/data_base64"]),
        ({"extension": {"a": 1}}, ["/extension"]),
        ({"extension": 1.5}, ["/extension"]),
        ({f"x{number}": 1 for number in range(51)}, [""]),
        ({"dataclassification": "internal"}, ["/dataclassification"]),
        ({"dataclassification": 3}, ["/dataclassification"]),
        ({"type": "coordination.alert.rumour"}, ["/data", "/type"]),
        ({"data": REPORT | {"tlp": "PURPLE", "colour": 1}, "id": None}, ["/data/colour", "/data/tlp", "/id"]),
    ],
)
def test_what_is_wrong_with_an_event_is_told_at_its_place(change, pointers):
    document = NATIVE | change
    if change.get("type"):
        document["data"] = 7
    assert faults_of(document) == pointers


@pytest.mark.parametrize("document", [None, [], [NATIVE], "event"])
def test_what_is_no_object_is_no_event(document):
    assert faults_of(document) == [""]


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "application/vnd.x+json"]
)
def test_json_data_may_say_so(content_type):
    load_event(NATIVE | {"datacontenttype": content_type})


@pytest.mark.parametrize(
    "document",
    [
        NATIVE | {"dataclassification": "SECRET"},
        NATIVE | {"dataclassification": "nato secret", "data": 7},
        NATIVE | {"data": REPORT | {"title": "NATO SECRET: canary"}, "id": None},
        alert(body="NATO SECRET\ncanary"),
        alert("receipt", body="plain\ncanary NATO SECRET"),
    ],
)
def test_classified_material_is_refused_without_echo(document):
    with pytest.raises(SecrecyMarkingFound) as refused:
        load_event(document)
    assert "canary" not in str(refused.value.errors)
    assert refused.value.errors[0].pointer in ("/dataclassification", "/data/title", "/data/body")


# ---------------------------------------------------------------- alerts of another coordinator


@pytest.mark.parametrize("kind", ["initial", *sorted(FOLLOW_UPS)])
def test_an_alert_of_another_coordinator_is_read_as_a_report(kind):
    event = load_event(alert(kind))
    assert event.kind == kind
    assert event.report == {
        "title": "Mail servers", "description": "First.\nLast.", "tlp": "AMBER", "pap": "GREEN", "noticed_at": NOW,
        "states_affected": ["FI"], "external_id": "REF-77", "originator": "AA-MFA", "reply_by": NOW, "language": "en",
        "flags": [],
    }  # fmt: skip
    assert event.facts == {
        "alert": "al_1", "kind": kind, "purpose": "incident-response", "handling": ["O-TLP-AMBER", "O-ENCRYPT"],
        "acknowledge_url": "https://aa.example/a/t", "acknowledge_api": "https://aa.example/api/t",
        "checkpoint": "ab" * 32,
    }  # fmt: skip


def test_the_exercise_and_a_withheld_source_come_along():
    event = load_event(alert(exercise="blue-dawn", originator=None, handling=["O-NO-ATTRIBUTION"]))
    assert event.report["exercise"] == "blue-dawn"
    assert event.report["caveats"] == {"no_attribution": True} and "originator" not in event.report


def test_an_alert_that_does_not_say_when_it_was_noticed_takes_the_envelopes_time_and_says_so():
    event = load_event(alert(noticed_at=None))
    assert event.report["noticed_at"] == NOW and event.report["flags"] == ["noticed_at-taken-from-envelope"]
    untimed = {key: value for key, value in alert(noticed_at=None).items() if key != "time"}
    assert faults_of(untimed) == ["/data"]


@pytest.mark.parametrize(
    "change, pointers",
    [
        ({"body": "x" * 10_001, "reference": "y" * 201}, ["/data/body", "/data/reference"]),
        ({"title": None, "tlp": "PURPLE"}, ["/data/title", "/data/tlp"]),
        ({"kind": "update"}, ["/data/kind"]),
        ({"colour": "red"}, ["/data/colour"]),
        ({"description": "two bodies"}, ["/data/description"]),
        ({"handling": "O-TLP-AMBER"}, ["/data/handling"]),
        ({"states_affected": ["XX"]}, ["/data/states_affected/0"]),
        ({"originator": "OWN"}, ["/data/originator"]),
    ],
)
def test_faults_of_an_alert_point_into_what_was_sent(change, pointers):
    document = alert()
    document["data"] |= change
    assert faults_of(document) == pointers


def test_a_receipt_or_a_check_needs_no_report():
    receipt = load_event(alert("receipt", title=None, tlp=None, noticed_at=None))
    assert receipt.kind is Kind.RECEIPT and receipt.report["external_id"] == "REF-77"
    check = {key: value for key, value in NATIVE.items() if key != "data"} | {"type": "coordination.check.ping"}
    for document in (check, check | {"data": {"kind": "check"}}):
        ping = load_event(document)
        assert ping.kind is Kind.PING and ping.report == {"flags": []}


@given(st.dictionaries(st.sampled_from([*NATIVE, *ALERT_DATA, "dataclassification"]),
                       st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just({"a": [1]})),
       st.sampled_from(["initial", "receipt", "recall"]))  # fmt: skip
def test_any_event_is_taken_or_refused_with_pointers(change, kind):
    for document in (NATIVE | change, alert(kind) | {"data": alert(kind)["data"] | change}):
        try:
            load_event(document)
        except Invalid as refused:
            assert all(fault.pointer == "" or fault.pointer.startswith("/") for fault in refused.errors)


# ---------------------------------------------------------------- out, and into intake


def test_our_envelope_has_the_attributes_of_the_standard():
    time = datetime(2026, 11, 22, 14, tzinfo=timezone(timedelta(hours=2)))
    event = envelope("coordination.alert.update", "https://aa.example", id="msg_2", time=time,
                     data={"title": "Grüße", "pap": None, "noticed_at": time, "states_affected": []})  # fmt: skip
    assert json.loads(write(event)) == {
        "specversion": "1.0", "id": "msg_2", "source": "https://aa.example", "type": "coordination.alert.update",
        "time": "2026-11-22T12:00:00Z", "datacontenttype": "application/json",
        "data": {"title": "Grüße", "noticed_at": "2026-11-22T12:00:00Z", "states_affected": []},
    }  # fmt: skip
    assert "Grüße".encode() in write(event)


def test_a_time_without_offset_never_goes_out():
    with pytest.raises(ValueError):
        envelope("t", "s", id="1", time=datetime(2026, 11, 22), data={})


def test_intake_reads_events_through_this_module(monkeypatch):
    monkeypatch.setattr(intake, "READERS", dict(intake.READERS))
    interchange.install()
    received = intake.read_body(write(alert()), MEDIA_TYPE, now=NOW)
    assert (received.format, received.kind, received.source) == ("alert", "initial", "https://aa.example")
    assert received.report["external_id"] == "REF-77" and received.alert["alert"] == "al_1"
    assert intake.read_body(write(NATIVE), MEDIA_TYPE, now=NOW).kind == ""
    assert intake.READERS[MEDIA_TYPE] is read
    with pytest.raises(NotParseable):
        read(b"{", NOW)

"""The form's fields become a native report and pass the same shape."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from coordinator.errors import Invalid, SecrecyMarkingFound
from coordinator.incidents.form import form_field, from_form, load_form
from coordinator.incidents.schema import load_report

LEAST = {"title": "Mail servers", "tlp": "GREEN", "noticed_at_date": "2026-11-22", "noticed_at_time": "03:10"}


def form(**fields):
    return MultiDict([(name, one) for name, value in (LEAST | fields).items()
                      for one in (value if isinstance(value, list) else [value])])  # fmt: skip


def faulty_fields(**fields):
    with pytest.raises(Invalid) as refused:
        load_form(form(**fields))
    return {form_field(fault.pointer) for fault in refused.value.errors}


def test_the_form_gives_the_same_report_as_the_native_document():
    typed = form(
        description="One.\r\nTwo.", severity="3", sectors=["health", "energy"], states_affected="fi, ee LV",
        suspected_malicious="yes", cross_border="", humanitarian_flags=["elections"], zone="Europe/Tallinn",
        occurred_at_date="2026-11-21", originator="fi-csirt", asks="Call us.", reply_by_date="2026-11-23",
        reply_by_time="10:00", language="et", caveats_rel_to="FI-CSIRT", caveats_orcon="on",
        caveats_named_recipients="A. Person\r\n\r\nB. Person", caveats_embargo_until_date="2026-12-01",
        caveats_embargo_until_time="08:00", caveats_embargo_until_zone="UTC", contact_name="Desk", contact_email="",
        observables="ipv4-addr 192.0.2.1\r\nurl https://x.example/a b", csrf_token="x", submit="Send",
    )  # fmt: skip
    assert load_form(typed) == load_report({
        "title": "Mail servers", "tlp": "GREEN", "description": "One.\nTwo.", "severity": 3,
        "noticed_at": "2026-11-22T03:10:00+02:00", "noticed_at_fidelity": "minute",
        "occurred_at": "2026-11-21T00:00:00+02:00", "occurred_at_fidelity": "day",
        "sectors": ["health", "energy"], "states_affected": ["FI", "EE", "LV"], "suspected_malicious": "yes",
        "humanitarian_flags": ["elections"], "originator": "FI-CSIRT", "asks": "Call us.",
        "reply_by": "2026-11-23T10:00:00+02:00", "language": "et", "contact": {"name": "Desk"},
        "caveats": {"rel_to": ["FI-CSIRT"], "orcon": True, "embargo_until": "2026-12-01T08:00:00Z",
                    "named_recipients": ["A. Person", "B. Person"]},
        "observables": [{"type": "ipv4-addr", "value": "192.0.2.1"},
                        {"type": "url", "value": "https://x.example/a b"}],
    })  # fmt: skip


def test_files_are_announced_by_the_door_that_took_them():
    file = {"name": "a.txt", "media_type": "text/plain", "sha256": "ab" * 32, "size": 3}
    assert load_form(form(), attachments=[file])["attachments"] == [file]


@pytest.mark.parametrize(
    "date, time, fidelity",
    [("2026", "", "year"), ("2026-11", "", "month"), ("2026-11-22", "", "day"), ("2026-11-22", "03:10", "minute"),
     ("2026-11-22", "03:10:05", "second")],
)  # fmt: skip
def test_how_exactly_a_time_was_typed_is_its_fidelity(date, time, fidelity):
    assert from_form(form(noticed_at_date=date, noticed_at_time=time))["noticed_at_fidelity"] == fidelity


def test_a_chosen_fidelity_wins_over_the_typed_one():
    assert from_form(form(noticed_at_fidelity="hour"))["noticed_at_fidelity"] == "hour"


def test_an_hour_that_came_twice_is_read_as_the_first():
    report = from_form(form(noticed_at_date="2026-10-25", noticed_at_time="03:30", zone="Europe/Tallinn"))
    assert report["noticed_at"] == "2026-10-25T00:30:00+00:00"


@pytest.mark.parametrize(
    "fields",
    [
        {"noticed_at_date": "22.11.2026"},
        {"noticed_at_date": "2026-02-30"},
        {"noticed_at_date": "2026-11", "noticed_at_time": "03:10"},
        {"noticed_at_time": "25:00"},
        {"noticed_at_time": "noon"},
        {"noticed_at_date": "", "noticed_at_time": "03:10"},
        {"noticed_at_date": "2026-03-29", "noticed_at_time": "03:30", "zone": "Europe/Tallinn"},
        {"zone": "../../etc/passwd"},
        {"zone": "Europe"},
        {"noticed_at_date": "0001-01-01", "zone": "Asia/Tokyo"},
        {"noticed_at_date": ""} | {"noticed_at_time": ""},
    ],
)
def test_a_date_that_cannot_be_read_is_told_at_its_field(fields):
    assert faulty_fields(**fields) == {"noticed_at_date"}


def test_a_deadline_or_embargo_needs_its_time_of_day():
    fields = {"reply_by_date": "2026-11-23", "caveats_embargo_until_date": "2026-11-23"}
    assert faulty_fields(**fields) == {"reply_by_date", "caveats_embargo_until_date"}


def test_everything_wrong_on_the_page_is_told_at_once_at_its_field():
    assert faulty_fields(
        title="", tlp="", severity="high", noticed_at_date="yesterday", contact_email="no", caveats_rel_to="OWN",
        observables="lonely", states_affected="XX", originator="!", sectors=["x"], exercise="a b",
    ) == {"title", "tlp", "severity", "noticed_at_date", "contact_email", "caveats_rel_to", "observables",
          "states_affected", "originator", "sectors", "exercise"}  # fmt: skip


def test_nobody_and_no_list_can_both_be_said():
    assert from_form(form(caveats_rel_to_nobody="on"))["caveats"] == {"rel_to": []}
    assert "caveats" not in from_form(form(caveats_rel_to=""))


def test_a_secrecy_marking_in_the_form_is_refused():
    with pytest.raises(SecrecyMarkingFound):
        load_form(form(title="NATO SECRET"))


@given(st.dictionaries(st.sampled_from([*LEAST, "zone", "severity", "observables", "reply_by_date", "reply_by_time",
                                        "occurred_at_date", "noticed_at_zone", "states_affected", "caveats_orcon"]),
                       st.text(max_size=20)))  # fmt: skip
def test_whatever_is_typed_is_a_report_or_faults_at_known_fields(fields):
    try:
        load_form(form(**fields))
    except Invalid as refused:
        assert all(form_field(fault.pointer) for fault in refused.errors)

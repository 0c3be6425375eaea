"""The native report: what is taken, how it is normalised, and that every fault is told with its pointer."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import Invalid, SecrecyMarkingFound
from coordinator.incidents.items import marking_of_report
from coordinator.incidents.schema import ATTACHMENT_BYTES, load_report, sanitise_name
from coordinator.markings import Iep

SHA = "ab" * 32
NOTICED = "2026-11-22T03:10:00+02:00"
LEAST = {"title": "Mail servers of a ministry", "tlp": "GREEN", "noticed_at": NOTICED}
FULL = LEAST | {
    "description": "First line.\nLast line.",
    "external_id": "FI-2026-0042",
    "occurred_at": "2026-11-21T00:00:00Z",
    "occurred_at_fidelity": "day",
    "detected_at": "2026-11-22T00:00:00Z",
    "aware_at": "2026-11-22T02:00:00Z",
    "classification": "intrusions/system-compromise",
    "severity": 3,
    "sectors": ["public-administration"],
    "states_affected": ["fi", "EE", "FI"],
    "suspected_malicious": "yes",
    "cross_border": "unknown",
    "humanitarian_flags": ["elections"],
    "pap": "AMBER",
    "caveats": {"rel_to": [], "not_rel_to": ["LV-MFA"], "orcon": True, "no_attribution": False,
                "embargo_until": "2026-12-01T00:00:00Z", "named_recipients": ["A. Person"]},
    "originator": "FI-CSIRT",
    "observables": [{"type": "ipv4-addr", "value": "192.0.2.1"}],
    "attachments": [{"name": "log.txt", "media_type": "text/plain", "sha256": SHA, "size": 12}],
    "asks": "Please confirm.",
    "reply_by": "2026-11-23T00:00:00Z",
    "language": "en",
    "contact": {"name": "Desk", "email": "desk@fi.example", "phone": "+358 0 000 000"},
    "exercise": "blue-dawn",
}  # fmt: skip


def faults_of(report, **options):
    with pytest.raises(Invalid) as refused:
        load_report(report, **options)
    return {fault.pointer: fault.detail for fault in refused.value.errors}


def test_the_least_report_is_taken_with_absent_fields_absent():
    assert load_report(LEAST) == {
        "title": LEAST["title"], "tlp": "GREEN", "noticed_at": datetime(2026, 11, 22, 1, 10, tzinfo=UTC), "flags": [],
    }  # fmt: skip


POLICY = {
    "id": "0224BFDF-ea3a-49c3-96f6-66d908bb1845", "name": "Ours", "description": "For partners.", "iep_version": "2.0",
    "start_date": "2026-01-01T00:00:00Z", "end_date": None, "encrypt_in_transit": "must",
    "permitted_actions": "contact-for-instruction", "affected_party_notifications": "must-not", "tlp": "amber",
    "attribution": "must-not", "unmodified_resale": "must-not", "external_reference": "https://csirt.example/iep",
}  # fmt: skip


def test_an_exchange_policy_is_taken_with_every_statement_and_the_stricter_label_counts():
    report = load_report(LEAST | {"iep": POLICY})
    assert (report["tlp"], report["flags"]) == ("AMBER", ["label-of-policy"])
    kept = {name: value for name, value in POLICY.items() if name not in ("name", "description", "iep_version")}
    assert marking_of_report(report).iep == Iep.from_json(kept | {"id": POLICY["id"].lower()})
    assert load_report(LEAST | {"tlp": "RED", "iep": POLICY})["tlp"] == "RED"
    one_statement = load_report(LEAST | {"iep": {"encrypt_in_transit": "must", "iep_version": 2.0}})
    assert marking_of_report(one_statement).iep == Iep(encrypt_in_transit="must")


@pytest.mark.parametrize(("policy", "pointer"), [
    ({"tlp": "strict"}, "/iep/tlp"), ({"tlp": 4}, "/iep/tlp"), ({}, "/iep"), ([], "/iep"),
    ({"id": POLICY["id"]}, "/iep"), ({"encrypt_in_transit": True}, "/iep/encrypt_in_transit"),
    ({"permitted_actions": "all"}, "/iep/permitted_actions"), ({"attribution": "perhaps"}, "/iep/attribution"),
    ({"affected_party_notifications": "must"}, "/iep/affected_party_notifications"),
    ({"unmodified_resale": "must"}, "/iep/unmodified_resale"), ({"start_date": "2026-01-01"}, "/iep/start_date"),
    ({"end_date": "never"}, "/iep/end_date"), ({"external_reference": "our terms"}, "/iep/external_reference"),
    ({"external_reference": "javascript:" + "a" * 3000}, "/iep/external_reference"), ({"id": "7"}, "/iep/id"),
    ({"iep_version": 1.0}, "/iep/iep_version"), ({"encrypt_at_rest": "must"}, "/iep/encrypt_at_rest"),
    ({"provider_attribution": "must"}, "/iep/provider_attribution"),
])  # fmt: skip
def test_what_is_wrong_with_a_policy_is_told_at_its_statement(policy, pointer):
    if isinstance(policy, dict) and policy and "id" not in policy:
        policy = {"tlp": "green"} | policy
    assert list(faults_of(LEAST | {"iep": policy})) == [pointer]


def test_every_field_of_the_contract_is_taken_and_normalised():
    report = load_report(FULL)
    assert set(report) == {*FULL, "flags"}
    assert report["states_affected"] == ["FI", "EE"]
    assert report["caveats"]["rel_to"] == [], "an empty list means nobody; it is not the same as no list"
    assert report["caveats"]["embargo_until"] == datetime(2026, 12, 1, tzinfo=UTC)
    assert report["attachments"] == FULL["attachments"]
    assert {name: report[name].tzinfo for name in report if name.endswith("_at")} == dict.fromkeys(
        ("occurred_at", "detected_at", "noticed_at", "aware_at"), UTC
    )


@pytest.mark.parametrize("name", ["title", "tlp"])
def test_title_and_label_are_required_and_the_label_has_no_default(name):
    assert set(faults_of({key: value for key, value in LEAST.items() if key != name})) == {f"/{name}"}


@pytest.mark.parametrize("name", ["occurred_at", "detected_at", "noticed_at"])
def test_any_one_of_three_instants_is_enough(name):
    assert name in load_report({"title": "x", "tlp": "RED", name: NOTICED})


def test_knowing_when_we_became_aware_is_not_enough():
    assert list(faults_of({"title": "x", "tlp": "RED", "aware_at": NOTICED})) == [""]


def test_every_fault_is_told_at_once():
    found = faults_of({
        "title": "x" * 121, "tlp": "PURPLE", "noticed_at": "2026-11-22T03:10:00", "severity": True, "sectors": "health",
        "states_affected": ["FI", "XX"], "observables": [{"type": "a"}], "classification": "phishing", "colour": 1,
        "caveats": {"orcon": "yes", "eyes_only": True}, "occurred_at_fidelity": "day", "contact": [], "language": "??",
        "attachments": [{"name": "a", "media_type": "text/plain", "sha256": SHA, "size": ATTACHMENT_BYTES + 1}],
    })  # fmt: skip
    assert set(found) == {
        "/title", "/tlp", "/noticed_at", "/severity", "/sectors", "/states_affected/1", "/observables/0/value",
        "/classification", "/colour", "/caveats/orcon", "/caveats/eyes_only", "/occurred_at_fidelity", "/contact",
        "/language", "/attachments/0/size",
    }  # fmt: skip


@pytest.mark.parametrize(
    "change, pointer",
    [
        ({"title": "two\nlines"}, "/title"),
        ({"title": "\x00"}, "/title"),
        ({"description": "x" * 10_001}, "/description"),
        ({"description": "a\x00b"}, "/description"),
        ({"description": "half \ud83d"}, "/description"),
        ({"severity": 3.0}, "/severity"),
        ({"severity": "3"}, "/severity"),
        ({"severity": 6}, "/severity"),
        ({"suspected_malicious": True}, "/suspected_malicious"),
        ({"exercise": True}, "/exercise"),
        ({"exercise": "a b"}, "/exercise"),
        ({"originator": "OWN"}, "/originator"),
        ({"caveats": {"rel_to": ["own"]}}, "/caveats/rel_to/0"),
        ({"noticed_at": 1795000000}, "/noticed_at"),
        ({"noticed_at_fidelity": "decade"}, "/noticed_at_fidelity"),
        ({"aware_at_fidelity": "hour"}, "/aware_at_fidelity"),
        ({"observables": [{"type": "url", "value": "x"}] * 1001}, "/observables"),
        ({"observables": [{"type": "url", "value": "x", "to_ids": 1}]}, "/observables/0/to_ids"),
        ({"sectors": ["mining"]}, "/sectors/0"),
        ({"humanitarian_flags": ["sad"]}, "/humanitarian_flags/0"),
        ({"attachments": [dict(FULL["attachments"][0], sha256="ab")]}, "/attachments/0/sha256"),
        ({"attachments": [dict(FULL["attachments"][0], size=-1)]}, "/attachments/0/size"),
        ({"attachments": FULL["attachments"] * 2}, "/attachments/1/sha256"),
        ({"contact": {"email": "no address"}}, "/contact/email"),
        ({"reply_by": "tomorrow"}, "/reply_by"),
        ({"flags": []}, "/flags"),
    ],
)
def test_what_breaks_a_rule_is_refused_at_its_pointer(change, pointer):
    assert list(faults_of(LEAST | change)) == [pointer]


@pytest.mark.parametrize("report", [None, [], "report", 7, [LEAST]])
def test_what_is_no_object_is_no_report(report):
    assert list(faults_of(report)) == [""]


@pytest.mark.parametrize("label, canonical", [("WHITE", "CLEAR"), ("TLP:AMBER+STRICT", "AMBER+STRICT"), ("red", "RED")])
def test_the_label_is_read_in_its_usual_writings(label, canonical):
    assert load_report(LEAST | {"tlp": label})["tlp"] == canonical


@pytest.mark.parametrize("name", sorted(set(FULL) - {"title", "tlp", "noticed_at"}))
def test_null_in_an_optional_field_means_absent(name):
    fidelity = {f"{name}_fidelity": None} if f"{name}_fidelity" in FULL else {}
    assert name not in load_report(FULL | {name: None} | fidelity)


# ---------------------------------------------------------------- instants


def test_contradictory_instants_are_taken_and_flagged():
    report = load_report(LEAST | {"occurred_at": "2026-11-23T00:00:00Z"})
    assert report["flags"] == ["occurred_at-after-noticed_at"]


def test_a_rough_instant_contradicts_only_beyond_its_roughness():
    rough = {"occurred_at": "2026-11-22T12:00:00Z", "occurred_at_fidelity": "day"}
    assert load_report(LEAST | rough)["flags"] == []
    assert load_report(LEAST | rough | {"occurred_at_fidelity": "hour"})["flags"] == ["occurred_at-after-noticed_at"]


def test_an_instant_in_the_future_is_flagged_where_the_present_is_known():
    now = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
    assert load_report(LEAST, now=now)["flags"] == ["noticed_at-in-the-future"]
    assert load_report(LEAST, now=now.replace(hour=2))["flags"] == []


# ---------------------------------------------------------------- secrecy, echoes

MARKED = ["NATO SECRET: plan canary", "canary (COSMIC TOP SECRET)", "canary TRES SECRET UE/EU TOP SECRET"]


@pytest.mark.parametrize("text", MARKED)
@pytest.mark.parametrize("place", ["{}", "{}\nplain end", "plain start\n{}", "plain start\n{}\n\n"])
def test_a_secrecy_marking_in_title_or_outer_lines_is_refused_before_any_fault_is_told(text, place):
    with pytest.raises(SecrecyMarkingFound) as refused:
        load_report({"description": place.format(text), "tlp": "PURPLE"})
    assert "canary" not in str([refused.value.errors, refused.value.detail])
    with pytest.raises(SecrecyMarkingFound):
        load_report(LEAST | {"title": text})
    with pytest.raises(SecrecyMarkingFound):
        load_report(LEAST | {"asks": text})


def test_a_secrecy_marking_at_either_end_of_far_too_long_a_text_is_found():
    for text in ("NATO SECRET\n" + "x" * 500_000, "x" * 500_000 + "\nNATO SECRET"):
        with pytest.raises(SecrecyMarkingFound):
            load_report(LEAST | {"description": text})


def test_speaking_of_secrets_is_no_marking():
    load_report(LEAST | {"title": "Trade secrets of a manufacturer offered for sale"})


def test_a_marked_name_of_an_unknown_field_is_not_repeated():
    found = faults_of(LEAST | {"NATO_SECRET_canary": 1, "plain_name": 2})
    assert set(found) == {"", "/plain_name"}


OBJECTS = st.dictionaries(st.sampled_from(["canary-9", "type", "name", "rel_to"]), st.just("canary-9"))
ODD = st.none() | st.booleans() | st.floats() | st.lists(st.just("canary-9"), max_size=3) | OBJECTS


@given(st.sampled_from(sorted(FULL)), ODD)
def test_a_value_of_any_other_kind_is_refused_or_taken_and_never_repeated(name, value):
    try:
        load_report(FULL | {name: value})
    except Invalid as refused:
        assert "canary-9" not in " ".join(fault.detail for fault in refused.errors)


@given(st.text(min_size=1, max_size=120))
def test_a_title_is_kept_to_the_character_or_refused(title):
    try:
        assert load_report(LEAST | {"title": title})["title"] == title
    except Invalid as refused:
        assert [fault.pointer for fault in refused.errors] == ["/title"]


def test_what_was_normalised_is_taken_again_unchanged():
    once = load_report(FULL)
    again = json.loads(json.dumps({k: v for k, v in once.items() if k != "flags"}, default=datetime.isoformat))
    assert load_report(again) == once


# ---------------------------------------------------------------- names of files


@pytest.mark.parametrize(
    "name, harmless",
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\evil.exe", "evil.exe"),
        ("..", "attachment"),
        (" . ", "attachment"),
        ("/", "attachment"),
        ("a\r\nContent-Type: x", "aContent-Type x"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ('a"b<c>.txt', "abc.txt"),
        ("x" * 300 + ".tar.gz", "x" * 117 + ".gz"),
        ("ünïcode 文件.txt", "ünïcode 文件.txt"),
    ],
)
def test_names_of_files_are_made_harmless(name, harmless):
    assert sanitise_name(name) == harmless


@given(st.text(max_size=400))
def test_a_harmless_name_is_short_has_no_path_and_stays_as_it_is(name):
    harmless = sanitise_name(name)
    assert 0 < len(harmless) <= 120
    assert not set(harmless) & set('/\\\0\r\n"<>') and harmless not in (".", "..")
    assert sanitise_name(harmless) == harmless

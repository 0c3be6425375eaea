"""Labels, markings and the recognition of secrecy markings."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.markings import (
    Iep,
    Malformed,
    Marking,
    Pap,
    Tlp,
    UnknownLabel,
    combine,
    find_secrecy,
    parse_pap,
    parse_tlp,
    strictest,
    tlp_of_stix_id,
)

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_labels_are_ordered_by_strictness_and_not_by_spelling() -> None:
    assert list(Tlp) == sorted(Tlp) == [Tlp.CLEAR, Tlp.GREEN, Tlp.AMBER, Tlp.AMBER_STRICT, Tlp.RED]
    assert [level.rank for level in Tlp] == [0, 1, 2, 3, 4]
    assert list(Pap) == sorted(Pap) == [Pap.CLEAR, Pap.GREEN, Pap.AMBER, Pap.RED]


@pytest.mark.parametrize("other", ["CLEAR", 0, Pap.CLEAR, None])
def test_a_label_cannot_be_compared_with_something_else(other: object) -> None:
    with pytest.raises(TypeError):
        assert other < Tlp.RED


def test_a_label_is_written_in_full_and_stored_as_the_bare_word() -> None:
    assert Tlp.AMBER_STRICT.label == "TLP:AMBER+STRICT"
    assert str(Tlp.AMBER_STRICT) == Tlp.AMBER_STRICT.value == "AMBER+STRICT"
    assert Tlp("AMBER+STRICT") is Tlp.AMBER_STRICT
    assert Pap.GREEN.label == "PAP:GREEN"
    assert Tlp.AMBER.colour == Tlp.AMBER_STRICT.colour == "#FFC000"


@pytest.mark.parametrize(
    ("word", "label"),
    [
        ("RED", Tlp.RED),
        ("TLP:RED", Tlp.RED),
        ("tlp:amber+strict", Tlp.AMBER_STRICT),
        (" green ", Tlp.GREEN),
        ("WHITE", Tlp.CLEAR),
        ("TLP:WHITE", Tlp.CLEAR),
    ],
)
def test_a_label_is_read_with_or_without_prefix_and_in_any_case(word: str, label: Tlp) -> None:
    assert parse_tlp(word) is label


@pytest.mark.parametrize(
    "word", ["", "PURPLE", "UNCLEAR", "TLP:UNCLEAR", "EX:CHR", "AMBER STRICT", "AMBER-STRICT", "TLP:TLP:RED", None, 4]
)
def test_anything_else_is_an_unknown_label_and_is_not_repeated(word: object) -> None:
    with pytest.raises(UnknownLabel) as refusal:
        parse_tlp(word)
    assert "PURPLE" not in str(refusal.value)


def test_pap_has_no_strict_level() -> None:
    assert parse_pap("pap:white") is Pap.CLEAR
    with pytest.raises(UnknownLabel):
        parse_pap("AMBER+STRICT")


def test_the_strictest_label_wins_and_unmarked_counts_as_amber_strict() -> None:
    assert strictest([Tlp.CLEAR, Tlp.AMBER, Tlp.GREEN]) is Tlp.AMBER
    assert strictest([Tlp.GREEN, None]) is Tlp.AMBER_STRICT
    assert strictest([Tlp.RED, None]) is Tlp.RED
    with pytest.raises(ValueError):
        strictest([])


@pytest.mark.parametrize(
    ("label", "stix_id"),
    [
        (Tlp.CLEAR, "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487"),
        (Tlp.GREEN, "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"),
        (Tlp.AMBER, "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"),
        (Tlp.AMBER_STRICT, "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"),
        (Tlp.RED, "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"),
    ],
)
def test_the_five_stix_ids_are_those_of_the_oasis_extension(label: Tlp, stix_id: str) -> None:
    assert label.stix_id == stix_id
    assert tlp_of_stix_id(stix_id) is label


def test_the_ids_of_tlp_1_are_read() -> None:
    assert tlp_of_stix_id("marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9") is Tlp.CLEAR
    assert tlp_of_stix_id("marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da") is Tlp.GREEN
    assert tlp_of_stix_id("marking-definition--f88d31f6-486f-44da-b317-01333bde0b82") is Tlp.AMBER
    assert tlp_of_stix_id("marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed") is Tlp.RED
    assert tlp_of_stix_id("marking-definition--00000000-0000-4000-8000-000000000000") is None


FULL = {
    "tlp": "AMBER+STRICT",
    "pap": "GREEN",
    "rel_to": [],
    "not_rel_to": ["AA", "BB"],
    "orcon": True,
    "no_attribution": True,
    "embargo_until": "2026-06-02T00:00:00Z",
    "embargo_set": ["CC"],
    "named_recipients": ["p1"],
    "community": "health",
    "le_sensitive": True,
    "personal_data": True,
    "pd_basis": "public-task",
    "pd_delete_by": "2027-11-01T00:00:00Z",
    "secrecy": "NATO RESTRICTED",
    "iep": {"tlp": "red", "start_date": "2026-01-01T00:00:00Z", "attribution": "must-not"},
}


def test_a_marking_survives_being_written_and_read() -> None:
    marking = Marking.from_json(FULL)
    assert marking.to_json() == FULL
    assert Marking.from_json(json.loads(json.dumps(marking.to_json()))) == marking
    assert set(Marking.READERS) == set(FULL), "the example above holds every field"


def test_what_is_absent_is_left_out_and_a_list_of_nobody_is_not() -> None:
    assert Marking().to_json() == {}
    assert Marking.from_json({"tlp": "RED", "rel_to": None, "pap": "", "embargo_set": []}).to_json() == {"tlp": "RED"}
    assert Marking(rel_to=frozenset()).to_json() == {"rel_to": []}


def test_a_marking_built_in_code_is_read_as_strictly_as_one_from_outside() -> None:
    east = timezone(timedelta(hours=2))
    marking = Marking(tlp="AMBER", rel_to=["BB", "BB"], embargo_until=datetime(2026, 6, 1, 2, tzinfo=east))
    assert marking.tlp is Tlp.AMBER and marking.rel_to == frozenset({"BB"})
    assert marking.embargo_until == datetime(2026, 6, 1, tzinfo=UTC)
    with pytest.raises(Malformed):
        Marking(not_rel_to="BB")


@pytest.mark.parametrize(
    ("fault", "pointer"),
    [
        ({"tlp": "PURPLE"}, "/tlp"),
        ({"tlp": 3}, "/tlp"),
        ({"pap": "AMBER+STRICT"}, "/pap"),
        ({"orcon": "yes"}, "/orcon"),
        ({"orcon": 1}, "/orcon"),
        ({"rel_to": "BB"}, "/rel_to"),
        ({"rel_to": {"BB": 1}}, "/rel_to"),
        ({"not_rel_to": ["AA", None]}, "/not_rel_to/1"),
        ({"named_recipients": [""]}, "/named_recipients/0"),
        ({"embargo_until": "2026-06-02"}, "/embargo_until"),
        ({"embargo_until": "2026-06-02T00:00:00"}, "/embargo_until"),
        ({"embargo_until": "2026-06-31T00:00:00Z"}, "/embargo_until"),
        ({"embargo_until": "0001-01-01T00:00:00+14:00"}, "/embargo_until"),
        ({"embargo_until": "20260602T000000Z"}, "/embargo_until"),
        ({"embargo_until": "２０２６-06-02T00:00:00Z"}, "/embargo_until"),
        ({"embargo_until": 1780000000}, "/embargo_until"),
        ({"iep": []}, "/iep"),
        ({"iep": {"tlp": "purple"}}, "/iep/tlp"),
        ({"iep": {"attribution": "perhaps"}}, "/iep/attribution"),
        ({"embargo_untill": "2026-06-02T00:00:00Z"}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_a_faulty_marking_is_refused_with_a_pointer(fault: object, pointer: str) -> None:
    with pytest.raises(Malformed) as refusal:
        Marking.from_json(fault)
    assert refusal.value.pointer == pointer
    assert refusal.value.errors[0].pointer == pointer


def test_a_refusal_does_not_repeat_what_it_refused() -> None:
    with pytest.raises(Malformed) as refusal:
        Marking.from_json({"Hospital of X is down": 1, "pap": "hunter2"})
    assert "Hospital" not in str(refusal.value) and "hunter2" not in str(refusal.value)


def test_the_effective_label_is_raised_by_the_policy_and_never_lowered() -> None:
    assert Marking(tlp="GREEN", iep={"tlp": "amber"}).effective is Tlp.AMBER
    assert Marking(tlp="AMBER+STRICT", iep={"tlp": "amber"}).effective is Tlp.AMBER_STRICT
    assert Marking(tlp="RED", iep={"tlp": "white"}).effective is Tlp.RED
    assert Marking().effective is Tlp.AMBER_STRICT
    assert Marking(iep={"tlp": "red"}).effective is Tlp.RED


def test_combining_intersects_what_is_allowed_and_unites_what_is_forbidden() -> None:
    one = Marking(tlp="GREEN", rel_to=["AA", "BB"], not_rel_to=["CC"], pap="GREEN", community="health")
    two = Marking(tlp="AMBER", rel_to=["BB", "DD"], not_rel_to=["EE"], pap="RED", orcon=True, no_attribution=True)
    assert combine([one, two]).to_json() == {
        "tlp": "AMBER",
        "pap": "RED",
        "rel_to": ["BB"],
        "not_rel_to": ["CC", "EE"],
        "orcon": True,
        "no_attribution": True,
        "community": "cyber-defence & health",
    }


def test_combining_keeps_the_later_embargo_and_only_those_whom_each_embargo_lets_in() -> None:
    one = Marking(tlp="GREEN", embargo_until="2026-06-01T00:00:00Z", embargo_set=["AA", "BB"])
    two = Marking(tlp="GREEN", embargo_until="2026-07-01T00:00:00Z", embargo_set=["BB", "CC"])
    free = Marking(tlp="GREEN")
    both = combine([one, free, two])
    assert both.embargo_until == two.embargo_until and both.embargo_set == frozenset({"BB"})
    assert combine([one, free]).embargo_set == one.embargo_set


def test_combining_takes_the_names_of_the_red_parts() -> None:
    red = Marking(tlp="RED", named_recipients=["p1", "p2"])
    other = Marking(tlp="RED", named_recipients=["p2", "p3"])
    amber = Marking(tlp="AMBER")
    assert combine([red, amber]).named_recipients == frozenset({"p1", "p2"})
    assert combine([red, amber, other]).named_recipients == frozenset({"p2"})


def test_personal_data_without_a_basis_in_one_part_leaves_the_whole_without_one() -> None:
    with_basis = Marking(tlp="GREEN", personal_data=True, pd_basis="public-task")
    without = Marking(tlp="GREEN", personal_data=True)
    assert combine([with_basis, Marking(tlp="GREEN")]).pd_basis == "public-task"
    assert combine([with_basis, without]).pd_basis is None


def test_something_unmarked_keeps_the_whole_unmarked_even_beside_red() -> None:
    beside_amber = combine([Marking(), Marking(tlp="AMBER")])
    assert beside_amber.tlp is None and beside_amber.effective is Tlp.AMBER_STRICT
    beside_red = combine([Marking(), Marking(tlp="RED")])
    assert beside_red.tlp is None and beside_red.effective is Tlp.RED


def test_combined_policies_take_the_strictest_of_each_statement() -> None:
    one = Iep(tlp="green", start_date="2026-01-01T00:00:00Z", encrypt_in_transit="must", permitted_actions="none")
    two = Iep(tlp="amber", start_date="2026-02-01T00:00:00Z", end_date="2027-01-01T00:00:00Z", attribution="must-not",
              permitted_actions="contact-for-instruction", affected_party_notifications="must-not")  # fmt: skip
    assert combine([Marking(tlp="GREEN", iep=one), Marking(tlp="GREEN", iep=two)]).iep == Iep(
        tlp="amber",
        start_date="2026-02-01T00:00:00Z",
        end_date="2027-01-01T00:00:00Z",
        encrypt_in_transit="must",
        permitted_actions="none",
        affected_party_notifications="must-not",
        attribution="must-not",
    )


def test_one_part_stays_as_it_is_and_no_part_is_an_error() -> None:
    marking = Marking.from_json(FULL)
    assert combine([marking]) == marking
    assert combine([marking, marking]) == marking
    with pytest.raises(ValueError):
        combine([])


def test_the_order_of_the_parts_does_not_matter() -> None:
    parts = [Marking.from_json(FULL), Marking(tlp="RED", community="health"), Marking(personal_data=True)]
    wholes = {json.dumps(combine(order).to_json()) for order in itertools.permutations(parts)}
    assert len(wholes) == 1


MARKED = [
    ("NATO RESTRICTED", "NATO RESTRICTED"),
    ("NATO SECRET", "NATO SECRET"),
    ("NATO CONFIDENTIAL - network intrusion", "NATO CONFIDENTIAL"),
    ("Intrusion report (NATO RESTRICTED)", "NATO RESTRICTED"),
    ("Intrusion NATO RESTRICTED report", "NATO RESTRICTED"),
    ("NATO RESTRICTED RELEASABLE TO SWEDEN", "NATO RESTRICTED"),
    ("COSMIC TOP SECRET", "COSMIC TOP SECRET"),
    ("RESTREINT UE/EU RESTRICTED", "RESTREINT UE/EU RESTRICTED"),
    ("Restreint UE / EU Restricted", "RESTREINT UE/EU RESTRICTED"),
    ("R-UE/EU-R", "RESTREINT UE/EU RESTRICTED"),
    ("r-ue/eu-r situation report", "RESTREINT UE/EU RESTRICTED"),
    ("CONFIDENTIEL UE", "CONFIDENTIEL UE/EU CONFIDENTIAL"),
    ("C-UE/EU-C: telecoms", "CONFIDENTIEL UE/EU CONFIDENTIAL"),
    ("TRÈS SECRET UE/EU TOP SECRET", "TRES SECRET UE/EU TOP SECRET"),
    ("SECRET//NOFORN", "SECRET"),
    ("TOP SECRET//SI//NOFORN", "TOP SECRET"),
    ("TS//SI Intrusion set", "TOP SECRET"),
    ("(S//NF) Intrusion set", "SECRET"),
    ("(S) Intrusion into a ministry", "SECRET"),
    ("(NR) Intrusion into a ministry", "NATO RESTRICTED"),
    ("(C) Intrusion into a ministry", "CONFIDENTIAL"),
    ("SECRET", "SECRET"),
    ("  *** SECRET ***  ", "SECRET"),
    ("[SECRET]", "SECRET"),
    ("S E C R E T", "SECRET"),
    ("T O P  S E C R E T", "TOP SECRET"),
    ("ＳＥＣＲＥＴ", "SECRET"),
    ("SEC\u200bRET", "SECRET"),
    ("SECRET\u00a0//\u00a0NOFORN", "SECRET"),
    ("SECRET: intrusion into a ministry", "SECRET"),
    ("SECRET - intrusion into a ministry", "SECRET"),
    ("Intrusion into a ministry / SECRET", "SECRET"),
    ("UK SECRET", "UK SECRET"),
    ("SECRET UK EYES ONLY", "SECRET"),
    ("CONFIDENTIAL", "CONFIDENTIAL"),
    ("Classification: Secret", "SECRET"),
    ("Security classification: NATO Restricted", "NATO RESTRICTED"),
    ("VS-NfD", "VS-NUR FÜR DEN DIENSTGEBRAUCH"),
    ("VS-Nur für den Dienstgebrauch", "VS-NUR FÜR DEN DIENSTGEBRAUCH"),
    ("GEHEIM", "GEHEIM"),
    ("SECRET DÉFENSE", "SECRET DÉFENSE"),
    ("DIFFUSION RESTREINTE", "DIFFUSION RESTREINTE"),
    ("СОВЕРШЕННО СЕКРЕТНО", "СОВЕРШЕННО СЕКРЕТНО"),
    ("ЦІЛКОМ ТАЄМНО", "ЦІЛКОМ ТАЄМНО"),
    ("机密", "机密"),
    ("【机密】报告", "机密"),
]

UNMARKED = [
    "",
    "Secret documents leaked",
    "Top secret files offered for sale on a forum",
    "TOP SECRET FILES OFFERED FOR SALE",
    "NATO secret documents stolen from Portuguese general staff",
    "NATO SECRET DOCUMENTS STOLEN",
    "Hackers publish confidential data of the ministry",
    "Leak of Confidential Information",
    "CONFIDENTIAL DATA OF PATIENTS PUBLISHED",
    "Restricted access to the hospital's network after ransomware",
    "RESTRICTED MODE BYPASS IN ROUTER",
    "Classified documents accessed by contractor",
    "Classification: secret documents leaked",
    "Classification of the incident: not yet done",
    "Leaked AWS key: SECRET",
    "SECRET_KEY committed to a public repository",
    "CLIENT_SECRET=abc",
    "Secret",
    "Confidential",
    "The secret service's web page was defaced",
    "US Secret Service warns of phishing",
    "Hospital in Charlotte (NC) hit by ransomware",
    "Provider's server(s) unavailable",
    "(U) Unclassified summary",
    "(c) 2026 Example News",
    "(C) 2026 Example News",
    "(C) Copyright Example News",
    "UNCLASSIFIED",
    "NATO UNCLASSIFIED",
    "UNCLASSIFIED//FOUO",
    "OFFICIAL-SENSITIVE",
    "TLP:AMBER+STRICT",
    "TLP:RED // PAP:RED",
    "EU-Russia summit target of DDoS",
    "EU restricted party list site offline",
    "C++ // SIGNED overflow",
    "https://example.org//SI",
    "SECRET, PRIVATE AND PUBLIC KEYS IN FIRMWARE",
    "机密文件泄露",
    "Geheime Dokumente veröffentlicht",
]


@pytest.mark.parametrize(("line", "name"), MARKED)
def test_what_looks_like_a_secrecy_marking_is_found_in_title_first_and_last_line(line: str, name: str) -> None:
    assert find_secrecy(line) == name
    assert find_secrecy("Intrusion", f"{line}\nThe ministry reports an intrusion.\nNothing more is known.") == name
    assert find_secrecy("Intrusion", f"The ministry reports an intrusion.\n{line}\n\n") == name


@pytest.mark.parametrize("line", UNMARKED)
def test_what_only_speaks_of_secrets_passes(line: str) -> None:
    assert find_secrecy(line) is None
    assert find_secrecy("Intrusion", f"{line}\nThe ministry reports an intrusion.\n{line}") is None


def test_a_marking_in_the_middle_of_a_text_is_prose() -> None:
    assert find_secrecy("Intrusion", "The file was marked\nSECRET\nand is now public.") is None


@unhurried
@given(st.text(max_size=300), st.text(max_size=300))
def test_no_text_upsets_the_search(title: str, text: str) -> None:
    found = find_secrecy(title, text)
    assert found is None or isinstance(found, str)


@pytest.mark.parametrize("line", ["(" * 50_000, "S " * 50_000, "SECRET " * 10_000, "- " * 50_000, "\u0301" * 50_000])
def test_a_long_hostile_line_is_searched_in_bounded_time(line: str) -> None:
    assert find_secrecy(line, line) is None

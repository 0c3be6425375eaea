"""The closed lists: what they hold, that their order does not move, and that nothing else passes for a code."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator import vocabulary
from coordinator.vocabulary import Vocabulary

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

LISTS = [
    (name, value) for name, value in sorted(vars(vocabulary).items()) if isinstance(value, Vocabulary)
]


@pytest.mark.parametrize(
    ("name", "size", "first", "last"),
    [
        ("INCIDENT_TYPES", 51, "abusive-content", "undetermined"),
        ("SECTORS", 18, "energy", "research"),
        ("COUNTRIES", 249, "AD", "ZW"),
        ("HUMANITARIAN_FLAGS", 12, "life-at-risk", "displaced-people"),
        ("INFO_CATEGORIES", 17, "incident-notification", "statistics"),
        ("PURPOSES", 15, "network-defence", "commercial"),
        ("ORGANISATION_KINDS", 12, "state", "military-cert"),
        ("CONTACT_KINDS", 10, "diplomatic", "press"),
        ("SEVERITIES", 6, 0, 5),
        ("CHANNEL_KINDS", 6, "portal", "voice"),
        ("ROLES", 12, "liaison-officer", "administrator"),
        ("AGREEMENT_KINDS", 11, "mou-bilateral", "ad-hoc-consent"),
        ("LEGAL_STATUSES", 4, "binding", "contract"),
        ("ONWARD_SHARING", 6, "none", "free"),
        ("PERSONAL_DATA", 3, "none", "full"),
    ],
)
def test_a_list_has_its_size_and_order(name: str, size: int, first: object, last: object) -> None:
    codes = getattr(vocabulary, name).codes
    assert (len(codes), codes[0], codes[-1]) == (size, first, last)
    assert len(set(codes)) == size


def test_every_list_is_in_the_table_above() -> None:
    assert len(LISTS) == 15


@pytest.mark.parametrize(("name", "words"), LISTS)
def test_every_code_has_a_name_for_people(name: str, words: Vocabulary) -> None:
    for code, label in words.choices():
        assert words.valid(code) and code in words
        assert words.label(code) == label
        assert label.strip() == label != ""


@pytest.mark.parametrize(("name", "words"), LISTS)
@pytest.mark.parametrize("wrong", ["", " ", "nothing", None, True, 3.0, -1, 6, [], {}, ("AD",)])
def test_what_is_not_listed_is_not_valid(name: str, words: Vocabulary, wrong: object) -> None:
    assert not words.valid(wrong)


def test_a_label_of_an_unknown_code_is_an_error() -> None:
    with pytest.raises(KeyError):
        vocabulary.SECTORS.label("mining")


@pytest.mark.parametrize(
    ("code", "valid"),
    [
        ("malicious-code", True),
        ("malicious-code/c2-server", True),
        ("undetermined", True),
        ("other/undetermined", True),
        ("c2-server", False),
        ("malicious-code/", False),
        ("malicious-code/dos", False),
        ("Malicious-Code", False),
    ],
)
def test_an_incident_type_is_a_class_or_a_class_with_its_own_type(code: str, valid: bool) -> None:
    assert vocabulary.INCIDENT_TYPES.valid(code) is valid


@pytest.mark.parametrize("code", ["EU", "UN", "XK", "ZZ", "UK", "ee", "AC"])
def test_reserved_and_user_assigned_country_codes_are_not_countries(code: str) -> None:
    assert not vocabulary.COUNTRIES.valid(code)


@pytest.mark.parametrize(
    ("flags", "floor"),
    [
        ([], 0),
        (["elections"], 0),
        (["food-or-heating"], 2),
        (["hospital-or-medical"], 3),
        (["water-or-sanitation"], 3),
        (["emergency-services"], 3),
        (["works-with-dangerous-forces"], 4),
        (["food-or-heating", "life-at-risk", "elections"], 4),
    ],
)
def test_the_highest_severity_floor_of_the_flags_counts(flags: list[str], floor: int) -> None:
    assert vocabulary.severity_floor(flags) == floor


def test_only_data_on_protected_persons_raises_the_label() -> None:
    raising = {flag for flag in vocabulary.HUMANITARIAN_FLAGS if vocabulary.tlp_floor([flag])}
    assert raising == {"protected-persons-data"}
    assert vocabulary.tlp_floor(vocabulary.HUMANITARIAN_FLAGS.codes) == "AMBER+STRICT"
    assert vocabulary.tlp_floor([]) is None


def test_an_unknown_flag_has_no_silent_floor() -> None:
    with pytest.raises(KeyError):
        vocabulary.severity_floor(["life at risk"])


@pytest.mark.parametrize("tag", ["en", "EN", "et", "pt-BR", "zh-Hant-TW", "zh-hant", "es-419", "sr-Latn", "de-1996"])
def test_language_tags_that_exist_are_valid(tag: str) -> None:
    assert vocabulary.valid_language(tag)


@pytest.mark.parametrize(
    "tag", ["", "e", "xx", "english", "en_GB", "en-", "-en", "en-UK", "en GB", "et\n", "zh-Hant-ZZ", "ｅｎ", None, 5]
)
def test_other_language_tags_are_not(tag: object) -> None:
    assert not vocabulary.valid_language(tag)


def test_a_language_has_a_name() -> None:
    assert vocabulary.language_name("et") == "Estonian"
    assert vocabulary.language_name("pt-BR") == "Portuguese"
    assert vocabulary.language_name("ckb") == "ckb"


@unhurried
@given(st.text(max_size=40))
def test_no_text_upsets_a_check(text: str) -> None:
    assert vocabulary.valid_language(text) in (True, False)
    assert vocabulary.COUNTRIES.valid(text) is (text in vocabulary.COUNTRIES.codes)

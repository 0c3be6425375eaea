"""Fields, shapes and faults that every door shares."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from coordinator.errors import Invalid
from coordinator.outside import terms
from coordinator.outside.faults import MAX_FAULTS, Shape, load, pointer_part
from coordinator.outside.fields import Choice, Flag, Instant, Listed, Part, Text, Whole, read_instant


class Inner(Shape):
    code = Text(5, required=True)


class Outer(Shape):
    name = Text(10, required=True)
    inner = Part(Inner)
    rows = Listed(Part(Inner), most=300)
    count = Whole(0, 5)


OUTER = Outer()


def faults_of(data):
    with pytest.raises(Invalid) as refused:
        load(OUTER, data)
    return {fault.pointer: fault.detail for fault in refused.value.errors}


def refused_by(field, value):
    with pytest.raises(ValidationError) as refused:
        field.deserialize(value)
    return refused.value.messages


# ---------------------------------------------------------------- shapes and faults


def test_every_fault_is_told_at_once_with_its_pointer():
    found = faults_of({"inner": {"code": "too long"}, "rows": [{"code": "a"}, {"code": 1}, 7], "count": 9, "odd": 1})
    assert set(found) == {"/name", "/inner/code", "/rows/1/code", "/rows/2", "/count", "/odd"}


@pytest.mark.parametrize("absent", [None, ""])
def test_null_and_empty_text_mean_that_a_known_field_is_absent(absent):
    assert load(OUTER, {"name": "a", "count": absent, "inner": absent}) == {"name": "a"}
    assert set(faults_of({"name": absent})) == {"/name"}
    assert set(faults_of({"name": "a", "odd": absent})) == {"/odd"}, "an unknown field is unknown whatever it holds"


@pytest.mark.parametrize("data", [None, [], "text", 3, True])
def test_what_is_no_object_is_refused_as_a_whole(data):
    assert list(faults_of(data)) == [""]


def test_the_list_of_faults_ends_with_a_count_of_the_rest():
    with pytest.raises(Invalid) as refused:
        load(OUTER, {"name": "a", "rows": [{}] * 250})
    assert len(refused.value.errors) == MAX_FAULTS + 1
    assert refused.value.errors[-1].detail.startswith("150 more faults")


@pytest.mark.parametrize(
    "name, part",
    [
        ("plain", "plain"),
        ("a/b~c", "a~1b~0c"),
        ("título", "título"),
        ("<script>alert(1)</script>", "?script?alert?1??~1script?"),
        ("line\nbreak\x00\ud800\u202e", "line?break???"),
        ("x" * 41, "x" * 40 + "…"),
        (7, "7"),
    ],
)
def test_names_in_pointers_are_escaped_cleaned_and_cut(name, part):
    assert pointer_part(name) == part


def test_a_field_named_like_marshmallows_own_key_is_refused_too():
    assert list(faults_of({"name": "a", "_schema": 1})) == [""]


@given(st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=20) | st.lists(st.none(), max_size=2)))
def test_any_object_is_taken_or_refused_with_faults(data):
    try:
        load(OUTER, data)
    except Invalid as refused:
        assert refused.errors
        assert all(fault.pointer == "" or fault.pointer.startswith("/") for fault in refused.errors)


# ---------------------------------------------------------------- text

ONE_LINE_REFUSED = [f"a{one}b" for one in "\x00\n\r\x0b\x0c\x1b\x7f\x85\u2028\u2029\ud800"] + ["\x00"]


@pytest.mark.parametrize("text", ONE_LINE_REFUSED)
def test_a_line_of_text_takes_no_controls_breaks_or_half_pairs(text):
    assert refused_by(Text(50), text)


@pytest.mark.parametrize("text", ["a\x00", "a\x0b", "a\x0c", "a\x1b", "a\x7f", "a\udfff"])
def test_longer_text_takes_no_controls_or_half_pairs(text):
    assert refused_by(Text(50, lines=True), text)


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "a\tb", "a\x85b", "a\u2028b"])
def test_longer_text_takes_lines(text):
    assert Text(50, lines=True).deserialize(text) == text


@pytest.mark.parametrize(
    "text", [" a ", "a\tb", "Ã¢\x80\x99", "\u202eabc", "日本", "e\u0301", "\u00a0x", "<b>", "'; DROP TABLE x"]
)
def test_text_is_kept_to_the_character(text):
    assert Text(50).deserialize(text) == text


@pytest.mark.parametrize("text", [" ", "\t\t", "\u200b\u200b", "\u202e", "\u00a0"])
def test_text_that_nobody_can_see_is_refused(text):
    assert refused_by(Text(50), text)


@pytest.mark.parametrize("value", [1, True, 1.5, [], {}, b"a"])
def test_text_is_nothing_but_text(value):
    assert refused_by(Text(50), value)


def test_text_is_counted_in_code_points():
    assert Text(3).deserialize("😀é日") == "😀é日"
    assert refused_by(Text(3), "abcd")


@given(st.text(max_size=60))
def test_text_goes_through_unchanged_or_not_at_all(text):
    for field in (Text(50), Text(50, lines=True)):
        try:
            assert field.deserialize(text) == text
            text.encode("utf-8")
            assert "\x00" not in text
        except ValidationError:
            pass


# ---------------------------------------------------------------- strict types


@pytest.mark.parametrize("value", [True, False, "3", 3.0, -1, 6, 10**40, [], {}])
def test_a_whole_number_is_a_json_integer_in_its_bounds(value):
    assert refused_by(Whole(0, 5), value)


@pytest.mark.parametrize("value", [0, 1, "true", "yes", [], {}])
def test_a_flag_is_true_or_false(value):
    assert refused_by(Flag(), value)


def test_a_list_is_bounded_before_it_is_looked_at_and_holds_each_word_once():
    words = Listed(Choice(("a", "b")), most=3)
    assert words.deserialize(["b", "A", "b"]) == ["b", "a"]
    assert refused_by(words, ["a"] * 4) == ["Send at most 3 of these."]
    assert refused_by(words, "a") == ["Send a list."]
    assert set(refused_by(words, ["a", None, 3])) == {1, 2}


@pytest.mark.parametrize("value", ["c", "", 1, None, True, ["a"], "a "])
def test_a_choice_is_one_of_its_words(value):
    assert refused_by(Choice(("a", "b")), value) == ["Choose one of: a, b."]


# ---------------------------------------------------------------- instants


@pytest.mark.parametrize(
    "text, instant",
    [
        ("2026-11-22T17:53:00Z", datetime(2026, 11, 22, 17, 53, tzinfo=UTC)),
        ("2026-11-22t17:53:00z", datetime(2026, 11, 22, 17, 53, tzinfo=UTC)),
        ("2026-11-22T17:53:00-00:00", datetime(2026, 11, 22, 17, 53, tzinfo=UTC)),
        ("2026-11-22T00:30:00+02:00", datetime(2026, 11, 21, 22, 30, tzinfo=UTC)),
        ("2026-11-22T17:53:00.123456789Z", datetime(2026, 11, 22, 17, 53, 0, 123456, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("1970-01-01T00:00:00+14:00", datetime(1969, 12, 31, 10, tzinfo=UTC)),
    ],
)
def test_rfc_3339_is_read_as_utc(text, instant):
    found = read_instant(text)
    assert found == instant and found.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    ["2026-11-22T17:53:00", "2026-11-22", "2026-11-22T17:53Z", "2026-11-22 17:53:00Z", "20261122T175300Z",
     "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T17:53:00+25:00",
     "2026-11-22T17:53:00+02", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "1969-12-31T23:59:59Z",
     "2200-01-01T00:00:00Z", "２０２６-11-22T17:53:00Z", "2026-11-22T17:53:00Z\n", "2026-W47-7T00:00:00Z", "now", ""],
)  # fmt: skip
def test_an_instant_without_offset_or_out_of_reason_is_refused(text):
    assert refused_by(Instant(), text)


@given(st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1), timezones=st.timezones()))
def test_every_aware_instant_comes_back_the_same(instant):
    # Some old zone offsets have seconds, which RFC 3339 cannot write.
    if instant.utcoffset().total_seconds() % 60 == 0:
        assert read_instant(instant.isoformat()) == instant.astimezone(UTC)


# ---------------------------------------------------------------- terms


@pytest.mark.parametrize(
    "field, value, canonical",
    [
        (terms.tlp(), "amber+strict", "AMBER+STRICT"),
        (terms.tlp(), "TLP:WHITE", "CLEAR"),
        (terms.pap(), "white", "CLEAR"),
        (terms.country(), "fi", "FI"),
        (terms.OrganisationCode(), "fi-csirt", "FI-CSIRT"),
        (terms.Language(), "PT-br", "pt-BR"),
        (terms.Language(), "zh-hant-tw", "zh-Hant-TW"),
        (terms.media_type(), "Text/Plain; charset=utf-8", "text/plain"),
        (terms.sha256(), "AB" * 32, "ab" * 32),
        (terms.email(), "desk@例え.example", "desk@例え.example"),
        (terms.phone(), "+358 (0)0 000-000", "+358 (0)0 000-000"),
        (terms.incident_type(), "availability", "availability"),
        (terms.incident_type(), "Undetermined", "undetermined"),
    ],
)
def test_terms_are_given_in_one_writing(field, value, canonical):
    assert field.deserialize(value) == canonical


@pytest.mark.parametrize(
    "field, value",
    [
        (terms.tlp(), "TLP:UNCLEAR"), (terms.tlp(), "EX:CHR"), (terms.tlp(), "AMBER STRICT"), (terms.country(), "XX"),
        (terms.country(), "UK"), (terms.OrganisationCode(), "OWN"), (terms.OrganisationCode(), "own"),
        (terms.OrganisationCode(), "A" * 33), (terms.OrganisationCode(), "-A"), (terms.OrganisationCode(), "A\n"),
        (terms.Language(), "english"), (terms.Language(), "e"), (terms.media_type(), "pdf"), (terms.sha256(), "a" * 63),
        (terms.email(), "Desk <desk@example.org>"), (terms.email(), "a@b\r\nBcc: c@d"), (terms.email(), "a@b, c@d"),
        (terms.phone(), "javascript:1"), (terms.incident_type(), "availability/phishing"), (terms.identifier(), "../x"),
        (terms.identifier(), "a b"), (terms.tri_state(), "maybe"),
    ],
)  # fmt: skip
def test_what_is_no_such_term_is_refused(field, value):
    assert refused_by(field, value)


@pytest.mark.parametrize(
    "field",
    [Text(3), Whole(0, 5), Flag(), Choice(("a",)), Instant(), Listed(Text(3), most=1), terms.tlp(), terms.email(),
     terms.country(), terms.OrganisationCode(), terms.Language(), terms.sha256()],
)  # fmt: skip
def test_a_refusal_never_repeats_the_value(field):
    assert "canary" not in str(refused_by(field, "canary, and more")).lower()

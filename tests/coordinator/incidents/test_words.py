"""What is typed finds what was written: case, accents, vowel signs, scripts without spaces, invisible characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.incidents.words import MOST_TERMS, MOST_WORDS, searchable, terms, with_title


def found(text: str, asked: str) -> bool:
    """As the databases look: a word, or the beginning of one."""
    return all(f" {word}" + ("" if begins else " ") in searchable(text) for word, begins in terms(asked))


@pytest.mark.parametrize("text, asked", [
    ("Hôpital de l'Île", "hopital ile"),
    ("hopital", "HÔPITAL"),
    ("Straße in Łódź, Ærø", "strasse lodz aero"),
    ("ISTANBUL İstanbul", "istanbul"),
    ("المُسْتَشْفَى المركزي", "المستشفى"),
    ("المُسْتَشْفَى المركزي", "مستشفي"),
    ("أمن المعلومات", "امن"),
    ("بيمارستان", "بیمارستان"),
    ("医院网络攻击", "攻击"),
    ("医院网络攻击", "击"),
    ("医院网络攻击 2026", "网络攻击"),
    ("病院へのサイバー攻撃", "サイバー"),
    ("โรงพยาบาลถูกโจมตี", "โจมตี"),
    ("서울병원에서", "서울병원"),
    ("अस्पताल पर हमला", "अस्पताल"),
    ("Больницы Йошкар", "больниц иошкар"),
    ("ransomware", "ransom"),
    ("\u202eevil\u202c pay\u200bload", "evil payload"),
    ("FI-2026/0017 (gateway)", "fi-2026/0017"),
    ("attack on EU bodies", "EU"),
    ("ﬁle ２０２６", "file 2026"),
])  # fmt: skip
def test_what_is_typed_finds_what_was_written(text: str, asked: str) -> None:
    assert found(text, asked)


@pytest.mark.parametrize("text, asked", [
    ("Europe", "eu"),  # short words are words
    ("ransomware", "somware"),  # words are found by their beginning
    ("医院", "院医"),
    ("hospital", "hospital gateway"),  # all words must be there
])  # fmt: skip
def test_what_is_not_there_is_not_found(text: str, asked: str) -> None:
    assert not found(text, asked)


@pytest.mark.parametrize("asked", [
    "", "%", '"', "' OR 1=1 --", "*", "NEAR(", "a AND NOT", "\u202e", "💥", "\x00:*&|!()", "state:fi", "a-b",
])  # fmt: skip
def test_nothing_that_is_typed_is_an_operator(asked: str) -> None:
    assert all(word.isalnum() and word == word.casefold() for word, _ in terms(asked))


@given(st.text())
def test_every_text_is_found_by_itself_and_by_the_beginning_of_its_first_words(text: str) -> None:
    assert found(text, text)
    assert all(word.isalnum() for word in searchable(text).split())


def test_huge_texts_and_searches_are_cut() -> None:
    many = " ".join(f"w{number}x" for number in range(5000))
    assert len(searchable(many).split()) == MOST_WORDS
    assert len(terms(many)) == MOST_TERMS
    assert found("a" * 5000, "a" * 200)


def test_a_new_title_takes_the_place_of_the_old_one_only() -> None:
    said = with_title(searchable("Old title", "FI-1", "described"), "Neuer Títel")
    assert said == searchable("Neuer Títel", "FI-1", "described")
    assert with_title("", "???").split() == []

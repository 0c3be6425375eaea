"""What letters and calls say: the label everywhere, no title above GREEN, nothing that can dress up as a header."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.alerts.wording import (
    CALL_OUR_DESK,
    CLOSURE,
    OWN_NOTICES,
    RECEIPT,
    Said,
    call_script,
    letter,
    one_line,
    own_notice,
)
from coordinator.markings import Tlp

SAID = Said(
    kind="initial", tlp=Tlp.GREEN, pap="GREEN", title="canary-title", body="canary-body", reference="REF-7K3M-Q9TD",
    link="https://us.example/a/token", purpose="Network defence", sender="Our ministry", asks_answer=True,
)  # fmt: skip


@pytest.mark.parametrize("tlp", list(Tlp))
@pytest.mark.parametrize("kind", ["initial", "update", "correction", "closure", "recall", "check", "receipt", "notice"])
def test_the_label_is_in_the_subject_and_in_the_first_and_last_line(tlp: Tlp, kind: str) -> None:
    made = letter(replace(SAID, tlp=tlp, kind=kind))
    lines = made.body.strip().splitlines()
    assert f"[{tlp.label}]" in made.subject
    first = 1 if kind == "check" else 0
    assert lines[first] == lines[-1] == f"{tlp.label} PAP:GREEN"


@pytest.mark.parametrize("tlp", [Tlp.AMBER, Tlp.AMBER_STRICT, Tlp.RED])
def test_from_amber_on_a_mail_holds_label_reference_and_link_only(tlp: Tlp) -> None:
    made = letter(replace(SAID, tlp=tlp, handling=("REL TO FI",), reply_by="2026-11-23T00:00:00Z"))
    everything = made.subject + made.body
    for hidden in ("canary", "Network defence", "Our ministry", "REL TO", "2026-11-23"):
        assert hidden not in everything
    assert "REF-7K3M-Q9TD" in made.subject and "https://us.example/a/token" in made.body


def test_up_to_green_a_mail_says_what_there_is_to_say() -> None:
    body = letter(replace(SAID, reply_by="2026-11-23T00:00:00Z", handling=("NO ATTRIBUTION",))).body
    for part in ("canary-title", "canary-body", "REF-7K3M-Q9TD", "Network defence", "NO ATTRIBUTION", "2026-11-23"):
        assert part in body


def test_an_exercise_and_a_check_are_bannered() -> None:
    made = letter(replace(SAID, exercise="EX-1", kind="check", reminder=True))
    assert made.subject.startswith("EXERCISE [TLP:GREEN] COMMUNICATION CHECK Reminder:")
    assert made.body.splitlines()[:2] == ["EXERCISE EXERCISE EXERCISE", "COMMUNICATION CHECK"]
    assert call_script(replace(SAID, exercise="EX-1")).startswith("EXERCISE EXERCISE EXERCISE\nTLP:GREEN")


def test_a_call_is_framed_by_the_label() -> None:
    lines = call_script(SAID).splitlines()
    assert lines[0] == lines[-1] == "TLP:GREEN PAP:GREEN"
    assert "canary-body" in lines and "Our reference for you: REF-7K3M-Q9TD" in lines


@given(st.text())
def test_a_subject_is_one_line_whatever_the_title(title: str) -> None:
    subject = letter(replace(SAID, title=title)).subject
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]", subject)
    assert len(subject) <= 250


def test_a_title_cannot_bring_headers_or_turn_the_line_round() -> None:
    assert one_line("a\r\nBcc: x@y\u202egnp.exe") == "a Bcc: x@y gnp.exe"


@pytest.mark.parametrize("key", sorted(OWN_NOTICES))
@pytest.mark.parametrize("reference", ["INC-2026-000123", ""])
def test_a_notice_to_our_own_people_is_fixed_text_with_at_most_a_reference(key: str, reference: str) -> None:
    title, body = own_notice(key, reference)
    assert len(title) <= 120 and "{" not in body
    assert body.replace(f" ({reference})", "") == own_notice(key, "")[1]


@pytest.mark.parametrize("texts", [RECEIPT, CLOSURE, CALL_OUR_DESK, *OWN_NOTICES.values()])
def test_fixed_texts_lay_no_blame(texts: tuple[str, str]) -> None:
    assert not re.search(r"\b(attack|hostile|blame|guilty|violat|adversar|enemy|criminal)", " ".join(texts), re.I)

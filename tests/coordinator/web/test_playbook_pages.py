"""The catalogue's pages: brought in with faults shown, agreed to by two, compared, tried on paper, withdrawn."""

from __future__ import annotations

import copy
import io
import json
from typing import Any

import pytest
from sqlalchemy import select

from coordinator.runs import catalogue
from coordinator.runs.models import PlaybookSigner, PlaybookVersion, Run
from playbooks.document import MAX_BYTES, load
from tests.coordinator.web.conftest import Desk
from tests.playbooks.documents import action, document, end, line, sid
from tests.playbooks.test_signatures import ED, key_text, signed

FORM = {"kind": "task", "role": "analyst", "due": {"within": "PT4H"},
        "fields": {"__x__": {"label": "What was seen?", "type": "choice", "options": ["much", "little"]}},
        "chain": [{"after": "PT2H", "remind": True}]}  # fmt: skip


def asked() -> dict[str, Any]:
    return document({
        "a": action("Look", work=FORM, out_args=["__x__"], on_completion="b"),
        "b": action("Choose", work={"kind": "decision", "role": "coordinator", "variable": "__y__",
                                    "options": ["go", "stay"]}, out_args=["__y__"], on_completion="end"), "end": end(),
    }, "a", variables={"__x__": {"type": "string", "value": ""}, "__y__": {"type": "string", "value": ""}})  # fmt: skip


def states(desk: Desk) -> list[str]:
    with desk.store.read() as tx:
        return list(tx.execute(select(PlaybookVersion.state).order_by(PlaybookVersion.id)).scalars())


def test_a_document_with_faults_is_not_taken_and_each_is_shown_with_its_place(desk: Desk) -> None:
    coordinator = desk.sit("coordinator")
    wrong = line()
    wrong["workflow"][sid("a")]["on_completion"] = "action--nowhere"
    coordinator.get("/playbooks/import")
    answer = coordinator.post("/playbooks/import", {"document": json.dumps(wrong)})
    assert answer.status_code == 422
    assert f"/workflow/{sid('a')}/on_completion" in answer.text
    assert coordinator.post("/playbooks/import", {"document": " "}).status_code == 422
    assert coordinator.post("/playbooks/import", {"document": "{"}).status_code == 422
    assert states(desk) == []


@pytest.mark.parametrize("as_file", [True, False])
def test_a_document_may_be_as_large_as_through_the_command(desk: Desk, as_file: bool) -> None:
    coordinator = desk.sit("coordinator")
    for room, code in ((-10_000, 303), (10_000, 422)):
        raw = json.dumps(line()).ljust(MAX_BYTES + room, "\n")
        coordinator.get("/playbooks/import")
        data = {"file": (io.BytesIO(raw.encode()), "a.json")} if as_file else {"document": raw}
        answer = coordinator.post("/playbooks/import", data)
        assert answer.status_code == code, answer.text[:500]
    assert "a document has at most" in answer.text
    assert states(desk) == ["imported"]


def test_it_takes_two_persons_to_put_a_playbook_into_use_and_one_to_stop_it(desk: Desk) -> None:
    coordinator, lawyer, officer = (desk.sit(role) for role in ("coordinator", "legal-adviser", "duty-officer"))
    coordinator.get("/playbooks/import")
    assert coordinator.post("/playbooks/import", {"document": json.dumps(signed(asked()))}).status_code == 303
    shown = coordinator.text("/playbooks/1")
    assert "Not in use" in shown and "A person starts it." in shown and "Key not on our list" in shown
    officer.get("/playbooks/1")
    assert officer.post("/playbooks/1/activate").status_code == 403
    assert coordinator.post("/playbooks/1/activate").status_code == 303
    assert "A second person has to agree" in coordinator.text("/playbooks/1")
    assert states(desk) == ["imported"]
    lawyer.get("/playbooks/1")
    assert lawyer.post("/playbooks/1/activate").status_code == 303
    assert states(desk) == ["active"]
    coordinator.get("/playbooks/1")
    assert coordinator.post("/playbooks/1/withdraw", {"reason": ""}).status_code == 409
    coordinator.get("/playbooks/1")
    assert coordinator.post("/playbooks/1/withdraw", {"reason": "Wrong role."}).status_code == 303
    assert states(desk) == ["revoked"]


def test_two_versions_are_compared_in_words(desk: Desk) -> None:
    newer = copy.deepcopy(asked()) | {"modified": "2026-02-15T09:00:00.000Z"}
    next(iter(newer["workflow"][sid("a")]["step_extensions"].values()))["due"] = {"within": "PT2H"}
    with desk.store.unit_of_work() as tx:
        for each in (asked(), newer):
            catalogue.import_playbook(tx, json.dumps(each).encode(), actor="cli:test")
    coordinator = desk.sit("coordinator")
    assert "/playbooks/2/changes/1" in coordinator.get("/playbooks/2").text
    said = coordinator.text("/playbooks/2/changes/1")
    assert "“Look”: the deadline changed from within PT4H to within PT2H." in said
    assert coordinator.get("/playbooks/2/changes/9").status_code == 404
    raw = coordinator.get("/playbooks/2/signed").data
    assert load(raw).digest == load(newer).digest and load(raw).raw["signatures"][0]["algorithm"] == "Ed25519"


def test_a_key_counts_when_a_second_person_says_so(desk: Desk) -> None:
    coordinator, lawyer = desk.sit("coordinator"), desk.sit("legal-adviser")
    coordinator.get("/playbooks/signers")
    assert coordinator.post("/playbooks/signers", {"name": "FI-MFA", "key": "nonsense"}).status_code == 422
    coordinator.get("/playbooks/signers")
    assert coordinator.post("/playbooks/signers", {"name": "FI-MFA", "key": key_text(ED)}).status_code == 303
    coordinator.get("/playbooks/signers")
    assert coordinator.post("/playbooks/signers/1/agree").status_code == 409
    assert "Waits for a second person" in lawyer.text("/playbooks/signers")
    assert lawyer.post("/playbooks/signers/1/agree").status_code == 303
    with desk.store.read() as tx:
        assert tx.get_one(PlaybookSigner, 1).state == "trusted"


@pytest.fixture
def tried(desk: Desk) -> Any:
    with desk.store.unit_of_work() as tx:
        catalogue.import_playbook(tx, json.dumps(asked()).encode(), actor="cli:test")
    browser = desk.sit("duty-officer")
    browser.get("/playbooks/1/try")
    return browser


def step(browser: Any, answer: Any) -> Any:
    """The next page's hidden fields are used for the post after it."""
    assert answer.status_code == 200, answer.text
    from html import unescape
    from re import search

    found = search(r'name="script" value="([^"]*)"', answer.text)
    assert found
    browser.hidden["script"] = unescape(found.group(1))
    return answer.text


def test_a_playbook_is_tried_on_paper_by_forms_alone(desk: Desk, tried: Any) -> None:
    text = step(tried, tried.post("/playbooks/1/try", {"contacts": "a, b"}))
    assert "What was seen?" in text and 'name="option"' not in text
    text = step(tried, tried.post("/playbooks/1/try", {"minutes": "180"}))
    assert "Reminded" in text or "reminded" in text
    text = step(tried, tried.post("/playbooks/1/try", {"deed": f"succeed {sid('a')}", "value:__x__": "much"}))
    assert "<dd><bdi>much</bdi></dd>" in text and "stay" in text
    text = step(tried, tried.post("/playbooks/1/try", {"deed": f"decide {sid('b')}", "option": "stay"}))
    assert "The run is over." in text and "<dd><bdi>stay</bdi></dd>" in text
    text = step(tried, tried.post("/playbooks/1/try", {"back": "1"}))
    assert "The run is over." not in text and "<dd><bdi>much</bdi></dd>" in text
    with desk.store.read() as tx:
        assert tx.execute(select(Run)).first() is None


@pytest.mark.parametrize("told", [
    {"script": "{"}, {"script": "[]"}, {"script": '{"start": 3}'}, {"script": '{"start": "x", "events": [1]}'},
    {"script": '{"start": "2026-11-22T09:00:00Z", "events": [{"what": "x"}]}'}, {"deed": "succeed nowhere"},
    {"script": '{"start": "2026-11-22T09:00:00Z", "events": [], "now": "9999-12-31T23:59:59Z"}', "minutes": "60"},
])  # fmt: skip
def test_a_story_that_cannot_be_read_is_refused_in_words(tried: Any, told: dict[str, str]) -> None:
    answer = tried.post("/playbooks/1/try", told)
    assert answer.status_code == 422 and "There is a problem" in answer.text

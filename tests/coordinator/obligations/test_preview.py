"""What facts would owe, and business days by a table of holidays."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from coordinator import clock
from coordinator.cli import main
from coordinator.errors import Invalid
from coordinator.incidents.holds import lock_incident
from coordinator.interchange.world import load_world
from coordinator.obligations import queries, register, service
from coordinator.obligations.calendars import calendar_of, holidays
from coordinator.obligations.preview import Rule, preview, read
from coordinator.store import Store
from tests.alerting import put_incident
from tests.factories import World

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
RULES = [Rule(terms) for terms in register.shipped_rules()]
EU = {"jurisdictions": ["EU"], "roles": ["essential or important entity"]}


def owed(facts: dict[str, Any], **more: Any) -> list[tuple[str, str | None]]:
    return [(each["rule"], each["due_at"]) for each in preview(read({"facts": facts, **more}), RULES, now=NOW)]


def test_facts_owe_what_the_rules_of_their_jurisdiction_and_role_say_soonest_first() -> None:
    facts = {"aware_at": "2026-11-23T08:40:00Z", "aware_fidelity": "hour", "entity": EU}
    assert owed(facts) == [("EU-NIS2-EW", "2026-11-24T08:00:00Z"), ("EU-NIS2-IN", "2026-11-26T08:00:00Z")]
    later = {**facts, "submitted_at:EU-NIS2-IN": "2026-11-24T10:00:00Z"}
    assert owed(later)[-1] == ("EU-NIS2-FR", "2026-12-24T10:00:00Z")
    line = preview(read({"facts": facts}), RULES, now=NOW)[0]
    assert (line["binding"], line["soft"], line["basis"], line["status"]) == (False, False, "aware_at", "running")


@pytest.mark.parametrize(
    ("facts", "there", "missing"),
    [
        ({"aware_at": "2026-11-23T08:00:00Z"}, "IN-CERTIN", "US-CIRCIA-CCI"),  # any place named, none not in force
        ({"aware_at": "2026-08-01T08:00:00Z"}, "EU-NIS2-EW", "EU-CRA-EW"),  # not yet then
        ({"high_risk_at": "2026-11-23T08:00:00Z"}, "EU-GDPR-34", "EU-GDPR-33"),
        ({"aware_at": "2026-11-23T08:00:00Z", "entity": {"jurisdictions": ["us"]}}, "", "EU-NIS2-EW"),
    ],
)
def test_a_rule_counts_where_it_is_in_force_then_and_its_instant_is_known(
    facts: dict[str, Any], there: str, missing: str
) -> None:
    found = dict(owed(facts))
    assert missing not in found and (not there or there in found)
    assert "AGR-ACK" not in found


def test_what_is_owed_without_undue_delay_has_a_target_and_no_deadline() -> None:
    line = preview(read({"facts": {"cross_border_at": "2026-11-23T08:00:00Z"}}), RULES, now=NOW)[0]
    assert (line["due_at"], line["soft"]) == (None, True)


def test_business_days_leave_the_given_holidays_out() -> None:
    facts = {"material_at": "2026-11-23T15:00:00Z"}  # a Monday; Thursday is Thanksgiving
    assert owed(facts) == [("US-SEC-8K", "2026-11-27T15:00:00Z")]
    assert owed(facts, holidays=["2026-11-26"]) == [("US-SEC-8K", "2026-11-30T15:00:00Z")]


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({}, "/facts"), ({"facts": {"aware_at": "yesterday"}}, "/facts/aware_at"),
        ({"facts": {"aware_at": "2026-11-23T08:00:00"}}, "/facts/aware_at"),
        ({"facts": {"aware_fidelity": "about"}}, "/facts/aware_fidelity"),
        ({"facts": {}, "holidays": ["Thanksgiving"]}, "/holidays/0"), ({"facts": {}, "more": 1}, "/more"),
        ({"facts": {"entity": {"jurisdictions": "EU"}}}, "/facts/entity/jurisdictions"),
    ],
)
def test_a_preview_that_cannot_be_read_names_the_place(document: Any, pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(document)
    assert refused.value.errors[0].pointer.startswith(pointer.removesuffix("/0")), refused.value.errors


def test_the_command_says_what_facts_would_owe_and_needs_no_database(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "facts.json"
    file.write_text(json.dumps({"facts": {"aware_at": "2026-11-23T08:00:00Z", "entity": EU}}))
    assert main(["obligations", "preview", str(file)]) == 0
    assert [each["rule"] for each in json.loads(capsys.readouterr().out)] == ["EU-NIS2-EW", "EU-NIS2-IN"]
    file.write_text('{"facts": {"aware_at": "soon"}}')
    assert main(["obligations", "preview", str(file)]) == 1
    assert "/facts/aware_at" in capsys.readouterr().err


def test_a_table_of_holidays_comes_with_the_world_file_and_an_empty_one_is_said(store: Store, world: World) -> None:
    now = clock.now()
    monday = (now - timedelta(days=now.weekday() + 7)).replace(hour=12, minute=0)
    with store.unit_of_work() as tx:
        register.ship_rules(tx)
        first, second = (put_incident(tx).id for _ in range(2))
        row = service.start(tx, lock_incident(tx, first), "US-SEC-8K", actor="system", basis_at=monday)
        assert row.due_at == monday + timedelta(days=4)  # Friday
        assert queries.of_incident(tx, first)[0]["calendar"] == {"jurisdiction": "US", "holidays": 0, "until": None}
    day = (monday + timedelta(days=2)).date().isoformat()
    raw = json.dumps({"settings": {"holidays": {"US": [day, day]}}}).encode()
    with store.unit_of_work() as tx:
        assert load_world(tx, raw, actor="cli:test", digest="0" * 64) == ["setting holidays: added"]
        row = service.start(tx, lock_incident(tx, second), "US-SEC-8K", actor="system", basis_at=monday)
        assert row.due_at == monday + timedelta(days=7)  # over the weekend
        told = queries.of_incident(tx, second)[0]["calendar"]
        assert told == {"jurisdiction": "US", "holidays": 1, "until": day}
        assert calendar_of(register.shipped_rules()[0], holidays(tx)) is None  # elapsed hours need none
    with pytest.raises(Invalid) as refused, store.unit_of_work() as tx:
        load_world(tx, b'{"settings": {"holidays": {"US": ["Thanksgiving"]}}}', actor="cli:test", digest="0" * 64)
    assert refused.value.errors[0].pointer == "/settings/holidays"

"""The command line: what each command says, and with which exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select, text

from coordinator import clock, config
from coordinator.accounts.service import create_user
from coordinator.cli import main
from coordinator.store import Store
from coordinator.timeline import pending
from coordinator.timeline.models import Pending
from coordinator.timeline.queries import entries
from playbooks.library import shipped

WORLD = {
    "settings": {"own_organisation": "AA-MFA", "duty_role": "duty-officer"},
    "organisations": [{"code": "AA-MFA", "name": "Ours", "kind": "ministry", "country": "EE", "communities": []}],
    "users": [{"email": "coordinator@aa.example", "name": "Coordinator", "role": "coordinator"}],
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("COORDINATOR_DATABASE_URL", "COORDINATOR_REDIS_URL", "COORDINATOR_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "var"


def file(tmp_path: Path, content: object, name: str = "in.json") -> str:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return str(path)


def test_a_world_file_is_loaded_once_and_a_second_time_changes_nothing(home, tmp_path, capsys):
    world = file(tmp_path, WORLD)
    assert main(["load", world, "--data", str(home)]) == 0
    assert "organisation AA-MFA: added" in capsys.readouterr().out
    assert main(["load", world, "--data", str(home)]) == 0
    assert capsys.readouterr().out.startswith("Nothing to change")


def test_a_fault_in_a_world_file_names_its_pointer_and_nothing_is_loaded(home, tmp_path, capsys):
    broken = {**WORLD, "users": [{"email": "x", "name": "N", "role": "king"}]}
    assert main(["load", file(tmp_path, broken), "--data", str(home)]) == 1
    said = capsys.readouterr().err
    assert "/users/0/email: " in said and "/users/0/role: " in said and "king" not in said
    assert main(["user", "link", "coordinator@aa.example", "--data", str(home)]) == 1


def test_nobody_clears_in_anothers_name_with_a_token_made_at_the_command_line(home, tmp_path, capsys):
    assert main(["load", file(tmp_path, WORLD), "--data", str(home)]) == 0
    token = ["token", "add", "--email", "coordinator@aa.example", "--name", "x", "--data", str(home), "--scope"]
    assert main([*token, "decide"]) == 0, "a first world, before anybody has enrolled"
    store = Store(config.load(data_dir=home))
    with store.unit_of_work() as tx:
        user = create_user(tx, email="admin@aa.example", name="A", role="administrator", actor="cli:test")
        user.enrolled_at = clock.now()
    store.close()
    capsys.readouterr()
    assert main([*token, "decide"]) == 1 and "made by its owner" in capsys.readouterr().err
    assert main([*token, "read"]) == 0
    wanted = ["--email", "b@aa.example", "--name", "B", "--role", "analyst"]
    assert main(["user", "add", *wanted, "--data", str(home)]) == 0
    said = capsys.readouterr().out
    assert "second person" in said and "/sign-in/" not in said


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_file_that_is_no_world_is_refused_in_words(home, tmp_path, capsys, content):
    assert main(["load", file(tmp_path, content), "--data", str(home)]) == 1
    assert capsys.readouterr().err.strip()


def test_a_file_that_is_not_there_is_named(home, capsys):
    assert main(["load", "/nowhere/world.json", "--data", str(home)]) == 1
    assert "/nowhere/world.json" in capsys.readouterr().err


def test_users_links_and_tokens_are_made_and_printed_once(home, tmp_path, capsys):
    main(["load", file(tmp_path, WORLD), "--data", str(home)])
    capsys.readouterr()
    add = ["user", "add", "--email", "duty@aa.example", "--name", "Duty", "--role", "duty-officer"]
    assert main([*add, "--organisation", "AA-MFA", "--data", str(home)]) == 0
    assert "/sign-in/" in capsys.readouterr().out
    assert main([*add, "--data", str(home)]) == 1, "the address is taken"
    assert main(["user", "link", "duty@aa.example", "--data", str(home)]) == 0
    assert "/sign-in/" in capsys.readouterr().out
    token = ["token", "add", "--email", "coordinator@aa.example", "--name", "script", "--data", str(home), "--scope"]
    assert main([*token, "read", "coordinate"]) == 0
    assert capsys.readouterr().out.startswith("ct_")
    assert main([*token, "admin"]) in (0, 1)
    assert main([*token, "root"]) == 1
    assert "/scopes/0" in capsys.readouterr().err


def test_the_record_verifies_is_signed_and_a_change_is_named(home, tmp_path, capsys):
    main(["load", file(tmp_path, WORLD), "--data", str(home)])
    capsys.readouterr()
    assert main(["record", "checkpoint", "--data", str(home)]) == 0
    kept = file(tmp_path, capsys.readouterr().out.encode(), "kept.json")
    assert main(["record", "verify", "--data", str(home), "--against", kept]) == 0
    assert capsys.readouterr().out.startswith("ok ")
    store = Store(config.load({}, data_dir=home))
    with store.unit_of_work() as tx:
        tx.execute(text("DROP TRIGGER entries_no_update"))
        tx.execute(text("UPDATE entries SET actor = 'user:9' WHERE seq = 2"))
    store.close()
    assert main(["record", "verify", "--data", str(home)]) == 1
    assert "chain record, entry 2" in capsys.readouterr().out


def test_an_empty_record_cannot_be_signed(home, capsys):
    assert main(["record", "checkpoint", "--data", str(home)]) == 1
    assert "nothing to sign" in capsys.readouterr().err


def test_doctor_says_what_is_wrong_and_lists_settings_without_secrets(home, capsys, monkeypatch):
    assert main(["migrate", "--data", str(home)]) == 0
    capsys.readouterr()
    assert main(["doctor", "--data", str(home)]) == 1
    said = capsys.readouterr().out
    assert "wrong own organisation:" in said and "wrong processes:" in said
    monkeypatch.setenv("COORDINATOR_SECRET_KEY", "s3cret-value")
    monkeypatch.setenv("COORDINATOR_SMTP_URL", "smtp://user:pass-word@mail.example:25")
    assert main(["doctor", "--settings", "--data", str(home)]) == 0
    said = capsys.readouterr().out
    assert "COORDINATOR_SECRET_KEY = set" in said and "s3cret-value" not in said and "pass-word" not in said


@pytest.mark.parametrize(("name", "value"), [
    ("DATABASE_URL", "mysql://x"), ("BASE_URL", "ftp://x"), ("SMTP_URL", "http://x"), ("TRUSTED_PROXIES", "many"),
    ("OUTBOUND_ALLOW_PRIVATE", "perhaps"), ("MAX_BODY_BYTES", "-1"), ("REDIS_URL", "localhost"),
])  # fmt: skip
def test_a_wrong_setting_stops_the_start_with_a_sentence_that_names_it(home, capsys, monkeypatch, name, value):
    monkeypatch.setenv(f"COORDINATOR_{name}", value)
    assert main(["doctor", "--data", str(home)]) == 1
    said = capsys.readouterr().err
    assert f"COORDINATOR_{name}" in said and "Traceback" not in said


def test_shipped_playbooks_pass_the_strict_check_and_a_broken_one_is_named_with_its_pointer(tmp_path, capsys):
    files = [file(tmp_path, raw, f"{number}.json") for number, (_, raw) in enumerate(shipped())]
    assert main(["playbook", "check", "--strict", *files]) == 0
    assert capsys.readouterr().out.count(": ok") == len(files)
    broken = json.loads(shipped()[0][1])
    broken["workflow_start"] = "start--00000000-0000-4000-8000-000000000000"
    assert main(["playbook", "check", file(tmp_path, broken)]) == 1
    assert "#/workflow_start: " in capsys.readouterr().out


def test_simulation_ends_with_the_code_of_how_the_run_ended(tmp_path, capsys):
    raw = next(raw for _, raw in shipped() if b"First hour" in raw)
    playbook = file(tmp_path, raw, "playbook.json")
    events = file(tmp_path, {"start": "2026-03-01T00:00:00Z", "events": []}, "events.json")
    assert main(["playbook", "simulate", playbook, "--events", events]) == 4
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["what"], last["state"]) == ("run", "waiting")
    assert main(["playbook", "simulate", playbook, "--events", file(tmp_path, {"events": []})]) == 1


def test_sharing_cases_are_decided_one_a_line_and_malformed_ones_name_their_pointer(tmp_path, capsys):
    case = {
        "item": {"tlp": "CLEAR", "info_category": "statistics"}, "purpose": "situational-awareness", "agreements": [],
        "recipient": {"party": "BB", "type": "org", "channel": {"kind": "portal", "encrypted": True}},
    }  # fmt: skip
    assert main(["sharing", "evaluate", file(tmp_path, {"cases": [case, case]})]) == 0
    assert [json.loads(line)["result"] for line in capsys.readouterr().out.splitlines()] == ["permit", "permit"]
    case["item"] = {"tlp": "CLEAR"}
    assert main(["sharing", "evaluate", file(tmp_path, {"cases": [case]})]) == 1
    assert "/cases/0/item/info_category" in capsys.readouterr().err


def test_what_was_given_up_is_tried_again_when_somebody_asks(home, tmp_path, capsys):
    assert main(["retry", "--data", str(home)]) == 0
    assert capsys.readouterr().out == "Nothing was given up.\n"
    store = Store(config.load({}, data_dir=home))
    with store.unit_of_work() as tx:
        pending(tx, "note.added", 1)
        row = tx.execute(select(Pending)).scalar_one()
        row.dead, row.attempts = True, 12
    assert main(["retry", "--data", str(home)]) == 0
    assert capsys.readouterr().out.startswith("1 given up")
    with store.read() as tx:
        assert [(row.dead, row.attempts) for row in tx.execute(select(Pending)).scalars()] == [(False, 0)]
        assert entries(tx, incident_id=None)[-1]["kind"] == "job.revived"
    store.close()


@pytest.mark.parametrize(("given", "both"), [({"facts": {}}, False), ({"facts": {}}, True), ([], True)])
def test_a_command_whose_reader_has_left_ends_quietly_with_the_code_that_shells_know(
    tmp_path: Path, given: object, both: bool
) -> None:
    path = file(tmp_path, given)
    reads, writes = os.pipe()
    os.close(reads)
    line = f"import sys; from coordinator.cli import main; sys.exit(main(['obligations', 'preview', {path!r}]))"
    try:
        done = subprocess.run([sys.executable, "-c", line], stdout=writes,
                              stderr=writes if both else subprocess.PIPE, check=False)  # fmt: skip
    finally:
        os.close(writes)
    assert (done.returncode, done.stderr or b"") == (141, b"")

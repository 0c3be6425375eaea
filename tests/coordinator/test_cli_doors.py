"""Keys of partners and the register of exercises at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coordinator.cli import main
from coordinator.partners.signing import generate_secret


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A partner with an endpoint; the last words of every command."""
    for name in ("COORDINATOR_DATABASE_URL", "COORDINATOR_REDIS_URL", "COORDINATOR_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    world = {
        "organisations": [{"code": "FI-CSIRT", "name": "FI", "kind": "national-csirt", "country": "FI"}],
        "endpoints": [{"id": "fi-in", "organisation": "FI-CSIRT", "direction": "in", "secret": generate_secret()}],
    }
    (tmp_path / "world.json").write_text(json.dumps(world))
    rest = ["--data", str(tmp_path / "var")]
    assert main(["load", str(tmp_path / "world.json"), *rest]) == 0
    return rest


def test_a_key_is_rotated_listed_as_previous_and_revoked(home, capsys):
    capsys.readouterr()
    assert main(["endpoint", "rotate", "fi-in", "--overlap-days", "3", *home]) == 0
    line, secret = capsys.readouterr().out.splitlines()
    assert line == "endpoint fi-in: secret rotated" and secret.startswith("whsec_")
    assert main(["endpoint", "keys", "fi-in", *home]) == 0
    newest, before = capsys.readouterr().out.splitlines()
    assert newest.startswith("2 current") and before.startswith("1 previous until ") and secret not in newest
    assert main(["endpoint", "revoke", "1", "--reason", "stolen", *home]) == 0
    capsys.readouterr()
    main(["endpoint", "keys", "fi-in", *home])
    assert capsys.readouterr().out.splitlines()[1].startswith("1 revoked")


@pytest.mark.parametrize("words", [
    ["endpoint", "rotate", "fi-in", "--overlap-days", "0"], ["endpoint", "rotate", "nobody"],
    ["endpoint", "keys", "nobody"], ["endpoint", "revoke", "99", "--reason", "x"],
    ["endpoint", "revoke", "1", "--reason", " "], ["exercise", "end", "EX-1"], ["exercise", "list"],
    ["exercise", "put", "EX-1", "--title", "T", "--starts", "soon", "--ends", "2026-11-24T16:00:00Z"],
    ["exercise", "put", "EX-1", "--title", "T", "--starts", "2026-11-24T17:00:00Z", "--ends", "2026-11-24T16:00:00Z"],
])  # fmt: skip
def test_what_does_not_fit_is_refused_in_words(home, capsys, words):
    assert main([*words, *home]) == 1
    assert capsys.readouterr().err.strip()


def test_an_exercise_is_registered_listed_and_ended(home, capsys):
    words = ["exercise", "put", "EX-1", "--title", "T", "--starts", "2020-01-01T00:00:00Z", "--ends",
             "2199-01-01T00:00:00Z", "--with", "FI-CSIRT"]  # fmt: skip
    assert main([*words, *home]) == 0
    capsys.readouterr()
    assert main(["exercise", "list", *home]) == 0
    assert capsys.readouterr().out.startswith("EX-1 running: 2020-01-01T00:00:00")
    assert main(["exercise", "end", "EX-1", *home]) == 0
    capsys.readouterr()
    main(["exercise", "list", *home])
    assert capsys.readouterr().out.startswith("EX-1 over")

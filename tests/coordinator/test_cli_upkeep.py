"""Commands that keep the house standing: what they say, and with which exit code."""

from __future__ import annotations

from pathlib import Path

import pyotp
import pytest

from coordinator import config
from coordinator.accounts import factors, service, sessions
from coordinator.cli import main
from coordinator.store import Store
from coordinator.timeline import sending_hold
from tests.coordinator.test_cli import WORLD, file

EMAIL = "coordinator@aa.example"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DATABASE_URL", "REDIS_URL", "DATA_DIR", "MASTER_KEY_FILE"):
        monkeypatch.delenv(f"COORDINATOR_{name}", raising=False)
    home = tmp_path / "var"
    assert main(["load", file(tmp_path, WORLD), "--data", str(home)]) == 0
    return home


def enrolled(home: Path) -> pyotp.TOTP:
    """The authenticator of the coordinator of this world."""
    store = Store(config.load({}, data_dir=home))
    with store.unit_of_work() as tx:
        user = service.user_by_email(tx, EMAIL)
        token = sessions.open_session(tx, user, how="test")
        found = sessions.session_principal(tx, token)
        assert found is not None
        totp = pyotp.parse_uri(factors.begin_enrolment(tx, found[0]))
        assert isinstance(totp, pyotp.TOTP)
        factors.finish_enrolment(tx, found[0], password="correct horse battery", code=totp.now())
        user.totp_last_step = None  # as if it had been some time ago
    store.close()
    return totp


def test_sending_is_stopped_by_whoever_has_a_shell_and_resumed_only_by_a_person_with_a_code(home, capsys):
    totp = enrolled(home)
    here = ["--data", str(home)]
    assert main(["sending", "stop", "--reason", "Test", *here]) == 0
    assert capsys.readouterr().out == "All sending is on hold.\n"
    resume = ["sending", "resume", "--by", EMAIL, "--reason", "Over", *here]
    for refused in (resume, [*resume, "--code", "000000"], [*resume[:3], "nobody@aa.example", *resume[4:]]):
        assert main(refused) == 1
        assert "second factor" in capsys.readouterr().err
    assert main(["sending", "status", *here]) == 0
    assert "Sending is on hold; 0 wait" in capsys.readouterr().out
    assert main([*resume, "--code", totp.now()]) == 0
    assert capsys.readouterr().out == "Sending goes on.\n"
    assert main([*resume, "--code", totp.now()]) == 1  # the same code a second time
    store = Store(config.load({}, data_dir=home))
    with store.read() as tx:
        assert not sending_hold.kinds(tx)
    store.close()

"""`coordinator up`: ready, refused where it must be, and gone without a trace."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.processes import PATIENCE, command_of, descendants, is_alive, wait_for
from tests.workers.machine import ROOT

UP = (sys.executable, "-c", "import sys; from coordinator.cli import main; sys.exit(main())", "up")


def environment(**more: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COORDINATOR_")}
    return plain | {"PYTHONPATH": str(ROOT), "COORDINATOR_LOG_LEVEL": "ERROR"} | more


def start(folder: Path, *arguments: str) -> tuple[subprocess.Popen[str], list[str]]:
    """Start it and read up to the line that says it is ready."""
    process = subprocess.Popen(
        [*UP, "--data", str(folder), "--port", "0", *arguments], env=environment(), cwd=ROOT, text=True,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    lines = []
    for line in process.stdout or ():
        lines.append(line.strip())
        if line.startswith("First administrator"):
            break
    return process, lines


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, subprocess.Popen[str], list[str]]]:
    folder = tmp_path_factory.mktemp("up") / "var"
    process, lines = start(folder)
    yield folder, process, lines
    process.kill()
    process.wait()


def test_it_says_where_it_is_ready_and_every_part_is(running: tuple[Path, subprocess.Popen[str], list[str]]) -> None:
    url = running[2][0].removeprefix("Ready: ")
    with urllib.request.urlopen(f"{url}/readyz") as answer:
        assert answer.status == 200
    commands = " ".join(command_of(pid) for pid in descendants(running[1].pid))
    assert "workers.processes web" in commands and "workers.processes jobs" in commands


def test_the_first_administrators_link_is_in_a_file_for_its_owner_only(
    running: tuple[Path, subprocess.Popen[str], list[str]]
) -> None:
    file = running[0] / "first-administrator-link"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    link = file.read_text().strip()
    assert "/sign-in/" in link and link not in " ".join(running[2])
    with urllib.request.urlopen(link) as answer:  # looking at it does not spend it
        assert answer.status == 200


def test_a_link_made_at_the_command_line_leads_to_where_it_runs(
    running: tuple[Path, subprocess.Popen[str], list[str]]
) -> None:
    add = ["user", "add", "--email", "a@ee.example", "--name", "Ann", "--role", "analyst", "--data", str(running[0])]
    made = subprocess.run([*UP[:-1], *add], env=environment(), cwd=ROOT, capture_output=True, text=True, check=True)
    assert made.stdout.startswith(running[2][0].removeprefix("Ready: ") + "/sign-in/")
    with urllib.request.urlopen(made.stdout.strip()) as answer:
        assert answer.status == 200
    named = environment(COORDINATOR_BASE_URL="https://desk.example")
    link = ["user", "link", "a@ee.example", "--data", str(running[0])]
    made = subprocess.run([*UP[:-1], *link], env=named, cwd=ROOT, capture_output=True, text=True, check=True)
    assert made.stdout.startswith("https://desk.example/sign-in/")


def test_a_folder_is_run_by_one_tree_only(running: tuple[Path, subprocess.Popen[str], list[str]]) -> None:
    again = subprocess.run([*UP, "--data", str(running[0]), "--port", "0"], env=environment(), cwd=ROOT,
                           capture_output=True, text=True, check=False)  # fmt: skip
    assert again.returncode == 1 and "already running" in again.stderr and "Ready" not in again.stdout


def test_it_ends_on_request_and_leaves_no_process(running: tuple[Path, subprocess.Popen[str], list[str]]) -> None:
    process = running[1]
    family = descendants(process.pid)
    assert len(family) >= 7  # broker, web and two of its own, jobs, two workers, relay
    process.terminate()
    assert process.wait(PATIENCE) == 0
    wait_for(lambda: not any(is_alive(pid) for pid in family), what="every process to be gone")


def test_a_taken_port_and_an_open_door_are_refused_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for arguments, said in (
            (["--port", str(taken.getsockname()[1])], "Cannot listen"),
            (["--port", "0", "--host", "0.0.0.0"], "COORDINATOR_BASE_URL"),
        ):
            refused = subprocess.run([*UP, "--data", str(tmp_path / "var"), *arguments], env=environment(), cwd=ROOT,
                                     capture_output=True, text=True, check=False)  # fmt: skip
            assert refused.returncode == 1 and said in refused.stderr

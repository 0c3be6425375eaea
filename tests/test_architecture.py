"""The rules of the house that a machine can hold: who imports whom, how large a file grows, what is never called."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("coordinator", "workers", "playbooks")
FOLDERS = (*PACKAGES, "tests", "benchmarks")
MOST_LINES = 400
REFUSED_NAMES = {"utils", "helpers", "common", "misc", "manager", "base", "core"}

# Called with the module's import names spelt out, e.g. `from datetime import datetime` makes `datetime.now`.
REFUSED_CALLS = {
    "datetime.now": "coordinator.clock.now() is the one clock",
    "datetime.utcnow": "coordinator.clock.now() is the one clock",
    "datetime.datetime.now": "coordinator.clock.now() is the one clock",
    "date.today": "coordinator.clock.now() is the one clock",
    "time.time": "coordinator.clock.now() for instants, time.monotonic() for spans",
    "eval": "outside text is never a program",
    "exec": "outside text is never a program",
    "pickle.loads": "outside bytes are never a program",
    "pickle.load": "outside bytes are never a program",
    "yaml.load": "outside text is never a program",
    "os.system": "no shell",
}
OWN_CLOCK = ("coordinator/clock.py", "workers/demo/")  # the demo plays partners, who have clocks of their own
ROLES = {"models", "schema", "rules", "service", "queries", "intake", "items", "holds"}


def sources(*folders: str) -> list[Path]:
    return sorted(
        path for folder in folders for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts
    )


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def calls(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    lint = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as c; c()"
    return subprocess.run(
        [sys.executable, "-I", "-c", lint, "--no-cache"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "250"},  # or it folds the names of the contracts
        text=True,
        capture_output=True,
    )


def test_the_import_contracts_hold() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "statement", "contract"),
    [
        ("coordinator/incidents/planted.py", "import coordinator.alerts.models", "The rooms of the coordinator"),
        ("coordinator/planted.py", "", "The rooms of the coordinator"),
        ("workers/planted.py", "", "The rooms of the workers"),
        ("coordinator/web/planted.py", "import workers.app", "Workers stand on the coordinator"),
        ("playbooks/planted.py", "import coordinator.errors", "Workers stand on the coordinator"),
        ("coordinator/tasks/planted.py", "import flask", "Only the doors speak HTTP"),
        ("coordinator/tasks/planted.py", "import celery", "Only the workers know the job queue"),
        ("workers/app.py", "import redis", "One module talks to Redis"),
        ("coordinator/sharing/rules.py", "from coordinator.partners import models", "Rules, wording and playbooks"),
        ("coordinator/incidents/schema.py", "import sqlalchemy", "What describes outside data"),
    ],
)
def test_the_import_contracts_see_what_breaks_them(tmp_path: Path, file: str, statement: str, contract: str) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    with (tmp_path / file).open("a") as planted:
        planted.write(f"\n{statement}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1
    assert any(line.startswith(contract) and "BROKEN" in line for line in done.stdout.splitlines()), done.stdout


def test_no_file_grows_past_what_one_reader_holds_in_mind() -> None:
    pages = [path for folder in ("web", "api") for path in (ROOT / "coordinator" / folder).rglob("*.*")]
    written = sources(*FOLDERS) + [path for path in pages if path.suffix in (".js", ".css", ".html")]
    lines = {name_of(path): len(path.read_text().splitlines()) for path in [*written, ROOT / "run.py"]}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_no_module_is_named_after_nothing_in_particular() -> None:
    names = [path.relative_to(ROOT).with_suffix("") for path in sources(*FOLDERS)]
    assert [str(name) for name in names if REFUSED_NAMES & set(name.parts)] == []


def test_nothing_refused_is_called() -> None:
    found = [
        f"{name_of(path)}:{line}: {call}(): {REFUSED_CALLS[call]}"
        for path in sources(*PACKAGES)
        if not name_of(path).startswith(OWN_CLOCK)
        for call, line in calls(path)
        if call in REFUSED_CALLS
    ]
    assert found == []


def test_use_cases_leave_the_commit_to_the_door() -> None:
    rooms = [path for path in sources("coordinator") if path.stem in ROLES]
    assert len(rooms) > 20
    ending = (".commit", ".rollback", ".begin")
    assert [f"{name_of(path)}:{line}" for path in rooms for call, line in calls(path) if call.endswith(ending)] == []


def test_the_coordinator_asks_for_jobs_by_rows_only() -> None:
    asking = (".delay", ".apply_async", ".send_task")
    found = [
        f"{name_of(path)}:{line}"
        for path in sources("coordinator", "playbooks")
        for call, line in calls(path)
        if call.endswith(asking)
    ]
    assert found == []


def test_no_process_is_started_through_a_shell() -> None:
    found = [
        f"{name_of(path)}:{node.value.lineno}"
        for path in sources(*PACKAGES)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.keyword) and node.arg == "shell"
    ]
    assert found == []


def test_models_hold_tables_only() -> None:
    for path in (ROOT / "coordinator").rglob("models.py"):
        functions = [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
        assert functions == [], name_of(path)


def test_the_coordinator_can_be_imported_without_anything_else_coming_along() -> None:
    assert (ROOT / "coordinator" / "__init__.py").read_text().strip() == ""


#: Takes from a tenth of a second to more than one to load, and few processes ever use it.
RARE = ("alembic", "apispec", "celery", "jsonschema", "prometheus_client", "pysequoia", "rfc3987_syntax", "segno",
        "stix2validator", "webauthn")  # fmt: skip


def test_the_web_server_starts_without_what_few_processes_need() -> None:
    code = f"""
import sys
import coordinator.app, coordinator.web, workers.processes, workers.web_server
print(*(name for name in {RARE!r} if name in sys.modules))
"""
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert loaded.split() == []


@pytest.mark.parametrize("module", ["coordinator.cli", "workers.supervisor", "playbooks.interpreter"])
def test_what_starts_often_stays_light(module: str) -> None:
    """The supervisor lives as long as the system does; the command line and the interpreter start for every call."""
    heavy = {
        "coordinator.cli": {"celery", "workers.app"},
        "workers.supervisor": {"flask", "celery", "sqlalchemy", "redis", "coordinator", "asyncio", "http.client"},
        "playbooks.interpreter": {"flask", "celery", "sqlalchemy", "redis", "coordinator", "workers"},
    }[module]
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert heavy & set(done.stdout.split()) == set()

"""`run.py` on a small project with a lock file of its own: real environments and installers, own wheels, no network."""

import ast
import base64
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import types
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 120.0

# An installer needs a build backend for the project itself; this one lies in the project, so it needs no download.
BACKEND = """
import os, time, zipfile
def build_editable(folder, settings=None, metadata=None):
    open("reached", "w").close()
    while os.path.exists("hold"):
        time.sleep(0.02)
    name = "coordinator-0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        info = "coordinator-0.dist-info/"
        wheel.writestr("_coordinator.pth", os.getcwd())
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: coordinator\\nVersion: 0\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "entry_points.txt", "[console_scripts]\\ncoordinator = cli:main\\n")
        wheel.writestr(info + "RECORD", "")
    return name
"""
COMMAND = """
import leaf, os, sys
def main():
    print("command", leaf.VERSION, sys.argv[1:], os.getcwd())
    sys.exit(3)
"""
PYTEST = "import leaf, os, sys\nprint('pytest', leaf.VERSION, sys.argv[1:], os.getcwd())\n"


def make_wheel(folder: Path, name: str, version: str, files: Mapping[str, str]) -> str:
    """Write a wheel and return its line for a lock file."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    contents = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{file},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},\n"
        for file, text in contents.items()
    )
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in {**contents, f"{info}/RECORD": record + f"{info}/RECORD,,\n"}.items():
            wheel.writestr(file, text)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


class Checkout:
    """A project folder with run.py, and an environment in which only its own wheels can be installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkout"
        self.wheels = folder / "wheels"
        self.folder.mkdir()
        self.wheels.mkdir()
        shutil.copy(ROOT / "run.py", self.folder)
        (self.folder / "pyproject.toml").write_text(
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
            '[project]\nname = "coordinator"\nversion = "0"\n'
        )
        (self.folder / "backend.py").write_text(BACKEND)
        (self.folder / "cli.py").write_text(COMMAND)
        self.pytest = make_wheel(self.wheels, "pytest", "1", {"pytest.py": PYTEST})
        self.lock_leaf("1")

    def lock_leaf(self, version: str) -> None:
        line = make_wheel(self.wheels, "leaf", version, {"leaf.py": f"VERSION = {version}\n"})
        (self.folder / "requirements.lock").write_text(line)
        (self.folder / "requirements-dev.lock").write_text(line + self.pytest)

    def start(self, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.Popen[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.wheels),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_NO_CACHE_DIR": "1",
            "UV_OFFLINE": "1",
            "UV_NO_INDEX": "1",
            "UV_FIND_LINKS": str(self.wheels),
            "UV_NO_CACHE": "1",
            **environment,
        }
        return subprocess.Popen(
            [getattr(sys, "_base_executable", sys.executable), str(self.folder / "run.py"), *arguments],
            cwd=cwd or self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *arguments: str, cwd: Path | None = None, **environment: str) -> tuple[int, str, str]:
        process = self.start(*arguments, cwd=cwd, **environment)
        out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out, err


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture
def module() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("run_under_test", ROOT / "run.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_first_start_prepares_and_the_next_needs_no_installer(checkout: Checkout, tmp_path: Path) -> None:
    code, out, err = checkout.run("up", "--port", "0", cwd=tmp_path)
    assert (code, out) == (3, f"command 1 ['up', '--port', '0'] {tmp_path}\n"), err
    assert "preparing .venv from requirements.lock" in err
    shutil.rmtree(checkout.wheels)
    assert checkout.run("doctor") == (3, f"command 1 ['doctor'] {checkout.folder}\n", "")


def test_the_test_command_adds_its_packages_and_runs_in_the_checkout(checkout: Checkout, tmp_path: Path) -> None:
    code, out, err = checkout.run("test", "-q", "tests/x.py", cwd=tmp_path, CI="")
    assert code == 0, err
    assert out.startswith("pytest 1 ['-q', 'tests/x.py'")
    assert out.endswith(f" {checkout.folder}\n")
    assert checkout.run("doctor")[2] == ""  # what the command needs was prepared with it


def test_bytecode_is_kept_and_lies_in_the_environment_where_none_is_wanted_beside_the_sources(
    checkout: Checkout,
) -> None:
    assert checkout.run(PYTHONDONTWRITEBYTECODE="1")[0] == 3
    assert [*(checkout.folder / ".venv" / "bytecode").rglob("leaf.*.pyc")]
    assert not (checkout.folder / "__pycache__").exists()


def test_a_changed_lock_file_is_followed(checkout: Checkout) -> None:
    checkout.run("up")
    checkout.lock_leaf("2")
    code, out, err = checkout.run("up")
    assert out.startswith("command 2 "), err


def test_two_starts_at_once_prepare_once(checkout: Checkout) -> None:
    both = [checkout.start("first"), checkout.start("second")]
    ended = [process.communicate(timeout=PATIENCE) for process in both]
    assert [process.returncode for process in both] == [3, 3], ended
    assert sum("prepared in" in err for _, err in ended) == 1


def test_a_start_killed_halfway_is_repaired_by_the_next_which_waits_for_its_installer(checkout: Checkout) -> None:
    (checkout.folder / "hold").touch()
    first = checkout.start("up")
    deadline = time.monotonic() + PATIENCE
    while not (checkout.folder / "reached").exists():
        assert time.monotonic() < deadline and first.poll() is None
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    second = checkout.start("up")
    assert second.stderr
    assert "waiting for it" in second.stderr.readline()
    (checkout.folder / "hold").unlink()
    out, err = second.communicate(timeout=PATIENCE)
    first.communicate()
    assert (second.returncode, out) == (3, f"command 1 ['up'] {checkout.folder}\n"), err


def test_a_checkout_that_was_moved_is_prepared_again(checkout: Checkout, tmp_path: Path) -> None:
    checkout.run("up")
    checkout.folder = checkout.folder.rename(tmp_path / "moved")
    code, out, err = checkout.run("up")
    assert out == f"command 1 ['up'] {tmp_path / 'moved'}\n", err
    script = (checkout.folder / ".venv" / "bin" / "coordinator").read_text()
    assert str(tmp_path / "checkout") not in script


def test_an_environment_that_does_not_work_is_made_afresh(checkout: Checkout) -> None:
    (checkout.folder / ".venv" / "bin").mkdir(parents=True)
    (checkout.folder / ".venv" / "bin" / "python").symlink_to("/nonexistent/python3")
    code, out, err = checkout.run("up")
    assert out.startswith("command 1"), err


def test_a_package_that_differs_from_the_lock_is_refused_in_plain_words(checkout: Checkout) -> None:
    make_wheel(checkout.wheels, "leaf", "1", {"leaf.py": "VERSION = 'not what was locked'\n"})
    code, out, err = checkout.run("up")
    assert (code, out) == (1, "")
    assert "could not install requirements.lock" in err
    assert "hash" in err.lower()
    assert "Traceback" not in err


def test_without_any_installer_it_says_what_to_install(
    module: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "installers", lambda: iter(()))
    with pytest.raises(module.NotPrepared, match="needs pip.*python3-pip.*uv"):
        module.install(Path("requirements.lock"), 0)


def test_it_needs_the_standard_library_only_and_old_pythons_can_read_it() -> None:
    tree = ast.parse((ROOT / "run.py").read_text(), feature_version=(3, 6))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


@pytest.mark.parametrize(
    ("given", "missing", "expected"),
    [
        (["-q"], {}, ["-q"]),
        (["-q"], {"browser": "b"}, ["-q", "-m", "not browser"]),
        ([], {"browser": "b", "postgresql": "p"}, ["-m", "not browser and not postgresql"]),
        (["-m", "slow or chaos"], {"browser": "b"}, ["-m", "slow or chaos", "-m", "not browser and (slow or chaos)"]),
        (["-mslow"], {"browser": "b"}, ["-mslow", "-m", "not browser and (slow)"]),
    ],
)
def test_tests_whose_program_is_missing_are_left_out_with_a_line(
    module: types.ModuleType,
    capsys: pytest.CaptureFixture[str],
    given: list[str],
    missing: dict[str, str],
    expected: list[str],
) -> None:
    assert module.select_tests(given, missing=missing, in_ci=False) == expected
    assert len(capsys.readouterr().err.splitlines()) == len(missing)


def test_in_ci_a_missing_program_is_a_failure(module: types.ModuleType) -> None:
    with pytest.raises(module.NotPrepared, match="no Chromium"):
        module.select_tests([], missing={"browser": "no Chromium on PATH"}, in_ci=True)


@pytest.mark.parametrize(
    ("value", "expected"), [("1", True), ("true", True), ("", False), ("0", False), ("false", False)]
)
def test_ci_is_told_by_its_variable(module: types.ModuleType, value: str, expected: bool) -> None:
    assert module.in_ci({"CI": value}) is expected
    assert module.in_ci({}) is False


def test_programs_that_are_missing_are_found_out(
    module: types.ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "browser" in module.missing_programs()
    (tmp_path / "chromium").touch(mode=0o755)
    (tmp_path / "initdb").touch(mode=0o755)
    assert module.missing_programs() == {}


def pins(lock: str) -> dict[str, str]:
    """Package name to the whole of its entry, without the hashes."""
    lines = [line for line in (ROOT / lock).read_text().splitlines() if line[:1].isalnum()]
    return {line.partition("==")[0]: line.removesuffix(" \\") for line in lines}


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_every_locked_package_has_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert not [line for line in text.splitlines() if line.strip().startswith("--") and "--hash=sha256:" not in line]
    entries = text.replace("\\\n", "").splitlines()
    assert not [entry for entry in entries if "==" in entry and "--hash=sha256:" not in entry]
    assert len(pins(lock)) > 50


def test_the_tests_run_with_the_very_packages_that_are_shipped() -> None:
    shipped = pins("requirements.lock")
    tested = pins("requirements-dev.lock")
    assert {name: tested.get(name) for name in shipped} == shipped


def test_the_lock_files_hold_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for lock, wanted in (
        ("requirements.lock", [*project["dependencies"], *extras["build"]]),
        ("requirements-dev.lock", [*project["dependencies"], *extras["build"], *extras["dev"]]),
    ):
        locked = {name: entry.partition("==")[2].split()[0] for name, entry in pins(lock).items()}
        for requirement in map(Requirement, wanted):
            name = requirement.name.lower().replace("_", "-")
            assert name in locked, f"{requirement} is not in {lock}"
            assert locked[name] in requirement.specifier, f"{requirement} is {locked[name]} in {lock}"

"""What is built for the image is the whole program: every template, playbook and migration, and nothing else."""

import ast
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("coordinator", "workers", "playbooks")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built, as in the Dockerfile, from what .dockerignore lets through, with the backend that the lock file brings."""
    context = tmp_path_factory.mktemp("context")
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        source = ROOT / line[1:]
        if line.startswith("!") and source.is_dir():
            shutil.copytree(source, context / source.name, ignore=shutil.ignore_patterns("__pycache__"))
        elif line.startswith("!"):
            shutil.copy(source, context)
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel"], cwd=context, check=True)
    return zipfile.ZipFile(next((context / "dist").glob("*.whl")))


def test_every_file_of_the_packages_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    tracked = subprocess.run(["git", "ls-files", *PACKAGES], cwd=ROOT, check=True, capture_output=True, text=True)
    present = {name for name in tracked.stdout.splitlines() if (ROOT / name).exists()}
    assert len(present) > 50
    assert present - set(wheel.namelist()) == set()


def test_nothing_else_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    roots = {name.partition("/")[0] for name in wheel.namelist()}
    assert roots == {*PACKAGES, next(root for root in roots if root.endswith(".dist-info"))}


def test_the_commands_and_the_licence_are_declared(wheel: zipfile.ZipFile) -> None:
    info = next(name.partition("/")[0] for name in wheel.namelist() if ".dist-info/" in name)
    entries = wheel.read(f"{info}/entry_points.txt").decode()
    assert "coordinator = coordinator.cli:main" in entries
    assert "[coordinator.commands]\nworkers = workers.commands:register" in entries
    assert "Apache License" in wheel.read(f"{info}/licenses/LICENSE").decode()


def test_what_is_imported_is_asked_for_by_name() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    providers = packages_distributions()
    missing = {
        name
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for name in imported(path)
        if not asked & {canonicalize_name(provider) for provider in providers.get(name, [])}
    }
    assert missing == set()


def imported(path: Path) -> set[str]:
    """Top-level names of what a module imports that is neither ours nor Python's."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - set(PACKAGES)

"""What we depend on: pinned and hashed as a whole, free to use with our licence, and auditable by a command."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.audit.__main__ import main
from tests.audit.locked import LOCKS, ROOT, SILENT, is_free, licences, pinned

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.mark.parametrize("lock", LOCKS)
def test_everything_is_pinned_and_hashed(lock: str) -> None:
    found = pinned(lock)
    assert len(found) > 50
    assert [one for one in found if not one.hashes] == []


@pytest.mark.parametrize(
    ("lock", "asked"),
    [("requirements.lock", [PROJECT["dependencies"], PROJECT["optional-dependencies"]["build"]]),
     ("requirements-dev.lock", [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()])],
)  # fmt: skip
def test_everything_asked_for_is_locked_in_a_version_that_was_asked_for(lock: str, asked: list[list[str]]) -> None:
    versions = {canonicalize_name(one.name): Version(one.version) for one in pinned(lock)}
    for wanted in (Requirement(line) for lines in asked for line in lines):
        assert wanted.specifier.contains(versions[canonicalize_name(wanted.name)]), wanted


def test_tests_run_on_what_is_installed_elsewhere() -> None:
    ours, dev = ({(one.name, one.version) for one in pinned(lock)} for lock in LOCKS)
    assert ours - dev == set()


def test_licences_of_what_we_ship_with_are_free_to_use_with_apache_2() -> None:
    said = {}
    for one in pinned("requirements.lock"):
        try:
            said[one.name] = licences(one.name)
        except PackageNotFoundError:  # of another version of Python or another system
            continue
    assert len(said) > 70
    assert {name: found for name, found in said.items()
            if name not in SILENT and not any(is_free(each) for each in found)} == {}  # fmt: skip


@pytest.mark.parametrize("licence", ["GPL-3.0-only", "AGPL-3.0", "GNU General Public License v3 (GPLv3)", "", "Secret"])
def test_a_licence_that_binds_us_would_be_found(licence: str) -> None:
    assert not is_free(licence)


def test_the_audit_tells_what_is_known_and_says_plainly_when_nothing_is(httpserver: Any, capsys: Any) -> None:
    packages = {(one.name, one.version) for lock in LOCKS for one in pinned(lock)}
    httpserver.expect_ordered_request("/", method="POST").respond_with_json({"results": [{} for _ in packages]})
    httpserver.expect_ordered_request("/", method="POST").respond_with_json(
        {"results": [{"vulns": [{"id": "GHSA-x"}]}, *({} for _ in list(packages)[1:])]}
    )
    assert main(["--url", httpserver.url_for("/")]) == 0
    assert main(["--url", httpserver.url_for("/")]) == 1
    assert "GHSA-x" in capsys.readouterr().out
    assert main(["--url", "http://127.0.0.1:9/"]) == 2
    assert "NOT AUDITED" in capsys.readouterr().err

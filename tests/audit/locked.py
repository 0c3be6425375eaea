"""What the lock files pin, and what is known about it: its licences from its own metadata, its faults from an advisory
database that is asked over the network."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
#: The open source vulnerability database (https://google.github.io/osv.dev/post-v1-querybatch/).
ADVISORIES = "https://api.osv.dev/v1/querybatch"
_LINE = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^ ;\\]+)(?: ;[^\\]*)?(?: \\)?$")

#: Licences whose works may be used by an Apache-2.0 program, as they are written in metadata and classifiers.
FREE = (
    "MIT", "BSD", "Apache", "ISC", "PSF-2.0", "Python Software Foundation License",
    "MPL-2.0", "Mozilla Public License 2.0", "MIT-0",
    # The library is used as it is and can be replaced: LGPL 3, section 4.
    "LGPL-3.0-only", "GNU Lesser General Public License v3",
)  # fmt: skip
#: Whose metadata is silent, with where it is said instead.
SILENT = {"pyrage": "MIT, file LICENSE of github.com/woodruffw/pyrage"}


class NotAsked(Exception):
    """The advisory database could not be asked: nothing is known, which is not the same as nothing being wrong."""


@dataclass(frozen=True)
class Pinned:
    name: str
    version: str
    hashes: int


def pinned(lock: str) -> list[Pinned]:
    """Everything in a lock file. Raises ValueError for a line that is neither a pin, a hash nor a comment."""
    found: list[Pinned] = []
    for line in (ROOT / lock).read_text("utf-8").splitlines():
        if match := _LINE.match(line):
            found.append(Pinned(match[1], match[2], 0))
        elif re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?", line):
            found[-1] = Pinned(found[-1].name, found[-1].version, found[-1].hashes + 1)
        elif line and not line.lstrip().startswith("#"):
            raise ValueError(f"{lock}: neither pinned nor a hash: {line}")
    return found


def licences(name: str) -> list[str]:
    """What an installed distribution says of its licence, one for each choice: the expression, or else the classifiers,
    or else the old field."""
    said = metadata(name)
    if expression := said.get("License-Expression"):
        return str(expression).split(" OR ")
    classified = [one.rpartition(" :: ")[2] for one in said.get_all("Classifier", []) if one.startswith("License ::")]
    return [one for one in classified if one != "OSI Approved"] or [(said.get("License") or "").partition("\n")[0]]


def is_free(licence: str) -> bool:
    """Whether all parts of it begin with one of FREE."""
    parts = licence.replace("New ", "").split(" AND ")
    return all(any(part.startswith(free) for free in FREE) for part in parts)


def faults(packages: list[Pinned], *, url: str = ADVISORIES) -> dict[str, list[str]]:
    """Known faults: "name version" -> ids of advisories. Raises NotAsked."""
    queries = [{"package": {"name": one.name, "ecosystem": "PyPI"}, "version": one.version} for one in packages]
    try:
        answer = requests.post(url, json={"queries": queries}, timeout=30)
        answer.raise_for_status()
        results: list[dict[str, Any]] = answer.json()["results"]
    except (requests.RequestException, ValueError, KeyError) as error:
        raise NotAsked(type(error).__name__) from None
    if len(results) != len(packages):
        raise NotAsked("another number of answers than questions")
    return {
        f"{one.name} {one.version}": [each["id"] for each in result["vulns"]]
        for one, result in zip(packages, results, strict=True) if result.get("vulns")
    }  # fmt: skip

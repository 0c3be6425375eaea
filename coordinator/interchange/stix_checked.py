"""STIX 2.1 asked of its own committee's validator: what is demanded refuses, what is only recommended is remarked on.

Recommendations are looked at once the demands are met: their checks expect that, and only then are bounded. So the
schemas, which cost most, are asked once. A receiver may hold a sender to more (`Asked`): then remarks refuse too.
Sources: OASIS STIX 2.1; the numbers of checks are those of stix2-validator.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from coordinator.errors import Fault, Invalid
from coordinator.incidents.envelope import Remark
from coordinator.vocabulary.stix_checks import ASKS, CHECKS, says

VERSION = "2.1"
_MOST_FAULTS = 100
_PROPERTY = re.compile(r"\A[^\s:]*: ([a-z0-9_]{1,100}): ")
_NUMBER = re.compile(r"\A(?:[^\s:]*: )?\{(\d{3})\} ")
_ID = re.compile(r"[a-z0-9-]{3,60}--[0-9a-fA-F-]{36}")
Part = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Asked:
    """What is asked of a sender beside what STIX 2.1 demands: kinds of remarks that refuse, checks that are left out,
    or the only ones that are made. `schemas`: a folder with JSON schemas of one's own, by object type."""

    refuses: frozenset[str] = frozenset()
    without: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    schemas: str | None = None

    @classmethod
    def of(cls, words: Iterable[str], *, schemas: str | None = None) -> Asked:
        """By the words that are kept with an endpoint (`vocabulary.stix_checks`)."""
        said = list(words)
        numbers = {way: tuple(word.removeprefix(f"{way}-") for word in said if word.startswith(f"{way}-"))
                   for way in ("without", "only")}  # fmt: skip
        return cls(frozenset(said) & frozenset(ASKS), **numbers, schemas=schemas)

    def refused_for(self, remark: Remark) -> bool:
        return (remark.check if remark.check in ASKS else "recommended") in self.refuses


def check(bundle: Mapping[str, Any], objects: list[dict[str, Any]], asked: Asked) -> list[Remark]:
    """What is to be remarked on this bundle and its objects, each once for an object.

    Raises Invalid where a MUST of STIX 2.1 is not kept, or a remark of a kind that refuses is made.
    """
    shell = {name: value for name, value in bundle.items() if name != "objects"}
    parts: list[Part] = [("", shell), *((f"/objects/{index}", one) for index, one in enumerate(objects))]
    faults = list(_faults(parts, bundle, asked))
    if faults:
        raise Invalid(faults[:_MOST_FAULTS])
    remarks = list(dict.fromkeys([*_remarks(parts, asked), *_of_whole(bundle, asked)]))
    refused = [Fault(one.pointer, f"{says(one.check)} This is asked of you here (check {one.check}).")
               for one in remarks if asked.refused_for(one)]  # fmt: skip
    if refused:
        raise Invalid(refused[:_MOST_FAULTS])
    return remarks


# ---------------------------------------------------------------- what is demanded


def _faults(parts: list[Part], bundle: Mapping[str, Any], asked: Asked) -> Iterator[Fault]:
    # Half a second and 20 MB that only those need to whom partners send STIX.
    from stix2validator import ValidationOptions, validate_parsed_json

    options = {
        version: ValidationOptions(version=version, disabled=["all"], silent=True, schema_dir=asked.schemas,
                                   interop="interoperability" in asked.refuses)
        for version in ("2.0", VERSION)
    }  # fmt: skip
    for where, one in parts:
        try:
            errors = validate_parsed_json(one, options[_version(one, bundle)]).errors
        except RecursionError:
            yield Fault(where, "Make this simpler: it nests too deeply.")
            continue
        except Exception:  # the validator raises bare errors of many kinds on what it cannot make sense of
            yield Fault(where, "This cannot be checked: look for another kind of value than STIX 2.1 has there, and "
                               "for what is observed and has no id.")
            continue
        for error in errors:
            yield _fault(where, str(error))


def _version(one: Mapping[str, Any], bundle: Mapping[str, Any]) -> str:
    """Of an object without a version it is 2.0, unless it is an observable; a bundle that says 2.0 says it of all."""
    if one.get("type") == "bundle":
        return VERSION
    if bundle.get("spec_version") == "2.0":
        return "2.0"
    return "2.0" if "spec_version" not in one and "created" in one else VERSION


def _fault(where: str, message: str) -> Fault:
    """Where, and that it is wrong. The validator's sentence repeats values, so it stays here."""
    named = _PROPERTY.match(message)
    return Fault(f"{where}/{named[1]}" if named else where, "This is not as STIX 2.1 demands: check it.")


# ---------------------------------------------------------------- what is recommended


def _remarks(parts: list[Part], asked: Asked) -> Iterator[Remark]:
    checks = _checks(asked)
    for where, one in parts:
        for kind, checked in checks:
            for message in _found(checked, one):
                yield _remark(where, one, kind, message)


def _checks(asked: Asked) -> list[tuple[str, Callable[[Any], Any]]]:
    """(kind where the check itself does not say a number, check) for each that is to be made."""
    from stix2validator import ValidationOptions
    from stix2validator.v21 import musts, shoulds

    options = ValidationOptions(
        version=VERSION, silent=True, disabled=",".join(asked.without), enabled=",".join(asked.only)
    )
    checks: list[tuple[str, Callable[[Any], Any]]] = [("", each) for each in shoulds.list_shoulds(options)]
    if "types" in asked.refuses:
        checks.append(("types", shoulds.types_strict))
    if "properties" in asked.refuses:
        checks.append(("properties", shoulds.properties_strict))
    if "401" in asked.without:  # how names in patterns begin is the validator's to ask then
        checks.append(("101", lambda one: musts.patterns(one, options)))
    return checks


def _of_whole(bundle: Mapping[str, Any], asked: Asked) -> Iterator[Remark]:
    """What can be seen only where all objects are together."""
    from stix2validator.v21 import interop, shoulds

    whole: list[tuple[str, Callable[[Any], Any]]] = []
    if not {"2", "203"} & set(asked.without) and (not asked.only or {"2", "203"} & set(asked.only)):
        whole.append(("203", shoulds.duplicate_ids))
    if "references" in asked.refuses:
        whole.append(("references", shoulds.enforce_relationship_refs))
    if "interoperability" in asked.refuses:
        whole.append(("interoperability", interop.interop_created_by_ref))
    for kind, checked in whole:
        for message in _found(checked, bundle, alone=True):
            yield _remark("", bundle, kind, message)


def _found(checked: Callable[[Any], Any], one: Mapping[str, Any], *, alone: bool = False) -> list[str]:
    """What a check says of an object and of objects within it; nothing where it cannot make sense of them."""
    said: list[str] = []
    try:
        result = checked(one)
        if isinstance(result, Exception):
            said.append(_said(result))
        elif result is not None:
            said += [_said(each) for each in result]
    except Exception:  # a recommendation that cannot be looked at refuses nothing
        return said
    within = (each for value in one.values() if isinstance(value, list) for each in value) if not alone else ()
    for each in within:
        if isinstance(each, Mapping) and "id" in each and "type" in each:
            said += _found(checked, each)
    return said


def _said(error: Exception) -> str:
    return str(getattr(error, "message", ""))


def _remark(where: str, one: Mapping[str, Any], kind: str, message: str) -> Remark:
    number = _NUMBER.match(message)
    number_or_kind = number[1] if number and number[1] in CHECKS else kind or "401"
    about = CHECKS[number_or_kind][0]
    name = str(one.get("id", ""))
    return Remark(
        number_or_kind, f"{where}/{about}" if about and where else where, name if _ID.fullmatch(name) else ""
    )

"""Everything that is wrong with a document: shapes, references, control flow, variables, and our own extension.

Two measures. A fault leaves the run unsafe or ambiguous and is one by either measure. A warning breaks a rule of CACAO
2.0 that a run can live with; `strict`, for our own documents and for what we export, makes it a fault. Documents are
taken for hostile: every look at them is bounded.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from playbooks.definition_checks import check_definitions
from playbooks.document import STEP_TYPES, DocumentFault, as_document, canonical, escape, parse
from playbooks.durations import read_instant
from playbooks.faults import EnoughFaults, Fault, Findings
from playbooks.flow_checks import check_flow
from playbooks.graph import TooEntangled, build
from playbooks.shapes import check_shape, knows
from playbooks.step_checks import check_steps

MAX_STEPS = 2_000
MAX_VARIABLES = 1_000

__all__ = ["Fault", "check"]


def check(document: bytes | Mapping[str, Any], strict: bool = False, *, now: datetime | None = None) -> list[Fault]:
    """All that is wrong, each with its place; empty if nothing is. Never raises for what a document holds.

    `now` (aware) lets it say, when strict, that the validity has passed; without it time plays no part.
    """
    findings = Findings(strict)
    try:
        found = parse(document) if isinstance(document, bytes) else as_document(dict(document))
        _check(findings, found, now)
        canonical(found)
    except DocumentFault as fault:
        findings.faults.append(Fault(fault.pointer, fault.sentence))
    except EnoughFaults:
        findings.faults.append(Fault("", "there are more faults than are listed here"))
    except TooEntangled:
        findings.faults.append(Fault("/workflow", "the steps lead to each other in too many ways to be looked through"))
    return list(dict.fromkeys(findings.faults))


def _check(findings: Findings, document: dict[str, Any], now: datetime | None) -> None:
    _refuse_sizes(document)
    check_shape(findings, document, "playbook", "")
    document = {name: value for name, value in document.items() if _has_its_kind(name, value)}
    _check_times(findings, document, now)
    _check_activities(findings, document)
    _check_empty_lists(findings, document)
    check_definitions(findings, document)
    workflow = document.get("workflow")
    if not isinstance(workflow, Mapping):
        return
    if not all([_check_step_shape(findings, key, body) for key, body in workflow.items()]):
        return
    graph = build(workflow)
    sound = check_flow(findings, document, graph)
    check_steps(findings, document, graph, acyclic=sound)


def _has_its_kind(name: str, value: Any) -> bool:
    """What has not even its JSON type has been told of, and is not looked into."""
    if name in ("workflow", "playbook_variables", "playbook_extensions") or name.endswith("_definitions"):
        return isinstance(value, Mapping)
    return True


def _refuse_sizes(document: Mapping[str, Any]) -> None:
    for name, most in (("workflow", MAX_STEPS), ("playbook_variables", MAX_VARIABLES), ("agent_definitions", MAX_STEPS),
                       ("target_definitions", MAX_STEPS), ("data_marking_definitions", 500),
                       ("extension_definitions", 500), ("authentication_info_definitions", 500)):
        found = document.get(name)
        if isinstance(found, Mapping) and len(found) > most:
            raise DocumentFault(f"/{name}", f"at most {most} are allowed here")


def _check_step_shape(findings: Findings, key: str, body: Any) -> bool:
    pointer = f"/workflow/{escape(key)}"
    if not isinstance(body, Mapping):
        findings.hard(pointer, "a step is an object")
        return False
    kind = body.get("type")
    if kind not in STEP_TYPES:
        findings.hard(f"{pointer}/type", f"a step is one of {', '.join(STEP_TYPES)}")
        return False
    if not key.startswith(f"{kind}--"):
        findings.soft(pointer, f"the id of this step begins with {kind}--")
    elif not _is_identifier(key):
        findings.soft(pointer, "the id of a step ends in a UUID of version 1 to 5")
    sound = check_shape(findings, body, f"step/{kind}", pointer)
    commands = body.get("commands")
    for at, command in enumerate(commands if isinstance(commands, list) else []):
        named = f"command/{command.get('type')}" if isinstance(command, Mapping) else "command"
        place = f"{pointer}/commands/{at}"
        sound = check_shape(findings, command, named if knows(named) else "command", place) and sound
    return sound


def _is_identifier(key: str) -> bool:
    return check_shape(Findings(), key, "identifier", "")


def _check_times(findings: Findings, document: Mapping[str, Any], now: datetime | None) -> None:
    for name in ("created", "modified", "valid_from", "valid_until"):
        _check_instant(findings, document.get(name), f"/{name}")
    created, modified = read_instant(document.get("created")), read_instant(document.get("modified"))
    if created and modified and modified < created:
        findings.soft("/modified", "modified lies before created")
    since, until = read_instant(document.get("valid_from")), read_instant(document.get("valid_until"))
    if document.get("revoked") is True:  # CACAO 2.0, `revoked`: the validity is then not looked at
        findings.note("/revoked", "this playbook has been revoked and cannot be started")
        return
    if since and until and until <= since:
        findings.hard("/valid_until", "valid_until lies after valid_from")
    # A foreign document whose time is over is still a good document; a start refuses it (starting.py).
    if findings.strict and until and now and until <= now:
        findings.soft("/valid_until", "this playbook is not valid any more")


def _check_instant(findings: Findings, value: Any, pointer: str) -> None:
    if not isinstance(value, str) or not value.endswith("Z"):
        return
    fraction = value[:-1].partition(".")[2]
    if len(fraction) != 3:
        findings.soft(pointer, "an instant has exactly three decimals")
    if read_instant(value) is None and ":60" not in value and _has_form_of_instant(value):
        findings.hard(pointer, "there is no such day or hour")


def _has_form_of_instant(value: str) -> bool:
    return check_shape(Findings(), value, "timestamp", "")


def _check_activities(findings: Findings, document: Mapping[str, Any]) -> None:
    activities = document.get("playbook_activities")
    if document.get("playbook_types") and not activities:
        findings.soft("/playbook_types", "playbook_types asks for at least one of playbook_activities")
    if not isinstance(activities, list) or not isinstance(document.get("workflow"), Mapping):
        return
    types = document.get("playbook_types")
    if isinstance(types, list) and "notification" in types and "compose-content" not in activities:
        # Found missing in lawful documents, so that it stays a warning even for our own.
        findings.note("/playbook_activities", "a notification playbook has the activity compose-content")
    if not findings.strict:
        return
    used = {str(each.get("playbook_activity")) for each in _all_commands(document["workflow"])}
    for at, activity in enumerate(activities):
        if isinstance(activity, str) and activity not in used:
            findings.soft(f"/playbook_activities/{at}", "no command of the workflow carries this activity")


def _all_commands(workflow: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    lists = [body.get("commands") for body in workflow.values() if isinstance(body, Mapping)]
    return [each for found in lists if isinstance(found, list) for each in found if isinstance(each, Mapping)]


def _check_empty_lists(findings: Findings, document: Mapping[str, Any]) -> None:
    for name in ("derived_from", "related_to", "industry_sectors", "labels", "external_references", "markings",
                 "signatures", "playbook_activities"):
        if document.get(name) == []:
            findings.soft(f"/{name}", "a list that is given is not empty")

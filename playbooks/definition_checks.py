"""What a document defines for its steps: variables, agents and targets, markings, extensions, authentication."""

from collections.abc import Mapping
from typing import Any

from playbooks.coordination import EXTENSION_ID
from playbooks.document import escape
from playbooks.faults import Findings
from playbooks.shapes import check_shape, knows
from playbooks.variables import NAME, REFERENCE, SECRET_NAME, fault_of_value

_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "x-api-key", "api-key", "cookie", "x-auth-token"})
_FAMILIES = {
    "agent_definitions": "actor", "target_definitions": "actor", "authentication_info_definitions": "authentication",
    "data_marking_definitions": "marking",
}
_EXTENSION_SLOTS = ("agent_target_extensions", "authentication_info_extensions", "marking_extensions")


def check_definitions(findings: Findings, document: Mapping[str, Any]) -> None:
    """All definitions at the top of the document, and the extension at playbook level."""
    check_variables(findings, document.get("playbook_variables"), "/playbook_variables", top=True)
    for name, family in _FAMILIES.items():
        for key, body in _objects(document, name):
            _check_one(findings, document, body, family, f"/{name}/{escape(key)}")
    _check_markings(findings, document)
    extensions = document.get("playbook_extensions")
    check_extensions(findings, document, extensions, "/playbook_extensions")
    if isinstance(extensions, Mapping) and isinstance(ours := extensions.get(EXTENSION_ID), Mapping):
        pointer = f"/playbook_extensions/{EXTENSION_ID}"
        if ours.get("kind") != "playbook":
            findings.hard(f"{pointer}/kind", "at playbook level the extension's kind is playbook")
        else:
            check_shape(findings, ours, "playbook", pointer, book="coordination")


def _objects(document: Mapping[str, Any], name: str) -> list[tuple[str, Mapping[str, Any]]]:
    found = document.get(name)
    pairs = found.items() if isinstance(found, Mapping) else ()
    return [(key, body) for key, body in pairs if isinstance(body, Mapping)]


def _check_one(
    findings: Findings, document: Mapping[str, Any], body: Mapping[str, Any], family: str, pointer: str
) -> None:
    named = f"{family}/{body.get('type')}"
    if family == "marking" and not knows(named):
        findings.hard(f"{pointer}/type", "a marking is marking-statement, marking-tlp or marking-iep")
        return
    if knows(named) or knows(family):
        check_shape(findings, body, named if knows(named) else family, pointer)
    _check_secrets(findings, body, pointer)
    for slot in _EXTENSION_SLOTS:
        check_extensions(findings, document, body.get(slot), f"{pointer}/{slot}")
    wanted = body.get("authentication_info")
    if isinstance(wanted, str) and wanted not in (document.get("authentication_info_definitions") or {}):
        findings.hard(f"{pointer}/authentication_info", "this is not in authentication_info_definitions")


def _check_secrets(findings: Findings, body: Mapping[str, Any], pointer: str) -> None:
    """A secret in a document is a secret no more: it comes by variable or from a key store."""
    for name, value in body.items():
        literal = isinstance(value, str) and value != "" and not REFERENCE.fullmatch(value.strip())
        if literal and SECRET_NAME.search(name) and name != "kms_key_identifier":
            findings.hard(f"{pointer}/{escape(name)}", "a secret may not stand in a playbook; give it by variable")


def check_headers(findings: Findings, headers: Any, pointer: str) -> None:
    """No secret in the headers of an HTTP command."""
    if not isinstance(headers, Mapping):
        return
    for name, values in headers.items():
        if str(name).lower() in _SECRET_HEADERS and not any(":value" in str(each) for each in values or []):
            findings.hard(f"{pointer}/{escape(str(name))}", "a secret may not stand in a playbook; give it by variable")


def check_variables(findings: Findings, raw: Any, pointer: str, *, top: bool) -> None:
    """Names, types and first values of declared variables."""
    if not isinstance(raw, Mapping):
        return
    for name, body in raw.items():
        place = f"{pointer}/{escape(str(name))}"
        if not NAME.fullmatch(str(name)):
            findings.soft(place, "a variable is named like __name__: two underscores around letters, digits, _ and -")
        if not isinstance(body, Mapping):
            continue
        fault = fault_of_value(str(body.get("type")), body.get("value"))
        if fault:
            findings.hard(f"{place}/value", fault)
        if body.get("external") is True and not top:
            findings.soft(f"{place}/external", "only a playbook's own variables come from outside")


def _check_markings(findings: Findings, document: Mapping[str, Any]) -> None:
    defined = document.get("data_marking_definitions")
    defined = defined if isinstance(defined, Mapping) else {}
    marked = document.get("markings")
    for at, each in enumerate(marked if isinstance(marked, list) else []):
        if isinstance(each, str) and each not in defined:
            findings.hard(f"/markings/{at}", "this marking is not in data_marking_definitions")
    for key, body in defined.items():
        if isinstance(body, Mapping) and body.get("id") != key:
            findings.soft(f"/data_marking_definitions/{escape(key)}/id", "the marking's id is the name it stands under")


def check_extensions(findings: Findings, document: Mapping[str, Any], used: Any, pointer: str) -> None:
    """Every extension in use is declared in extension_definitions."""
    defined = document.get("extension_definitions")
    for key in used if isinstance(used, Mapping) else ():
        if not isinstance(defined, Mapping) or key not in defined:
            findings.hard(f"{pointer}/{escape(str(key))}", "this extension is not in extension_definitions")

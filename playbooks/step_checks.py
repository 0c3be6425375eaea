"""Each step by itself and with what it refers to: commands, agents, conditions, variables, and our extension."""

from collections.abc import Iterator, Mapping
from typing import Any

from playbooks import conditions
from playbooks.coordination import EXTENSION_ID
from playbooks.definition_checks import check_extensions, check_headers, check_variables
from playbooks.document import escape
from playbooks.faults import Findings
from playbooks.graph import Graph
from playbooks.shapes import check_shape
from playbooks.variables import REFERENCE, fault_of_value


def check_steps(findings: Findings, document: Mapping[str, Any], graph: Graph, *, acyclic: bool) -> None:
    """Judge every step; what needs nesting to be reckoned is left out for a workflow with cycles."""
    workflow = document["workflow"]
    scopes = _scopes(document, graph) if acyclic else {}
    for key, body in workflow.items():
        declared = scopes.get(key) or _declared(document) | _own(body)
        pointer = f"/workflow/{escape(key)}"
        check_variables(findings, body.get("step_variables"), f"{pointer}/step_variables", top=False)
        check_extensions(findings, document, body.get("step_extensions"), f"{pointer}/step_extensions")
        ours = _ours(findings, body, pointer)
        _check_condition(findings, body, declared, pointer)
        if body["type"] in ("action", "playbook-action"):
            _check_action(findings, document, body, ours, pointer)
            _check_args(findings, body, declared, pointer)
            _check_texts(findings, body.get("commands"), declared, f"{pointer}/commands")
        if ours:
            _check_ours(findings, workflow, body, ours, declared, f"{pointer}/step_extensions/{EXTENSION_ID}")
    if acyclic:
        _check_writers(findings, workflow, graph)
        _check_endless(findings, workflow, graph)


def _declared(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return _objects(document.get("playbook_variables"))


def _own(body: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return _objects(body.get("step_variables"))


def _objects(found: Any) -> dict[str, Mapping[str, Any]]:
    pairs = found.items() if isinstance(found, Mapping) else ()
    return {name: each for name, each in pairs if isinstance(each, Mapping)}


def _scopes(document: Mapping[str, Any], graph: Graph) -> dict[str, dict[str, Mapping[str, Any]]]:
    """What each step can see: the playbook's variables, those of blocks around it, its own."""
    workflow, top = document["workflow"], _declared(document)
    found = {key: dict(top) for key in workflow if graph.branches[key] or _own(workflow[key])}
    for block, ways in graph.branches.items():
        if own := _own(workflow[block]):
            for inner in graph.reach(entry for _, entry in ways):
                found.setdefault(inner, dict(top)).update(own)
    for key in workflow:
        if key in found:
            found[key].update(_own(workflow[key]))
    return found


def _ours(findings: Findings, body: Mapping[str, Any], pointer: str) -> Mapping[str, Any] | None:
    """Our extension's data on the step, if it is there and has its shape."""
    ours = _extension(body)
    if ours is None:
        return None
    place = f"{pointer}/step_extensions/{EXTENSION_ID}"
    kind = ours.get("kind") if isinstance(ours, Mapping) else None
    wanted = {"action": _ACTION_KINDS, "parallel": ("join",)}.get(body["type"], ())
    if kind not in wanted:
        findings.hard(f"{place}/kind", f"on this step the extension's kind is one of {', '.join(wanted) or 'none'}")
        return None
    return ours if check_shape(findings, ours, str(kind), place, book="coordination") else None


_ACTION_KINDS = ("task", "approval", "decision", "alert", "share", "obligation", "wait", "set", "assess", "status")


def _check_action(
    findings: Findings, document: Mapping[str, Any], body: Mapping[str, Any], ours: Any, pointer: str
) -> None:
    if body["type"] == "playbook-action":
        if body.get("playbook_id") == document.get("id"):
            findings.hard(f"{pointer}/playbook_id", "a playbook may not call itself")
        return
    agents = document.get("agent_definitions") or {}
    targets = document.get("target_definitions") or {}
    if body.get("agent") not in agents:
        known = body.get("agent") in targets
        (findings.soft if known else findings.hard)(f"{pointer}/agent", "this agent is not in agent_definitions")
    for at, each in enumerate(body.get("targets") or []):
        if each not in targets:
            known = each in agents
            (findings.soft if known else findings.hard)(
                f"{pointer}/targets/{at}", "this target is not in target_definitions"
            )
    for at, command in enumerate(body["commands"]):
        texts = (command.get("command"), command.get("command_b64"))
        if not any(isinstance(each, str) and each.strip() for each in texts):
            findings.hard(f"{pointer}/commands/{at}", "a command says what is to be done, in command or command_b64")
        check_headers(findings, command.get("headers"), f"{pointer}/commands/{at}/headers")
    if ours and not any(command.get("type") == "manual" for command in body["commands"]):
        findings.soft(f"{pointer}/commands", "without the extension nothing here is for a person; add a manual command")


def _check_args(findings: Findings, body: Mapping[str, Any], declared: Mapping[str, Any], pointer: str) -> None:
    for name in ("in_args", "out_args"):
        for at, each in enumerate(body.get(name) or []):
            if each not in declared:
                findings.hard(f"{pointer}/{name}/{at}", "this variable is not declared")
            elif name == "out_args" and declared[each].get("constant") is True:
                findings.hard(f"{pointer}/{name}/{at}", "this variable is constant")


def _check_texts(findings: Findings, value: Any, declared: Mapping[str, Any], pointer: str) -> None:
    for place, text in _texts(value, pointer):
        for found in REFERENCE.finditer(text):
            if found.group(1) not in declared:
                findings.hard(place, f"the variable {found.group(1)[:100]} is not declared")


def _texts(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    stack = [(pointer, value)]
    while stack:
        place, each = stack.pop()
        if isinstance(each, str):
            if ":value" in each:
                yield place, each
        elif isinstance(each, Mapping):
            stack.extend((f"{place}/{escape(str(name))}", inner) for name, inner in each.items())
        elif isinstance(each, list):
            stack.extend((f"{place}/{at}", inner) for at, inner in enumerate(each))


def _check_condition(findings: Findings, body: Mapping[str, Any], declared: Mapping[str, Any], pointer: str) -> None:
    if body["type"] == "switch-condition":
        _check_switch(findings, body, declared, pointer)
    if body["type"] not in ("if-condition", "while-condition"):
        return
    try:
        condition = conditions.parse(body["condition"])
    except conditions.ConditionFault as fault:
        findings.hard(f"{pointer}/condition", f"the condition cannot be read: {fault}")
        return
    for name in sorted(conditions.names(condition)):
        if name not in declared:
            findings.hard(f"{pointer}/condition", f"the variable {name[:100]} is not declared")
            return
    for sentence in conditions.type_faults(condition, lambda name: str(declared[name].get("type"))):
        findings.hard(f"{pointer}/condition", sentence)
    if conditions.bare_words(condition):
        findings.soft(f"{pointer}/condition", "text in a condition stands in single quotes")


def _check_switch(findings: Findings, body: Mapping[str, Any], declared: Mapping[str, Any], pointer: str) -> None:
    found = REFERENCE.fullmatch(body["switch"].strip())
    name = found.group(1) if found else body["switch"].strip()
    if name not in declared:
        findings.hard(f"{pointer}/switch", "a switch names a declared variable, as in __name__:value")
    elif not found:
        findings.soft(f"{pointer}/switch", "a variable is written with :value")
    if "default" not in body["cases"]:
        findings.note(f"{pointer}/cases", "without a default the step is passed over when no case matches")


def _filled(ours: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The variables our extension fills, with their place in it."""
    for part in ("fields", "values"):
        yield from ((f"{part}/{name}", name) for name in ours.get(part) or {})
    yield from ((f"out/{name}", variable) for name, variable in (ours.get("out") or {}).items())
    if "variable" in ours:
        yield "variable", ours["variable"]


def _check_ours(
    findings: Findings, workflow: Mapping[str, Any], body: Mapping[str, Any], ours: Mapping[str, Any],
    declared: Mapping[str, Any], pointer: str,
) -> None:
    _check_texts(findings, ours, declared, pointer)
    for place, name in _filled(ours):
        if name not in declared:
            findings.hard(f"{pointer}/{place}", "this variable is not declared")
        elif declared[name].get("constant") is True:
            findings.hard(f"{pointer}/{place}", "this variable is constant")
        elif name not in (body.get("out_args") or []):
            findings.soft(f"{pointer}/{place}", "out_args does not name this variable, so that it is lost elsewhere")
    _check_values(findings, ours, declared, pointer)
    _check_places(findings, workflow, ours, pointer)
    if ours["kind"] == "join" and isinstance(need := ours.get("need"), int) and need > len(body["next_steps"]):
        findings.hard(f"{pointer}/need", "there are fewer branches than that")
    if ours["kind"] == "wait" and ours["event"] == "time" and "until" not in ours:
        findings.hard(f"{pointer}/until", "a wait for time says until when")


def _check_values(
    findings: Findings, ours: Mapping[str, Any], declared: Mapping[str, Any], pointer: str
) -> None:
    for name, value in (ours.get("values") or {}).items():
        literal = isinstance(value, str) and ":value" not in value and not value.startswith("incident.")
        if literal and name in declared and (fault := fault_of_value(str(declared[name].get("type")), value)):
            findings.hard(f"{pointer}/values/{escape(name)}", fault)
    kind = str(declared.get(str(ours.get("variable")), {}).get("type", "string"))
    for at, option in enumerate(ours.get("options") or []):
        if ours["kind"] == "decision" and (fault := fault_of_value(kind, option)):
            findings.hard(f"{pointer}/options/{at}", fault)


def _check_places(findings: Findings, workflow: Mapping[str, Any], ours: Mapping[str, Any], pointer: str) -> None:
    for name in ("due", "until"):
        since = (ours.get(name) or {}).get("from", "")
        if since.startswith("step:") and since.removeprefix("step:") not in workflow:
            findings.hard(f"{pointer}/{name}/from", "this step does not exist")
    audience = ours.get("audience")
    if audience is None:
        return
    if set(audience) <= {"where", "contact_kind"}:
        findings.hard(f"{pointer}/audience", "an audience says whom: a directory, organisations, a community, …")
    if "where" in audience and "from_step" not in audience:
        findings.hard(f"{pointer}/audience/where", "where goes with from_step")
    earlier = workflow.get(audience.get("from_step"))
    if "from_step" in audience and _kind(earlier) not in ("alert", "share"):
        findings.hard(f"{pointer}/audience/from_step", "this is no step that alerts anybody or shares with anybody")


def _extension(body: Any) -> Any:
    extensions = body.get("step_extensions") if isinstance(body, Mapping) else None
    return extensions.get(EXTENSION_ID) if isinstance(extensions, Mapping) else None


def _kind(body: Any) -> Any:
    ours = _extension(body)
    return ours.get("kind") if isinstance(ours, Mapping) else None


def _writes(body: Mapping[str, Any]) -> set[str]:
    ours = _extension(body)
    found = {each for each in body.get("out_args") or [] if isinstance(each, str)}
    if isinstance(ours, Mapping):
        try:
            found |= {name for _, name in _filled(ours) if isinstance(name, str)}
        except (AttributeError, TypeError):
            return found
    return found


def _check_writers(findings: Findings, workflow: Mapping[str, Any], graph: Graph) -> None:
    """Two parallel branches that fill the same variable: which value holds would be chance."""
    for block, ways in graph.branches.items():
        if graph.types[block] != "parallel":
            continue
        writer: dict[str, str] = {}
        for where, entry in ways:
            for step in graph.reach([entry]):
                for name in _writes(workflow[step]) - set(_own(workflow[step])):
                    if writer.setdefault(name, where) != where:
                        findings.hard(
                            f"/workflow/{escape(block)}/{where}", f"another branch fills {name[:100]} at the same time"
                        )


def _check_endless(findings: Findings, workflow: Mapping[str, Any], graph: Graph) -> None:
    """A while whose condition nothing in its body can change. What a foreign machine command does is not known to us,
    so that such a body is given the benefit of the doubt unless strict; a pass limit ends it in any case."""
    for block, kind in graph.types.items():
        body = workflow[block]
        if kind != "while-condition" or body.get("timeout"):
            continue
        try:
            read = conditions.names(conditions.parse(body["condition"]))
        except conditions.ConditionFault:
            continue
        inside = [workflow[step] for step in graph.reach(entry for _, entry in graph.branches[block])]
        written = set().union(*(_writes(each) for each in inside)) if inside else set()
        waits = any(_kind(each) == "wait" for each in inside)
        unknown = any(command.get("type") not in ("manual", "http-api") for each in inside
                      for command in each.get("commands") or [])
        if not (read & written) and not waits and (findings.strict or not unknown):
            findings.soft(f"/workflow/{escape(block)}/condition", "nothing in the loop can change this condition")


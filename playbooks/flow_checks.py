"""Control flow: every way leads somewhere, nothing runs in circles, and branches return to the block they came from."""

from collections.abc import Mapping
from typing import Any

from playbooks.document import BLOCK_TYPES, escape
from playbooks.faults import Findings
from playbooks.graph import Graph, all_targets

MAX_NESTING = 32


def check_flow(findings: Findings, document: Mapping[str, Any], graph: Graph) -> bool:
    """Judge the workflow as a whole; answers whether it has no cycle, so that nesting can be reckoned."""
    workflow = document["workflow"]
    for key, body in workflow.items():
        _check_ways(findings, workflow, key, body)
    roots = _check_roots(findings, document, graph)
    cycles = graph.cycle()
    for step, where in cycles:
        findings.hard(f"/workflow/{escape(step)}/{where}", "this leads back to where it came from; a loop is a while")
    if cycles:
        return False
    if graph.depth(roots) > MAX_NESTING:
        findings.hard("/workflow", f"blocks nest at most {MAX_NESTING} deep")
        return False
    for block, kind in graph.types.items():
        if kind == "parallel" and (shared := graph.shared_in_parallel(block)) is not None:
            findings.hard(f"/workflow/{escape(shared)}", "two parallel branches lead to this step; each needs its own")
    _check_ends(findings, graph, roots)
    _check_reach(findings, graph, roots)
    return True


def _check_ways(findings: Findings, workflow: Mapping[str, Any], key: str, body: Mapping[str, Any]) -> None:
    pointer = f"/workflow/{escape(key)}"
    for where, target in all_targets(body):
        if target not in workflow:
            findings.hard(f"{pointer}/{where}", "this step does not exist")
        elif workflow[target].get("type") == "start":
            findings.hard(f"{pointer}/{where}", "nothing leads to a start step")
    ways = [name for name in ("on_completion", "on_success", "on_failure") if name in body]
    if "on_completion" in ways and len(ways) > 1:
        findings.hard(f"{pointer}/on_completion", "on_completion excludes on_success and on_failure")
    elif ways == ["on_failure"]:
        findings.hard(f"{pointer}/on_failure", "on_failure alone does not say where success leads")
    elif not ways and body["type"] in BLOCK_TYPES:
        findings.soft(pointer, "no step follows; the branch ends here without an end step")
    elif not ways and body["type"] != "end":
        findings.hard(pointer, "no step follows, and this is no end step")


def _check_roots(findings: Findings, document: Mapping[str, Any], graph: Graph) -> list[str]:
    start, exception = document.get("workflow_start"), document.get("workflow_exception")
    if graph.types.get(str(start)) != "start":
        findings.hard("/workflow_start", "this names no start step of the workflow")
    if exception is not None and exception not in graph.types:
        findings.hard("/workflow_exception", "this step does not exist")
    kinds = set(graph.types.values())
    if "end" not in kinds:
        findings.hard("/workflow", "there is no end step")
    if not kinds & {"action", "playbook-action"}:
        findings.soft("/workflow", "there is no action in it")
    return [each for each in (start, exception) if isinstance(each, str) and each in graph.types]


def _check_reach(findings: Findings, graph: Graph, roots: list[str]) -> None:
    reached = graph.reach(roots)
    for step in graph.types:
        if step not in reached and roots:
            # Harms no run and is found in lawful documents, so that it stays a warning even for our own.
            findings.note(f"/workflow/{escape(step)}", "no way leads to this step")


def _check_ends(findings: Findings, graph: Graph, roots: list[str]) -> None:
    """CACAO 2.0, workflow: each branch has an end step of its own, apart from the playbook's."""
    for block, ways in graph.branches.items():
        taken: dict[str, str] = {}
        for where, entry in ways:
            for end in sorted(graph.ends(entry)):
                if taken.setdefault(end, entry) != entry:
                    findings.soft(f"/workflow/{escape(block)}/{where}", "two branches of this block share an end step")
    levels = dict.fromkeys([*roots, *(entry for _, _, entry in graph.entries())])
    told: set[tuple[str, str]] = set()
    for level in levels:
        outer = graph.ends(level)
        for block in graph.flow(level):
            for where, entry in graph.branches[block]:
                graph.spend(1)
                if outer & graph.ends(entry) and (block, where) not in told:
                    told.add((block, where))
                    findings.soft(
                        f"/workflow/{escape(block)}/{where}", "this branch ends on the end step of what is around it"
                    )

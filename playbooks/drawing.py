"""The document as a picture: boxes and lines with live step states, and the same as a list for those who listen.

Plain data out; a template turns it into SVG. Time runs downwards. A block stands above its branches, which lie side by
side; what follows the block stands below them. What is done on failure stands to the right.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from playbooks.document import Playbook, Step, load
from playbooks.work import units

BOX_WIDTH, BOX_HEIGHT = 220, 64
SMALL_WIDTH, SMALL_HEIGHT = 120, 36
GAP_X, GAP_Y = 36, 44
_WORDS = {
    "start": "Start", "end": "End", "action": "Step", "playbook-action": "Playbook", "parallel": "All of",
    "if-condition": "If", "while-condition": "While", "switch-condition": "Depending on",
}


@dataclass(slots=True)
class Node:
    """A box; x and y are its upper left corner. `state` is what the run says of the step, "" if it was not reached."""

    id: str
    x: int
    y: int
    w: int
    h: int
    label: str
    type: str
    kind: str
    role: str
    state: str


@dataclass(slots=True)
class Edge:
    """A line between two boxes. `kind` is next, branch, failure or exception."""

    source: str
    target: str
    label: str
    kind: str
    points: list[tuple[int, int]] = field(default_factory=list)


def draw(document: Playbook | bytes | Mapping[str, Any], states: Mapping[str, str] | None = None) -> dict[str, Any]:
    """{"width", "height", "nodes", "edges", "list"} of a document that `check` found no fault in.

    `states` maps step ids to states. `list` is the order in which steps are read out, each with its depth, the way into
    it, and a sentence.
    """
    playbook = document if isinstance(document, Playbook) else load(document)
    layout = _Layout(playbook, dict(states or {}))
    layout.flow(playbook.start, 0, 0, "")
    layout.apart(playbook.exception, "if nothing else handles a failure")
    nodes = {node.id: node for node in layout.nodes.values()}
    edges = [edge for step in playbook.steps.values() for edge in _edges(playbook, step) if edge.target in nodes]
    for edge in edges:
        if edge.source in nodes:
            edge.points = _points(nodes[edge.source], nodes[edge.target], _foot(layout, edge))
    return {
        "width": max((node.x + node.w for node in nodes.values()), default=0),
        "height": max((node.y + node.h for node in nodes.values()), default=0),
        "nodes": [asdict(node) for node in nodes.values()],
        "edges": [asdict(edge) for edge in edges if edge.source in nodes],
        "list": layout.read_out,
    }


@dataclass(slots=True)
class _Layout:
    """Places each step once; a second way to a step becomes a line only."""

    playbook: Playbook
    states: dict[str, str]
    nodes: dict[str, Node] = field(default_factory=dict)
    feet: dict[str, int] = field(default_factory=dict)
    read_out: list[dict[str, Any]] = field(default_factory=list)

    def flow(self, entry: str, x: int, y: int, way: str, depth: int = 0) -> tuple[int, int]:
        """Place a level from its entry downwards, with its failure ways to the right; answers (width, height)."""
        width, bottom = BOX_WIDTH, y
        pending: list[tuple[str, int, int, str]] = [(entry, x, y, way)]
        while pending:
            step_id, left, top, way = pending.pop(0)
            column = 0
            while step_id and step_id not in self.nodes:
                step = self.playbook.steps[step_id]
                box_width, box_bottom = self._place(step, left, top, way, depth)
                column, bottom = max(column, box_width), max(bottom, box_bottom)
                if step.on_failure:
                    pending.append((step.on_failure, 0, top, f"if “{_label(step)}” fails"))
                step_id, top, way = step.on_success or "", box_bottom + GAP_Y, ""
            width = max(width, left - x + column)
            pending = [(each, x + width + GAP_X, at, why) for each, _, at, why in pending]
        return width, bottom - y

    def apart(self, entry: str | None, way: str) -> None:
        """Place what hangs on nothing else to the right of all."""
        if entry is not None and entry not in self.nodes:
            right = max((node.x + node.w for node in self.nodes.values()), default=0)
            self.flow(entry, right + GAP_X, 0, way)

    def _place(self, step: Step, x: int, y: int, way: str, depth: int) -> tuple[int, int]:
        small = step.type in ("start", "end")
        width, height = (SMALL_WIDTH, SMALL_HEIGHT) if small else (BOX_WIDTH, BOX_HEIGHT)
        state = self.states.get(step.id, "")
        inset = (BOX_WIDTH - width) // 2
        node = Node(step.id, x + inset, y, width, height, _label(step), step.type, _kind(step), _role(step), state)
        self.nodes[step.id] = node
        self.read_out.append({
            "id": step.id, "depth": depth, "way": way, "label": node.label, "type": step.type, "kind": node.kind,
            "role": node.role, "state": state, "description": step.description,
        })
        if not step.branches:
            return BOX_WIDTH, y + height
        return self._place_branches(step, node, x, y + height + GAP_Y, depth)

    def _place_branches(self, step: Step, node: Node, x: int, y: int, depth: int) -> tuple[int, int]:
        at, bottom = x, y - GAP_Y
        for branch in step.branches:
            if branch.step in self.nodes:
                continue
            width, height = self.flow(branch.step, at, y, _way(step, branch.case), depth + 1)
            at, bottom = at + width + GAP_X, max(bottom, y + height)
        width = max(at - GAP_X - x, BOX_WIDTH)
        node.x = x + (width - node.w) // 2
        self.feet[step.id] = bottom
        return width, bottom


def _label(step: Step) -> str:
    return step.name or _WORDS.get(step.type, step.type)


def _kind(step: Step) -> str:
    found = units(step) if step.type in ("action", "playbook-action") else []
    return found[0][0] if found else ""


def _role(step: Step) -> str:
    work: Any = step.work
    return getattr(work, "role", "") or ", ".join(getattr(work, "roles", ()))


def _way(step: Step, case: str) -> str:
    if step.type == "parallel":
        return f"branch {case} of {len(step.branches)}"
    if step.type == "while-condition":
        return "while it holds"
    return {"true": "if so", "false": "if not", "default": "otherwise"}.get(case, f"if it is {case}")


def _edges(playbook: Playbook, step: Step) -> list[Edge]:
    found = [Edge(step.id, branch.step, _way(step, branch.case), "branch") for branch in step.branches]
    if step.on_success:
        found.append(Edge(step.id, step.on_success, "then" if step.on_failure or step.branches else "", "next"))
    if step.on_failure:
        found.append(Edge(step.id, step.on_failure, "if it fails", "failure"))
    if step.id == playbook.start and playbook.exception:
        found.append(Edge(step.id, playbook.exception, "if nothing else handles a failure", "exception"))
    return found


def _foot(layout: _Layout, edge: Edge) -> int | None:
    """Where a block is left: below its branches."""
    return layout.feet.get(edge.source) if edge.kind == "next" else None


def _points(source: Node, target: Node, foot: int | None) -> list[tuple[int, int]]:
    """From the middle of one box down to the middle of the other, with a corner where they are not in line."""
    start = (source.x + source.w // 2, source.y + source.h if foot is None else foot)
    end = (target.x + target.w // 2, target.y)
    if start[0] == end[0]:
        return [start, end]
    middle = end[1] - GAP_Y // 2
    return [start, (start[0], middle), (end[0], middle), end]

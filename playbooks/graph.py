"""The workflow as a graph, for the checks: reach, cycles, nesting, and what branches share. Iterative and bounded.

Works on the raw document, because it is asked about documents that nobody has judged yet.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from playbooks.document import BLOCK_TYPES

MAX_VISITS = 1_000_000


class TooEntangled(Exception):
    """The workflow takes more work to look through than any honest one."""


@dataclass(slots=True)
class Graph:
    """Steps by id. `after` are the ways on from a step, `branches` the ways into a block as (where, step)."""

    after: dict[str, list[tuple[str, str]]]
    branches: dict[str, list[tuple[str, str]]]
    types: dict[str, str]
    _visits: int = 0
    _ends: dict[str, frozenset[str]] = field(default_factory=dict)
    _flows: dict[str, frozenset[str]] = field(default_factory=dict)

    def reach(self, roots: Iterable[str], *, into_branches: bool = True) -> set[str]:
        """Every step that can be come to from these."""
        seen: set[str] = set()
        stack = [each for each in roots if each in self.types]
        while stack:
            step = stack.pop()
            if step in seen:
                continue
            seen.add(step)
            self._count(1)
            ways = self.after[step] + (self.branches[step] if into_branches else [])
            stack.extend(target for _, target in ways if target not in seen)
        return seen

    def flow(self, entry: str) -> frozenset[str]:
        """The steps on one level: from an entry onward, not into branches."""
        if entry not in self._flows:
            self._flows[entry] = frozenset(self.reach([entry], into_branches=False))
        return self._flows[entry]

    def ends(self, entry: str) -> frozenset[str]:
        """The end steps of one level."""
        if entry not in self._ends:
            self._ends[entry] = frozenset(each for each in self.flow(entry) if self.types[each] == "end")
        return self._ends[entry]

    def cycle(self) -> list[tuple[str, str]]:
        """Ways that lead back, as (step, where): a loop is a while, never a jump."""
        found: list[tuple[str, str]] = []
        done: set[str] = set()
        open_now: set[str] = set()
        for root in self.types:
            stack: list[tuple[str, Iterator[tuple[str, str]]]] = [(root, self._ways(root))] if root not in done else []
            open_now.update(each for each, _ in stack)
            while stack:
                step, ways = stack[-1]
                way = next(ways, None)
                if way is None:
                    stack.pop()
                    open_now.discard(step)
                    done.add(step)
                elif way[1] in open_now:
                    found.append((step, way[0]))
                elif way[1] not in done:
                    open_now.add(way[1])
                    stack.append((way[1], self._ways(way[1])))
        return found

    def depth(self, roots: Iterable[str]) -> int:
        """How deep blocks nest, for a workflow without cycles."""
        depths: dict[str, int] = {}
        for root in roots:
            stack = [root]
            while stack:
                step = stack[-1]
                waiting = [target for _, target in self._ways(step) if target not in depths]
                if waiting:
                    stack.extend(waiting)
                    self._count(len(waiting))
                    continue
                stack.pop()
                inside = [depths[target] + 1 for _, target in self.branches[step]]
                depths[step] = max([depths[target] for _, target in self.after[step]] + inside, default=0)
        return max((depths.get(root, 0) for root in roots), default=0)

    def shared_in_parallel(self, block: str) -> str | None:
        """A step (other than an end) that two branches of a parallel block come to; None if there is none."""
        owner: dict[str, int] = {}
        for at, (_, entry) in enumerate(self.branches[block]):
            stack = [entry]
            while stack:
                step = stack.pop()
                if owner.get(step) == at:
                    continue
                self._count(1)
                if step in owner:
                    if self.types[step] != "end":
                        return step
                    continue
                owner[step] = at
                stack.extend(target for _, target in self._ways(step))
        return None

    def entries(self) -> list[tuple[str, str, str]]:
        """Every way into a branch as (block, where, step)."""
        return [(block, where, step) for block, ways in self.branches.items() for where, step in ways]

    def _ways(self, step: str) -> Iterator[tuple[str, str]]:
        return iter([each for each in self.after[step] + self.branches[step] if each[1] in self.types])

    def _count(self, visits: int) -> None:
        self._visits += visits
        if self._visits > MAX_VISITS:
            raise TooEntangled

    def spend(self, visits: int) -> None:
        """Count work done elsewhere against the same bound. Raises TooEntangled."""
        self._count(visits)


def build(workflow: Mapping[str, Any]) -> Graph:
    """The graph of the steps that are objects with a type; ways to steps that do not exist are left out."""
    steps = {key: body for key, body in workflow.items() if isinstance(body, Mapping)}
    after = {key: _known(steps, _after(body)) for key, body in steps.items()}
    branches = {key: _known(steps, _branches(body)) for key, body in steps.items()}
    return Graph(after, branches, {key: str(body.get("type")) for key, body in steps.items()})


def _known(steps: Mapping[str, Any], ways: Iterable[tuple[str, Any]]) -> list[tuple[str, str]]:
    return [(where, target) for where, target in ways if isinstance(target, str) and target in steps]


def _after(body: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, body[name]) for name in ("on_completion", "on_success", "on_failure") if name in body]


def _branches(body: Mapping[str, Any]) -> list[tuple[str, Any]]:
    kind = body.get("type")
    if kind not in BLOCK_TYPES:
        return []
    if kind == "parallel":
        ways = body.get("next_steps")
        return [(f"next_steps/{at}", each) for at, each in enumerate(ways)] if isinstance(ways, list) else []
    if kind == "switch-condition":
        cases = body.get("cases")
        if not isinstance(cases, Mapping):
            return []
        return [(f"cases/{str(case).replace('~', '~0').replace('/', '~1')}", each) for case, each in cases.items()]
    names = ("on_true", "on_false") if kind == "if-condition" else ("on_true",)
    return [(name, body[name]) for name in names if name in body]


def all_targets(body: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Every way out of a step as written, also to what does not exist: (where, target)."""
    return _after(body) + _branches(body)

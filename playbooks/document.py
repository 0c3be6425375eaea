"""A CACAO 2.0 document: read from bytes, its canonical form and identity, and the graph an interpreter walks.

Control flow is kept in our own graph (`Step`, `Branch`), so that CACAO 2.0 is one reader for it and a later version
another. `on_completion` is read as "after success": whether a failure may go on there is nowhere promised, so a failed
step never takes it (see interpreter.py).

`load` refuses only what cannot be made into a graph; `checks.check` says everything that is wrong with a document and
is asked before a document is kept.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import rfc8785

from playbooks import conditions
from playbooks.coordination import EXTENSION_ID, Join, PlaybookOptions, Work, mentioned_facts, read_options, read_work
from playbooks.variables import REFERENCE, Variable, read_variables

MAX_BYTES = 2 * 1024 * 1024
MAX_JSON_DEPTH = 64
MAX_JSON_VALUES = 100_000
STEP_TYPES = (
    "start", "end", "action", "playbook-action", "parallel", "if-condition", "while-condition", "switch-condition",
)
BLOCK_TYPES = frozenset({"parallel", "if-condition", "while-condition", "switch-condition"})


class DocumentFault(Exception):
    """The document cannot be used. `pointer` is a JSON pointer (RFC 6901), `sentence` says what is wrong."""

    def __init__(self, pointer: str, sentence: str) -> None:
        super().__init__(f"{pointer or '/'}: {sentence}")
        self.pointer = pointer
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Branch:
    """A way into a block: `case` is true, false, a switch value, default, or the number of a parallel branch."""

    case: str
    step: str


@dataclass(frozen=True, slots=True)
class Step:
    """One workflow step. Times are milliseconds; 0 is none. `on_success` holds on_completion too."""

    id: str
    type: str
    name: str = ""
    description: str = ""
    delay: int = 0
    timeout: int = 0
    owner: str = ""
    on_success: str | None = None
    on_failure: str | None = None
    branches: tuple[Branch, ...] = ()
    condition: str = ""
    switch: str = ""
    commands: tuple[Mapping[str, Any], ...] = ()
    agent: str = ""
    targets: tuple[str, ...] = ()
    in_args: tuple[str, ...] = ()
    out_args: tuple[str, ...] = ()
    playbook_id: str = ""
    playbook_version: str = ""
    variables: Mapping[str, Variable] = field(default_factory=dict)
    work: Work | None = None
    join: Join = Join()
    extension: Mapping[str, Any] | None = None
    foreign_extensions: tuple[str, ...] = ()

    @property
    def is_block(self) -> bool:
        """Whether the step opens branches that return to it."""
        return self.type in BLOCK_TYPES


@dataclass(frozen=True, slots=True)
class Playbook:
    """A document as the interpreter needs it. `version` is `modified`; `digest` is SHA-256 over the canonical form
    without `signatures`, since adding one makes no new version."""

    id: str
    version: str
    digest: str
    canonical: bytes
    name: str
    description: str
    created_by: str
    priority: int
    revoked: bool
    valid_from: str
    valid_until: str
    start: str
    exception: str | None
    steps: Mapping[str, Step]
    variables: Mapping[str, Variable]
    agents: Mapping[str, Mapping[str, Any]]
    targets: Mapping[str, Mapping[str, Any]]
    options: PlaybookOptions
    extended: bool
    raw: Mapping[str, Any]
    facts: frozenset[str]
    anchors: frozenset[str]

    def calls(self) -> list[tuple[str, str | None]]:
        """The playbooks this one calls: (id, version asked for or None for the newest)."""
        return [(each.playbook_id, each.playbook_version or None) for each in self.steps.values() if each.playbook_id]

    def written_by(self, approval: str) -> frozenset[str]:
        """The steps at which people wrote or proposed what an approval step is asked about: those right before it, and
        where that is an assessment, those it assesses too.

        A branch is followed up out of its block, and past steps that need nobody; what stands before a whole block is
        not meant by what comes after it.
        """
        found: set[str] = set()
        seen, waiting = {approval}, [approval]
        while waiting:
            wanted = waiting.pop()
            for step in self.steps.values():
                inside = any(branch.step == wanted for branch in step.branches)
                before = wanted in (step.on_success, step.on_failure) and not step.is_block
                if step.id in seen or not (inside or before):
                    continue
                seen.add(step.id)
                kind = step.work.kind if step.work else "task"
                if before and step.type == "action" and kind in ("task", "decision", "assess"):
                    found.add(step.id)
                if step.id not in found or kind == "assess":
                    waiting.append(step.id)
        return frozenset(found)

    def rank(self) -> tuple[int, str]:
        """Sort key among several that match: priority 1 first, 0 (undefined) last, then the smallest id."""
        return (self.options.priority or self.priority or 101, self.id)


def parse(data: bytes) -> dict[str, Any]:
    """The JSON object in these bytes. Raises DocumentFault: not UTF-8 JSON, a name twice, NaN, too big or too deep."""
    if len(data) > MAX_BYTES:
        raise DocumentFault("", f"a document has at most {MAX_BYTES} bytes")
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant)
    except UnicodeDecodeError:
        raise DocumentFault("", "a document is JSON in UTF-8") from None
    except json.JSONDecodeError as fault:
        raise DocumentFault("", f"this is not JSON: {fault.msg} in line {fault.lineno}") from None
    except RecursionError:
        raise DocumentFault("", f"objects and lists nest at most {MAX_JSON_DEPTH} deep") from None
    except ValueError as fault:
        told = "a number is too long" if "digits" in str(fault) else str(fault)
        raise DocumentFault("", f"this is not JSON: {told}") from None
    return as_document(found)


def as_document(found: Any) -> dict[str, Any]:
    """The same object, if it is one and nests within bounds; raises DocumentFault."""
    if not isinstance(found, dict):
        raise DocumentFault("", "a document is a JSON object")
    _refuse_bulk(found)
    return found


def canonical(document: Mapping[str, Any]) -> bytes:
    """RFC 8785 (JCS) bytes; what is hashed, signed and exported. Raises DocumentFault for numbers or text it bars."""
    try:
        return rfc8785.dumps(document)  # type: ignore[arg-type]
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError, ValueError):
        raise DocumentFault("", "a number or a character has no canonical form (RFC 8785)") from None


def load(data: bytes | Mapping[str, Any]) -> Playbook:
    """The playbook in a document. Raises DocumentFault with the pointer of what keeps it from being a graph."""
    return _load(data) if isinstance(data, bytes) else _build(as_document(dict(data)))


@lru_cache(maxsize=64)
def _load(data: bytes) -> Playbook:
    return _build(parse(data))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number in JSON")


def _refuse_bulk(value: Any) -> None:
    values, stack = 0, [(value, 1)]
    while stack:
        each, depth = stack.pop()
        inside = list(each.values()) if isinstance(each, dict) else each
        values += len(inside)
        if depth > MAX_JSON_DEPTH:
            raise DocumentFault("", f"objects and lists nest at most {MAX_JSON_DEPTH} deep")
        if values > MAX_JSON_VALUES:
            raise DocumentFault("", f"a document has at most {MAX_JSON_VALUES} values")
        stack.extend((inner, depth + 1) for inner in inside if isinstance(inner, dict | list))


def _build(raw: dict[str, Any]) -> Playbook:
    workflow = _mapping(raw, "workflow", "")
    steps = {each: _step(each, body) for each, body in workflow.items()}
    for step in steps.values():
        _refuse_dangling(step, steps)
    start = _text(raw, "workflow_start", "")
    if start not in steps or steps[start].type != "start":
        raise DocumentFault("/workflow_start", "names no start step of the workflow")
    exception = raw.get("workflow_exception")
    if exception is not None and exception not in steps:
        raise DocumentFault("/workflow_exception", "names no step of the workflow")
    extension = raw.get("playbook_extensions", {}).get(EXTENSION_ID)
    form = canonical(raw)
    unsigned = canonical({name: value for name, value in raw.items() if name != "signatures"})
    mentions = [each for step in steps.values() if step.work for each in mentioned_facts(step.work)]
    return Playbook(
        id=_text(raw, "id", ""), version=_text(raw, "modified", ""), digest=hashlib.sha256(unsigned).hexdigest(),
        canonical=form, name=_text(raw, "name", ""), description=str(raw.get("description", "")),
        created_by=str(raw.get("created_by", "")), priority=_whole(raw, "priority", ""),
        revoked=raw.get("revoked") is True, valid_from=str(raw.get("valid_from", "")),
        valid_until=str(raw.get("valid_until", "")), start=start, exception=exception, steps=steps,
        variables=read_variables(_optional_mapping(raw, "playbook_variables", "")),
        agents=_optional_mapping(raw, "agent_definitions", ""),
        targets=_optional_mapping(raw, "target_definitions", ""),
        options=read_options(extension or {}), extended=extension is not None, raw=raw,
        facts=frozenset(mentions), anchors=frozenset(each for step in steps.values() for each in _anchors(step)),
    )


def _anchors(step: Step) -> list[str]:
    dues = (getattr(step.work, "due", None), getattr(step.work, "until", None))
    return [due.since for due in dues if due is not None and due.since.startswith(("step:", "event:"))]


def _step(step_id: str, body: Any) -> Step:
    pointer = f"/workflow/{escape(step_id)}"
    if not isinstance(body, Mapping):
        raise DocumentFault(pointer, "a step is an object")
    kind = _text(body, "type", pointer)
    if kind not in STEP_TYPES:
        raise DocumentFault(f"{pointer}/type", "this type of step is not known")
    extensions = _optional_mapping(body, "step_extensions", pointer)
    ours = extensions.get(EXTENSION_ID)
    work = _work(ours, f"{pointer}/step_extensions/{EXTENSION_ID}")
    return Step(
        id=step_id, type=kind, name=str(body.get("name", "")), description=str(body.get("description", "")),
        delay=_whole(body, "delay", pointer), timeout=_whole(body, "timeout", pointer),
        owner=str(body.get("owner", "")), on_success=body.get("on_completion") or body.get("on_success"),
        on_failure=body.get("on_failure"), branches=_branches(kind, body, pointer),
        condition=str(body.get("condition", "")), switch=str(body.get("switch", "")),
        commands=_commands(body, pointer), agent=str(body.get("agent", "")), targets=_names(body, "targets", pointer),
        in_args=_names(body, "in_args", pointer), out_args=_names(body, "out_args", pointer),
        playbook_id=str(body.get("playbook_id", "")), playbook_version=str(body.get("playbook_version", "")),
        variables=read_variables(_optional_mapping(body, "step_variables", pointer)),
        work=None if isinstance(work, Join) else work, join=work if isinstance(work, Join) else Join(),
        extension=ours, foreign_extensions=tuple(each for each in extensions if each != EXTENSION_ID),
    )


def _work(ours: Any, pointer: str) -> Work | Join | None:
    if ours is None:
        return None
    try:
        return read_work(ours)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DocumentFault(pointer, "the coordination extension is not used as its schema says") from None


def _branches(kind: str, body: Mapping[str, Any], pointer: str) -> tuple[Branch, ...]:
    if kind == "parallel":
        return tuple(Branch(str(at), each) for at, each in enumerate(_names(body, "next_steps", pointer), start=1))
    if kind == "switch-condition":
        cases = _mapping(body, "cases", pointer)
        return tuple(Branch(str(case), step) for case, step in cases.items())
    if kind in ("if-condition", "while-condition"):
        wanted = ("on_true", "on_false") if kind == "if-condition" else ("on_true",)
        return tuple(Branch(each.removeprefix("on_"), body[each]) for each in wanted if body.get(each))
    return ()


def _refuse_dangling(step: Step, steps: Mapping[str, Step]) -> None:
    for target in (step.on_success, step.on_failure, *(branch.step for branch in step.branches)):
        if target is not None and (not isinstance(target, str) or target not in steps):
            raise DocumentFault(f"/workflow/{escape(step.id)}", "leads to a step that does not exist")
    if step.condition:
        try:
            conditions.parse(step.condition)
        except conditions.ConditionFault as fault:
            sentence = f"the condition cannot be read: {fault}"
            raise DocumentFault(f"/workflow/{escape(step.id)}/condition", sentence) from None


def _commands(body: Mapping[str, Any], pointer: str) -> tuple[Mapping[str, Any], ...]:
    found = body.get("commands", [])
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise DocumentFault(f"{pointer}/commands", "commands are a list of objects")
    return tuple(found)


def _names(body: Mapping[str, Any], name: str, pointer: str) -> tuple[str, ...]:
    found = body.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise DocumentFault(f"{pointer}/{name}", "a list of names is expected")
    return tuple(found)


def _text(body: Mapping[str, Any], name: str, pointer: str) -> str:
    found = body.get(name)
    if not isinstance(found, str) or not found:
        raise DocumentFault(f"{pointer}/{name}", "a text is required here")
    return found


def _whole(body: Mapping[str, Any], name: str, pointer: str) -> int:
    found = body.get(name, 0)
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise DocumentFault(f"{pointer}/{name}", "a whole number of 0 or more is expected")
    return found


def _mapping(body: Mapping[str, Any], name: str, pointer: str) -> Mapping[str, Any]:
    found = body.get(name)
    if not isinstance(found, Mapping):
        raise DocumentFault(f"{pointer}/{name}", "an object is required here")
    return found


def _optional_mapping(body: Mapping[str, Any], name: str, pointer: str) -> Mapping[str, Any]:
    return _mapping(body, name, pointer) if body.get(name) is not None else {}


def escape(part: str) -> str:
    """A name as one part of a JSON pointer (RFC 6901)."""
    return part.replace("~", "~0").replace("/", "~1")


def variables_in(text: str) -> list[str]:
    """The variables a text refers to, in order."""
    return [found.group(1) for found in REFERENCE.finditer(text)]

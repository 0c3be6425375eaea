"""The documentation is true: links lead somewhere, commands and calls exist, examples work, tables match the code."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shlex
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import LargeBinary

from coordinator import cli, clock, interchange
from coordinator.accounts.rules import RIGHTS, Right, Role, needs_second_factor
from coordinator.api.changes import AlertRequestSchema
from coordinator.api.work import AcknowledgementSchema
from coordinator.app import create_app
from coordinator.config import Settings
from coordinator.db import Base
from coordinator.incidents import queries
from coordinator.incidents.rules import INSTANTS
from coordinator.incidents.schema import ReportSchema, load_report
from coordinator.interchange import cloudevents
from coordinator.interchange.world_schema import load_world, references
from coordinator.outside.faults import load
from coordinator.partners import signing
from coordinator.sharing import wording
from coordinator.sharing.cases import evaluate_document, read_document
from playbooks.checks import check
from playbooks.coordination import EXTENSION_ID, matches
from playbooks.simulate import simulate
from tests.alerting import put_incident
from tests.factories import small_world
from tests.playbooks import documents

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)

#: Other sites that the documentation may name: standards, formats, and names reserved for examples (RFC 2606).
KNOWN_SITES = re.compile(
    r"(docs\.oasis-open\.org|www\.standardwebhooks\.com|keepachangelog\.com|semver\.org"
    r"|([a-z0-9-]+\.)*example|127\.0\.0\.1:8080|localhost:…|…)"
)
#: What has no place in what readers see.
REFUSED = re.compile(
    r"\b(TODO|FIXME|TBD|XXX|lorem ipsum)\b|\bissue \d+|(?<![\w/.])#\d+\b|(?<![\w.…])/(work|home|root|tmp|Users|mnt)/",
    re.IGNORECASE,
)


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def blocks(name: str, info: str) -> list[str]:
    """Fenced blocks of a page that begin with exactly this info string."""
    return re.findall(rf"^```{re.escape(info)}\n(.*?)^```", read(name), re.MULTILINE | re.DOTALL)


def prose(name: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", read(name), flags=re.MULTILINE | re.DOTALL)


def anchors(name: str) -> set[str]:
    """The anchors of a page's headings, as hosts of repositories make them."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", prose(name), re.MULTILINE):
        said = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
        found.add(said.strip().replace(" ", "-"))
    return found


def table_after(name: str, heading: str) -> list[list[str]]:
    """The rows of the first table after a heading, without its head."""
    part = read(name).split(f"{heading}\n", 1)[1]
    lines = re.search(r"(?:^\|.*\n)+", part, re.MULTILINE)
    assert lines is not None
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines[0].splitlines()]
    return [row for row in rows[1:] if not set("".join(row)) <= set("-: ")]


# ---------------------------------------------------------------- links and words


@pytest.mark.parametrize("name", NAMES)
def test_links_and_pictures_lead_somewhere(name: str) -> None:
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(name)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        page = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        known = page.is_file() and (not anchor or anchor in anchors(page.relative_to(ROOT).as_posix()))
        if not known:
            lost.append(target)
    assert lost == []


@pytest.mark.parametrize("name", NAMES)
def test_only_known_sites_are_named(name: str) -> None:
    sites = re.findall(r"https?://([^/\s\"'`)>]+)", read(name))
    assert [site for site in sites if not KNOWN_SITES.fullmatch(site)] == []


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_to_do_and_nobodys_machine_is_named(name: str) -> None:
    assert [found[0] for found in REFUSED.finditer(read(name))] == []


def test_every_page_is_reached_from_the_first() -> None:
    reached, wanted = set(), ["README.md"]
    while wanted:
        name = wanted.pop()
        if name in reached:
            continue
        reached.add(name)
        for target in re.findall(r"\]\(([^)#\s]+\.md)", prose(name)):
            wanted.append(((ROOT / name).parent / target).resolve().relative_to(ROOT).as_posix())
    assert set(NAMES) - reached == set()


# ---------------------------------------------------------------- commands and settings


def commands() -> dict[str, Any]:
    """Every command of the CLI, one or two words, with its parser."""
    found: dict[str, Any] = {}

    def walk(parser: Any, path: str) -> None:
        groups = [action for action in parser._actions if isinstance(action.choices, dict)]
        if not groups:
            found[path] = parser
        for group in groups:
            for name, inner in group.choices.items():
                walk(inner, f"{path} {name}".strip())

    walk(cli._parser(), "")
    return found


def named_commands(name: str) -> Iterator[str]:
    """Command lines in code spans and shell blocks, without what starts them."""
    shown = "\n".join(blocks(name, "sh")) + "\n" + "\n".join(re.findall(r"`([^`\n]+)`", prose(name)))
    for line in shown.splitlines():
        found = re.match(r"(?:docker compose run --rm \w+ )?(?:coordinator|python3 run\.py) ([a-z].*)", line.strip())
        if found and not found[1].startswith("test"):
            yield re.sub(r"\s+#.*$", "", found[1])


@pytest.mark.parametrize("name", NAMES)
def test_every_command_that_is_named_can_be_given(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for line in named_commands(name):
        words = shlex.split(line)
        known = [path for path in commands() if words[: len(path.split())] == path.split()]
        assert known, f"{name}: there is no command {line}"
        if words == known[0].split() or words[-1].startswith("--"):  # named, not shown in use
            continue
        try:
            cli._parser().parse_args(words)
        except SystemExit:
            pytest.fail(f"{name}: {line}: {capsys.readouterr().err}")


def test_every_module_that_is_named_can_be_run() -> None:
    named = {each for page in NAMES for each in re.findall(r"python -m ([a-z_.]+)", read(page))}
    assert {"workers.alive", "benchmarks.intake", "tests.chaos"} <= named
    paths = [ROOT / each.replace(".", "/") for each in named]
    assert [path for path in paths if not (path.with_suffix(".py").is_file() or (path / "__main__.py").is_file())] == []


def test_every_command_is_in_the_operators_page() -> None:
    said = read("docs/operating.md")
    assert [path for path in commands() if f"{path}" not in said] == []


def test_every_setting_is_in_the_operators_page_and_none_besides() -> None:
    known = {f"COORDINATOR_{field.name.upper()}" for field in fields(Settings)}
    listed = {row[0].strip("`") for row in table_after("docs/operating.md", "## Settings")}
    assert listed == known
    named = {each for page in NAMES for each in re.findall(r"COORDINATOR_[A-Z_]+[A-Z]", read(page))}
    assert {each for each in named if each.removesuffix("_FILE") not in known and each not in known} == set()


# ---------------------------------------------------------------- the API


def test_every_call_that_is_listed_exists_and_every_call_is_listed(sqlite_store: Any) -> None:
    there = set()
    for rule in create_app(sqlite_store, pages=False).url_map.iter_rules():
        path = re.sub(r"<(?:[a-z]+:)?([a-z0-9_]+)>", "{}", rule.rule)
        if path in ("/api/docs/", "/api/docs/{}"):  # files of the page
            continue
        there |= {(method, path) for method in rule.methods - {"HEAD", "OPTIONS"}}
    calls = re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/[^`\s?]*)`", read("docs/api.md"))
    listed = {(method, re.sub(r"\{[a-z0-9_]+\}", "{}", path)) for method, path in calls}
    pages = {each for each in listed if each[1].startswith("/a/")}
    assert listed - pages == there


def test_the_answer_page_is_where_the_api_page_says(sqlite_store: Any) -> None:
    rules = create_app(sqlite_store).url_map.iter_rules()
    taken = [rule.methods for rule in rules if re.sub(r"<[a-z:0-9_]+>", "{}", rule.rule) == "/a/{}"]
    assert {"GET", "POST"} <= set().union(*taken)


def test_the_reports_of_the_api_page_are_taken() -> None:
    examples = blocks("docs/api.md", "json report")
    assert len(examples) == 2
    for example in examples:
        assert load_report(json.loads(example), now=NOW)["flags"] == []


def test_the_fields_of_a_report_are_listed_with_their_names() -> None:
    rows = table_after("docs/api.md", "### The fields of a report")
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    more = re.findall(r"`(aware_at|exercise)`", rows[2][1])
    assert listed | set(more) == {name for name in ReportSchema().fields if not name.endswith("_fidelity")}


def test_the_alert_of_the_api_page_is_what_another_coordinator_takes() -> None:
    interchange.install()
    (example,) = blocks("docs/api.md", "json alert")
    received = cloudevents.read(example.encode(), NOW)
    assert received.report["title"] == "Ransomware in hospital networks"
    assert received.report["external_id"] == "REF-7K3M-Q9TD-W25C"


def test_what_is_sent_to_the_api_has_the_shapes_it_asks_for() -> None:
    (release,), (answer,) = blocks("docs/api.md", "json release"), blocks("docs/api.md", "json acknowledgement")
    assert load(AlertRequestSchema(), json.loads(release))["kind"] == "initial"
    assert load(AcknowledgementSchema(), json.loads(answer))["answer"] == "acknowledged"


def test_the_signing_code_of_the_api_page_agrees_with_ours() -> None:
    (code,) = blocks("docs/api.md", "python signing")
    shown: dict[str, Any] = {}
    exec(compile(code, "docs/api.md", "exec"), shown)
    secret, body = signing.generate_secret(), b'{"title": "\xc3\xa4"}'
    theirs = shown["headers"](secret, "msg_1", body)
    assert signing.verify([secret], theirs, body, clock.now()) == 0
    ours = signing.signed_headers([secret], "msg_2", int(clock.now().timestamp()), body)
    assert shown["verified"](secret, ours, body)
    assert not shown["verified"](secret, ours, body + b" ")


# ---------------------------------------------------------------- world file, sharing


def test_the_world_file_of_the_operators_page_is_complete() -> None:
    (example,) = blocks("docs/operating.md", "json world")
    world = load_world(json.loads(example))
    there = {
        "organisation": {each["code"] for each in world["organisations"]},
        "endpoint": {each["id"] for each in world["endpoints"]},
    }
    assert [named for named in references(world) if named.code not in there[named.kind]] == []


def test_the_sharing_case_gives_the_answer_that_is_shown() -> None:
    (case,), (answer,) = (blocks("docs/agreements-and-sharing.md", f"json {name}") for name in ("cases", "answer"))
    assert evaluate_document(read_document(case.encode()), now=NOW) == [json.loads(answer)]


def test_every_code_of_a_decision_stands_with_its_sentence() -> None:
    page = read("docs/agreements-and-sharing.md")
    rows = {code: said for code, said in re.findall(r"^\| `([DRAO]-[^`]+)` \| (.+) \|$", page, re.MULTILINE)}
    assert {code for code in rows if code[0] in "DR"} == set(wording.REASONS)
    assert {code for code in rows if code[0] == "A"} == set(wording.AGREEMENT_PROBLEMS)
    assert {code: wording.explain(code) for code in rows} == rows


# ---------------------------------------------------------------- playbooks


def in_a_document(work: dict[str, Any]) -> dict[str, Any]:
    """A whole document around one kind of step: it declares every variable that the kind fills or reads."""
    names = sorted(set(re.findall(r"__[a-z_]+?__", json.dumps(work))))
    kinds = {"__count__": "integer", "__all__": "bool"}
    variables = {name: {"type": kinds.get(name, "string"), "value": ""} for name in names}
    steps = {"work": documents.action("Do it", work=work, out_args=names, on_completion="end"), "end": documents.end()}
    if not names:
        del steps["work"]["out_args"]
    return documents.document(steps, "work", variables=variables)


def test_every_kind_of_step_is_shown_and_each_example_passes_the_check() -> None:
    schema = json.loads(read("playbooks/coordination.schema.json"))
    shown = [json.loads(example) for example in blocks("docs/playbooks.md", "json kind")]
    others = [json.loads(blocks("docs/playbooks.md", f"json {name}")[0]) for name in ("join", "options")]
    kinds = {each["$ref"].rsplit("/", 1)[1] for each in schema["oneOf"]}
    assert {each["kind"] for each in [*shown, *others]} == kinds
    for work in shown:
        assert check(in_a_document(work)) == [], work["kind"]


def test_the_join_and_the_options_of_the_playbook_page_pass_the_check() -> None:
    (join,), (options,) = blocks("docs/playbooks.md", "json join"), blocks("docs/playbooks.md", "json options")
    parallel = documents.block(
        "parallel", next_steps=["one", "two"], on_completion="end",
        join={name: value for name, value in json.loads(join).items() if name != "kind"},
    )  # fmt: skip
    steps = {"parallel:all": parallel, "end": documents.end()}
    for name in ("one", "two"):
        steps |= {name: documents.action(name, on_completion=f"end-{name}"), f"end-{name}": documents.end()}
    document = documents.document(steps, "parallel:all", playbook_extensions={EXTENSION_ID: json.loads(options)})
    assert check(document) == []
    facts = {"suspected_malicious": "yes", "states_affected": ["FI", "LV"]}
    assert matches(json.loads(options)["trigger"], facts)[0]


def test_the_facts_of_the_playbook_page_are_those_an_incident_has(sqlite_store: Any) -> None:
    small_world(sqlite_store)
    with sqlite_store.unit_of_work() as tx:
        known = set(queries.facts(tx, put_incident(tx))) | set(INSTANTS)
    listed = re.search(r"^Facts: (.*?)\.$", read("docs/playbooks.md"), re.MULTILINE | re.DOTALL)
    assert listed is not None
    assert set(re.findall(r"`(\w+)`", listed[1])) == known


def test_the_playbook_that_is_shown_passes_and_runs_as_shown() -> None:
    (playbook,), (events,), (last,) = (
        blocks("docs/playbooks.md", f"json {name}") for name in ("playbook", "events", "last-line")
    )
    assert check(playbook.encode(), strict=True) == []
    lines, code = simulate(json.loads(playbook), json.loads(events))
    assert (lines[-1], code) == (json.loads(last), 0)


# ---------------------------------------------------------------- architecture and security


def test_the_rooms_of_the_picture_are_those_of_the_contracts() -> None:
    contracts = ConfigParser()
    contracts.read_string(read(".importlinter"))
    (picture,) = blocks("docs/architecture.md", "text")
    for name in ("coordinator", "workers"):
        layers = contracts[f"importlinter:contract:{name}"]["layers"].split("\n")
        rooms = [re.findall(r"\w+", layer) for layer in layers if layer.strip()]
        part = re.search(rf"^{name}:(.*?)(?=^\w+:|\Z)", picture, re.MULTILINE | re.DOTALL)
        assert part is not None
        shown = [re.findall(r"\w+", layer) for layer in part[1].split(">")]
        there = {path.stem for path in (ROOT / name).iterdir() if not path.name.startswith("__")}
        kept = [[room for room in layer if room in there] for layer in rooms]
        assert [layer for layer in kept if layer] == shown


def test_the_table_of_rights_is_the_one_in_the_code() -> None:
    roles = [role for role in Role if role is not Role.PARTNER_SYSTEM]
    rows = {row[0]: row[1:] for row in table_after("docs/security.md", "## Who may do what")}
    for right in Right:
        assert rows.pop(f"`{right}`") == ["x" if right in RIGHTS[role] else "" for role in roles], right
    assert rows == {"*second factor*": ["x" if needs_second_factor(role) else "" for role in roles]}


def test_the_table_of_encryption_names_every_table_and_every_sealed_column() -> None:
    for path in (ROOT / "coordinator").glob("*/models.py"):
        importlib.import_module(f"coordinator.{path.parent.name}.models")
    rows = table_after("docs/security.md", "## What is encrypted, and what is not")
    listed = {table: row for row in rows for table in re.findall(r"`(\w+)`", row[0])}
    assert set(listed) == {table.name for table in Base.metadata.sorted_tables}
    for table in Base.metadata.sorted_tables:
        binary = {column.name for column in table.columns if isinstance(column.type, LargeBinary)}
        said = set(re.findall(r"`(\w+)`", " ".join(listed[table.name][1:])))
        assert binary == said, table.name


def test_every_test_that_is_said_to_show_something_exists() -> None:
    named = [each for page in NAMES for each in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", read(page))]
    assert len(named) > 60
    lost = []
    for path, function in named:
        tree = ast.parse(read(path)) if (ROOT / path).is_file() else ast.Module([], [])
        if function not in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}:
            lost.append(f"{path}::{function}")
    assert lost == []


def test_files_that_are_named_exist() -> None:
    named = {
        (page, each)
        for page in NAMES
        for each in re.findall(r"`((?:coordinator|workers|playbooks|tests|docker|docs)/[\w./-]+\.\w+)`", prose(page))
    }
    assert sorted(each for page, each in named if not (ROOT / each).is_file()) == []


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(number) for number in re.findall(r"^(\d+)\. \*\*", read("docs/decisions.md"), re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > 40

"""`coordinator …`: every command. Those that start workers register themselves by entry point, so that nothing here
imports a worker. Exit codes: 0 done, 1 refused or wrong, 2 not understood, 141 nobody reads the output any more.
"""

from __future__ import annotations

import argparse
import getpass
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import TextIO

from coordinator import cli_doors, cli_upkeep, clock, config, migrations
from coordinator.errors import CoordinatorError, Invalid
from coordinator.store import Store

#: What a shell gives for a command that its reader left (128 and the number of SIGPIPE).
READER_LEFT = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. It ends quietly where its reader has had enough (`| head`)."""
    try:
        try:
            return _run(argv)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
    except BrokenPipeError:
        for stream in (sys.stdout, sys.stderr):
            _forget(stream)
        return READER_LEFT


def _forget(stream: TextIO) -> None:
    """Let what is still to be written go nowhere, where nobody reads it: nothing complains of it at the end."""
    try:
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _run(argv: Sequence[str] | None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        return arguments.run(arguments) or 0
    except Invalid as refused:
        for fault in refused.errors:
            print(f"{fault.pointer or '/'}: {fault.detail}", file=sys.stderr)
        return 1
    except CoordinatorError as refused:
        print(f"{refused.title}. {refused.detail}" if refused.detail != refused.title else refused.title,
              file=sys.stderr)  # fmt: skip
        return 1
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"{error.filename or 'a file'}: {error.strerror}", file=sys.stderr)
        return 1


def actor() -> str:
    """How the record names whoever types: the account of this machine."""
    try:
        return f"cli:{getpass.getuser()}"[:80]
    except (OSError, KeyError):
        return "cli:unknown"


@contextmanager
def opened(arguments: argparse.Namespace) -> Iterator[Store]:
    """The store of `--data`. In one-machine mode its database is brought up to date first."""
    settings = config.load(data_dir=arguments.data)
    store = Store(settings)
    try:
        if store.one_machine:
            migrations.upgrade(settings)
        yield store
    finally:
        store.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="coordinator", description="Cyber-diplomacy incident coordination.")
    commands = parser.add_subparsers(metavar="command", required=True)

    def add(path: str, run: Callable[[argparse.Namespace], int | None], help: str) -> argparse.ArgumentParser:
        """A command of one or two words; every one takes --data."""
        first, _, second = path.partition(" ")
        group = commands
        if second:
            if first not in groups:
                groups[first] = commands.add_parser(first).add_subparsers(metavar="command", required=True)
            group = groups[first]
        command = group.add_parser(second or first, help=help, description=help)
        command.add_argument("--data", metavar="DIR", help="data directory (default: COORDINATOR_DATA_DIR or ./var)")
        command.set_defaults(run=run)
        return command

    groups: dict[str, argparse._SubParsersAction[argparse.ArgumentParser]] = {}
    add("migrate", _migrate, "bring the database up to date")
    add("load", _load, "load a world file").add_argument("file", type=Path)
    _add_people(add)
    add("doctor", _doctor, "say what is wrong with this installation").add_argument(
        "--settings", action="store_true", help="list every setting and where it comes from")  # fmt: skip
    add("record verify", _verify, "prove the record").add_argument("--against", type=Path, metavar="FILE")
    add("record checkpoint", _checkpoint, "sign the record as it stands and print the checkpoint")
    _add_rules(add)
    cli_doors.register(add, opened, actor)
    cli_upkeep.register(add, opened, actor)
    for entry in entry_points(group="coordinator.commands"):
        entry.load()(add)
    return parser


def _add_people(add: Callable[..., argparse.ArgumentParser]) -> None:
    command = add("user add", _user_add, "add an account and print a one-time sign-in link")
    command.add_argument("--email", required=True)
    command.add_argument("--name", required=True)
    command.add_argument("--role", required=True)
    command.add_argument("--organisation", default="")
    add("user link", _user_link, "print a one-time sign-in link").add_argument("email")
    command = add("user reset", _user_reset, "ask for an account's second factor to be reset")
    command.add_argument("email")
    command.add_argument("--reason", default="")
    command = add("token add", _token_add, "make an API token and print it once")
    command.add_argument("--email", required=True)
    command.add_argument("--name", required=True)
    command.add_argument("--scope", required=True, nargs="+", action="extend")


def _add_rules(add: Callable[..., argparse.ArgumentParser]) -> None:
    command = add("playbook check", _playbook_check, "check playbook files")
    command.add_argument("--strict", action="store_true")
    command.add_argument("files", nargs="+", type=Path, metavar="FILE")
    command = add("playbook simulate", _playbook_simulate, "run a playbook against scripted events")
    command.add_argument("file", type=Path)
    command.add_argument("--events", required=True, type=Path)
    command.add_argument("--with", dest="others", action="extend", nargs="+", type=Path, default=[])
    add("playbook import", _playbook_import, "take a playbook into the catalogue").add_argument("file", type=Path)
    command = add("playbook export", _playbook_export, "print a playbook as canonical JSON")
    command.add_argument("id")
    command.add_argument("--signed", action="store_true", help="with our signature")
    add("obligations preview", _obligations_preview, "what these facts would owe, by the shipped rules").add_argument(
        "file", type=Path
    )
    add("sharing evaluate", _sharing_evaluate, "decide sharing cases").add_argument("file", type=Path)


def _migrate(arguments: argparse.Namespace) -> int:
    settings = config.load(data_dir=arguments.data)
    config.prepare_data_dir(settings)
    migrations.upgrade(settings)
    store = Store(settings)
    try:
        from coordinator.obligations.register import ship_rules
        from coordinator.runs.catalogue import ship_library

        with store.unit_of_work() as tx:
            lines = ship_library(tx)
            ship_rules(tx)
    finally:
        store.close()
    for line in lines:
        print(line)
    print("The database is up to date.")
    return 0


def _load(arguments: argparse.Namespace) -> int:
    from coordinator.interchange.world import load_world

    raw = arguments.file.read_bytes()
    with opened(arguments) as store, store.unit_of_work() as tx:
        lines = load_world(tx, raw, actor=actor(), digest=hashlib.sha256(raw).hexdigest())
    print("\n".join(lines) or "Nothing to change: all of it is there already.")
    return 0


def _user_add(arguments: argparse.Namespace) -> int:
    from coordinator.accounts import schema, service, staff
    from coordinator.changes import service as changes
    from coordinator.changes.rules import Kind

    wanted = schema.load_user({name: getattr(arguments, name) for name in ("email", "name", "role", "organisation")})
    with opened(arguments) as store, store.unit_of_work() as tx:
        staff.check_address_free(tx, wanted["email"])
        asked = changes.ask(tx, Kind.ACCOUNT, wanted, actor=actor())
        if asked.change is not None:
            print(f"Change {asked.change.id} waits for a second person. Once it was accepted: coordinator user link.")
            return 0
        token = staff.make_link(tx, service.user_by_email(tx, wanted["email"]).id, actor=actor())
        print(f"{config.link_address(store.settings)}/sign-in/{token}")
    return 0


def _user_link(arguments: argparse.Namespace) -> int:
    from coordinator.accounts import service, staff

    with opened(arguments) as store, store.unit_of_work() as tx:
        token = staff.make_link(tx, service.user_by_email(tx, arguments.email).id, actor=actor())
        print(f"{config.link_address(store.settings)}/sign-in/{token}")
    return 0


def _user_reset(arguments: argparse.Namespace) -> int:
    from coordinator.accounts import service
    from coordinator.changes import service as changes
    from coordinator.changes.rules import Kind

    with opened(arguments) as store, store.unit_of_work() as tx:
        user = service.user_by_email(tx, arguments.email)
        asked = changes.ask(tx, Kind.FACTOR_RESET, {"user": user.id}, actor=actor(), reason=arguments.reason)
        print(asked.line)
    return 0


def _token_add(arguments: argparse.Namespace) -> int:
    from coordinator.accounts import service, staff

    with opened(arguments) as store, store.unit_of_work() as tx:
        user = service.user_by_email(tx, arguments.email)
        staff.check_token_here(tx, arguments.scope)
        print(service.create_token(tx, user.id, name=arguments.name, scopes=arguments.scope, actor=actor()))
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from coordinator.upkeep import doctor

    if arguments.settings:
        print("\n".join(doctor.settings_listing(config.load(data_dir=arguments.data))))
        return 0
    findings = doctor.examine(config.load(data_dir=arguments.data))
    for finding in findings:
        print(f"{finding.state:<5} {finding.name}: {finding.text}")
    return 1 if any(finding.state == "wrong" for finding in findings) else 0


def _verify(arguments: argparse.Namespace) -> int:
    from coordinator.upkeep.vouched import prove

    against = arguments.against.read_bytes() if arguments.against else None
    with opened(arguments) as store, store.read() as tx:
        verdict = prove(tx, against=against)
    if verdict.broken:
        print(f"broken: {verdict.broken}")
        return 1
    print(f"ok {verdict.entries} entries in {verdict.chains} chains")
    print("\n".join(verdict.notes))
    return 0


def _checkpoint(arguments: argparse.Namespace) -> int:
    from coordinator.timeline.verify import checkpoint, newest_checkpoint

    with opened(arguments) as store, store.unit_of_work() as tx:
        checkpoint(tx)
        tx.flush()
        document = newest_checkpoint(tx)
    if document is None:
        print("The record is empty: there is nothing to sign.", file=sys.stderr)
        return 1
    print(json.dumps(document, indent=1))
    return 0


def _playbook_check(arguments: argparse.Namespace) -> int:
    from playbooks.checks import check

    bad = 0
    for file in arguments.files:
        faults = check(file.read_bytes(), strict=arguments.strict, now=clock.now())
        for fault in faults:
            soft = "warning: " if fault.severity == "warning" else ""
            print(f"{soft}{file}#{fault.pointer}: {fault.sentence}")
        bad += any(fault.severity != "warning" for fault in faults)
        if not faults:
            print(f"{file}: ok")
    return 1 if bad else 0


def _playbook_simulate(arguments: argparse.Namespace) -> int:
    from coordinator.obligations.register import shipped_rules
    from coordinator.obligations.rehearsed import RehearsedDuties
    from playbooks.document import parse
    from playbooks.simulate import simulate_files, validity_warnings

    document, events = arguments.file.read_bytes(), arguments.events.read_bytes()
    others = [file.read_bytes() for file in arguments.others]
    lines, code = simulate_files(document, events, others, duties=RehearsedDuties(shipped_rules()))
    for sentence in validity_warnings(document, parse(events)) if code != 1 else ():
        print(f"warning: {sentence}", file=sys.stderr)
    for line in lines:
        print(json.dumps(line, ensure_ascii=False), file=sys.stderr if code == 1 else sys.stdout)
    return code


def _playbook_import(arguments: argparse.Namespace) -> int:
    from coordinator.runs.catalogue import import_playbook

    with opened(arguments) as store, store.unit_of_work() as tx:
        print(import_playbook(tx, arguments.file.read_bytes(), actor=actor()))
    return 0


def _playbook_export(arguments: argparse.Namespace) -> int:
    from coordinator.runs.catalogue import export_playbook

    with opened(arguments) as store, store.read() as tx:
        sys.stdout.buffer.write(export_playbook(tx, arguments.id, sign=arguments.signed))
    return 0


def _obligations_preview(arguments: argparse.Namespace) -> int:
    from coordinator.obligations.preview import Rule, preview, read
    from coordinator.obligations.register import shipped_rules
    from coordinator.outside.strict_json import parse_json

    wanted = read(parse_json(arguments.file.read_bytes(), max_bytes=1 << 20))
    print(json.dumps(preview(wanted, map(Rule, shipped_rules()), now=clock.now()), indent=1))
    return 0


def _sharing_evaluate(arguments: argparse.Namespace) -> int:
    from coordinator.sharing.cases import evaluate_document, read_document
    from coordinator.vocabulary.shapes import Malformed

    try:
        results = evaluate_document(read_document(arguments.file.read_bytes()), now=clock.now())
    except Malformed as malformed:
        print(f"{malformed.pointer or '/'}: {malformed.problem}", file=sys.stderr)
        return 1
    for result in results:
        print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())

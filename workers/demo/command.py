"""`coordinator demo`: the main job on a small fictional world, on real parts, told as it happens."""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import rfc8785
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message

from coordinator import config
from coordinator.accounts import service as accounts
from coordinator.errors import Misconfigured
from coordinator.interchange.world import load_world
from coordinator.store import Store
from workers.broker import BrokerNotFound
from workers.demo import world as fiction
from workers.demo.officers import Officers
from workers.demo.partner import StandIn, send_report
from workers.demo.story import Teller
from workers.one_machine import one_machine
from workers.supervisor import AlreadyRunning, Tree, hold_lock

#: The whole story has to be over within this many seconds with `--exit`.
PATIENCE = 120.0
#: "First hour" when the incident opens, "Cross-border ransomware on health care" when triage is accepted.
RUNS = 2
SCOPES = {"report", "read", "tasks", "coordinate", "decide"}


class MailCatcher(Message):
    """A local mail server that keeps what it gets and sends nothing on."""

    def __init__(self) -> None:
        super().__init__()
        self.letters: list[str] = []
        self.port = 0

    def handle_message(self, message: object) -> None:
        self.letters.append(str(message["subject"]))  # type: ignore[index]


def run(arguments: argparse.Namespace) -> int:
    """Returns 0 when the incident was closed (or when asked to stop), 1 when the story did not come to its end."""
    with ExitStack() as stack:
        home = Path(arguments.data).resolve() if arguments.data else Path(stack.enter_context(_temporary()))
        mail, partners = stack.enter_context(_mail()), stack.enter_context(_stand_in())
        try:
            tree, base_url, store = stack.enter_context(_running(home, mail.port, arguments.port))
        except (AlreadyRunning, BrokerNotFound, Misconfigured) as refused:
            print(f"coordinator: {refused}", file=sys.stderr)
            return 1
        reporter = partners.partner(fiction.REPORTER, "fi-csirt")
        affected = partners.partner(fiction.AFFECTED, "lv-csirt")
        tokens = _load(store, [reporter, affected])
        if not tree.ready.wait(30) or tree.result is not None:
            print("coordinator: it did not get up", file=sys.stderr)
            return 1
        print(f"Ready: {base_url}", flush=True)
        closed = _story(base_url, tokens, lambda: send_report(base_url, reporter, fiction.report()))
        _summary(store, partners, mail)
        if arguments.exit:
            return 0 if closed else 1
        if send_report(base_url, affected, fiction.report_to_try()).status_code == 202:
            print("\nLV-CSIRT reports something else: it waits on the board for you.", flush=True)
        return _keep_serving(store, base_url, tree, [reporter, affected])


def _story(base_url: str, tokens: dict[str, str], report: object) -> bool:
    """From the signed report to closed; True if it got there in time."""
    started = time.monotonic()
    officers = Officers(base_url, tokens, say=lambda line: print(f"          · {line}", flush=True))
    try:
        answer = report()  # type: ignore[operator]
        if answer.status_code != 202:
            raise RuntimeError(f"the report was answered {answer.status_code}: {answer.text[:500]}")
        print(f"          · FI-CSIRT posts a signed report: 202, {answer.json()['disposition']}", flush=True)
        reference = officers.find_incident()
        with Teller(officers, reference):
            officers.accept_triage(reference)
            officers.work(reference, runs_awaited=RUNS, seconds=PATIENCE - (time.monotonic() - started))
            officers.resolve_and_close(reference)
    except (TimeoutError, RuntimeError, OSError) as fault:
        print(f"The story stopped: {fault}", file=sys.stderr, flush=True)
        return False
    print(f"{reference} went from report to closed in {time.monotonic() - started:.1f} s.", flush=True)
    return time.monotonic() - started <= PATIENCE


def _load(store: Store, partners: list[fiction.Partner]) -> dict[str, str]:
    """Bring the fictional world in and make a token for each role."""
    raw = rfc8785.dumps(fiction.world(partners))
    tokens = {}
    with store.unit_of_work() as tx:
        load_world(tx, raw, actor="cli:demo", digest="")
        for role, (email, _) in fiction.PEOPLE.items():
            user = accounts.user_by_email(tx, email)
            scopes = sorted(SCOPES & {str(scope) for scope in accounts.rules.scopes_allowed(accounts.rules.Role(role))})
            tokens[role] = accounts.create_token(tx, user.id, name="demo", scopes=scopes, actor="cli:demo")
    return tokens


def _summary(store: Store, partners: StandIn, mail: MailCatcher) -> None:
    from coordinator.timeline.verify import checkpoint, verify

    kinds = [received.type.removeprefix("coordination.alert.") for received in partners.received.values()]
    twice = sum(received.times > 1 for received in partners.received.values())
    print(f"The stand-in partners verified {len(kinds)} signed messages ({', '.join(kinds)}), {twice} of them twice; "
          f"{partners.refused} did not verify.")  # fmt: skip
    print(f"The mail catcher holds {len(mail.letters)} letters to our own people and to partners.")
    with store.unit_of_work() as tx:
        checkpoint(tx)
    with store.read() as tx:
        verdict = verify(tx)
    print(f"The record: {verdict.broken or f'ok {verdict.entries} entries in {verdict.chains} chains'}.", flush=True)


def _keep_serving(store: Store, base_url: str, tree: Tree, partners: list[fiction.Partner]) -> int:
    print("\nSign in as (each link works once, for an hour):")
    with store.unit_of_work() as tx:
        own = [(role, *said) for role, said in (fiction.PEOPLE | fiction.BESIDE).items()]
        others = [("partner-user", fiction.email_of(each), f"of {each.code}") for each in partners]
        for role, email, name in (*own, *others):
            user = accounts.user_by_email(tx, email)
            token = accounts.create_link(tx, user.id, actor="cli:demo", life=accounts.LINK_LIFE * 4)
            print(f"  {role:<19} {name:<19} {base_url}/sign-in/{token}")
    print("Ctrl-C stops everything.", flush=True)
    try:
        while tree.result is None:
            time.sleep(0.2)
    except KeyboardInterrupt:
        print()
    return 0


@contextmanager
def _running(home: Path, mail_port: int, port: int) -> Iterator[tuple[Tree, str, Store]]:
    os.environ.update({
        "COORDINATOR_DATA_DIR": str(home), "COORDINATOR_OUTBOUND_ALLOW_PRIVATE": "yes",
        "COORDINATOR_SMTP_URL": f"smtp://127.0.0.1:{mail_port}", "COORDINATOR_MAIL_FROM": "desk@ee.example",
        "COORDINATOR_LOG_LEVEL": "ERROR",
    })  # fmt: skip
    settings = config.load()
    config.prepare_data_dir(settings)
    lock = hold_lock(str(settings.data_dir / "up.lock"))
    try:
        children, text = one_machine(settings, host="127.0.0.1", port=port)
        base_url = text.splitlines()[0].removeprefix("Ready: ")
        store, tree = Store(settings), Tree(children)
        thread = threading.Thread(target=tree.run, name="tree")
        thread.start()
        try:
            yield tree, base_url, store
        finally:
            tree.stop()
            thread.join()
            store.close()
    finally:
        os.close(lock)


@contextmanager
def _temporary() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="coordinator-demo-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _mail() -> Iterator[MailCatcher]:
    catcher = MailCatcher()
    with socket.create_server(("127.0.0.1", 0)) as probe:  # the controller knocks at the port it is told: 0 will not do
        catcher.port = probe.getsockname()[1]
    controller = Controller(catcher, hostname="127.0.0.1", port=catcher.port)
    controller.start()
    try:
        yield catcher
    finally:
        controller.stop()


@contextmanager
def _stand_in() -> Iterator[StandIn]:
    stand_in = StandIn()
    try:
        yield stand_in
    finally:
        stand_in.stop()



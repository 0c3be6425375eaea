"""Commands that keep the house standing: backup, restore, keys, the hold on sending. `cli` adds them to its own."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from coordinator.errors import NoRight, NotFound
from coordinator.store import Store

Add = Callable[..., argparse.ArgumentParser]
Opened = Callable[[argparse.Namespace], AbstractContextManager[Store]]


def register(add: Add, opened: Opened, actor: Callable[[], str]) -> None:
    """Add our commands. `opened(arguments)` is the store of --data, `actor()` names whoever types."""
    command = add("sending stop", lambda each: _stop(each, opened, actor), "put all sending on hold")
    command.add_argument("--reason", required=True)
    command = add("sending resume", lambda each: _resume(each, opened), "lift every hold on sending, as a named person")
    command.add_argument("--by", required=True, metavar="EMAIL", help="a coordinator or release authority")
    command.add_argument("--reason", required=True)
    command.add_argument("--code", default="", help="of that person's authenticator; asked for if absent")
    command = add("backup", lambda each: _backup(each, opened, actor), "write a sealed backup, while everything runs")
    command.add_argument("--to", type=Path, metavar="FILE", help="default: the folder `backups` of the data directory")
    command = add("restore", lambda each: _restore(each, actor), "restore a backup into an empty store, on hold")
    command.add_argument("file", type=Path)
    command.add_argument("--key", type=Path, required=True, metavar="FILE", help="the private key of backups")
    command.add_argument("--against", type=Path, metavar="FILE", help="a later checkpoint: says how much is missing")
    command = add("keys rotate", lambda each: _rotate(each, opened, actor), "wrap all data keys under a new master key")
    command.add_argument("--prepare", type=Path, metavar="FILE", help="only make the new key, for many machines")
    add("sending status", lambda each: _status(each, opened), "say whether sending is on hold, and what waits")


def _stop(arguments: argparse.Namespace, opened: Opened, actor: Callable[[], str]) -> int:
    from coordinator.timeline import sending_hold

    with opened(arguments) as store, store.unit_of_work() as tx:
        sending_hold.begin(tx, sending_hold.EMERGENCY, actor=actor(), reason=arguments.reason)
    print("All sending is on hold.")
    return 0


def _resume(arguments: argparse.Namespace, opened: Opened) -> int:
    """A named person with a second factor: whoever has the shell is not enough."""
    from coordinator.accounts import factors, rules, service
    from coordinator.timeline import sending_hold

    code = arguments.code or (getpass.getpass("Code of your authenticator: ") if sys.stdin.isatty() else "")
    with opened(arguments) as store:
        with store.unit_of_work() as tx:
            user = service.find_user(tx, arguments.by)
            may = user is not None and rules.may(rules.Role(user.role), rules.Right.RESUME_SENDING)
            proven = user is not None and may and factors.prove_code(tx, user, code)
        if user is None or not proven:  # after the commit: a wrong code was counted
            raise NoRight("A coordinator or release authority lifts a hold, with the code of the second factor.")
        with store.unit_of_work() as tx:
            holds = sending_hold.open_holds(tx)
            if not holds:
                raise NotFound("Nothing is on hold.")
            for hold in holds:
                sending_hold.lift(tx, hold.id, actor=f"user:{user.id}", reason=arguments.reason)
    print("Sending goes on.")
    return 0


def _backup(arguments: argparse.Namespace, opened: Opened, actor: Callable[[], str]) -> int:
    from coordinator.upkeep.backup import OWN_KEY, make_backup

    with opened(arguments) as store:
        made = make_backup(store, arguments.to, actor=actor())
        print(f"Backup: {made.path} ({made.size} bytes, sha256 {made.digest}, checkpoint {made.checkpoint})")
        if made.own_pair:
            print(f"Sealed to a key pair that was made on this machine ({store.settings.data_dir / 'keys' / OWN_KEY}): "
                  "move that file elsewhere, or set COORDINATOR_BACKUP_KEY.", file=sys.stderr)  # fmt: skip
    return 0


def _restore(arguments: argparse.Namespace, actor: Callable[[], str]) -> int:
    from coordinator import clock, config
    from coordinator.upkeep.restore import restore

    settings = config.load(data_dir=arguments.data)
    done = restore(settings, arguments.file, arguments.key, actor=actor(), against=arguments.against)
    missing = f", {done.lost_entries} entries of the record are missing since" if done.lost_entries is not None else ""
    print(f"Restored as epoch {done.epoch}, as it stood at {clock.rfc3339(done.backup_at)}{missing}. "
          "All sending is on hold until a named person lifts it.")  # fmt: skip
    return 0


def _rotate(arguments: argparse.Namespace, opened: Opened, actor: Callable[[], str]) -> int:
    from coordinator.upkeep import rotation

    with opened(arguments) as store:
        if arguments.prepare is not None:
            print(f"New master key {rotation.prepare(store, arguments.prepare)}: {arguments.prepare}")
            return 0
        done = rotation.rotate(store, actor=actor())
    print(f"Rotated: {done.keys} data keys are under the master key {done.key_id} now.")
    if done.left is not None:
        print("Take COORDINATOR_OLD_MASTER_KEY_FILE away and restart.", file=sys.stderr)
    return 0


def _status(arguments: argparse.Namespace, opened: Opened) -> int:
    from coordinator import clock
    from coordinator.alerts.queries import waiting_to_be_sent
    from coordinator.timeline import sending_hold

    with opened(arguments) as store, store.read() as tx:
        holds, waiting = sending_hold.open_holds(tx), waiting_to_be_sent(tx)
    for hold in holds:
        print(f"On hold ({hold.kind}) since {clock.rfc3339(hold.begun_at)} by {hold.begun_by}.")
    print(f"{'Sending is on hold' if holds else 'Sending goes on'}; {waiting} wait to be sent.")
    return 0

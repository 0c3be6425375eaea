"""What a playbook says must exist before it starts (`needs`): roles, agreements, communities."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.models import User
from coordinator.accounts.rules import Role
from coordinator.agreements.queries import standing
from coordinator.agreements.rules import LIVE
from coordinator.errors import Refused
from coordinator.partners.queries import organisations
from playbooks.document import Playbook

DIRECTORY = "all"


def check(tx: Session, playbook: Playbook) -> list[str]:
    """The roles it needs and nobody has. Raises Refused for an agreement that is not in force, or a name unknown here.

    A role that nobody has keeps nothing from starting: its tasks go to the fallback and the duty role, and whoever
    coordinates is told. Waiting for a lawyer's account would cost the night.
    """
    roles = [name for name in playbook.options.needs if name in set(Role)]
    others = [name for name in playbook.options.needs if name not in roles and name != DIRECTORY]
    if others:
        _check_others(tx, others)
    held = select(User.role).where(User.role.in_(roles), User.state == "active").distinct()
    there = set(tx.execute(held).scalars()) if roles else set()
    return [name for name in roles if name not in there]


def _check_others(tx: Session, names: list[str]) -> None:
    agreements = {row["key"]: row["status"] for row in standing(tx, clock.now())}
    communities = {each for row in organisations(tx) for each in row.communities or ()}
    for name in names:
        if name in agreements and agreements[name] not in LIVE:
            raise Refused(f"This playbook needs the agreement {name}, which is not in force ({agreements[name]}).")
        if name not in agreements and name not in communities:
            raise Refused(f"This playbook needs “{name}”, which is no role, agreement or community known here.")

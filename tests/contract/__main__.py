"""schemathesis over the whole API of a running installation, as every role: `python -m tests.contract [--seconds 120]`.

Each role asks at every operation, those it has no right for too. Ends with 1 where anything was found.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from coordinator.accounts.rules import Role
from tests.contract.asking import ROLES, ask
from tests.factories import small_world, token_for
from tests.harness.installation import installation
from tests.hostile.site import Site


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.contract", description=__doc__)
    parser.add_argument("--seconds", type=int, default=120, help="for each role, after every case was tried once")
    parser.add_argument("--examples", type=int, default=10, help="of each operation, a round")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="roles at a time")
    # a partner's system signs and has no token: as such every role asks at its doors
    people = list(dict.fromkeys(role.value for role in (*ROLES, *Role) if role is not Role.PARTNER_SYSTEM))
    parser.add_argument("--roles", nargs="+", choices=people, default=people, help="without it: all")
    said = parser.parse_args()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coordinator-contract-")))
        machine = stack.enter_context(installation(home / "var"))
        site = Site(machine.base_url, machine.store, small_world(machine.store))

        def one(role: Role) -> tuple[Role, int, str]:
            token = token_for(machine.store, role.value)
            return role, *ask(
                machine.base_url, token=token, site={"known": site.known, "secret": site.world.secret},
                folder=home / role, phases="coverage,fuzzing,stateful", examples=said.examples, seed=said.seed,
                seconds=said.seconds,
            )  # fmt: skip

        worst = 0
        with ThreadPoolExecutor(said.threads) as pool:
            for role, code, text in pool.map(one, [Role(name) for name in said.roles]):
                print(f"{role}: " + ("nothing found" if not code else text), flush=True)
                print("\n".join(line for line in text.splitlines() if "generated" in line), flush=True)
                worst = max(worst, code)
        print(machine.run("record", "verify", seconds=600).splitlines()[0])
        failed = [line for line in machine.output if '"failed"' in line or "Traceback" in line]
        print("\n".join(failed[:20]) or "no fault in the log")
    return 1 if worst or failed else 0


if __name__ == "__main__":
    sys.exit(main())

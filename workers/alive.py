"""`python -m workers.alive worker`: whether a process of that kind on this host gave a sign of life; for health checks.

It asks the row that the process writes, so it is also wrong when the process runs but no longer reaches its database.
"""

import socket
import sys
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from coordinator import clock, config, db
from coordinator.errors import Misconfigured
from coordinator.timeline.models import Heartbeat

SILENT = timedelta(seconds=60)


def is_alive(engine: Engine, kind: str, *, host: str) -> bool:
    """Whether the newest heartbeat of `kind` from `host` is younger than a minute."""
    ours = Heartbeat.name.startswith(f"{kind}@{host}:", autoescape=True)
    with engine.connect().execution_options(**{db.READ_ONLY: True}) as connection:
        newest = connection.execute(select(func.max(Heartbeat.at)).where(Heartbeat.kind == kind, ours)).scalar()
    return newest is not None and abs(clock.now() - newest) < SILENT


def main(argv: Sequence[str]) -> int:
    """Exit code 0 alive, 1 not, 2 not asked for a kind."""
    if len(argv) != 2:
        print("usage: python -m workers.alive worker|relay", file=sys.stderr)
        return 2
    try:
        engine = db.make_engine(config.load().database_url, pool_size=1)
        if is_alive(engine, argv[1], host=socket.gethostname()):
            return 0
        print(f"no sign of life from {argv[1]} within {SILENT.seconds} s", file=sys.stderr)
    except Misconfigured as fault:
        print(fault, file=sys.stderr)
    except SQLAlchemyError as fault:
        print(f"the database does not answer ({type(fault).__name__})", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))

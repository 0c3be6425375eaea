"""The floor of intake: the same server and store, one route that loads the JSON, validates it with the same schema,
inserts one row and commits. Nothing less can call itself intake.

`python -m benchmarks.floor fd://N` serves it with the settings of our own web server.
"""

from __future__ import annotations

import os
import sys

from flask import Flask, request
from sqlalchemy import Column, LargeBinary, MetaData, String, Table, insert

from coordinator import config, db
from coordinator.incidents.schema import load_report, parse_json
from coordinator.store import Store
from workers.web_server import WebServer

rows = Table(
    "floor_rows", MetaData(), Column("id", db.BigId, primary_key=True), Column("title", String),
    Column("raw", LargeBinary),
)  # fmt: skip


def create(store: Store) -> Flask:
    """The application of the floor on a store of this process."""
    app, row = Flask(__name__), insert(rows)

    @app.post("/floor")
    def floor() -> tuple[str, int]:
        raw = request.get_data()
        report = load_report(parse_json(raw))
        with store.unit_of_work() as tx:
            tx.connection().execute(row, {"title": report["title"], "raw": raw})
        return "", 202

    @app.get("/readyz")
    def ready() -> str:
        return "ready"

    return app


class FloorServer(WebServer):
    """Our web server with the floor in it, without the sign of life of ours."""

    def load_config(self) -> None:
        super().load_config()
        self.cfg.set("post_fork", lambda server, worker: None)
        self.cfg.set("worker_exit", lambda server, worker: None)

    def load(self) -> Flask:
        return create(Store(config.load()))


def prepare() -> None:
    """Make the table, before any process is forked."""
    engine = db.make_engine(config.load().database_url)
    with engine.connect() as connection, connection.begin():
        rows.metadata.create_all(connection, checkfirst=True)
    engine.dispose()


if __name__ == "__main__":
    os.environ.setdefault("COORDINATOR_LOG_LEVEL", "WARNING")
    prepare()
    FloorServer(sys.argv[1]).run()

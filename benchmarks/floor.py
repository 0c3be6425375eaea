"""The floor of intake: the same server and store, one route that loads the JSON, validates it with the same schema,
inserts one row and commits. Nothing less can call itself intake.
"""

from __future__ import annotations

import os

from flask import Flask, request
from sqlalchemy import Column, LargeBinary, MetaData, String, Table, insert

from coordinator import config, db
from coordinator.incidents.schema import load_report, parse_json
from coordinator.store import Store

rows = Table(
    "floor_rows", MetaData(), Column("id", db.BigId, primary_key=True), Column("title", String), Column("raw",
    LargeBinary)
)  # fmt: skip


def create() -> Flask:
    """The application that gunicorn serves for the floor."""
    store = Store(config.load(data_dir=os.environ["COORDINATOR_DATA_DIR"]))
    with store.engine.connect() as connection, connection.begin():
        rows.metadata.create_all(connection, checkfirst=True)
    store.engine.dispose()
    app = Flask(__name__)

    @app.post("/floor")
    def floor() -> tuple[str, int]:
        raw = request.get_data()
        report = load_report(parse_json(raw))
        with store.unit_of_work() as tx:
            tx.execute(insert(rows).values(title=report["title"], raw=raw))
        return "", 202

    return app

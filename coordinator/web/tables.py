"""Tables that leave as files for a spreadsheet."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from flask import Response

from coordinator import clock


def csv_file(
    name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, any_script: bool = False
) -> Response:
    """A download named `name`. Times are RFC 3339 in UTC, lists words with blanks between, None is empty.

    `any_script`: it begins with a byte order mark, without which spreadsheets misread what is not ASCII.
    """
    return _download(name, (_MARK if any_script else "") + as_csv(columns, rows))


def csv_stream(name: str, columns: Sequence[str], batches: Iterable[Iterable[Sequence[Any]]]) -> Response:
    """As `csv_file` in any script, sent while it is made: a batch of rows is all that is held."""
    heading = _MARK + as_csv(columns, ())
    return _download(name, itertools.chain([heading], (_lines(rows) for rows in batches)))


_MARK = "\ufeff"


def _download(name: str, body: str | Iterable[str]) -> Response:
    answer = Response(body, content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """The text of the table; what partners wrote cannot become a formula in it."""
    return _lines(itertools.chain([columns], rows))


def _lines(rows: Iterable[Sequence[Any]]) -> str:
    written = io.StringIO()
    csv.writer(written).writerows([_cell(value) for value in row] for row in rows)
    return written.getvalue()


#: What a spreadsheet would take for a formula, in wide letters too (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return clock.rfc3339(value)
    if isinstance(value, list):
        return " ".join(map(str, value))
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text

"""Logs: one JSON object a line, ids and codes only. No content, no tokens, no texts of exceptions."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any

import structlog


def configure(level: str = "INFO") -> None:
    """Set up logging of this process: structlog to stderr, and the standard library through the same lines."""
    number = getattr(logging, level, logging.INFO)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars, structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]  # fmt: skip
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def where(error: BaseException, *, deepest: int = 12) -> dict[str, Any]:
    """An unexpected error as kind and places (file:line:function): its text may hold what was marked."""
    frames = traceback.extract_tb(error.__traceback__)[-deepest:]
    return {
        "error": type(error).__name__,
        "places": [f"{frame.filename.rsplit('site-packages/')[-1]}:{frame.lineno}:{frame.name}" for frame in frames],
    }

"""(being written)"""

from __future__ import annotations

from flask import Blueprint

pages = Blueprint("acknowledge", __name__)
WITHOUT_SESSION: frozenset[str] = frozenset()

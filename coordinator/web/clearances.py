"""(being written)"""

from __future__ import annotations

from flask import Blueprint

pages = Blueprint("clearances", __name__)

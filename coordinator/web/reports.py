"""(being written)"""

from __future__ import annotations

from flask import Blueprint

pages = Blueprint("reports", __name__)

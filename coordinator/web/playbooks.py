"""(being written)"""

from __future__ import annotations

from flask import Blueprint

pages = Blueprint("playbooks", __name__)

"""On the path of processes under test: our clock is off by as many seconds as a file says, whenever it changes."""

import os
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

if os.environ.get("TEST_CLOCK_FILE"):
    from coordinator import clock

    _file, _real = Path(os.environ["TEST_CLOCK_FILE"]), clock.now

    def _shifted() -> datetime:
        seconds = 0.0
        with suppress(OSError, ValueError):
            seconds = float(_file.read_text())
        return _real() + timedelta(seconds=seconds)

    clock.now = _shifted

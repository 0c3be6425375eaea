"""Lists of work for people: my tasks, and releases that wait for a second person. Plain data, bounded counts."""

from __future__ import annotations

#: Counts on pages stop here: nobody reads "1,734 tasks", and counting further would cost what it tells.
MOST = 200

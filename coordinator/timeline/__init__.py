"""The record of what happened and the outbox of what must follow."""

from coordinator.timeline.service import (
    Beginning,
    Event,
    Word,
    append,
    append_all,
    begin_all,
    lock_record,
    pending,
    pending_all,
)

__all__ = [
    "Beginning", "Event", "Word", "append", "append_all", "begin_all", "lock_record", "pending", "pending_all",
]  # fmt: skip

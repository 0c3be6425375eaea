"""The record of what happened and the outbox of what must follow."""

from coordinator.timeline.service import Event, append, append_all, lock_record, pending

__all__ = ["Event", "append", "append_all", "lock_record", "pending"]

"""The use cases of this room in one place to look; each lives in the file named for it."""

from coordinator.alerts.acknowledge import AckResult, acknowledge, acknowledge_for
from coordinator.alerts.bounces import record_bounce
from coordinator.alerts.by_recipient import tell_each
from coordinator.alerts.calls import finish_call
from coordinator.alerts.changes import call_off, redeliver, withdraw
from coordinator.alerts.corrections import correct
from coordinator.alerts.desk_calls import ask_to_call, text_for
from coordinator.alerts.own import still_waits, tell_approvers, tell_own
from coordinator.alerts.recalls import recall_alert, recall_item
from coordinator.alerts.receipts import send_closure, send_receipt
from coordinator.alerts.rungs import climb, next_rung, remind
from coordinator.alerts.telling import Told, raise_alert, raise_approved, tell
from coordinator.alerts.wording import NOTICE

__all__ = [
    "NOTICE", "still_waits",
    "AckResult", "Told", "acknowledge", "acknowledge_for", "ask_to_call", "call_off", "climb", "correct", "finish_call",
    "next_rung", "raise_alert", "raise_approved", "recall_alert", "recall_item",
    "record_bounce", "redeliver", "remind", "send_closure",
    "send_receipt", "tell", "tell_each", "tell_approvers", "tell_own", "text_for", "withdraw",
]  # fmt: skip

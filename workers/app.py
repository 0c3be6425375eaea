"""Celery as this project uses it: it carries ids and wake-ups, never truth. Queues, a store a process, periodic work.

Every message may be lost, doubled or late. Hence no results, no canvas, no ETA, no remote control, and one Celery
function only: it is given the id of a pending row and runs the job that the row names (jobs.py).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from coordinator import config
from coordinator.store import Store
from workers.broker import celery_url

if TYPE_CHECKING:
    from celery import Celery

JOB = "coordinator.job"
ALERTS = "alerts"  # what talks to the outside, so that a slow partner does not hold up the rest
MAIN = "main"
EXERCISE = "exercise"  # whatever belongs to an exercise: a real alert never waits behind it
QUEUES = (ALERTS, MAIN, EXERCISE)


@dataclass(frozen=True)
class Periodic:
    """Done every so many seconds by one of the relays. `handler` is `module:function`, called with the store."""

    name: str
    seconds: float
    handler: str
    everywhere: bool = False  # by every relay, not only by the one that comes first


SWEEPER = "sweeper"
#: The one table of periodic work. Each is safe to do twice and to miss: what has a time of its own is a pending row.
PERIODIC = (
    Periodic(SWEEPER, 10, "workers.due:beat"),
    Periodic("clock", 10, "workers.timekeeper:watch", everywhere=True),
    Periodic("unread-reports", 5, "workers.due:find_unread"),
    Periodic("stuck-rows", 30, "workers.due:find_stuck"),
    Periodic("register-timers", 3600, "workers.due:mend_register"),
    Periodic("checkpoint", 600, "workers.due:checkpoint"),
    Periodic("expiries", 60, "workers.due:expire"),
)

_SETTINGS = {
    "task_serializer": "json",
    "result_serializer": "json",
    "accept_content": ["json"],
    "result_accept_content": ["json"],
    "task_ignore_result": True,
    "task_store_errors_even_if_ignored": False,
    "result_backend": None,
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_default_queue": MAIN,
    "task_create_missing_queues": True,
    "task_publish_retry": False,  # the relay tries again by itself, from the row
    "worker_prefetch_multiplier": 1,
    "worker_enable_remote_control": False,
    "worker_send_task_events": False,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_retry": True,
    "broker_connection_max_retries": None,
    "broker_connection_timeout": 2,
    "broker_heartbeat": 0,
    "enable_utc": True,
    "broker_transport_options": {
        # A message whose worker died comes back after these; the relay's lease is shorter and decides.
        "visibility_timeout": 60,
        "unacked_restore_interval": 2,
        "unacked_restore_throttle": 1,
        "socket_timeout": 5.0,
        "socket_connect_timeout": 2.0,
        "socket_keepalive": True,
        "health_check_interval": 15,
        "retry_on_timeout": True,
        "max_connections": 40,
    },
}


def make_celery(redis_url: str) -> Celery:
    """A Celery application for this broker (`redis://`, `rediss://` or `unix://`). Opens no connection yet."""
    from celery import Celery

    celery = Celery("coordinator", broker=celery_url(redis_url), set_as_current=False)
    celery.conf.update(_SETTINGS)
    return celery


_store: Store | None = None
_lock = threading.Lock()


def store() -> Store:
    """The store of this process, opened at first use and so after any fork."""
    global _store
    with _lock:
        if _store is None:
            _store = Store(config.load())
        return _store

"""One tree of processes for one machine: start in order, restart what dies, stop in order, leave nothing behind.

It knows no web server, no job queue and no database: it gets `ChildSpec`s and keeps them running. Every child leads a
session of its own, so that Ctrl-C reaches only the supervisor and a dead child's helpers can be killed as one group.
Children ask the kernel to be killed with the supervisor, so `kill -9` of the supervisor leaves no orphan either.

`python -m workers.supervisor FD` reads a tree as JSON from that file descriptor and runs it (see `become_tree`).
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import IO, Any, NoReturn

from workers.children import ChildSpec, check_probe, die_with_parent, is_ready

READY_SECONDS = 180.0  # until a tree that does not get up gives up: a small or busy machine may take a minute
LOOK_SECONDS = 0.1  # how long the end of a child can go unnoticed
FIRST_BACK_OFF = 0.2
LONGEST_BACK_OFF = 10.0
STEADY_SECONDS = 3.0  # a child that lived this long starts afresh with the back-off
DEATHS_BEFORE_READY = 3
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class AlreadyRunning(Exception):
    """Another process holds the lock of this data folder."""


class DidNotStart(Exception):
    """A tree that was never ready; the text says which child and why."""


def hold_lock(path: str) -> int:
    """Take the lock file for the rest of this process's life, through `exec` too; the kernel frees it at any death.

    Take it before preparing anything the running tree may read. Returns the file descriptor; raises AlreadyRunning.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 20).decode(errors="replace").strip()
        os.close(lock)
        raise AlreadyRunning(f"already running here (process {holder or 'unknown'} holds {path})") from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    os.set_inheritable(lock, True)
    return lock


def run_tree(
    children: Sequence[ChildSpec],
    *,
    ready_text: str = "",
    ready_seconds: float = READY_SECONDS,
    on_ready: Callable[[], None] | None = None,
) -> int:
    """Run the tree in the main thread until SIGTERM, SIGINT or SIGHUP; a second signal kills at once.

    Prints `ready_text` and calls `on_ready` once when every child is ready. Returns 0 when stopped on request, 1 when
    the tree did not get up (stderr says why).
    """

    def announce() -> None:
        if ready_text:
            print(ready_text, flush=True)
        if on_ready:
            on_ready()

    tree = Tree(children, ready_seconds=ready_seconds, on_ready=announce)
    before = {each: signal.getsignal(each) for each in STOP_SIGNALS}
    for each in STOP_SIGNALS:
        if each != signal.SIGHUP or before[each] != signal.SIG_IGN:  # nohup means: stay
            signal.signal(each, lambda *_: tree.stop())
    try:
        return tree.run()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def become_tree(
    children: Sequence[ChildSpec], *, ready_text: str = "", ready_seconds: float = READY_SECONDS
) -> NoReturn:
    """The same as `run_tree`, in this very process, after giving back the memory of all that was imported so far."""
    plan = {"children": [asdict(child) for child in children], "text": ready_text, "seconds": ready_seconds}
    with tempfile.TemporaryFile() as handed_over:  # not argv or the environment: what is in it may be secret
        handed_over.write(json.dumps(plan).encode())
        handed_over.seek(0)
        for fd in {handed_over.fileno(), *(fd for child in children for fd in child.pass_fds)}:
            os.set_inheritable(fd, True)
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, "-m", "workers.supervisor", str(handed_over.fileno())])


class Tree:
    """A set of children, kept running by the thread that calls `run`; the children die with that thread."""

    def __init__(
        self,
        children: Sequence[ChildSpec],
        *,
        ready_seconds: float = READY_SECONDS,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        names = [child.name for child in children]
        if len(set(names)) != len(names):
            raise ValueError(f"two children have the same name: {', '.join(names)}")
        for child in children:
            check_probe(child.ready)
        self.ready = threading.Event()
        self.result: int | None = None
        self._children = [_Child(spec) for spec in children]
        self._ready_seconds = ready_seconds
        self._on_ready = on_ready
        self._asked_to_stop = 0

    def run(self) -> int:
        """Start, keep running until `stop`, then stop in order. Returns as `run_tree`; call it once."""
        result = 1
        try:
            self._start()
            while not self._asked_to_stop:
                self._turn()
            result = 0
        except DidNotStart as fault:
            _say(str(fault))
        finally:
            self._stop()
            self.result = result
        return result

    def stop(self) -> None:
        """Ask for an orderly stop; asked twice, kill at once. Safe in signal handlers and from any thread."""
        self._asked_to_stop += 1  # a plain number: setting a lock from a signal handler could wait for itself

    def kill(self, name: str) -> None:
        """SIGKILL to the process group of that child, which is then restarted. For drills and tests."""
        {child.spec.name: child for child in self._children}[name].signal_group(signal.SIGKILL)

    def pids(self) -> dict[str, int]:
        """Process id of each child that runs now, by name."""
        return {child.spec.name: child.process.pid for child in self._children if child.process}

    def _start(self) -> None:
        deadline = time.monotonic() + self._ready_seconds
        for stage in _stages(self._children, by="start_order"):
            for child in stage:
                child.start()
            waiting = stage
            while waiting and not self._asked_to_stop:
                self._turn(LOOK_SECONDS / 2)
                self._give_up_where_hopeless(waiting, deadline)
                waiting = [child for child in waiting if not (child.process and is_ready(child.spec.ready))]
        if not self._asked_to_stop:
            if self._on_ready:
                self._on_ready()
            self.ready.set()

    def _give_up_where_hopeless(self, waiting: list["_Child"], deadline: float) -> None:
        for child in self._children:
            if child.deaths >= DEATHS_BEFORE_READY:
                raise DidNotStart(f"{child.spec.name} {child.how_it_ended} {child.deaths} times{child.last_words()}")
        if time.monotonic() > deadline:
            late = waiting[0]
            raise DidNotStart(f"{late.spec.name} was not ready after {self._ready_seconds:g} s{late.last_words()}")

    def _turn(self, seconds: float = LOOK_SECONDS) -> None:
        """Wait a moment, then see to every child that ended or is due to start again."""
        time.sleep(seconds)
        for child in self._children:
            if child.has_ended() and not self._asked_to_stop:
                _say(f"{child.spec.name} {child.how_it_ended}, starting it again in {child.back_off:g} s")
            if child.due is not None and time.monotonic() >= child.due and not self._asked_to_stop:
                child.start()

    def _stop(self) -> None:
        self._asked_to_stop = max(self._asked_to_stop, 1)
        for stage in _stages(self._children, by="stop_order"):
            for child in stage:
                child.ask_to_end()
            while any(child.process for child in stage):
                self._turn(LOOK_SECONDS / 2)
                for child in stage:
                    if self._asked_to_stop > 1 or time.monotonic() > child.kill_after:
                        child.signal_group(signal.SIGKILL)


class _Child:
    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.process: subprocess.Popen[bytes] | None = None
        self.deaths = 0
        self.due: float | None = None
        self.back_off = 0.0
        self.kill_after = 0.0
        self.how_it_ended = ""
        self._started = 0.0

    def start(self) -> None:
        self.due = None
        self._started = time.monotonic()
        parent = os.getpid()

        def in_the_child() -> None:
            die_with_parent()
            if os.getppid() != parent:  # it ended before we could ask
                os._exit(1)

        try:
            with _output(self.spec.log) as output:
                self.process = subprocess.Popen(
                    self.spec.argv,
                    env={**os.environ, "PYTHONUNBUFFERED": "1", **self.spec.env},
                    cwd=self.spec.cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    preexec_fn=in_the_child,
                    pass_fds=self.spec.pass_fds,
                )
        except (OSError, subprocess.SubprocessError) as fault:  # full disk, no memory, a program that is gone
            self._note_end(f"could not be started ({fault})")

    def has_ended(self) -> bool:
        """See whether it ended since the last look; if so, kill the rest of its group while the id is still its own."""
        if self.process is None:
            return False
        if not os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return False
        self.signal_group(signal.SIGKILL)
        code = self.process.wait()
        self.process = None
        self._note_end(f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}")
        return True

    def _note_end(self, how: str) -> None:
        now = time.monotonic()
        self.deaths = 1 if now - self._started >= STEADY_SECONDS else self.deaths + 1
        self.back_off = min(FIRST_BACK_OFF * 2 ** min(self.deaths - 1, 10), LONGEST_BACK_OFF)
        self.due = now + self.back_off
        self.how_it_ended = how

    def ask_to_end(self) -> None:
        self.due = None
        self.kill_after = time.monotonic() + self.spec.stop_seconds
        if self.process:  # the leader only: it knows in which order its own workers go
            os.kill(self.process.pid, signal.SIGTERM)  # not Popen.send_signal, which would reap it unseen

    def signal_group(self, signum: int) -> None:
        if self.process:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # the latter: only zombies are left (macOS)
                os.killpg(self.process.pid, signum)

    def last_words(self) -> str:
        if not self.spec.log:
            return ""
        with contextlib.suppress(OSError), open(self.spec.log, errors="replace") as log:
            return "; the end of its log:\n" + "".join(log.readlines()[-20:])
        return ""


def _say(sentence: str) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone; that is no reason to stop
        print(f"coordinator: {sentence}", file=sys.stderr, flush=True)


def _stages(children: Sequence[_Child], *, by: str) -> Iterator[list[_Child]]:
    for order in sorted({getattr(child.spec, by) for child in children}):
        yield [child for child in children if getattr(child.spec, by) == order]


@contextlib.contextmanager
def _output(log: str | None) -> Iterator[IO[Any] | int]:
    if log is None:
        yield 2  # ours, whatever sys.stderr has been replaced with
        return
    with open(log, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        yield file


def main(argv: Sequence[str]) -> int:
    """Run the tree that `become_tree` handed over by file descriptor."""
    with os.fdopen(int(argv[1]), "rb") as handed_over:
        plan = json.load(handed_over)
    children = [
        ChildSpec(**{**child, "argv": tuple(child["argv"]), "pass_fds": tuple(child["pass_fds"])})
        for child in plan["children"]
    ]
    return run_tree(children, ready_text=plan["text"], ready_seconds=plan["seconds"])


if __name__ == "__main__":
    sys.exit(main(sys.argv))

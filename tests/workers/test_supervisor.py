"""The process tree on real processes: what dies comes back, what stops stops in order, nothing stays behind."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.processes import PATIENCE, wait_for
from workers.children import ChildSpec, check_probe, is_ready
from workers.supervisor import AlreadyRunning, Tree, _Child, hold_lock

ROOT = Path(__file__).parents[2]


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", textwrap.dedent(code))


def sleeper(name: str, **more: object) -> ChildSpec:
    return ChildSpec(name=name, argv=python("import time; time.sleep(600)"), **more)  # type: ignore[arg-type]


def runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


class Running:
    """A tree in a thread of this process."""

    def __init__(self, *children: ChildSpec, ready_seconds: float = PATIENCE) -> None:
        self.tree = Tree(children, ready_seconds=ready_seconds)
        self.thread = threading.Thread(target=self.tree.run)

    def __enter__(self) -> Tree:
        self.thread.start()
        wait_for(lambda: self.tree.ready.is_set() or self.tree.result is not None, what="the tree to be ready or over")
        return self.tree

    def __exit__(self, *_: object) -> None:
        self.tree.stop()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()
        assert self.tree.pids() == {}


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Runs a supervisor as a process of its own, from the source of a list of children."""
    started: list[subprocess.Popen[str]] = []

    def start(children: str, *, call: str = "run_tree", before: str = "") -> subprocess.Popen[str]:
        code = (
            "import sys\nfrom workers.children import ChildSpec\nfrom workers.supervisor import *\n"
            "from workers.supervisor import hold_lock\n"
            f"{before}\nsys.exit({call}([{children}], ready_text='Ready: here'))"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def noted(folder: Path, name: str, *, then: str = "time.sleep(600)") -> str:
    """Source of a child that writes its process id to a file, and to the file `ended` when it is told to stop."""
    code = (
        "import os, signal, sys, time\n"
        f"def stop(*_):\n    open({str(folder / 'ended')!r}, 'a').write({name!r} + ' ')\n    sys.exit()\n"
        f"signal.signal(signal.SIGTERM, stop)\nopen({str(folder / name)!r}, 'w').write(str(os.getpid()))\n{then}"
    )
    return f"ChildSpec(name={name!r}, argv=(sys.executable, '-S', '-c', {code!r}), ready='file://{folder / name}'"


def pid_in(path: Path) -> int:
    wait_for(lambda: path.exists() and path.read_text(), what="a process id in the file")
    return int(path.read_text())


def test_a_killed_child_comes_back_and_the_others_are_left_alone() -> None:
    with Running(sleeper("one"), sleeper("two")) as tree:
        before = tree.pids()
        os.kill(before["one"], signal.SIGKILL)
        wait_for(lambda: tree.pids().get("one", before["one"]) != before["one"], what="another in its place")
        assert tree.pids()["two"] == before["two"]


def test_a_child_that_ends_by_itself_comes_back_too(tmp_path: Path) -> None:
    lives = tmp_path / "lives"
    child = ChildSpec(name="short", argv=python(f"import time; open({str(lives)!r}, 'a').write('x'); time.sleep(0.1)"))
    with Running(child, sleeper("other")):
        wait_for(lambda: lives.exists() and len(lives.read_text()) >= 3, what="a third life")


def test_what_a_killed_child_had_started_is_killed_before_it_comes_back(tmp_path: Path) -> None:
    helper = tmp_path / "helper"
    child = ChildSpec(
        name="parent",
        argv=python(f"""
            import subprocess, sys, time
            helper = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
            open({str(helper)!r}, "w").write(str(helper.pid))
            time.sleep(600)"""),
    )
    with Running(child) as tree:
        orphan = pid_in(helper)
        os.kill(tree.pids()["parent"], signal.SIGKILL)
        wait_for(lambda: not runs(orphan), what="the orphan to end")
        wait_for(lambda: pid_in(helper) != orphan, what="another helper")


def test_the_wait_before_a_restart_grows_to_a_limit_and_starts_afresh_after_a_steady_life() -> None:
    tree = Tree([ChildSpec(name="broken", argv=("/nonexistent/program",))])
    child = tree._children[0]
    waits = []
    for _ in range(9):
        child.start()
        waits.append(child.back_off)
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0]
    child._started -= 3600
    child._note_end("ended")
    assert child.back_off == 0.2


def test_a_tree_whose_child_cannot_start_gives_up_and_stops_the_rest(capfd: pytest.CaptureFixture[str]) -> None:
    with Running(sleeper("first"), ChildSpec(name="broken", argv=("/nonexistent/program",), start_order=1)) as tree:
        assert tree.result == 1
        assert tree.pids() == {}
    assert "broken could not be started" in capfd.readouterr().err


def test_a_tree_that_never_gets_ready_says_who_and_shows_the_end_of_its_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    child = ChildSpec(
        name="mute",
        argv=("/bin/sh", "-c", "echo no settings; exec sleep 600"),  # says it long before the two seconds are over
        ready=f"file://{tmp_path}/never",
        log=str(log),
    )
    with Running(child, ready_seconds=2.0) as tree:
        assert tree.result == 1
    said = capfd.readouterr().err
    assert "mute was not ready after 2 s" in said
    assert "no settings" in said
    assert log.stat().st_mode & 0o077 == 0


def test_a_later_stage_starts_only_when_the_earlier_one_is_ready(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    first = ChildSpec(
        name="first",
        argv=python(f"import time; time.sleep(0.5); open({str(flag)!r}, 'w'); time.sleep(600)"),
        ready=f"file://{flag}",
    )
    seen = tmp_path / "seen"
    second = ChildSpec(
        name="second",
        argv=python(f"""
            import os, time
            open({str(seen)!r}, 'w').write(str(os.path.exists({str(flag)!r})))
            time.sleep(600)"""),
        start_order=1,
    )
    with Running(first, second):
        wait_for(lambda: seen.exists() and seen.read_text(), what="the second one to look")
        assert seen.read_text() == "True"


def test_children_stop_in_the_declared_order(tmp_path: Path, supervisor: Callable[..., subprocess.Popen[str]]) -> None:
    order = [("web", 0), ("worker", 1), ("relay", 2), ("broker", 3)]
    children = [f"{noted(tmp_path, name)}, stop_order={at}, stop_seconds={PATIENCE})" for name, at in reversed(order)]
    process = supervisor(", ".join(children))
    assert process.stdout.readline() == "Ready: here\n"  # type: ignore[union-attr]
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert (tmp_path / "ended").read_text().split() == ["web", "worker", "relay", "broker"]


@pytest.mark.parametrize("call", ["run_tree", "become_tree"])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_the_tree_and_leaves_nothing(
    tmp_path: Path, supervisor: Callable[..., subprocess.Popen[str]], signum: signal.Signals, call: str
) -> None:
    process = supervisor(noted(tmp_path, "a") + ")", call=call)
    assert process.stdout.readline() == "Ready: here\n"  # type: ignore[union-attr]
    child = pid_in(tmp_path / "a")
    process.send_signal(signum)
    assert process.wait(PATIENCE) == 0
    assert not runs(child)
    assert (tmp_path / "ended").read_text() == "a "


def test_the_children_of_a_killed_supervisor_die_with_it(
    tmp_path: Path, supervisor: Callable[..., subprocess.Popen[str]]
) -> None:
    process = supervisor(f"{noted(tmp_path, 'a')}), {noted(tmp_path, 'b')})")
    children = [pid_in(tmp_path / "a"), pid_in(tmp_path / "b")]
    assert process.stdout.readline() == "Ready: here\n"  # type: ignore[union-attr]
    process.kill()
    process.wait()
    wait_for(lambda: not any(runs(child) for child in children), what="the children to end")


def test_a_child_deaf_to_sigterm_is_killed_after_its_time(
    tmp_path: Path, supervisor: Callable[..., subprocess.Popen[str]]
) -> None:
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)"
    # The file that says "ready" is written before the signal is ignored: write it again afterwards.
    deaf = deaf.replace("\ntime", f"\nopen({str(tmp_path / 'deaf-now')!r}, 'w')\ntime")
    spec = noted(tmp_path, "deaf", then=deaf).replace(f"file://{tmp_path}/deaf", f"file://{tmp_path}/deaf-now")
    process = supervisor(spec + ", stop_seconds=0.3)")
    assert process.stdout.readline() == "Ready: here\n"  # type: ignore[union-attr]
    child = pid_in(tmp_path / "deaf")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert not runs(child)


def test_a_child_that_ended_unseen_just_before_the_stop_does_no_harm() -> None:
    child = _Child(sleeper("a"))
    child.start()
    assert child.process
    os.kill(child.process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.process.pid, os.WEXITED | os.WNOWAIT)
    child.ask_to_end()
    assert child.has_ended()
    assert "killed by signal 9" in child.how_it_ended


def test_a_second_signal_does_not_wait_for_anyone(
    tmp_path: Path, supervisor: Callable[..., subprocess.Popen[str]]
) -> None:
    slow = f"signal.signal(signal.SIGTERM, lambda *_: open({str(tmp_path / 'asked')!r}, 'w'))\n"
    slow += f"open({str(tmp_path / 'slow-now')!r}, 'w')\nwhile True: time.sleep(600)"
    spec = noted(tmp_path, "slow", then=slow).replace(f"file://{tmp_path}/slow", f"file://{tmp_path}/slow-now")
    process = supervisor(spec + ", stop_seconds=3600)")
    assert process.stdout.readline() == "Ready: here\n"  # type: ignore[union-attr]
    process.send_signal(signal.SIGINT)
    wait_for((tmp_path / "asked").exists, what="the child to be asked")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0


def test_only_one_tree_may_hold_a_data_folder_and_a_killed_one_frees_it(
    tmp_path: Path, supervisor: Callable[..., subprocess.Popen[str]]
) -> None:
    lock = str(tmp_path / "lock")
    # become_tree: the lock must outlive the exec, and must not be inherited by the child
    process = supervisor(noted(tmp_path, "a") + ")", call="become_tree", before=f"hold_lock({lock!r})")
    assert process.stdout.readline() == "Ready: here\n"  # type: ignore[union-attr]
    with pytest.raises(AlreadyRunning, match=f"process {process.pid} "):
        hold_lock(lock)
    process.kill()
    process.wait()
    os.close(hold_lock(lock))


def test_a_listening_socket_is_handed_through_to_the_child() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answer = "import socket, sys\nlistener = socket.socket(fileno=int(sys.argv[1]))\n"
        answer += "while True: listener.accept()[0].sendall(b'here')"
        number = listener.fileno()
        child = ChildSpec(name="web", argv=(*python(answer), str(number)), pass_fds=(number,))
        with Running(child) as tree:
            for _ in range(2):  # the second one arrives while nobody listens, and waits in the queue
                with socket.create_connection(listener.getsockname(), timeout=PATIENCE) as connection:
                    assert connection.recv(4) == b"here"
                answered = tree.pids()["web"]
                tree.kill("web")
                # A dying process may still accept, and answer nothing.
                wait_for(lambda pid=answered: not runs(pid), what="the killed one to be gone")


def test_two_children_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="same name"):
        Tree([sleeper("a"), sleeper("a")])


@pytest.mark.parametrize("probe", ["", "tcp://", "ftp://host", "readyz", "tcp:localhost"])
def test_a_probe_that_could_never_succeed_is_refused(probe: str) -> None:
    with pytest.raises(ValueError, match="ready by"):
        check_probe(probe)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.0 200 \r\n\r\n", True),
        (b"HTTP/1.1 503 not yet\r\n\r\n", False),
        (b"HTTP/1.1 2000 odd\r\n\r\n", False),
        (b"SSH-2.0-200", False),
        (b"", False),
    ],
)
def test_ready_by_http_means_a_200(answer: bytes, expected: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        assert is_ready(f"http://127.0.0.1:{listener.getsockname()[1]}/readyz") is expected
        thread.join(PATIENCE)


def test_ready_by_socket_means_it_takes_a_connection(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    assert not is_ready(f"unix://{path}")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        assert not is_ready(f"unix://{path}")
        listener.listen()
        assert is_ready(f"unix://{path}")
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        place = f"tcp://127.0.0.1:{tcp.getsockname()[1]}"
        assert is_ready(place)
    assert not is_ready(place)

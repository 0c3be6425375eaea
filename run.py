#!/usr/bin/env python3
"""Run Coordinator from a checkout: `python3 run.py COMMAND …`, or its tests: `python3 run.py test [PYTEST ARGUMENTS]`.

The first start prepares `.venv` from the hashed lock file, later ones go straight on. It needs Python 3.11 or newer and
any pip or uv that it can find, nothing else.
"""

import sys

# Old ones do come here and must be told, so that nothing in this file may need a newer one to be parsed.
if sys.version_info < (3, 11):  # noqa: UP036
    import os
    import shutil

    for _name in ("python3.14", "python3.13", "python3.12", "python3.11"):
        if shutil.which(_name):
            os.execv(shutil.which(_name), [_name] + sys.argv)
    sys.exit("coordinator: needs Python 3.11 or newer, this is " + ".".join(map(str, sys.version_info[:2])))

import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import time
import venv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

try:
    import fcntl
except ImportError:
    sys.exit("coordinator: runs on Linux and macOS only")

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.lock"
DEV_LOCK = ROOT / "requirements-dev.lock"  # the same pins, and what the tests need
INTERRUPTED = VENV / ".preparing"
MADE_FOR = VENV / ".made-for"

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WORKS = (
    "import os, sys, sysconfig; "
    "sys.exit(sys.version_info < (3, 11) or not os.path.isdir(sysconfig.get_path('purelib')))"
)


class NotPrepared(Exception):
    """The environment could not be made; the text is for the user."""


def main(argv: Sequence[str]) -> None:
    """Prepare what is missing, then become the command."""
    try:
        if argv[:1] == ["test"]:
            arguments = select_tests(argv[1:], missing=missing_programs(), in_ci=in_ci(os.environ))
            prepare(DEV_LOCK)
            os.chdir(ROOT)
            become([str(PYTHON), "-m", "pytest", *arguments])
        else:
            prepare(LOCK)
            become([str(PYTHON), str(VENV / "bin" / "coordinator"), *argv])
    except NotPrepared as fault:
        sys.exit(f"coordinator: {fault}")
    except KeyboardInterrupt:
        sys.exit(130)


def become(command: list[str]) -> None:
    """Replace this process, so that signals and exit codes are the command's own.

    Without bytecode every process would compile everything anew, which takes three times as long to start. Who wants
    none beside the sources gets it inside the environment.
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        os.environ.setdefault("PYTHONPYCACHEPREFIX", str(VENV / "bytecode"))
    sys.stdout.flush()
    os.execv(command[0], command)


def prepare(lock: Path) -> None:
    """Bring `.venv` to what `lock` says. Cheap when it is there; safe when two start at once or one is killed."""
    if is_prepared(lock):
        return
    with one_at_a_time() as turn:
        if is_prepared(lock):
            return
        began = time.monotonic()
        say(f"preparing {VENV.name} from {lock.name}, this once …")
        make_environment()
        INTERRUPTED.touch()
        stamp(lock).unlink(missing_ok=True)
        install(lock, turn)
        for done in {lock, LOCK}:
            write(stamp(done), fingerprint(done))
        INTERRUPTED.unlink()
        say(f"prepared in {time.monotonic() - began:.0f} s")


def is_prepared(lock: Path) -> bool:
    """Whether `.venv` was completed for exactly this lock file, project, place and Python."""
    try:
        return not INTERRUPTED.exists() and stamp(lock).read_text() == fingerprint(lock)
    except OSError:
        return False


def stamp(lock: Path) -> Path:
    return VENV / f".prepared-{lock.name}"


def fingerprint(lock: Path) -> str:
    parts = [lock.read_bytes(), (ROOT / "pyproject.toml").read_bytes(), bytes(ROOT), bytes(PYTHON.resolve())]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


@contextlib.contextmanager
def one_at_a_time() -> Iterator[int]:
    """Hold the checkout against other starts. The installer inherits the descriptor and holds on if we are killed."""
    turn = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another start is preparing {VENV.name}, waiting for it …")
            fcntl.flock(turn, fcntl.LOCK_EX)
        yield turn
    finally:
        os.close(turn)


def make_environment() -> None:
    """Keep a `.venv` that works (a developer's, or one of an older lock); make any other afresh, without pip."""
    elsewhere = MADE_FOR.exists() and MADE_FOR.read_text() != str(ROOT)  # scripts and paths in it name the old place
    if INTERRUPTED.exists() or elsewhere or not answers([str(PYTHON), "-c", WORKS]):
        try:
            if VENV.is_symlink() or VENV.is_file():
                VENV.unlink()
            venv.EnvBuilder(clear=True, symlinks=True, with_pip=False).create(VENV)
        except (OSError, subprocess.CalledProcessError) as fault:
            raise NotPrepared(f"cannot make {VENV}: {fault}") from None
        MADE_FOR.write_text(str(ROOT))


def install(lock: Path, turn: int) -> None:
    """Install the locked packages, hashes checked, and the project itself in place, without network or build folder."""
    said = None
    for installer in installers():
        packages = [*installer, "--no-deps", "--require-hashes", "-r", str(lock)]
        project = [*installer, "--no-deps", "--no-build-isolation", "-e", str(ROOT)]
        for command in (packages, project):
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=(turn,)
            )
            if done.returncode:
                said = done.stdout.decode(errors="replace")[-4000:]
                break
        else:
            return
    if said is None:
        raise NotPrepared("needs pip: install your system's python3-pip or python3-venv package or uv, and start again")
    raise NotPrepared(f"could not install {lock.name}; the installer said:\n{said.rstrip()}")


def installers() -> Iterator[list[str]]:
    """uv where there is one, then the first pip that can install into another environment."""
    uv = shutil.which("uv")
    if uv:
        yield [uv, "pip", "install", "--quiet", "--python", str(PYTHON)]
    pips = [[sys.executable, "-m", "pip"]] if importlib.util.find_spec("pip") else []
    pips += [[name] for name in ("pip3", "pip") if shutil.which(name)]
    for pip in pips:
        into = [*pip, "--python", str(PYTHON)]  # since pip 22.3
        if answers([*into, "--version"]):
            yield [*into, *PIP_INSTALL]
            return
    if answers([str(PYTHON), "-m", "ensurepip"]):
        yield [str(PYTHON), "-m", "pip", *PIP_INSTALL]


# Bytecode is left to the first import: it writes what is used, in a third of the time.
PIP_INSTALL = ("install", "--quiet", "--no-compile", "--disable-pip-version-check", "--no-input")


def answers(command: list[str]) -> bool:
    """Whether this command can be run and ends well."""
    with contextlib.suppress(OSError):
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0
    return False


def missing_programs() -> dict[str, str]:
    """Test markers whose program is not on this machine, each with what to install."""
    missing = {}
    if not any(map(shutil.which, BROWSERS)):
        missing["browser"] = "no Chromium on PATH"
    if not shutil.which("initdb") and not any(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        missing["postgresql"] = "no PostgreSQL server (initdb)"
    return missing


def in_ci(environment: Mapping[str, str]) -> bool:
    return environment.get("CI", "").lower() not in ("", "0", "false", "no")


def select_tests(arguments: Sequence[str], *, missing: Mapping[str, str], in_ci: bool) -> list[str]:
    """Pytest's arguments, without the tests whose program is missing; in CI a missing one raises NotPrepared."""
    chosen = list(arguments)
    if not missing:
        return chosen
    if in_ci:
        raise NotPrepared(f"tests need what is not here: {'; '.join(missing.values())}")
    for marker, reason in missing.items():
        say(f"tests marked {marker} are left out: {reason}")
    wanted = [f"not {marker}" for marker in missing]
    for at, argument in enumerate(arguments):
        if argument == "-m" and at + 1 < len(arguments):
            wanted.append(f"({arguments[at + 1]})")
        elif argument.startswith("-m") and argument != "-m":
            wanted.append(f"({argument[2:]})")
    return [*chosen, "-m", " and ".join(wanted)]


def write(path: Path, text: str) -> None:
    """Write the file as a whole or not at all."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def say(sentence: str) -> None:
    print(f"coordinator: {sentence}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

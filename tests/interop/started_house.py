"""The processes of one installation, each started again when it is gone: ``serve`` and ``worker``.

Only this thread may start and kill them: they end with the thread that started them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import requests
from child import Child, log_file

PAUSE_S = 0.2  # between the end of a process and its next start, as a supervisor makes it


@dataclass
class Slot:
    """A process that is to run while it is ``wanted``."""

    name: str
    command: list[str]
    log: Path
    wanted: bool = True
    child: Child | None = None
    started_at: float = 0.0

    @property
    def pid(self) -> int:
        """Of the process that runs; 0 when none does."""
        return self.child.pid if self.child is not None and self.child.running() else 0

    def family(self) -> list[int]:
        """Its process and all below it."""
        return [self.pid, *descendants(self.pid)] if self.pid else []

    def start(self) -> None:
        """Start it, or start it again."""
        if self.child is not None:
            self.child.kill9()
        self.started_at = time.monotonic()
        self.child = Child(self.command, self.log, lines=False)


class House:
    """The processes of an installation with these settings (``FHIRSVC_…``)."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        # An installed package is compiled: so is this one, at its first start.
        self._compiled = tempfile.mkdtemp(prefix="fhirsvc-compiled-")
        self._environment = ["-u", "PYTHONDONTWRITEBYTECODE"]
        self._environment += [f"PYTHONPYCACHEPREFIX={self._compiled}"]
        self._environment += [f"{name}={value}" for name, value in settings.items()]
        self.slots: dict[str, Slot] = {}
        self._seen: set[int] = set()

    def add(self, name: str, *args: str, host: str = "") -> None:
        """Have ``fhirsvc ARGS`` run; on a ``host`` of its own, as far as one machine can."""
        command = ["env", *self._environment, sys.executable, "-m", "fhirsvc.cli", *args]
        if host and has_hosts():
            command = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', host, *command]
        self.slots[name] = Slot(name, command, log_file(f"kills-{name}"))

    def add_server(self, name: str, *more: str) -> str:
        """Have ``fhirsvc serve`` run on a free port; its URL."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        self.add(name, "serve", "--port", str(port), *more)
        return f"http://127.0.0.1:{port}"

    def tend(self) -> None:
        """Start what is wanted and not running."""
        for slot in self.slots.values():
            is_due = time.monotonic() - slot.started_at > PAUSE_S
            if slot.wanted and not slot.pid and is_due:
                slot.start()

    def wait(self, holds: Callable[[], bool], otherwise: str, seconds: float) -> None:
        """Tend until ``holds()``; raise AssertionError(``otherwise``) after ``seconds``."""
        until = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < until, f"{otherwise}; logs: {self._logs()}"
            self.tend()
            time.sleep(0.02)

    def rest(self, seconds: float) -> None:
        """Tend for a while."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.tend()
            time.sleep(0.02)

    def kill(self, name: str, *, whole: bool = False) -> None:
        """Kill -9 a process, or with ``whole`` all that it has started too."""
        slot = self.slots[name]
        family = slot.family()
        self._seen.update(family)
        kill9(family if whole else family[:1])
        if slot.child is not None and family:
            slot.started_at = time.monotonic()

    def kill_below(self, name: str, mark: str) -> bool:
        """Kill -9 the process below another whose command line has a mark; whether there is one."""
        found = [pid for pid in self.slots[name].family()[1:] if mark in command_line(pid)]
        kill9(found)
        return bool(found)

    def kill_everything(self) -> None:
        """All at once, and nothing is started again before ``tend``."""
        family = [pid for slot in self.slots.values() for pid in slot.family()]
        kill9(family)

    def stop(self) -> None:
        """End all, politely, and whatever a killed one may have left behind."""
        left = {pid for slot in self.slots.values() for pid in slot.family()}
        for slot in self.slots.values():
            slot.wanted = False
            if slot.pid:
                os.kill(slot.pid, signal.SIGTERM)
        for slot in self.slots.values():
            if slot.child is not None:
                slot.child.stop(seconds=30)
        kill9([pid for pid in left | self._seen if "fhirsvc" in command_line(pid)])
        shutil.rmtree(self._compiled, ignore_errors=True)

    def tracebacks(self) -> list[str]:
        """The logs that show one, each with the line that ends its first."""
        found = []
        for slot in self.slots.values():
            _, mark, after = slot.log.read_text(errors="replace").partition("Traceback (most")
            if mark:
                said = next((one for one in after.splitlines()[1:] if one[:1].strip()), "")
                found.append(f"{slot.log.name}: {said[:200]}")
        return found

    def _logs(self) -> list[str]:
        return [str(slot.log) for slot in self.slots.values()]


def has_hosts() -> bool:
    """Whether processes can be given a host name of their own here: as root, on Linux."""
    return os.geteuid() == 0 and shutil.which("unshare") is not None


def answers(url: str) -> bool:
    """Whether a server is ready."""
    try:
        return requests.get(f"{url}/readyz", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def kill9(pids: list[int]) -> None:
    """Kill -9 these processes, and wait until none of them runs any more."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 10.0
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < until, "a process outlives SIGKILL"
        time.sleep(0.005)


def descendants(pid: int) -> list[int]:
    """All processes below one."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text().split()):
                found += [child, *descendants(child)]
    return found


def command_line(pid: int) -> str:
    """The command line of a process; '' when there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}

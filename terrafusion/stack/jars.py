"""Installs the locked Java files below `.terrafusion/jars/`; afterwards a start needs no network."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from terrafusion.stack.archive import SERVICES_JAR, services_entries, write_jar
from terrafusion.stack.fetch import fetch
from terrafusion.stack.files import write_whole
from terrafusion.stack.jarlist import JAR_LIST, JAR_LOCK, LockedFile, read_list, read_lock

STAMP = ".installed"
UNPACKED = "unpacked"
DOWNLOADS_AT_ONCE = 6
# Told (files done, files in all).
Report = Callable[[int, int], None]


def install(
    folder: Path,
    report: Report = lambda _done, _all: None,
    lock: Path = JAR_LOCK,
    jar_list: Path = JAR_LIST,
    without: frozenset[str] = frozenset(),
) -> None:
    """Bring `folder` to what the lock says: one sub-folder per section (less `without`), verified, archives unpacked,
    undeclared plugin classes declared.

    Does nothing when the stamp of the last install names this lock and every file is there. Raises StackError.
    """
    files = [file for file in read_lock(lock) if file.folder not in without]
    declared = {found.name: found.services for found in read_list(jar_list) if found.services}
    wanted = hashlib.sha256(repr((sorted(files), declared)).encode()).hexdigest()
    stamp = folder / STAMP
    if stamp.exists() and stamp.read_text().strip() == wanted and all(_is_there(folder, f) for f in files):
        return
    stamp.unlink(missing_ok=True)
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        # The big archive first, so that it does not come last and alone.
        ordered = sorted(files, key=lambda file: -file.size)
        for number, _ in enumerate(pool.map(lambda file: _install(folder, file), ordered), 1):
            report(number, len(files))
    _remove_others(folder, files)
    for name, services in declared.items():
        write_jar(folder / name / SERVICES_JAR, services_entries(services))
    write_whole(stamp, wanted + "\n")


def _place(folder: Path, file: LockedFile) -> Path:
    return folder / file.folder / file.coordinate.filename


def _is_there(folder: Path, file: LockedFile) -> bool:
    if _is_archive(file):
        return (folder / file.folder / UNPACKED).is_dir()
    try:
        return _place(folder, file).stat().st_size == file.size
    except OSError:
        return False


def _is_archive(file: LockedFile) -> bool:
    return file.coordinate.packaging == "tar.gz"


def _install(folder: Path, file: LockedFile) -> None:
    source = fetch(file.coordinate, file.sha256)
    place = _place(folder, file)
    place.parent.mkdir(parents=True, exist_ok=True)
    if _is_archive(file):
        _unpack(source, place.parent / UNPACKED, file.sha256)
        return
    if place.exists() and place.samefile(source):
        return
    place.unlink(missing_ok=True)
    try:
        os.link(source, place)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, place)


def _unpack(archive: Path, place: Path, sha256: str) -> None:
    """Unpack, unless this very archive is unpacked there (and perhaps in use)."""
    stamp = place / STAMP
    if stamp.exists() and stamp.read_text() == sha256:
        return
    fresh = place.with_name(place.name + ".new")
    for folder in (fresh, place):
        shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(archive) as content:
        if hasattr(tarfile, "data_filter"):
            content.extractall(fresh, filter="data")
        else:  # Python 3.11 before 3.11.4, as in Debian 12; the archive's sha256 has been checked
            content.extractall(fresh)  # noqa: S202
    (fresh / STAMP).write_text(sha256)
    fresh.rename(place)


def _remove_others(folder: Path, files: list[LockedFile]) -> None:
    """Take out jars of an earlier lock: a class path with two versions is neither."""
    kept = {_place(folder, file) for file in files}
    for section in {folder / file.folder for file in files}:
        for jar in section.glob("*.jar"):
            if jar not in kept:
                jar.unlink()

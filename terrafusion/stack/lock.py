"""`python -m terrafusion.stack.lock`: resolve `jars.toml` and write `jars.lock.toml`. Needs the network."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase

from jgo.maven import MavenContext

from terrafusion.stack.fetch import TIMEOUT_SECONDS, fetch, sha256_of
from terrafusion.stack.jarlist import JAR_LOCK, Coordinate, Folder, LockedFile, format_lock, read_list


def resolve(folder: Folder) -> list[Coordinate]:
    """Every file of a folder: the listed ones and, for roots, what they depend on less `leave_out`."""
    found = {Coordinate.parse(text) for text in folder.files}
    if folder.roots:
        context = MavenContext(timeout=TIMEOUT_SECONDS)
        wanted = [context.create_dependency(root) for root in folder.roots]
        roots, others = context.resolver.resolve(wanted)
        for dependency in [*roots, *others]:
            if dependency.scope not in ("test", "provided", "system") and not dependency.optional:
                found.add(
                    Coordinate(
                        dependency.groupId,
                        dependency.artifactId,
                        dependency.version,
                        dependency.type or "jar",
                        dependency.classifier or "",
                    )
                )
    return sorted(c for c in found if not _left_out(c, folder.leave_out))


def _left_out(coordinate: Coordinate, patterns: tuple[str, ...]) -> bool:
    name = f"{coordinate.group}:{coordinate.artifact}"
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _locked(folder: str, coordinate: Coordinate) -> LockedFile:
    path = fetch(coordinate)
    return LockedFile(folder, coordinate, sha256_of(path), path.stat().st_size)


def main() -> None:
    """Resolve, download and hash everything, then write the lock."""
    pairs = [(folder.name, found) for folder in read_list() for found in resolve(folder)]
    with ThreadPoolExecutor(8) as pool:
        files = list(pool.map(lambda pair: _locked(*pair), pairs))
    JAR_LOCK.write_text(format_lock(files))


if __name__ == "__main__":
    main()

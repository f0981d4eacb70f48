"""The jar list, its lock, their installation, and what is compiled from our own Java."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from terrafusion.stack import StackError, fetch, jars, transforms
from terrafusion.stack.broker import Broker, as_properties
from terrafusion.stack.config import Home
from terrafusion.stack.connect import Connect
from terrafusion.stack.jarlist import (
    JAR_LIST,
    JAR_LOCK,
    Coordinate,
    LockedFile,
    format_lock,
    read_list,
    read_lock,
)
from terrafusion.stack.part import Site
from terrafusion.stack.ports import Ports

NO_LIST = Path("/dev/null")


@pytest.mark.parametrize(
    ("text", "filename"),
    [
        ("g.h:a:1", "a-1.jar"),
        ("g.h:a:1:tar.gz:all", "a-1-all.tar.gz"),
        ("g.h:a:1:tar.gz", "a-1.tar.gz"),
    ],
)
def test_a_coordinate_reads_as_it_is_written(text: str, filename: str) -> None:
    coordinate = Coordinate.parse(text)
    assert str(coordinate) == text
    assert coordinate.cache_path == Path("g/h/a/1") / filename


def test_a_coordinate_without_version_is_refused() -> None:
    with pytest.raises(ValueError, match="group:artifact:version"):
        Coordinate.parse("g:a")


def test_the_lock_holds_everything_that_the_list_names() -> None:
    locked = {(file.folder, str(file.coordinate)) for file in read_lock()}
    for folder in read_list():
        for name in (*folder.roots, *folder.files):
            assert (folder.name, name) in locked, f"python -m terrafusion.stack.lock ({name})"


def test_the_lock_is_in_its_own_format_and_names_no_place() -> None:
    text = JAR_LOCK.read_text()
    assert text == format_lock(read_lock())
    for file in (JAR_LOCK, JAR_LIST):
        assert "://" not in file.read_text()
        assert "/root" not in file.read_text()


def test_no_plugin_folder_holds_what_the_runtime_provides() -> None:
    for file in read_lock():
        if file.folder.startswith("plugins/"):
            assert not file.coordinate.group.startswith(
                (
                    "org.apache.kafka",
                    "org.slf4j",
                    "com.fasterxml.jackson",
                    "org.lz4",
                    "com.github.luben",
                    "org.xerial",
                )
            ), file


def test_every_plugin_class_that_its_jar_does_not_declare_is_declared(maven: Maven, tmp_path: Path) -> None:
    place = tmp_path / "jars"
    maven.add("plugins/p", "g:a:1", b"one")
    listed = tmp_path / "jars.toml"
    listed.write_text('["plugins/p"]\nfiles = ["g:a:1"]\nservices = { "some.Interface" = ["a.B", "a.C"] }\n')
    jars.install(place, lock=maven.lock(), jar_list=listed)
    with zipfile.ZipFile(place / "plugins/p/services.jar") as archive:
        assert archive.read("META-INF/services/some.Interface") == b"a.B\na.C\n"


def test_transforms_are_found_in_their_sources(tmp_path: Path) -> None:
    one, other = tmp_path / "A.java", tmp_path / "B.java"
    one.write_text("package p.q;\n\npublic class A<R extends Record<R>> implements Transformation<R> {\n}\n")
    other.write_text("package p.q;\n\nclass B {\n}\n")
    assert transforms.transform_classes([one, other]) == ["p.q.A"]


def test_one_version_of_each_artifact_in_a_folder() -> None:
    seen = [(file.folder, file.coordinate.group, file.coordinate.artifact) for file in read_lock()]
    assert len(seen) == len(set(seen))


class Maven:
    """A cache with files of its own making."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: list[LockedFile] = []

    def add(self, section: str, name: str, content: bytes) -> LockedFile:
        coordinate = Coordinate.parse(name)
        path = self.folder / coordinate.cache_path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        file = LockedFile(section, coordinate, hashlib.sha256(content).hexdigest(), len(content))
        self.files.append(file)
        return file

    def lock(self) -> Path:
        path = self.folder / "lock.toml"
        path.write_text(format_lock(self.files))
        return path


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maven:
    folder = tmp_path / "maven"
    folder.mkdir()
    monkeypatch.setattr(fetch, "default_maven_repo", lambda: folder)

    def refuse(_coordinate: Coordinate, _folder: Path) -> Path:
        raise StackError("no network in this test")

    monkeypatch.setattr(fetch, "_download", refuse)
    return Maven(folder)


def tar_of(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def test_install_places_jars_unpacks_archives_and_removes_older_versions(
    maven: Maven, tmp_path: Path
) -> None:
    place = tmp_path / "jars"
    maven.add("runtime", "g:a:1", b"one")
    maven.add("app", "g:b:1:tar.gz:all", tar_of("run.jar", b"two"))
    jars.install(place, lock=maven.lock(), jar_list=NO_LIST)
    assert (place / "runtime/a-1.jar").read_bytes() == b"one"
    assert (place / "app/unpacked/run.jar").read_bytes() == b"two"
    maven.files.pop(0)
    maven.add("runtime", "g:a:2", b"newer")
    jars.install(place, lock=maven.lock(), jar_list=NO_LIST)
    assert [jar.name for jar in (place / "runtime").iterdir()] == ["a-2.jar"]


def test_a_second_install_touches_nothing_and_mends_what_is_missing(maven: Maven, tmp_path: Path) -> None:
    place = tmp_path / "jars"
    maven.add("runtime", "g:a:1", b"one")
    reported: list[int] = []
    for _ in range(2):
        jars.install(place, lambda done, _all: reported.append(done), maven.lock(), NO_LIST)
    assert reported == [1]
    (place / "runtime/a-1.jar").unlink()
    jars.install(place, lock=maven.lock(), jar_list=NO_LIST)
    assert (place / "runtime/a-1.jar").exists()


def test_a_cached_file_that_is_not_the_locked_one_is_not_installed(maven: Maven, tmp_path: Path) -> None:
    file = maven.add("runtime", "g:a:1", b"one")
    (maven.folder / file.coordinate.cache_path).write_bytes(b"bad")
    with pytest.raises(StackError, match="no network"):
        jars.install(tmp_path / "jars", lock=maven.lock(), jar_list=NO_LIST)
    assert not (tmp_path / "jars/runtime/a-1.jar").exists()


def test_a_download_that_is_not_the_locked_file_is_refused(
    maven: Maven, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forged(coordinate: Coordinate, folder: Path) -> Path:
        path = folder / coordinate.filename
        path.write_bytes(b"forged")
        return path

    monkeypatch.setattr(fetch, "_download", forged)
    coordinate = Coordinate.parse("g:a:1")
    with pytest.raises(StackError, match="not the locked file"):
        fetch.fetch(coordinate, hashlib.sha256(b"true").hexdigest())
    assert not fetch.cached(coordinate).exists()


def test_transforms_are_compiled_only_when_sources_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[int] = []

    def compile_(_jars: Path, _sources: Path, files: list[Path], jar: Path) -> None:
        compiled.append(len(files))
        with zipfile.ZipFile(jar, "w"):
            pass

    monkeypatch.setattr(transforms, "_compile", compile_)
    sources = tmp_path / "transforms"
    sources.mkdir()
    assert transforms.build(tmp_path / "jars", sources) is None
    (sources / "A.java").write_text("class A {}")
    for _ in range(2):
        jar = transforms.build(tmp_path / "jars", sources)
    assert jar == tmp_path / "jars/plugins/terrafusion-transforms/terrafusion-transforms.jar"
    (sources / "A.java").write_text("class A { int a; }")
    transforms.build(tmp_path / "jars", sources)
    assert compiled == [1, 1]


def test_broker_and_worker_let_large_records_pass(tmp_path: Path) -> None:
    site = Site(Home(tmp_path), Ports(0, {}))
    broker, worker = Broker(site).properties(), Connect(site).properties()
    size = str(32 * 1024 * 1024)
    assert broker["message.max.bytes"] == broker["replica.fetch.max.bytes"] == size
    assert worker["producer.max.request.size"] == worker["consumer.max.partition.fetch.bytes"] == size
    assert worker["config.providers.file.param.allowed.paths"] == str(tmp_path / "connect-secrets")
    assert "127.0.0.1" in broker["listeners"] and "0.0.0.0" not in str(broker) + str(worker)


def test_properties_escape_backslashes() -> None:
    assert as_properties({"a": "b\\c"}) == "a=b\\\\c\n"

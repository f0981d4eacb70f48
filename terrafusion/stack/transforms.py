"""Compiles our Kafka Connect transforms (`connect-configs/transforms/**/*.java`) on the plain JRE, with ecj."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path

from terrafusion.stack.files import write_whole
from terrafusion.stack.jarlist import JAR_LOCK
from terrafusion.stack.java import Jvm, class_path, run

SOURCES = Path(__file__).resolve().parents[2] / "connect-configs" / "transforms"
PLUGIN = "terrafusion-transforms"
JAVA_RELEASE = "17"


def build(jars: Path, sources: Path = SOURCES) -> Path | None:
    """The plugin's jar, compiled when a source or the jar lock has changed; None when there is no source."""
    files = sorted(path for path in sources.rglob("*") if path.is_file())
    if not any(path.suffix == ".java" for path in files):
        return None
    folder = jars / "plugins" / PLUGIN
    jar = folder / f"{PLUGIN}.jar"
    stamp = folder / ".sources"
    wanted = _digest(sources, files)
    if jar.exists() and stamp.exists() and stamp.read_text().strip() == wanted:
        return jar
    folder.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    _compile(jars, sources, files, jar)
    write_whole(stamp, wanted + "\n")
    return jar


def _digest(sources: Path, files: list[Path]) -> str:
    digest = hashlib.sha256(JAR_LOCK.read_bytes())
    for file in files:
        digest.update(str(file.relative_to(sources)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _compile(jars: Path, sources: Path, files: list[Path], jar: Path) -> None:
    """Compile into a scratch folder, add the resources (such as META-INF/services), pack."""
    classes = jar.parent / "classes.new"
    shutil.rmtree(classes, ignore_errors=True)
    classes.mkdir()
    compiler = next((jars / "ecj").glob("ecj-*.jar"))
    arguments = ["-jar", str(compiler), f"-{JAVA_RELEASE}", "-g", "-nowarn", "-d", str(classes)]
    arguments += ["-classpath", class_path(jars / "runtime")]
    arguments += [str(file) for file in files if file.suffix == ".java"]
    run(Jvm("-Xmx256m").command(*arguments), f"mend the Java source in {sources}")
    for file in files:
        if "META-INF" in file.parts:
            place = classes / "META-INF" / Path(*file.parts[file.parts.index("META-INF") + 1 :])
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
    _pack(classes, jar)
    shutil.rmtree(classes)


def _pack(classes: Path, jar: Path) -> None:
    fresh = jar.with_name(jar.name + ".new")
    with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(classes.rglob("*")):
            if file.is_file():
                archive.write(file, str(file.relative_to(classes)))
    fresh.replace(jar)

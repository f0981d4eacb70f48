"""Compiles our Kafka Connect transforms (`connect-configs/transforms/**/*.java`) on the plain JRE, with ecj."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

from terrafusion.stack.archive import services_entries, write_jar
from terrafusion.stack.files import write_whole
from terrafusion.stack.jarlist import JAR_LOCK
from terrafusion.stack.java import Jvm, class_path, run

SOURCES = Path(__file__).resolve().parents[2] / "connect-configs" / "transforms"
PLUGIN = "terrafusion-transforms"
JAVA_RELEASE = "17"
TRANSFORMATION = "org.apache.kafka.connect.transforms.Transformation"


def build(jars: Path, sources: Path = SOURCES) -> Path | None:
    """The plugin's jar, compiled when a source, the jar lock or this module has changed; None when there is no source."""
    files = sorted(sources.rglob("*.java"))
    if not files:
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
    digest = hashlib.sha256(JAR_LOCK.read_bytes() + Path(__file__).read_bytes())
    for file in files:
        digest.update(str(file.relative_to(sources)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _compile(jars: Path, sources: Path, files: list[Path], jar: Path) -> None:
    """Compile into a scratch folder and pack, with every transform declared."""
    classes = jar.parent / "classes.new"
    shutil.rmtree(classes, ignore_errors=True)
    classes.mkdir()
    compiler = next((jars / "ecj").glob("ecj-*.jar"))
    arguments = ["-jar", str(compiler), f"-{JAVA_RELEASE}", "-g", "-nowarn", "-d", str(classes)]
    arguments += ["-classpath", class_path(jars / "runtime"), *(str(file) for file in files)]
    run(Jvm("-Xmx256m").command(*arguments), f"mend the Java source in {sources}")
    entries = {str(file.relative_to(classes)): file.read_bytes() for file in classes.rglob("*.class")}
    write_jar(jar, {**entries, **services_entries({TRANSFORMATION: transform_classes(files)})})
    shutil.rmtree(classes)


def transform_classes(files: list[Path]) -> list[str]:
    """The full names of the public classes in these sources that implement Transformation."""
    names = []
    for file in files:
        text = file.read_text()
        package = re.search(r"^package ([\w.]+);", text, re.MULTILINE)
        declared = re.search(
            r"^public (?:final )?class (\w+)[^{]*\bimplements\b[^{]*\bTransformation\b", text, re.MULTILINE
        )
        if declared:
            names.append(f"{package[1]}.{declared[1]}" if package else declared[1])
    return names

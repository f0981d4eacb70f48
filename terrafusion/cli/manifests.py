"""`terrafusion apply`, `get`, `describe` and `delete`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from catalog.manifest import Document, ManifestError, ManifestProblem, System, parse_documents
from terrafusion.cli import output
from terrafusion.cli.connection import Key, Server, connected, explain
from terrafusion.cli.kinds import KINDS, kind_named
from terrafusion.cli.output import Output, OutputOption, console, fail, say
from terrafusion.client import ApiError, Client

SUFFIXES = (".yaml", ".yml", ".json")
GONE_WITHIN_S = 120.0
KindArgument = Annotated[str, typer.Argument(metavar="KIND", help=f"One of: {', '.join(KINDS)}.")]


def apply(
    files: Annotated[
        list[str],
        typer.Option("--filename", "-f", help="A file, a folder, or - for standard input; repeatable."),
    ],
    output_format: OutputOption = Output.table,
    server: Server = None,
    key: Key = None,
) -> None:
    """Create or change systems and sync pairs as their manifests say; systems go first.

    Example: terrafusion apply -f county.yaml
    """
    documents = _read_all(files)
    outcomes, failed = [], False
    with connected(server, key) as client:
        for document in documents:
            name = document.metadata.name
            try:
                answer = client.apply(document.model_dump(mode="json", by_alias=True, exclude_unset=True))
            except ApiError as error:
                failed = True
                console(stderr=True).print(f"{document.kind} {name}", markup=False, style="bold")
                explain(error)
                continue
            outcomes.append(
                {"kind": document.kind, "name": name, "outcome": answer.get("outcome", "applied")}
            )
    if output_format is Output.table:
        output.table(["kind", "name", "outcome"], [tuple(item.values()) for item in outcomes])
    else:
        output.document({"items": outcomes}, output_format)
    if failed:
        raise typer.Exit(1)


def get(
    kind: KindArgument,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this one.")] = None,
    output_format: OutputOption = Output.table,
    server: Server = None,
    key: Key = None,
) -> None:
    """List what there is, or show one.

    Example: terrafusion get pairs
    """
    found = kind_named(kind)
    with connected(server, key) as client:
        items = found.list(client) if name is None else [found.one(client, name)]
    if output_format is not Output.table:
        output.document({"items": items} if name is None else items[0], output_format)
        return
    output.table(found.columns, [found.row(item) for item in items], empty=found.empty)


def describe(
    kind: KindArgument,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    output_format: OutputOption = Output.table,
    server: Server = None,
    key: Key = None,
) -> None:
    """Show everything about one thing: of a pair also its status, last operations and errors.

    Example: terrafusion describe pair pacs-to-cama
    """
    found = kind_named(kind)
    with connected(server, key) as client:
        item = found.one(client, name)
        if found.name == "pairs":
            item |= {
                "status": client.status(name),
                "operations": client.operations(pair=name, limit=5),
                "errors": client.errors(pair=name, limit=5),
            }
    output.document(item, Output.yaml if output_format is Output.table else output_format)


def delete(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="system or pair.")],
    name: Annotated[str, typer.Argument(metavar="NAME")],
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is gone.")] = False,
    server: Server = None,
    key: Key = None,
) -> None:
    """Delete a sync pair (its connector, slot and topics go too when no other pair needs them) or a system.

    Example: terrafusion delete pair pacs-to-cama --wait
    """
    found = kind_named(kind)
    with connected(server, key) as client:
        if found.name == "systems":
            client.delete_system(name)
            say(f"System {name} is deleted.")
        elif found.name == "pairs":
            client.delete_pair(name)
            _gone(client, name) if wait else say(f"Sync pair {name} is being deleted.")
        else:
            raise fail(f"{kind} cannot be deleted; system and pair can.", code=2)


def _gone(client: Client, name: str) -> None:
    deadline = time.monotonic() + GONE_WITHIN_S
    while time.monotonic() < deadline:
        try:
            reason = client.pair(name).get("reason")
        except ApiError as error:
            if error.status != 404:
                raise
            say(f"Sync pair {name} is deleted.")
            return
        time.sleep(0.5)
    raise fail(
        f"Sync pair {name} is still being deleted after {GONE_WITHIN_S:.0f} s: {reason or 'no reason given'}"
    )


def _read_all(files: Sequence[str]) -> list[Document]:
    """Every document of every file, systems first; exits with every problem of all files."""
    documents: list[Document] = []
    problems: list[tuple[str, ManifestProblem]] = []
    for file in files:
        for name, read in _texts(file):
            try:
                documents += parse_documents(read())
            except ManifestError as error:
                problems += [(name, problem) for problem in error.errors]
            except (OSError, UnicodeDecodeError) as error:
                problems.append((name, ManifestProblem("", f"cannot be read: {error}")))
    if problems:
        exit_code = fail(
            f"nothing was applied; {len(problems)} {'error' if len(problems) == 1 else 'errors'}:"
        )
        for name, problem in problems:
            console(stderr=True).print(f"  {name}: {problem}", markup=False, soft_wrap=True)
        raise exit_code
    return sorted(documents, key=lambda document: not isinstance(document, System))


def _texts(file: str) -> Iterator[tuple[str, Callable[[], str]]]:
    """(name, how to read it) of a file, of a folder's manifests, or of standard input."""
    if file == "-":
        yield "standard input", sys.stdin.read
        return
    path = Path(file)
    if not path.is_dir():
        yield file, lambda: path.read_text(encoding="utf-8")
        return
    manifests = sorted(inner for inner in path.iterdir() if inner.suffix in SUFFIXES)
    if not manifests:
        raise fail(f"The folder {file} holds no manifest ({', '.join(SUFFIXES)}).", code=2)
    for inner in manifests:
        yield str(inner), _reader(inner)


def _reader(path: Path) -> Callable[[], str]:
    return lambda: path.read_text(encoding="utf-8")

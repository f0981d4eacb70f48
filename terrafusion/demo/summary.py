"""The table at the demo's end, and what to try next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from terrafusion.demo.comparison import ComparedTable
from terrafusion.demo.latency import LatencyReport
from terrafusion.demo.live import LoadReport
from terrafusion.demo.manifests import PAIR

UNKNOWN = "–"


@dataclass(frozen=True)
class Findings:
    """All that the demo has learnt. `full` and `verify` are results of operations, by the contract's shapes."""

    full: Mapping[str, Any]
    load: LoadReport
    latency: LatencyReport
    verify: Mapping[str, Any]
    compared: Sequence[ComparedTable]

    @property
    def equal(self) -> bool:
        """The product's own verification and the independent comparison both found source and target equal."""
        return bool(self.verify.get("equal")) and not any(table.differences for table in self.compared)

    def replay(self, target: str) -> Mapping[str, Any]:
        """What the full sync said about one target table, empty when nothing."""
        return next((table for table in self.full.get("tables") or () if table.get("table") == target), {})

    def replay_rows_per_s(self) -> float | None:
        """Rows over seconds of all tables, one after another; None when the full sync gave no times."""
        tables = self.full.get("tables") or ()
        seconds = sum(float(table.get("seconds") or 0) for table in tables)
        return sum(int(table.get("read") or 0) for table in tables) / seconds if seconds else None

    def reported_differences(self, target: str) -> int | None:
        """Differences that the product's verify counted in one target table."""
        for table in self.verify.get("tables") or ():
            if table.get("table") == target:
                return sum(int(table.get(kind) or 0) for kind in ("missing", "extra", "different"))
        return None


def summary_table(findings: Findings) -> Table:
    """Per table: rows, live events, full sync rows/s, differences by verify and by the independent comparison."""
    table = Table(title="PACS → CAMA", title_justify="left", header_style="bold", show_footer=True)
    events, load = findings.load.events, findings.load
    table.add_column("table", footer="all")
    table.add_column("rows", justify="right", footer=f"{sum(t.rows_source for t in findings.compared):,}")
    table.add_column("live events", justify="right", footer=f"{events:,}")
    table.add_column("full sync rows/s", justify="right", footer=number(findings.replay_rows_per_s()))
    table.add_column("differences (verify)", justify="right")
    table.add_column("differences (own hashes)", justify="right")
    for compared in findings.compared:
        table.add_row(
            f"{compared.source} → {compared.target}",
            f"{compared.rows_target:,}",
            f"{load.of_table(compared.source.split('.')[-1]):,}",
            number(findings.replay(compared.target).get("rows_per_s")),
            _differences(findings.reported_differences(compared.target)),
            _differences(compared.differences),
        )
    return table


def number(value: float | int | None) -> str:
    """Thousands separated, a dash for nothing."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def _differences(count: int | None) -> str:
    if count is None:
        return UNKNOWN
    return f"[green]{count}[/]" if count == 0 else f"[bold red]{count:,}[/]"


def latency_text(report: LatencyReport) -> str:
    """The figures in one line."""
    if report.p50_ms is None or report.p99_ms is None:
        return f"not measured ({report.samples} samples)"
    lost = f", {report.lost} not seen within 30 s" if report.lost else ""
    return f"p50 {report.p50_ms:.0f} ms, p99 {report.p99_ms:.0f} ms ({report.samples} samples{lost})"


def kinds_text(load: LoadReport) -> str:
    """The live load's rows by kind."""
    kinds = ", ".join(
        f"{rows:,} {kind}s" for kind, rows in sorted(load.by_kind().items(), key=lambda item: -item[1])
    )
    return f"{load.events:,} in {load.transactions:,} transactions ({kinds})"


def print_summary(console: Console, findings: Findings) -> None:
    console.print()
    console.print(summary_table(findings))
    console.print(f"live changes     {kinds_text(findings.load)}", highlight=False, soft_wrap=True)
    console.print(f"commit → target  {latency_text(findings.latency)}", highlight=False, soft_wrap=True)
    for compared in findings.compared:
        if compared.examples:
            console.print(
                f"differs: {compared.target} {', '.join(compared.examples)}", markup=False, style="red"
            )
    verdict = (
        "[bold green]source and target are equal[/]"
        if findings.equal
        else "[bold red]source and target DIFFER[/]"
    )
    console.print(f"verification     {verdict}")


def print_next_steps(console: Console, url: str, home: Path) -> None:
    """Where to look and what to type."""
    lines = (
        f"Gateway   {url}   (API key in {home / 'api-key'})",
        f"Manifest  {home / 'demo.yaml'}",
        "Try       .venv/bin/terrafusion status " + PAIR + " --watch",
        "          .venv/bin/terrafusion verify " + PAIR + " --wait",
        "          .venv/bin/terrafusion sync full " + PAIR + " --wait",
        '          eval "$(.venv/bin/terrafusion stack env)"   then change a row in $SOURCE_DSN and look in $TARGET_DSN',
        "Stop      .venv/bin/terrafusion stack down",
    )
    console.print()
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

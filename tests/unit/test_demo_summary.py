"""What the demo concludes, and how it says it."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from terrafusion.demo.comparison import ComparedTable
from terrafusion.demo.latency import LatencyReport
from terrafusion.demo.live import LiveLoad, LoadReport
from terrafusion.demo.screen import Screen
from terrafusion.demo.summary import Findings, kinds_text, latency_text, print_next_steps, print_summary
from terrafusion.demo.watching import plain_line, status_table

LOAD = LoadReport({("parcel", "update"): 1200, ("sale", "insert"): 30}, 700, 3, 0, 20.0)
FULL = {
    "way": "replay",
    "tables": [
        {"table": "cama.parcels", "read": 9000, "seconds": 0.1, "rows_per_s": 90_000.0},
        {"table": "cama.sales", "read": 3000, "seconds": 0.1, "rows_per_s": 30_000.0},
    ],
}


def findings(equal: bool = True, differences: int = 0) -> Findings:
    counts = {"missing": 0, "extra": 0, "different": 0 if equal else 2}
    verify: dict[str, Any] = {"equal": equal, "tables": [{"table": "cama.parcels", **counts}]}
    examples = ("(000-00-05)",) if differences else ()
    compared = [ComparedTable("public.parcel", "cama.parcels", 9000, 9000, differences, examples)]
    return Findings(FULL, LOAD, LatencyReport(100, 0, 17.6, 41.2, 60.0), verify, compared)


def shown(found: Findings) -> str:
    text = StringIO()
    print_summary(Console(file=text, width=160), found)
    return text.getvalue()


def test_equal_only_when_both_comparisons_find_nothing() -> None:
    assert findings().equal
    assert not findings(equal=False).equal
    assert not findings(differences=1).equal
    assert not Findings(FULL, LOAD, LatencyReport(0, 0, None, None, None), {}, []).equal


def test_the_summary_has_every_figure() -> None:
    text = shown(findings())
    for figure in ("9,000", "1,200", "90,000", "1,230", "60,000", "p50 18 ms, p99 41 ms", "are equal"):
        assert figure in text, figure


def test_differences_are_named() -> None:
    text = shown(findings(equal=False, differences=1))
    assert "DIFFER" in text
    assert "(000-00-05)" in text


def test_latency_percentiles_are_of_the_samples() -> None:
    report = LatencyReport.of([number / 1000 for number in range(1, 102)], 2)
    assert (report.samples, report.lost, report.p50_ms, report.p99_ms) == (101, 2, 51.0, 100.0)
    assert latency_text(report) == "p50 51 ms, p99 100 ms (101 samples, 2 not seen within 30 s)"
    assert latency_text(LatencyReport.of([], 0)) == "not measured (0 samples)"


def test_the_load_is_told_by_kind() -> None:
    assert kinds_text(LOAD) == "1,230 in 700 transactions (1,200 updates, 30 inserts)"
    assert LOAD.of_table("sale") == 30
    with pytest.raises(ValueError, match="rate"):
        LiveLoad("", rate=0)


def test_a_step_says_how_it_ended() -> None:
    text = StringIO()
    screen = Screen(Console(file=text, width=100))
    with screen.step("Good") as step:
        step.say("[42] rows")
    with pytest.raises(RuntimeError), screen.step("Bad"):
        raise RuntimeError
    good, bad = text.getvalue().splitlines()
    assert good.startswith("✓ Good – [42] rows")
    assert bad.startswith("✗ Bad")


def test_the_status_shows_what_is_known() -> None:
    status = {"state": "running", "lag_records": 3, "tables": [{"table": "cama.sales", "lag_seconds": 0.25}]}
    load = LiveLoad("")
    text = StringIO()
    Console(file=text, width=160).print(status_table(status, load))
    assert "cama.sales" in text.getvalue()
    assert plain_line(status, load) == "pacs-to-cama: running, lag 3 records, 0 events made"
    assert plain_line({"reason": "gone"}, load).endswith("gone")


def test_next_steps_name_the_gateway_and_the_key(tmp_path: Path) -> None:
    text = StringIO()
    print_next_steps(Console(file=text, width=160), "http://127.0.0.1:5000", tmp_path)
    assert "http://127.0.0.1:5000" in text.getvalue()
    assert str(tmp_path / "api-key") in text.getvalue()

"""The demo from start to end: stack, county, manifests, full sync, live changes, verification, summary."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from terrafusion.demo.comparison import ComparedTable, compare
from terrafusion.demo.databases import make_source, make_target, source_address, target_address
from terrafusion.demo.latency import LatencyProbe, LatencyReport
from terrafusion.demo.live import LiveLoad, LoadReport
from terrafusion.demo.manifests import PAIR, documents, manifest_text, mapped_tables
from terrafusion.demo.pair import first_full_operation, refuse_other_pairs, remove_pair, wait_until_running
from terrafusion.demo.product import POLL_SECONDS, Operation, Product
from terrafusion.demo.screen import Screen, Step, show_operation
from terrafusion.demo.summary import Findings, latency_text, print_summary
from terrafusion.demo.watching import watch
from terrafusion.stack import NAMES, Stack
from terrafusion.stack.files import write_whole
from terrafusion.stack.progress import ConsoleProgress


@dataclass(frozen=True)
class DemoOptions:
    """How large and how long: parcels of the county, events/s and seconds of the live part, latency samples."""

    parcels: int = 50_000
    seed: int = 1
    rate: float = 200.0
    seconds: float = 20.0
    samples: int = 100

    @property
    def patience(self) -> float:
        """Seconds that a first full sync, a catch-up or a verification may take, generously."""
        return 300.0 + self.parcels / 200


class Demo:
    """One run of the demo against the stack of this folder. `run` tells the story."""

    def __init__(self, stack: Stack, options: DemoOptions, console: Console) -> None:
        self._stack, self._options, self._screen = stack, options, Screen(console)
        environment = stack.env()
        self._source, self._target = environment["SOURCE_DSN"], environment["TARGET_DSN"]
        self.url, self.home = environment["TERRAFUSION_URL"], stack.home.root
        self.product = Product(self.url, environment["TERRAFUSION_API_KEY"])

    def run(self) -> Findings:
        """Everything up to the summary; raises DemoError, StackError or psycopg.Error when it cannot go on."""
        self.start_stack()
        self.remove_earlier_pair()
        self.make_databases()
        full = self.first_full_sync()
        load, latency = self.live_changes()
        self.catch_up()
        findings = Findings(full, load, latency, self.verify(), self.compare())
        print_summary(self._screen.console, findings)
        return findings

    def start_stack(self) -> None:
        console = self._screen.console
        began = time.monotonic()
        with ConsoleProgress(console, NAMES) as progress:
            self._stack.up(progress=progress)
        self._screen.done("Local stack", "broker, Connect, registry, three databases and gateway run", began)

    def remove_earlier_pair(self) -> None:
        """An earlier run's pair goes first, so that its connector, slot and topics go while the databases still exist."""
        refuse_other_pairs(self.product)
        if self.product.pair(PAIR) is not None:
            with self._screen.step("Removing the earlier run's sync pair") as step:
                remove_pair(self.product, step)

    def make_databases(self) -> None:
        secrets = self._stack.home.secrets
        with self._screen.step(f"County of {self._options.parcels:,} parcels") as step:
            make_target(self._target, secrets)
            tables = make_source(
                self._source,
                secrets,
                self._options.parcels,
                self._options.seed,
                lambda table: step.say(f"{table.rows:,} rows of {table.name}"),
            )
            step.say(", ".join(f"{table.rows:,} {table.name}s" for table in tables))

    def first_full_sync(self) -> dict[str, Any]:
        """Apply the manifests and wait for the full sync that a new pair begins with; returns its result."""
        text = manifest_text(self._source, self._target, self._stack.home.secrets)
        write_whole(self.home / "demo.yaml", text)
        known = {operation.id for operation in self.product.operations(PAIR)}
        with self._screen.step("Manifests applied") as step:
            for document in documents(text):
                self.product.apply(document)
            step.say("systems pacs and cama, sync pair " + PAIR)
        with self._screen.step("Full sync") as step:
            operation = self.product.follow(
                first_full_operation(self.product, known, self._options.patience, step),
                self._options.patience,
                lambda seen: show_operation(step, seen),
            )
            wait_until_running(self.product, step)
            step.say(_full_text(operation))
        return dict(operation.result)

    def live_changes(self) -> tuple[LoadReport, LatencyReport]:
        """Change the source for a while and measure how soon the target shows it."""
        options = self._options
        load = LiveLoad(source_address(self._source), options.rate, options.seed)
        probe = LatencyProbe(
            source_address(self._source),
            target_address(self._target),
            options.seconds / options.samples,
            options.samples,
        )
        with self._screen.step("Live changes") as step:
            load.start()
            probe.start()
            try:
                ends = time.monotonic() + options.seconds
                while (left := ends - time.monotonic()) > 0 and load.failure is None:
                    done, latency = load.report(), probe.report()
                    step.advance(
                        options.seconds - left,
                        options.seconds,
                        f"{done.events:,} events, {latency_text(latency)}",
                    )
                    time.sleep(min(POLL_SECONDS, left))
            finally:
                changes, latency = load.stop(), probe.stop()
            if failure := load.failure or probe.failure:
                raise failure
            step.say(f"{changes.events:,} events, {latency_text(latency)}")
        return changes, latency

    def catch_up(self) -> None:
        """An incremental operation: everything committed until now reaches the target."""
        with self._screen.step("Catch-up") as step:
            self._operation("incremental", step)
            step.say("all that was committed is applied")

    def verify(self) -> dict[str, Any]:
        """The product's own verification; returns its result."""
        with self._screen.step("Verify, row by row") as step:
            result = self._operation("verify", step).result
            step.say("equal" if result.get("equal") else "DIFFERENT")
        return dict(result)

    def compare(self) -> list[ComparedTable]:
        """The demo's own comparison, which uses nothing of the product."""
        with self._screen.step("Independent comparison") as step:
            compared = compare(source_address(self._source), target_address(self._target), mapped_tables())
            step.say(f"{sum(table.differences for table in compared)} differences in {len(compared)} tables")
        return compared

    def keep_changing(self) -> None:
        """Change the source gently and show the pair's state until interrupted."""
        with LiveLoad(source_address(self._source), rate=20, seed=self._options.seed + 1) as load:
            watch(self.product, load, self._screen.console)

    def _operation(self, kind: str, step: Step) -> Operation:
        started = self.product.start(PAIR, kind)
        return self.product.follow(started, self._options.patience, lambda seen: show_operation(step, seen))


def _full_text(operation: Operation) -> str:
    rows = sum(int(table.get("read") or 0) for table in operation.result.get("tables") or ())
    return f"{rows:,} records replayed ({operation.result.get('way', '?')})"

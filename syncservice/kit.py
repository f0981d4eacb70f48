"""The concrete parts that the reconcile loop and the operations are made of, built from catalog records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from catalog.manifest import ManifestProblem
from catalog.protocol import CatalogStore
from catalog.records import SourceRecord, SystemRecord
from catalog.specs import SyncPairSpec, SystemSpec, TableSpec
from consumers.admin import TopicAdmin
from consumers.records import TopicPartition
from consumers.schemas import Schemas
from consumers.source import EventSource, KafkaSource, Positions
from syncservice.config import Settings
from syncservice.connect import names
from syncservice.connect.client import ConnectClient
from syncservice.connect.lifecycle import ConnectSettings, SourceConnector
from syncservice.plan import TablePlan
from syncservice.planning import (
    Naming,
    Planned,
    foreign_key_problems,
    plan_table,
    primary_key_problems,
)
from syncservice.sources.errors import SourceRefused
from syncservice.sources.postgresql import PostgresSource
from syncservice.sources.tables import TableInfo, read_table
from syncservice.targets.connection import Connect, Connection, connector
from syncservice.targets.tables import foreign_keys, has_key_index

_ENUMS = "SELECT format_type(oid, NULL) FROM pg_type WHERE typtype = 'e'"


@dataclass(frozen=True)
class PairPlan:
    """A pair compiled: target tables by source table, foreign keys of the target, and what is wrong."""

    tables: dict[str, TablePlan]
    foreign_keys: set[tuple[str, str]]
    problems: list[ManifestProblem]


class Kit:
    """Builds parts; holds what is shared by all of them (admin client, schemas, HTTP client)."""

    def __init__(
        self,
        settings: Settings,
        catalog: CatalogStore,
        admin: TopicAdmin,
        schemas: Schemas,
        client: ConnectClient,
    ) -> None:
        self.settings, self.catalog, self.admin, self.schemas, self.client = (
            settings,
            catalog,
            admin,
            schemas,
            client,
        )

    # -- systems -----------------------------------------------------------------------------------

    def password(self, spec: SystemSpec) -> str:
        """The system's password. Raises SecretError."""
        return spec.password.resolve(self.settings.secrets_dirs)

    def source(self, spec: SystemSpec) -> PostgresSource:
        """The source database of a system."""
        return PostgresSource(spec, self.password(spec))

    def connect(self, spec: SystemSpec, name: str, *, options: str = "") -> Connect:
        """Opens connections to a target (or, for verification, any) database."""
        return connector(spec, self.password(spec), name=f"terrafusion {name}", options=options)

    def source_connector(self, system: SystemRecord) -> SourceConnector:
        """The connector of a source system."""
        settings = ConnectSettings(
            registry_url=self.settings.registry_internal_url,
            secrets_dir=self.settings.connect_secrets_dir,
            template=self.settings.connector_template,
        )
        password = self.password(system.spec)
        source = PostgresSource(system.spec, password)
        return SourceConnector(system.name, system.spec, password, self.client, self.admin, source, settings)

    # -- Kafka -------------------------------------------------------------------------------------

    def group_source(self, group: str, topics: Sequence[str]) -> Callable[..., EventSource]:
        """Opens a consumer group's member over topics."""

        def open_source(
            on_assign: Callable[[Sequence[TopicPartition]], Positions], on_revoke: Callable[[], None]
        ) -> EventSource:
            return KafkaSource(self.settings.kafka_bootstrap, topics, group, on_assign, on_revoke)

        return open_source

    def replay_source(self) -> EventSource:
        """A consumer without a group."""
        return KafkaSource(self.settings.kafka_bootstrap)

    # -- pairs -------------------------------------------------------------------------------------

    def plan(self, spec: SyncPairSpec, record: SourceRecord | None) -> PairPlan:
        """Compile a pair against both databases. Raises SourceFailure, TargetUnavailable, SecretError."""
        source = self.source(self.catalog.system(spec.source).spec)
        naming = Naming("unnamed", "")
        if record is not None:
            naming = Naming(names.prefix(record.system, record.generation), record.placeholder)
        tables: dict[str, TablePlan] = {}
        problems: list[ManifestProblem] = []
        with self.connect(self.catalog.system(spec.target).spec, "planning")() as connection:
            enums = frozenset(str(row[0]) for row in connection.execute(_ENUMS))
            for index, table in enumerate(spec.tables):
                planned = _plan_one(index, table, source, connection, naming, enums)
                problems += planned.problems
                if planned.plan is not None:
                    tables[table.from_] = planned.plan
            edges = foreign_keys(connection)
            problems += foreign_key_problems([plan.name for plan in tables.values()], edges)
            return PairPlan(tables, edges, problems)

    def source_record(self, system: str) -> SourceRecord | None:
        """The catalog's record of a source system, if it has one."""
        return next((s for s in self.catalog.sources() if s.system == system), None)


def _plan_one(
    index: int,
    spec: TableSpec,
    source: PostgresSource,
    connection: Connection,
    naming: Naming,
    enums: frozenset[str],
) -> Planned:
    planned = Planned()
    have = _find(
        planned, f"spec.tables[{index}].from", lambda: source.table(spec.source_schema, spec.source_table)
    )
    want = _find(
        planned,
        f"spec.tables[{index}].to",
        lambda: read_table(connection, spec.target_schema, spec.target_table),
    )
    if have is None or want is None:
        return planned
    planned.problems += primary_key_problems(index, have)
    if planned.problems:
        return planned
    planned = plan_table(index, spec, have, want, naming, enums)
    plan = planned.plan
    if plan is not None and not has_key_index(connection, plan):
        columns = ", ".join(plan.key)
        message = f"{plan.name} has no primary key or unique index over ({columns})"
        fix = f"ALTER TABLE {plan.name} ADD PRIMARY KEY ({columns})"
        planned.problems.append(ManifestProblem(f"spec.tables[{index}].key", message, fix))
    return planned


def _find(planned: Planned, path: str, read: Callable[[], TableInfo]) -> TableInfo | None:
    try:
        return read()
    except SourceRefused as error:
        if error.code != "table_missing":
            raise
        planned.problems.append(ManifestProblem(path, str(error), "a table that exists"))
        return None

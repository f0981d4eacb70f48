"""The PostgreSQL target: exactly once from Kafka record to row (design section 4).

One apply is one transaction. Its steps are numbered; invariants are those of docs/invariants.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources

import polars as pl
import psycopg
from psycopg import sql

from consumers.records import TopicPartition
from syncservice.compact import MASK, OFFSET, unavailable_columns
from syncservice.errors import Fenced, ResyncRequired, SyncError, TargetUnavailable
from syncservice.targets import statements
from syncservice.targets.base import LIVE, Applied, Batch, Claim, DeadLetter, ParkedKeys, TableBatch
from syncservice.targets.faults import ROW_FAULTS, first_line, translate
from syncservice.targets.isolation import RowFault, isolate
from syncservice.targets.keys import key_texts
from syncservice.targets.shadow import add_key
from syncservice.targets.staging import Staged

Connect = Callable[[], psycopg.Connection[tuple[object, ...]]]
Connection = psycopg.Connection[tuple[object, ...]]
TERMINATE_AFTER = "3s"  # how long a claim waits for the former owner's lock before it ends that session


def prepare_state(connection: Connection) -> None:
    """Create the `terrafusion` schema's tables where they are missing."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('terrafusion.state'))")
        present = connection.execute("SELECT to_regclass('terrafusion.parked_keys')").fetchone()
        if present is None or present[0] is None:
            connection.execute(resources.files("syncservice.targets").joinpath("state.sql").read_bytes())


class PostgresTarget:
    """A Target over one connection, used by one thread at a time; reconnects when a claim is made."""

    def __init__(self, connect: Connect, pair: str, owner: str, generation: str = LIVE) -> None:
        self._connect, self.pair, self.owner, self.generation = connect, pair, owner, generation
        self._connection: Connection | None = None
        self._merges: dict[tuple[str, tuple[tuple[str, str], ...]], statements.Merge] = {}

    # -- claim -------------------------------------------------------------------------------------

    def claim(self, topic_ids: Mapping[str, str], partitions: Sequence[TopicPartition]) -> Claim:
        """Take the partitions over (see Target.claim). Invariant 2: the epoch goes up with each claim."""
        with self._translated():
            connection = self._fresh()
            prepare_state(connection)
            epochs: dict[TopicPartition, int] = {}
            positions: dict[TopicPartition, int] = {}
            for partition in sorted(partitions):
                self._end_former_owner(connection, partition)
                with connection.transaction():
                    epochs[partition], positions[partition] = self._take(connection, partition, topic_ids)
            return Claim(self.generation, epochs, positions, dict(topic_ids), self._parked(connection))

    def _take(
        self, connection: Connection, partition: TopicPartition, ids: Mapping[str, str]
    ) -> tuple[int, int]:
        row = connection.execute(
            """
            UPDATE terrafusion.offsets
            SET epoch = epoch + 1, owner = %s, owner_pid = pg_backend_pid(), updated_at = now(),
                owner_started = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())
            WHERE pair = %s AND generation = %s AND topic = %s AND partition = %s
            RETURNING epoch, next_offset, topic_id
            """,
            (self.owner, self.pair, self.generation, *partition),
        ).fetchone()
        if row is None:
            raise ResyncRequired(f"the target holds no position of topic {partition.topic}")
        epoch, position, topic_id = row
        if topic_id != ids.get(partition.topic):
            raise ResyncRequired(
                f"topic {partition.topic} was re-created since the target's position was written"
            )
        return int(str(epoch)), int(str(position))

    def _end_former_owner(self, connection: Connection, partition: TopicPartition) -> None:
        """Wait a little for the row's lock; then end the session that holds it (invariant 3)."""
        where = (self.pair, self.generation, *partition)
        same = "pair = %s AND generation = %s AND topic = %s AND partition = %s"
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = '{TERMINATE_AFTER}'")
                connection.execute(f"SELECT 1 FROM terrafusion.offsets WHERE {same} FOR UPDATE", where)
        except psycopg.errors.LockNotAvailable:
            connection.execute(
                f"""
                SELECT pg_terminate_backend(a.pid) FROM terrafusion.offsets o
                JOIN pg_stat_activity a ON a.pid = o.owner_pid AND a.backend_start = o.owner_started
                WHERE {same} AND a.pid <> pg_backend_pid()
                """,
                where,
            )

    def _parked(self, connection: Connection) -> ParkedKeys:
        rows = connection.execute(
            "SELECT table_name, key FROM terrafusion.parked_keys WHERE pair = %s AND generation = %s",
            (self.pair, self.generation),
        ).fetchall()
        parked: dict[str, set[str]] = {}
        for table, key in rows:
            parked.setdefault(str(table), set()).add(str(key))
        return {table: frozenset(keys) for table, keys in parked.items()}

    # -- apply -------------------------------------------------------------------------------------

    def apply(self, claim: Claim, batch: Batch, confirm: Callable[[], None]) -> Applied:
        """Apply a batch (see Target.apply); when a row is at fault, again with that row isolated."""
        with self._translated():
            try:
                return self._apply(claim, batch, confirm, isolate=False)
            except ROW_FAULTS:
                return self._apply(claim, batch, confirm, isolate=True)

    def _apply(self, claim: Claim, batch: Batch, confirm: Callable[[], None], isolate: bool) -> Applied:
        connection = self._open()
        letters = [letter for table in batch.tables for letter in table.dead]
        try:
            with connection.transaction():
                if not isolate:
                    for table in batch.tables:  # 1. staging, before any offset row is locked
                        self._copy(connection, table)
                self._check_fence(connection, claim, batch)  # 2. epoch and offset as expected, else rollback
                apply = self._isolated if isolate else self._merge
                letters += apply(connection, batch.tables)  # 3. rows
                parked = self._write_letters(connection, claim, letters)  # 4. dead letters and parked keys
                self._advance(connection, claim, batch)  # 5. offsets
                confirm()  # 6. the topics are still the ones we claimed
        except BaseException:
            self._merges.clear()  # a staging table made in this transaction is gone with it
            raise
        # 7. COMMIT has happened
        return Applied({t.plan.name: len(t.records) for t in batch.tables}, _count(letters), parked)

    def _prepare(self, connection: Connection, table: TableBatch) -> None:
        """Make the staging table and the statements for this staged shape, once for each."""
        columns = table.staged.columns
        if not columns or (table.plan.name, columns) in self._merges:
            return
        stage = statements.staging_name(table.plan, columns)
        connection.execute(statements.create_staging(stage, columns))
        target = statements.table_name(table.plan.schema, table.plan.table)
        self._merges[table.plan.name, columns] = statements.merge(table.plan, target, columns)

    def _copy(self, connection: Connection, table: TableBatch) -> None:
        if table.staged.rows:
            self._prepare(connection, table)
            stage = statements.staging_name(table.plan, table.staged.columns)
            _copy_in(connection, stage, table.staged)

    def _check_fence(self, connection: Connection, claim: Claim, batch: Batch) -> None:
        """Invariant 1: only the owner of the current epoch, at the expected offset, writes."""
        for partition in sorted(batch.next):
            row = connection.execute(
                "SELECT epoch, next_offset, owner FROM terrafusion.offsets "
                "WHERE pair = %s AND generation = %s AND topic = %s AND partition = %s FOR UPDATE",
                (self.pair, claim.generation, *partition),
            ).fetchone()
            expected = (claim.epochs[partition], batch.start[partition])
            if row is None or row[:2] != expected:
                taken = row is not None and row[2] not in (None, self.owner)
                raise Fenced(f"{partition.topic}: expected {expected}, found {row}", taken=taken)

    def _merge(self, connection: Connection, tables: Sequence[TableBatch]) -> list[DeadLetter]:
        """Straight COPY of new rows; deletes, children first; upserts, parents first (`tables` come parents first)."""
        for table in tables:
            if table.direct is not None:
                name = statements.table_name(table.plan.schema, table.plan.table)
                _copy_in(connection, name, table.direct)
        for table in reversed(tables):
            if table.staged.rows:
                self._delete(connection, table)
        return [letter for table in tables if table.staged.rows for letter in self._upsert(connection, table)]

    def _isolated(self, connection: Connection, tables: Sequence[TableBatch]) -> list[DeadLetter]:
        """Each table's events in parts, each under a savepoint, until the rows at fault stand alone."""
        connection.execute("SET CONSTRAINTS ALL IMMEDIATE")

        def attempt(part: TableBatch) -> list[DeadLetter]:
            self._prepare(connection, part)
            try:
                with connection.transaction():
                    stage = statements.staging_name(part.plan, part.staged.columns)
                    connection.execute(sql.SQL("TRUNCATE {}").format(stage))
                    self._copy(connection, part)
                    self._delete(connection, part)
                    return self._upsert(connection, part)
            except ROW_FAULTS as error:
                raise RowFault(f"target_{error.sqlstate or 'refused'}", first_line(error)) from error

        letters: list[DeadLetter] = []
        for table in tables:
            if "n" in table.kinds:  # a shadow; what was new to the batch may now come in several parts
                add_key(connection, table.plan)
            letters += isolate(table, attempt)
        return letters

    def _delete(self, connection: Connection, table: TableBatch) -> None:
        if "d" in table.kinds:
            connection.execute(self._statements(table).delete)

    def _upsert(self, connection: Connection, table: TableBatch) -> list[DeadLetter]:
        if "n" in table.kinds and table.direct is None:
            connection.execute(self._statements(table).insert)
        if "u" in table.kinds:
            connection.execute(self._statements(table).upsert)
        return [letter for mask in table.masks for letter in self._partial(connection, table, mask)]

    def _statements(self, table: TableBatch) -> statements.Merge:
        return self._merges[table.plan.name, table.staged.columns]

    def _partial(self, connection: Connection, table: TableBatch, mask: str) -> list[DeadLetter]:
        """Update all columns but the unavailable ones; a row that is not there cannot be completed."""
        target = statements.table_name(table.plan.schema, table.plan.table)
        unavailable = unavailable_columns(mask)
        statement = statements.partial_update(table.plan, target, table.staged.columns, unavailable, mask)
        updated = {row[0] for row in connection.execute(statement).fetchall()}
        lost = [o for o in table.changes.filter(pl.col(MASK) == mask)[OFFSET] if o not in updated]
        reason = f"the event leaves out unchanged values ({', '.join(unavailable)}), and the target has no such row"
        return [_letter(table, offset, "unavailable_value", reason) for offset in lost]

    def _write_letters(
        self, connection: Connection, claim: Claim, letters: Sequence[DeadLetter]
    ) -> ParkedKeys:
        parked: dict[str, set[str]] = {}
        for letter in letters:
            position = letter.position
            connection.execute(
                """
                INSERT INTO terrafusion.dead_letters (pair, generation, topic, topic_id, partition, "offset", table_name,
                  key, raw_key, raw_value, code, reason, fingerprint, source_lsn, source_ts_ms)
                VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
                """,
                (
                    self.pair,
                    claim.generation,
                    letter.partition.topic,
                    claim.topic_ids[letter.partition.topic],
                    letter.partition.partition,
                    letter.record.offset,
                    letter.table,
                    letter.key,
                    letter.record.key,
                    letter.record.value,
                    letter.code,
                    letter.reason,
                    letter.fingerprint,
                    position and position.lsn,
                    position and position.ts_ms,
                ),
            )
            if letter.key is not None and letter.key not in claim.parked.get(letter.table, ()):
                parked.setdefault(letter.table, set()).add(letter.key)
                connection.execute(
                    "INSERT INTO terrafusion.parked_keys VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                    (self.pair, claim.generation, letter.table, letter.key, letter.record.offset),
                )
        return {table: frozenset(keys) for table, keys in parked.items()}

    def _advance(self, connection: Connection, claim: Claim, batch: Batch) -> None:
        for partition, offset in batch.next.items():
            connection.execute(
                "UPDATE terrafusion.offsets SET next_offset = %s, updated_at = now() "
                "WHERE pair = %s AND generation = %s AND topic = %s AND partition = %s",
                (offset, self.pair, claim.generation, *partition),
            )

    # -- connection --------------------------------------------------------------------------------

    def _fresh(self) -> Connection:
        """A new connection: a claim never trusts what an old session may still hold."""
        self.close()
        self._connection = self._connect()
        return self._connection

    def _open(self) -> Connection:
        if self._connection is None or self._connection.closed:
            raise TargetUnavailable("the target's connection is closed")
        return self._connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except SyncError:
            raise
        except psycopg.Error as error:
            raise translate(error) from error

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back by the server."""
        self._merges.clear()
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _copy_in(connection: Connection, name: sql.Identifier, staged: Staged) -> None:
    with (
        connection.cursor() as cursor,
        cursor.copy(statements.copy_in(name, staged.columns)) as copy,
    ):
        copy.write(staged.payload)


def _letter(table: TableBatch, offset: int, code: str, reason: str) -> DeadLetter:
    key = key_texts(table.plan, table.changes.filter(pl.col(OFFSET) == offset))[0]
    return DeadLetter(table.partition, table.record(offset), table.plan.name, key, code, reason)


def _count(letters: Sequence[DeadLetter]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for letter in letters:
        counts[letter.table] = counts.get(letter.table, 0) + 1
    return counts

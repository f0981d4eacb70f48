"""From a sync pair's manifest to table plans, and everything that is wrong with it on the way."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from catalog.manifest import ManifestProblem
from catalog.specs import TableSpec
from syncservice.connect import names
from syncservice.plan import ColumnPlan, TablePlan
from syncservice.sources.tables import ColumnInfo, TableInfo
from syncservice.targets.tables import base_type

# What arrives exactly: each has a test through the real connector. Enums count too (`user_types`).
EXACT = frozenset(
    {
        "bigint", "boolean", "bytea", "character", "character varying", "cidr", "citext", "date", "double precision",
        "inet", "integer", "interval", "json", "jsonb", "macaddr", "macaddr8", "money", "numeric", "oid", "real",
        "smallint", "text", "time without time zone", "timestamp with time zone",
        "timestamp without time zone", "uuid",
    }
)  # fmt: skip
EXACT_ITEMS = frozenset(
    {
        "bigint",
        "boolean",
        "character varying",
        "double precision",
        "integer",
        "numeric",
        "smallint",
        "text",
        "uuid",
    }
)
_WIDER: Mapping[str, frozenset[str]] = {
    "smallint": frozenset({"integer", "bigint"}),
    "integer": frozenset({"bigint"}),
    "real": frozenset({"double precision"}),
    "character varying": frozenset({"text"}),
}


@dataclass(frozen=True)
class Naming:
    """How the source's generation names things: topic prefix and Debezium's placeholder."""

    prefix: str
    placeholder: str


@dataclass
class Planned:
    """One table's plan, or the problems, all at once."""

    plan: TablePlan | None = None
    problems: list[ManifestProblem] = field(default_factory=list)


def plan_table(
    index: int,
    spec: TableSpec,
    source: TableInfo,
    target: TableInfo,
    naming: Naming,
    user_types: frozenset[str] = frozenset(),
) -> Planned:
    """Plan one table. `user_types` are enums that both databases know by the same name."""
    planned = Planned()
    mapping = spec.columns or _same_names(source, target)
    path = f"spec.tables[{index}]"
    planned.problems += _column_problems(path, spec, mapping, source, target, user_types)
    key, problems = _key(path, spec, mapping, source)
    planned.problems += problems
    if not planned.problems:
        types = {c.name: c.type for c in target.columns}
        columns = tuple(
            ColumnPlan(t, names.field_name(s), base_type(types[t]), types[t]) for t, s in mapping.items()
        )
        topic = names.table_topic(naming.prefix, spec.from_)
        planned.plan = TablePlan(topic, target.schema, target.name, columns, key, naming.placeholder)
    return planned


def _same_names(source: TableInfo, target: TableInfo) -> dict[str, str]:
    computed = {c.name for c in target.columns if c.generated}
    return {c.name: c.name for c in source.columns if not c.generated and c.name not in computed}


def _column_problems(
    path: str,
    spec: TableSpec,
    mapping: Mapping[str, str],
    source: TableInfo,
    target: TableInfo,
    user_types: frozenset[str],
) -> list[ManifestProblem]:
    problems: list[ManifestProblem] = []
    from_source = {c.name: c for c in source.columns}
    to_target = {c.name: c for c in target.columns}
    for target_name, source_name in mapping.items():
        where = f"{path}.columns.{target_name}"
        have, want = from_source.get(source_name), to_target.get(target_name)
        if have is None:
            problems.append(
                ManifestProblem(where, f"{source.full_name} has no column {source_name}", _list(from_source))
            )
        if want is None:
            fix = f"ALTER TABLE {target.full_name} ADD COLUMN {target_name} {have.type if have else '…'}"
            problems.append(ManifestProblem(where, f"{target.full_name} has no column {target_name}", fix))
        if have is not None and want is not None:
            problems += _fit(where, have, want, user_types)
    mapped = set(mapping)
    for column in target.columns:
        optional = not column.not_null or column.default is not None or column.generated or column.identity
        if column.name not in mapped and not optional:
            message = (
                f"{target.full_name}.{column.name} is NOT NULL without a default, and nothing is mapped to it"
            )
            problems.append(ManifestProblem(f"{path}.columns", message, "map it, or give it a default"))
    return problems


def _fit(where: str, have: ColumnInfo, want: ColumnInfo, user_types: frozenset[str]) -> list[ManifestProblem]:
    if have.dimensions > 1:
        why = f"{have.name} is an array of {have.dimensions} dimensions, which Debezium does not carry"
        return [ManifestProblem(where, why, "a column of one dimension, or none for it")]
    if have.generated:
        return [
            ManifestProblem(
                where, f"{have.name} is a generated column of the source: it is not in the events"
            )
        ]
    if want.generated:
        return [ManifestProblem(where, f"{want.name} is generated by the target", "leave it out of columns")]
    misfits = misfit(have.type, want.type, user_types)
    return [ManifestProblem(where, misfits, have.type)] if misfits else []


def misfit(source: str, target: str, user_types: frozenset[str] = frozenset()) -> str | None:
    """Why values of type `source` do not fit into `target` unchanged; None when they do."""
    have, want = base_type(source), base_type(target)
    item = have.removesuffix("[]")
    exact = EXACT_ITEMS if have.endswith("[]") else EXACT
    one_bit = have == "bit" and source == target == "bit(1)"
    if item not in exact and have not in user_types and not one_bit:
        return f"the type {source} is not supported yet"
    if have != want and want not in _WIDER.get(have, frozenset()):
        return f"the source's {source} does not fit the target's {target}"
    if have == want and not _as_wide(_modifier(source), _modifier(target), have):
        return f"the target's {target} is narrower than the source's {source}"
    return None


def _modifier(full: str) -> tuple[int, ...] | None:
    found = re.search(r"\((\d+)(?:,\s*(-?\d+))?\)", full)
    return tuple(int(g) for g in found.groups() if g is not None) if found else None


def _as_wide(have: tuple[int, ...] | None, want: tuple[int, ...] | None, base: str) -> bool:
    if want is None:
        return base != "character" or have is None
    if have is None:
        return base.startswith(("timestamp", "time")) and want == (6,)
    if base.startswith("numeric"):
        (digits, scale), (wide, wide_scale) = (*have, 0)[:2], (*want, 0)[:2]
        return wide_scale >= scale and wide - wide_scale >= digits - scale
    if base == "character":
        return have == want
    return want[0] >= have[0]


def _key(
    path: str, spec: TableSpec, mapping: Mapping[str, str], source: TableInfo
) -> tuple[tuple[str, ...], list[ManifestProblem]]:
    """The target's key; today it is always the source's primary key under its mapped names."""
    by_source = {s: t for t, s in mapping.items()}
    unmapped = [name for name in source.primary_key if name not in by_source]
    if unmapped:
        message = f"key column {unmapped[0]} of {source.full_name} is not mapped"
        return (), [ManifestProblem(f"{path}.columns", message, "map every column of the primary key")]
    key = tuple(by_source[name] for name in source.primary_key)
    if spec.key is not None and set(spec.key) != set(key):
        message = "a key other than the source's primary key is not supported yet"
        return (), [ManifestProblem(f"{path}.key", message, f"[{', '.join(key)}]")]
    return (tuple(spec.key) if spec.key is not None else key), []


def _list(columns: Mapping[str, ColumnInfo]) -> str:
    return ", ".join(columns)


def primary_key_problems(index: int, source: TableInfo) -> Sequence[ManifestProblem]:
    """A table without a primary key is refused with the fix."""
    if source.primary_key:
        return []
    message = f"{source.full_name} has no primary key: changes of its rows cannot be told apart"
    return [
        ManifestProblem(
            f"spec.tables[{index}].from", message, f"ALTER TABLE {source.full_name} ADD PRIMARY KEY (…)"
        )
    ]


def foreign_key_problems(tables: Sequence[str], edges: set[tuple[str, str]]) -> list[ManifestProblem]:
    """Target tables of one pair that refer to each other: their topics have no common order yet, so a child could come
    before its parent and be refused."""
    return [
        ManifestProblem(
            "spec.tables",
            f"a foreign key leads from {child} to {parent}; keys between tables of a pair are not supported yet",
            f"drop the key on the target: the source's own key keeps {child} sound",
        )
        for child, parent in sorted(edges)
        if child in tables and parent in tables
    ]

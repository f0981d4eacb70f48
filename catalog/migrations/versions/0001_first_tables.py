"""first tables"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """first tables"""
    op.create_table(
        "api_key",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("pairs", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        schema="catalog",
    )
    op.create_table(
        "error",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("pair", sa.Text(), nullable=True),
        sa.Column("operation_id", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("remedy", sa.Text(), nullable=False),
        sa.Column("retry", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        schema="catalog",
    )
    op.create_index("error_fingerprint", "error", ["fingerprint", "last_at"], unique=False, schema="catalog")
    op.create_index("error_last_at", "error", ["last_at"], unique=False, schema="catalog")
    op.create_table(
        "generation",
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("system"),
        schema="catalog",
    )
    op.create_table(
        "operation",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("pair", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("tables", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column(
            "requested_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("progress", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("error", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_epoch", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
        schema="catalog",
    )
    op.create_index("operation_of_pair", "operation", ["pair", "number"], unique=False, schema="catalog")
    op.create_index(
        "operation_one_active",
        "operation",
        ["pair", "kind"],
        unique=True,
        schema="catalog",
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_table(
        "pair_metric",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("pair", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("rows_per_s", sa.Double(), nullable=False),
        sa.Column("lag_records", sa.BigInteger(), nullable=False),
        sa.Column("lag_seconds", sa.Double(), nullable=True),
        sa.Column("dead_letters", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        schema="catalog",
    )
    op.create_index("pair_metric_at", "pair_metric", ["at"], unique=False, schema="catalog")
    op.create_index("pair_metric_pair_at", "pair_metric", ["pair", "at"], unique=False, schema="catalog")
    op.create_table(
        "system",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("spec", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        schema="catalog",
    )
    op.create_table(
        "operation_metric",
        sa.Column("operation_id", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("read", sa.BigInteger(), nullable=False),
        sa.Column("inserted", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.BigInteger(), nullable=False),
        sa.Column("unchanged", sa.BigInteger(), nullable=False),
        sa.Column("dead_letters", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("rows_per_s", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["operation_id"], ["catalog.operation.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("operation_id", "table_name"),
        schema="catalog",
    )
    op.create_table(
        "source",
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("slot", sa.Text(), nullable=False),
        sa.Column("publication", sa.Text(), nullable=False),
        sa.Column("placeholder", sa.Text(), nullable=False),
        sa.Column("captured", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("conditions", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["system"],
            ["catalog.system.name"],
        ),
        sa.PrimaryKeyConstraint("system"),
        schema="catalog",
    )
    op.create_table(
        "sync_pair",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("spec", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("desired", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("status", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("status_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("initialised", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["source"],
            ["catalog.system.name"],
        ),
        sa.ForeignKeyConstraint(
            ["target"],
            ["catalog.system.name"],
        ),
        sa.PrimaryKeyConstraint("name"),
        schema="catalog",
    )


def downgrade() -> None:
    """Undo it."""
    op.drop_table("sync_pair", schema="catalog")
    op.drop_table("source", schema="catalog")
    op.drop_table("operation_metric", schema="catalog")
    op.drop_table("system", schema="catalog")
    op.drop_index("pair_metric_pair_at", table_name="pair_metric", schema="catalog")
    op.drop_index("pair_metric_at", table_name="pair_metric", schema="catalog")
    op.drop_table("pair_metric", schema="catalog")
    op.drop_index(
        "operation_one_active",
        table_name="operation",
        schema="catalog",
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.drop_index("operation_of_pair", table_name="operation", schema="catalog")
    op.drop_table("operation", schema="catalog")
    op.drop_table("generation", schema="catalog")
    op.drop_index("error_last_at", table_name="error", schema="catalog")
    op.drop_index("error_fingerprint", table_name="error", schema="catalog")
    op.drop_table("error", schema="catalog")
    op.drop_table("api_key", schema="catalog")

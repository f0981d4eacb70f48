"""Alembic's entry: runs on the connection (and in the transaction) that `catalog.migrate` brings."""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

from catalog.models import SCHEMA, Base

connection = context.config.attributes["connection"]
connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    version_table="schema_version",
    version_table_schema=SCHEMA,
    include_schemas=True,
)
with context.begin_transaction():
    context.run_migrations()

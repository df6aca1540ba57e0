"""Alembic's entry: migrates on the connection that `engine.store.schema` hands over."""

from alembic import context
from sqlmodel import SQLModel

from engine.store import tables

assert tables.Meta.metadata is SQLModel.metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    compare_type=True,
)
context.run_migrations()

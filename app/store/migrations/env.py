"""Alembic's entry point: runs the migrations inside the transaction that the catalog has opened."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()

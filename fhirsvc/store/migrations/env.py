"""Runs the migrations on the connection that Database.upgrade hands over."""

from alembic import context

from fhirsvc.store.tables import metadata

# The caller owns the transaction: either all pending revisions are applied or none.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
context.run_migrations()

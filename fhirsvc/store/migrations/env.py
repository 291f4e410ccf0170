"""Runs the migrations on the connection that Database.upgrade hands over."""

from alembic import context

from fhirsvc.store import accounts, exports, partners, received, served, subscriptions
from fhirsvc.store.tables import metadata

TABLES = (
    accounts.account,
    exports.export_job,
    partners.partner,
    received.inbox,
    served.served,
    subscriptions.subscription,
)
for table in TABLES:
    assert table.metadata is metadata  # noqa: S101 - its tables are in by being imported

# The caller owns the transaction: either all pending revisions are applied or none.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
context.run_migrations()

"""What is remembered: records, deliveries, links, attempts and executors, in SQLite or PostgreSQL.

Functions take an open :class:`sqlalchemy.Connection` and the time; the caller owns the transaction.
"""

from fhirsvc.store.database import Database

__all__ = ["Database"]

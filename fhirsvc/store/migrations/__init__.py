"""Alembic's folder: run through :meth:`fhirsvc.store.database.Database.upgrade`."""

"""Rows that are looked for by several columns: exactly those, and found by an index."""

from __future__ import annotations

import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from fhirsvc.store import pairs
from fhirsvc.store.tables import link, record

NAMES = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=9)
KEY = (record.c.type, record.c.id)


@given(NAMES, NAMES.filter(bool))
def test_exactly_those_are_found(there, wanted):
    """Not every combination of their values, whether the statement is made once or anew."""
    engine = sa.create_engine("sqlite://")
    rest = {"version": 1, "hash": "", "updated_at": 0.0, "revision": 0}
    with engine.connect() as tx:
        record.create(tx)
        for type_, id_ in set(there):
            tx.execute(sa.insert(record).values({"type": type_, "id": id_, **rest}))
        anew = sa.select(*KEY).where(pairs.among(KEY, wanted))
        once = sa.select(*KEY).where(pairs.bound(KEY, "wanted"))
        found = [set(map(tuple, tx.execute(anew)))]
        found.append(set(map(tuple, tx.execute(once, pairs.values("wanted", wanted)))))
    engine.dispose()
    assert found == [set(there) & set(wanted)] * 2


def test_none_are_found_among_none(database):
    """An empty list is no mistake."""
    with database.read() as tx:
        assert tx.execute(sa.select(*KEY).where(pairs.among(KEY, []))).all() == []


def test_sqlite_finds_them_by_all_columns_of_an_index():
    """Beside another condition too, where it would read all that this one leaves."""
    engine = sa.create_engine("sqlite://")
    pair = (link.c.resource_type, link.c.local_id)
    which = pairs.among(pair, [("Goal", "g"), ("Patient", "c")])
    query = sa.select(link.c.etag).where(link.c.connection_id == 1, which)
    with engine.connect() as tx:
        link.metadata.create_all(tx)
        text = query.compile(engine, compile_kwargs={"literal_binds": True})
        plan = tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}").all()
    engine.dispose()
    assert "(connection_id=? AND resource_type=? AND local_id=?)" in plan[0][3]

"""Accepting: durable, once, in order, and one bad record never stops the rest."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import care_plan, client, goal
from wire import BASE

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.services.publish import BATCH, Publisher
from fhirsvc.store import records
from fhirsvc.store.connections import NewConnection


def test_a_record_and_its_delivery(house):
    """A new record is stored as version 1, with one pending delivery to each connection."""
    house.operator.add_connection(NewConnection("second", BASE))

    accepted = house.accept(client("c-1", family="Example"))

    assert accepted.count("created") == 1
    assert accepted.opened == 2
    assert house.states() == [("client/c-1", 1, "pending")] * 2
    with house.database.read() as tx:
        version = records.version(tx, ("client", "c-1"))
    assert version.body == '{"type":"client","id":"c-1","family":"Example"}'
    assert version.correlation_id == "corr-1"


def test_the_same_again_changes_nothing(house):
    """The same content, in any order of keys, makes no version and no delivery."""
    house.accept({"type": "client", "id": "c-1", "family": "Example"})

    accepted = house.accept({"family": "Example", "id": "c-1", "type": "client"})

    assert (accepted.count("unchanged"), accepted.opened) == (1, 0)
    assert house.states() == [("client/c-1", 1, "pending")]


def test_an_edit_supersedes_what_is_unsent(house):
    """A new version has one delivery, and the one before it is called off."""
    house.accept(client(family="A"))

    accepted = house.accept(client(family="B"))

    assert (accepted.count("changed"), accepted.opened, accepted.superseded) == (1, 1, 1)
    assert house.states() == [("client/c-1", 1, "superseded"), ("client/c-1", 2, "pending")]


def test_an_edit_leaves_what_was_delivered(house):
    """What was delivered stays delivered."""
    house.accept(client(family="A"))
    house.drain()

    house.accept(client(family="B"))

    assert house.states() == [("client/c-1", 1, "delivered"), ("client/c-1", 2, "pending")]


def test_back_to_an_older_content_is_a_new_version(house):
    """A B A are three versions: what the world should know last is A."""
    for family in "ABA":
        house.accept(client(family=family))

    assert house.states()[-1] == ("client/c-1", 3, "pending")


def test_several_versions_in_one_batch(house):
    """Of two versions of one record in one batch both are kept, and the last is delivered."""
    accepted = house.accept(client(family="A"), client(family="B"), client(family="B"))

    assert [receipt.outcome for receipt in accepted.receipts] == ["created", "changed", "unchanged"]
    assert house.states() == [("client/c-1", 2, "pending")]
    with house.database.read() as tx:
        assert [one.version for one in records.history(tx, ("client", "c-1"))] == [1, 2]


def test_a_bad_record_does_not_stop_the_rest(house):
    """Each bad record has its own receipt with findings; the good ones are in."""
    accepted = house.accept(client("c-1"), {"type": "nothing"}, "text", client("c-2"))

    assert [receipt.outcome for receipt in accepted.receipts] == [
        "created",
        "refused",
        "refused",
        "created",
    ]
    assert [finding.where for finding in accepted.receipts[1].findings] == ["$.type"]
    assert len(house.states()) == 2


def test_more_than_a_batch(house):
    """Any number of records can be handed over as a stream; receipts keep their places."""
    given_ = ({"type": "client", "id": f"c-{n}"} if n % 7 else {} for n in range(BATCH * 2 + 5))

    accepted = house.publisher.accept(given_)

    assert [receipt.index for receipt in accepted.receipts] == list(range(BATCH * 2 + 5))
    assert accepted.count("refused") == 30
    assert accepted.count("created") == len(house.states()) == BATCH * 2 + 5 - 30


def test_what_it_refers_to_may_come_later(house):
    """A record is accepted before those that it refers to are known."""
    accepted = house.accept(care_plan(client_id="not-yet", goal_ids=["neither"]))

    assert accepted.count("created") == 1


def test_a_new_connection_gets_what_was_there_before(house):
    """A connection that is added later is owed every record's current version, once."""
    house.accept(client(family="A"), goal())
    house.accept(client(family="B"))

    added = house.operator.add_connection(NewConnection("later", BASE))

    owed = house.deliveries(connection_id=added.id)
    assert sorted((one.record_id, one.version, one.state) for one in owed) == [
        ("c-1", 2, "pending"),
        ("g-1", 1, "pending"),
    ]
    assert house.publisher.backfill() == 0


def test_a_failing_database_accepts_nothing_by_halves(house, monkeypatch):
    """When the deliveries cannot be written, the record versions are not there either."""

    def broken(*_):
        raise sa.exc.OperationalError("insert", {}, Exception("disk full"))

    monkeypatch.setattr("fhirsvc.store.deliveries.create", broken)
    with pytest.raises(sa.exc.OperationalError):
        house.accept(client())

    with house.database.read() as tx:
        assert records.counts(tx) == {}


class TestAcceptOne:
    """One record with the version that its writer believes to be current."""

    def test_as_expected(self, house):
        """The expected version is replaced."""
        house.publisher.accept_one(client(family="A"), expected=0)

        receipt = house.publisher.accept_one(client(family="B"), expected=1)

        assert (receipt.outcome, receipt.version) == ("changed", 2)

    @pytest.mark.parametrize("expected", [0, 2])
    def test_not_as_expected(self, house, expected):
        """Somebody else was faster: nothing is stored."""
        house.accept(client(family="A"))

        with pytest.raises(FhirsvcError, match="current version is 1") as raised:
            house.publisher.accept_one(client(family="B"), expected=expected)

        assert raised.value.category == Category.CONFLICT
        assert house.states() == [("client/c-1", 1, "pending")]

    def test_a_bad_one(self, house):
        """A bad record is refused with its findings."""
        assert house.publisher.accept_one({}).outcome == "refused"


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2)), min_size=1, max_size=12))
def test_law_one_pending_delivery_of_the_newest_version(house, edits):
    """After any edits each record has one open delivery, of its newest version, and no more."""
    house.accept(*[client(f"law-{name}", family=str(number)) for name, number in edits])

    with house.database.read() as tx:
        newest = {
            name: records.version(tx, ("client", f"law-{name}")) for name in {n for n, _ in edits}
        }
    open_ = house.deliveries(states=["pending"])
    assert len({one.record for one in open_}) == len(open_)
    for name, version in newest.items():
        last = [number for each, number in edits if each == name][-1]
        assert f'"family":"{last}"' in version.body
        assert (("client", f"law-{name}"), version.version) in [
            (one.record, one.version) for one in open_
        ]


def test_a_check_is_asked_for_every_record(house):
    """The record check decides; warnings alone do not refuse."""
    seen = []
    publisher = Publisher(house.database, lambda record: seen.append(record) or [], house.clock)

    publisher.accept([client("c-1"), client("c-2")])

    assert [record["id"] for record in seen] == ["c-1", "c-2"]

"""Comparing what was sent with what an EHR says it holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirsvc.ehr.content import etag_of, fingerprint, holds, remote_fingerprint

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


def _shuffled(node):
    """The same JSON with every object's keys in the opposite order."""
    if isinstance(node, dict):
        return {key: _shuffled(node[key]) for key in reversed(list(node))}
    return [_shuffled(item) for item in node] if isinstance(node, list) else node


@given(JSON)
def test_fingerprint_does_not_see_the_order_of_keys(node):
    """Two objects with the same members in another order are the same content."""
    assert fingerprint(node) == fingerprint(_shuffled(node))


@given(JSON, JSON)
def test_fingerprint_sees_everything_else(one, other):
    """Content that differs has another fingerprint; 1 and true are not the same."""
    same = one == other and repr(one) == repr(other)
    assert not same or fingerprint(one) == fingerprint(other)
    if one != other:
        assert fingerprint(one) != fingerprint(other)


@given(JSON)
def test_everything_holds_itself(node):
    """What comes back as it was sent is held."""
    assert holds(node, node)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=4), JSON)
def test_a_server_may_add(sent, more):
    """An element more than was sent does not matter."""
    assert holds({**sent, "added": more}, {k: v for k, v in sent.items() if k != "added"})


@pytest.mark.parametrize(
    ("remote", "sent", "expected"),
    [
        ({"a": [2, 1]}, {"a": [1, 2]}, True),
        ({"a": [1]}, {"a": [1, 1]}, False),
        ({"a": [{"x": 1, "id": "9"}]}, {"a": [{"x": 1}]}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1.0}, {"a": 1}, True),
        ({}, {"a": 1}, False),
        ({"text": {"div": "theirs"}}, {"text": {"div": "ours"}}, True),
        ({"code": {"text": "theirs"}}, {"code": {"text": "ours"}}, False),
        ({"reference": "https://e/fhir/Patient/1"}, {"reference": "Patient/1"}, True),
        ({"reference": "Patient/1/_history/3"}, {"reference": "Patient/1"}, True),
        ({"reference": "Patient/11"}, {"reference": "Patient/1"}, False),
    ],
)
def test_holds(remote, sent, expected):
    """Reordering, adding and absolute references are the server's right; losing is not."""
    assert expected == holds(remote, sent)


def test_a_new_version_alone_is_no_change():
    """What every write changes by itself is not content: id, version, time."""
    one = {"resourceType": "Goal", "id": "1", "meta": {"versionId": "1", "lastUpdated": "a"}}
    other = {"resourceType": "Goal", "id": "2", "meta": {"versionId": "2", "lastUpdated": "b"}}
    tagged = {"resourceType": "Goal", "meta": {"tag": [{"code": "x"}]}}

    assert remote_fingerprint(one) == remote_fingerprint(other)
    assert remote_fingerprint(one) != remote_fingerprint(tagged)


@pytest.mark.parametrize(
    ("headers", "resource", "expected"),
    [
        ({"ETag": 'W/"3"'}, {}, 'W/"3"'),
        ({}, {"meta": {"versionId": "4"}}, 'W/"4"'),
        ({}, {"meta": {}}, None),
        ({}, None, None),
        ({"ETag": "x" * 121}, {}, None),
    ],
)
def test_etag(headers, resource, expected):
    """The header says the version, or else the resource does."""
    assert expected == etag_of(headers, resource)

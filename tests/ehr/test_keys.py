"""Our keys: which one signs, which are published, and that their files are nobody else's."""

from __future__ import annotations

import json
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirsvc.ehr.assertion import new_key
from fhirsvc.ehr.keys import (
    KEEP_S,
    PUBLISH_S,
    ClientKey,
    KeyFolder,
    jwks,
    published,
    retired,
    scheduled,
    signer,
    state,
)
from fhirsvc.errors import Category, FhirsvcError

NOW = 1_800_000_000.0


def key(kid, *, at=NOW, signs=None, alg="RS384", gone=None) -> ClientKey:
    private = {"d": "secret"} if gone is None else None
    signs_from = at if signs is None else signs
    until = None if gone is None else gone + KEEP_S
    return ClientKey(kid, alg, at, signs_from, {"kty": "RSA", "n": kid}, private, gone, until)


def test_the_first_key_signs_at_once_and_the_next_after_it_was_published():
    """An EHR that keeps our key set for an hour knows the new key before it meets it."""
    first = scheduled(key("a"), [], PUBLISH_S)
    second = scheduled(key("b", at=NOW + 100), [first], PUBLISH_S)
    keys = [first, second]

    assert (first.signs_from, second.signs_from) == (NOW, NOW + 100 + PUBLISH_S)
    assert [one.kid for one in published(keys, NOW + 100)] == ["a", "b"]
    assert signer(keys, None, NOW + 100) == first
    assert signer(keys, None, NOW + 99 + PUBLISH_S) == first
    assert signer(keys, None, NOW + 100 + PUBLISH_S) == second
    assert [state(one, keys, NOW + 200) for one in keys] == ["signing", "waiting"]
    assert [state(one, keys, NOW + 9000) for one in keys] == ["spare", "signing"]


def test_algorithms_are_apart():
    """The first ES384 key does not wait for an RS384 one, and neither signs for the other."""
    rsa = key("a")
    curve = scheduled(key("b", at=NOW + 5, alg="ES384"), [rsa], PUBLISH_S)

    assert curve.signs_from == NOW + 5
    assert signer([rsa, curve], "ES384", NOW + 5) == curve
    assert signer([rsa, curve], "RS384", NOW + 5) == rsa
    assert signer([rsa], "ES384", NOW) is None


def test_a_retired_key_signs_no_more_and_is_published_for_a_while():
    """Its private half is gone at once; whoever holds an assertion of it can still check it."""
    gone = retired(key("a"), NOW)

    assert gone.private is None
    assert signer([gone], None, NOW) is None
    assert published([gone], NOW + KEEP_S - 1) == [gone]
    assert published([gone], NOW + KEEP_S) == []
    assert [state(gone, [gone], NOW + s) for s in (1, KEEP_S)] == ["retired", "withdrawn"]


def test_a_key_that_leaked_is_published_no_more():
    """Nobody is to believe what it signs."""
    assert published([retired(key("a"), NOW, at_once=True)], NOW) == []


def test_a_waiting_key_signs_when_there_is_no_other():
    """It may be too early for an EHR that has not read our key set again; nothing is surely so."""
    waiting = key("b", signs=NOW + 3600)

    assert signer([retired(key("a"), NOW), waiting], None, NOW) == waiting


moments = st.floats(0, 1e6)
some_keys = st.lists(
    st.builds(
        key,
        st.uuids().map(str),
        at=moments,
        signs=moments,
        alg=st.sampled_from(["RS384", "ES384"]),
        gone=st.one_of(st.none(), moments),
    ),
    max_size=6,
)


@given(some_keys, moments)
def test_who_signs_is_published(keys, now):
    """Whatever keys there are: the one that signs is in the set, and no private part is."""
    shown = jwks(keys, now)["keys"]
    found = signer(keys, None, now)

    assert found is None or found.kid in [one["kid"] for one in shown]
    assert (found is None) == all(one.private is None for one in keys)
    assert not any("d" in one for one in shown)


def test_files_are_ours_alone(tmp_path):
    """0600 in a folder of 0700, and what is read is what was written."""
    folder = KeyFolder(tmp_path / "keys")
    made = new_key("ES384", NOW)
    folder.write(made)

    (path,) = folder.path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert folder.read() == ([made], [])
    folder.remove(made.kid)
    assert folder.read() == ([], [])


def test_without_a_folder_there_are_no_keys(tmp_path):
    """That is no mistake: most connections need none."""
    assert KeyFolder(tmp_path / "none").read() == ([], [])


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"kid": "a"}', '{"kid": 1, "alg": "none"}', "\udce4"],
)
def test_a_file_that_holds_no_key(tmp_path, text):
    """It is named, and the others are used."""
    folder = KeyFolder(tmp_path)
    good = key("good")
    folder.write(good)
    bad = tmp_path / "key-bad.json"
    bad.write_bytes(text.encode("utf-8", "surrogateescape"))
    bad.chmod(0o600)

    keys, (finding,) = folder.read()

    assert keys == [good]
    assert finding.where == str(bad)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("signs_from", 1e300),
        ("kid", "../x"),
        ("alg", "HS256"),
        ("signs_from", "soon"),
        ("created_at", None),
        ("x", 1),
    ],
)
def test_a_file_that_says_something_odd(tmp_path, name, value):
    """Nothing of it is believed."""
    folder = KeyFolder(tmp_path)
    folder.write(key("a"))
    path = tmp_path / "key-a.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))

    assert (folder.read()[0], len(folder.read()[1])) == ([], 1)


def test_a_file_that_others_can_read_is_not_used(tmp_path):
    """As ssh has it: such a key may be anybody's."""
    folder = KeyFolder(tmp_path)
    folder.write(key("a"))
    (tmp_path / "key-a.json").chmod(0o644)

    keys, (finding,) = folder.read()

    assert keys == []
    assert "chmod 600" in finding.message


def test_a_folder_that_cannot_be_made(tmp_path):
    """One line with the place."""
    (tmp_path / "file").write_text("")
    with pytest.raises(FhirsvcError) as raised:
        KeyFolder(tmp_path / "file" / "keys").write(key("a"))

    assert raised.value.category == Category.UNAVAILABLE


def test_a_key_is_no_text_of_its_own():
    """What prints an object by mistake prints no private key."""
    assert "secret" not in repr(key("a"))

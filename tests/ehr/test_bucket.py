"""The token bucket, on a clock of the test."""

from __future__ import annotations

import pytest

from fhirsvc.ehr.bucket import TokenBucket


def test_a_burst_then_the_rate(clock):
    """After the burst, requests come at the rate."""
    bucket = TokenBucket(2.0, 3, clock, clock.sleep)

    assert [bucket.take() for _ in range(5)] == [0, 0, 0, 0.5, 0.5]


def test_tokens_come_back(clock):
    """Time without requests fills the bucket up to the burst, no further."""
    bucket = TokenBucket(2.0, 3, clock, clock.sleep)
    for _ in range(3):
        bucket.take()
    clock.now += 1000

    assert [bucket.take() for _ in range(4)] == [0, 0, 0, 0.5]


def test_a_share_of_the_rate(clock):
    """A process that has half of the rate waits twice as long."""
    bucket = TokenBucket(2.0, 1, clock, clock.sleep)
    bucket.share = 0.5
    bucket.take()

    assert bucket.take() == pytest.approx(1.0)

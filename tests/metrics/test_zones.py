"""The zones of a main task's lengths."""

from __future__ import annotations

import pytest

from lgt.metrics.zones import IN_DISTRIBUTION, OUT_OF_DISTRIBUTION, TRANSFER_REGION, ZONES, zone, zone_lengths


def test_zone_boundaries_belong_to_the_shorter_side():
    assert zone(8, 8, 16) == IN_DISTRIBUTION
    assert zone(9, 8, 16) == TRANSFER_REGION
    assert zone(16, 8, 16) == TRANSFER_REGION
    assert zone(17, 8, 16) == OUT_OF_DISTRIBUTION


@pytest.mark.parametrize("transfer_length", [None, 16, 8])
def test_a_task_trained_to_its_own_transfer_length_has_no_transfer_region(transfer_length):
    assert {zone(length, 16, transfer_length) for length in range(1, 40)} == {IN_DISTRIBUTION, OUT_OF_DISTRIBUTION}


def test_zone_lengths_split_every_length_once_in_zone_order():
    parts = zone_lengths([20, 3, 8, 9, 16, 3], 8, 16)
    assert parts == {IN_DISTRIBUTION: [3, 8], TRANSFER_REGION: [9, 16], OUT_OF_DISTRIBUTION: [20]}
    assert tuple(parts) == ZONES
    assert zone_lengths([1, 2], 8, 16) == {IN_DISTRIBUTION: [1, 2]}

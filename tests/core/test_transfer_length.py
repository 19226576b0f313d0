"""La is computed by one function, and every recipe and stored run agrees with it."""

from __future__ import annotations

import pytest

from lgt.core.transfer_length import transfer_length
from lgt.recipes.groups import GROUPS
from lgt.recipes.presets import PRESETS, group_config


@pytest.mark.parametrize(
    ("main", "auxiliaries", "expected"),
    [(6, [12], 12), (6, [7, 12, 9], 12), (6, [6], None), (6, [2], None), (6, [], None)],
)
def test_la_is_the_longest_auxiliary_length_above_lm(main, auxiliaries, expected):
    assert transfer_length(main, auxiliaries) == expected


def test_a_baseline_keeps_the_transfer_length_of_the_run_that_it_is_compared_with():
    for preset in PRESETS:
        for group in GROUPS:
            config = group_config(group, preset)
            length = transfer_length(config.main.training_length, [spec.training_length for spec in config.auxiliaries])
            assert config.transfer_length == length
            assert group_config(group, preset, arm="alone-same-steps").transfer_length == length

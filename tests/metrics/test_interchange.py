"""Loss recovered by interchanges, on rows whose numbers are worked out beside them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lgt.core.config import RunConfig
from lgt.experiments.registry import EXPERIMENTS
from lgt.metrics.interchange import interchange, loss_recovered, needed_heads, permutation_p, recovered_by_place

EXAMPLE: RunConfig = EXPERIMENTS["interchange-caprev"].example()
CONFIG = replace(EXAMPLE, model=replace(EXAMPLE.model, layers=2, heads=2))
MAIN, FLIP, REVERSE, COPY = "capitalize_reverse", "capitalize", "reverse", "string_copy"
TRAINED, REGION = (2, 7), (10, 15)
Place = tuple[int, int]
COSTS: dict[Place, float] = {(0, 0): 0.02, (0, 1): 3.0, (1, 0): 1.0, (1, 1): 0.0}
"""What the mean output of each head costs at length 10, in nats; at length 15 twice as much."""


def rows(shares: Mapping[tuple[str, str], Mapping[Place, float]], drops: Mapping[Place, float]) -> pd.DataFrame:
    """Interchanges of a network with two layers of two heads. ``shares``: what each source recovers of the cost of each
    head (by default nothing); ``drops``: the fall of exact match with mean outputs at trained lengths."""
    sources = {(MAIN, "mean"): {}, **shares}
    found = []
    for (source, how), length, layer, head in itertools.product(sources, (*TRAINED, *REGION), range(3), range(3)):
        place = (layer, head)
        single = layer < 2 and head < 2
        cost = COSTS[place] if single else 5.0
        share = sources[source, how].get(place, 0.0)
        scale = 2.0 if length == 15 else 1.0
        drop = drops.get(place, 0.0) if single and how == "mean" else 0.9
        found.append((1, MAIN, source, how, length, layer, head, drop, scale * cost * (1 - share), 64))
    columns = ["run_id", "task", "source_task", "source_input", "length", "layer", "head", "accuracy_drop", "loss_rise",
               "examples"]  # fmt: skip
    return pd.DataFrame(found, columns=columns)


NEEDED = {(0, 1): 0.6, (1, 0): 0.11, (0, 0): 0.1, (1, 1): -0.2}


def test_a_head_is_needed_if_its_mean_output_costs_more_than_a_tenth_at_these_lengths() -> None:
    table = rows({}, NEEDED)
    assert needed_heads(table, CONFIG, TRAINED) == [(0, 1), (1, 0)]
    assert needed_heads(table.assign(task=REVERSE), CONFIG, TRAINED) == []
    table.loc[(table.length == 2) & (table["head"] == 0) & (table.layer == 1), "accuracy_drop"] = 0.0
    assert needed_heads(table, CONFIG, TRAINED) == [(0, 1)], "the mean over lengths counts"
    assert needed_heads(table, CONFIG, (7,)) == [(0, 1), (1, 0)]


def test_loss_recovered_is_the_share_of_what_mean_outputs_cost_over_heads_and_lengths() -> None:
    table = rows({(REVERSE, "same"): {(0, 1): 1.0, (1, 0): 0.4}, (COPY, "same"): {(0, 1): -1.0}}, NEEDED)
    # heads (0, 1) and (1, 0) cost 3 and 1; reverse leaves 0 and 0.6 of them, copying 6 and 1
    found = loss_recovered(table, MAIN, [(0, 1), (1, 0)], REGION)
    assert found == {(REVERSE, "same"): pytest.approx(1 - 0.6 / 4), (COPY, "same"): pytest.approx(1 - 7 / 4)}
    assert loss_recovered(table, MAIN, [(1, 0)], REGION)[REVERSE, "same"] == pytest.approx(0.4)
    assert loss_recovered(table, MAIN, [(1, 1)], REGION) == {}, "nothing is lost, so nothing can be recovered"
    assert loss_recovered(table, MAIN, [], REGION) == {} == loss_recovered(table, FLIP, [(0, 1)], REGION)


def test_lengths_have_the_same_weight_whatever_they_cost() -> None:
    table = rows({(REVERSE, "same"): {}}, NEEDED)
    table.loc[(table.source_task == REVERSE) & (table.length == 15), "loss_rise"] = 0.0
    # at length 10 nothing of 3 is recovered, at length 15 all of 6
    assert loss_recovered(table, MAIN, [(0, 1)], REGION)[REVERSE, "same"] == pytest.approx(1 - 1.5 / 4.5)


def test_the_summary_takes_the_auxiliary_task_that_is_closest_at_trained_lengths() -> None:
    good, poor = {(0, 1): 0.9, (1, 0): 0.9}, {(0, 1): 0.5, (1, 0): 0.5}
    sources = {(FLIP, "same"): poor, (FLIP, "other"): {}, (REVERSE, "same"): good, (REVERSE, "other"): {(0, 1): -4.0},
               (COPY, "same"): {(0, 1): 0.2, (1, 0): 0.2}}  # fmt: skip
    table = rows(sources, NEEDED)
    found = interchange(table, CONFIG)
    assert found is not None and found.heads == ((0, 1), (1, 0)) and found.closest == REVERSE
    assert (found.same, found.other, found.control) == (pytest.approx(0.9), 0.0, pytest.approx(0.2))
    swapped = table.copy()  # at trained lengths flipping is closer now; the transfer region stays as it was
    trained, flip = swapped.length.isin(TRAINED), swapped.source_task == FLIP
    swapped.loc[trained & flip & (swapped.source_input == "same"), "loss_rise"] = 0.0
    found = interchange(swapped, CONFIG)
    assert found is not None and found.closest == FLIP and found.same == pytest.approx(0.5)


def test_more_than_all_counts_as_all_and_less_than_nothing_as_nothing() -> None:
    sources = {(REVERSE, "same"): {(0, 1): 1.4}, (REVERSE, "other"): {(0, 1): -3.0}, (COPY, "same"): {(0, 1): -9.0}}
    found = interchange(rows(sources, {(0, 1): 0.5}), CONFIG)
    assert found is not None and (found.same, found.other, found.control) == (1.0, 0.0, 0.0)


def test_without_a_needed_head_or_a_loss_all_numbers_are_zero() -> None:
    sources = {(REVERSE, "same"): {(0, 1): 1.0}, (COPY, "same"): {}}
    for drops in ({}, {(1, 1): 0.5}):  # no head is needed; the needed one costs no loss
        found = interchange(rows(sources, drops), CONFIG)
        assert found is not None and (found.same, found.other, found.control) == (0.0, 0.0, 0.0)


def test_without_the_control_task_or_any_auxiliary_there_is_no_summary() -> None:
    assert interchange(rows({(REVERSE, "same"): {}}, NEEDED), CONFIG) is None
    assert interchange(rows({(COPY, "same"): {}}, NEEDED), CONFIG) is None


def test_by_place_every_needed_head_and_layer_has_its_own_share() -> None:
    table = rows({(REVERSE, "same"): {(0, 1): 0.7, (1, 0): 0.2, (0, 2): 0.5, (2, 2): -1.0}}, NEEDED)
    found = recovered_by_place(table, CONFIG, REGION, [(0, 1), (1, 0)])
    shares = {(row.layer, row.head): (row.loss_recovered, row.lost) for row in found.itertuples()}
    assert list(shares) == [(0, 1), (1, 0), (0, 2), (1, 2), (2, 2)]
    assert shares[0, 1] == (pytest.approx(0.7), pytest.approx(4.5)) and shares[1, 0][0] == pytest.approx(0.2)
    assert shares[0, 2][0] == pytest.approx(0.5) and shares[2, 2] == (pytest.approx(-1.0), pytest.approx(7.5))


def test_a_source_that_misses_a_number_is_left_out_and_without_mean_outputs_there_is_nothing() -> None:
    table = rows({(REVERSE, "same"): {(0, 1): 0.5}, (COPY, "same"): {(0, 1): 0.5}}, NEEDED)
    heads, here = [(0, 1), (1, 0)], (table.layer == 1) & (table["head"] == 0) & (table.length == 10)
    for spoiled in (table[~(here & (table.source_task == REVERSE))],
                    table.assign(loss_rise=table.loss_rise.mask(here & (table.source_task == REVERSE)))):  # fmt: skip
        assert list(loss_recovered(spoiled, MAIN, heads, REGION)) == [(COPY, "same")]
    assert loss_recovered(table[~(here & (table.source_input == "mean"))], MAIN, heads, REGION) == {}
    assert loss_recovered(table[~here], MAIN, heads, REGION) == {}, "the length is missing for all"
    assert recovered_by_place(table[:0], CONFIG, REGION, []).empty


def test_the_fall_of_exact_match_is_a_mean_over_needed_heads_in_the_transfer_region() -> None:
    table = rows({(REVERSE, "same"): {(0, 1): 1.0}, (COPY, "same"): {}}, NEEDED)
    region = table.length.isin(REGION) & (table["head"] < 2) & (table.layer < 2)
    table.loc[region, "accuracy_drop"] = 0.8
    table.loc[region & (table.source_task == REVERSE), "accuracy_drop"] = 0.2
    table.loc[region & (table.layer == 0) & (table["head"] == 0), "accuracy_drop"] = -1.0  # it is not needed
    found = interchange(table, CONFIG)
    assert found is not None and found.drops == (pytest.approx(0.2), pytest.approx(0.8)) and found.defined


def test_the_permutation_test_counts_draws_of_the_control_task_that_differ_as_much() -> None:
    clear = [{"a": (0.9, 0.9), "b": (0.1, 0.1), "c": (0.0, 0.0)}] * 4
    # as the control, c gives 0.9, b gives 0.8, a gives -0.8: only c in all four seeds reaches the real mean
    assert permutation_p(clear, "c") == pytest.approx(1 / 81, abs=0.004)
    assert permutation_p(clear, "a") == 1.0
    two = [{"a": (0.9, 0.9), "c": (0.0, 0.0)}] * 3  # c or a, with the opposite sign
    assert permutation_p(two, "c") == pytest.approx(1 / 8, abs=0.015)
    alike = [{"a": (0.5, 0.5), "b": (0.5, 0.5), "c": (0.5, 0.5)}]
    assert permutation_p(alike, "c") == 1.0


def test_the_best_of_two_like_tasks_is_no_finding() -> None:
    """Three tasks that are alike: the closest of two beats the third on average, and the test must not be small more
    often than its level says."""
    draw = np.random.default_rng(5)
    small = 0
    for _ in range(100):
        shares = draw.uniform(size=(8, 3))
        seeds = [{task: (share, share) for task, share in zip("abc", of, strict=True)} for of in shares]
        small += permutation_p(seeds, "c") <= 0.05
    assert small <= 12

"""What every head costs at every length, on lopsided counts and drops that are worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from lgt.core.config import RunConfig
from lgt.metrics.linked_heads import accuracy_without, linked_heads
from lgt.metrics.maps import mean_map
from lgt.metrics.zones import TRANSFER_REGION
from lgt.recipes.presets import group_config
from tests.lopsided import LONGER, MAIN, OTHER, SEEDS, TRAINED, TRANSFER, accuracy, share

SEED = 5
MAPPED = (7, 2, 4, 5)  # not in order: nothing may count on the order of rows
EXAMPLES = {MAIN: 8, LONGER: 9, OTHER: 10}
HEADS = [(layer, head) for layer in range(2) for head in range(3)]


def drop(task: str, layer: int, head: int, length: int) -> float:
    """No two are equal, and one is above the accuracy, another below what would be lost if it were 1."""
    return {MAIN: 0.1, LONGER: 0.03, OTHER: -0.02}[task] * (1 + layer + 2 * head) + length / 1000


def scores(tasks: tuple[str, ...] = (OTHER, MAIN, LONGER)) -> pd.DataFrame:
    return pd.DataFrame(
        {"step": SEEDS[SEED], "task": task, "role": "main" if task == MAIN else "auxiliary", "length": length,
         "layer": layer, "head": head, "accuracy_drop": drop(task, layer, head, length), "loss_rise": 0.0,
         "examples": EXAMPLES[task]}
        for task in tasks for length in MAPPED for layer, head in reversed(HEADS)
    )  # fmt: skip


def attention(task: str = OTHER) -> pd.DataFrame:
    """Of one pair of tasks only, at lengths inside and outside the transfer region."""
    return pd.DataFrame(
        {"task_a": MAIN, "task_b": task, "length": length, "layer": layer, "head": head,
         "difference": 10 * layer + head + length}
        for length in (2, 4, 5) for layer, head in HEADS
    )  # fmt: skip


@pytest.fixture()
def config() -> RunConfig:
    found = group_config("caprev", "demo")
    lengths = {"main": TRAINED, "auxiliary": TRANSFER}
    tasks = tuple(replace(spec, training_length=lengths[spec.role]) for spec in found.tasks)
    return replace(found, tasks=tasks, transfer_length=TRANSFER)


def linked(config: RunConfig, tasks: tuple[str, ...] = (OTHER, MAIN, LONGER)) -> dict:
    maps = mean_map(scores(tasks), config, TRANSFER_REGION)
    return linked_heads(maps, scores(tasks), accuracy(seeds=(SEED,), tasks=tasks), attention(), config)


def test_accuracy_without_a_head_is_the_stored_accuracy_minus_the_stored_drop(config):
    found = linked(config)
    assert found["mapped"] == sorted(MAPPED) and found["shown"] == [4, 5]
    assert [task["task"] for task in found["tasks"]] == [spec.task for spec in config.tasks], "the main task first"
    for task in found["tasks"]:
        name = task["task"]
        assert task["accuracy"] == pytest.approx([share(name, SEED, length) for length in sorted(MAPPED)], abs=1e-6)
        assert task["curve"] == [[length, pytest.approx(share(name, SEED, length), abs=1e-6)] for length in range(1, 8)]
        for row, (layer, head) in zip(task["without"], HEADS, strict=True):
            for value, length in zip(row, sorted(MAPPED), strict=True):
                expected = share(name, SEED, length) - drop(name, layer, head, length)
                assert value == pytest.approx(min(max(expected, 0), 1), abs=1e-6), (name, layer, head, length)
        assert task["prompts"] == [10 * length for length in sorted(MAPPED)]
        assert task["examples"] == [EXAMPLES[name]] * 4


def test_some_estimates_leave_the_possible_range_and_are_cut():
    rows = accuracy_without(scores(), accuracy(seeds=(SEED,)))
    estimate = rows.correct / rows.total - rows.accuracy_drop
    assert (estimate < 0).any() and (estimate > 1).any(), "otherwise nothing is tested here"
    assert rows.accuracy_without.between(0, 1).all() and len(rows) == len(scores())


def test_counts_of_another_step_are_not_taken():
    rows = accuracy_without(scores(), accuracy(seeds=(SEED,)).assign(step=1))
    assert len(rows) == len(scores()) and rows.accuracy_without.isna().all()


def test_drops_and_attention_are_means_over_the_shown_lengths(config):
    found = linked(config)
    assert found["heads"] == ["L1·H1", "L1·H2", "L1·H3", "L2·H1", "L2·H2", "L2·H3"]
    for task in found["tasks"]:
        means = [(drop(task["task"], *head, 4) + drop(task["task"], *head, 5)) / 2 for head in HEADS]
        assert task["drops"] == pytest.approx(means, abs=1e-6)
    assert found["attention"] == {OTHER: [10 * layer + head + 4.5 for layer, head in HEADS]}


def test_what_was_not_measured_is_none_and_a_task_without_a_map_is_left_out(config):
    rows = scores()
    rows.loc[(rows.task == MAIN) & (rows.length == 4) & (rows.layer == 1) & (rows["head"] == 2), "accuracy_drop"] = None
    maps = mean_map(rows[rows.task != OTHER], config, TRANSFER_REGION)
    counts = accuracy(seeds=(SEED,))
    found = linked_heads(maps, rows, counts[(counts.task != MAIN) | (counts.length != 7)], attention(), config)
    assert [task["task"] for task in found["tasks"]] == [MAIN, LONGER]
    main = found["tasks"][0]
    assert main["without"][5][1] is None and main["accuracy"][3] is None and main["prompts"][3] == 0
    assert all(row[3] is None for row in main["without"]) and main["without"][5][0] is not None


def test_a_run_of_one_task_has_no_attention_difference(config):
    alone = replace(config, tasks=(config.main,))
    maps = mean_map(scores((MAIN,)), alone, TRANSFER_REGION)
    found = linked_heads(maps, scores((MAIN,)), accuracy(seeds=(SEED,), tasks=(MAIN,)), attention(), alone)
    assert [task["task"] for task in found["tasks"]] == [MAIN] and found["attention"] == {}

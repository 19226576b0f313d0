"""The numbers of the race, counted a second time from SQL, and what it does with runs that were measured unequally."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing
from statistics import fmean, median_low

import pandas as pd
import pytest

from lgt.charts.sharing_layout import head_nodes
from lgt.metrics.maps import mean_map
from lgt.metrics.race import Measured, longest_above, race, seeds_with_steps, shown_steps
from lgt.recipes.presets import group_config
from lgt.store import queries
from lgt.store.engine import open_store
from tests.races import comparison, race_of

RACES = pytest.mark.parametrize(
    ("pair", "arm"),
    [("caprev.demo", "alone-same-steps"), ("caprev.demo", "alone-same-examples"),
     ("add-carry.small", "alone-same-steps"), ("path-dfs.demo", "alone-same-steps")],
)  # fmt: skip


def sql_counts(path, run_id) -> dict[str, dict[int, dict[int, tuple[int, int]]]]:
    """(correct, total) of one run by task, step and length, without this project's code."""
    found: dict = defaultdict(lambda: defaultdict(dict))
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        for task, step, length, correct, total in connection.execute(
            "SELECT task, step, length, correct, total FROM accuracy WHERE run_id = ?", (run_id,)
        ):
            found[task][step][length] = correct, total
    return found


def sql_drops(path, run_id) -> dict[tuple[int, str, int, int], dict[int, float]]:
    """The drop of one run by (step, task, layer, head) and length."""
    found: dict = defaultdict(dict)
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        for step, task, layer, head, length, drop in connection.execute(
            "SELECT step, task, layer, head, length, accuracy_drop FROM head_scores WHERE run_id = ?", (run_id,)
        ):
            found[step, task, layer, head][length] = drop
    return found


@pytest.mark.slow
@RACES
def test_every_drawn_share_and_counter_is_counted_again_from_sql(shipped, pair, arm):
    found, of = race_of(shipped, pair, arm=arm), comparison(shipped, pair)
    main = of.config.main.task
    for side, runs in zip(found["sides"], (of.runs[arm], of.runs["co-trained"]), strict=True):
        assert found["seeds"] == sorted(runs), "all seeds"
        counts = [sql_counts(shipped, runs[seed]) for seed in found["seeds"]]
        stored = {step for one in counts for step in one[main]}
        begin = max(min(one[main]) for one in counts)
        assert side["steps"] == sorted(step for step in stored if step >= begin)
        for place, step in enumerate(side["steps"]):
            newest = [max(one_step for one_step in one[main] if one_step <= step) for one in counts]
            for task in side["tasks"]:
                for column, length in enumerate(found["lengths"]):
                    pairs = [one[task["task"]][at].get(length) for one, at in zip(counts, newest, strict=True)]
                    shares = [pair[0] / pair[1] for pair in pairs if pair]
                    drawn = [task[name][place][column] for name in ("mean", "low", "high")]
                    summary = [fmean(shares), min(shares), max(shares)] if shares else [None] * 3
                    assert drawn == (pytest.approx(summary, abs=6e-5) if shares else summary)
            reached = [0]
            for length in found["lengths"]:
                pairs = [one[main][at][length] for one, at in zip(counts, newest, strict=True)]
                if fmean(correct / total for correct, total in pairs) > 0.5 + 1e-12:
                    reached.append(length)
            assert (side["reach"][place] or 0) == max(reached)


@pytest.mark.slow
@RACES
def test_heads_are_those_of_the_sharing_graph_at_the_last_step_and_of_sql_at_all_steps(shipped, pair, arm):
    found, of = race_of(shipped, pair, arm=arm), comparison(shipped, pair)
    for side, runs in zip(found["sides"], (of.runs[arm], of.runs["co-trained"]), strict=True):
        heads, tasks = side["heads"], [task["task"] for task in side["tasks"]]
        assert heads["run_id"] == runs[found["head_seed"]]
        scores = queries.head_scores(open_store(str(shipped)), [heads["run_id"]])
        nodes = head_nodes(mean_map(scores, of.config, heads["zone"]), tasks[0], tasks[1:], 0.1)
        assert dict(zip(heads["names"], heads["kinds"][-1], strict=True)) == dict(
            zip(nodes["name"], nodes.kind, strict=True)
        )
        drops = sql_drops(shipped, heads["run_id"])
        assert heads["steps"] == sorted({step for step, *_ in drops}), "its own steps, not those of the mean"
        for place, step in enumerate(heads["steps"]):
            for column, name in enumerate(heads["names"]):
                layer, head = (int(part[1:]) - 1 for part in name.split("·"))
                cost = {
                    task: fmean(drops[step, task, layer, head][length] for length in heads["lengths"]) for task in tasks
                }
                assert [heads["drops"][task][place][column] for task in tasks] == pytest.approx(
                    list(cost.values()), abs=6e-5
                )
                needed = [task for task in tasks if cost[task] > 0.1]
                kind = "neither" if not needed else "main only" if needed == tasks[:1] else (
                    "shared" if tasks[0] in needed else "other only")  # fmt: skip
                assert heads["kinds"][place][column] == kind


@pytest.mark.slow
@pytest.mark.parametrize(("pair", "of_seeds"), [("caprev.demo", 10), ("add-carry.small", 5)])
def test_the_heads_are_those_of_the_median_seed_of_those_with_the_most_maps(shipped, pair, of_seeds):
    found, of = race_of(shipped, pair), comparison(shipped, pair)
    maps = {seed: len({key[0] for key in sql_drops(shipped, run)}) for seed, run in of.runs["co-trained"].items()}
    transfer = {}
    for seed in (seed for seed in maps if maps[seed] == max(maps.values())):
        last = sql_counts(shipped, of.runs["co-trained"][seed])[of.config.main.task]
        last = last[max(last)]
        region = range(of.config.main.training_length + 1, of.config.transfer_length + 1)
        transfer[seed] = fmean(last[length][0] / last[length][1] for length in region)
    assert len(transfer) == found["head_seeds"] == of_seeds
    assert transfer[found["head_seed"]] == median_low(transfer.values())


@pytest.mark.slow
def test_one_seed_shows_its_own_counts(shipped):
    found, of = race_of(shipped, "add-carry.small", seed=7), comparison(shipped, "add-carry.small")
    assert found["seeds"] == [7] and found["head_seed"] == 7 and found["of"] == 10 and found["alike"]
    counts = sql_counts(shipped, of.runs["co-trained"][7])["reverse_add"]
    (main, *_), steps = found["sides"][1]["tasks"], found["sides"][1]["steps"]
    assert steps == sorted(counts)
    assert main["mean"][-1] == pytest.approx(
        [c / t for c, t in (counts[steps[-1]][n] for n in found["lengths"])], abs=6e-5
    )
    assert main["low"] == main["mean"] == main["high"]


def test_a_seed_counts_with_its_last_measured_step_from_where_all_seeds_are_measured():
    steps = {0: (200, 400, 600), 1: (500, 600), 2: (100, 600)}
    shown = shown_steps(steps)
    assert {at for _, at, _ in shown} == {500, 600}, "before step 500 seed 1 is not measured"
    assert {(seed, at): stored for seed, at, stored in shown} == {
        (0, 500): 400, (0, 600): 600, (1, 500): 500, (1, 600): 600, (2, 500): 100, (2, 600): 600,
    }  # fmt: skip
    assert shown_steps({7: (1, 2)}) == [(7, 1, 1), (7, 2, 2)]


CONFIG = group_config("caprev", "demo")


def frame(shares: dict[int, dict[int, dict[int, float]]], run: int = 0, alone: bool = False) -> pd.DataFrame:
    """Counts of 100 prompts by seed, step and length, the same for all tasks."""
    return pd.DataFrame(
        {"run_id": run + seed, "model_seed": seed, "step": step, "task": spec.task, "role": spec.role,
         "training_length": spec.training_length, "transfer_length": 16, "length": length,
         "correct": round(100 * share), "total": 100}
        for seed, steps in shares.items() for step, lengths in steps.items() for length, share in lengths.items()
        for spec in (CONFIG.tasks[:1] if alone else CONFIG.tasks)
    )  # fmt: skip


NO_HEADS = pd.DataFrame(
    columns=["run_id", "model_seed", "step", "task", "role", "length", "layer", "head", "accuracy_drop"]
)


def arms(shares) -> tuple[Measured, Measured]:
    return Measured(frame(shares, 100, alone=True), NO_HEADS), Measured(frame(shares), NO_HEADS)


def test_runs_that_were_measured_once_have_no_race():
    once = arms({0: {1000: {1: 1.0, 2: 0.5}}})
    assert seeds_with_steps(*once) == {}
    with pytest.raises(ValueError, match="seed = None is not accepted; accepted: none of these runs"):
        race(*once, CONFIG, 0.1)
    twice = arms({0: {500: {1: 0.0, 2: 0.0}, 1000: {1: 1.0, 2: 0.5}}})
    with pytest.raises(ValueError, match=r"seed = 3 is not accepted; accepted: \[0\]"):
        race(*twice, CONFIG, 0.1, seed=3)
    assert seeds_with_steps(twice[0], once[1]) == {}, "both sides need two steps"


def test_a_step_at_which_a_length_is_missing_is_not_replayed():
    whole = {1: 1.0, 2: 0.9, 3: 0.1}
    found = race(*arms({0: {100: whole, 200: {1: 1.0, 3: 0.9}, 300: whole}}), CONFIG, 0.1)
    assert [side["steps"] for side in found["sides"]] == [[100, 300]] * 2
    assert found["sides"][0]["reach"] == [2, 2]


def test_the_mean_decides_the_counter_and_exactly_half_is_not_above_half():
    shares = {0: {1: {1: 1.0, 2: 1.0, 3: 0.6}, 2: {1: 1.0, 2: 0.6, 3: 0.6}},
              1: {1: {1: 1.0, 2: 0.0, 3: 0.6}, 2: {1: 1.0, 2: 0.2, 3: 0.2}}}  # fmt: skip
    found = race(*arms(shares), CONFIG, 0.1)
    assert found["sides"][1]["reach"] == [3, 1], "3 is above one half although 2 is not"
    assert found["sides"][1]["tasks"][0]["low"][0] == [1.0, 0.0, 0.6]
    assert longest_above({}) is None and longest_above({4: 0.5}) is None
    thirds = {0: {1: {1: 0.35}, 2: {1: 0.35}}, 1: {1: {1: 0.7}, 2: {1: 0.7}}, 2: {1: {1: 0.45}, 2: {1: 0.45}}}
    assert race(*arms(thirds), CONFIG, 0.1)["sides"][0]["reach"] == [None, None], "the mean is exactly one half"


def test_runs_without_maps_have_no_heads():
    found = race(*arms({0: {1: {1: 0.1, 2: 0.1}, 2: {1: 1.0, 2: 0.9}}}), CONFIG, 0.1)
    assert [side["heads"] for side in found["sides"]] == [None, None]


def test_the_zone_of_the_maps_is_that_of_the_last_step_at_all_steps():
    steps = {1: dict.fromkeys(range(1, 21), 0.0), 2: dict.fromkeys(range(1, 21), 1.0)}
    maps = pd.DataFrame(
        {"run_id": 0, "model_seed": 0, "step": step, "task": spec.task, "role": spec.role, "length": length, "layer": 0,
         "head": head, "accuracy_drop": drop}
        for step in (1, 2) for spec in CONFIG.tasks for length, drop in ((4, 0.9), (12, 0.3 if step == 2 else 0.0))
        for head in (0, 1)
    )  # fmt: skip
    together = Measured(frame({0: steps}), maps)
    heads = race(arms({0: steps})[0], together, CONFIG, 0.1)["sides"][1]["heads"]
    assert (heads["zone"], heads["lengths"]) == ("transfer region", [12])
    assert heads["kinds"] == [["neither"] * 2, ["shared"] * 2]

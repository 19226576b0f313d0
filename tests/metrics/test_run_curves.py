"""The numbers of one run against a plain count over rows, on lopsided frames."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lgt.metrics.by_seed import auxiliaries_by_seed, gap_by_seed, trained_by_seed, transfer_by_seed
from lgt.metrics.run_curves import RunCurves, TaskCurve, run_curves

TASKS = (("dfs", "main", 5, 2), ("path", "auxiliary", 9, 2), ("carry_only", "auxiliary", 7, 1))
"""Task, role, training length and the shortest length that it has: other than the next one's in every column."""
LONGEST = 11


@pytest.fixture()
def accuracy() -> pd.DataFrame:
    """Three runs with random counts, totals that differ, seeds with gaps, ids in another order, rows in none."""
    rng = np.random.default_rng(8)
    rows = []
    for run_id, seed in ((31, 9), (4, 2), (17, 5)):
        for task, role, trained, shortest in TASKS:
            for length in range(shortest, LONGEST + 1):
                total = int(rng.integers(3, 90))
                rows.append((run_id, seed, task, role, trained, 9, length, int(rng.integers(0, total + 1)), total))
    columns = [
        "run_id",
        "model_seed",
        "task",
        "role",
        "training_length",
        "transfer_length",
        "length",
        "correct",
        "total",
    ]
    return pd.DataFrame(rows, columns=columns).sample(frac=1, random_state=3)


def share(accuracy: pd.DataFrame, run_id: int, task: str, length: int) -> float:
    """One row looked up by its keys."""
    row = accuracy[(accuracy.run_id == run_id) & (accuracy.task == task) & (accuracy.length == length)].iloc[0]
    return float(row.correct / row.total)


@pytest.mark.parametrize("run_id", [31, 4, 17])
def test_every_number_is_that_of_a_plain_count_over_rows(accuracy, run_id):
    run = run_curves(accuracy)[run_id]

    def at(task: str, lengths: range) -> list[float]:
        return [share(accuracy, run_id, task, length) for length in lengths]

    main, region = at("dfs", range(2, 10)), range(6, 10)
    assert run.trained == pytest.approx(np.mean(at("dfs", range(2, 6))))
    assert run.transfer == pytest.approx(np.mean(at("dfs", region)))
    others = [at("path", range(2, 10)), at("carry_only", range(2, 10))]
    assert run.gap == pytest.approx(np.mean([np.abs(np.subtract(other, main)).mean() for other in others]))
    assert run.auxiliary_transfer == pytest.approx(np.mean(at("path", region) + at("carry_only", region)))
    assert run.learned == pytest.approx(
        {
            "carry_only": share(accuracy, run_id, "carry_only", 7),
            "dfs": run.trained,
            "path": share(accuracy, run_id, "path", 9),
        }
    )
    assert list(run.learned) == sorted(run.learned)


def test_by_seed_collects_the_numbers_of_runs(accuracy):
    runs = run_curves(accuracy)
    seeds = {2: runs[4], 5: runs[17], 9: runs[31]}
    assert transfer_by_seed(accuracy).values == {seed: run.transfer for seed, run in seeds.items()}
    assert trained_by_seed(accuracy).values == {seed: run.trained for seed, run in seeds.items()}
    assert gap_by_seed(accuracy).values == {seed: run.gap for seed, run in seeds.items()}
    assert auxiliaries_by_seed(accuracy).values == {seed: run.auxiliary_transfer for seed, run in seeds.items()}


def test_what_a_run_cannot_have_is_none_and_not_a_number(accuracy):
    alone = run_curves(accuracy[accuracy.role == "main"])[4]
    assert alone.gap is None and alone.auxiliary_transfer is None and alone.transfer is not None
    nowhere = run_curves(accuracy.assign(transfer_length=pd.array([pd.NA] * len(accuracy), dtype="Int64")))[4]
    assert nowhere.transfer is None and nowhere.auxiliary_transfer is None and nowhere.gap is not None
    assert RunCurves(TaskCurve("dfs", 9, {1: 1.0}), (), 9).transfer is None, "La is not longer than Lm"


def test_a_run_without_a_main_task_is_left_out(accuracy):
    partial = accuracy[(accuracy.role != "main") | (accuracy.run_id == 31)]
    assert list(run_curves(partial)) == [31] and run_curves(accuracy[:0]) == {}
    assert transfer_by_seed(accuracy[accuracy.role != "main"]) is None

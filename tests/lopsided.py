"""Data without symmetry, so that a mean is no median, one run's last step is no other's, and no two totals are equal.

Numbers are made up and shown nowhere.
"""

from __future__ import annotations

import pandas as pd

MAIN, LONGER, OTHER = "capitalize_reverse", "capitalize", "reverse"
TRAINED, TRANSFER = 3, 6
SEEDS = {0: 90, 1: 170, 5: 40}
"""Seed -> its run's last step; its run id is 10 + seed."""
CORRECT = {
    MAIN: {0: [9, 20, 29, 21, 12, 7, 1], 1: [10, 19, 30, 5, 0, 0, 0], 5: [10, 20, 27, 33, 41, 50, 22]},
    LONGER: {0: [10, 20, 30, 40, 44, 51, 3], 1: [8, 20, 30, 31, 50, 60, 0], 5: [10, 20, 30, 40, 50, 47, 60]},
    OTHER: {0: [10, 20, 30, 39, 45, 60, 0], 1: [10, 20, 26, 40, 50, 58, 1], 5: [10, 17, 30, 40, 50, 60, 4]},
}
"""Exact answers of (task, seed) at the lengths 1 to 7, of ``TOTAL[length]`` prompts."""
TOTAL = {length: 10 * length for length in range(1, 8)}


def accuracy(seeds: tuple[int, ...] = (5, 0, 1), tasks: tuple[str, ...] = (LONGER, MAIN, OTHER)) -> pd.DataFrame:
    """Final counts in the shape of :func:`lgt.store.queries.accuracy`, each run at its own last step."""
    return pd.DataFrame(
        {
            "run_id": 10 + seed, "task_group": "caprev", "arm": "co-trained", "preset": "demo", "position": "rope",
            "model_seed": seed, "data_seed": seed, "step": SEEDS[seed], "task": task,
            "role": "main" if task == MAIN else "auxiliary", "training_length": TRAINED if task == MAIN else TRANSFER,
            "transfer_length": TRANSFER, "length": length, "correct": CORRECT[task][seed][length - 1],
            "total": TOTAL[length],
        }
        for seed in seeds for task in tasks for length in range(7, 0, -1)
    )  # fmt: skip


def share(task: str, seed: int, length: int) -> float:
    """Exact match of a task's run at a length."""
    return CORRECT[task][seed][length - 1] / TOTAL[length]


def mean(values: list[float]) -> float:
    """The arithmetic mean, written out so that nothing under test computes it."""
    return sum(values) / len(values)

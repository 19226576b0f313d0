"""A second count of the numbers behind the verdicts, from SQL alone.

It shares no code with ``lgt``: it reads the store with SQL, and it has its own definitions of transfer accuracy, of
what is learned, and of the differences that the rules use. ``python tests/recount.py results.db`` prints the
preregistered experiments of docs/preregistered.csv.
"""

from __future__ import annotations

import csv
import math
import sqlite3
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from scipy import stats

PLAN = Path(__file__).parent.parent / "docs/preregistered.csv"


class Counted:
    """The final counts of one run: exact match by task and length, and the tasks' roles and training lengths."""

    def __init__(self, connection: sqlite3.Connection, run_id: int) -> None:
        tasks = connection.execute(
            "SELECT task, role, training_length, transfer_length FROM run_tasks WHERE run_id = ?", (run_id,)
        ).fetchall()
        self.lengths = {task: length for task, _, length, _ in tasks}
        self.main, self.reach = next((task, reach) for task, role, _, reach in tasks if role == "main")
        self.shares: dict[str, dict[int, float]] = defaultdict(dict)
        for task, length, correct, total in connection.execute(
            "SELECT task, length, correct, total FROM accuracy WHERE run_id = :run AND step = "
            "(SELECT max(step) FROM accuracy_counts WHERE run_id = :run)",
            {"run": run_id},
        ):
            self.shares[task][length] = correct / total

    def transfer(self) -> float:
        """The main task's mean exact match over Lm < length <= La."""
        beyond = range(self.lengths[self.main] + 1, self.reach + 1)
        return statistics.fmean(self.shares[self.main][length] for length in beyond)

    def learned(self) -> dict[str, float]:
        """Exact match where a task was trained: the main task's mean, other tasks at their greatest length."""
        found = {task: self.shares[task][length] for task, length in self.lengths.items() if task != self.main}
        own = self.shares[self.main]
        return found | {self.main: statistics.fmean(own[length] for length in own if length <= self.lengths[self.main])}


def interchanged(connection: sqlite3.Connection, run_id: int) -> dict[str, float] | None:
    """Loss recovered of the main task in the transfer region: by the closest auxiliary task with the same input and
    with another one, and by the control task. Every number is cut to 0 to 1."""
    tasks = connection.execute(
        "SELECT task, role, training_length, transfer_length FROM run_tasks WHERE run_id = ? ORDER BY slot", (run_id,)
    ).fetchall()
    main, trained, reach = next((task, length, end) for task, role, length, end in tasks if role == "main")
    layers, heads = connection.execute(
        "SELECT max(layer), max(head) FROM interchanges WHERE run_id = ?", (run_id,)
    ).fetchone()
    if layers is None:
        return None
    rows = connection.execute(
        "SELECT source_task, source_input, length, layer, head, accuracy_drop, loss_rise FROM interchanges "
        "WHERE run_id = ? AND task = ? AND layer < ? AND head < ?",
        (run_id, main, layers, heads),
    ).fetchall()
    drops, rises = defaultdict(list), defaultdict(lambda: defaultdict(list))
    for source, how, length, layer, head, drop, rise in rows:
        if how == "mean" and length <= trained:
            drops[layer, head].append(drop)
        zone = "trained" if length <= trained else "region" if length <= reach else "beyond"
        rises[zone, source, how][layer, head].append(rise)
    needed = [place for place, of in drops.items() if statistics.fmean(of) > 0.10]

    def recovered(zone: str, source: str, how: str) -> float:
        lost, left = (
            sum(statistics.fmean(rises[zone, of, kind][place]) for place in needed)
            for of, kind in ((main, "mean"), (source, how))
        )
        return 1 - left / lost if lost >= 0.1 else 0.0

    auxiliaries = [task for task, role, *_ in tasks if role == "auxiliary"]
    control = next(task for task, role, *_ in tasks if role == "control")
    closest = max(auxiliaries, key=lambda task: recovered("trained", task, "same"))
    values = {"same": (closest, "same"), "other": (closest, "other"), "control": (control, "same")}
    return {name: min(1.0, max(0.0, recovered("region", *of))) for name, of in values.items()}


def mean_and_interval(numbers: Sequence[float]) -> tuple[float, float | None, float | None]:
    """The mean and its 95% t interval, which one number does not have."""
    if len(numbers) < 2:
        return numbers[0], None, None
    half = stats.t.isf(0.025, len(numbers) - 1) * statistics.stdev(numbers) / math.sqrt(len(numbers))
    mean = statistics.fmean(numbers)
    return mean, mean - half, mean + half


def differences(first: Mapping[int, float], second: Mapping[int, float]) -> list[float]:
    """The difference seed by seed."""
    return [first[seed] - second[seed] for seed in sorted(first)]


def planned_runs(connection: sqlite3.Connection) -> dict[str, dict[str, dict[int, int]]]:
    """For each experiment and series of the plan: the finished run of each seed; the one that finished last counts."""
    rows = connection.execute(
        "SELECT config_hash, id FROM runs WHERE state = 'done' AND (',' || tags || ',') NOT LIKE '%,deleted,%' "
        "ORDER BY finished_at"
    )
    finished = dict(rows.fetchall())
    found: dict[str, dict[str, dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
    with PLAN.open() as rows:
        for row in csv.DictReader(rows):
            of = found[row["experiment"]][row["series"]]
            if row["config_hash"] in finished:
                of[int(row["seed"])] = finished[row["config_hash"]]
    return found


def main(path: str) -> None:
    """Print n, the mean transfer accuracy of every series, and the differences from the first one."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    for experiment, series in planned_runs(connection).items():
        seeds = set.intersection(*(set(runs) for runs in series.values()))
        print(f"{experiment}: n = {len(seeds)}")
        if experiment.startswith("interchange-"):
            print_interchanges(connection, next(iter(series.values())))
            continue
        values = {
            name: {seed: Counted(connection, runs[seed]).transfer() for seed in seeds} for name, runs in series.items()
        }
        first = next(iter(values.values()))
        for name, of in values.items():
            if seeds:
                print(f"  {statistics.fmean(of.values()):.4f} {name}", end="")
                if of is not first and len(seeds) > 1:
                    print("; first minus this: {:+.4f} ({:+.4f} to {:+.4f})".format(
                        *mean_and_interval(differences(first, of))), end="")  # fmt: skip
                print()


def by_head(connection: sqlite3.Connection, run_id: int) -> list[dict[str, float]]:
    """For each head that the main task needs: loss recovered in the transfer region by every task, same input."""
    main, trained, reach = connection.execute(
        "SELECT task, training_length, transfer_length FROM run_tasks WHERE run_id = ? AND role = 'main'", (run_id,)
    ).fetchone()
    layers, heads = connection.execute(
        "SELECT max(layer), max(head) FROM interchanges WHERE run_id = ?", (run_id,)
    ).fetchone()
    of_run = {"run": run_id, "task": main, "layers": layers, "heads": heads, "lm": trained, "la": reach}
    means = (
        "SELECT layer, head, source_task, source_input, avg(loss_rise) FROM interchanges WHERE run_id = :run "
        "AND task = :task AND layer < :layers AND head < :heads AND length > :lm AND length <= :la "
        "AND source_input IN ('mean', 'same') GROUP BY 1, 2, 3, 4"
    )
    needed = set(connection.execute(
        "SELECT layer, head FROM interchanges WHERE run_id = :run AND task = :task AND layer < :layers "
        "AND head < :heads AND length <= :lm AND source_input = 'mean' GROUP BY 1, 2 HAVING avg(accuracy_drop) > 0.1",
        of_run,
    ).fetchall())  # fmt: skip
    rises: dict[tuple[int, int], dict[str, float]] = defaultdict(dict)
    for layer, head, source, how, rise in connection.execute(means, of_run):
        rises[layer, head]["mean" if how == "mean" else source] = rise
    lost = {place: of.pop("mean") for place, of in rises.items()}
    return [{task: 1 - rise / lost[place] for task, rise in rises[place].items()}
            for place in sorted(needed) if lost[place] >= 0.1]  # fmt: skip


def print_heads(connection: sqlite3.Connection, runs: Sequence[int]) -> None:
    """Print how many needed heads each task serves (at least 0.9) or harms (below 0), and whether loss recovered and
    transfer accuracy go together over networks."""
    heads = [head for run_id in runs for head in by_head(connection, run_id)]
    for task in sorted({task for head in heads for task in head}):
        found = [head[task] for head in heads]
        print(f"  {task}: at least 0.9 in {sum(of >= 0.9 for of in found)} of {len(found)} needed heads, "
              f"below 0 in {sum(of < 0 for of in found)}")  # fmt: skip
    pairs = [(of["same"], Counted(connection, run_id).transfer())
             for run_id in runs for of in [interchanged(connection, run_id)] if of]  # fmt: skip
    found = stats.spearmanr(*zip(*pairs, strict=True))
    print(f"  loss recovered and transfer accuracy: Spearman {found.statistic:+.2f}, p = {found.pvalue:.3f}")


def print_interchanges(connection: sqlite3.Connection, runs: Mapping[int, int]) -> None:
    """Print the means of the loss recovered, the two differences that decide, and what single heads show."""
    print_heads(connection, list(runs.values()))
    found = [interchanged(connection, run_id) for run_id in runs.values()]
    values = {name: [of[name] for of in found if of] for name in ("same", "other", "control")}
    for name, of in values.items():
        print(f"  {len(of)} runs", end="")
        differs = [first - second for first, second in zip(values["same"], of, strict=True)]
        if len(of) > 1:
            print("  {:.4f} {}; same minus this: {:+.4f} ({:+.4f} to {:+.4f})".format(
                statistics.fmean(of), name, *mean_and_interval(differs)))  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1])

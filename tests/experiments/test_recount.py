"""Every number behind the verdicts, counted again from SQL alone (tests/recount.py)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace

import pytest

from lgt.experiments.judgements import Judgement
from lgt.experiments.judging import judge_all
from lgt.experiments.registry import EXPERIMENTS
from lgt.store import queries
from lgt.store.engine import open_store
from tests import recount
from tests.experiments.stores import two_levels

Values = dict[str, dict[int, float]]
BEST, WORST = max, min


def gain(values: Values, choose: Callable[[float, float], float]) -> dict[int, float]:
    together, steps, examples = values.values()
    return {seed: together[seed] - choose(steps[seed], examples[seed]) for seed in together}


def minus(first: dict[int, float], second: dict[int, float]) -> dict[int, float]:
    return {seed: first[seed] - second[seed] for seed in first}


def more_gain(values: Values) -> dict[int, float]:
    rope, nope, rope_alone, nope_alone = values.values()
    return {seed: (rope[seed] - rope_alone[seed]) - (nope[seed] - nope_alone[seed]) for seed in rope}


def over_best(values: Values) -> dict[int, float]:
    together, *baselines = values.values()
    return minus(together, max(baselines, key=lambda of: sum(of.values())))


NUMBERS: dict[str, Callable[[Values], dict[int, float]]] = {
    "gain": lambda values: gain(values, BEST),
    "no gain": lambda values: gain(values, WORST),
    "more": lambda values: minus(*values.values()),
    "more gain": more_gain,
    "contrast": lambda values: minus(*list(values.values())[:2]),
    "necessary": lambda values: minus(*list(values.values())[:2]),
    "gain over each": over_best,
}
"""What the rules about accuracy compute, written again. Their series are in the order of the figure."""


def all_of_it(path) -> list[Judgement]:
    found = judge_all(open_store(str(path), read_only=True))
    return [one for one in found if one.seeds and one.rule.name in NUMBERS]


@pytest.fixture()
def judged(shipped) -> list[Judgement]:
    return all_of_it(shipped)


@pytest.fixture()
def connection(shipped) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{shipped}?mode=ro", uri=True)


@pytest.mark.slow
def test_every_number_about_accuracy_is_that_of_a_second_count(judged, connection):
    assert len(judged) > 20
    count_again(judged, connection)


def test_numbers_of_preregistered_rules_are_those_of_a_second_count(tmp_path, monkeypatch):
    """On made-up runs, so that these rules are counted again whatever the shipped store has."""
    store, of_seed = open_store(str(tmp_path / "made.db")), (0.9, 0.35, 0.6)
    for name in ("heads-caprev", "heads-caprev-half", "long-caprev"):
        one = replace(EXPERIMENTS[name], planned=(100, 101, 102))
        monkeypatch.setitem(EXPERIMENTS, name, one)
        for seed, shared in zip(one.planned, of_seed, strict=True):
            for place, make in enumerate(one.series.values()):
                if make(seed).hash() not in queries.finished_by_hash(store):
                    two_levels(store, make(seed), 1.0, round(max(0.0, shared - 0.3 * place), 2))
    judged = all_of_it(tmp_path / "made.db")
    assert {"necessary", "contrast", "gain over each"} <= {one.rule.name for one in judged}
    count_again(judged, sqlite3.connect(tmp_path / "made.db"))


def count_again(judged: list[Judgement], connection: sqlite3.Connection) -> None:
    counted: dict[int, recount.Counted] = {}
    for one in judged:
        for of in one.ids.values():
            for run_id in of.values():
                counted.setdefault(run_id, recount.Counted(connection, run_id))
        values = {str(series): {seed: counted[of[series]].transfer() for seed, of in one.ids.items()}
                  for series in one.experiment.series}  # fmt: skip
        assert {str(series): of for series, of in one.measured.values.items()} == {
            name: pytest.approx(of) for name, of in values.items()
        }, one.experiment.name
        numbers = NUMBERS[one.rule.name](values)
        assert one.numbers == pytest.approx(numbers), one.experiment.name
        found = one.interval
        assert (found.mean, found.low, found.high) == pytest.approx(
            recount.mean_and_interval(list(numbers.values())), abs=2e-5
        )
        least = min(
            sum(shares) / len(shares)
            for series in one.experiment.series if not series.may_stay_unlearned
            for task in counted[one.ids[one.seeds[0]][series]].lengths
            if not series.only_main or task == "capitalize_reverse"
            for shares in [[counted[of[series]].learned()[task] for of in one.ids.values()]]
        )  # fmt: skip
        assert min(one.measured.learned.values()) == pytest.approx(least), one.experiment.name
        assert (one.outcome == "premise not met") == (least < 0.95 and len(numbers) >= one.experiment.seeds)


@pytest.mark.slow
def test_the_plan_finds_the_runs_that_the_rules_judge(judged, connection):
    planned = recount.planned_runs(connection)
    for one in judged:
        if one.experiment.planned:
            assert {(str(series), seed): run_id for seed, of in one.ids.items() for series, run_id in of.items()} == {
                (series, seed): run_id for series, of in planned[one.experiment.name].items()
                for seed, run_id in of.items() if seed in one.ids
            }  # fmt: skip

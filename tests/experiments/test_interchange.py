"""The rule about interchanges: its numbers from stored rows, counted twice, and its verdicts."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

import pytest

from lgt.experiments.experiment import Experiment
from lgt.experiments.judgements import Judgement
from lgt.experiments.judging import judge
from lgt.experiments.registry import EXPERIMENTS
from lgt.experiments.rules.interchange import CONTROL, OTHER, SAME
from lgt.recipes.builders import WITH_CONTROL
from lgt.store import queries
from lgt.store.engine import open_store
from tests import recount
from tests.experiments.stores import exchanged, two_levels

FLIP, REVERSE, COPY = "capitalize", "reverse", "string_copy"
SEEDS = tuple(range(100, 109))


def figure() -> Experiment:
    return replace(EXPERIMENTS["interchange-caprev"], planned=SEEDS)


def judged(
    store, same: Sequence[float], other: Sequence[float], control: Sequence[float], right: float = 1.0
) -> Judgement:
    """The judgement on nine seeds, in which reversing recovers ``same`` (of which each number stands for three seeds),
    and flipping a little less."""
    made = figure()
    for place, seed in enumerate(SEEDS):
        own, another, copied = same[place % 3], other[place % 3], control[place % 3]
        shares = {(REVERSE, "same"): own, (REVERSE, "other"): another, (COPY, "same"): copied,
                  (FLIP, "same"): own - 0.03, (FLIP, "other"): 0.0}  # fmt: skip
        exchanged(store, made.series[WITH_CONTROL](seed), shares, right)
    return judge(store, made)


@pytest.mark.parametrize(
    ("same", "other", "control", "outcome"),
    [
        ((0.99, 0.95, 1.0), (0.0, 0.0, 0.0), (0.0, 0.1, 0.0), "strong"),
        ((0.99, 0.95, 1.0), (-3.0, -2.0, -9.0), (-1.0, 0.1, -6.0), "strong"),
        ((0.60, 0.65, 0.55), (0.0, 0.0, 0.0), (0.52, 0.56, 0.48), "present"),  # the control has almost as much
        ((0.60, 0.65, 0.55), (0.52, 0.56, 0.48), (0.0, 0.0, 0.0), "present"),  # another input has almost as much
        ((0.60, 0.65, 0.55), (0.0, 0.0, 0.0), (0.61, 0.64, 0.55), "absent"),  # one difference denies it
        ((0.60, 0.65, 0.55), (0.61, 0.64, 0.55), (0.0, 0.0, 0.0), "absent"),
        ((0.20, 0.25, 0.22), (0.0, 0.0, 0.0), (0.61, 0.64, 0.55), "opposite"),
        ((0.60, 0.65, 0.55), (0.60, 0.64, 0.55), (0.61, 0.64, 0.55), "absent"),
        ((0.20, 0.25, 0.22), (0.60, 0.64, 0.55), (0.61, 0.64, 0.55), "opposite"),
        ((0.99, 0.0, 0.4), (0.0, 0.0, 0.0), (0.5, 0.2, 0.0), "undecided"),
    ],
)
def test_the_verdict_is_the_least_of_those_on_both_differences(store, same, other, control, outcome) -> None:
    found = judged(store, same, other, control)
    assert found.verdict == outcome
    cut = [[min(1.0, max(0.0, value)) for value in of] * 3 for of in (same, other, control)]
    values = dict(zip((SAME, OTHER, CONTROL), cut, strict=True))
    for series, of in values.items():
        assert list(found.measured.values[series].values()) == pytest.approx(of)
    assert list(found.numbers.values()) == pytest.approx([a - b for a, b in zip(cut[0], cut[2], strict=True)])
    assert list(found.numbers) == list(SEEDS)


def test_a_finding_that_the_permutation_test_does_not_support_is_undecided(store) -> None:
    """The control task recovers more than the second auxiliary: if the tasks changed places, as much would be found."""
    made = figure()
    for seed in SEEDS:
        shares = {(REVERSE, "same"): 0.9, (REVERSE, "other"): 0.0, (COPY, "same"): 0.7, (FLIP, "same"): 0.2}
        exchanged(store, made.series[WITH_CONTROL](seed), shares)
    found = judge(store, made)
    assert list(found.numbers.values()) == pytest.approx([0.2] * len(SEEDS))
    assert found.measured.p > 0.5 and found.verdict == "undecided"


def test_the_numbers_are_those_of_a_second_count_from_sql(tmp_path) -> None:
    store = open_store(str(tmp_path / "made.db"))
    found = judged(store, (0.9, 0.31, 0.6), (0.2, -2.0, 0.1), (0.05, 0.4, 1.3))
    connection = sqlite3.connect(tmp_path / "made.db")
    for seed, of in found.ids.items():
        again = recount.interchanged(connection, of[WITH_CONTROL])
        mine = {name: found.measured.values[series][seed]
                for name, series in (("same", SAME), ("other", OTHER), ("control", CONTROL))}  # fmt: skip
        assert mine == pytest.approx(again), seed


def test_every_shipped_number_is_that_of_a_second_count(shipped) -> None:
    connection = sqlite3.connect(f"file:{shipped}?mode=ro", uri=True)
    store = open_store(str(shipped), read_only=True)
    for name in ("interchange-caprev", "interchange-add-carry"):
        found = judge(store, EXPERIMENTS[name])
        for seed, of in found.ids.items():
            again = recount.interchanged(connection, of[WITH_CONTROL])
            assert again is not None
            values = [found.measured.values[series][seed] for series in (SAME, OTHER, CONTROL)]
            assert values == pytest.approx(list(again.values()), abs=1e-9), (name, seed)


def test_the_sentence_says_all_that_decides(store) -> None:
    found = judged(store, (0.9, 0.8, 1.0), (0.1, 0.0, 0.2), (0.0, 0.1, 0.2))
    text = found.sentence()
    assert text.startswith("Loss recovered: the closest auxiliary task, same input 0.90, the closest auxiliary task, ")
    assert "difference from the control task +0.80" in text and "difference from another input +0.80" in text
    assert "closest at trained lengths: Reverse in 9 of 9 seeds" in text and "permutation p 0.0" in text
    assert "exact match falls by 0.50 with the closest task's outputs and by 0.50 with mean outputs" in text


def test_a_run_without_interchanges_gives_its_seed_no_number(store) -> None:
    made = figure()
    two_levels(store, made.series[WITH_CONTROL](100), 1.0, 0.5)
    found = judge(store, made)
    assert found.seeds == [100] and found.numbers == {} and found.outcome == "too few seeds"
    assert "not defined" in found.sentence() and not found.as_dict()["differences"]
    list(found.charts(queries.accuracy(store, found.runs)))


def test_without_what_is_learned_the_premise_is_not_met(store) -> None:
    found = judged(store, (0.9, 0.8, 1.0), (0.0,) * 3, (0.0,) * 3, right=0.9)
    assert found.outcome == "premise not met"


def test_the_runs_have_a_control_task_to_the_length_of_the_auxiliaries_and_are_interchanged() -> None:
    wanted = {"interchange-caprev": ("string_copy", 16, 20), "interchange-add-carry": ("copy_first_operand", 12, 10)}
    for name, (control, length, seeds) in wanted.items():
        config = EXPERIMENTS[name].example()
        assert [(spec.task, spec.training_length) for spec in config.tasks if spec.role == "control"] == [
            (control, length)
        ]
        assert {spec.training_length for spec in config.auxiliaries} == {length} == {config.transfer_length}
        assert config.evaluation.interchange_examples == 64 and len(EXPERIMENTS[name].planned) == seeds

"""A judgement in words and tables, from numbers made up by hand, without a store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lgt.core.checks import ConfigError
from lgt.experiments.claims import CLAIMS, counting, register_claim, verdict_counts
from lgt.experiments.experiment import Experiment
from lgt.experiments.judgements import Judgement
from lgt.experiments.judging import NO_TRAJECTORY
from lgt.experiments.numbers import signed
from lgt.experiments.registry import EXPERIMENTS, experiment_named, made_by, register
from lgt.experiments.rules.base import ACCURACY, CORRELATION, Measurement, SeedCorrelations
from lgt.experiments.rules.gain import Gain
from lgt.experiments.rules.ratio import Ratio, paper_grid
from lgt.experiments.rules.tracks import Tracks
from lgt.experiments.rules.unstable_over_seeds import UnstableOverSeeds
from lgt.experiments.seeds import parse_seeds, seeds_text
from lgt.experiments.tables import correlation_frame, markdown_table, numbers_frame, overview_charts
from lgt.experiments.verdicts import absence, effect, unrelated
from lgt.experiments.words import (
    lengths_here,
    lengths_in_paper,
    paper_group,
    preset_changes,
    replaced_sentence,
    scale_sentence,
)
from lgt.metrics.correlation import Correlation
from lgt.recipes.builders import ALONE_SAME_EXAMPLES, ALONE_SAME_STEPS, CO_TRAINED, cell, three_arms
from lgt.recipes.paper import GRID_GAP

FIGURE = EXPERIMENTS["fig3a"]
VALUES = {
    CO_TRAINED: {0: 0.9, 2: 0.8, 7: 0.7},
    ALONE_SAME_STEPS: {0: 0.1, 2: 0.2, 7: 0.3},
    ALONE_SAME_EXAMPLES: {0: 0.0, 2: 0.1, 7: 0.4},
}
GAINS = {0: 0.8, 2: 0.6, 7: 0.3}
IDS = {
    0: {CO_TRAINED: 11, ALONE_SAME_STEPS: 12, ALONE_SAME_EXAMPLES: 13},
    2: {CO_TRAINED: 4, ALONE_SAME_STEPS: 5, ALONE_SAME_EXAMPLES: 5},
    7: {CO_TRAINED: 9, ALONE_SAME_STEPS: 8, ALONE_SAME_EXAMPLES: 7},
}
TRAINED = {
    CO_TRAINED: {0: 1.0, 2: 0.94, 7: 0.95},
    ALONE_SAME_STEPS: {0: 1.0, 2: 1.0, 7: 0.2},
    ALONE_SAME_EXAMPLES: {0: 0.1, 2: 0.1, 7: 0.1},
}


def judgement(**changes: Any) -> Judgement:
    measured = Measurement(VALUES, GAINS, {"no_carry": 1.0, "reverse_add": 0.5, "carry_only": 0.95})
    given: dict[str, Any] = {
        "experiment": FIGURE, "rule": Gain(), "outcome": "premise not met", "measured": measured, "ids": IDS,
        "trained": TRAINED, "left_out": {5: "together: run 3 failed", 6: "gone"}, "trajectory": NO_TRAJECTORY,
    }  # fmt: skip
    return Judgement(**given | changes)


MEANS = "together 0.80, alone, same steps 0.20, alone, same main-task examples 0.17"
INTERVAL = "difference +0.57 (95% t interval −0.06 to +1.19)"
SENTENCE = (
    f"Transfer accuracy: {MEANS}; {INTERVAL}, n = 3 seeds; not learned where trained: reverse_add 0.50; "
    "2 of 6 runs count though they did not learn the main task where it was trained; "
    "left out, as a run of theirs was given up: seed 5 (together: run 3 failed); seed 6 (gone)"
)


def test_the_interval_of_the_sentence_is_that_of_a_t_test() -> None:
    low, high = stats.ttest_1samp([0.8, 0.6, 0.3], 0.0).confidence_interval()
    found = judgement().interval
    assert found is not None and (found.mean, found.low, found.high) == pytest.approx((1.7 / 3, low, high))
    assert (signed(low), signed(high), signed(None), signed(0.0)) == ("−0.06", "+1.19", "–", "+0.00")


def test_a_judgement_in_sentences() -> None:
    one = judgement()
    assert one.sentence() == SENTENCE and one.verdict == "premise not met"
    assert one.short_sentence() == f"{MEANS}; {INTERVAL}; not learned where trained: reverse_add 0.50"
    assert one.headline() == "+0.57 (−0.06 to +1.19), n = 3"
    assert one.seeds == [0, 2, 7] and one.runs == [4, 5, 7, 8, 9, 11, 12, 13] and one.numbers == GAINS
    assert one.series_runs == {CO_TRAINED: [11, 4, 9], ALONE_SAME_STEPS: [12, 5, 8], ALONE_SAME_EXAMPLES: [13, 5, 7]}


def test_a_judgement_of_one_seed_has_no_interval() -> None:
    measured = Measurement({CO_TRAINED: {2: 0.8}}, {2: 0.6}, {"no_carry": 1.0})
    one = judgement(measured=measured, ids={2: IDS[2]}, trained={CO_TRAINED: {2: 0.95}}, left_out={})
    assert one.sentence() == "Transfer accuracy: together 0.80; difference +0.60, n = 1 seed"
    assert one.headline() == "+0.60, n = 1" and one.short_sentence() == "together 0.80; difference +0.60"
    assert numbers_frame([one]).low.isna().all() and one.as_dict()["interval"] == {
        "mean": 0.6,
        "low": None,
        "high": None,
    }


def test_a_judgement_without_seeds_says_so() -> None:
    nothing = Measurement({}, {}, {})
    one = judgement(measured=nothing, ids={}, trained={}, left_out={})
    assert (one.verdict, one.sentence(), one.short_sentence(), one.headline()) == (
        "not run yet", "No finished seed yet", "", "",
    )  # fmt: skip
    assert one.interval is None and one.as_dict()["interval"] is None and one.runs == []
    left = judgement(measured=nothing, ids={}, trained={}, left_out={5: "gone"})
    assert left.sentence() == "No finished seed yet; left out, as a run of theirs was given up: seed 5 (gone)"
    undefined = judgement(measured=Measurement(VALUES, {}, {"no_carry": 1.0}), left_out={}, trained={})
    assert undefined.sentence() == f"Transfer accuracy: {MEANS}; difference not defined, n = 0 seeds"


def test_a_judgement_for_json_has_every_number_under_its_name() -> None:
    correlation = Correlation(0.5, 0.1, 0.9, 0.02, 20)
    measured = replace(
        judgement().measured, correlations=SeedCorrelations({0: correlation}, {0: 0.25}, {0: None}, {0: 0.75})
    )
    plain = judgement(measured=measured).as_dict()
    interval = plain.pop("interval")
    assert (interval["mean"], interval["low"]) == pytest.approx((1.7 / 3, -0.0584943))
    labels = ("together", "alone, same steps", "alone, same main-task examples")
    assert plain == {
        "name": "fig3a", "claim": 1, "figures": "3a, 3d", "preset": "small", "rule": "gain", "replaced_by": "",
        "statement": "Digit sums and carries of longer numbers lift addition.", "outcome": "premise not met",
        "seeds": [0, 2, 7], "series": dict(zip(labels, VALUES.values(), strict=True)), "differences": GAINS,
        "learned": {"no_carry": 1.0, "reverse_add": 0.5, "carry_only": 0.95},
        "trained": dict(zip(labels, TRAINED.values(), strict=True)), "runs": [4, 5, 7, 8, 9, 11, 12, 13],
        "sentence": SENTENCE, "left_out": {5: "together: run 3 failed", 6: "gone"},
        "correlations": {0: {"rho": 0.5, "low": 0.1, "high": 0.9, "p": 0.02, "n": 20}},
        "of_changes": {0: 0.25}, "beyond": {0: None}, "of_learned": {0: 0.75},
    }  # fmt: skip


def test_the_frame_of_seeds_has_a_row_for_every_series_and_seed() -> None:
    frame = judgement().seeds_frame()
    assert frame.columns.tolist() == ["series", "seed", "transfer", "trained", "learned"] and len(frame) == 9
    assert frame.iloc[1].tolist() == ["together", 2, 0.8, 0.94, False]
    assert frame.iloc[2].tolist() == ["together", 7, 0.7, 0.95, True], "exactly at the threshold"
    assert frame.iloc[3].tolist() == ["alone, same steps", 0, 0.1, 1.0, True]


# --- tables


def test_a_row_of_the_table_has_the_texts_of_its_figure() -> None:
    head, line, row = markdown_table([judgement()], {run: 60.0 * run for run in range(20)})
    assert head == (
        "| figure | `lgt experiment` | preset | lengths (the paper's) | measured | n | verdict | core minutes |"
    )
    assert line == "|---|---|---|---|---|---|---|---|"
    assert row == (
        f"| 3a, 3d | `fig3a` | `small` | 6 ← 12 (16 ← 32) | {judgement().short_sentence()} | 3 | premise not met | 69 |"
    ), "4 + 5 + 7 + 8 + 9 + 11 + 12 + 13 minutes"
    empty = judgement(measured=Measurement({}, {}, {}), ids={}, trained={}, left_out={})
    assert markdown_table([empty], {})[2] == "| 3a, 3d | `fig3a` | `small` | 6 ← 12 (16 ← 32) |  |  | not run yet |  |"


def test_a_replaced_figure_names_its_recipe_and_the_one_that_counts() -> None:
    old = EXPERIMENTS["fig6-shallow"]
    row = markdown_table([judgement(experiment=old)], dict.fromkeys(range(20), 0.0))[2]
    assert "| `small` with `model.layers=4, training.learning_rate=0.04` |" in row
    assert f"| premise not met; now `{old.replaced_by}` | 0 |" in row
    assert preset_changes(old) == ("model.layers=4", "training.learning_rate=0.04") and preset_changes(FIGURE) == ()
    said = f"An earlier recipe, which does not count; {old.replaced_by} judges this figure now"
    assert replaced_sentence(old) == said and replaced_sentence(FIGURE) == ""
    assert preset_changes(replace(old, preset="gone")) == ()


def test_the_numbers_of_the_overview_have_a_row_for_each_seed() -> None:
    frame = numbers_frame([judgement(), judgement(measured=Measurement({}, {}, {}))])
    names = ["figure", "statement", "outcome", "seed", "difference", "mean", "low", "high", "quantity", "run_ids"]
    assert frame.columns.tolist() == names
    assert frame.seed.tolist() == [0, 2, 7] and frame.difference.tolist() == [0.8, 0.6, 0.3]
    assert set(frame.figure) == {"fig3a"} and set(frame.outcome) == {"premise not met"}
    assert set(frame.statement) == {"3a, 3d · Digit sums and carries of longer numbers lift addition."}
    assert frame["mean"].tolist() == pytest.approx([1.7 / 3] * 3) and frame.high.tolist() == pytest.approx(
        [1.1918276] * 3
    )
    assert numbers_frame([]).empty and numbers_frame([]).low.dtype == float


def test_figures_of_one_scale_and_threshold_share_a_chart() -> None:
    gain, higher, tracks = judgement(), judgement(rule=Gain(smallest=0.2)), judgement(rule=Tracks())
    nothing = judgement(rule=Gain(smallest=0.9), measured=Measurement({}, {}, {}))
    charts = overview_charts([tracks, gain, nothing, higher, judgement(rule=UnstableOverSeeds())])
    assert [(one.name, one.options["title"], one.options["quantity"], one.options["smallest"]) for one in charts] == [
        ("verdict_chart", CORRELATION.title, CORRELATION.quantity, 0.3),
        ("verdict_chart", ACCURACY.title, ACCURACY.quantity, 0.1),
        ("verdict_chart", ACCURACY.title, ACCURACY.quantity, 0.2),
    ]
    assert [len(one.arguments[0]) for one in charts] == [3, 6, 3]


def test_correlations_are_shown_as_texts() -> None:
    judged = {0: Correlation(0.5, 0.1, 0.9, 0.0004, 20), 2: Correlation(-0.25, -0.5, 0.0, 0.001, 19),
              7: Correlation(None, None, None, None, 2)}  # fmt: skip
    found = SeedCorrelations(judged, {0: 0.25, 2: None}, {2: -0.1}, {0: None})
    one = judgement(rule=Tracks(), measured=replace(judgement().measured, correlations=found))
    assert correlation_frame(one).to_dict("records") == [
        {"seed": "0", "rho": "+0.50", "95% bootstrap interval": "+0.10 to +0.90", "permutation p": "< 0.001",
         "checkpoints": "20", "of the changes between checkpoints": "+0.25", "at lengths beyond": "–"},
        {"seed": "2", "rho": "−0.25", "95% bootstrap interval": "−0.50 to +0.00", "permutation p": "0.001",
         "checkpoints": "19", "of the changes between checkpoints": "–", "at lengths beyond": "−0.10"},
        {"seed": "7", "rho": "–", "95% bootstrap interval": "– to –", "permutation p": "–", "checkpoints": "2",
         "of the changes between checkpoints": "–", "at lengths beyond": "–"},
    ]  # fmt: skip
    assert correlation_frame(judgement()).empty
    assert Tracks().details(one.measured) == [
        "each over 2 or 19 or 20 checkpoints", "of the changes between checkpoints +0.25 on average",
        "at lengths beyond −0.10 on average",
    ]  # fmt: skip


# --- texts about a figure


def test_the_scale_of_a_figure_is_told_with_that_of_the_paper() -> None:
    assert scale_sentence(FIGURE) == (
        "Here (preset small): lengths 6 ← 12, 3 layers of 4 heads, width 64, normed queries and keys, 4,000 steps with "
        "Muon. The paper: lengths 16 ← 32, 6 layers of 6 heads, width 384, AdamW"
    )
    assert paper_group(FIGURE) is not None and paper_group(EXPERIMENTS["fig10"]) is not None
    own = replace(FIGURE, series={CO_TRAINED: lambda seed: replace(
        FIGURE.example(), group="own", tasks=(replace(FIGURE.example().main, task="mqar"),))})  # fmt: skip
    assert paper_group(own) is None and lengths_in_paper(own) == "" and lengths_here(own) == "6 ← 12"
    assert "The paper" not in scale_sentence(own) and scale_sentence(own).endswith("4,000 steps with Muon")


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0-2,7", [0, 1, 2, 7]), (" 3 , 1", [1, 3]), ("5-5", [5]), ("0-999", [*range(1000)]), ("2,2", [2])],
)
def test_seeds_are_read(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "2-1", "0-1000", "0-600,0-600", "1,,2", "1234567890123456789"])
def test_seeds_that_cannot_be_read_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_seeds(text)
    assert str(caught.value) == (
        f"--seeds: {text!r} is not accepted; accepted: seeds such as 0-4 or 0,2,5 (at most 1,000)"
    )


def test_neighbouring_seeds_are_written_as_a_range() -> None:
    assert [seeds_text(seeds) for seeds in ([3], [4, 3], [0, 2], [5, 6, 7, 9])] == ["3", "3-4", "0,2", "5,6,7,9"]


# --- rules and verdicts


@pytest.mark.parametrize(
    ("numbers", "found"),
    [
        ({0: 0.5, 1: 0.5}, "too few seeds"),
        ({0: 0.1, 1: 0.1, 2: 0.1}, "reproduced"),  # exactly the smallest effect
        ({0: 0.09, 1: 0.09, 2: 0.09}, "not reproduced"),
        ({0: -0.5, 1: -0.5, 2: -0.5}, "not reproduced"),
        ({0: 0.0, 1: 0.9, 2: 0.0}, "undecided"),
        ({0: 0.05, 1: 0.15, 2: 0.1}, "undecided"),  # the interval contains zero and the smallest effect
        ({0: 0.0, 1: 0.0, 2: 0.0}, "not reproduced"),
    ],
)
def test_an_effect_is_at_least_the_smallest_and_above_zero(numbers: dict[int, float], found: str) -> None:
    assert effect(numbers, 3, 0.1) == found
    reverse = {"reproduced": "not reproduced", "not reproduced": "reproduced"}
    assert absence(numbers, 3, 0.1) == reverse.get(found, found)


@pytest.mark.parametrize(
    ("rhos", "found"),
    [([0.3, 0.3, 0.3], "not reproduced"), ([-0.3, -0.3, -0.3], "not reproduced"), ([0.29, 0.29, 0.29], "reproduced"),
     ([-0.9, 0.9, 0.0], "undecided"), ([0.4, 0.4], "too few seeds")],
)  # fmt: skip
def test_two_quantities_are_unrelated_in_both_directions(rhos: list[float], found: str) -> None:
    assert unrelated(dict(enumerate(rhos)), 3, 0.3) == found


def test_an_outcome_needs_seeds_then_the_premise_then_the_numbers() -> None:
    rule, measured = Gain(), judgement().measured
    learned = replace(measured, learned={"no_carry": 0.95})
    assert rule.outcome(learned, 4) == "too few seeds" == rule.outcome(measured, 4)
    assert rule.outcome(measured, 3) == "premise not met" == rule.outcome(replace(measured, learned={}), 3)
    assert rule.outcome(learned, 3) == "undecided", "the interval contains zero"
    assert rule.outcome(replace(learned, numbers={0: 0.5, 1: 0.6, 2: 0.7}), 3) == "reproduced"


def test_the_grid_lists_cells_that_were_not_learned() -> None:
    rule, near, far = Ratio(), cell(4, 8), cell(4, 16)
    measured = Measurement({near: {0: 0.2}, far: {0: 0.6, 3: 0.5}}, {0: 0.4}, {near: 0.95, far: 0.9})
    assert rule.premise_met(measured.learned) and not rule.premise_met({near: 0.95, far: 0.9, cell(8, 4): 0.1})
    assert rule.premise_text(measured) == "1 of 2 cells left out, where a task is not learned: 4 beside 16"
    assert rule.premise_text(replace(measured, learned={near: 0.95})) == "" == rule.values_text(measured)
    frame = rule.grid_frame(judgement(rule=rule, measured=measured))
    assert frame.to_dict("records") == [
        {"main_length": 4, "auxiliary_length": 8, "seed": 0, "gap": 0.2, "learned": True},
        {"main_length": 4, "auxiliary_length": 16, "seed": 0, "gap": 0.6, "learned": False},
        {"main_length": 4, "auxiliary_length": 16, "seed": 3, "gap": 0.5, "learned": False},
    ]
    paper = paper_grid()
    assert paper.columns.tolist() == ["main_length", "auxiliary_length", "gap", "learned"] and len(paper) == len(
        GRID_GAP
    )
    assert (
        paper[(paper.main_length == 4) & (paper.auxiliary_length == 8)].gap.tolist() == [0.41] and paper.learned.all()
    )


def test_each_rule_asks_for_its_charts() -> None:
    accuracy = pd.DataFrame({"run_id": [11, 4, 12, 99]})
    usual = list(judgement().charts(accuracy))
    assert [one.name for one in usual] == ["seed_strip", "length_accuracy", "length_accuracy", "length_accuracy"]
    assert len(usual[0].arguments[0]) == 9
    assert [(one.options["title"], one.arguments[0].run_id.tolist()) for one in usual[1:]] == [
        ("together", [11, 4]), ("alone, same steps", [12]), ("alone, same main-task examples", []),
    ]  # fmt: skip
    steps = pd.DataFrame({"seed": [0], "step": [3]})
    unstable = list(judgement(rule=UnstableOverSeeds(), trajectory=steps).charts(accuracy))
    assert [(one.name, dict(one.options)) for one in unstable] == [
        ("stability_chart", {"main": "reverse_add"}), ("seed_strip", {}),
    ]  # fmt: skip
    assert unstable[0].arguments[0] is steps and len(unstable[1].arguments[0]) == 9
    measured = replace(judgement().measured, correlations=SeedCorrelations({0: Correlation(0.5, 0.1, 0.9, 0.1, 20)}))
    (tracks,) = judgement(rule=Tracks(column="attention_difference"), measured=measured, trajectory=steps).charts(
        accuracy
    )
    assert tracks.name == "circuit_chart" and tracks.arguments[0] is steps
    assert tracks.arguments[1:] == ("attention_difference", {0: 0.5})
    grid = Measurement({cell(4, 8): {0: 0.2}}, {0: 0.2}, {cell(4, 8): 1.0})
    found = list(judgement(rule=Ratio(), measured=grid).charts(accuracy))
    assert [(one.name, dict(one.options), [len(part) for part in one.arguments]) for one in found] == [
        ("gap_by_ratio", {}, [1, len(GRID_GAP)]), ("gap_grid", {"title": "Ours"}, [1]),
        ("gap_grid", {"title": "The paper's"}, [len(GRID_GAP)]),
    ]  # fmt: skip


# --- names


NAME = "a free name of small letters, digits and hyphens"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "fig3a"}, f"experiment: 'fig3a' is not accepted; accepted: {NAME}"),
        ({"name": "-a"}, f"experiment: '-a' is not accepted; accepted: {NAME}"),
        (
            {"name": "toy", "claim": 77},
            "claim: 77 is not accepted; accepted: one of 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, or register_claim",
        ),
        ({"name": "toy", "series": {}}, "series: 'nothing' is not accepted; accepted: at least one series of runs"),
        (
            {"name": "toy", "replaced_by": "gone"},
            "replaced_by: 'gone' is not accepted; accepted: an experiment that is registered already",
        ),
        (
            {"name": "toy", "series": {ALONE_SAME_STEPS: three_arms("caprev", "demo")[ALONE_SAME_STEPS]}},
            "series: 'alone, same steps' is not accepted; accepted: series with together among them, which Gain looks "
            "at",
        ),
        (
            {"name": "toy", "rule": Tracks(), "series": {ALONE_SAME_STEPS: FIGURE.series[ALONE_SAME_STEPS]}},
            "series: 'alone, same steps' is not accepted; accepted: series with together among them, which Tracks "
            "looks at",
        ),
    ],
)
def test_an_experiment_that_cannot_be_registered_is_refused_in_one_line(changes: dict[str, Any], message: str) -> None:
    before = dict(EXPERIMENTS)
    with pytest.raises(ConfigError) as caught:
        register(replace(FIGURE, **changes))
    assert str(caught.value) == message and before == EXPERIMENTS


def test_an_experiment_is_found_by_its_name_and_by_its_runs() -> None:
    assert experiment_named("fig3a") is FIGURE
    with pytest.raises(ConfigError, match=r"^experiment: 'fig' is not accepted; accepted: one of .*fig3a, "):
        experiment_named("fig")
    hashes = {config.hash() for config in FIGURE.runs([0, 1])}
    assert made_by(hashes, [0, 1]) is FIGURE and len(hashes) == 6
    assert made_by(hashes, [0]) is None, "seed 1 is not among them"
    assert made_by({min(hashes)}, [0, 1]) is None, "too few of its runs"


def test_a_claim_has_one_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CLAIMS, 90, "It holds.")
    register_claim(90, "It holds.")
    with pytest.raises(ConfigError) as caught:
        register_claim(90, "It does not.")
    assert str(caught.value) == "claim: 90 is not accepted; accepted: a number that is free, such as 91"
    assert CLAIMS[90] == "It holds."


def test_verdicts_of_a_claim_are_counted_without_replaced_figures() -> None:
    found = [judgement(outcome=outcome) for outcome in ("reproduced", "too few seeds", "too few seeds")]
    replaced = judgement(experiment=replace(FIGURE, replaced_by="fig6"))
    other = judgement(experiment=replace(FIGURE, claim=2))
    assert list(verdict_counts([*found, replaced, other], 1).items()) == [("too few seeds", 2), ("reproduced", 1)]
    assert counting([*found, replaced]) == found and verdict_counts([], 1) == {}


def test_the_runs_of_an_experiment_come_seed_by_seed_and_once() -> None:
    runs = FIGURE.runs([3, 1])
    assert [(run.model_seed, run.arm) for run in runs[:3]] == [
        (3, "co-trained"), (3, "alone-same-steps"), (3, "alone-same-examples"),
    ]  # fmt: skip
    assert [run.model_seed for run in runs] == [3, 3, 3, 1, 1, 1] and FIGURE.runs([3, 3]) == runs[:3]
    assert FIGURE.main == "reverse_add" and FIGURE.about_gain and not replace(FIGURE, rule=None).about_gain
    assert not replace(FIGURE, rule=UnstableOverSeeds()).about_gain and FIGURE.grid_lengths == []
    assert isinstance(FIGURE, Experiment) and FIGURE.example() == FIGURE.series[CO_TRAINED](0)
    assert np.array_equal(sorted(set(EXPERIMENTS["fig10"].grid_lengths)), EXPERIMENTS["fig10"].grid_lengths)

"""Metrics on data without symmetry, against numbers worked out beside them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lgt.core.config import TaskSpec
from lgt.metrics import by_seed
from lgt.metrics.arrays import finite
from lgt.metrics.correlation import pearson, spearman
from lgt.metrics.durations import expected_seconds
from lgt.metrics.failures import Failure, first_failure
from lgt.metrics.guesses import GuessError, asked_lengths, guess_error
from lgt.metrics.head_sharing import head_sharing, jaccard_top_k, map_difference, top_k
from lgt.metrics.intervals import band, band_name, t_interval, wilson_interval
from lgt.metrics.knock_outs import knock_out_test
from lgt.metrics.length_grid import nearness, relative_gap
from lgt.metrics.maps import mean_map, strongest_head
from lgt.metrics.stability import falls, scatter_over_seeds
from lgt.metrics.transfer import generalization_gap, transfer_accuracy
from lgt.metrics.zones import IN_DISTRIBUTION, OUT_OF_DISTRIBUTION, TRANSFER_REGION
from lgt.recipes.presets import custom_config, group_config
from tests.lopsided import LONGER, MAIN, OTHER, SEEDS, TRAINED, TRANSFER, accuracy, mean, share

REGION, INSIDE = range(TRAINED + 1, TRANSFER + 1), range(1, TRAINED + 1)


# --- by seed


def test_the_mean_over_seeds_is_not_the_median() -> None:
    summary = by_seed.SeedSummary({0: 0.1, 1: 0.2, 5: 0.9})
    assert summary.mean == pytest.approx(0.4) and summary.n == 3
    assert summary.text() == "0.40 (0.10–0.90 over 3 seeds)"
    assert by_seed.SeedSummary({3: 0.25, 7: 0.5}).text() == "0.38 (0.25–0.50 over 2 seeds)"
    assert by_seed.SeedSummary({4: 0.126}).text() == "0.13 (1 seed)"
    ties = by_seed.SeedSummary({9: 0.5, 2: 0.5, 4: 0.1, 3: 0.5})
    assert ties.middle_seed() == 2, "the lower of two middles; among equals the lowest seed"
    assert by_seed.SeedSummary({0: 0.3, 1: 0.1, 2: 0.2, 3: 0.9, 4: 0.8}).middle_seed() == 0


def test_one_number_a_seed_by_hand() -> None:
    frame = accuracy()
    transfer, trained = by_seed.transfer_by_seed(frame), by_seed.trained_by_seed(frame)
    assert transfer.values == pytest.approx({s: mean([share(MAIN, s, n) for n in REGION]) for s in SEEDS})
    assert trained.values == pytest.approx({s: mean([share(MAIN, s, n) for n in INSIDE]) for s in SEEDS})
    beside = by_seed.auxiliaries_by_seed(frame)
    expected = {s: mean([share(task, s, n) for task in (LONGER, OTHER) for n in REGION]) for s in SEEDS}
    assert beside.values == pytest.approx(expected)
    gap = {s: mean([mean([abs(share(task, s, n) - share(MAIN, s, n)) for n in range(1, TRANSFER + 1)])
                    for task in (LONGER, OTHER)]) for s in SEEDS}  # fmt: skip
    assert by_seed.gap_by_seed(frame).values == pytest.approx(gap)


def test_the_mean_curve_is_the_main_tasks_over_runs() -> None:
    found = by_seed.mean_curve(accuracy())
    assert found == pytest.approx({n: mean([share(MAIN, s, n) for s in SEEDS]) for n in range(1, 8)})
    assert all(isinstance(length, int) for length in found)


def test_what_is_missing_is_none_and_not_zero() -> None:
    frame = accuracy()
    auxiliaries, main = frame[frame.role != "main"], frame[frame.role == "main"]
    for read in (by_seed.transfer_by_seed, by_seed.trained_by_seed, by_seed.auxiliaries_by_seed, by_seed.gap_by_seed):
        assert read(auxiliaries) is None, read.__name__
    assert by_seed.auxiliaries_by_seed(main) is None and by_seed.gap_by_seed(main) is None
    alone = main.assign(transfer_length=pd.array([None] * len(main), dtype="Int64"))
    assert by_seed.transfer_by_seed(alone) is None and by_seed.trained_by_seed(alone) is not None
    some = pd.concat([frame[frame.model_seed == 5], main[main.model_seed == 0]])
    assert list(by_seed.gap_by_seed(some).values) == [5], "a seed without an auxiliary is left out, the others stay"


def test_the_gap_covers_lengths_up_to_the_longest_auxiliary() -> None:
    frame = accuracy(seeds=(0,))
    frame["training_length"] = frame.training_length.mask(frame.task == OTHER, 5)
    expected = mean([mean([abs(share(task, 0, n) - share(MAIN, 0, n)) for n in range(1, 7)])
                     for task in (LONGER, OTHER)])  # fmt: skip
    assert by_seed.gap_by_seed(frame).values == pytest.approx({0: expected})


def test_a_cell_of_the_matrix_by_hand() -> None:
    config = group_config("caprev", "demo")
    alone = accuracy(tasks=(MAIN,)).assign(arm="alone-same-steps")
    alone["correct"] = alone.correct // 3
    alone = alone[alone.model_seed != 5]
    row = by_seed.gain_row(config, accuracy(), alone)
    gains = {}
    for seed in (0, 1):
        rows = alone[(alone.model_seed == seed) & alone.length.isin(REGION)]
        gains[seed] = mean([share(MAIN, seed, n) for n in REGION]) - mean((rows.correct / rows.total).tolist())
    interval = stats.t.interval(0.95, 1, np.mean(list(gains.values())), stats.sem(list(gains.values())))
    assert row["gain"] == pytest.approx(mean(list(gains.values()))) and row["n"] == 2
    assert (row["low"], row["high"]) == (pytest.approx(interval[0]), pytest.approx(interval[1]))
    assert (row["main"], row["auxiliaries"], row["control"]) == (MAIN, "capitalize+reverse", False)
    assert by_seed.gain_row(config, accuracy(seeds=(5,)), alone) is None
    assert by_seed.gain_row(group_config("control-copy", "demo"), accuracy(), alone)["control"] is True


def test_a_gain_is_co_trained_minus_alone() -> None:
    with_, without = by_seed.SeedSummary({1: 0.2, 2: 0.9}), by_seed.SeedSummary({2: 0.3, 1: 0.6, 3: 1.0})
    assert by_seed.paired_gain(with_, without).values == pytest.approx({1: -0.4, 2: 0.6})
    assert by_seed.paired_gain(None, without) is None


# --- transfer and zones


def test_the_gap_starts_where_both_tasks_start() -> None:
    main = {3: 0.5, 4: 0.25, 5: 0.0}
    short, late = {1: 1.0, 2: 1.0, 3: 1.0, 4: 1.0, 5: 0.5}, {4: 0.75, 5: 1.0}
    assert generalization_gap(main, [short], 3, 5) == pytest.approx((0.5 + 0.75 + 0.5) / 3)
    assert generalization_gap(main, [late, short], 3, 5) == pytest.approx(((0.5 + 1.0) / 2 + 1.75 / 3) / 2)
    with pytest.raises(ValueError, match=r"^no accuracy at any of the lengths 1 to 5$"):
        generalization_gap(main, [{}], 3, 5)
    with pytest.raises(ValueError, match=r"^auxiliary accuracy: every value must be a share from 0 to 1$"):
        generalization_gap(main, [{3: 1.1, 4: 1.0, 5: 0.0}], 3, 5)
    with pytest.raises(ValueError, match=r"^the generalization gap needs at least one auxiliary$"):
        generalization_gap(main, [], 3, 5)
    assert generalization_gap({1: 0.0, 2: 1.0}, [{1: 1.0, 2: 0.0}], 2, 2) == 1.0, "0 and 1 are shares"


def test_transfer_accuracy_says_what_is_wrong_in_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"^main accuracy: there is no length from 5 to 4$"):
        transfer_accuracy({1: 1.0}, 4, 4)
    with pytest.raises(ValueError, match=r"^main accuracy is missing at length 2, 3$"):
        transfer_accuracy({1: 1.0}, 1, 3)
    with pytest.raises(ValueError, match=r"^main accuracy: every value must be a share from 0 to 1$"):
        transfer_accuracy({2: -0.01}, 1, 2)


# --- intervals


def test_a_t_interval_is_scipys() -> None:
    values = {0: 0.1, 1: 0.2, 5: 0.9}
    found = t_interval(values)
    low, high = stats.t.interval(0.95, 2, np.mean([0.1, 0.2, 0.9]), stats.sem([0.1, 0.2, 0.9]))
    assert (found.mean, found.low, found.high, found.n) == (pytest.approx(0.4), *map(pytest.approx, (low, high)), 3)
    low, high = stats.t.interval(0.8, 2, np.mean([0.1, 0.2, 0.9]), stats.sem([0.1, 0.2, 0.9]))
    assert t_interval(values, 0.8).low == pytest.approx(low) and t_interval(values, 0.8).high == pytest.approx(high)
    two = t_interval({3: 0.2, 4: 0.6})
    assert two.n == 2 and two.high - two.mean == pytest.approx(12.7062 * 0.2, rel=1e-4)
    assert (t_interval({3: 0.2}).low, t_interval({3: 0.2}).high) == (None, None)
    with pytest.raises(ValueError, match=r"^an interval needs at least one seed$"):
        t_interval({})


def test_an_interval_of_counts_has_the_confidence_asked_for() -> None:
    wide, usual = wilson_interval(3, 17, 0.99), wilson_interval(3, 17)
    for found, confidence in ((wide, 0.99), (usual, 0.95)):
        expected = stats.binomtest(3, 17).proportion_ci(confidence, method="wilson")
        assert found == pytest.approx((expected.low, expected.high))
    assert wilson_interval(0, 1)[0] == 0 and wilson_interval(1, 1)[1] == 1


def test_a_band_has_the_mean_and_not_the_median_and_has_a_name() -> None:
    values = [[0.0, 0.9], [0.1, 0.8], [0.8, 0.1]]
    found = band(values)
    assert found.mean == pytest.approx([0.3, 0.6]) and found.n == 3
    assert found.low.tolist() == [0.0, 0.1] and found.high.tolist() == [0.8, 0.9]
    assert found.name == "min–max over 3 seeds"
    assert [band_name("min-max", n) for n in (0, 1, 2)] == ["0 seeds", "1 seed", "min–max over 2 seeds"]
    assert band_name("bootstrap", 4) == "nominal 95% bootstrap interval over 4 seeds"
    two = band(values[:2])
    assert two.low.tolist() == [0.0, 0.8] and two.high.tolist() == [0.1, 0.9], "two seeds have a band"
    many = np.random.default_rng(5).random((9, 2))
    drawn = [band(many, "bootstrap", np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert drawn[0].low.tolist() == drawn[1].low.tolist() != drawn[2].low.tolist(), "randomness is an argument"
    assert drawn[0].kind == "bootstrap" and drawn[0].low.shape == (2,) and drawn[0].low.dtype == float
    with pytest.raises(ValueError, match=r"^values_by_length: "):
        band([0.5])
    single = band(values[:1], "bootstrap")
    assert (single.low, single.high, single.n) == (None, None, 1)
    with pytest.raises(ValueError, match=r"^band: kind 'bootstrap' needs rng$"):
        band(values, "bootstrap")
    with pytest.raises(ValueError, match=r"^band: 'sd' is not accepted; accepted: min-max, bootstrap$"):
        band(values, "sd")  # type: ignore[arg-type]


def test_arrays_are_checked_by_name_shape_and_value() -> None:
    assert finite("x", [1, 2], 1).dtype == float
    with pytest.raises(ValueError, match=r"^x: shape \(2,\) is not accepted; accepted: 2 non-empty dimensions$"):
        finite("x", [1.0, 2.0], 2)
    with pytest.raises(ValueError, match=r"^y: shape \(0,\) is not accepted; accepted: 1 non-empty dimensions$"):
        finite("y", [], 1)
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match=r"^y: every value must be finite$"):
            finite("y", [1.0, bad], 1)


# --- correlation


def test_correlation_along_the_last_axis_of_pairs_that_are_not_centred() -> None:
    x, y = np.array([[1.0, 2.0, 4.0, 9.0]] * 2), np.array([[3.0, 1.0, 5.0, 8.0], [4.0, 4.0, 1.0, 0.0]])
    expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(x, y, strict=True)]
    assert pearson(x, y) == pytest.approx(expected)
    assert np.isnan(pearson(np.ones((1, 3)), np.array([[1.0, 2.0, 3.0]]))).all()


def test_spearman_of_lopsided_pairs_with_ties() -> None:
    x, y = [0.0, 0.1, 0.1, 0.9, 5.0, 0.3, 2.0, 0.2], [9.0, 3.0, 8.0, 4.0, 0.5, 0.5, 2.0, 1.0]
    found = spearman(x, y, np.random.default_rng(7))
    assert found.rho == pytest.approx(stats.spearmanr(x, y).statistic) and found.n == 8
    rng = np.random.default_rng(7)
    drawn = rng.integers(8, size=(2000, 8))
    rhos = [stats.spearmanr(np.array(x)[row], np.array(y)[row]).statistic for row in drawn[:400]]
    low, high = np.nanpercentile(rhos, [2.5, 97.5])
    assert (found.low, found.high) == (pytest.approx(low, abs=0.12), pytest.approx(high, abs=0.12))
    exact = stats.permutation_test(
        (x,), lambda a: stats.spearmanr(a, y).statistic, permutation_type="pairings", n_resamples=1500,
        rng=np.random.default_rng(1),
    ).pvalue  # fmt: skip
    assert found.p == pytest.approx(exact, abs=0.05)
    assert spearman(x, y, np.random.default_rng(7), resamples=50).high != found.high
    again = spearman(x, y, np.random.default_rng(7))
    assert again == found


def test_spearman_of_three_pairs_is_defined_and_of_two_is_not() -> None:
    rng = np.random.default_rng(0)
    three = spearman([1, 2, 3], [1, 3, 2], rng)
    assert three.rho == pytest.approx(0.5) and three.n == 3 and three.p is not None
    for x, y in (([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [2, 2, 2])):
        none = spearman(x, y, rng)
        assert (none.rho, none.low, none.high, none.p, none.n) == (None, None, None, None, len(x))
    with pytest.raises(ValueError, match=r"^spearman: 3 values against 2$"):
        spearman([1, 2, 3], [1, 2], rng)
    for bad, name in (([math.nan, 1, 2], "x"), ([1, 2, 3], "y")):
        with pytest.raises(ValueError, match=rf"^{name}: every value must be finite$"):
            spearman(bad, [math.inf, 1, 2], rng)


# --- durations


def runs(*rows: tuple[str, str, str, str, float, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["state", "task_group", "preset", "arm", "seconds", "total_steps"])


def test_a_duration_is_the_median_time_per_step_of_the_most_similar_runs() -> None:
    config = group_config("caprev", "demo")  # co-trained
    steps = config.training.steps
    like = [("done", "caprev", "demo", "co-trained", seconds, 100) for seconds in (10.0, 20.0, 90.0)]
    arm = ("done", "caprev", "demo", "alone-same-steps", 500.0, 50)
    group = ("done", "caprev", "small", "co-trained", 3000.0, 100)
    preset = ("done", "add-carry", "demo", "co-trained", 7000.0, 100)
    other = ("done", "add-carry", "small", "co-trained", 9000.0, 100)
    table = runs(*like, arm, group, preset, other)
    assert expected_seconds(table, config) == pytest.approx(20.0 / 100 * steps)
    assert expected_seconds(table.iloc[3:], config) == pytest.approx(500.0 / 50 * steps)
    assert expected_seconds(table.iloc[4:], config) == pytest.approx(3000.0 / 100 * steps)
    assert expected_seconds(table.iloc[5:], config) == pytest.approx(7000.0 / 100 * steps)
    assert expected_seconds(table.iloc[6:], config) is None
    assert expected_seconds(table.iloc[:0], config) is None
    short = ("done", "caprev", "demo", "co-trained", 0.5, 100)
    assert expected_seconds(runs(short), config) == pytest.approx(0.5 / 100 * steps)
    unfinished = runs(("running", *like[0][1:]), (*like[1][:4], 0.0, 100))
    assert expected_seconds(unfinished, config) is None, "no finished run with a time"


# --- failures, guesses, knock-outs


def test_the_first_failure_is_by_length_and_of_one_task() -> None:
    frame = accuracy(seeds=(0,))
    assert first_failure(frame, MAIN) == Failure(5, 12, 50)
    assert first_failure(frame, LONGER) == Failure(7, 3, 70)
    assert first_failure(frame[frame.length < 7], LONGER) is None
    half = pd.DataFrame({"task": "a", "length": [1, 2, 3], "correct": [5, 4, 9], "total": [10, 11, 20]})
    assert first_failure(half, "a") == Failure(2, 4, 11), "half of the prompts is no failure, less is"


def test_a_viewer_is_asked_at_lengths_that_were_measured() -> None:
    config = group_config("caprev", "demo")  # 8 beside 16
    assert asked_lengths(config, [20, 9, 8, 16, 8, 19]) == [8, 16, 20], "12 was not measured"
    assert asked_lengths(config, range(1, 12)) == [8, 11]
    assert asked_lengths(config, []) == []
    odd = custom_config((TaskSpec("reverse", "main", 5), TaskSpec("capitalize", "auxiliary", 10)), "demo", "strings")
    assert asked_lengths(odd, range(1, 13)) == [5, 7, 10, 12], "the middle of 5 and 10, a whole number"
    alone = custom_config((TaskSpec("reverse", "main", 5),), "demo", "strings")
    assert asked_lengths(alone, range(1, 10)) == [5, 9]


def test_the_error_of_a_guess_is_a_mean_in_points_and_its_worst_length() -> None:
    measured = {1: 1.0, 4: 0.5, 8: 0.25, 9: 0.0}
    found = guess_error({1: 0.9, 8: 0.85, 4: 0.6}, measured)
    assert found == GuessError(pytest.approx(100 * 0.8 / 3), 3, 8, 0.85, 0.25)
    assert guess_error({9: 0.5, 4: 0.0}, measured).worst == 4, "the shortest of equals"
    with pytest.raises(ValueError, match=r"^no measured accuracy at length 2$"):
        guess_error({3: 0.1, 2: 0.1, 1: 0.5}, measured)
    with pytest.raises(ValueError, match=r"^a guess needs a length$"):
        guess_error({}, measured)


def test_a_knock_out_counts_each_length_alike_and_itself() -> None:
    rows = [("", 1, 9, 10), ("", 2, 30, 60), ("L1·H1", 1, 4, 10), ("L1·H1", 2, 6, 60), ("L1·H2", 1, 1, 10),
            ("L1·H2", 2, 0, 60), ("L1·H3", 1, 10, 10), ("L1·H3", 2, 60, 60), ("L1·H4", 1, 4, 10),
            ("L1·H4", 2, 6, 60)]  # fmt: skip
    test = knock_out_test(pd.DataFrame(rows, columns=["heads", "length", "correct", "total"]), "L1·H1")
    assert (test.intact, test.chosen) == (pytest.approx(0.7), pytest.approx(0.25))
    assert test.others == pytest.approx([0.05, 1.0, 0.25])
    assert test.as_bad == 2, "an equal choice counts" and test.p == pytest.approx(3 / 4)
    with pytest.raises(KeyError):
        knock_out_test(pd.DataFrame(rows, columns=["heads", "length", "correct", "total"]), "L9·H9")


# --- maps and heads


def scores() -> pd.DataFrame:
    rows = [
        (task, role, length, layer, head, drop * length / 10 + 0.01 * head, drop / (layer + 1), 7 * length)
        for task, role, drop in ((MAIN, "main", 0.3), (LONGER, "auxiliary", 0.1))
        for length in (15, 2, 11, 18) for layer in range(2) for head in range(3)
    ]  # fmt: skip
    columns = ["task", "role", "length", "layer", "head", "accuracy_drop", "loss_rise", "examples"]
    return pd.DataFrame(rows, columns=columns)


def test_a_mean_map_by_hand() -> None:
    config = group_config("caprev", "demo")  # 8 beside 16
    found = mean_map(scores(), config, TRANSFER_REGION)
    assert found.attrs["lengths"] == [11, 15] and len(found) == 2 * 2 * 3
    row = found[(found.task == LONGER) & (found.layer == 1) & (found["head"] == 2)].iloc[0]
    assert row.accuracy_drop == pytest.approx(0.1 * 13 / 10 + 0.02) and row.loss_rise == pytest.approx(0.05)
    assert (row.role, row.examples) == ("auxiliary", 7 * 26)
    assert found.task.tolist()[:1] == [MAIN], "tasks come as they came"
    assert mean_map(scores(), config, IN_DISTRIBUTION).attrs["lengths"] == [2]
    assert mean_map(scores(), config, OUT_OF_DISTRIBUTION).attrs["lengths"] == [18]
    nothing = mean_map(scores(), config, "no such zone")
    assert nothing.empty and nothing.attrs["lengths"] == []
    assert "role" in nothing.columns


def test_the_strongest_head_is_by_mean_drop_then_by_loss() -> None:
    rows = [("a", 0, 0, 0.9, 0.0), ("a", 0, 0, 0.0, 0.0), ("a", 1, 2, 0.5, 0.1), ("a", 1, 2, 0.5, 0.0),
            ("a", 0, 1, 0.5, 0.3), ("a", 0, 1, 0.5, 0.3), ("b", 1, 0, 1.0, 9.0)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["task", "layer", "head", "accuracy_drop", "loss_rise"])
    assert strongest_head(table, "a") == (0, 1) and strongest_head(table, "b") == (1, 0)
    assert strongest_head(table, "c") is None
    assert all(type(value) is int for value in strongest_head(table, "a"))


A = [[0.9, 0.05, 0.4, 0.0], [0.3, 0.2, 0.0, 0.6]]
B = [[0.8, 0.5, 0.0, 0.1], [0.0, 0.7, 0.2, 0.3]]


def test_heads_are_ranked_and_compared_by_hand() -> None:
    assert top_k(A, 3) == [(0, 0), (1, 3), (0, 2)] and top_k(B, 3) == [(0, 0), (1, 1), (0, 1)]
    assert jaccard_top_k(A, B, 3) == pytest.approx(1 / 5) and jaccard_top_k(A, A, 3) == 1
    assert map_difference(A, B) == pytest.approx((0.1 + 0.45 + 0.4 + 0.1 + 0.3 + 0.5 + 0.2 + 0.3) / 8)
    assert top_k(A, 8)[-1] == (1, 2) and top_k(A, 1) == [(0, 0)]
    with pytest.raises(ValueError, match=r"^top_k: k = 9 is not accepted; accepted: 1 to 8, the number of heads$"):
        top_k(A, 9)
    with pytest.raises(ValueError, match=r"^the maps differ in shape: \(2, 4\) against \(1, 4\) \[layers, heads\]$"):
        map_difference(A, B[:1])
    for name, pair in (("map_a", ([0.1], B)), ("map_b", (A, [0.1]))):
        with pytest.raises(ValueError, match=f"^{name}: "):
            map_difference(*pair)


@pytest.mark.slow
@pytest.mark.parametrize("within_layers", [True, False])
def test_head_sharing_against_a_baseline_counted_here(within_layers: bool) -> None:
    found = head_sharing(A, B, 3, 0.25, np.random.default_rng(3), 4000, within_layers)
    rng, a, b = np.random.default_rng(11), np.array(A), np.array(B)
    overlaps, rhos = [], []
    ranks = stats.rankdata(b).reshape(b.shape)
    for _ in range(4000):
        order = [rng.permutation(4) for _ in range(2)]
        mixed = np.stack([b[i][order[i]] for i in range(2)])
        ranked = np.stack([ranks[i][order[i]] for i in range(2)])
        if not within_layers:
            flat = rng.permutation(8)
            mixed, ranked = b.ravel()[flat].reshape(2, 4), ranks.ravel()[flat].reshape(2, 4)
        shared = len(set(top_k(a, 3)) & set(top_k(mixed, 3)))
        overlaps.append(shared / (6 - shared))
        rhos.append(np.corrcoef(stats.rankdata(a), ranked.ravel())[0, 1])
    assert found.jaccard == pytest.approx(1 / 5) and found.rho == pytest.approx(
        stats.spearmanr(a.ravel(), b.ravel())[0]
    )
    assert found.jaccard_baseline == pytest.approx(np.mean(overlaps), abs=0.02)
    assert found.jaccard_p == pytest.approx(np.mean(np.array(overlaps) >= 1 / 5 - 1e-9), abs=0.03)
    assert found.rho_baseline == pytest.approx(np.mean(rhos), abs=0.03)
    assert found.rho_p == pytest.approx(np.mean(np.array(rhos) >= found.rho - 1e-9), abs=0.03)
    assert (found.k, found.threshold, found.within_layers, found.permutations) == (3, 0.25, within_layers, 4000)
    assert found.shared == [(0, 0), (1, 3)] and found.only_a == [(0, 2), (1, 0)] and found.only_b == [(0, 1), (1, 1)]


def test_head_sharing_counts_the_observed_order_among_its_permutations() -> None:
    single = head_sharing([[0.1], [0.9]], [[0.8], [0.1]], 1, 0.5, np.random.default_rng(0), permutations=1)
    assert (single.jaccard, single.jaccard_p, single.permutations) == (0.0, 1.0, 1)
    wide = [[0.0, 1.0], [0.5, 0.2]]  # its largest and smallest drop are one apart
    assert head_sharing(A, np.resize(wide, (2, 4)), 3, 0.25, np.random.default_rng(0)).rho is not None
    assert head_sharing(A, B, 3, 0.9, np.random.default_rng(0)).shared == [], "a drop of the threshold is not above it"
    assert head_sharing(A, B, 3, 0.25, np.random.default_rng(0)).permutations == 2000
    assert head_sharing(A, B, 3, 0.25, np.random.default_rng(0)).within_layers is True
    without = head_sharing(A, B, 3, 0.25, np.random.default_rng(0), correlation=False)
    assert (without.rho, without.rho_baseline, without.rho_p) == (None, None, None)
    with pytest.raises(ValueError, match=r"^head_sharing: permutations = 0 is not accepted; accepted: at least 1$"):
        head_sharing(A, B, 3, 0.25, np.random.default_rng(0), permutations=0)


# --- grid and stability


def test_a_gap_as_a_share_of_no_transfer() -> None:
    assert relative_gap(0.3, 4, 10) == pytest.approx(0.5) == relative_gap(0.3, 10, 4)
    with pytest.raises(ValueError, match=r"^a relative gap needs two different lengths$"):
        relative_gap(0.0, 4, 4)
    gaps = {(4, 4): 9.0, (4, 8): 0.2, (8, 4): 0.1, (6, 8): 0.25, (4, 16): 0.8, (16, 4): 0.4, (4, 32): 0.9}
    near, far = [0.4, 0.2, 1.0], [0.8 / 0.75, 0.4 / 0.75, 0.9 / 0.875]
    assert nearness(gaps) == pytest.approx(mean(far) - mean(near))
    assert nearness({(4, 16): 0.8}) is None and nearness({(4, 8): 0.8}) is None


def test_falls_are_in_order_of_steps_and_scatter_is_from_the_others_mean() -> None:
    steps = pd.DataFrame({"step": [30, 10, 20], "transfer": [0.2, 0.1, 0.9], "trained": [0.9, 0.5, 1.0]})
    assert falls(steps) == pytest.approx(0.7 - 0.1)
    found = scatter_over_seeds({0: 0.9, 1: 0.1, 5: 0.2}, {0: 1.0, 1: 0.8, 5: 0.9})
    assert found == pytest.approx({0: 0.75 - 0.15, 1: 0.45 - 0.15, 5: 0.3 - 0.0})
    two = scatter_over_seeds({0: 1 / 3, 1: 0.0}, {0: 1.0, 1: 1.0})
    assert two == {0: round(1 / 3, 12), 1: round(1 / 3, 12)}

"""Verdicts on numbers worked out by hand, and claims on stores whose runs are made up on purpose."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from math import nan

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from lgt.charts import DARK, LIGHT, transfer_matrix, verdict_chart
from lgt.cli.main import main
from lgt.core.records import AccuracyRow
from lgt.experiments.claims import CLAIMS, all_judged, judged, of_claim
from lgt.experiments.entries import EXPERIMENTS, Experiment, made_by, parse_seeds
from lgt.experiments.outcomes import absence, effect
from lgt.metrics.by_seed import gain_row
from lgt.metrics.intervals import t_interval
from lgt.recipes.builders import changed, one_auxiliary, three_arms
from lgt.report.html import svg, write_report
from lgt.store import leases, queries, writes
from lgt.store.comparisons import comparisons
from lgt.store.engine import open_store
from lgt.store.merge import merge
from lgt.store.tags import DELETED, retag
from lgt.ui.panels import repeat_sentence
from tests.conftest import ROOT

GAIN = Experiment("trial", 1, "0", "demo", "?", three_arms("caprev", "demo"), seeds=3)
CONTROL = replace(GAIN, series=three_arms("control-copy", "demo"), rule="no gain")
MORE = replace(GAIN, series={"reverse": one_auxiliary("caprev", "demo", "reverse"),
                             "capitalize": one_auxiliary("caprev", "demo", "capitalize")}, rule="more")  # fmt: skip


def test_the_t_interval_is_that_of_the_textbook():
    interval = t_interval({0: 1.0, 1: 2.0, 2: 3.0})  # mean 2, s = 1, t(0.975, 2) = 4.303, 4.303 / sqrt(3) = 2.484
    assert (interval.mean, interval.n) == (2.0, 3)
    assert interval.low == pytest.approx(2 - 2.484, abs=1e-3) and interval.high == pytest.approx(2 + 2.484, abs=1e-3)
    assert t_interval({0: 0.4}).low is None
    with pytest.raises(ValueError, match="at least one seed"):
        t_interval({})


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ([0.5, 0.5, 0.5], "reproduced"),
        ([0.10, 0.10, 0.10], "reproduced"),
        ([0.09, 0.09, 0.09], "not reproduced"),  # certain, but smaller than what the figures show
        ([-0.5, -0.5, -0.5], "not reproduced"),
        ([1.0, 0.0, 0.5], "too few seeds"),
        ([0.0, 0.0, 0.3], "too few seeds"),
        ([0.9, 0.9], "too few seeds"),
        ([], "too few seeds"),
    ],
)
def test_an_effect_needs_size_certainty_and_seeds(values, outcome):
    differences = dict(enumerate(values))
    assert effect(differences, needed=3) == outcome
    reverse = {"reproduced": "not reproduced", "not reproduced": "reproduced"}
    assert absence(differences, needed=3) == reverse.get(outcome, outcome)


def finished(store, config, right: float, beyond: float) -> int:
    """A run with accuracy ``right`` where its tasks were trained, ``beyond`` that elsewhere."""
    run_id = writes.create_run(store, config)
    attempt = leases.start_run(store, run_id, "w", "cpu")
    rows = [
        AccuracyRow(spec.task, length, round(100 * (right if length <= spec.training_length else beyond)), 100)
        for spec in config.tasks
        for length in range(1, 21)
    ]
    writes.record_accuracy(store, run_id, attempt, 1000, rows)
    leases.finish_run(store, run_id, attempt, "done")
    return run_id


def fill(store, experiment, beyond, right=1.0, seeds=(0, 1, 2)):
    """A finished run for every series and seed; ``beyond`` has the transfer accuracy of each series."""
    for seed in seeds:
        for (name, make), value in zip(experiment.series.items(), beyond, strict=True):
            finished(store, make(seed), right if "examples" not in name else 1.0, value)


@pytest.fixture()
def store(tmp_path):
    return open_store(str(tmp_path / "a.db"))


def test_a_gain_is_over_the_better_baseline_seed_by_seed(store):
    fill(store, GAIN, (0.8, 0.1, 0.3))
    found = judged(store, GAIN)
    assert found.outcome == "reproduced" and found.seeds == [0, 1, 2] and len(found.runs) == 9
    assert found.differences == pytest.approx({0: 0.5, 1: 0.5, 2: 0.5})
    assert found.series["together"] == pytest.approx({0: 0.8, 1: 0.8, 2: 0.8})
    assert "together 0.80" in found.sentence() and "difference +0.50" in found.sentence()
    assert found.sentence().endswith("n = 3 seeds")
    json.dumps(found.as_dict())


def test_a_baseline_that_does_as_well_takes_the_gain_away(store):
    fill(store, GAIN, (0.8, 0.1, 0.78))
    assert judged(store, GAIN).outcome == "not reproduced"


def test_a_control_without_gain_reproduces_its_claim_and_with_one_does_not(store):
    fill(store, CONTROL, (0.02, 0.0, 0.0))
    assert judged(store, CONTROL).outcome == "reproduced"
    fill(store, CONTROL, (0.6, 0.0, 0.0))  # run again: the newest run of a config counts
    assert judged(store, CONTROL).outcome == "not reproduced"


def test_a_task_that_was_not_learned_leaves_nothing_to_judge(store):
    fill(store, GAIN, (0.0, 0.0, 0.0), right=0.5)
    found = judged(store, GAIN)
    assert found.outcome == "premise not met" and "not learned where trained: " in found.sentence()
    assert found.learned["reverse"] == found.learned["capitalize_reverse"] == 0.5


def test_the_baseline_with_fewer_examples_may_stay_untrained(store):
    for seed in range(3):
        for (name, make), value in zip(GAIN.series.items(), (0.8, 0.0, 0.0), strict=True):
            finished(store, make(seed), 0.4 if "examples" in name else 1.0, value)
    assert judged(store, GAIN).outcome == "reproduced"


def test_a_seed_counts_where_every_series_has_finished(store):
    fill(store, MORE, (0.9, 0.2), seeds=(0, 1))
    finished(store, MORE.series["reverse"](2), 1.0, 0.9)
    found = judged(store, MORE)
    assert found.seeds == [0, 1] and found.outcome == "too few seeds"
    finished(store, MORE.series["capitalize"](2), 1.0, 0.2)
    assert judged(store, MORE).outcome == "reproduced"


def test_a_seed_whose_run_was_given_up_is_named_with_the_reason(store):
    fill(store, MORE, (0.9, 0.2), seeds=(0, 1, 2, 4))
    finished(store, MORE.series["reverse"](3), 1.0, 0.0)
    lost = writes.create_run(store, MORE.series["capitalize"](3))
    leases.finish_run(store, lost, leases.start_run(store, lost, "w", "cpu"), "failed", error="disk full")
    found = judged(store, MORE)
    assert found.seeds == [0, 1, 2, 4] and found.left_out == {3: f"capitalize: run {lost} failed"}
    assert f"left out, as a run of theirs was given up: seed 3 (capitalize: run {lost} failed)" in found.sentence()
    retag(store, [queries.finished_by_hash(store)[MORE.series["reverse"](4).hash()]], add=[DELETED])
    assert set(judged(store, MORE).left_out) == {3, 4}, "a run that somebody deleted does not vanish either"


def test_a_control_is_judged_by_the_baseline_that_makes_it_harder(store):
    fill(store, CONTROL, (0.4, 0.0, 0.35))
    assert judged(store, CONTROL).differences == pytest.approx(dict.fromkeys(range(3), 0.4))
    assert judged(store, CONTROL).outcome == "not reproduced"


def test_positions_are_compared_by_what_each_gains(store):
    positions = replace(EXPERIMENTS["fig12-strings"], seeds=3)
    fill(store, positions, (0.8, 0.6, 0.65, 0.0))
    found = judged(store, positions)
    assert found.differences == pytest.approx(dict.fromkeys(range(3), 0.15 - 0.6))
    assert found.outcome == "not reproduced" and "difference of gains −0.45" in found.sentence()


def test_the_premise_is_asked_of_every_series_for_itself(store):
    for seed in range(3):
        for (_, make), right in zip(MORE.series.items(), (1.0, 0.91), strict=True):
            finished(store, make(seed), right, 0.5)
    found = judged(store, MORE)
    assert found.learned["capitalize_reverse"] == pytest.approx(0.91) and found.outcome == "premise not met"


def test_the_newest_run_is_the_one_that_finished_last_also_after_a_merge(store, tmp_path):
    older = open_store(str(tmp_path / "older.db"))
    fill(older, CONTROL, (0.9, 0.0, 0.0))
    fill(store, CONTROL, (0.0, 0.0, 0.0))
    merge(store, str(tmp_path / "older.db"))
    assert judged(store, CONTROL).outcome == "reproduced"
    together = next(iter(comparisons(store).values())).runs["co-trained"]
    assert set(together.values()) < set(judged(store, CONTROL).runs)


def test_an_empty_store_has_no_verdict_and_every_experiment_makes_its_runs(store):
    found = all_judged(store)
    assert {one.verdict for one in found} == {"not run yet"} and found[0].sentence() == "No finished seed yet"
    for experiment in EXPERIMENTS.values():
        runs = experiment.runs([0, 1])
        assert len(runs) == len({config.hash() for config in runs}) and len(runs) >= len(experiment.series)
        lengths = {config.transfer_length for config in runs}
        if experiment.rule == "ratio":
            assert len(experiment.series) == 25 and None in lengths, "half of the grid has no transfer region"
        else:
            assert None not in lengths and (experiment.rule == "none" or len(lengths) == 1)


def test_a_changed_figure_has_baselines_of_its_own_change():
    plain, deep = three_arms("add-multiply", "demo"), changed(three_arms("add-multiply", "demo"), "model.layers=5")
    assert deep.keys() == plain.keys()
    for name, make in deep.items():
        config, before = make(3), plain[name](3)
        assert config.model.layers == 5 and config.model_seed == 3
        assert replace(config, model=before.model) == before, name


def test_what_another_recipe_replaced_is_judged_and_does_not_count(store):
    replaced = {one.name: EXPERIMENTS[one.replaced_by] for one in EXPERIMENTS.values() if one.replaced_by}
    for name, by in replaced.items():
        old = EXPERIMENTS[name]
        assert not by.replaced_by and (old.claim, old.figures, old.rule) == (by.claim, by.figures, by.rule)
        assert old.series.keys() == by.series.keys() and old.runs([0])[0].hash() != by.runs([0])[0].hash()
    fill(store, EXPERIMENTS["fig8-copy-short"], (0.0, 0.0, 0.0), seeds=range(5))
    found = all_judged(store)
    assert "reproduced" in [one.verdict for one in found] and "reproduced" not in of_claim(found, 2)
    order = [bool(one.experiment.replaced_by) for one in found if one.experiment.claim == 2]
    assert order == sorted(order), "after those that count"


def test_runs_are_repeated_by_an_experiment_that_makes_them_whatever_it_was_called_then(shipped):
    engine = open_store(str(shipped))
    runs, named = queries.runs(engine), 0
    for comparison in comparisons(engine).values():
        shown = runs[runs.id.isin(comparison.ids(*comparison.runs))]
        sentence = repeat_sentence(shown, comparison)
        said = re.search(r"lgt experiment (\S+) --seeds (\S+) ", sentence)
        assert said or "lgt train" in sentence
        if said:
            named += 1
            made = {config.hash() for config in EXPERIMENTS[said[1]].runs(parse_seeds(said[2]))}
            assert set(shown.config_hash) <= made and len(made) <= 3 * len(shown)
    assert named > 5 and made_by({"0" * 16}, {0}) is None


def test_a_store_that_has_only_an_earlier_recipe_is_not_empty(tmp_path, monkeypatch):
    path = tmp_path / "a.db"
    store = open_store(str(path))
    fill(store, EXPERIMENTS["fig8-copy-short"], (0.0, 0.0, 0.0))
    monkeypatch.setenv("LGT_DATABASE_URL", str(path))
    app = AppTest.from_file(str(ROOT / "pages/claims.py"), default_timeout=60).run()
    assert not app.exception and any("Earlier recipes" in one.value for one in app.caption)
    text = write_report(store, tmp_path / "report.html").read_text()
    assert "fig8-copy judges this figure now" in text and "too few seeds" in text


def test_a_report_opens_without_a_server_and_says_what_the_command_says(store, tmp_path, capsys):
    experiment = EXPERIMENTS["fig4c"]
    for seed in range(5):
        for make, value in zip(experiment.series.values(), (0.8, 0.0, 0.1), strict=True):
            finished(store, make(seed), 1.0, value)
    path = tmp_path / "report.html"
    with pytest.raises(SystemExit):
        main(["report", str(path), "--database", str(tmp_path / "a.db")])
    text = path.read_text()
    assert text.count("<svg") == 5, "the verdicts, the seeds and three series"
    assert "http" not in text.replace("http://www.w3.org", ""), "nothing is loaded from elsewhere"
    assert judged(store, experiment).sentence() in text and ">reproduced<" in text
    with pytest.raises(SystemExit):
        main(["claims", "--database", str(tmp_path / "a.db")])
    assert judged(store, experiment).sentence() in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["report", str(tmp_path / "nowhere" / "report.html"), "--database", str(tmp_path / "a.db")])
    assert ended.value.code == 2 and "cannot be written" in capsys.readouterr().err


@pytest.mark.slow
def test_the_claims_page_shows_verdicts_and_an_empty_store_how_to_begin(tmp_path, shipped, monkeypatch):
    monkeypatch.setenv("LGT_DATABASE_URL", str(shipped))
    page = str(ROOT / "pages/claims.py")
    app = AppTest.from_file(page, default_timeout=60).run()
    assert not app.exception and not app.error
    labels = [box.label for box in app.expander]
    assert any(label.startswith(":green-badge[reproduced] **Digit sums and carries") for label in labels)
    assert len(labels) == len([e for e in EXPERIMENTS.values() if e.rule != "none"]) + 1, "each figure, and the rules"
    assert sum(element.value.startswith("So far: ") for element in app.markdown) == len(CLAIMS)
    drawn = len(app.get("vega_lite_chart"))
    app = AppTest.from_file(page, default_timeout=60)
    app.query_params["fig4c"] = "true"
    app.run()
    assert len(app.get("vega_lite_chart")) == drawn + 4, "an address opens a figure: the seeds and three series"
    assert any("experiment fig4c" in code.value for code in app.code)
    monkeypatch.setenv("LGT_DATABASE_URL", str(tmp_path / "none.db"))
    app = AppTest.from_file(page, default_timeout=60).run()
    assert not app.exception and "No finished runs" in app.info[0].value


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_the_matrix_and_the_verdicts_are_drawn_with_their_numbers(theme):
    cells = pd.DataFrame(
        [
            {
                "main": "string_copy",
                "auxiliaries": "mqar",
                "control": True,
                "gain": -0.06,
                "low": -0.1,
                "high": 0.0,
                "n": 5,
            },
            {
                "main": "capitalize_reverse",
                "auxiliaries": "capitalize+reverse",
                "control": False,
                "gain": 0.84,
                "low": nan,
                "high": nan,
                "n": 1,
            },
        ]
    )
    drawn = svg(transfer_matrix(cells, theme), 600)
    for text in ("−0.06", "+0.84", "n = 5", "n = 1", "Flip case + Reverse", "Associative recall (unrelated)"):
        assert text in drawn
    row = {"figure": "fig3a", "statement": "3a · Sums lift", "outcome": "reproduced"}
    row |= {"mean": 0.6, "low": 0.5, "high": 0.7}
    rows = pd.DataFrame([row | {"seed": seed, "difference": 0.5 + seed / 10} for seed in range(3)])
    drawn = svg(verdict_chart(rows, theme), 600)
    seeds = re.search(r'<g class="mark-symbol role-mark[^>]*>((?:<path[^>]*/>){3,})</g>', drawn)
    assert "3a · Sums lift" in drawn and "reproduced, n = 3" in drawn and "95% t interval" in drawn and seeds
    for empty in (transfer_matrix(cells[:0], theme), verdict_chart(pd.DataFrame(), theme)):
        assert "yet" in svg(empty, 600)


def test_a_cell_of_the_matrix_is_the_mean_paired_gain(store):
    fill(store, GAIN, (0.8, 0.1, 0.3))
    (comparison,) = comparisons(store).values()
    sides = [queries.accuracy(store, comparison.ids(arm)) for arm in ("co-trained", "alone-same-steps")]
    row = gain_row(comparison.config, *sides)
    assert (row["main"], row["auxiliaries"], row["n"]) == ("capitalize_reverse", "capitalize+reverse", 3)
    assert row["gain"] == pytest.approx(0.7)
    assert gain_row(comparison.config, sides[0], sides[1][:0]) is None


@pytest.mark.slow
def test_the_matrix_page_draws_the_shipped_store(shipped, tmp_path, monkeypatch):
    monkeypatch.setenv("LGT_DATABASE_URL", str(shipped))
    page = str(ROOT / "pages/matrix.py")
    app = AppTest.from_file(page, default_timeout=60).run()
    assert not app.exception and not app.error and app.get("vega_lite_chart")
    monkeypatch.setenv("LGT_DATABASE_URL", str(tmp_path / "none.db"))
    app = AppTest.from_file(page, default_timeout=60).run()
    assert not app.exception and "No finished runs" in app.info[0].value


def test_no_seed_is_drawn_at_the_edge_of_the_axis_instead_of_beyond_it():
    row = {"figure": "f", "statement": "s", "outcome": "reproduced", "mean": 1.5, "low": 1.2, "high": 1.8}
    spec = verdict_chart(pd.DataFrame([row | {"seed": 0, "difference": 1.6}]), LIGHT).to_dict()
    ranges = [layer["encoding"]["x"]["scale"]["domain"] for layer in spec["layer"] if "scale" in layer["encoding"]["x"]]
    assert ranges and all(low <= 0 and high >= 1.6 for low, high in ranges)

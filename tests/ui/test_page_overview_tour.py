"""Overview's tour, presenter mode, prediction and what a viewer takes along; their charts, sentences and numbers."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pytest

from lgt.charts import DARK, LIGHT, length_accuracy
from lgt.charts.guess import guess_curve
from lgt.core.config import TaskOptions, with_setting
from lgt.experiments.judging import judge
from lgt.experiments.registry import EXPERIMENTS
from lgt.metrics.by_seed import SeedSummary, auxiliaries_by_seed, mean_curve, trained_by_seed
from lgt.metrics.guesses import asked_lengths, guess_error
from lgt.recipes.groups import GROUPS
from lgt.recipes.presets import group_config
from lgt.recipes.settings import Setting
from lgt.store import leases, queries, writes
from lgt.store.comparisons import Comparison, comparisons
from lgt.store.engine import open_store
from lgt.tasks import TASKS
from lgt.tasks.examples import example_note, worked_example
from lgt.ui import downloads as handout
from lgt.ui import look
from lgt.ui import overview_sentences as story
from lgt.ui.drawing import DRAWN, Drawn
from lgt.ui.facts import control_of, figure_of
from tests import frames
from tests.conftest import ROOT
from tests.ui.test_pages import opened, words

pytestmark = pytest.mark.slow

PAGE = "pages/overview.py"
SAME_STEPS = "alone-same-steps"
DASHBOARD = "app.py"  # the last step links to other pages, which only the whole dashboard has


def texts(app) -> str:
    """Everything the page says, with what look.py writes as HTML."""
    return words(app) + "\n".join(str(element.proto.body) for element in app.get("html"))


def keys(app) -> set[str]:
    return {button.key for button in app.button}


# --- numbers --------------------------------------------------------------------------------------------------


def test_the_error_of_a_guess_is_the_mean_absolute_difference_at_the_guessed_lengths():
    error = guess_error({8: 1.0, 12: 0.5, 16: 0.2}, {8: 0.9, 12: 0.9, 16: 0.1, 4: 0.0})
    assert error.points == pytest.approx((10 + 40 + 10) / 3) and error.n == 3
    assert (error.worst, error.guessed, error.measured) == (12, 0.5, 0.9)
    with pytest.raises(ValueError, match="length 20"):
        guess_error({20: 0.5}, {8: 1.0})
    with pytest.raises(ValueError):
        guess_error({}, {8: 1.0})


def test_guesses_are_asked_at_measured_lengths_in_every_zone():
    config = group_config("caprev", "demo")
    assert asked_lengths(config, range(1, 21)) == [8, 12, 16, 20]
    assert asked_lengths(config, [8, 16]) == [8, 16]


def test_means_over_zones_by_hand():
    accuracy = frames.accuracy(seeds=2)
    assert trained_by_seed(accuracy).values == pytest.approx({0: 1.0, 1: 1.0})
    assert auxiliaries_by_seed(accuracy).values == pytest.approx({0: 1.0, 1: 1.0})
    assert auxiliaries_by_seed(frames.accuracy(together=False)) is None
    assert mean_curve(accuracy)[10] == pytest.approx(((50 - 6) / 50 + (50 - 8) / 50) / 2)


# --- worked examples --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_an_example_that_never_changes(task):
    first, again = (worked_example(task, 4, TaskOptions()) for _ in range(2))
    assert first == again and first[0].endswith("=") and first[1] and "<" not in "".join(first)


def test_examples_are_right_by_plain_arithmetic_and_share_their_prompt():
    prompt, answer = worked_example("reverse_add", 4, TaskOptions())
    a, b = (int(text[::-1]) for text in prompt.rstrip("=").split("+"))
    assert int(answer[::-1]) == a + b and f"{a} + {b}" in example_note("reverse_add", prompt)
    assert (
        worked_example("no_carry", 4, TaskOptions())[0] == worked_example("carry_only", 4, TaskOptions())[0] == prompt
    )
    letters, flipped = worked_example("capitalize_reverse", 4, TaskOptions())
    assert flipped == letters.rstrip("=")[::-1].swapcase()


# --- charts -----------------------------------------------------------------------------------------------------


def test_no_measured_number_is_in_the_chart_before_the_reveal():
    accuracy = frames.accuracy()
    accuracy["correct"] = 41  # a share that nothing else in a chart has
    guess = {8: 1.0, 16: 0.5}
    hidden = json.dumps(guess_curve(accuracy, LIGHT, guess, revealed=False).to_dict())
    shown = json.dumps(guess_curve(accuracy, LIGHT, guess, revealed=True).to_dict())
    assert "0.82" in shown and "0.82" not in hidden and '"correct"' not in hidden
    for spec in (hidden, shown):
        assert '"guess": 0.5' in spec and "50% at length 16" in spec


def test_a_chart_without_rows_or_guess_says_so():
    for frame, guess in ((frames.accuracy().iloc[:0], {8: 1.0}), (frames.accuracy(), {})):
        assert "nothing to guess" in json.dumps(guess_curve(frame, DARK, guess, revealed=True).to_dict())


def test_one_zone_can_be_framed():
    plain, framed = (
        json.dumps(length_accuracy(frames.accuracy(), LIGHT, emphasis=zone).to_dict())
        for zone in (None, "transfer region")
    )
    assert '"filled": false' not in plain and '"filled": false' in framed


# --- sentences --------------------------------------------------------------------------------------------------


def told(**changes) -> story.Facts:
    facts = {
        "config": group_config("caprev", "demo"), "alone": SeedSummary({0: 0.1, 1: 0.2}),
        "alone_trained": SeedSummary({0: 1.0, 1: 1.0}), "together": SeedSummary({0: 0.8, 1: 0.6}),
        "together_trained": SeedSummary({0: 1.0, 1: 1.0}), "auxiliaries": SeedSummary({0: 0.99, 1: 0.97}),
        "gain": SeedSummary({0: 0.7, 1: 0.4}),
    }  # fmt: skip
    return story.Facts(**(facts | changes))


def test_the_tour_tells_the_numbers_of_its_pair():
    control = story.Control("Reverse", SeedSummary({0: 0.05}), "control.demo")
    steps = story.steps(told(control=control, region_ends={9: 0.95, 16: 0.4}), "3 heads.")
    assert len(steps) == story.STEPS and [step.closing for step in steps] == [False] * 6 + [True]
    assert "100% (each of 2 seeds)" in steps[1].text and "15% (mean of 2 seeds, 10% to 20%)" in steps[2].text
    assert steps[2].title == "Alone, it fails at longer prompts" and "9–16 characters" in steps[2].text
    assert len(steps[3].examples) == 2 and "related" in steps[3].title
    assert "+55 points (mean of 2 seeds, +40 to +70)" in steps[4].text and "longer" in steps[4].title
    assert "70% (mean of 2 seeds, 60% to 80%) right: 95% at 9, 40% at 16." in steps[4].text
    assert steps[5].text.startswith("An **attention head** is a part of the network") and "3 heads." in steps[5].text
    assert "(**Reverse**, [its curves](?pair=control.demo))" in steps[6].text
    assert "gets 5% (1 seed) right at 9–16 characters. For comparison: alone 15% and together with" in steps[6].text


def test_the_tour_says_how_large_the_model_is_and_that_a_control_is_missing():
    config = group_config("add-carry", "small")
    steps = story.steps(told(config=config), "")
    assert f"{config.model.layers} layers of {config.model.heads} attention heads" in steps[0].text
    assert "whether such a task would help too" in steps[6].text
    assert "would help too" not in story.steps(told(gain=SeedSummary({0: 0.0})), "")[6].text


def test_a_sentence_says_both_ends_of_the_region_as_well_as_the_mean():
    both = told(region_ends={16: 0.4, 9: 0.95})
    assert "70% at 9–16 characters: 95% at 9, 40% at 16." in story.together_sentence(both)
    assert "70% at 9–16 characters. Difference" in story.together_sentence(told(region_ends={9: 0.95}))


def test_lengths_begin_where_the_task_does():
    facts = told(config=group_config("path-dfs", "demo"))
    said = [step.text for step in story.steps(facts, "")] + [story.alone_sentence(facts)]
    assert any("prompts of 2 to 6 nodes" in text for text in said) and any("on 2–6 nodes" in text for text in said)
    assert not any("1 to 6" in text or "1–6" in text for text in said)


def test_the_tour_claims_nothing_that_the_numbers_do_not_say():
    steps = story.steps(told(alone=SeedSummary({0: 0.7}), gain=SeedSummary({0: 0.02})), "")
    assert "fails" not in steps[2].title and steps[4].title == "Together, little changes"
    missing = story.steps(told(alone=None, alone_trained=None, gain=None, auxiliaries=None), "")
    assert "has not been run" in missing[2].text and "Difference" not in missing[4].text
    control = story.steps(told(config=group_config("control-copy", "demo")), "")
    assert "unrelated" in control[3].title and "is a control" in control[6].text


# --- the page ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", range(1, story.STEPS + 1))
@pytest.mark.parametrize("pair", ["caprev.demo", "add-carry.small", "path-dfs.demo"])
def test_every_step_of_every_tour_is_drawn(step, pair, shipped, monkeypatch):
    app = opened(DASHBOARD, shipped, monkeypatch, tour=str(step), pair=pair)
    assert not app.exception and not app.error
    assert f"Step {step} of 7" in words(app)
    assert app.button(key="tour-back").disabled == (step == 1) and app.button(key="tour-next").disabled == (step == 7)


def test_the_tour_shows_the_stores_numbers_and_goes_on_and_back(shipped, monkeypatch):
    engine = open_store(str(shipped))
    ids = comparisons(engine)[Setting("caprev", "demo", "rope")].ids("co-trained")
    counts = queries.accuracy(engine, ids)
    region = counts[(counts.role == "main") & (counts.length > 8) & (counts.length <= 16)]
    mean = (region.correct / region.total).groupby(region.run_id).mean().mean()
    app = opened(PAGE, shipped, monkeypatch, tour="4", pair="caprev.demo")
    app.button(key="tour-next").click().run()
    assert app.query_params["tour"] in ("5", ["5"])
    assert f"it now gets {mean:.0%} (mean of {len(ids)} seeds" in words(app)
    app.button(key="tour-back").click().run()
    assert "Step 4 of 7" in words(app)
    app.button(key="tour-end").click().run()
    assert "tour" not in app.query_params and "of 7" not in words(app) and "tour-start" in keys(app)
    app.button(key="tour-start").click().run()
    assert "Step 1 of 7" in words(app) and not app.exception


def charts(app) -> list[dict]:
    """The specifications of the page's charts."""
    return [json.loads(chart.proto.spec) for chart in app.get("arrow_vega_lite_chart") or app.get("vega_lite_chart")]


def beyond(app, key: str, length: int) -> int:
    """How many rows of a chart's data are about the main task at longer inputs than these."""
    drawn = app.session_state[DRAWN][key]
    points = [row for rows in drawn.specification["datasets"].values() for row in rows if "mean" in row]
    assert points and len(drawn.table)
    table = drawn.table[(drawn.table.role == "main") & (drawn.table.length > length)]
    return len(table) + sum(row["role"] == "main" and row["length"] > length for row in points)


@pytest.mark.parametrize("step", range(1, story.STEPS + 1))
def test_the_answer_is_kept_until_its_step(step, shipped, monkeypatch):
    number = re.findall(r"<b>(\d+%)</b>", texts(opened(PAGE, shipped, monkeypatch, pair="caprev.demo")))[1]
    app = opened(DASHBOARD, shipped, monkeypatch, pair="caprev.demo", tour=str(step))
    drawn = len(charts(app))
    assert beyond(app, "curve-alone", 8)
    if step < story.REVEAL:
        assert "<b>?</b>" in texts(app) and number not in texts(app) and not app.metric and drawn == 2
        assert not beyond(app, "curve-together", 8)
    else:
        assert "<b>?</b>" not in texts(app) and number in texts(app) and app.metric and drawn == 4
        assert beyond(app, "curve-together", 8)


@pytest.mark.parametrize(
    ("pair", "figure"), [("add-carry.small", "fig3a"), ("control-add.small", "fig8-add"), ("path-dfs.demo", "fig7")]
)
def test_a_gain_carries_the_verdict_of_its_figure(pair, figure, shipped, monkeypatch):
    judgement = judge(open_store(str(shipped)), EXPERIMENTS[figure])
    app = opened(PAGE, shipped, monkeypatch, pair=pair)
    link = f"[The paper's figure {judgement.experiment.figures} ({judgement.rule.name})](claims?{figure}=true): :"
    assert link in words(app) and f"-badge[{judgement.verdict}]" in words(app) and words(app).count("claims?") == 1


def test_only_a_pair_that_a_figure_asks_about_has_a_verdict(shipped, monkeypatch):
    found = comparisons(open_store(str(shipped)))
    named = {setting: figure_of(one) for setting, one in found.items()}
    assert all(one is None for setting, one in named.items() if setting.group not in GROUPS)
    assert {s: one.name for s, one in named.items() if one and s.group == "caprev"} == {
        Setting("caprev", "demo", "rope"): "fig4c",
        Setting("caprev", "long", "rope"): "long-caprev",
    }
    one = found[Setting("caprev", "demo", "rope")]
    steps = replace(one.config, training=replace(one.config.training, steps=7))
    assert figure_of(replace(one, config=steps)) is None
    free = next(setting for setting, figure in named.items() if figure is None and found[setting].ids(SAME_STEPS))
    app = opened(PAGE, shipped, monkeypatch, pair=free.key)
    assert app.metric and "claims?" not in words(app)


OTHERS = ("launch", "pretraining")
"""Pages that do not lead to Launch: itself, and one whose runs a command makes (tests/ui/test_page_pretraining.py)."""


@pytest.mark.parametrize(
    "path",
    sorted(path for path in (ROOT / "pages").glob("*.py") if path.stem not in OTHERS),
    ids=lambda path: path.stem,
)
def test_every_page_without_results_leads_to_the_launch_page(path, tmp_path, monkeypatch):
    switches = []
    monkeypatch.setattr("streamlit.switch_page", lambda page, query_params: switches.append((page, query_params)))
    app = opened(f"pages/{path.name}", tmp_path / "empty.db", monkeypatch)
    assert "No finished runs of a task group yet" in words(app) and not switches
    app.button(key="first-pair").click().run()
    assert not app.exception and [(page.url_path, choice) for page, choice in switches] == [
        ("launch", {"group": "caprev", "preset": "demo"})
    ]


@pytest.mark.parametrize("value", ["", "0", "8", "-1", "two", "1e0", "٣", "x" * 1500])
def test_an_odd_tour_or_guess_is_the_plain_page(value, shipped, monkeypatch):
    app = opened(PAGE, shipped, monkeypatch, tour=value, present=value, predict=value, guess=value)
    assert not app.exception and not app.error
    assert {"tour-start", "predict-start"} <= keys(app) and "leave" not in keys(app)


@pytest.mark.parametrize("address", [{"tour": "3"}, {"present": "1"}, {"predict": "1"}, {"predict": "1", "guess": "1"}])
@pytest.mark.parametrize("store", ["missing", "failed"])
def test_without_results_every_mode_says_how_to_get_some(address, store, tmp_path, monkeypatch):
    path = tmp_path / "empty.db"
    if store == "failed":
        engine = open_store(str(path))
        run_id = writes.create_run(engine, group_config("caprev", "demo"))
        leases.finish_run(engine, run_id, leases.start_run(engine, run_id, "test", "cpu"), "failed", "out of memory")
    app = opened(PAGE, path, monkeypatch, **address)
    assert not app.exception and not app.error and "No finished runs of a task group yet" in words(app)


def test_presenter_mode_has_large_charts_a_way_out_and_no_share(shipped, monkeypatch):
    app = opened(PAGE, shipped, monkeypatch, present="1")
    specs = charts(app)
    assert {spec["config"]["axis"]["labelFontSize"] for spec in specs if "config" in spec} == {17}
    assert [spec["height"] for spec in specs][:2] == [240, 240]
    assert "leave" in keys(app) and "present" not in keys(app)
    app.button(key="leave").click().run()
    assert "present" not in app.query_params and "leave" not in keys(app) and not app.exception


def test_a_prediction_hides_the_result_until_it_is_revealed(shipped, monkeypatch):
    plain = opened(PAGE, shipped, monkeypatch, pair="caprev.demo")
    number = re.findall(r"<b>(\d+%)</b>", texts(plain))[1]
    app = opened(PAGE, shipped, monkeypatch, pair="caprev.demo", predict="1")
    assert not app.exception and "<b>?</b>" in texts(app) and number not in texts(app)
    assert not app.metric and len(app.get("arrow_vega_lite_chart") or app.get("vega_lite_chart")) == 2
    app.slider(key="guess-12").set_value(80).run()
    app.button(key="reveal").click().run()
    assert app.query_params["guess"] in ("50-80-50-50", ["50-80-50-50"])
    assert number in texts(app) and "Your guess was" in words(app) and app.metric
    app.button(key="guess-again").click().run()
    assert number not in texts(app)
    app.button(key="predict-end").click().run()
    assert number in texts(app) and "predict" not in app.query_params


def test_a_revealed_guess_says_how_far_off_it_was(shipped, monkeypatch):
    engine = open_store(str(shipped))
    ids = comparisons(engine)[Setting("caprev", "demo", "rope")].ids("co-trained")
    rows = queries.accuracy(engine, ids).query("role == 'main'")
    means = (rows.correct / rows.total).groupby(rows.length).mean()
    off = sum(abs(means[length] - 0.3) for length in (8, 12, 16, 20)) / 4
    app = opened(PAGE, shipped, monkeypatch, pair="caprev.demo", predict="1", guess="30-30-30-30")
    assert f"Your guess was {100 * off:.0f} points off, on average over 4 lengths" in words(app)


# --- what a viewer takes along ------------------------------------------------------------------------------------


def test_the_zip_holds_numbers_specifications_and_drawings(shipped, monkeypatch):
    engine = open_store(str(shipped), read_only=True)
    table = queries.accuracy(engine, [7])
    charts = {"lgt-x-curve-alone": Drawn("Curve, alone", length_accuracy(table, LIGHT).to_dict(), table)}
    packed = handout.bundle(charts, engine, "X", datetime(2026, 1, 2, tzinfo=UTC))
    assert packed == handout.bundle(charts, engine, "X", datetime(2026, 1, 2, tzinfo=UTC))
    files = zipfile.ZipFile(io.BytesIO(packed))
    curve = {f"lgt-x-curve-alone.{kind}" for kind in ("csv", "vl.json", "svg")}
    assert set(files.namelist()) == {*curve, "README.txt", "runs.csv"}
    counts = ["step", "task", "length", "correct", "total"]
    pd.testing.assert_frame_equal(
        pd.read_csv(files.open("lgt-x-curve-alone.csv"))[counts], table[counts], check_dtype=False
    )
    assert "vega-lite" in json.loads(files.read("lgt-x-curve-alone.vl.json"))["$schema"]
    monkeypatch.setitem(__import__("sys").modules, "vl_convert", None)
    without = handout.bundle(charts, engine, "X", datetime.now(UTC))
    assert "lgt-x-curve-alone.svg" not in zipfile.ZipFile(io.BytesIO(without)).namelist()


def luminance(colour: str) -> float:
    channels = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_on_and_in_the_accent_can_be_read_in_both_themes():
    import tomllib

    from tests.conftest import ROOT

    themes = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"]
    ink = re.search(r"color: (#\w{6})", look.ON_ACCENT).group(1)
    for theme, charts, text in ((themes["light"], LIGHT, "#FFFFFF"), (themes["dark"], DARK, ink)):
        assert theme["primaryColor"] == charts.shared and theme["backgroundColor"] == charts.surface
        assert contrast(text, theme["primaryColor"]) >= 4.5
        assert contrast(theme["primaryColor"], theme["backgroundColor"]) >= 4.5


def test_a_control_belongs_to_a_pair_that_was_trained_like_it():
    def of(group, *settings, runs=1):
        config = group_config(group, "small")
        for setting in settings:
            config = with_setting(config, *setting.split("="))
        own = Setting(group, "small", "rope", settings)
        return {own: Comparison(own, config, {"co-trained": {seed: seed + 1 for seed in range(runs)}})}

    control = of("control-add")
    (stranger,) = control.values()
    for group, settings, found in (
        ("add-carry", (), stranger),
        ("add-carry", ("training.steps=9",), None),
        ("add-carry", ("model.layers=4",), None),
        ("add-subtract", (), None),  # deeper and longer
        ("caprev", (), None),
    ):
        pair = of(group, *settings)
        assert control_of(control | pair, *pair.values()) is found, (group, settings)
    assert control_of(of("control-add", runs=0), *of("add-carry").values()) is None, "nothing was run"


def test_an_earlier_recipes_verdict_is_called_one(shipped, monkeypatch):
    found = comparisons(open_store(str(shipped)))
    earlier = next(one for one in found.values() if (figure := figure_of(one)) and figure.replaced_by)
    app = opened("app.py", shipped, monkeypatch, pair=earlier.setting.key)
    assert ", earlier attempt)]" in words(app)
    assert ", earlier attempt)]" not in words(opened("app.py", shipped, monkeypatch, pair="caprev.demo"))

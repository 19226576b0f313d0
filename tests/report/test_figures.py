"""Charts that rules ask for by name: every name exists, and the charts carry the figure's numbers."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from lgt.charts import DARK, LIGHT, circuit_chart, gap_by_ratio, gap_grid, seed_strip, stability_chart
from lgt.experiments.judging import judge
from lgt.experiments.registry import EXPERIMENTS
from lgt.experiments.rules.base import ChartRequest
from lgt.experiments.rules.gain import Gain
from lgt.experiments.rules.ratio import paper_grid
from lgt.experiments.rules.unstable_over_steps import UnstableOverSteps
from lgt.experiments.tables import overview_charts
from lgt.recipes.builders import ALONE_SAME_EXAMPLES, ALONE_SAME_STEPS, CO_TRAINED
from lgt.report.figures import resolve
from lgt.report.html import svg
from lgt.store import queries
from tests.experiments.stores import fill, fill_grid, follow

pytestmark = pytest.mark.slow

GRID, MAPS = EXPERIMENTS["fig10"], EXPERIMENTS["fig18-maps"]
GAIN = replace(EXPERIMENTS["fig4c"], seeds=3)
NO_ACCURACY = pd.DataFrame()


def drawn(judgement, theme, accuracy=NO_ACCURACY) -> list[str]:
    return [svg(chart(), 600) for chart in resolve(judgement.charts(accuracy), theme)]


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_the_grid_is_drawn_with_its_numbers(store, theme):
    fill_grid(store, GRID, lambda main, other: 0.4 if other > 2 * main else 0.0, lambda main, other: other != 32, [3])
    by_ratio, ours, paper = drawn(judge(store, GRID), theme)
    assert "0.40" in ours and "5 of 25 cells" in ours and "0.95" in paper
    assert "1/16" in by_ratio and "lengths 4 to 256" in by_ratio


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_rules_over_training_are_drawn_with_their_numbers(store, theme):
    follow(store, MAPS, lambda k: 1 - k / 11)
    (panels,) = drawn(judge(store, MAPS), theme)
    assert "seed 7: ρ = +1.00" in panels
    lines, strip = drawn(judge(store, replace(MAPS, rule=UnstableOverSteps())), theme)
    assert "A panel is a seed (3) with 10" in lines and "All seeds are shown (3)" in strip


def test_a_gain_is_drawn_with_a_curve_for_each_series(store):
    fill(store, GAIN, {CO_TRAINED: 0.8, ALONE_SAME_STEPS: 0.1, ALONE_SAME_EXAMPLES: 0.3})
    found = judge(store, GAIN)
    strip, *curves = drawn(found, LIGHT, queries.accuracy(store, found.runs))
    assert "All seeds are shown (3)" in strip and len(curves) == 3 and "alone, same main-task examples" in curves[2]


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_charts_without_rows_say_so(store, theme):
    follow(store, MAPS, lambda k: 0.5, seeds=[0])
    found = judge(store, MAPS)
    nothing = pd.DataFrame(columns=["seed", "step", "map_difference"])
    none = paper_grid()[:0].assign(seed=0)
    empty = (
        gap_grid(none, theme), gap_by_ratio(none, paper_grid(), theme),
        stability_chart(nothing, theme, main="reverse_add"), seed_strip(found.seeds_frame()[:0], theme),
    )  # fmt: skip
    assert all("yet" in svg(chart, 600) for chart in empty)
    assert "cannot be compared" in svg(circuit_chart(nothing, "map_difference", {}, theme), 600)


def test_verdicts_on_another_scale_or_with_another_threshold_have_an_overview_of_their_own(store):
    fill(store, GAIN, {CO_TRAINED: 0.8, ALONE_SAME_STEPS: 0.1, ALONE_SAME_EXAMPLES: 0.3})
    follow(store, MAPS, lambda k: 1 - k / 11)
    strict = replace(GAIN, name="strict", rule=Gain(smallest=0.25))
    found = [judge(store, one) for one in (GAIN, MAPS, replace(GAIN, name="again"), strict)]
    accuracy, circuits, other = overview_charts(found)
    assert [list(one.arguments[0].figure.unique()) for one in (accuracy, circuits, other)] == [
        ["fig4c", "again"], ["fig18-maps"], ["strict"],
    ]  # fmt: skip
    smallest = [one.options["smallest"] for one in (accuracy, circuits, other)]
    assert smallest == [GAIN.rule.smallest, MAPS.rule.smallest, 0.25] and smallest[0] < smallest[1]
    assert all("95% t interval" in svg(chart(), 600) for chart in resolve((accuracy, circuits, other), LIGHT))


def own_chart(text, theme, *, size):
    return text, theme.name, size


def test_a_chart_may_live_in_another_module_and_an_unknown_name_is_refused():
    (chart,) = resolve([ChartRequest(f"{__name__}:own_chart", ("a",), {"size": 3})], DARK)
    assert chart() == ("a", "dark", 3)
    for name in ("no_such_chart", "LIGHT", "accuracy", f"{__name__}:missing"):
        with pytest.raises(LookupError, match="there is no chart"):
            resolve([ChartRequest(name, ())], LIGHT)

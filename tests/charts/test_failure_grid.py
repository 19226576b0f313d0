"""Pictures of failure: the cells, bars and outlines of hand-made answers."""

from __future__ import annotations

import pandas as pd
import pytest

from lgt.charts import DARK, LIGHT
from lgt.charts import failures as chart
from lgt.charts.failures import ROW_ORDERS, failure_grid, placed
from lgt.charts.theme import ERROR_COLOURS
from lgt.metrics.failures import KINDS
from tests.charts.test_charts import DEFICIENCIES, lab, luminance
from tests.charts.test_specifications import by, failures, only, rows, select, units


def drawn(**options):
    return failure_grid(failures(), LIGHT, **options).to_dict()


def test_a_cell_says_of_each_token_whether_it_is_right_wrong_or_missing():
    spec = drawn(order="test set")
    _, cells = only(spec, "rect", x="left", color="fill", opacity="opacity")
    grey, shades = ERROR_COLOURS["right"][0], {kind: of[0] for kind, of in ERROR_COLOURS.items()}
    by_row: dict[float, list[tuple[float, float, str, float]]] = {}
    for cell in sorted(cells, key=lambda cell: (cell["top"], cell["left"])):
        place = (cell["left"], cell["right"], cell["fill"], cell["opacity"])
        by_row.setdefault((cell["left"] >= 6, cell["top"]), []).append(place)
    short = [row for (second, _), row in sorted(by_row.items()) if not second]
    assert short == [
        [(0, 4, grey, 1.0)],  # right
        [(0, 3, grey, 1.0), (3, 4, shades["did not stop"], 1.0)],
        [(0, 2, grey, 1.0), (2, 3, shades["stopped early"], 1.0), (3, 4, shades["stopped early"], 0.3)],
    ]
    long = [row for (second, _), row in sorted(by_row.items()) if second]
    assert long == [
        [(6, 7, grey, 1.0), (7, 8, shades["dropped carry"], 1.0), (8, 10, grey, 1.0),
         (10, 11, shades["dropped carry"], 1.0), (11, 12, grey, 1.0)],
        [(6, 12, grey, 1.0)],
    ]  # fmt: skip


def test_bars_count_every_row_and_line_up_with_the_chart_beside_it():
    spec = drawn(kinds=["shifted"])
    unit, bars = _bars(spec)
    assert {tip["field"] for tip in unit["encoding"]["tooltip"]} == {"kind", "count"}
    counts = {key: row["count"] for key, row in by(bars, "kind", "block_end").items()}
    assert counts == {
        ("right", 4): 1, ("stopped early", 4): 1, ("did not stop", 4): 1, ("dropped carry", 4): 0, ("shifted", 4): 0,
        ("right", 12): 1, ("stopped early", 12): 0, ("did not stop", 12): 0, ("dropped carry", 12): 1,
        ("shifted", 12): 0,
    }  # fmt: skip
    shares = {key: (row["right"] - row["left"]) for key, row in by(bars, "kind", "block_end").items()}
    assert shares["right", 4] == pytest.approx(4 / 3) and shares["dropped carry", 12] == pytest.approx(3)
    right_only = failure_grid(failures().assign(error_kind="right"), LIGHT, kinds=sorted(set(failures().error_kind)))
    assert right_only.to_dict()["height"] == drawn()["height"], "charts side by side are equally high"


def _bars(spec):
    (unit,) = [unit for unit in select(spec, "rect", x="left", color="fill") if "tooltip" in unit["encoding"]]
    return unit, rows(spec, unit)


def test_a_bar_counts_prompts_that_have_no_row(monkeypatch):
    monkeypatch.setattr(chart, "ROWS", 2)
    spec = drawn(order="test set")
    _, bars = _bars(spec)
    assert sum(row["count"] for row in bars) == 5, "all prompts"
    _, told = only(spec, "rect", x="start")
    assert [(row["length"], row["test_prompt"]) for row in told] == [(2, 1), (2, 2), (4, 1), (4, 2)], "the first two"
    assert "the first 2 of 3, 2 of 90 test prompts" in spec["description"]


def test_outlines_are_the_carry_chains():
    spec = drawn(order="test set")
    (unit,) = [unit for unit in select(spec, "rect", x="left") if unit["mark"].get("filled") is False]
    places = sorted((row["left"], row["right"]) for row in rows(spec, unit))
    assert places == [(1, 2), (7, 8), (7, 9), (10, 11)]


def test_tasks_without_carries_have_no_outline_and_no_word_of_it():
    spec = failure_grid(failures().assign(carries_in=""), LIGHT).to_dict()
    assert not [unit for unit in units(spec) if unit["mark"].get("filled") is False]
    assert "carried" not in spec["description"] and "carried" in drawn()["description"]


def test_rows_are_in_the_order_that_is_asked_for():
    orders = {
        order: [tuple(pair) for pair in placed(failures(), order, LIGHT)[["length", "test_prompt"]].to_numpy().tolist()]
        for order in ROW_ORDERS
    }
    assert orders["test set"] == [(2, 1), (2, 2), (2, 3), (4, 1), (4, 2)]
    assert orders["kind of error"] == [(2, 1), (2, 3), (2, 2), (4, 2), (4, 1)]
    assert orders["carry chain"] == [(2, 1), (2, 3), (2, 2), (4, 2), (4, 1)]
    first = placed(failures().assign(error_kind="other error"), "kind of error", LIGHT)
    assert first[first.length == 2].first_wrong.is_monotonic_increasing


def test_a_gap_parts_the_kinds_and_nothing_else():
    tops = (
        placed(failures(), "kind of error", LIGHT).groupby("length").top.apply(lambda of: of.diff().dropna().tolist())
    )
    assert tops[2] == [10, 10] and tops[4] == [10]
    assert placed(failures(), "test set", LIGHT).groupby("length").top.diff().dropna().tolist() == [7, 7, 7]


def test_the_chosen_row_is_framed_and_a_click_names_its_row():
    spec = drawn(chosen=(4, 2), selection="clicked")
    framed = [unit for unit in select(spec, "rect", x="start") if unit["mark"].get("filled") is False]
    assert [(row["length"], row["test_prompt"]) for row in rows(spec, framed[0])] == [(4, 2)]
    (parameter,) = spec["params"]
    assert parameter["name"] == "clicked" and parameter["select"]["fields"] == ["length", "test_prompt"]
    assert not [unit for unit in select(drawn(), "rect", x="start") if unit["mark"].get("filled") is False]


def test_the_words_say_what_is_counted():
    said = drawn(title="Run 7")["description"]
    assert "length 2 (trained), 3 test prompts: 1 right, 1 stopped early, 1 did not stop" in said
    assert "length 4 (beyond), 2 test prompts: 1 right, 1 dropped carry" in said and said.startswith("Run 7: length 2")
    assert "Addition, greedy answers." in said
    lines = by([row for unit in select(drawn(), "text", text="n") for row in rows(drawn(), unit)], "length")
    assert {length: row["n"] for length, row in lines.items()} == {2: "n = 3", 4: "n = 2 of 90"}
    assert {length: row["name"] for length, row in lines.items()} == {2: "2 digits", 4: "4 digits"}
    assert failure_grid(pd.DataFrame(), LIGHT).to_dict()["description"].startswith("There is no test prompt")


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("eyes", DEFICIENCIES)
def test_kinds_of_errors_stay_apart_for_colour_blind_eyes(eyes, theme):
    shades = {kind: ERROR_COLOURS[kind][theme.dark] for kind in KINDS}
    for one in KINDS:
        for other in KINDS[KINDS.index(one) + 1 :]:
            a, b = (lab(shades[kind], DEFICIENCIES[eyes]) for kind in (one, other))
            assert sum((a - b) ** 2) ** 0.5 > 22, (one, other)
        ends = sorted([luminance(shades[one]), luminance(theme.surface)], reverse=True)
        assert one == "right" or (ends[0] + 0.05) / (ends[1] + 0.05) >= 3

"""What the specifications of charts draw: rows, fields, axes and domains, against numbers worked out by hand.

Every public chart of :mod:`lgt.charts` has an entry in ``CHARTS``; data are lopsided, so that no two axes, ends of a
band or labels can be exchanged unseen.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lgt import charts
from lgt.charts import guess, pattern
from lgt.charts import theme as palette
from lgt.charts.accuracy import length_accuracy
from lgt.charts.panels import TALL, WIDE
from lgt.charts.theme import LIGHT, task_colour
from lgt.charts.training import PANEL
from lgt.metrics.intervals import wilson_interval
from lgt.recipes.labels import task_title
from tests.frames import heading_lines
from tests.lopsided import LONGER, MAIN, OTHER, SEEDS, TRAINED, TRANSFER, accuracy, mean, share

pytestmark = pytest.mark.slow

Spec = dict[str, Any]
Row = dict[str, Any]


# --- reading a specification


def units(spec: Spec) -> list[Spec]:
    """Every unit of a layered specification."""
    return [unit for layer in spec.get("layer", [spec]) for unit in (units(layer) if "layer" in layer else [layer])]


def rows(spec: Spec, unit: Spec) -> list[Row]:
    """The rows that a unit draws."""
    data = unit.get("data") or spec.get("data") or {"values": []}
    return spec["datasets"][data["name"]] if "name" in data else data["values"]


def field(unit: Spec, channel: str) -> str | None:
    """The field that a channel of the unit shows."""
    return unit.get("encoding", {}).get(channel, {}).get("field")


def select(spec: Spec, mark: str, **fields: str) -> list[Spec]:
    """Units with this mark whose channels show these fields."""
    of_mark = [unit for unit in units(spec) if unit["mark"]["type"] == mark]
    return [unit for unit in of_mark if all(field(unit, name) == value for name, value in fields.items())]


def only(spec: Spec, mark: str, **fields: str) -> tuple[Spec, list[Row]]:
    """The one such unit and its rows."""
    (unit,) = select(spec, mark, **fields)
    return unit, rows(spec, unit)


def tooltips(unit: Spec) -> dict[str, str]:
    """Title -> field of a unit's tooltip."""
    found = unit["encoding"]["tooltip"]
    return {item.get("title", item["field"]): item["field"] for item in (found if isinstance(found, list) else [found])}


def by(found: list[Row], *keys: str) -> dict[Any, Row]:
    """Rows by the values of their keys; each once."""
    named = {tuple(row[key] for key in keys) if len(keys) > 1 else row[keys[0]]: row for row in found}
    assert len(named) == len(found), "these keys do not tell the rows apart"
    return named


# --- what each chart is drawn from


def steps() -> pd.DataFrame:
    """Counts at two steps of each run, half of the answers right at the first."""
    last = accuracy()
    first = last.assign(step=last.step // 2, correct=last.correct // 2)
    return pd.concat([last, first], ignore_index=True)


def drops() -> pd.DataFrame:
    """Maps of two layers of three heads in which only one head of each task matters, and not the same."""
    table = {(MAIN, 1, 0): 0.6, (MAIN, 0, 2): 0.25, (LONGER, 1, 0): 0.5, (OTHER, 0, 1): 0.2, (OTHER, 1, 2): -0.04}
    return pd.DataFrame(
        {"task": task, "role": "main" if task == MAIN else "auxiliary", "layer": layer, "head": head,
         "accuracy_drop": table.get((task, layer, head), 0.0)}
        for task in (MAIN, LONGER, OTHER) for layer in range(2) for head in range(3)
    )  # fmt: skip


def trajectories() -> pd.DataFrame:
    """Three checkpoints of two seeds, the second trained longer, one measurement of it missing."""
    return pd.DataFrame({
        "seed": [4, 4, 4, 1, 1, 1], "step": [30, 10, 20, 40, 80, 160], "trained": [1.0, 0.5, 0.9, 0.8, 0.97, 0.99],
        "transfer": [0.3, 0.1, 0.7, 0.2, 0.25, 0.15], "gap": [0.2, 0.4, 0.3, 0.1, 0.45, 0.35],
        "map_difference": [0.02, 0.05, 0.04, 0.01, 0.08, np.nan],
        "attention_difference": [3.0, 9.0, 6.0, 1.0, 12.0, 4.0],
    })  # fmt: skip


def grid() -> pd.DataFrame:
    """Gaps of two seeds of cells (Lm, La) that are not symmetric; one cell was not learned by one seed."""
    cells = {(2, 4): (0.1, 0.2), (4, 2): (0.3, 0.4), (2, 8): (0.6, 0.7), (2, 2): (0.0, 0.01), (8, 2): (0.5, 0.9)}
    return pd.DataFrame(
        {"main_length": main, "auxiliary_length": other, "seed": seed, "gap": gaps[seed],
         "learned": not (main == 8 and seed == 1)}
        for (main, other), gaps in cells.items() for seed in (0, 1)
    )  # fmt: skip


def paper() -> pd.DataFrame:
    return pd.DataFrame({"main_length": [2, 4, 2], "auxiliary_length": [4, 2, 2], "gap": [0.4, 0.05, 0.0],
                         "learned": True})  # fmt: skip


def strip() -> pd.DataFrame:
    return pd.DataFrame({
        "series": ["with", "with", "with", "alone"], "seed": [0, 1, 5, 0], "transfer": [0.9, 0.1, 0.8, 0.05],
        "trained": [0.99, 0.7, 0.96, 1.0], "learned": [True, False, True, True],
    })  # fmt: skip


def verdicts() -> pd.DataFrame:
    seeds = [("3", 0, 0.9), ("3", 1, 0.2), ("3", 5, 1.3), ("4b", 0, -0.7)]
    means = {
        "3": (0.8, 0.1, 1.5, "reproduced", "It transfers."),
        "4b": (-0.7, None, None, "too few seeds", "It does not."),
    }
    return pd.DataFrame(
        {"figure": figure, "seed": seed, "difference": value, "mean": means[figure][0], "low": means[figure][1],
         "high": means[figure][2], "outcome": means[figure][3], "statement": means[figure][4]}
        for figure, seed, value in seeds
    )  # fmt: skip


def matrix() -> pd.DataFrame:
    return pd.DataFrame({
        "main": [MAIN, MAIN, "reverse_add"], "auxiliaries": [f"{LONGER}+{OTHER}", "string_copy", "no_carry"],
        "control": [False, True, False], "gain": [0.62, -0.08, 0.31], "low": [0.4, np.nan, 0.1],
        "high": [0.84, np.nan, 0.52], "n": [5, 1, 3],
    })  # fmt: skip


def knocked() -> pd.DataFrame:
    counts = {("", 2): (20, 25), ("L1·H2", 2): (5, 25), ("", 5): (30, 40), ("L1·H2", 5): (2, 40)}
    return pd.DataFrame(
        {"task": task, "role": "main" if task == MAIN else "auxiliary", "training_length": TRAINED,
         "transfer_length": TRANSFER, "length": length, "heads": heads, "correct": correct, "total": total}
        for task in (MAIN, OTHER) for (heads, length), (correct, total) in counts.items()
    )  # fmt: skip


def losses() -> pd.DataFrame:
    table = {11: [8.0, 2.0, 0.5, 0.25], 12: [4.0, -1.0, 1.0]}
    return pd.DataFrame(
        {"run_id": run, "model_seed": run - 10, "step": 10 * (place + 1), "loss": loss}
        for run, values in table.items() for place, loss in enumerate(values)
    )  # fmt: skip


def attention() -> pd.DataFrame:
    table = {1: [0.7, 0.2, 0.1], 2: [0.1, 0.2, 0.3, 0.4]}
    tokens, parts = ["<bos>", "x", "y", "z"], ["begin token", "prompt", "prompt", "answer"]
    return pd.DataFrame(
        {"step": step, "written": f"w{step}", "position": place, "token": tokens[place], "part": parts[place],
         "weight": weight}
        for step, weights in table.items() for place, weight in enumerate(weights)
    )  # fmt: skip


def answer() -> pd.DataFrame:
    cells = [("model", "model", 1, "4", "right", 0.9), ("model", "model", 2, "7", "wrong", 0.4),
             ("truth", "truth", 1, "4", "", np.nan), ("truth", "truth", 2, "5", "", np.nan)]  # fmt: skip
    columns = ["row", "kind", "place", "text", "state", "probability"]
    return pd.DataFrame(cells, columns=columns).assign(likely=["4 90%", "7 40%", "", ""])


def failures() -> pd.DataFrame:
    """Answers of additions of 2 and 4 digits: three prompts, of which all are there, and two of ninety."""
    cells = [
        (2, 1, "3 4 0 end", "3 4 0 end", "right", 0, "0 0 0", 0),
        (2, 2, "3 4 1 end", "3 4 1 7", "did not stop", 4, "0 1 0", 1),
        (2, 3, "3 4 0 end", "3 4 end", "stopped early", 3, "0 0 0", 0),
        (4, 1, "1 2 3 4 1 end", "1 1 3 4 0 end", "dropped carry", 2, "0 1 1 0 1", 2),
        (4, 2, "1 2 3 4 0 end", "1 2 3 4 0 end", "right", 0, "0 1 0 0 0", 1),
    ]
    columns = ["length", "test_prompt", "true_answer", "greedy_answer", "error_kind", "first_wrong", "carries_in",
               "longest_chain"]  # fmt: skip
    frame = pd.DataFrame(cells, columns=columns)
    return frame.assign(
        run_id=7, task="reverse_add", zone=["trained"] * 3 + ["beyond"] * 2, test_set_size=[3] * 3 + [90] * 2,
        prompt="1 + 2 =", also_fits="", answered_task="",
    )  # fmt: skip


def maze() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    nodes = pd.DataFrame({"node": [0, 1, 5], "column": [0, 1, 1], "row": [0, 0, 1], "kind": ["start", "", "target"]})
    edges = pd.DataFrame({"x": [0, 1], "y": [0, 0], "x2": [1, 1], "y2": [0, 1]})
    moves = pd.DataFrame({"way": ["truth", "model"], "number": [1, 1], "x": [0, 0], "y": [0, 0], "x2": [1, 0],
                          "y2": [0, 1], "open": [True, False]})  # fmt: skip
    return nodes, edges, moves


def recovered() -> pd.DataFrame:
    table = {(1, 0): (0.98, 0.4, -2.0), (0, 4): (-0.3, 1.02, -1.0), (2, 4): (-0.5, 1.0, -1.5)}
    sources = [(OTHER, "other"), (OTHER, "same answer"), (LONGER, "same")]
    return pd.DataFrame(
        [(layer, head, task, how, share, 1.5 + layer) for (layer, head), shares in table.items()
         for (task, how), share in zip(sources, shares, strict=True)],
        columns=["layer", "head", "source_task", "source_input", "loss_recovered", "lost"],
    )  # fmt: skip


PATTERN = np.array([[1.0, 0.0, 0.0], [0.75, 0.25, 0.0], [0.1, 0.3, 0.6]])


def two_series() -> pd.DataFrame:
    """All seeds as the first series, and the runs of two of them as a second one two lengths later."""
    later = accuracy((5, 1))
    return pd.concat([accuracy().assign(series="first"), later.assign(series="second", length=later.length + 2)])


def differences() -> pd.DataFrame:
    """Two series minus the second one."""
    rows = [["first", 1, -0.25, -0.5, 0.125, 3], ["first", 4, 0.75, 0.5, 1.25, 2], ["third", 4, 0.0, None, None, 1]]
    return pd.DataFrame(rows, columns=["series", "length", "difference", "low", "high", "n"])


CHARTS: dict[str, Callable[[], Any]] = {
    "ablation_maps": lambda: charts.ablation_maps(drops(), LIGHT, tasks=[MAIN, OTHER], chosen="L2·H1"),
    "answer_row": lambda: charts.answer_row(answer(), LIGHT, step=2),
    "attention_map": lambda: charts.attention_map(attention(), LIGHT, step=2),
    "attention_pattern": lambda: charts.attention_pattern(
        PATTERN, ["<bos>", "<reverse>", "a"], 2, 9, LIGHT, task=OTHER, head="L1·H1"
    ),
    "circuit_chart": lambda: charts.circuit_chart(trajectories(), "map_difference", {4: 0.5, 1: None}, LIGHT),
    "failure_grid": lambda: charts.failure_grid(failures(), LIGHT, chosen=(4, 2), selection="clicked"),
    "gap_by_ratio": lambda: charts.gap_by_ratio(grid(), paper(), LIGHT),
    "gap_grid": lambda: charts.gap_grid(grid(), LIGHT),
    "interchange_grid": lambda: charts.interchange_grid(
        recovered(), LIGHT, task=MAIN, layers=2, heads=4, run="7"
    ),
    "knock_out_strip": lambda: charts.knock_out_strip(
        [0.5, 0.9, 0.5], 0.25, 0.95, LIGHT, main=MAIN, other=OTHER, names="L1·H2"
    ),
    "knocked_out_curve": lambda: charts.knocked_out_curve(knocked(), LIGHT, task=MAIN, without="L1·H2"),
    "length_accuracy": lambda: length_accuracy(accuracy(), LIGHT, single_seeds=True),
    "loss_curve": lambda: charts.loss_curve(losses(), LIGHT, window=3),
    "maze_picture": lambda: charts.maze_picture(*maze(), LIGHT, grid=3),
    "series_differences": lambda: charts.series_differences(
        differences(), LIGHT, names={"first": "", "second": "", "third": ""}, reference="second", zones=two_series()
    ),
    "series_overlay": lambda: charts.series_overlay(
        two_series(), LIGHT, names={"second": "a note", "first": ""}, longest=9
    ),
    "seed_strip": lambda: charts.seed_strip(strip(), LIGHT),
    "sharing_graph": lambda: charts.sharing_graph(
        drops(), LIGHT, main=MAIN, auxiliaries=[LONGER, OTHER], threshold=0.1
    ),
    "stability_chart": lambda: charts.stability_chart(trajectories(), LIGHT, main=MAIN),
    "training_curves": lambda: charts.training_curves(steps(), LIGHT),
    "transfer_matrix": lambda: charts.transfer_matrix(matrix(), LIGHT),
    "verdict_chart": lambda: charts.verdict_chart(verdicts(), LIGHT),
}  # fmt: skip


@cache
def specification(name: str) -> Spec:
    """The specification of a chart of ``CHARTS``; many tests read one."""
    return CHARTS[name]().to_dict()


def test_every_public_chart_is_read_here() -> None:
    public = {name for name in charts.__all__ if inspect.isfunction(getattr(charts, name))}
    assert public - {"sharing_summary"} == set(CHARTS)


# --- rules for every chart

EVERY = pytest.mark.parametrize("name", sorted(CHARTS))


@EVERY
def test_a_domain_holds_what_is_drawn_in_it(name: str) -> None:
    spec, checked = specification(name), 0
    for unit in units(spec):
        for channel in ("x", "y"):
            domain = (unit.get("encoding", {}).get(channel, {}).get("scale") or {}).get("domain")
            if not domain or not all(isinstance(end, int | float) for end in domain):
                continue
            for shown in (field(unit, channel), field(unit, channel + "2")):
                values = [row[shown] for row in rows(spec, unit) if shown and row.get(shown) is not None]
                assert all(min(domain) <= value <= max(domain) for value in values), (unit["mark"], channel, shown)
                checked += len(values)
    assert checked or name in ("transfer_matrix", "gap_grid", "interchange_grid"), (
        "these have rows and columns of names"
    )


@EVERY
def test_every_field_that_is_named_is_in_the_rows(name: str) -> None:
    spec = specification(name)
    for unit in units(spec):
        found = rows(spec, unit)
        encoding = unit.get("encoding", {})
        named = {field(unit, channel) for channel in encoding if isinstance(encoding[channel], dict)}
        tips = encoding.get("tooltip") or []
        named |= {tip["field"] for tip in (tips if isinstance(tips, list) else [tips]) if "field" in tip}
        for row in found:
            assert named - {None} <= set(row), (unit["mark"], named - set(row))


@EVERY
def test_an_interval_stands_with_its_lower_end_first(name: str) -> None:
    for unit in units(specification(name)):
        for channel in ("x", "y"):
            ends = (field(unit, channel), field(unit, channel + "2"))
            if ends in (("low", "high"), ("low_y", "high_y")):
                assert all(row[ends[0]] <= row[ends[1]] for row in rows(specification(name), unit)
                           if row[ends[0]] is not None)  # fmt: skip


BANDS = {"band from": "low", "band to": "high", "95% from": "low", "95% to": "high", "smallest": "low",
         "largest": "high"}  # fmt: skip


@EVERY
def test_a_tooltips_ends_are_the_low_and_the_high_one(name: str) -> None:
    for unit in units(specification(name)):
        if unit.get("encoding", {}).get("tooltip"):
            shown = tooltips(unit)
            assert {title: shown[title] for title in BANDS if title in shown} == {
                title: wanted for title, wanted in BANDS.items() if title in shown
            }


# --- accuracy


def test_the_curve_is_the_mean_and_the_band_its_smallest_and_largest() -> None:
    spec = specification("length_accuracy")
    unit, found = only(spec, "circle", x="length", y="mean")
    assert tooltips(unit) == {
        "task": "series", "length": "length", "exact match, mean": "mean", "band from": "low", "band to": "high",
        "band": "band", "seeds": "runs", "test prompts, all seeds": "prompts",
    }  # fmt: skip
    for (task, length), row in by(found, "task", "length").items():
        shares = [share(task, seed, length) for seed in SEEDS]
        assert row["mean"] == pytest.approx(mean(shares)), (task, length)
        assert (row["low"], row["high"]) == (pytest.approx(min(shares)), pytest.approx(max(shares)))
        assert (row["runs"], row["prompts"]) == (3, 30 * length)
        assert row["colour"] == task_colour(task, LIGHT)
    assert len(found) == 3 * 7
    area, band = only(spec, "area", x="length", y="low", y2="high")
    assert {(row["task"], row["length"], row["low"]) for row in band} == {
        (row["task"], row["length"], row["low"]) for row in found
    }
    assert field(area, "color") == "colour"
    lines = select(spec, "line", x="length", y="mean")
    assert sorted({row["task"] for unit in lines for row in rows(spec, unit)}) == sorted([MAIN, LONGER, OTHER])
    seeds, single = only(spec, "line", x="length", y="ratio")
    assert tooltips(seeds) == {"seed": "model_seed", "run": "run_id"} and field(seeds, "detail") == "run_id"
    assert {(r["model_seed"], r["length"]): r["ratio"] for r in single} == pytest.approx(
        {(s, n): share(MAIN, s, n) for s in SEEDS for n in range(1, 8)}
    )


def test_each_run_counts_with_its_own_last_step() -> None:
    only_last = length_accuracy(accuracy(), LIGHT).to_dict()
    with_earlier = length_accuracy(steps(), LIGHT).to_dict()
    (one,), (both,) = (select(spec, "circle", y="mean") for spec in (only_last, with_earlier))
    assert rows(only_last, one) == rows(with_earlier, both)
    assert {row["runs"] for row in rows(with_earlier, both)} == {3}


def test_zones_lie_where_the_main_task_was_trained() -> None:
    spec = specification("length_accuracy")
    _, found = only(spec, "rect", x="low", x2="high")
    assert [(row["zone"], row["low"], row["high"]) for row in found] == [
        ("in-distribution", 0.5, 3.5), ("transfer region", 3.5, 6.5), ("out-of-distribution", 6.5, 7.5),
    ]  # fmt: skip
    assert [row["colour"] for row in found] == list(LIGHT.zones)
    framed = length_accuracy(accuracy(), LIGHT, emphasis="transfer region").to_dict()
    frames = [unit for unit in select(framed, "rect") if unit["mark"].get("filled") is False]
    assert [(row["low"], row["high"]) for unit in frames for row in rows(framed, unit)] == [(3.5, 6.5)]
    longer = length_accuracy(accuracy(), LIGHT, longest=12).to_dict()
    domain = select(longer, "circle")[0]["encoding"]["x"]["scale"]["domain"]
    assert domain == [0.5, 12.5]


def test_training_is_drawn_over_steps_a_panel_a_zone() -> None:
    spec = specification("training_curves")
    unit, found = only(spec, "circle", x="step", y="mean_y")
    assert tooltips(unit)["band from"] == "low" and tooltips(unit)["exact match, mean"] == "mean"
    zones = [range(1, TRAINED + 1), range(TRAINED + 1, TRANSFER + 1), range(TRANSFER + 1, 8)]
    for row in found:
        seed = next(s for s, last in SEEDS.items() if row["step"] in (last, last // 2))
        lengths = zones[2 - row["panel"]]
        ends = accuracy(seeds=(seed,), tasks=(row["task"],)).set_index("length")
        correct = ends.correct if row["step"] == SEEDS[seed] else ends.correct // 2
        expected = mean([correct[n] / ends.total[n] for n in lengths])
        assert row["mean"] == pytest.approx(expected), row
        assert row["mean_y"] == pytest.approx(expected + PANEL * row["panel"])
    assert len(found) == 3 * 3 * 6
    (names,) = [rows(spec, u) for u in select(spec, "text", y="y") if field(u, "text") == "label"]
    assert [(row["label"], row["y"]) for row in names] == [
        ("trained · lengths 1–3", 2 * PANEL + 1), ("transfer region · lengths 4–6", PANEL + 1),
        ("beyond · lengths 7–7", 1),
    ]  # fmt: skip


def test_losses_are_smoothed_in_the_window_and_drawn_by_step() -> None:
    spec = specification("loss_curve")
    raw, smooth = select(spec, "line", x="step", y="loss")
    assert all(field(unit, "detail") == "run_id" for unit in (raw, smooth))
    assert tooltips(raw)["seed"] == "model_seed" and tooltips(raw)["run"] == "run_id"
    assert [r["loss"] for r in rows(spec, raw)] == [8.0, 2.0, 0.5, 0.25, 4.0, 1.0]
    expected = [4.0, 2.0, (2 * 0.5 * 0.25) ** (1 / 3), (0.5 * 0.25) ** 0.5, 2.0, 2.0]
    assert [r["loss"] for r in rows(spec, smooth)] == pytest.approx(expected)
    assert raw["encoding"]["y"]["scale"]["domain"] == [0.1, 10.0] and raw["encoding"]["y"]["scale"]["type"] == "log"
    assert "1 of 7 values" in " ".join(heading_lines(spec["title"], "text"))


def test_a_guess_is_drawn_where_it_was_made_and_hides_the_measured_curve() -> None:
    expected = {7: 0.4, 2: 0.9, 5: 0.1}
    hidden = guess.guess_curve(accuracy(), LIGHT, expected, revealed=False).to_dict()
    _, found = only(hidden, "line", x="length", y="guess")
    assert [(row["length"], row["guess"]) for row in found] == [(2, 0.9), (5, 0.1), (7, 0.4)]
    assert not any("mean" in row or "ratio" in row for unit in units(hidden) for row in rows(hidden, unit))
    shown = guess.guess_curve(accuracy(), LIGHT, expected, revealed=True).to_dict()
    _, found = only(shown, "circle", x="length", y="mean")
    assert {row["task"] for row in found} == {MAIN}


# --- heads


def test_a_map_shows_each_heads_drop_in_its_row_and_column() -> None:
    spec = specification("ablation_maps")
    unit, found = only(spec, "rect", x="left", x2="right", y="y", y2="bottom")
    assert field(unit, "color") == "points" and tooltips(unit)["drop, points"] == "points"
    cells = by(found, "task", "layer", "head")
    assert len(cells) == 2 * 2 * 3
    for (task, layer, head), row in cells.items():
        expected = drops().set_index(["task", "layer", "head"]).accuracy_drop[task, layer, head]
        assert row["points"] == pytest.approx(100 * expected) and row["name"] == f"L{layer + 1}·H{head + 1}"
    for task in (MAIN, OTHER):
        assert cells[task, 0, 0]["y"] > cells[task, 1, 0]["y"], "layer 1 is at the bottom"
        assert cells[task, 0, 0]["left"] < cells[task, 0, 1]["left"], "heads from left to right"
    assert cells[MAIN, 0, 2]["left"] < cells[OTHER, 0, 0]["left"], "panels as they were asked for"
    assert unit["encoding"]["color"]["scale"]["domain"] == [0, pytest.approx(60)]
    assert {row["text"] for row in found} == {"60", "25", "0", "20", "−4"}
    (frame,) = [u for u in select(spec, "rect") if u["mark"].get("fillOpacity") == 0]
    assert {row["name"] for row in rows(spec, frame)} == {"L2·H1"}


def test_the_sharing_graph_links_tasks_with_the_heads_they_need() -> None:
    spec = specification("sharing_graph")
    unit, found = only(spec, "line", x="x", y="y", strokeWidth="drop")
    links = {(row["task"], row["name"]): row["drop"] for row in found}
    assert links == {(MAIN, "L2·H1"): 0.6, (MAIN, "L1·H3"): 0.25, (LONGER, "L2·H1"): 0.5, (OTHER, "L1·H2"): 0.2}
    assert tooltips(unit)["drop of exact match, points"] == "points"
    assert all(row["points"] == pytest.approx(100 * row["drop"]) for row in found)
    assert all(row["colour"] == task_colour(row["task"], LIGHT) for row in found)
    target = next(unit for unit in units(spec) if unit["mark"].get("opacity") == 0 and unit["encoding"].get("tooltip"))
    heads = by(rows(spec, target), "name")
    assert {name: row["words"] for name, row in heads.items() if row["words"] != "neither"} == {
        "L2·H1": "shared", "L1·H3": "main task only", "L1·H2": "auxiliary only",
    }  # fmt: skip
    assert (heads["L2·H1"]["main_points"], heads["L2·H1"]["other_points"]) == (pytest.approx(60), pytest.approx(50))
    shown = tooltips(target)
    assert shown["drop for the main task, points"] == "main_points"
    assert shown["largest drop for the auxiliary tasks, points"] == "other_points"
    assert heads["L1·H3"]["y"] < heads["L2·H1"]["y"] < heads["L1·H2"]["y"], "main task's above, auxiliaries' below"
    (counts,) = [rows(spec, u) for u in select(spec, "text") if field(u, "text") == "number"]
    assert {row["kind"]: row["number"] for row in counts} == {
        "shared": "1", "main only": "1", "other only": "1", "neither": "3",
    }  # fmt: skip


def test_a_knocked_out_curve_shows_both_with_their_intervals() -> None:
    spec = specification("knocked_out_curve")
    unit, _ = only(spec, "point", x="length", y="mean", fill="fill")
    points = by(rows(spec, unit), "series", "length")
    expected = {("the whole model", 2): (20, 25), ("without L1·H2", 2): (5, 25), ("the whole model", 5): (30, 40),
                ("without L1·H2", 5): (2, 40)}  # fmt: skip
    assert set(points) == set(expected)
    for key, (correct, total) in expected.items():
        row = points[key]
        low, high = wilson_interval(correct, total)
        assert (row["mean"], row["low"], row["high"]) == (
            pytest.approx(correct / total),
            *map(pytest.approx, (low, high)),
        )
        assert row["total"] == total and (row["shape"] == "diamond") == key[0].startswith("without")
    _, lost = only(spec, "area", x="length", y="mean", y2="without")
    assert {(row["length"], row["mean"], row["without"]) for row in lost} == {(2, 0.8, 0.2), (5, 0.75, 0.05)}


def test_a_strip_puts_chosen_others_and_whole_model_at_their_values() -> None:
    spec = specification("knock_out_strip")
    _, dots = only(spec, "circle", x="x", y="y")
    assert sorted(row["x"] for row in dots) == [0.5, 0.5, 0.9] and len({(r["x"], r["y"]) for r in dots}) == 3
    rule = next(rows(spec, u) for u in select(spec, "rule", x="x") if rows(spec, u)[0].get("colour"))
    assert [(row["x"], row["colour"]) for row in rule] == [(0.95, task_colour(MAIN, LIGHT))]
    (diamond,) = [rows(spec, u) for u in select(spec, "point", x="x") if u["mark"].get("shape") == "diamond"]
    assert [(row["x"], row["colour"]) for row in diamond] == [(0.25, task_colour(OTHER, LIGHT))]


def test_an_attention_pattern_has_the_reading_token_down_and_the_seen_one_across() -> None:
    spec = specification("attention_pattern")
    unit, found = only(spec, "rect", x="column", x2="right", y="row", y2="bottom")
    weights = {(row["row"], row["column"]): row["weight"] for row in found}
    assert weights == {(0, 0): 1.0, (1, 0): 0.75, (1, 1): 0.25, (2, 0): 0.1, (2, 1): 0.3, (2, 2): 0.6}
    assert tooltips(unit) == {"read": "read", "looks at": "seen", "attention, mean": "weight"}
    named = by(found, "row", "column")[2, 1]
    assert named["read"] == "a (position 3)" and named["seen"].endswith("(position 2)")
    assert unit["encoding"]["x"]["axis"]["title"] == "Token it looks at"
    assert unit["encoding"]["y"]["axis"]["title"] == "Token that is read"
    assert unit["encoding"]["y"]["scale"]["domain"] == [3, 0], "the first row is at the top"
    assert pattern.sign("[7]") == "7"


def test_an_attention_map_has_positions_across_and_steps_down() -> None:
    spec = specification("attention_map")
    (cells,) = [u for u in select(spec, "rect", x="left", y="top") if field(u, "color") == "weight"]
    found = by(rows(spec, cells), "step", "position")
    assert {key: row["weight"] for key, row in found.items()} == {
        (1, 0): 0.7, (1, 1): 0.2, (1, 2): 0.1, (2, 0): 0.1, (2, 1): 0.2, (2, 2): 0.3, (2, 3): 0.4,
    }  # fmt: skip
    assert all(key[1] < row["left"] < row["right"] < key[1] + 1 for key, row in found.items())
    assert found[1, 0]["bottom"] <= found[2, 0]["top"], "what is written later stands below"
    assert tooltips(cells)["while writing"] == "written" and tooltips(cells)["looks at"] == "token"
    bars = next(rows(spec, u) for u in select(spec, "rect", x="left", y="top") if "middle" in rows(spec, u)[0])
    assert {row["position"] for row in bars} == {0, 1, 2, 3}
    heights = {row["position"]: row["bottom"] - row["top"] for row in bars}
    assert heights[3] == pytest.approx(4 * heights[0]) and heights[2] == pytest.approx(3 * heights[0])


def test_an_answer_row_marks_right_and_wrong() -> None:
    spec = specification("answer_row")
    (marks,) = [rows(spec, u) for u in select(spec, "text") if field(u, "text") == "mark"]
    assert {row["place"]: row["mark"] for row in marks} == {1: "✓", 2: "✗"}
    hover = units(spec)[-1]
    assert tooltips(hover) == {"who": "row", "token": "place", "wrote": "text", "is": "state", "most likely": "likely"}
    (bars,) = [rows(spec, u) for u in select(spec, "rule") if field(u, "x2") == "reach"]
    reach = {row["place"]: row["reach"] - row["start"] for row in bars}
    assert reach[1] / reach[2] == pytest.approx(0.9 / 0.4)


def test_a_maze_has_columns_across_and_rows_down() -> None:
    spec = specification("maze_picture")
    (discs,) = select(spec, "point", x="column", y="row")
    assert discs["encoding"]["y"]["scale"]["domain"] == [2.5, -0.5], "the first row is at the top"
    assert {row["node"]: (row["column"], row["row"]) for row in rows(spec, discs)} == {0: (0, 0), 1: (1, 0), 5: (1, 1)}
    ways = [row for u in select(spec, "rule", x="x", x2="x2", y="y", y2="y2") for row in rows(spec, u) if "way" in row]
    assert {row["way"]: (row["x"], row["y"], row["x2"], row["y2"]) for row in ways} == {
        "truth": (0, 0, 1, 0), "model": (0, 0, 0, 1),
    }  # fmt: skip
    assert {row["way"]: row["what"] for row in ways}["model"] == "model, move 1: no such passage in the maze"


# --- over runs


def test_stability_has_steps_across_and_shares_upwards_in_each_seeds_panel() -> None:
    spec = specification("stability_chart")
    unit, found = only(spec, "point", x="x", y="y", color="zone")
    assert unit["encoding"]["color"]["scale"]["domain"] == ["at trained lengths", "in the transfer region"]
    assert unit["encoding"]["color"]["scale"]["range"] == [LIGHT.muted, task_colour(MAIN, LIGHT)]
    columns = {"at trained lengths": "trained", "in the transfer region": "transfer"}
    for (seed, step, zone), row in by(found, "seed", "step", "zone").items():
        frame = trajectories().set_index(["seed", "step"])
        value = frame[columns[zone]][seed, step]
        place = [1, 4].index(seed)
        assert row["share"] == value and row["x"] == pytest.approx(WIDE * place + step / 160)
        assert row["y"] == pytest.approx(value - TALL * 0)
    assert len(found) == 12 and tooltips(unit)["exact match"] == "share"
    (small,) = [rows(spec, u) for u in select(spec, "text") if field(u, "text") == "small"]
    assert {row["seed"]: row["small"] for row in small} == {1: "fall: 10 points", 4: "fall: 40 points"}


def test_a_circuit_chart_has_the_measure_across_and_the_gap_upwards() -> None:
    spec = specification("circuit_chart")
    unit, found = only(spec, "point", x="x", y="y", color="step")
    frame = trajectories().set_index(["seed", "step"])
    assert len(found) == 5, "a checkpoint without a measurement is left out"
    for (seed, step), row in by(found, "seed", "step").items():
        gap, measure = frame.gap[seed, step], frame.map_difference[seed, step]
        assert row["x"] == pytest.approx(WIDE * [1, 4].index(seed) + measure / 0.08)
        assert row["y"] == pytest.approx(gap / 0.5) and row["value"] == pytest.approx(100 * measure)
    assert tooltips(unit) == {"seed": "seed", "step": "step", "gap": "gap", "difference": "value"}
    (line,) = select(spec, "line", x="x", y="y")
    assert field(line, "order") == "step" and field(line, "detail") == "seed"
    panels = {row["seed"]: row for u in select(spec, "text") for row in rows(spec, u) if "title" in row}
    assert panels[4]["title"] == "seed 4: ρ = +0.50" and panels[1]["title"] == "seed 1: ρ = not defined"
    assert (panels[4]["small"], panels[1]["small"]) == ("transfer 30%", "transfer 25%"), "of the last that is drawn"
    assert (panels[4]["farthest"], panels[4]["highest"]) == ("8", "0.5")
    other = charts.circuit_chart(trajectories(), "attention_difference", {}, LIGHT).to_dict()
    _, found = only(other, "point", x="x", y="y", color="step")
    assert by(found, "seed", "step")[4, 30]["value"] == 3.0 and len(found) == 6


def test_the_grid_has_main_lengths_down_and_auxiliary_lengths_across() -> None:
    spec = specification("gap_grid")
    unit, found = only(spec, "rect", x="auxiliary_length", y="main_length", color="mean")
    cells = by(found, "main_length", "auxiliary_length")
    assert {key: row["mean"] for key, row in cells.items()} == pytest.approx(
        {(2, 4): 0.15, (4, 2): 0.35, (2, 8): 0.65, (2, 2): 0.005, (8, 2): 0.7}
    )
    assert (cells[8, 2]["low"], cells[8, 2]["high"], cells[8, 2]["n"]) == (0.5, 0.9, 2)
    assert {key: row["said"] for key, row in cells.items()} == {key: "no" if key == (8, 2) else "yes" for key in cells}
    assert cells[8, 2]["text"] == "×" and cells[2, 8]["text"] == "0.65"
    assert (
        tooltips(unit)["main task to"] == "main_length" and tooltips(unit)["auxiliary tasks to"] == "auxiliary_length"
    )
    assert "main task" in unit["encoding"]["y"]["axis"]["title"]
    assert unit["encoding"]["color"]["scale"]["domain"] == [0, 1]


def test_a_ratio_is_the_auxiliarys_length_divided_by_the_main_tasks() -> None:
    spec = specification("gap_by_ratio")
    ours, theirs = select(spec, "line", x="text", y="gap")
    assert {row["text"]: row["gap"] for row in rows(spec, ours)} == pytest.approx(
        {"1/4": 0.5 / 0.75, "1/2": 0.35 / 0.5, "2": 0.15 / 0.5, "4": 0.65 / 0.75}
    )
    assert {row["text"]: row["gap"] for row in rows(spec, theirs)} == pytest.approx({"2": 0.8, "1/2": 0.1})
    assert {row["whose"] for row in rows(spec, ours)} == {"ours, mean"}
    assert {row["whose"] for row in rows(spec, theirs)} == {"the paper's"}
    assert ours["encoding"]["x"]["sort"] == ["1/4", "1/2", "2", "4"]
    assert ours["encoding"]["x"]["axis"]["title"] == "Training length: auxiliary tasks divided by main task"
    _, rings = only(spec, "point", x="text", y="gap")
    assert {(row["seed"], row["text"]): row["gap"] for row in rings}[1, "4"] == pytest.approx(0.7 / 0.75)
    assert (1, "1/4") not in {(row["seed"], row["text"]) for row in rings}, "that seed did not learn its tasks"


def test_a_matrix_has_main_tasks_down_and_what_was_beside_them_across() -> None:
    spec = specification("transfer_matrix")
    unit, found = only(spec, "rect", x="auxiliaries_title", y="main_title", color="gain")
    title = task_title
    cells = {(row["main_title"], row["auxiliaries_title"]): row for row in found}
    beside = f"{title(LONGER)} + {title(OTHER)}"
    assert set(cells) == {(title(MAIN), beside), (title(MAIN), f"{title('string_copy')} (unrelated)"),
                          (title("reverse_add"), title("no_carry"))}  # fmt: skip
    assert cells[title(MAIN), beside]["gain_text"] == "+0.62" and cells[title(MAIN), beside]["n"] == 5
    assert cells[title(MAIN), beside]["interval"] == "+0.40 to +0.84"
    other = cells[title(MAIN), f"{title('string_copy')} (unrelated)"]
    assert (other["gain_text"], other["interval"]) == ("−0.08", "no interval")
    assert tooltips(unit) == {
        "main task": "main_title", "auxiliary tasks": "auxiliaries_title", "transfer gain": "gain_text",
        "95% t interval": "interval", "seeds": "n",
    }  # fmt: skip
    places = [rows(spec, u) for u in select(spec, "rect") if u["mark"].get("filled") is False]
    assert len(places[0]) == 2 * 3, "pairs not run stay frames"


def test_a_verdict_has_a_mark_a_seed_and_their_mean_with_its_interval() -> None:
    spec = specification("verdict_chart")
    points, found = only(spec, "point", x="difference", y="figure")
    assert {(row["figure"], row["seed"]): row["difference"] for row in found} == {
        ("3", 0): 0.9, ("3", 1): 0.2, ("3", 5): 1.3, ("4b", 0): -0.7,
    }  # fmt: skip
    _, intervals = only(spec, "rule", x="low", x2="high")
    assert [(row["figure"], row["low"], row["high"]) for row in intervals] == [("3", 0.1, 1.5)]
    (tick,) = select(spec, "rule", x="mean")
    assert {row["figure"]: (row["mean"], row["said"]) for row in rows(spec, tick)} == {
        "3": (0.8, "reproduced, n = 3"), "4b": (-0.7, "too few seeds, n = 1"),
    }  # fmt: skip
    assert points["encoding"]["x"]["scale"]["domain"] == [-1.0, 1.5]
    scale = points["encoding"]["color"]["scale"]
    hues = dict(zip(scale["domain"], scale["range"], strict=True))
    assert hues["reproduced"] == palette.VERDICT_COLOURS["holds"][0] != hues["not reproduced"]
    shapes = points["encoding"]["shape"]["scale"]
    assert dict(zip(shapes["domain"], shapes["range"], strict=True))["not reproduced"] == "cross"
    (lines,) = select(spec, "rule", x="at")
    assert {row["at"] for row in rows(spec, lines)} == {0.0, 0.1}


def test_a_seed_strip_says_which_runs_did_not_learn() -> None:
    spec = specification("seed_strip")
    unit, found = only(spec, "point", x="transfer", y="series", shape="kind")
    kinds = {(row["series"], row["seed"]): row["kind"] for row in found}
    assert kinds == {("with", 0): "learned at trained lengths", ("with", 1): "not learned at trained lengths",
                     ("with", 5): "learned at trained lengths", ("alone", 0): "learned at trained lengths"}  # fmt: skip
    scale = unit["encoding"]["shape"]["scale"]
    assert dict(zip(scale["domain"], scale["range"], strict=True)) == {
        "learned at trained lengths": "circle", "not learned at trained lengths": "cross",
    }  # fmt: skip
    assert tooltips(unit)["at trained lengths"] == "trained"
    _, means = only(spec, "rule", x="transfer")
    assert {row["series"]: row["transfer"] for row in means} == pytest.approx({"with": 0.6, "alone": 0.05})
    assert "1 of 4 runs" in " ".join(heading_lines(spec["title"], "text"))


def test_a_seed_strip_of_another_number_names_it() -> None:
    spec = charts.seed_strip(
        strip().rename(columns={"transfer": "loss_recovered"}), LIGHT, value="loss_recovered", quantity="Loss recovered"
    ).to_dict()
    unit, found = only(spec, "point", x="loss_recovered", y="series", shape="kind")
    assert unit["encoding"]["x"]["axis"]["title"] == "Loss recovered" and len(found) == 4
    assert tooltips(unit)["loss recovered"] == "loss_recovered"


def test_an_interchange_grid_has_a_cell_for_each_other_pass_and_place() -> None:
    spec = specification("interchange_grid")
    unit, found = only(spec, "rect", x="place", y="source", y2="source")
    cells = {(row["source"], row["place"]): (row["loss_recovered"], row["share"], row["text"]) for row in found}
    other, answer = f"{task_title(OTHER)}: another input", f"{task_title(OTHER)}: input with the same answer"
    same = f"{task_title(LONGER)}: same input"
    assert cells == {
        (other, "L2·H1"): (0.98, 0.98, "98%"), (other, "L1"): (-0.3, 0, "worse"), (other, "all"): (-0.5, 0, "worse"),
        (answer, "L2·H1"): (0.4, 0.4, "40%"), (answer, "L1"): (1.02, 1, "102%"), (answer, "all"): (1.0, 1.0, "100%"),
        (same, "L2·H1"): (-2.0, 0, "worse"), (same, "L1"): (-1.0, 0, "worse"), (same, "all"): (-1.5, 0, "worse"),
    }  # fmt: skip
    assert unit["encoding"]["y"]["sort"] == [answer, other, same], "tasks in their order, inputs from near to far"
    assert unit["encoding"]["x"]["sort"] == ["L2·H1", "L1", "all"]
    assert unit["encoding"]["color"]["scale"]["domain"] == [0, 1]
    assert tooltips(unit)["lost with mean outputs, nats"] == "lost"
    said = " ".join(heading_lines(spec["title"], "text") + heading_lines(spec["title"], "subtitle"))
    assert "Run 7" in said and task_title(MAIN) in said


def test_a_seed_strip_draws_which_heads_each_task_may_use() -> None:
    used = {("with", MAIN): {0, 1}, ("with", LONGER): {1, 2}, ("alone", MAIN): {0, 1}}
    heads = pd.DataFrame(
        [(series, task, head, head in of) for (series, task), of in used.items() for head in range(4)],
        columns=["series", "task", "head", "used"],
    )
    spec = charts.seed_strip(strip(), LIGHT, heads=heads).to_dict()
    lines = select(spec, "point", x="px", y="series")
    assert [{row["task"] for row in rows(spec, unit)} for unit in lines] == [{MAIN}, {LONGER}], "a line for each task"
    for unit, task in zip(lines, (MAIN, LONGER), strict=True):
        filled = unit["encoding"]["fill"]["condition"]
        assert (filled["test"], filled["value"]) == ("datum.used", task_colour(task, LIGHT))
        assert unit["transform"][0]["calculate"] == "width - 36 + 9 * datum.head", "four squares at the right end"
        assert unit["encoding"]["x"]["scale"] is None
        for row in rows(spec, unit):
            assert row["used"] == (row["head"] in used[row["series"], task])
            assert row["said"].startswith(f"head {row['head'] + 1} ") and (": used" in row["said"]) == row["used"]
    places = [unit["encoding"]["y"]["bandPosition"] for unit in lines]
    assert places[0] < places[1] < select(spec, "point", x="transfer")[0]["encoding"]["y"]["bandPosition"]
    said = " ".join(heading_lines(spec["title"], "text"))
    assert f"{task_title(MAIN)}, {task_title(LONGER)}" in said


def test_series_on_one_axis_are_the_main_tasks_of_their_runs():
    spec = specification("series_overlay")
    points = [unit for unit in select(spec, "circle", x="length", y="mean") if "tooltip" in unit["encoding"]]
    (unit,) = points
    found = by(rows(spec, unit), "series", "length")
    assert {series for series, _ in found} == {"first", "second"} and len(found) == 14
    for length in range(1, 8):
        assert found["first", length]["mean"] == pytest.approx(mean([share(MAIN, seed, length) for seed in SEEDS]))
        later = found["second", length + 2]
        assert later["mean"] == pytest.approx(mean([share(MAIN, seed, length) for seed in (5, 1)]))
        assert later["low"] == pytest.approx(min(share(MAIN, seed, length) for seed in (5, 1)))
        assert (found["first", length]["runs"], later["runs"]) == (3, 2)
    (line,) = select(spec, "line", x="length", y="mean")
    scale, legend = line["encoding"]["color"]["scale"], line["encoding"]["color"]["legend"]
    assert scale["domain"] == ["second", "first"] == legend["values"]
    assert scale["range"] == [shades[0] for shades in palette.SERIES_COLOURS[:2]]
    assert '["second", "a note"]' in legend["labelExpr"]
    assert line["encoding"]["x"]["scale"]["domain"] == [0.5, 9.5]


def test_a_click_on_a_name_in_the_legend_makes_the_other_series_pale():
    for name in ("series_overlay", "series_differences"):
        spec = specification(name)
        (line,) = select(spec, "line")
        (selection,) = spec["params"]
        assert selection["select"] == {"type": "point", "fields": ["series"]} and selection["bind"] == "legend"
        for unit in [line, *select(spec, "area", x="length", y="low", y2="high")]:
            opacity = unit["encoding"]["opacity"]
            assert opacity["condition"]["param"] == selection["name"]
            assert opacity["condition"]["value"] > 3 * opacity["value"]


def test_differences_of_series_have_their_numbers_and_room_for_them():
    spec = specification("series_differences")
    (unit,) = [unit for unit in select(spec, "circle", x="length", y="difference") if "tooltip" in unit["encoding"]]
    found = by(rows(spec, unit), "series", "length")
    assert found["first", 4]["difference"] == 0.75 and found["third", 4]["n"] == 1
    assert tooltips(unit)["seeds in both"] == "n" and tooltips(unit)["95% t interval from"] == "low"
    _, band = only(spec, "area", x="length", y="low", y2="high")
    assert {(row["series"], row["length"]) for row in band} == {("first", 1), ("first", 4)}
    low, high = unit["encoding"]["y"]["scale"]["domain"]
    assert (low, high) == (-0.5, 1.25)
    (line,) = select(spec, "line")
    assert line["encoding"]["color"]["legend"]["values"] == ["first", "third"], "not the series that is subtracted"
    assert "minus that of" in spec["title"]["text"]["expr"] and "1 to 3 seeds" in spec["title"]["text"]["expr"]
    nothing = charts.series_differences(differences()[:0], LIGHT, names={}, reference="x", zones=two_series())
    assert "no difference by seed" in nothing.to_dict()["description"]

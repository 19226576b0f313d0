"""Pictures of failure: every answer of a run as a row of cells, right and wrong, and how often each kind of error is.

One block for each length, side by side on one horizontal scale whose unit is one token. Below the cells a bar for each
kind of answer. Vertical places are px.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Literal

import altair as alt
import pandas as pd

from lgt.charts.marks import colour, px, text_width
from lgt.charts.theme import ERROR_COLOURS, Theme, heading, message, styled
from lgt.metrics.failures import KINDS, RIGHT, Kind
from lgt.recipes.labels import task_title
from lgt.tasks import unit

RowOrder = Literal["kind of error", "carry chain", "test set"]
ROWS = 64
"""The most prompts of a length that are drawn."""
ROW = 7
"""Height of a prompt with the gap below it at a text size of 12, px."""
BLOCK_GAP = 2.0
"""Between two lengths, in tokens."""
BAND_GAP = 3
"""Between two kinds of answers, px."""
ROW_ORDERS: dict[RowOrder, str] = {
    "kind of error": "by kind of error and first wrong token",
    "carry chain": "by longest carry chain",
    "test set": "in the order of the test set",
}
READING = (
    "A row is a test prompt, a cell is a token of the answer. Grey: right. A colour: wrong, by kind of error. "
    "Pale: not written, because the answer had ended."
)
"""How the picture is read."""


def failure_grid(
    frame: pd.DataFrame, theme: Theme, *, title: str = "", order: RowOrder = "kind of error",
    kinds: Sequence[str] = (), chosen: tuple[int, int] = (0, 0), selection: str = "",
) -> Any:  # fmt: skip
    """The answers of one run to one task at several lengths: cells for 64 prompts of each, bars for all rows.

    ``frame``: one row per (length, test prompt) with ``length``, ``zone`` (its title), ``test_prompt`` (its number,
    from 1), ``prompt``, ``true_answer``, ``greedy_answer`` (tokens separated by spaces), ``error_kind``,
    ``also_fits``, ``first_wrong`` (place from 1, 0 without one), ``carries_in`` (0 or 1 for every digit, empty for
    tasks without carries), ``longest_chain`` and ``test_set_size``. ``kinds``: those that have
    a bar even if the frame has none of them, so that charts side by side line up. ``chosen``: the (length, test prompt)
    that is framed. ``selection``: the selection that a click on a row makes, with its ``length`` and ``test_prompt``.
    """
    if frame.empty:
        return message("There is no test prompt of these lengths.", theme)
    shown = placed(frame, order, theme)
    blocks = block_table(frame, shown, theme)
    columns = float(blocks.end.max())
    scale = alt.Scale(domain=[0, columns], nice=False, zero=False)
    present = [kind for kind in KINDS if kind in {RIGHT, *frame.error_kind, *kinds}]
    bottom = (
        titles_height(theme) + row_height(theme) * shown.groupby("length").size().max() + BAND_GAP * (len(present) - 1)
    )
    bars = bar_table(frame, blocks, present, bottom, theme)
    height = float(bars.bottom.max()) + 4
    layers = [
        *run_layers(run_table(shown, theme), scale),
        column_lines(blocks, bottom, theme, scale),
        *chain_layers(shown, theme, scale),
        *title_layers(blocks, theme, scale, columns),
        *bar_layers(bars, theme, scale, columns),
        *row_layers(shown, theme, scale, chosen, selection),
    ]
    note = note_of(frame, shown, order)
    chart = alt.layer(*layers).properties(
        width="container", height=height, title=heading(theme, note, title, offset=10),
        description=description(frame, title, note),
    )  # fmt: skip
    return styled(chart.resolve_scale(y="independent", color="independent"), theme)


# --- places -----------------------------------------------------------------------------------------------------


def placed(frame: pd.DataFrame, order: RowOrder, theme: Theme) -> pd.DataFrame:
    """The prompts that are drawn, the first :data:`ROWS` of each length, with the place of their row: ``start`` (in
    tokens), ``width`` (tokens of the longest answer of the length), ``top`` and ``bottom`` (px)."""
    parts, start, height = [], 0.0, row_height(theme)
    for length in sorted(frame.length.unique()):
        rows = in_order(frame[frame.length == length].sort_values("test_prompt").head(ROWS), order)
        width = int(rows.true_answer.map(lambda text: len(text.split())).max())
        bands = rows.error_kind.ne(rows.error_kind.shift()).cumsum() - 1 if order == "kind of error" else 0
        top = titles_height(theme) + height * pd.Series(range(len(rows)), rows.index) + BAND_GAP * bands
        parts.append(rows.assign(start=start, width=width, top=top, bottom=top + height - 1))
        start += width + BLOCK_GAP
    return pd.concat(parts, ignore_index=True)


def in_order(rows: pd.DataFrame, order: RowOrder) -> pd.DataFrame:
    """The rows of one length from top to bottom."""
    if order == "test set":
        return rows
    if order == "carry chain":
        return rows.sort_values("longest_chain", kind="stable")
    return rows.assign(of_kind=rows.error_kind.map(KINDS.index)).sort_values(["of_kind", "first_wrong"], kind="stable")


def row_height(theme: Theme) -> int:
    """Height of a prompt with the gap below it, px; it grows with the text."""
    return round(ROW * theme.size / 12)


def titles_height(theme: Theme) -> int:
    """Room above the cells for three lines: the length, its zone and n, px."""
    return 3 * (theme.size + 4) + 6


def block_table(frame: pd.DataFrame, shown: pd.DataFrame, theme: Theme) -> pd.DataFrame:
    """One row per length: where it begins and ends (in tokens) and the lines above it."""
    rows = []
    for length, of_length in shown.groupby("length"):
        first, counted = of_length.iloc[0], int((frame.length == length).sum())
        n = f"n = {counted}" + (f" of {first.test_set_size:,}" if counted < first.test_set_size else "")
        units = unit(str(first.task))
        rows.append({
            "length": length, "start": first.start, "width": float(first.width), "end": first.start + first.width,
            "counted": counted, "name": f"{length} {units[:-1] if length == 1 else units}", "zone": first.zone,
            "short": str(first.zone).split()[0], "n": n, "room": text_width(first.zone, theme.size),
        })  # fmt: skip
    return pd.DataFrame(rows)


def run_table(shown: pd.DataFrame, theme: Theme) -> pd.DataFrame:
    """The cells, neighbours of the same state in one rectangle: ``left`` and ``right`` (tokens), ``fill``, ``opacity``.

    A token that the model did not write, because its answer had ended, is pale.
    """
    rows = []
    for row in shown.to_dict(orient="records"):
        true, written = row["true_answer"].split(), row["greedy_answer"].split()
        states = ["missing" if place >= len(written) else "right" if written[place] == token else "wrong"
                  for place, token in enumerate(true)]  # fmt: skip
        place = 0
        for state, run in groupby(states):
            left, place = place, place + len(list(run))
            fill = ERROR_COLOURS[RIGHT if state == "right" else row["error_kind"]][theme.dark]
            rows.append({
                "left": row["start"] + left, "right": row["start"] + place, "top": row["top"], "bottom": row["bottom"],
                "fill": fill, "opacity": 0.3 if state == "missing" else 1.0,
            })  # fmt: skip
    return pd.DataFrame(rows)


def chain_table(shown: pd.DataFrame) -> pd.DataFrame:
    """One row per carry chain: neighbouring digits of the true answer into each of which a 1 is carried."""
    rows = []
    for row in shown.to_dict(orient="records"):
        place = 0
        for carried, run in groupby(row["carries_in"].split()):
            left, place = place, place + len(list(run))
            if carried == "1":
                rows.append({
                    "left": row["start"] + left, "right": row["start"] + place,
                    "top": row["top"] - 0.5, "bottom": row["bottom"] + 0.5,
                })  # fmt: skip
    return pd.DataFrame(rows, columns=["left", "right", "top", "bottom"])


def bar_table(
    frame: pd.DataFrame, blocks: pd.DataFrame, kinds: Sequence[Kind], bottom: float, theme: Theme
) -> pd.DataFrame:
    """One row per (kind, length): the bar of its share of all rows of the length, with the count as ``text``."""
    rows, line = [], theme.size + 6
    for number, kind in enumerate(kinds):
        top = bottom + 16 + number * (2 * line + 2)
        for block in blocks.to_dict(orient="records"):
            count = int(((frame.length == block["length"]) & (frame.error_kind == kind)).sum())
            share = count / block["counted"]
            inside = share > 0.5
            rows.append({
                "kind": kind, "first": block["start"] == 0, "left": block["start"], "block_end": block["end"],
                "right": block["start"] + share * block["width"], "count": count, "text": f"{count}",
                "name_y": top + line / 2, "top": top + line, "bottom": top + 2 * line - 3,
                "middle": top + 1.5 * line - 1.5, "inside": inside, "fill": ERROR_COLOURS[kind][theme.dark],
                "ink": bar_ink(kind, inside, count, theme),
            })  # fmt: skip
    return pd.DataFrame(rows)


def bar_ink(kind: Kind, inside: bool, count: int, theme: Theme) -> str:
    """The colour of the count at a bar."""
    if inside and kind != RIGHT:
        return theme.surface
    return theme.text if count else theme.muted


# --- layers -----------------------------------------------------------------------------------------------------


def run_layers(runs: pd.DataFrame, scale: alt.Scale) -> list[Any]:
    """The cells."""
    mark = alt.Chart(runs).mark_rect(tooltip=None)
    return [mark.encode(
        x=alt.X("left:Q", scale=scale, axis=None), x2="right:Q", y=px("top", alt.Y), y2="bottom:Q",
        color=colour("fill"), opacity=alt.Opacity("opacity:Q", scale=None, legend=None),
    )]  # fmt: skip


def column_lines(blocks: pd.DataFrame, bottom: float, theme: Theme, scale: alt.Scale) -> Any:
    """Lines in the page's colour between neighbouring tokens, which make cells of the rectangles."""
    widths = zip(blocks.start.astype(float), blocks.width.astype(int), strict=True)
    places = [start + place for start, width in widths for place in range(1, width)]
    mark = alt.Chart(pd.DataFrame({"at": places or [0.0]})).mark_rule(
        color=theme.surface, strokeWidth=1, tooltip=None, opacity=0.9
    )
    return mark.encode(
        x=alt.X("at:Q", scale=scale, axis=None), y=alt.value(titles_height(theme) - 2), y2=alt.value(bottom)
    )


def chain_layers(shown: pd.DataFrame, theme: Theme, scale: alt.Scale) -> list[Any]:
    """Outlines of the carry chains; none for tasks without carries."""
    chains = chain_table(shown)
    if chains.empty:
        return []
    mark = alt.Chart(chains).mark_rect(
        filled=False, stroke=theme.muted, strokeWidth=0.9, strokeOpacity=0.9, cornerRadius=2, tooltip=None
    )
    return [mark.encode(
        x=alt.X("left:Q", scale=scale, axis=None), x2="right:Q", y=px("top", alt.Y), y2="bottom:Q"
    )]  # fmt: skip


def title_layers(blocks: pd.DataFrame, theme: Theme, scale: alt.Scale, columns: float) -> list[Any]:
    """The length, its zone and n above each block; the zone in short where the block is narrow."""
    line = theme.size + 4
    fits = f"(datum.end - datum.start) * width / {columns:g} >= datum.room"
    base = alt.Chart(blocks)
    long, short = (alt.ExprRef(expr=f"{fits} ? {a} : {b}") for a, b in ((1, 0), (0, 1)))
    place: dict[str, Any] = {"align": "left", "baseline": "middle", "tooltip": None}
    x = alt.X("start:Q", scale=scale, axis=None)
    name = base.mark_text(**place, fontSize=theme.size + 2, fontWeight=600, color=theme.text)
    small: dict[str, Any] = {**place, "fontSize": theme.size, "color": theme.muted}
    return [
        name.encode(x=x, y=alt.value(line / 2), text="name:N"),
        base.mark_text(**small, opacity=long).encode(x=x, y=alt.value(1.5 * line), text="zone:N"),
        base.mark_text(**small, opacity=short).encode(x=x, y=alt.value(1.5 * line), text="short:N"),
        base.mark_text(**small).encode(x=x, y=alt.value(2.5 * line), text="n:N"),
    ]


def bar_layers(bars: pd.DataFrame, theme: Theme, scale: alt.Scale, columns: float) -> list[Any]:
    """The kinds' names, a bar and a count for each length, and a line under each bar as long as all prompts."""
    x = alt.X("left:Q", scale=scale, axis=None)
    tooltip = [alt.Tooltip("kind:N", title="answers"), alt.Tooltip("count:Q", title="test prompts")]
    layers: list[Any] = [
        alt.Chart(bars).mark_rule(color=theme.grid, strokeWidth=1, tooltip=None).encode(
            x=x, x2="block_end:Q", y=px("bottom", alt.Y)
        ),
        alt.Chart(bars).mark_rect(cornerRadius=2).encode(
            x=x, x2="right:Q", y=px("top", alt.Y), y2="bottom:Q", color=colour("fill"), tooltip=tooltip
        ),
        alt.Chart(bars[bars["first"]]).mark_text(
            align="left", baseline="middle", fontSize=theme.size, color=theme.text, tooltip=None
        ).encode(x=alt.value(0), y=px("name_y", alt.Y), text="kind:N"),
    ]  # fmt: skip
    for inside, rows in bars.groupby("inside"):
        mark = alt.Chart(rows).mark_text(
            align="right" if inside else "left", dx=-4 if inside else 4, baseline="middle", fontSize=theme.size,
            fontWeight=600, tooltip=None,
        )  # fmt: skip
        layers.append(mark.encode(
            x=alt.X("right:Q", scale=scale, axis=None), y=px("middle", alt.Y), text="text:N", color=colour("ink")
        ))  # fmt: skip
    return layers


def row_layers(
    shown: pd.DataFrame, theme: Theme, scale: alt.Scale, chosen: tuple[int, int], selection: str
) -> list[Any]:
    """A frame around the chosen row, and an invisible rectangle over each row, which has its tooltip and its click."""
    rows = shown.assign(
        right=shown.start + shown.width, top=shown.top - 0.5, bottom=shown.bottom + 0.5,
        also=shown.also_fits.where(shown.also_fits != "", "no other kind"),
    )  # fmt: skip
    place: dict[str, Any] = {
        "x": alt.X("start:Q", scale=scale, axis=None), "x2": "right:Q", "y": px("top", alt.Y), "y2": "bottom:Q"
    }  # fmt: skip
    here = rows[(rows.length == chosen[0]) & (rows.test_prompt == chosen[1])]
    framed = alt.Chart(here.assign(top=here.top - 1, bottom=here.bottom + 1)).mark_rect(
        filled=False, stroke=theme.shared, strokeWidth=3, cornerRadius=2, tooltip=None
    )
    tooltip = [
        alt.Tooltip("error_kind:N", title="answer"), alt.Tooltip("also:N", title="also fits"),
        alt.Tooltip("prompt:N"), alt.Tooltip("true_answer:N", title="true"),
        alt.Tooltip("greedy_answer:N", title="written"), alt.Tooltip("test_prompt:Q", title="test prompt"),
    ]  # fmt: skip
    told = alt.Chart(rows).mark_rect(opacity=0, cursor="pointer" if selection else "default").encode(
        **place, tooltip=tooltip
    )  # fmt: skip
    if selection:
        told = told.add_params(
            alt.selection_point(name=selection, fields=["length", "test_prompt"], on="click", toggle="false")
        )
    return [*([framed.encode(**place)] if len(here) else []), told]


# --- words ------------------------------------------------------------------------------------------------------


def note_of(frame: pd.DataFrame, shown: pd.DataFrame, order: RowOrder) -> str:
    """What is drawn, with n."""
    sizes = frame.groupby("length").test_set_size.first()
    counts = [f"{(shown.length == length).sum()} of {size:,}" for length, size in sizes.items()]
    several = counts[0] if len(set(counts)) == 1 else ", ".join(counts)
    chains = " Outlined: digits into which a 1 is carried." if frame.carries_in.any() else ""
    rows = f"the first {several} test prompts, {ROW_ORDERS[order]}"
    return f"{task_title(str(frame.task.iloc[0]))}, greedy answers. Rows: {rows}. Bars: all n prompts.{chains}"


def description(frame: pd.DataFrame, title: str, note: str) -> str:
    """The counts in words, for readers who do not see the picture."""
    parts = []
    for (length, zone), rows in frame.groupby(["length", "zone"]):
        counts = rows.error_kind.value_counts()
        said = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if kind in counts)
        parts.append(f"length {length} ({zone}), {len(rows)} test prompts: {said}")
    return f"{title or 'Right and wrong answers'}: {'; '.join(parts)}. {READING} {note}"

"""Which of a task's heads may have the outputs of another task: the loss recovered, by head and by the other pass."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from lgt.charts.maps import ink
from lgt.charts.marks import colour
from lgt.charts.theme import Theme, heading, message, styled
from lgt.recipes.labels import replaced_name, task_title

ROW = 46
"""Height of a row, px: its name, and below it its cells."""
NAME_AT, CELLS_FROM, CELLS_TO = 0.22, 0.4, 0.98
"""Where in a row its name stands and its cells begin and end, as shares of the row."""
INPUTS = {"same": "same input", "same answer": "input with the same answer", "other": "another input"}


def interchange_grid(frame: pd.DataFrame, theme: Theme, *, task: str, layers: int, heads: int, run: str) -> Any:
    """Rows are other passes (a task and an input), columns are heads, whole layers and all heads.

    ``frame``: that of :func:`lgt.metrics.interchange.recovered_by_place` for ``task`` in the run named ``run``, whose
    network has ``layers`` layers of ``heads`` heads. A loss recovered below 0 is written as *worse*: the outputs of the
    other pass do more harm than mean outputs.
    """
    if frame.empty:
        return message("Nothing to recover, or no interchanges of this run are stored.", theme)
    order = list(INPUTS)
    cells = frame.assign(
        place=[replaced_name(*place, layers, heads) for place in zip(frame.layer, frame["head"], strict=True)],
        rank=[order.index(how) for how in frame.source_input],
        source=[
            f"{task_title(of)}: {INPUTS[how]}" for of, how in zip(frame.source_task, frame.source_input, strict=True)
        ],
        share=frame.loss_recovered.clip(0, 1),
        text=[f"{share:.0%}" if share >= 0 else "worse" for share in frame.loss_recovered],
        ink=[ink(share, theme) for share in frame.loss_recovered.clip(0, 1)],
    )
    x = alt.X("place:N", sort=list(dict.fromkeys(cells.place)), axis=alt.Axis(
        title="heads that get the outputs of the other pass", orient="top", ticks=False, domain=False, labelAngle=0,
        grid=False,
    ))  # fmt: skip
    rows = sorted(dict.fromkeys(zip(cells.source_task, cells["rank"], cells.source, strict=True)),
                  key=lambda row: (list(dict.fromkeys(frame.source_task)).index(row[0]), row[1]))  # fmt: skip
    sources = [row[2] for row in rows]

    def y(within: float) -> alt.Y:
        return alt.Y("source:N", sort=sources, title=None, axis=None, bandPosition=within)

    tooltip = [
        alt.Tooltip("source:N", title="outputs of"), alt.Tooltip("place:N", title="heads"),
        alt.Tooltip("loss_recovered:Q", title="loss recovered", format=".2f"),
        alt.Tooltip("lost:Q", title="lost with mean outputs, nats", format=".2f"),
    ]  # fmt: skip
    base = alt.Chart(cells).encode(x=x)
    names = alt.Chart(pd.DataFrame({"source": sources})).mark_text(
        align="left", baseline="middle", fontSize=theme.size, color=theme.text, tooltip=None
    )
    layers_ = [
        names.encode(x=alt.value(0), y=y(NAME_AT), text="source:N"),
        base.mark_rect(cornerRadius=3, stroke=theme.surface, strokeWidth=2).encode(
            y=y(CELLS_FROM), y2=alt.Y2("source", bandPosition=CELLS_TO), tooltip=tooltip,
            color=alt.Color("share:Q", scale=alt.Scale(domain=[0, 1], range=list(theme.ramp)), legend=None),
        ),
        base.mark_text(fontSize=theme.size, tooltip=None).encode(
            y=y((CELLS_FROM + CELLS_TO) / 2), text="text:N", color=colour("ink")
        ),
    ]  # fmt: skip
    note = (
        f"Run {run}. Loss recovered of {task_title(task)} in the transfer region: 100% if the outputs of the other "
        "pass serve as well as its own, 0% if they are no better than mean outputs."
    )
    spoken = "; ".join(f"{row.source}, {row.place}: {row.text}" for row in cells.itertuples())
    chart = alt.layer(*layers_).properties(
        width="container", height=ROW * len(rows), title=heading(theme, note, offset=8), description=f"{note} {spoken}."
    )
    return styled(chart.resolve_scale(color="independent"), theme)

"""The linked picture of the page Heads: graph, list, maps, and accuracy with and without each head.

The browser gets everything that is stored about one run's heads at once and lights a head without this server
(``lgt/report/linked_heads.js``). Only a head that is pinned is told to the page.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from lgt.charts import Theme, ablation_maps, sharing_graph
from lgt.charts.linked_heads import linked_picture
from lgt.core.config import RunConfig
from lgt.core.records import Head
from lgt.metrics.linked_heads import accuracy_without, linked_heads
from lgt.recipes.labels import head_name
from lgt.report.scripts import script, style
from lgt.ui import data, drawing, frame, knock_outs, sharing
from lgt.ui.head_view import View, take_head
from lgt.ui.titles import task_words

KEY = "linked-heads"
SKELETON = '<div class="linked" role="group" aria-label="The heads of one run"></div>'

_linked = st.components.v2.component(
    "lgt.linked_heads", html=SKELETON, css=style("linked_heads"), js=script("linked_heads")
)


@st.cache_data(show_spinner=False, max_entries=64)
def _picture(
    maps: pd.DataFrame, scores: pd.DataFrame, accuracy: pd.DataFrame, attention: pd.DataFrame, config: RunConfig,
    theme: Theme, threshold: float, measured: pd.DataFrame | None,
) -> dict[str, Any]:  # fmt: skip
    found = linked_heads(maps, scores, accuracy, attention, config)
    return linked_picture(found, maps, theme, threshold=threshold, transfer_length=config.transfer_length,
                          measured=measured)  # fmt: skip


def show_linked_heads(view: View, head: Head | None) -> None:
    """The picture of one run with ``head`` pinned, and its charts and numbers as downloads."""
    missing = view.without_maps()
    if missing:
        st.info(f"There is no ablation map of {' or '.join(map(task_words, missing))} at these lengths.")
    if view.main in missing:
        return
    ids = [view.run_id]
    scores, accuracy = data.read_head_scores(ids), data.read_accuracy(ids)
    picture = _picture(
        view.maps, scores, accuracy, data.read_attention_differences(ids), view.config, frame.theme(), view.threshold,
        knock_outs.measured_before(view.run_id),
    )  # fmt: skip
    pinned = head_name(*head) if head else ""
    _linked(key=KEY, data={"picture": picture, "pinned": pinned}, on_head_change=take_pinned_head)
    offer_downloads(view, accuracy_without(scores, accuracy), pinned)


def take_pinned_head() -> None:
    """Choose the head that the viewer has pinned in the picture, or none."""
    take_head(st.session_state[KEY].head or "")


def offer_downloads(view: View, without: pd.DataFrame, chosen: str) -> None:
    """The three parts of the picture as downloads; the ``chosen`` head is marked."""
    about = sharing.about_maps(view.run_id, view.zone, view.maps)
    mapped = [task for task in view.auxiliaries if task not in view.without_maps()]
    marked: dict[str, Any] = {"chosen": chosen, "about": about}
    drawing.offer(sharing_graph, view.maps, frame.theme(), main=view.main, auxiliaries=mapped, threshold=view.threshold,
                  key="graph", name="Shared heads", **marked)  # fmt: skip
    drawing.offer(ablation_maps, view.maps, frame.theme(), tasks=[view.main, *mapped], key="maps", name="Ablation maps",
                  **marked)  # fmt: skip
    drawing.drawn()["without"] = drawing.Drawn("Accuracy without each head", {}, without)

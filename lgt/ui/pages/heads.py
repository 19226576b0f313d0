"""Heads: one run's attention heads, what they do, and what knocking them out does."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lgt.charts import knock_out_strip
from lgt.core.glossary import definition
from lgt.core.plain_text import as_code
from lgt.core.records import Head
from lgt.metrics.maps import LEAST_TO_LOSE, mean_map
from lgt.metrics.zones import IN_DISTRIBUTION
from lgt.recipes.labels import head_names, task_title
from lgt.store.comparisons import Comparison
from lgt.ui import address, data, frame, knock_outs, one_head, panels, sharing
from lgt.ui.causes import show_causes
from lgt.ui.drawing import draw
from lgt.ui.facts import control_of
from lgt.ui.head_similarity import control_sentence, has_maps, show_trajectory, similarity_table, with_reading_help
from lgt.ui.head_view import View, choose_head, choose_view
from lgt.ui.knock_out_words import CAUTION, TopHeads, result_sentence, top_heads, top_heads_sentence
from lgt.ui.linked_heads import show_linked_heads
from lgt.ui.method import show_method

LEAD = (
    f"An attention head is {definition('attention head').replace('A part', 'a part')} Which heads does each task need? "
    "**Point at a head** to see what the tasks lose without it. **Click it** to see where it looks."
)


def show_heads(view: View) -> Head | None:
    """The linked picture and what it says; returns the chosen head."""
    picture = st.container()
    said, choice = st.columns([6, 5], gap="large")
    with choice:
        head = choose_head(view)
        if head:
            st.markdown(one_head.loss_sentence(view, head))
    with picture:
        show_linked_heads(view, head)
    with said:
        st.markdown(sharing.sharing_sentence(view.maps, view.main, view.auxiliaries, view.threshold))
        st.caption(f"Run {data.name(view.run_id)}, seed {view.seed}. {sharing.NOT_COMPARABLE}")
    if view.auxiliaries:
        show_similarity(view)
    return head


def show_similarity(view: View) -> None:
    """How similar the heads of the tasks are, beside the same numbers for an unrelated task."""
    attention = data.read_attention_differences([view.run_id])
    same_lengths = attention[attention.length.isin(view.lengths)]
    table = similarity_table(view.maps, same_lengths, view.main, view.auxiliaries)
    if table.empty:
        st.info("The maps of these tasks are not complete, so they cannot be compared.")
        return
    st.table(with_reading_help(table))
    control = control_of(data.read_comparisons(), view.comparison)
    if control is None or control.setting == view.comparison.setting:
        return
    (ours, theirs), unrelated = map(trained_maps, (view.comparison, control)), control.config.auxiliaries[0].task
    if ours and theirs:
        st.markdown(control_sentence(ours, view.main, view.auxiliaries, theirs, unrelated))


def trained_maps(comparison: Comparison) -> list[pd.DataFrame]:
    """The maps of every co-trained run at the main task's trained lengths, without runs that have none."""
    scores = data.read_head_scores(comparison.ids("co-trained"))
    maps = [mean_map(of, comparison.config, IN_DISTRIBUTION) for _, of in scores.groupby("run_id")]
    return [heads for heads in maps if not heads.empty]


# --- the knock-out test -----------------------------------------------------------------------------------------


def show_test(view: View) -> None:
    """Knocking out the heads that another task needs most, against other heads of the same layers."""
    st.subheader("Knock-out test", anchor=False)
    st.markdown(
        "That two tasks need the same heads is a correlation. This test switches off the heads that an **auxiliary** "
        "task needs most. Does the **main** task then lose more than without other heads of the same layers?"
    )
    if not data.last_weights(view.run_id):
        one_head.show_missing_weights(view)
        return
    mapped = [task for task in view.auxiliaries if has_maps(view.maps, task)]
    if not mapped:
        st.info("No auxiliary task has a map with a number for every head.")
        return
    left, middle, right = st.columns([3, 3, 2], vertical_alignment="bottom")
    with left:
        task = address.select("Heads of", mapped, default=mapped[0], key="of", shown=task_title)
    most = min(4, view.config.model.layers * view.config.model.heads - 1)
    count = int(middle.select_slider("Number of heads", range(1, most + 1), value=2, key="k", bind="query-params"))
    top = top_heads(view.maps, task, count, view.threshold)
    asked = (view.run_id, view.zone, top.heads)
    right.button("Test it", type="primary", key="test", on_click=lambda: st.session_state.update(asked=asked))
    st.caption(top_heads_sentence(top, view.lengths))
    if st.session_state.get("asked") == asked:
        show_result(view, top)


def show_result(view: View, top: TopHeads) -> None:
    """Run the test, draw it and say what it shows."""
    choices, every = knock_outs.other_choices(top.heads, view.config)
    lengths, named = knock_outs.lengths_in(view.config, view.zone), head_names(top.heads)
    found, counts = knock_outs.run_test(view.run_id, view.config, lengths, top.heads, choices)
    if found.intact <= LEAST_TO_LOSE:
        st.info(
            f"The whole model is at {found.intact:.0%} exact match at these lengths, so switching heads off can hardly "
            "make it worse. Choose other lengths above."
        )
        return
    left, right = st.columns([5, 4], gap="large")
    with left:
        draw(knock_out_strip, found.others, found.chosen, found.intact, frame.theme(), main=view.main,
             other=top.task, names=named, key="strip", name="Knock-out test", table=counts,
             about={"run_id": view.run_id})  # fmt: skip
    right.markdown(result_sentence(found, view.main, top, lengths, every))
    right.caption(CAUTION)
    knock_outs.show_curves(view.run_id, view.config, top.heads, named)


def main() -> None:
    if not data.read_comparisons():
        frame.empty_store()
        return
    view = choose_view()
    if view.maps.empty:
        st.info(f"Run {data.name(view.run_id)} has no ablation maps at these lengths. Choose other lengths above.")
        return
    st.caption(sharing.zone_sentence(view.zone, view.maps, None if view.asked else view.transfer))
    head = show_heads(view)
    if head:
        one_head.show_head(view, head)
    if view.auxiliaries:
        show_trajectory(view.run_id, view.config)
        show_test(view)
        show_causes()
    show_method()
    runs = data.read_runs()
    command = panels.arm_command(view.comparison, view.arm, view.seed)
    repeat = f"Repeat it with {as_code(command)}." if command else ""
    panels.show_provenance(runs[runs.id == view.run_id], repeat)


def render() -> None:
    """Draw the page."""
    with frame.page("Heads", LEAD):
        main()

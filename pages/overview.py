"""Overview: the finding in one minute, on the store's own runs."""

from __future__ import annotations

import streamlit as st

from lgt.config import Arm
from lgt.statistics import transfer_gain
from lgt.store.comparisons import Comparison, Setting
from lgt.ui import address, data, frame, panels
from lgt.ui.summaries import SeedSummary, gap_by_seed, transfer_by_seed

LEAD = (
    "Train a small transformer on a **short main task** alone: it fails on anything longer. Train it together with a "
    "**longer related task**, and the main task works at lengths it never saw, because the tasks **share attention "
    "heads**. That is the finding of Cai et al. (2025). Below is what our own runs say."
)
BASELINES: dict[str, Arm] = {"optimizer steps": "alone-same-steps", "main-task examples": "alone-same-examples"}


def choose(found: dict[Setting, Comparison]) -> tuple[Comparison, Arm, float]:
    """The comparison, the baseline and the head threshold that the viewer looks at; all live in the address."""
    left, middle, right = st.columns([5, 4, 3], vertical_alignment="top", gap="medium")
    names = {panels.setting_key(setting): setting for setting in found}
    with left:
        key = address.select(
            "Task pair", list(names), default=panels.first_choice(names), key="pair",
            shown=lambda name: panels.setting_title(names[name], found[names[name]]),
        )  # fmt: skip
    matched = middle.segmented_control(
        "Both were given the same number of", list(BASELINES), default="optimizer steps", required=True,
        key="matched", bind="query-params",
        help="Trained alone, the main task gets either as many optimizer steps (and so more of its own examples) or as "
        "many examples of its own (and so fewer steps) as in the pair. Both baselines are shown, so that neither hides "
        "a task that begins to generalize by itself.",
    )  # fmt: skip
    with right:
        threshold = panels.choose_threshold()
    return found[names[key]], BASELINES[str(matched)], threshold


def headline(
    alone: SeedSummary | None, together: SeedSummary | None, gap: SeedSummary | None, comparison: Comparison
) -> None:
    """Transfer accuracy alone, together and the gain, and the generalization gap, with n."""
    low, high = comparison.config.main.training_length + 1, comparison.config.transfer_length
    region = f"at lengths {low}–{high}, which the main task never saw in training"
    columns = st.columns(4)
    for column, name, summary in ((columns[0], "Alone", alone), (columns[1], "With the longer task", together)):
        column.metric(f"{name}: exact match", "not run" if summary is None else f"{summary.mean:.0%}")
        column.caption(region if summary is None else f"{region}; {panels.spread(summary)}")
    if alone and together:
        columns[2].metric("Transfer gain", f"{100 * transfer_gain(together.mean, alone.mean):+.0f} points")
        columns[2].caption("difference of the two means")
    if gap:
        columns[3].metric(
            "Generalization gap", f"{gap.mean:.2f}",
            help="Mean distance between the main task's curve and its auxiliaries', over all lengths to La: 0 is the "
            "same curve, also when both fail, so read it beside the exact match.",
        )  # fmt: skip
        columns[3].caption(f"to the longer task's curve; {panels.spread(gap, '.2f')}")


def side(comparison: Comparison, arm: Arm, title: str, seed: int | None, threshold: float) -> None:
    """One half of the picture: curve, one sentence, head-sharing graph, one sentence."""
    st.subheader(title, anchor=False)
    ids = comparison.ids(arm)
    if not ids:
        st.info("This side has not been run yet. Run it with:")
        st.code(panels.train_command(comparison, arm), language="bash")
        return
    panels.curve(data.read_accuracy(ids), key=f"curve-{arm}")
    panels.sharing(comparison, arm, seed, key=f"graph-{arm}", threshold=threshold)


def main() -> None:
    found = data.read_comparisons()
    if not found:
        frame.empty_store()
        return
    comparison, baseline, threshold = choose(found)
    together = transfer_by_seed(data.read_accuracy(comparison.ids("co-trained")))
    alone = transfer_by_seed(data.read_accuracy(comparison.ids(baseline)))
    headline(alone, together, gap_by_seed(data.read_accuracy(comparison.ids("co-trained"))), comparison)
    seed = together.middle_seed() if together else None
    left, right = st.columns(2, gap="large")
    with left:
        side(comparison, baseline, "Alone", seed, threshold)
    with right:
        side(comparison, "co-trained", panels.together_title(comparison), seed, threshold)
    panels.method()
    runs = data.read_runs()
    shown = runs[runs.id.isin(comparison.ids(baseline, "co-trained"))]
    frame.provenance(shown, panels.repeat_command(shown, comparison))


with frame.page("Length generalization transfers between related tasks", LEAD):
    main()

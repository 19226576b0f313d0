"""Overview: the finding in one minute, on the store's own runs."""

from __future__ import annotations

import streamlit as st

from lgt.config import Arm
from lgt.store.comparisons import Comparison, Setting
from lgt.summaries import SeedSummary, gap_by_seed, paired_gain, transfer_by_seed
from lgt.ui import address, data, frame, panels

LEAD = (
    "Train a small transformer on a **short main task** alone, and it fails on anything longer. Train it together with "
    "a **longer related task**, and the main task can work at lengths it never saw. When that happens, the tasks tend "
    "to use the **same attention heads**. So say Cai et al. (2025); below is what our own runs say."
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
    with middle:
        matched = address.segments(
            "Both were given the same number of", list(BASELINES), default="optimizer steps", key="matched",
            help="Trained alone, the main task gets either as many optimizer steps (and so more of its own examples) "
            "or as many examples of its own (and so fewer steps) as in the pair. Both baselines are shown, so that "
            "neither hides a task that begins to generalize by itself.",
        )  # fmt: skip
    with right:
        threshold = panels.choose_threshold()
    return found[names[key]], BASELINES[matched], threshold


def headline(comparison: Comparison, arm: Arm) -> None:
    """Transfer accuracy alone and together, the gain seed by seed, and the generalization gap, with n."""
    columns = st.columns(4)
    sides: dict[Arm, SeedSummary | None] = {}
    for column, name, side_arm in zip(columns, ("Alone", "Together"), (arm, "co-trained"), strict=False):
        accuracy = data.read_accuracy(comparison.ids(side_arm))
        summary = sides[side_arm] = transfer_by_seed(accuracy)
        column.metric(
            f"{name}: exact match at {panels.region(comparison)}", f"{summary.mean:.0%}" if summary else "not run"
        )
        column.caption(f"{panels.spread(summary)}; {panels.trained(accuracy)}" if summary else "no finished run")
    together, alone = sides["co-trained"], sides[arm]
    gain = paired_gain(together, alone)
    if gain and together:
        columns[2].metric("Transfer gain", f"{100 * gain.mean:+.0f} points")
        without = together.n - gain.n
        columns[2].caption(panels.spread(gain) + (f"; {without} without a partner" if without else ""))
    gap = gap_by_seed(data.read_accuracy(comparison.ids("co-trained")))
    if gap:
        columns[3].metric(
            "Generalization gap", f"{gap.mean:.2f}",
            help="Mean distance between the main task's curve and those of the tasks beside it, up to length La. "
            "0 is the same curve, also when both fail, so read it beside the exact match.",
        )  # fmt: skip
        columns[3].caption(f"to the curves of {panels.beside(comparison)}; {panels.spread(gap, '.2f')}")


def side(comparison: Comparison, arm: Arm, title: str, seed: int | None, threshold: float) -> None:
    """One half of the picture: curve, one sentence, head-sharing graph, one sentence."""
    st.subheader(title, anchor=False)
    ids = comparison.ids(arm)
    if not ids:
        st.info("This side has not been run yet. Run it with:")
        missing = sorted(set(comparison.runs["co-trained"]) - set(comparison.runs[arm]))
        st.code("\n".join(panels.train_command(comparison, arm, s) for s in missing), language="bash")
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
    if any(spec.role == "control" for spec in comparison.config.others):
        st.markdown(
            "**A control.** The longer task has nothing that the main task could reuse, so no transfer is expected."
        )
    headline(comparison, baseline)
    seed = together.middle_seed() if together else None
    left, right = st.columns(2, gap="large")
    with left:
        side(comparison, baseline, "Alone", seed, threshold)
    with right:
        side(comparison, "co-trained", panels.together_title(comparison), seed, threshold)
    panels.method()
    runs = data.read_runs()
    shown = runs[runs.id.isin(comparison.ids(baseline, "co-trained"))]
    frame.provenance(shown, panels.repeat_sentence(shown, comparison))


with frame.page("Length generalization transfers between related tasks", LEAD):
    main()

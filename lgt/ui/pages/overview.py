"""Overview: the finding in ninety seconds, on the store's own runs."""

from __future__ import annotations

from typing import Any

import streamlit as st

from lgt.core.config import Arm
from lgt.metrics.by_seed import gap_by_seed
from lgt.recipes.settings import Setting
from lgt.store.comparisons import Comparison
from lgt.ui import address, data, facts, frame, keyboard, look, panels, prediction, story, tour
from lgt.ui.story import Facts

TITLE = "Length generalization transfers between related tasks"
FINDING = (
    "Trained beside a **longer related task**, a small transformer can get further with a **short task**, at lengths "
    "it never saw. When that happens, the paper reports, the two use the **same attention heads** "
    "([Cai et al., 2025](https://arxiv.org/abs/2506.09251); [what our runs say](claims))."
)
BASELINES: dict[str, Arm] = {"optimizer steps": "alone-same-steps", "main-task examples": "alone-same-examples"}
PLOT_HEIGHT = 225  # of the curves, px: both are whole in a window of 1280 x 800
PRESENTER_HEIGHT = 240  # before it is magnified (lgt.ui.look): two fifths of a projector's window


def choose_pair(found: dict[Setting, Comparison]) -> Comparison:
    """The comparison that the viewer looks at."""
    names = {panels.setting_key(setting): setting for setting in found}
    key = address.select(
        "Task pair", list(names), default=panels.first_choice(names), key="pair",
        shown=lambda name: panels.setting_title(names[name], found[names[name]]),
    )  # fmt: skip
    return found[names[key]]


def asked_pair(found: dict[Setting, Comparison]) -> Comparison:
    """The comparison in the address, where the page has no room for the choice."""
    names = {panels.setting_key(setting): setting for setting in found}
    return found[names.get(st.query_params.get("pair", ""), names[panels.first_choice(names)])]


def bar(found: dict[Setting, Comparison]) -> Comparison:
    """Pair, tour, prediction, presenter mode, share: one row."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="bar"):
        comparison = choose_pair(found)
        tour.start_button()
        if not prediction.wanted():
            st.button("Predict first", icon=":material/draw:", key="predict-start", on_click=prediction.begin)
        if not frame.presenting():
            st.button("Present", icon=":material/present_to_all:", key="present", on_click=present, args=("1",))
    return comparison


def present(value: str) -> None:
    """Begin (``1``) or leave presenter mode. For buttons."""
    address.remember("present", value)


def choose_baseline() -> Arm:
    """Which main-alone runs are compared."""
    matched = address.segments(
        "Both were given the same number of", list(BASELINES), default="optimizer steps", key="matched",
        help="Trained alone, the main task gets either as many optimizer steps (and so more of its own examples) "
        "or as many examples of its own (and so fewer steps) as in the pair. Both baselines are shown, so that "
        "neither hides a task that begins to generalize by itself.",
    )  # fmt: skip
    return BASELINES[matched]


def alone_side(comparison: Comparison, arm: Arm, shown_facts: Facts, zone: Any) -> None:
    """The left curve with its number and its sentence."""
    spread = panels.spread(shown_facts.alone) if shown_facts.alone else "no finished run"
    number = f"{shown_facts.alone.mean:.0%}" if shown_facts.alone else "not run"
    look.headline("Alone", number, f"exact match at {shown_facts.region}", spread)
    if not comparison.ids(arm):
        st.info("This side has not been run yet. Run it with:")
        missing = sorted(set(comparison.runs["co-trained"]) - set(comparison.runs[arm]))
        st.code("\n".join(panels.train_command(comparison, arm, s) for s in missing), language="bash", wrap_lines=True)
        return
    accuracy = data.read_accuracy(comparison.ids(arm))
    panels.curve(accuracy, key="curve-alone", height=plot_height(), emphasis=zone)
    st.markdown(story.alone_sentence(shown_facts))


def plot_height() -> int:
    """Height of the curves, px."""
    return PRESENTER_HEIGHT if frame.presenting() else PLOT_HEIGHT


def waiting_side(comparison: Comparison, shown_facts: Facts, zone: Any) -> None:
    """The right side while the tour keeps its answer: the same chart without the main task beyond its lengths."""
    accuracy = data.read_accuracy(comparison.ids("co-trained"))
    known = accuracy[(accuracy.role != "main") | (accuracy.length <= accuracy.training_length)]
    look.headline(
        panels.together_title(comparison), "?", f"exact match at {shown_facts.region}", f"shown in step {story.REVEAL}"
    )
    panels.curve(known, key="curve-together", height=plot_height(), emphasis=zone)
    st.markdown(story.waiting_sentence(shown_facts))


def together_side(comparison: Comparison, shown_facts: Facts, zone: Any, predicting: bool) -> None:
    """The right curve with its number and its sentence, or the viewer's guess."""
    accuracy, title = data.read_accuracy(comparison.ids("co-trained")), panels.together_title(comparison)
    if predicting and prediction.hidden(accuracy, comparison.config):
        look.headline(title, "?", "How many of 100 answers will be right?", "")
    elif shown_facts.together:
        number, spread = f"{shown_facts.together.mean:.0%}", panels.spread(shown_facts.together)
        look.headline(title, number, f"exact match at {shown_facts.region}", spread)
    if predicting:
        prediction.panel(accuracy, comparison.config, shown_facts.unit, key="curve-guess", height=plot_height())
        return
    panels.curve(accuracy, key="curve-together", height=plot_height(), emphasis=zone)
    st.markdown(story.together_sentence(shown_facts))


def gains(comparison: Comparison, shown_facts: Facts, left: Any, middle: Any) -> Any:
    """What training together adds, seed by seed, and how near the curves are to each other.

    Returns the place for the verdict on the gain.
    """
    verdict_place = None
    if shown_facts.gain and shown_facts.together:
        left.metric("Transfer gain", f"{100 * shown_facts.gain.mean:+.0f} points")
        verdict_place = left.empty()
        without = shown_facts.together.n - shown_facts.gain.n
        spread = panels.spread(shown_facts.gain, "+.0%").replace("%", "")
        left.caption(spread + (f"; {without} without a partner" if without else ""))
    gap = gap_by_seed(data.read_accuracy(comparison.ids("co-trained")))
    if gap:
        middle.metric(
            "Generalization gap", f"{gap.mean:.2f}",
            help="Mean distance between the main task's curve and those of the tasks beside it, up to length La. "
            "0 is the same curve, also when both fail, so read it beside the exact match.",
        )  # fmt: skip
        middle.caption(f"to the curves of {panels.beside(comparison)}; {panels.spread(gap, '.2f')}")
    return verdict_place


def verdict(comparison: Comparison, place: Any) -> None:
    """The verdict of the figure that these runs answer, if there is one, with the way to it."""
    experiment = facts.figure_of(comparison)
    judgement = data.read_judgement(experiment.name) if experiment and place is not None else None
    if judgement is not None and judgement.seeds:
        earlier = ", an earlier recipe" if judgement.experiment.replaced_by else ""
        place.markdown(
            f"{frame.badge(judgement.verdict)} [{judgement.rule.name}, figure {judgement.experiment.figures}{earlier}]"
            f"(claims?{judgement.experiment.name}=true)"
        )


def graphs(comparison: Comparison, baseline: Arm, seed: int | None, threshold: float) -> None:
    """Which heads the tasks of one typical run lean on, on both sides."""
    for column, arm in zip(st.columns(2, gap="large"), (baseline, "co-trained"), strict=True):
        if comparison.ids(arm):
            side = "together" if arm == "co-trained" else "alone"
            name = f"Heads {side}"
            with column.container(key=f"part-heads-{side}"):
                panels.sharing(comparison, arm, seed, key=f"graph-{arm}", threshold=threshold, name=name)


def top(found: dict[Setting, Comparison]) -> Comparison:
    """Finding and choices; during the tour its card comes here instead, and in presenter mode the choices go below."""
    if tour.current():
        return asked_pair(found)
    st.markdown(FINDING)
    return asked_pair(found) if frame.presenting() else bar(found)


def closing(comparison: Comparison, baseline: Arm) -> None:
    """The method, and where the numbers come from."""
    runs = data.read_runs()
    shown = runs[runs.id.isin(comparison.ids(baseline, "co-trained"))]
    with st.container(key="quiet-closing"):
        panels.method()
    frame.provenance(shown, panels.repeat_sentence(shown, comparison))


def leave_presenting(found: dict[Setting, Comparison]) -> None:
    """Presenter mode's choices, at the foot of the page, and the way out: a quiet button in the margin, or Escape.

    During the tour Escape belongs to the tour.
    """
    bar(found)
    st.button("Leave", key="leave", type="tertiary", icon=":material/close:", on_click=present, args=("",),
              help="Leave presenter mode (Escape)")  # fmt: skip
    if not tour.current():
        keyboard.listen({"Escape": "leave"}, key="presenter-keys")


def main() -> None:
    every = data.read_comparisons()
    two_sided = {setting: one for setting, one in every.items() if one.ids(*BASELINES.values())}
    found = two_sided or every
    if not found:
        st.markdown(FINDING)
        frame.empty_store()
        return
    head, curves = st.container(key="head"), st.columns(2, gap="large")
    row, below = st.container(key="part-gain"), st.container(key="graphs")
    with head:
        comparison = top(found)
    left, middle, right = row.columns([3, 4, 4], gap="medium")
    with right.container(key="quiet-baseline"):
        baseline = choose_baseline()
    heading, slider = below.columns([7, 4], gap="medium", vertical_alignment="bottom")
    heading.container(key="part-heads").subheader("Which heads each task needs", anchor=False)
    with slider.container(key="quiet-threshold"):
        threshold = panels.choose_threshold()
    draw(found, comparison, baseline, threshold, (head, *curves, left, middle, below))


def draw(
    found: dict[Setting, Comparison], comparison: Comparison, baseline: Arm, threshold: float, places: tuple[Any, ...]
) -> None:
    """Fill the places of the page: card, curves, numbers, graphs, and what stands below them."""
    head, left, right, *numbers, below = places
    shown_facts = facts.gather(found, comparison, baseline)
    seed = shown_facts.together.middle_seed() if shown_facts.together else None
    zones: dict[str, Any] = {}
    if step := tour.current():
        steps = story.steps(shown_facts, panels.heads_sentence(comparison, "co-trained", seed, threshold))
        zones = dict.fromkeys(steps[step - 1].parts, steps[step - 1].zone)
        with head:
            tour.card(steps, step, comparison.setting)
    with left.container(key="part-alone"):
        alone_side(comparison, baseline, shown_facts, zones.get("alone"))
    with right.container(key="part-together"):
        if tour.waiting():
            waiting_side(comparison, shown_facts, zones.get("together"))
        else:
            together_side(comparison, shown_facts, zones.get("together"), prediction.wanted() and not step)
    if still_secret := secret(comparison):
        below.caption(still_secret)
    else:
        place = gains(comparison, shown_facts, *numbers)
        with below:
            graphs(comparison, baseline, seed, threshold)
        verdict(comparison, place)
    if frame.presenting():
        leave_presenting(found)
    closing(comparison, baseline)


def secret(comparison: Comparison) -> str:
    """When gain and heads will be shown, while they must not give the answer away; else nothing."""
    if tour.current():
        return f"Gain and heads are shown from step {story.REVEAL} on." if tour.waiting() else ""
    hidden = prediction.hidden(data.read_accuracy(comparison.ids("co-trained")), comparison.config)
    return "Gain and heads are shown after the reveal." if hidden else ""


def render() -> None:
    """Draw the page."""
    with frame.page(TITLE, "", "overview"):
        main()

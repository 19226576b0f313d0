"""Overview: the finding in ninety seconds, on the store's own runs."""

from __future__ import annotations

from typing import Any

import streamlit as st

from lgt.core.config import Arm
from lgt.core.glossary import definition
from lgt.metrics.by_seed import gap_by_seed
from lgt.recipes.settings import Setting
from lgt.store.comparisons import Comparison
from lgt.ui import address, data, facts, frame, keyboard, look, panels, prediction, race, sharing, tour
from lgt.ui import overview_sentences as story
from lgt.ui.drawing import view_shows
from lgt.ui.method import show_method
from lgt.ui.numbers import counted, points_spread, spread
from lgt.ui.overview_sentences import Facts

TITLE = "Length generalization transfers between related tasks"
FINDING = (
    "A small transformer is trained on a **short task**. If it is also trained on a **longer related task**, it can "
    "solve the short task at lengths that it never saw. The paper reports that the two tasks then use the **same "
    "attention heads** ([Cai et al., 2025](https://arxiv.org/abs/2506.09251); [what our runs say](claims))."
)
BASELINES: dict[str, Arm] = {"optimizer steps": "alone-same-steps", "main-task examples": "alone-same-examples"}
"""The baselines as ``?matched=`` names them."""
PLOT_HEIGHT = 225
"""Height of the curves, px: a window of 1280 x 800 shows both of them whole."""
PRESENTER_HEIGHT = 240
"""The same in presenter mode, before it is magnified (lgt.ui.look): two fifths of a projector's window."""


def comparison_in_address(found: dict[Setting, Comparison]) -> Comparison:
    """The comparison that the address names, for views without a control to choose it."""
    names = {setting.key: setting for setting in found}
    setting = names.get(st.query_params.get("pair", ""), names[panels.first_choice(names)])
    view_shows(setting.key)
    return found[setting]


def control_row(found: dict[Setting, Comparison]) -> Comparison:
    """One row: the task group, and the buttons for tour, prediction and presenter mode."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="bar"):
        comparison = panels.choose_comparison(found)
        tour.start_button()
        race.switch_button()
        if not prediction.is_asked_for():
            st.button("Predict first", icon=":material/draw:", key="predict-start", on_click=prediction.ask_for_guess)
        if not frame.presenting():
            st.button("Present", icon=":material/present_to_all:", key="present", on_click=present, args=("1",))
    return comparison


def present(value: str) -> None:
    """Begin (``1``) or leave presenter mode. For buttons."""
    address.remember("present", value)


def choose_baseline() -> Arm:
    """The baseline that is shown."""
    matched = address.segments(
        "Both arms have the same number of", list(BASELINES), default="optimizer steps", key="matched",
        help=f"{definition('baseline')} With the same steps, the baseline gets more main-task examples. With the same "
        "examples, it gets fewer steps. Compare with both: in one of them the main task may generalize alone.",
    )  # fmt: skip
    return BASELINES[matched]


def show_baseline(comparison: Comparison, arm: Arm, shown_facts: Facts, zone: Any) -> None:
    """The left curve with its number and its sentence."""
    seeds = spread(shown_facts.alone) if shown_facts.alone else "no finished run"
    number = f"{shown_facts.alone.mean:.0%}" if shown_facts.alone else "not run"
    look.headline("Alone", number, f"exact match at {shown_facts.region}", seeds)
    if not comparison.ids(arm):
        st.info("This baseline has not been run yet. Run it with:")
        missing = sorted(set(comparison.runs["co-trained"]) - set(comparison.runs[arm]))
        commands = [panels.arm_command(comparison, arm, seed) for seed in missing]
        st.code("\n".join(command for command in commands if command), language="bash", wrap_lines=True)
        return
    accuracy = data.read_accuracy(comparison.ids(arm))
    panels.curve(accuracy, key="curve-alone", height=plot_height(), emphasis=zone)
    st.markdown(story.alone_sentence(shown_facts))


def plot_height() -> int:
    """Height of the curves, px."""
    return PRESENTER_HEIGHT if frame.presenting() else PLOT_HEIGHT


def show_hidden_result(comparison: Comparison, shown_facts: Facts, zone: Any) -> None:
    """The co-trained arm while the tour hides the result: its chart without the main task above its trained lengths."""
    accuracy = data.read_accuracy(comparison.ids("co-trained"))
    known = accuracy[(accuracy.role != "main") | (accuracy.length <= accuracy.training_length)]
    look.headline(
        panels.co_trained_title(comparison.config),
        "?",
        f"exact match at {shown_facts.region}",
        f"shown in step {story.REVEAL}",
    )
    panels.curve(known, key="curve-together", height=plot_height(), emphasis=zone)
    st.markdown(story.hidden_sentence(shown_facts))


def show_co_trained(comparison: Comparison, shown_facts: Facts, zone: Any, predicting: bool) -> None:
    """The right curve with its number and its sentence, or the viewer's guess."""
    accuracy, title = data.read_accuracy(comparison.ids("co-trained")), panels.co_trained_title(comparison.config)
    if predicting and prediction.result_is_hidden(accuracy, comparison.config):
        look.headline(title, "?", "How many of 100 answers will be right?", "")
    elif shown_facts.together:
        number, seeds = f"{shown_facts.together.mean:.0%}", spread(shown_facts.together)
        look.headline(title, number, f"exact match at {shown_facts.region}", seeds)
    if predicting:
        prediction.show_guess(accuracy, comparison.config, shown_facts.unit, key="curve-guess", height=plot_height())
        return
    panels.curve(accuracy, key="curve-together", height=plot_height(), emphasis=zone)
    st.markdown(story.together_sentence(shown_facts))


def show_gain(comparison: Comparison, shown_facts: Facts, left: Any, middle: Any) -> Any:
    """The transfer gain and the generalization gap. Returns the place for the verdict on the gain."""
    verdict_place = None
    if shown_facts.gain and shown_facts.together:
        left.metric(
            "Transfer gain", f"{100 * shown_facts.gain.mean:+.0f} points",
            help=f"{definition('transfer gain')} {definition('transfer accuracy')}",
        )  # fmt: skip
        verdict_place = left.empty()
        without = shown_facts.together.n - shown_facts.gain.n
        missing = f"; {counted(without, 'co-trained seed')} without a baseline" if without else ""
        left.caption(points_spread(shown_facts.gain) + missing)
    gap = gap_by_seed(data.read_accuracy(comparison.ids("co-trained")))
    if gap:
        middle.metric(
            "Generalization gap", f"{gap.mean:.2f}",
            help=f"{definition('generalization gap')} Read it together with the exact match.",
        )  # fmt: skip
        middle.caption(
            f"Distance to the curves of {shown_facts.longer}; {spread(gap, '.2f')}. 0 means equal "
            "curves. If all tasks fail, the gap is also 0."
        )
    return verdict_place


def show_verdict(comparison: Comparison, place: Any) -> None:
    """The verdict on the figure that these runs answer, if there is one, with a link to it."""
    experiment = facts.figure_of(comparison)
    judgement = data.read_judgement(experiment.name) if experiment and place is not None else None
    if judgement is not None and judgement.seeds:
        earlier = ", earlier attempt" if judgement.experiment.replaced_by else ""
        place.markdown(
            f"[The paper's figure {judgement.experiment.figures} ({judgement.rule.name}{earlier})]"
            f"(claims?{judgement.experiment.name}=true): {frame.badge(judgement.verdict)}"
        )


def show_graphs(comparison: Comparison, baseline: Arm, seed: int | None, threshold: float) -> None:
    """Which heads the tasks need, in one run of each arm."""
    for column, arm in zip(st.columns(2, gap="large"), (baseline, "co-trained"), strict=True):
        if comparison.ids(arm):
            part = "together" if arm == "co-trained" else "alone"
            name = f"Heads {part}"
            with column.container(key=f"part-heads-{part}"):
                sharing.show_sharing(comparison, arm, seed, key=f"graph-{arm}", threshold=threshold, name=name)


def show_top(found: dict[Setting, Comparison]) -> Comparison:
    """The finding and the controls. The tour shows its card here instead; presenter mode has the controls below."""
    if tour.current():
        return comparison_in_address(found)
    if not race.is_shown():  # it needs the whole window
        st.markdown(FINDING)
    return comparison_in_address(found) if frame.presenting() else control_row(found)


def show_closing(comparison: Comparison, baseline: Arm) -> None:
    """The method, and the runs that the numbers come from."""
    runs = data.read_runs()
    shown = runs[runs.id.isin(comparison.ids(baseline, "co-trained"))]
    with st.container(key="quiet-closing"):
        show_method()
    panels.show_provenance(shown, panels.repeat_sentence(shown, comparison))


def show_presenter_controls(found: dict[Setting, Comparison]) -> None:
    """The controls of presenter mode: a row at the end of the page, and a button in the margin (or Escape) to leave.

    During the tour Escape ends the tour.
    """
    control_row(found)
    st.button("Leave", key="leave", type="tertiary", icon=":material/close:", on_click=present, args=("",),
              help="Leave presenter mode (Escape)")  # fmt: skip
    if not tour.current():
        keyboard.listen({"Escape": "leave"}, key="presenter-keys")


def main() -> None:
    every = data.read_comparisons()
    with_baseline = {setting: one for setting, one in every.items() if one.ids(*BASELINES.values())}
    found = with_baseline or every
    if not found:
        st.markdown(FINDING)
        frame.empty_store()
        return
    head = st.container(key="head")
    curves = [st.container(key="part-race")] * 2 if race.is_shown() else st.columns(2, gap="large")
    row, below = st.container(key="part-gain"), st.container(key="graphs")
    with head:
        comparison = show_top(found)
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
    shown_facts = facts.gather_facts(found, comparison, baseline)
    seed = shown_facts.together.middle_seed() if shown_facts.together else None
    zones: dict[str, Any] = {}
    if step := tour.current():
        steps = story.steps(shown_facts, sharing.heads_sentence(comparison, "co-trained", seed, threshold))
        zones = dict.fromkeys(steps[step - 1].parts, steps[step - 1].zone)
        with head:
            tour.show_card(steps, step, comparison.setting)
    if race.is_shown():
        with left:
            race.show_race(comparison, baseline, threshold)
    else:
        show_curves(comparison, baseline, shown_facts, zones, (left, right))
    if badge := panels.imported_badge(comparison.config):
        below.markdown(f"{badge} Another program measured these runs. They do not count in the verdicts.")
    if note := hidden_note(comparison):
        below.caption(note)
    else:
        place = show_gain(comparison, shown_facts, *numbers)
        with below:
            show_graphs(comparison, baseline, seed, threshold)
        show_verdict(comparison, place)
    if frame.presenting():
        show_presenter_controls(found)
    show_closing(comparison, baseline)


def show_curves(
    comparison: Comparison, baseline: Arm, shown_facts: Facts, zones: dict[str, Any], places: tuple[Any, Any]
) -> None:
    """Both arms side by side, alone on the left."""
    left, right = places
    with left.container(key="part-alone"):
        show_baseline(comparison, baseline, shown_facts, zones.get("alone"))
    with right.container(key="part-together"):
        if tour.result_is_hidden():
            show_hidden_result(comparison, shown_facts, zones.get("together"))
        else:
            guessing = prediction.is_asked_for() and not tour.current()
            show_co_trained(comparison, shown_facts, zones.get("together"), guessing)


def hidden_note(comparison: Comparison) -> str:
    """When gain and heads will be shown, while the result is hidden; else empty."""
    if tour.current():
        return f"Gain and heads are shown from step {story.REVEAL} on." if tour.result_is_hidden() else ""
    hidden = prediction.result_is_hidden(data.read_accuracy(comparison.ids("co-trained")), comparison.config)
    return "Gain and heads are shown after you press Reveal." if hidden else ""


def render() -> None:
    """Draw the page."""
    with frame.page(TITLE, "", "overview", evidence=True):
        main()

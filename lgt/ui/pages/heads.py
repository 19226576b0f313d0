"""Heads: one run's attention heads, what they do, and what knocking them out does."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from lgt.charts import ablation_maps, attention_pattern, knock_out_strip, sharing_graph
from lgt.core.config import Arm, RunConfig
from lgt.core.records import Head
from lgt.metrics.by_seed import transfer_by_seed
from lgt.metrics.maps import mean_map
from lgt.metrics.zones import IN_DISTRIBUTION, OUT_OF_DISTRIBUTION, TRANSFER_REGION
from lgt.recipes.labels import ARM_TITLES, head_name
from lgt.store.comparisons import Comparison
from lgt.tasks import TASKS
from lgt.ui import address, data, frame, knockouts, panels
from lgt.ui.drawing import draw
from lgt.ui.facts import control_of
from lgt.ui.head_similarity import control_sentence, explained, grid, likeness_table, show_trajectory
from lgt.ui.run_table import SIDES

LEAD = (
    "An attention head is a part of the network that moves information from one position to another. Which heads does "
    "each task need? **Click a head** to see where it looks, and what both tasks lose without it."
)
ZONES = {"trained": IN_DISTRIBUTION, "transfer region": TRANSFER_REGION, "beyond": OUT_OF_DISTRIBUTION}
AUTOMATIC = "automatic"
CHARTS = ("graph", "maps")
ONE_HEAD = "one-head"  # the anchor of what is shown of the chosen head
HEAD = "head"  # the selection in charts, and the choice in the address


@dataclass(frozen=True)
class View:
    """What the viewer looks at: one run's maps in one zone (``asked`` for, or ``automatic``).

    ``maps``: see :func:`lgt.metrics.maps.mean_map`. ``transfer``: the run's transfer accuracy.
    """

    comparison: Comparison
    arm: Arm
    seed: int
    config: RunConfig
    zone: str
    asked: bool
    maps: pd.DataFrame
    transfer: float | None
    threshold: float

    @property
    def run_id(self) -> int:
        return self.comparison.runs[self.arm][self.seed]

    @property
    def main(self) -> str:
        return self.config.main.task

    @property
    def auxiliaries(self) -> list[str]:
        """Tasks beside the main task in this run; none when it was trained alone."""
        return [spec.task for spec in self.config.auxiliaries]


# --- choosing ---------------------------------------------------------------------------------------------------


def choose() -> View:
    """The run, the zone of lengths and the threshold; all live in the address."""
    found = data.read_comparisons()
    names = {panels.setting_key(setting): setting for setting in found}
    pair, side, run, zone, limit = st.columns([5, 4, 2, 4, 4], vertical_alignment="top", gap="medium")
    with pair:
        key = address.select(
            "Task pair", list(names), default=panels.first_choice(names), key="pair",
            shown=lambda name: panels.setting_title(names[name], found[names[name]]),
        )  # fmt: skip
    comparison = found[names[key]]
    sides = [name for name, arm in SIDES.items() if comparison.runs[arm]]
    with side:
        arm = SIDES[address.select(
            "Main task trained", sides, default="together", key="side",
            shown=lambda name: name if name == "together" else ARM_TITLES[SIDES[name]],
        )]  # fmt: skip
    with run:
        seed = choose_seed(comparison, arm)
    with zone:
        wanted = address.select(
            "Prompts of lengths", [AUTOMATIC, *ZONES], default=AUTOMATIC, key="zone",
            shown=lambda name: {AUTOMATIC: "chosen for this run"}.get(name, name),
        )  # fmt: skip
    with limit:
        threshold = panels.choose_threshold()
    return view_of(comparison, arm, seed, wanted, threshold)


def choose_seed(comparison: Comparison, arm: Arm) -> int:
    """Which run of this side; the one with the median transfer accuracy by default."""
    seeds = [str(seed) for seed in sorted(comparison.runs[arm])]
    typical = transfer_by_seed(data.read_accuracy(comparison.ids("co-trained")))
    middle = str(typical.middle_seed()) if typical else ""
    return int(address.select("Seed", seeds, default=middle if middle in seeds else seeds[0], key="seed", shown=str))


def view_of(comparison: Comparison, arm: Arm, seed: int, wanted: str, threshold: float) -> View:
    """The maps of one run at the wanted lengths; automatically where the run has something to lose."""
    run_id = comparison.runs[arm][seed]
    config = data.read_run(run_id).config
    transfer = transfer_by_seed(data.read_accuracy([run_id]))
    reached = transfer.mean if transfer else None
    zone = ZONES.get(wanted) or (TRANSFER_REGION if (reached or 0.0) > panels.SOMETHING_TO_LOSE else IN_DISTRIBUTION)
    maps = mean_map(data.read_head_scores([run_id]), config, zone)
    return View(comparison, arm, seed, config, zone, wanted in ZONES, maps, reached, threshold)


def zone_sentence(view: View) -> str:
    """At which lengths heads were ablated, and why there when nobody asked for it."""
    if not view.asked:
        return panels.zone_sentence(view.zone, view.maps, view.transfer)
    place = {IN_DISTRIBUTION: "at the trained lengths", TRANSFER_REGION: "in the transfer region"}
    lengths = ", ".join(map(str, view.maps.attrs["lengths"]))
    return f"**Heads {place.get(view.zone, 'beyond the transfer region')}**, lengths {lengths}."


def choose_head(view: View) -> Head | None:
    """The head chosen in a chart, in the box or by the address (``?head=2.3``: layer 2, head 3)."""
    model = view.config.model
    options = ["", *(f"{layer + 1}.{head + 1}" for layer in range(model.layers) for head in range(model.heads))]
    if st.session_state.setdefault(HEAD, st.query_params.get(HEAD, "")) not in options:
        st.session_state[HEAD] = ""
    chosen = st.selectbox(
        "Head", options, key=HEAD, width=260,
        format_func=lambda name: head_name(*parsed(name)) if name else "none: click one, or choose it here",
        on_change=fresh, args=CHARTS,
    )  # fmt: skip
    address.remember(HEAD, chosen)
    return parsed(chosen) if chosen else None


def parsed(name: str) -> Head:
    """``2.3`` as (1, 2)."""
    layer, head = name.split(".")
    return int(layer) - 1, int(head) - 1


def clicked(chart: str) -> None:
    """Take over the head that was clicked in a chart."""
    points = st.session_state[chart_key(chart)].selection.get(HEAD) or []
    if points:
        layer, head = points[0]["name"].split("·")
        st.session_state[HEAD] = f"{layer[1:]}.{head[1:]}"
        fresh(*(other for other in CHARTS if other != chart))


def chart_key(chart: str) -> str:
    """The key of a chart that can be clicked."""
    return f"{chart}-{st.session_state.setdefault(f'{chart}-key', 0)}"


def fresh(*charts: str) -> None:
    """Let these charts forget which head was clicked in them: a click on a head they remember would go unnoticed."""
    for chart in charts:
        st.session_state[f"{chart}-key"] += 1


# --- the run's heads --------------------------------------------------------------------------------------------


def show_heads(view: View) -> Head | None:
    """The graph, the maps and what they say; returns the chosen head."""
    left, right = st.columns([6, 5], gap="large")
    with right:
        head = choose_head(view)
        if head:
            st.markdown(lost_sentence(view, head))
    chosen = head_name(*head) if head else ""
    with left:
        draw(
            sharing_graph, view.maps, frame.theme(), main=view.main, auxiliaries=view.auxiliaries, threshold=view.threshold,
            chosen=chosen, selection=HEAD, key=chart_key("graph"), name="Shared heads",
            on_select=lambda: clicked("graph"),
        )  # fmt: skip
        st.markdown(panels.sharing_sentence(view.maps, view.main, view.auxiliaries, view.threshold))
    with right:
        draw(
            ablation_maps, view.maps, frame.theme(), tasks=[view.main, *view.auxiliaries], chosen=chosen, selection=HEAD,
            key=chart_key("maps"), name="Ablation maps", on_select=lambda: clicked("maps"),
        )  # fmt: skip
        st.caption(
            f"Run {view.run_id}, seed {view.seed}, {int(view.maps.examples.iloc[0])} prompts a task. Heads of another "
            "seed are other heads: head 1 of one run has nothing to do with head 1 of the next."
        )
    if view.auxiliaries:
        attention = data.read_attention_differences([view.run_id])
        same = attention[attention.length.isin(view.maps.attrs["lengths"])]
        st.table(explained(likeness_table(view.maps, same, view.main, view.auxiliaries)))
        show_control(view)
    return head


def show_control(view: View) -> None:
    """How much the same main task shares with an unrelated task, where the store has such a pair."""
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


def lost_sentence(view: View, head: Head) -> str:
    """What each task loses without a head, from the stored maps, and where there is more of it."""
    drops = {task: round(100 * grid(view.maps, task, "accuracy_drop")[head]) for task in (view.main, *view.auxiliaries)}
    signs = {task: "−" if drop > 0 else "+" if drop < 0 else "" for task, drop in drops.items()}
    points = [f"{TASKS[task].title} **{signs[task]}{abs(drop)}**" for task, drop in drops.items()]
    lengths = ", ".join(map(str, view.maps.attrs["lengths"]))
    more = "Curves and attention" if knockouts.weights(view.run_id) else "More"
    return f"Without it, at lengths {lengths}: {', '.join(points)} points of exact match. [{more} below](#{ONE_HEAD})."


def no_weights(view: View) -> None:
    """Why nothing can be computed live, and where it can."""
    kept = set(data.read_checkpoints().run_id)
    have = [seed for seed, run_id in sorted(view.comparison.runs[view.arm].items()) if run_id in kept]
    other = f"Seed {', '.join(map(str, have))} of this side has." if have else "The runs trained together have."
    st.info(f"The weights of run {view.run_id} are not in the store, so no head of it can be switched off. {other}")


# --- one head ---------------------------------------------------------------------------------------------------


def show_head(view: View, head: Head) -> None:
    """Where one head looks, for each task, and what the tasks lose without it."""
    name = head_name(*head)
    st.subheader(f"Head {name}: head {head[1] + 1} of layer {head[0] + 1}", anchor=ONE_HEAD)
    if not knockouts.weights(view.run_id):
        no_weights(view)
        return
    st.markdown(f"**Without it.** Exact match of each task with the whole model, and with {name} knocked out.")
    knockouts.show_curves(view.run_id, view.config, (head,), name)
    st.caption(
        "Knocked out: the head's output is replaced by its mean over the test prompts of the length, position by "
        "position, so that it says the same whatever the prompt. Computed now, from the stored weights. Another head "
        "may stand in for it; then nothing is lost, although the head does something."
    )
    show_patterns(view, head)


def show_patterns(view: View, head: Head) -> None:
    """The head's mean attention pattern for each task at a chosen length."""
    shortest = min(TASKS[spec.task].minimum_length for spec in view.config.tasks)
    lengths = list(range(shortest, view.config.evaluation.maximum_length + 1))
    mapped = view.maps.attrs["lengths"]
    st.markdown("**Where it looks.** A row is a token that is read; strong colours are what the head looks at from it.")
    length = st.select_slider(
        "Length", lengths, value=mapped[len(mapped) // 2], key="length", bind="query-params", width=320
    )
    specs = view.config.tasks
    for start in range(0, len(specs), 2):  # two beside each other, so that tokens have room for their names
        for spec, column in zip(specs[start : start + 2], st.columns(2, gap="medium"), strict=False):
            with column:
                show_pattern(view, head, spec.task, int(length))
    st.caption(
        "Labels, where there is room for them, are the tokens of one of the prompts: ● the start, ■ the task's tag, "
        "then prompt and answer."
    )


def show_pattern(view: View, head: Head, task: str, length: int) -> None:
    """The head's mean attention pattern for one task, over the prompts of the commonest layout."""
    found = knockouts.patterns(view.run_id, task, length)
    if found is None:
        st.info(f"There is no test prompt of {TASKS[task].title} of this length.")
        return
    draw(attention_pattern, found.values[head], found.tokens, found.prompt, found.used, frame.theme(), task=task,
         head=head_name(*head), key=f"pattern-{task}")  # fmt: skip
    if found.used < found.drawn:
        st.caption(f"{found.used} of {found.drawn} prompts: those of the commonest layout.")


# --- from correlation to cause ----------------------------------------------------------------------------------


def show_test(view: View) -> None:
    """Knocking out the heads that another task needs most, against other heads of the same layers."""
    st.subheader("From correlation to cause", anchor=False)
    st.markdown(
        "That two tasks need the same heads is a correlation. A test: switch off the heads that the **other** task "
        "needs most, and see whether the **main** task fails, more than when other heads of the same layers go."
    )
    if not knockouts.weights(view.run_id):
        no_weights(view)
        return
    left, middle, right = st.columns([3, 3, 2], vertical_alignment="bottom")
    with left:
        other = address.select(
            "Heads of", view.auxiliaries, default=view.auxiliaries[0], key="of", shown=lambda task: TASKS[task].title
        )
    most = min(4, view.config.model.layers * view.config.model.heads - 1)
    count = int(middle.select_slider("How many", range(1, most + 1), value=2, key="k", bind="query-params"))
    first = knockouts.first_heads(view.maps, other, count, view.threshold)
    asked = (view.run_id, view.zone, first.heads)
    right.button("Test it", type="primary", key="test", on_click=lambda: st.session_state.update(asked=asked))
    st.caption(knockouts.first_sentence(first, view.maps.attrs["lengths"]))
    if st.session_state.get("asked") == asked:
        show_result(view, first)


def show_result(view: View, first: knockouts.First) -> None:
    """Run the test, draw it and say what it shows."""
    choices, every = knockouts.other_choices(first.heads, view.config)
    lengths, named = knockouts.lengths(view.config, view.zone), knockouts.names(first.heads)
    found = knockouts.run_test(view.run_id, view.config, lengths, first.heads, choices)
    if found.intact <= panels.SOMETHING_TO_LOSE:
        st.info(f"The whole model has {found.intact:.0%} exact match at these lengths: there is nothing to lose here.")
        return
    left, right = st.columns([5, 4], gap="large")
    with left:
        draw(knock_out_strip, found.others, found.chosen, found.intact, frame.theme(), main=view.main,
             other=first.task, names=named, key="strip", name="Knock-out test")  # fmt: skip
    right.markdown(knockouts.sentence(found, view.main, first, lengths, every))
    right.caption(knockouts.CAUTION)
    knockouts.show_curves(view.run_id, view.config, first.heads, named)


def main() -> None:
    if not data.read_comparisons():
        frame.empty_store()
        return
    view = choose()
    if view.maps.empty:
        st.info(f"Run {view.run_id} has no ablation maps at these lengths: choose others above.")
        return
    st.caption(zone_sentence(view))
    head = show_heads(view)
    if head:
        show_head(view, head)
    if view.auxiliaries:
        show_trajectory(view.run_id, view.config)
        show_test(view)
    panels.method()
    runs = data.read_runs()
    shown = runs[runs.id == view.run_id]
    command = panels.train_command(view.comparison, view.arm, view.seed)
    frame.provenance(shown, f"Repeat it with `{command} --database mine.db`.")


def render() -> None:
    """Draw the page."""
    with frame.page("Heads", LEAD):
        main()

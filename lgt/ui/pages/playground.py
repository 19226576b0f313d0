"""Playground: give a trained model one prompt, watch it answer, look inside, switch heads off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from lgt.charts import answer_row, attention_map, maze_picture
from lgt.core.config import RunConfig
from lgt.metrics.failures import first_failure
from lgt.metrics.maps import strongest_head
from lgt.store.queries import RunRecord
from lgt.tasks import TASKS
from lgt.tasks.base import Task
from lgt.tasks.prompts import Prompt, drawn, longest, maze_of
from lgt.tasks.vocabulary import decode
from lgt.ui import address, data, frame, panels, prompt_fields
from lgt.ui import playground as play
from lgt.ui.drawing import draw

if TYPE_CHECKING:
    from lgt.evaluation.generation import Answer

LEAD = (
    "Give a trained model **one prompt** and watch it answer, token by token. Look at what a head attends to, switch "
    "heads off and see what breaks. The models are the stored ones; the answers are made now."
)


@dataclass(frozen=True)
class Scene:
    """What the viewer looks at: a run, one of its tasks, and a prompt."""

    run: RunRecord
    task: Task
    prompt: Prompt

    @property
    def config(self) -> RunConfig:
        return self.run.config


def choose_run(runs: dict[int, str]) -> int:
    """The run; it lives in the address by its number."""
    names = {str(run_id): title for run_id, title in runs.items()}
    return int(address.select(
        "Run (those with stored weights)", list(names), default=str(play.typical_run(runs)), key="run",
        shown=lambda name: names[name],
    ))  # fmt: skip


def as_read(scene: Scene) -> None:
    """How the model sees the prompt, in which zone it is, and whether it can be known from training."""
    body = decode(scene.prompt.body)
    if scene.task.fields:
        st.markdown(f"{scene.task.summary} {scene.task.reading} `{body}`")
    else:
        with st.expander(scene.task.reading):
            st.code(body, language=None, wrap_lines=True)
    seen = scene.prompt.length <= play.spec_of(scene.config, scene.task.name).training_length
    known = (
        "" if scene.prompt.held_out or not seen
        else " This very prompt may have been among the training examples; drawn ones never are."
    )  # fmt: skip
    st.markdown(play.zone_words(scene.config, scene.task.name, scene.prompt.length) + known)


def outcome(prompt: Prompt, answer: Answer) -> str:
    """Whether an answer is right, or where it first goes wrong; queries that are given do not count."""
    wrong, asked, count = play.first_wrong(prompt, answer), len(play.asked_places(prompt)), len(prompt.answer)
    given = count - asked
    if wrong is None and given:
        return f"all {asked} asked tokens are right ({given} queries were given)"
    if wrong is None:
        return f"all {count} tokens are right"
    return f"the first wrong token is number {wrong} of {count}" + (f", of which {given} are given" if given else "")


def move(key: str, by: int, asked: list[int]) -> None:
    """The buttons beside the slider."""
    place = asked.index(st.session_state[key]) + by
    st.session_state[key] = asked[min(len(asked) - 1, max(0, place))]


def choose_step(scene: Scene, default: int) -> tuple[int, bool]:
    """The token that is looked at, among those the model is asked for, and whether what comes after it is hidden."""
    asked = play.asked_places(scene.prompt)
    key = f"step-{scene.run.id}-{hash(scene.prompt)}"
    linked = not any(str(known).startswith("step-") for known in st.session_state)  # else it is of another prompt
    place = prompt_fields.whole("step", asked[0], asked[-1], default)
    st.session_state.setdefault(key, place if linked and place in asked else default)
    step = int(st.select_slider("Token of the answer", asked, key=key))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Back", key="back", icon=":material/chevron_left:", on_click=move, args=(key, -1, asked))
        st.button("Next", key="next", icon=":material/chevron_right:", on_click=move, args=(key, 1, asked))
        hidden = bool(st.toggle("Hide what comes later", key="hide", bind="query-params"))
    address.remember("step", "" if step == default else str(step))
    return step, hidden


def choose_off(config: RunConfig) -> tuple[tuple[int, int], ...]:
    """The board of heads; those that are pressed are off. Layers and heads are counted from 1 for people."""
    asked = set(st.query_params.get("off", "").split(","))
    shape = f"{config.model.layers}x{config.model.heads}"
    off = []
    for layer in reversed(range(config.model.layers)):
        key = f"off-{shape}-{layer}"
        heads = range(config.model.heads)
        st.session_state.setdefault(key, [head for head in heads if f"{layer + 1}.{head + 1}" in asked])
        chosen = st.pills(
            f"Layer {layer + 1}", heads, key=key, selection_mode="multi", format_func=lambda head: f"H{head + 1}"
        )
        off += [(layer, head) for head in chosen]
    names = [f"{layer + 1}.{head + 1}" for layer, head in sorted(off)]
    address.remember("off", ",".join(names))
    st.button("All on", key="all-on", disabled=not off, on_click=all_on, args=(shape, config.model.layers))
    return tuple(sorted(off))


def all_on(shape: str, layers: int) -> None:
    """The button that switches every head on again."""
    for layer in range(layers):
        st.session_state[f"off-{shape}-{layer}"] = []


def choose_head(scene: Scene) -> tuple[int, int]:
    """The head whose attention is shown; by default the one that this task needs most."""
    shape = scene.config.model
    names = [f"{layer + 1}.{head + 1}" for layer in range(shape.layers) for head in range(shape.heads)]
    layer, head = strongest_head(data.read_head_scores([scene.run.id]), scene.task.name) or (0, 0)
    chosen = address.select(
        "Attention of head", names, default=f"{layer + 1}.{head + 1}", key="head",
        place=f"-{scene.run.id}-{scene.task.name}",
        shown=lambda name: "layer {}, head {}".format(*name.split(".")),
    )  # fmt: skip
    layer, head = map(int, chosen.split("."))
    return layer - 1, head - 1


def name_heads(off: tuple[tuple[int, int], ...]) -> str:
    """Heads in words, such as ``L1·H2 and L2·H4``."""
    names = [f"L{layer + 1}·H{head + 1}" for layer, head in off]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def show_answer(scene: Scene, lives: dict[str, play.Live], step: int, hidden: bool) -> None:
    """The answer, token by token."""
    answers = {name: live.answer for name, live in lives.items()}
    table = play.answer_frame(scene.prompt, answers, step if hidden else None)
    draw(answer_row, table, frame.theme(), step=step, key="answer")


def show_maze(scene: Scene, live: play.Live, step: int, hidden: bool) -> None:
    """The maze with the true way and the model's up to the token looked at."""
    grid = scene.config.options.grid
    nodes, edges, moves = play.maze_frames(scene.prompt, live.answer, grid, step, hidden)
    draw(maze_picture, nodes, edges, moves, frame.theme(), grid=grid, key="maze")


def told_outcomes(prompt: Prompt, lives: dict[str, play.Live], off: tuple[tuple[int, int], ...], hidden: bool) -> None:
    """The answers in one sentence each, unless that would tell what is still hidden."""
    first, *others = lives.values()
    if not hidden:
        st.markdown(f"**The model**: {outcome(prompt, first.answer)}.")
    for live in others:
        if not hidden:
            st.markdown(f"**With {name_heads(off)} off**: {outcome(prompt, live.answer)}.")
        beyond = (
            f" Behind position {live.reached}, which none of them reaches, it is the mean of these means."
            if len(prompt.tokens) > live.reached else ""
        )  # fmt: skip
        st.caption(
            f"A head that is off puts out its mean over {live.examples} test prompts of the same form, position by "
            f"position.{beyond}"
        )


def look_inside(scene: Scene, live: play.Live, step: int, off: tuple[tuple[int, int], ...], hidden: bool) -> None:
    """The attention of one head."""
    layer, head = choose_head(scene)
    table = play.attention_frame(scene.prompt, live.answer, layer, head)
    written = len(live.answer.steps)
    if step > written:
        st.caption(f"The model ended its answer after {written} tokens; its last one is shown.")
    note = "Bars: what the head looks at while the framed token is written. Below: one row for every token written."
    if (layer, head) in off:
        note += " This head is off: it still looks, and what it reads is not passed on."
    elif off:
        note += f" Seen with {name_heads(off)} off."
    draw(
        attention_map, table, frame.theme(), step=min(step, written), hidden=hidden,
        title=f"Layer {layer + 1}, head {head + 1}", note=note, key="attention",
    )  # fmt: skip
    st.caption(play.look_words(table, min(step, written)))


def where_it_breaks(scene: Scene) -> None:
    """The first length at which the run fails, from stored counts, and an example worked through."""
    st.subheader("Where it breaks", anchor=False)
    accuracy = data.read_accuracy([scene.run.id])
    rows = accuracy[accuracy.task == scene.task.name]
    unit = scene.task.unit
    if rows.empty:
        st.caption("This run has no measured accuracy of this task.")
        return
    failure = first_failure(accuracy, scene.task.name)
    if failure is None:
        st.markdown(
            f"It answers at least half of the prompts at every length that was measured, {rows.length.min()} to "
            f"{rows.length.max()} {unit} ({int(rows.total.min()):,} test prompts or more each)."
        )
        panels.curve(accuracy, key="curve")
        return
    st.markdown(play.break_words(failure, unit))
    panels.curve(accuracy, key="curve")
    if failure.length <= longest(scene.task, scene.config.options):
        worked_example(scene, failure.length)


def worked_example(scene: Scene, length: int) -> None:
    """One prompt of the failing length, digit by digit."""
    seed, prompt, live = play.failing_example(scene.run.id, scene.task.name, length, scene.config)
    wrong = play.first_wrong(prompt, live.answer)
    if wrong is None:
        st.caption(f"The first {seed + 1} prompts drawn here are all answered right; the last of them:")
    else:
        tried = "the first prompt drawn" if seed == 0 else f"prompt {seed + 1} of those drawn, the first that fails"
        st.markdown(f"An example, {tried}: {play.mistake_words(prompt, live.answer, wrong)}")
    draw(
        answer_row, play.answer_frame(prompt, {"model": live.answer}), frame.theme(), step=wrong or 1,
        note="Frame: the first wrong token. The model reads its own mistakes from there on." if wrong else "",
        key="example",
    )  # fmt: skip
    st.button(
        "Look at this prompt above",
        key="look",
        icon=":material/arrow_upward:",
        on_click=prompt_fields.look_at,
        args=(length, seed),
    )  # fmt: skip


def main() -> None:
    runs = play.runs_with_weights()
    if not runs:
        frame.empty_store()
        return
    left, right = st.columns([8, 4], gap="medium")
    with left:
        run_id = choose_run(runs)
    run = data.read_run(run_id)
    with right:
        name = address.select(
            "Task", [spec.task for spec in run.config.tasks], default=run.config.main.task, key="task",
            place="-" + "-".join(spec.task for spec in run.config.tasks),
            shown=lambda name: TASKS[name].title,
        )  # fmt: skip
    prompt = prompt_fields.choose_prompt(run.config, TASKS[name])
    if prompt is not None:
        st.fragment(live_part)(Scene(run, TASKS[name], prompt))
    where_it_breaks(Scene(run, TASKS[name], prompt or drawn(name, TASKS[name].minimum_length, 0, run.config.options)))


def live_part(scene: Scene) -> None:
    """What steps and heads change; a fragment, so that the rest of the page stays as it is."""
    with frame.error_boundary("Playground"):
        play_with(scene)


def play_with(scene: Scene) -> None:
    """Answer, steps, heads and attention of one prompt."""
    as_read(scene)
    clean = play.answered(scene.run.id, scene.prompt)
    maze, top = st.columns([2, 3], gap="large") if maze_of(scene.prompt) else (None, st.container())
    picture, steps = top.container(), top.container()
    attention, board = st.columns([4, 1], gap="large")
    with board:
        st.markdown("**Switch heads off**")
        off = choose_off(scene.config)
    lives = {"model": clean}
    if off:
        lives["heads off"] = play.answered(scene.run.id, scene.prompt, off)
    live = lives.get("heads off", clean)
    with steps:
        step, hidden = choose_step(scene, opening_step(scene, clean))
        st.markdown(play.step_words(scene.prompt, live.answer, step) + (f" ({name_heads(off)} off)" if off else ""))
    with picture:
        show_answer(scene, lives, step, hidden)
        told_outcomes(scene.prompt, lives, off, hidden)
    if maze is not None:
        with maze:
            show_maze(scene, live, step, hidden)
    with attention:
        look_inside(scene, live, step, off, hidden)


def opening_step(scene: Scene, live: play.Live) -> int:
    """Where the walk through the answer starts: at the first mistake; of a maze that is right, at the end."""
    asked = play.asked_places(scene.prompt)
    return play.first_wrong(scene.prompt, live.answer) or asked[-1 if maze_of(scene.prompt) else 0]


def render() -> None:
    """Draw the page."""
    with frame.page("Playground", LEAD):
        main()

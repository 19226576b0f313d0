"""Playground: one prompt for a trained model, its answer token by token, its attention, heads switched off."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import streamlit as st

from lgt.charts import answer_row, attention_map, maze_picture
from lgt.core.config import RunConfig
from lgt.metrics.failures import first_failure
from lgt.metrics.maps import strongest_head
from lgt.recipes.labels import head_name, head_names, task_title
from lgt.store.queries import RunRecord
from lgt.tasks import TASKS
from lgt.tasks.base import Task
from lgt.tasks.prompts import Prompt, drawn, longest, maze_of
from lgt.tasks.vocabulary import decode
from lgt.ui import address, answers, data, failure_pairs, frame, panels, prompt_fields
from lgt.ui.drawing import draw, view_shows

if TYPE_CHECKING:
    from lgt.evaluation.generation import Answer

LEAD = (
    "Give a trained model **one prompt** and read its answer, token by token. See where a head looks, switch heads "
    "off and see which tokens become wrong. The models are stored; the answers are computed now."
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
    ids = {data.name(run_id): run_id for run_id in runs}
    name = address.select(
        "Run (only runs with stored weights)", list(ids), default=data.name(answers.typical_run(runs)), key="run",
        shown=lambda name: runs[ids[name]],
    )  # fmt: skip
    return ids[name]


def as_read(scene: Scene) -> None:
    """How the model reads the prompt, its zone, and whether it may have been among the training examples."""
    body = decode(scene.prompt.body)
    if scene.task.fields:
        st.markdown(f"{scene.task.summary} {scene.task.reading} `{body}`")
    else:
        with st.expander(scene.task.reading):
            st.code(body, language=None, wrap_lines=True)
    seen = scene.prompt.length <= answers.spec_of(scene.config, scene.task.name).training_length
    known = (
        "" if scene.prompt.held_out or not seen
        else " This prompt may have been among the training examples; prompts that are drawn here never are."
    )  # fmt: skip
    st.markdown(answers.zone_sentence(scene.config, scene.task.name, scene.prompt.length) + known)


def outcome_words(prompt: Prompt, answer: Answer, config: RunConfig) -> str:
    """Whether an answer is right, or its first wrong token and the kind of error (:mod:`lgt.metrics.failures`).
    Tokens that the model is given do not count."""
    wrong, asked, count = (
        answers.first_wrong_place(prompt, answer),
        len(answers.asked_places(prompt)),
        len(prompt.answer),
    )
    given = count - asked
    if wrong is None and given:
        return f"all {asked} tokens that it wrote are right ({given} questions were given)"
    if wrong is None:
        return f"all {count} tokens are right"
    kind = answers.error_words(prompt, answer, config)
    return (
        f"the first wrong token is number {wrong} of {count}"
        + (f", of which {given} are given" if given else "")
        + (f". {kind}" if kind else "")
    )


def move(key: str, by: int, asked: list[int]) -> None:
    """Go ``by`` tokens further. For the buttons below the slider."""
    place = asked.index(st.session_state[key]) + by
    st.session_state[key] = asked[min(len(asked) - 1, max(0, place))]


def choose_step(scene: Scene, default: int) -> tuple[int, bool]:
    """The chosen token, among those that the model writes, and whether later tokens are hidden."""
    asked = answers.asked_places(scene.prompt)
    key = f"step-{scene.run.id}-{hash(scene.prompt)}"
    linked = not any(str(known).startswith("step-") for known in st.session_state)  # else the step is another prompt's
    place = prompt_fields.number_in_address("step", asked[0], asked[-1], default)
    st.session_state.setdefault(key, place if linked and place in asked else default)
    step = int(st.select_slider("Token of the answer", asked, key=key))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Back", key="back", icon=":material/chevron_left:", on_click=move, args=(key, -1, asked))
        st.button("Next", key="next", icon=":material/chevron_right:", on_click=move, args=(key, 1, asked))
        hidden = bool(st.toggle("Hide later tokens", key="hide", bind="query-params"))
    address.remember("step", "" if step == default else str(step))
    return step, hidden


def choose_off(config: RunConfig) -> tuple[tuple[int, int], ...]:
    """The buttons of the heads: pressed means off. Readers see layers and heads counted from 1."""
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
    """Switch every head on again. For a button."""
    for layer in range(layers):
        st.session_state[f"off-{shape}-{layer}"] = []


def choose_head(scene: Scene) -> tuple[int, int]:
    """The head whose attention is shown; by default the head that this task needs most."""
    shape = scene.config.model
    names = [f"{layer + 1}.{head + 1}" for layer in range(shape.layers) for head in range(shape.heads)]
    layer, head = strongest_head(data.read_head_scores([scene.run.id]), scene.task.name) or (0, 0)
    chosen = address.select(
        "Attention of head", names, default=f"{layer + 1}.{head + 1}", key="head",
        scope=f"-{scene.run.id}-{scene.task.name}",
        shown=lambda name: "layer {}, head {}".format(*name.split(".")),
    )  # fmt: skip
    layer, head = map(int, chosen.split("."))
    return layer - 1, head - 1


def name_heads(off: tuple[tuple[int, int], ...]) -> str:
    """Heads in words, such as ``L1·H2 and L2·H4``."""
    names = [head_name(*head) for head in off]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def about(scene: Scene, off: tuple[tuple[int, int], ...] = ()) -> dict[str, object]:
    """What a downloaded table says in every row: the run, the prompt, and the heads that are ``off``."""
    return {
        "run_id": scene.run.id, "task": scene.task.name, "length": scene.prompt.length,
        "prompt": decode(scene.prompt.body), "heads_off": head_names(off),
    }  # fmt: skip


def show_answer(
    scene: Scene, lives: dict[str, answers.LiveAnswer], step: int, off: tuple[tuple[int, int], ...], hidden: bool
) -> None:
    """The answer, token by token."""
    written = {name: live.answer for name, live in lives.items()}
    table = answers.answer_frame(scene.prompt, written, step if hidden else None)
    draw(answer_row, table, frame.theme(), step=step, key="answer", about=about(scene, off))


def show_maze(
    scene: Scene, live: answers.LiveAnswer, step: int, off: tuple[tuple[int, int], ...], hidden: bool
) -> None:
    """The maze with the true way and the model's way up to the chosen token."""
    grid = scene.config.options.grid
    nodes, edges, moves = answers.maze_frames(scene.prompt, live.answer, grid, step, hidden)
    draw(maze_picture, nodes, edges, moves, frame.theme(), grid=grid, key="maze", table=moves, about=about(scene, off))


def show_outcomes(
    scene: Scene, lives: dict[str, answers.LiveAnswer], off: tuple[tuple[int, int], ...], hidden: bool
) -> None:
    """One sentence for each answer, unless later tokens are hidden."""
    first, *others = lives.values()
    prompt, config = scene.prompt, scene.config
    if not hidden:
        st.markdown(f"**The model**: {outcome_words(prompt, first.answer, config)}.")
    for live in others:
        if not hidden:
            st.markdown(f"**With {name_heads(off)} off**: {outcome_words(prompt, live.answer, config)}.")
        beyond = (
            f" The longest of them ends at position {live.reached}. After it the head sends the mean of these averages."
            if len(prompt.tokens) > live.reached else ""
        )  # fmt: skip
        st.caption(
            f"Off means: at each position the head sends its average output over {live.examples} test prompts of the "
            f"same form. It does not react to this prompt.{beyond}"
        )


def show_attention(
    scene: Scene, live: answers.LiveAnswer, step: int, off: tuple[tuple[int, int], ...], hidden: bool
) -> None:
    """The attention of one head."""
    layer, head = choose_head(scene)
    table = answers.attention_frame(scene.prompt, live.answer, layer, head)
    written = len(live.answer.steps)
    if step > written:
        st.caption(f"The model ended its answer after {written} tokens; the attention of the last one is shown.")
    note = "Bars: where the head looks while the framed token is written. Below: one row for every token written."
    if (layer, head) in off:
        note += " This head is off: it still looks, but what it reads is not passed on."
    elif off:
        note += f" With {name_heads(off)} off."
    draw(
        attention_map, table, frame.theme(), step=min(step, written), hidden=hidden,
        title=f"Layer {layer + 1}, head {head + 1}", note=note, key="attention",
        about=about(scene, off) | {"layer": layer, "head": head},
    )  # fmt: skip
    st.caption(answers.attention_sentence(table, min(step, written)))


def show_first_failure(scene: Scene) -> None:
    """The first length at which the run fails, from stored counts, with an example."""
    st.subheader("Where the model fails", anchor=False)
    accuracy = data.read_accuracy([scene.run.id])
    rows = accuracy[accuracy.task == scene.task.name]
    unit = scene.task.unit
    if rows.empty:
        st.caption("This run has no measured accuracy of this task.")
        return
    failure = first_failure(accuracy, scene.task.name)
    if failure is None:
        st.markdown(
            f"At every measured length, {rows.length.min()} to {rows.length.max()} {unit}, at least half of the "
            f"answers are right ({int(rows.total.min()):,} test prompts or more for each length)."
        )
        panels.curve(accuracy, key="curve")
        return
    st.markdown(f"{answers.break_sentence(failure, unit)} {failure_pairs.link(scene.run.id, scene.task.name)}")
    panels.curve(accuracy, key="curve")
    if failure.length <= longest(scene.task, scene.config.options):
        show_failing_example(scene, failure.length)


def show_failing_example(scene: Scene, length: int) -> None:
    """One prompt of the failing length, token by token."""
    seed, prompt, live = answers.failing_example(scene.run.id, scene.task.name, length, scene.config)
    wrong = answers.first_wrong_place(prompt, live.answer)
    if wrong is None:
        st.caption(f"The answers to the first {seed + 1} prompts drawn here are all right. The last of them:")
    else:
        tried = "the first prompt drawn" if seed == 0 else f"prompt {seed + 1} of those drawn, the first wrong answer"
        st.markdown(f"An example, {tried}: {answers.mistake_sentence(prompt, live.answer, wrong)}")
    draw(
        answer_row, answers.answer_frame(prompt, {"model": live.answer}), frame.theme(), step=wrong or 1,
        note="Frame: the first wrong token. After it the model reads its own mistake." if wrong else "",
        key="example", about=about(replace(scene, prompt=prompt)),
    )  # fmt: skip
    st.button(
        "Open this prompt above",
        key="look",
        icon=":material/arrow_upward:",
        on_click=prompt_fields.open_prompt,
        args=(length, seed),
    )  # fmt: skip


def main() -> None:
    runs = answers.runs_with_weights()
    if not runs:
        frame.empty_store()
        return
    left, right = st.columns([8, 4], gap="medium")
    with left:
        run_id = choose_run(runs)
    run = data.read_run(run_id)
    view_shows("run", data.name(run_id))
    with right:
        name = address.select(
            "Task", [spec.task for spec in run.config.tasks], default=run.config.main.task, key="task",
            scope="-" + "-".join(spec.task for spec in run.config.tasks),
            shown=task_title,
        )  # fmt: skip
    prompt = prompt_fields.choose_prompt(run.config, TASKS[name])
    if prompt is not None:
        st.fragment(live_part)(Scene(run, TASKS[name], prompt))
    show_first_failure(
        Scene(run, TASKS[name], prompt or drawn(name, TASKS[name].minimum_length, 0, run.config.options))
    )


def live_part(scene: Scene) -> None:
    """The part that steps and heads change; a fragment, so that the rest of the page is not drawn again."""
    with frame.error_boundary("Playground"):
        show_scene(scene)


def show_scene(scene: Scene) -> None:
    """Answer, steps, heads and attention of one prompt."""
    as_read(scene)
    clean = answers.live_answer(scene.run.id, scene.prompt)
    maze, top = st.columns([2, 3], gap="large") if maze_of(scene.prompt) else (None, st.container())
    picture, steps = top.container(), top.container()
    attention, board = st.columns([4, 1], gap="large")
    with board:
        st.markdown("**Switch heads off**")
        off = choose_off(scene.config)
    lives = {"model": clean}
    if off:
        lives["heads off"] = answers.live_answer(scene.run.id, scene.prompt, off)
    live = lives.get("heads off", clean)
    with steps:
        step, hidden = choose_step(scene, opening_step(scene, clean))
        st.markdown(
            answers.step_sentence(scene.prompt, live.answer, step) + (f" ({name_heads(off)} off)" if off else "")
        )
    with picture:
        show_answer(scene, lives, step, off, hidden)
        show_outcomes(scene, lives, off, hidden)
    if maze is not None:
        with maze:
            show_maze(scene, live, step, off, hidden)
    with attention:
        show_attention(scene, live, step, off, hidden)


def opening_step(scene: Scene, live: answers.LiveAnswer) -> int:
    """The token that is chosen at first: the first mistake; in a maze without a mistake the last token."""
    asked = answers.asked_places(scene.prompt)
    return answers.first_wrong_place(scene.prompt, live.answer) or asked[-1 if maze_of(scene.prompt) else 0]


def render() -> None:
    """Draw the page."""
    with frame.page("Playground", LEAD):
        main()

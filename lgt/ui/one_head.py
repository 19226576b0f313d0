"""One head of a run on a page: what the tasks lose without it, and where it looks."""

from __future__ import annotations

import streamlit as st

from lgt.charts import attention_pattern
from lgt.core.records import Head
from lgt.recipes.labels import head_name, task_title
from lgt.tasks import TASKS, evaluation_lengths
from lgt.ui import data, frame, knock_outs
from lgt.ui.drawing import draw
from lgt.ui.head_similarity import map_array
from lgt.ui.head_view import View
from lgt.ui.titles import task_words

ANCHOR = "one-head"
"""Where on the page the head is shown."""


def loss_sentence(view: View, head: Head) -> str:
    """What each task loses without a head, from the stored maps, with a link to more."""
    tasks = [task for task in (view.main, *view.auxiliaries) if task not in view.without_maps()]
    drops = {task: round(100 * map_array(view.maps, task, "accuracy_drop")[head]) for task in tasks}
    signs = {task: "−" if drop > 0 else "+" if drop < 0 else "" for task, drop in drops.items()}
    points = [f"{task_words(task)} **{signs[task]}{abs(drop)}**" for task, drop in drops.items()]
    lengths = ", ".join(map(str, view.lengths))
    more = "Curves and attention" if data.last_weights(view.run_id) else "More"
    return f"Without it, at lengths {lengths}: {', '.join(points)} points of exact match. [{more} below](#{ANCHOR})."


def show_missing_weights(view: View) -> None:
    """Say that no head of this run can be switched off now, and which runs have weights."""
    kept = data.runs_with_weights()
    seeds = [seed for seed, run_id in sorted(view.comparison.runs[view.arm].items()) if run_id in kept]
    others = (
        f"In this arm, these seeds have weights: {', '.join(map(str, seeds))}." if seeds
        else "Choose a co-trained run: these have weights."
    )  # fmt: skip
    name = data.name(view.run_id)
    st.info(f"The weights of run {name} are not in the store, so its heads cannot be switched off. {others}")


def show_head(view: View, head: Head) -> None:
    """Where one head looks, for each task, and what the tasks lose without it."""
    name = head_name(*head)
    st.subheader(f"Head {name}: head {head[1] + 1} of layer {head[0] + 1}", anchor=ANCHOR)
    if not data.last_weights(view.run_id):
        show_missing_weights(view)
        return
    st.markdown(f"**Without it.** Exact match of each task with the whole model, and with {name} knocked out.")
    knock_outs.show_curves(view.run_id, view.config, (head,), name)
    st.caption(
        "Knocked out: at each position the head sends its average output over the test prompts of this length. It does "
        "not react to the prompt. The curves are computed now, from the stored weights. If nothing is lost, another "
        "head may do the same work."
    )
    show_patterns(view, head)


def show_patterns(view: View, head: Head) -> None:
    """The head's mean attention pattern for each task at a chosen length."""
    tasks = [TASKS[spec.task] for spec in view.config.tasks]
    lengths = sorted({length for task in tasks for length in evaluation_lengths(task, view.config)})
    st.markdown(
        "**Where it looks.** A row is a token that is read. The stronger the colour, the more the head looks there."
    )
    length = st.select_slider(
        "Length", lengths, value=view.lengths[len(view.lengths) // 2], key="length", bind="query-params", width=320
    )
    specs = view.config.tasks
    for start in range(0, len(specs), 2):  # two beside each other, so that tokens have room for their names
        for spec, column in zip(specs[start : start + 2], st.columns(2, gap="medium"), strict=False):
            with column:
                show_pattern(view, head, spec.task, int(length))
    st.caption(
        "Where there is room, the axes show the tokens of one of the prompts. ● is the start, ■ is the tag of the "
        "task. The prompt and the answer follow."
    )


def show_pattern(view: View, head: Head, task: str, length: int) -> None:
    """The head's mean attention pattern for one task, over the prompts of the most common layout."""
    found = knock_outs.patterns(view.run_id, task, length)
    if found is None:
        st.info(f"There is no test prompt of {task_words(task)} of this length.")
        return
    draw(attention_pattern, found.values[head], found.tokens, found.prompt, found.used, frame.theme(), task=task,
         head=head_name(*head), key=f"pattern-{task}", name=f"Attention of {head_name(*head)} {task_title(task)}",
         table=found.of_head(head),
         about={"run_id": view.run_id, "task": task, "length": length, "layer": head[0], "head": head[1]},
    )  # fmt: skip
    if found.used < found.drawn:
        st.caption(f"Mean over {found.used} of {found.drawn} prompts: those with the most common layout.")

"""Live answers of stored models for the page Playground: runs with weights, cached answers, tables for the charts.

torch comes with :mod:`lgt.evaluation.generation`, which is imported for the first answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from lgt.charts.pattern import part_names
from lgt.core.config import RunConfig, TaskSpec
from lgt.core.plain_text import for_markdown
from lgt.metrics import failures
from lgt.metrics.by_seed import transfer_by_seed
from lgt.metrics.failures import Failure
from lgt.metrics.intervals import wilson_interval
from lgt.metrics.zones import IN_DISTRIBUTION, TRANSFER_REGION, zone
from lgt.recipes.groups import GROUPS
from lgt.recipes.labels import ARM_TITLES, setting_title, task_title
from lgt.tasks import TASKS
from lgt.tasks.mazes import read_maze
from lgt.tasks.prompts import Prompt, drawn, prompts_of_same_layout, working
from lgt.tasks.vocabulary import FIRST_NODE, NODES, TOKENS
from lgt.ui import data, models, panels
from lgt.ui.numbers import percent

if TYPE_CHECKING:
    from lgt.core.records import Head
    from lgt.evaluation.generation import Answer

SHORT = {"<eos>": "end", "<bos>": "begin"}
SHORT_NAMES = ("begin", "task")
"""Tokens in front of the prompt. Their name says where they are, so that a sentence need not."""
WORTH_NAMING = 0.01
"""A share of attention below this is left out of sentences."""
EXAMPLES_TRIED = 16


@dataclass(frozen=True)
class LiveAnswer:
    """A live answer. With heads off: over how many prompts their average outputs are taken (``examples``), and how many
    positions the longest of these prompts has (``reached``)."""

    answer: Answer
    examples: int = 0
    reached: int = 0


# --- runs -------------------------------------------------------------------------------------------------------


def runs_with_weights() -> dict[int, str]:
    """Every finished run whose weights are stored, in words, those of the paper's task groups first."""
    kept = data.runs_with_weights()
    found: dict[int, str] = {}
    comparisons = sorted(data.read_comparisons().items(), key=lambda item: item[0].group not in GROUPS)
    for setting, comparison in comparisons:
        for arm, runs in comparison.runs.items():
            for seed, run_id in sorted(runs.items()):
                if run_id in kept:
                    title = setting_title(setting, comparison.config)
                    found.setdefault(run_id, f"{title} · {ARM_TITLES[arm]} · seed {seed}")
    everything = data.read_runs()
    if not everything.empty:
        everything = everything[everything.main_task.notna()]
        names = everything.main_task + "+" + everything.auxiliaries.fillna(everything.main_task)
        known = names.map(lambda text: set(text.split("+")) <= set(TASKS))
        others = everything[(everything.state == "done") & everything.id.isin(kept) & known]
        for run_id, label in zip(others.id, others.label, strict=True):
            found.setdefault(int(run_id), str(label).replace("<-", " ← "))
    return found


def typical_run(runs: dict[int, str]) -> int:
    """The run that the page opens with: of the favourite task group the seed with the median transfer accuracy."""
    comparisons = data.read_comparisons()
    if comparisons:
        names = {setting.key: setting for setting in comparisons}
        together = comparisons[names[panels.first_choice(names, panels.MEASURED_OFTEN)]]
        transfer = transfer_by_seed(data.read_accuracy(together.ids("co-trained")))
        if transfer and together.runs["co-trained"][transfer.middle_seed()] in runs:
            return together.runs["co-trained"][transfer.middle_seed()]
    return next(iter(runs))


def spec_of(config: RunConfig, task: str) -> TaskSpec:
    """The entry of ``task`` in a run's config."""
    return next(spec for spec in config.tasks if spec.task == task)


def zone_sentence(config: RunConfig, task: str, length: int) -> str:
    """The zone of a length for this run and task, in words."""
    spec, units = spec_of(config, task), TASKS[task].unit
    unit = units[:-1] if length == 1 else units
    which = ("its main task" if spec.role == "main" else "an auxiliary task") if config.auxiliaries else "its only task"
    trained = f"This run was trained on {task_title(task).lower()}, {which}, up to {spec.training_length} {units}"
    name = zone(length, spec.training_length, config.transfer_length if spec.role == "main" else None)
    if name == IN_DISTRIBUTION:
        return f"**{length} {unit}: trained.** {trained}."
    if name == TRANSFER_REGION:
        of_others = "" if config.auxiliaries else " of the co-trained runs"
        only = f"only auxiliary tasks{of_others} were trained up to {config.transfer_length}"
        return f"**{length} {unit}: transfer region.** {trained}; {only}."
    return f"**{length} {unit}: beyond what was trained.** {trained}."


# --- live answers -----------------------------------------------------------------------------------------------


@st.cache_data(show_spinner=False, max_entries=512)
def _live_answer(key: str, run_id: int, sha256: str, prompt: Prompt, off: tuple[Head, ...]) -> LiveAnswer:
    from lgt.evaluation.generation import answer, head_means
    from lgt.model.batch import as_batch

    config, model = models.load(run_id)
    if not off:
        return LiveAnswer(answer(model, prompt))
    evaluation = config.evaluation
    batch = as_batch(prompts_of_same_layout(prompt, evaluation.attribution_examples, evaluation.seed, config.options))
    means = head_means(model, batch, off, len(prompt.tokens))
    return LiveAnswer(answer(model, prompt, means), len(batch), batch.tokens.shape[1])


def live_answer(run_id: int, prompt: Prompt, off: tuple[Head, ...] = ()) -> LiveAnswer:
    """What the run's model writes, with these heads off. Raises StoreError when its weights are damaged."""
    return _live_answer(data.key(), run_id, data.last_weights(run_id), prompt, off)


def asked_places(prompt: Prompt) -> list[int]:
    """The places (from 1) of the answer's tokens that the model is asked for: all but the questions of ``mqar``."""
    scored = prompt.scored[prompt.prompt_length :]
    return [place for place, _ in enumerate(prompt.answer, start=1) if scored[place - 1]]


def first_wrong_place(prompt: Prompt, answer: Answer) -> int | None:
    """The place (from 1) of the first wrong or missing token; ``None`` when the answer is right."""
    return failures.first_wrong(answer.tokens, prompt.answer)


def error_words(prompt: Prompt, answer: Answer, config: RunConfig) -> str:
    """The kind of a wrong answer as a sentence; empty for one of no special kind. ``config``: that of the run."""
    wanted = failures.expected(prompt, [spec.task for spec in config.tasks], config.options)
    kind, other = failures.kind_of(answer.tokens, wanted), failures.other_task(answer.tokens, wanted)
    if kind == failures.ANOTHER_TASK and other:
        return f"As far as it goes, the answer is right for another task: {for_markdown(task_title(other))}"
    return "" if kind in (failures.RIGHT, failures.OTHER_ERROR) else f"Kind of error: {kind}"


def failing_example(run_id: int, task: str, length: int, config: RunConfig) -> tuple[int, Prompt, LiveAnswer]:
    """The first of 16 drawn prompts that the model answers wrongly, or the last of them; with the seed of its draw."""
    for seed in range(EXAMPLES_TRIED):
        prompt = drawn(task, length, seed, config.options)
        live = live_answer(run_id, prompt)
        if first_wrong_place(prompt, live.answer):
            break
    return seed, prompt, live


# --- frames -----------------------------------------------------------------------------------------------------


def token_text(token: int) -> str:
    """A token as charts show it: a node as its number, the end of an answer as a word."""
    if FIRST_NODE <= token < FIRST_NODE + NODES:
        return str(token - FIRST_NODE)
    text = TOKENS[token]
    return SHORT.get(text, "task" if text.startswith("<") else text)


def answer_frame(prompt: Prompt, answers: dict[str, Answer], until: int | None = None) -> pd.DataFrame:
    """Rows for :func:`lgt.charts.answer_row`: the parts of the calculation, every answer, the truth.

    Places after ``until`` are left blank.
    """
    until = until or len(prompt.answer)
    rows: list[dict[str, object]] = [
        {"row": name, "kind": "aid", "place": place, "text": text, "state": "", "probability": None, "likely": ""}
        for name, texts in working(prompt)
        for place, text in enumerate(texts, start=1)
    ]
    for name, answer in answers.items():
        rows += [answer_cell(name, place, prompt, answer, until) for place in range(1, len(prompt.answer) + 1)]
    rows += [
        {"row": "truth", "kind": "truth", "place": place, "text": token_text(token) if place <= until else "",
         "state": "", "probability": None, "likely": ""}
        for place, token in enumerate(prompt.answer, start=1)
    ]  # fmt: skip
    return pd.DataFrame(rows).astype({"probability": float})


def answer_cell(name: str, place: int, prompt: Prompt, answer: Answer, until: int) -> dict[str, object]:
    """One token of an answer."""
    row: dict[str, object] = {"row": name, "kind": "model", "place": place, "probability": None, "likely": ""}
    if place > until:
        return row | {"text": "", "state": "later"}
    if place > len(answer.steps):
        return row | {"text": "–", "state": "missing", "likely": "the answer has ended"}
    step = answer.steps[place - 1]
    state = "given" if step.given else "right" if step.token == prompt.answer[place - 1] else "wrong"
    likely = ", ".join(f"{token_text(token)} {percent(chance)}" for token, chance in step.likely)
    return row | {"text": token_text(step.token), "state": state, "probability": step.probability, "likely": likely}


def attention_frame(prompt: Prompt, answer: Answer, layer: int, head: int) -> pd.DataFrame:
    """Rows for :func:`lgt.charts.attention_map`: one head's attention at every step of an answer
    at which the model was asked for a token."""
    tokens = [*prompt.tokens[: prompt.prompt_length], *answer.tokens[:-1]]
    pattern = answer.patterns[layer, head]
    parts = part_names([TOKENS[token] for token in tokens], prompt.prompt_length)
    return pd.DataFrame(
        {"step": place + 1, "written": token_text(step.token), "position": position,
         "token": token_text(tokens[position]),
         "part": parts[position], "weight": float(pattern[place, position])}
        for place, step in enumerate(answer.steps)
        if not step.given
        for position in range(prompt.prompt_length + place)
    )  # fmt: skip


def attention_sentence(table: pd.DataFrame, step: int) -> str:
    """Where a head looks most while token ``step`` is written. ``table``: see :func:`attention_frame`."""
    here = table[table.step == step].sort_values("weight", ascending=False, kind="stable").head(3)
    if here.empty:
        return ""
    here = here[here.weight >= min(WORTH_NAMING, here.weight.max())]
    places = zip(here.token.astype(str), here.part.astype(str), strict=True)
    names = [f"**{token}**" + ("" if token in SHORT_NAMES else f" in the {part}") for token, part in places]
    shares = [f"{name} ({percent(weight)})" for name, weight in zip(names, here.weight, strict=True)]
    return f"While token {step} ({here.written.iloc[0]}) is written, it looks most at {', '.join(shares)}."


def maze_frames(prompt: Prompt, answer: Answer, grid: int, step: int, hidden: bool = False) -> tuple[pd.DataFrame, ...]:
    """``nodes``, ``edges`` and ``moves`` for :func:`lgt.charts.maze_picture`.

    The model's moves end at token ``step``. The true way is whole, or with ``hidden`` ends there as well.
    """
    truth = prompt.answer[:step] if hidden else prompt.answer
    maze = read_maze(prompt.body)
    kinds = {maze.start: "start", maze.target: "target"}
    nodes = pd.DataFrame(
        {"node": node, "column": node % grid, "row": node // grid, "kind": kinds.get(node, "")}
        for node in sorted(maze.neighbours)
    )
    edges = pd.DataFrame([line_between(a, b, grid) for a, b in maze.edges], columns=["x", "y", "x2", "y2"])
    open_ways = set(maze.edges)
    moves = [
        {"way": way, "number": number, "open": (min(a, b), max(a, b)) in open_ways, **line_between(a, b, grid)}
        for way, tokens in (("truth", truth), ("model", answer.tokens[:step]))
        for number, (a, b) in enumerate(walk_moves(tokens, grid), start=1)
    ]
    columns = ["way", "number", "open", "x", "y", "x2", "y2"]
    return nodes, edges, pd.DataFrame(moves, columns=columns).astype({"open": bool})


def walk_moves(tokens: tuple[int, ...], grid: int) -> list[tuple[int, int]]:
    """The moves of a walk, as pairs of cells. A token that is not a cell of the grid interrupts the walk."""
    cells = [token - FIRST_NODE for token in tokens]
    inside = range(grid * grid)
    return [(a, b) for a, b in pairwise(cells) if a in inside and b in inside]


def line_between(a: int, b: int, grid: int) -> dict[str, int]:
    """The line between two cells, in cells."""
    return {"x": a % grid, "y": a // grid, "x2": b % grid, "y2": b // grid}


def mistake_sentence(prompt: Prompt, answer: Answer, wrong: int) -> str:
    """The first wrong token, with the parts of the calculation that give the right one."""
    truth = token_text(prompt.answer[wrong - 1])
    made = ", ".join(f"{name} {texts[wrong - 1]}" for name, texts in working(prompt) if texts[wrong - 1])
    where = f"token {wrong} of {len(prompt.answer)}" + (f" ({made})" if made else "")
    if wrong > len(answer.steps):
        return f"at {where} the model has already ended its answer; the true answer continues with **{truth}**."
    step = answer.steps[wrong - 1]
    return (
        f"at {where} the model writes **{token_text(step.token)}** ({percent(step.probability)}); the right token is "
        f"**{truth}**."
    )


def break_sentence(failure: Failure, unit: str) -> str:
    """The length at which a run breaks, with the counts and their interval."""
    low, high = wilson_interval(failure.correct, failure.total)
    share = failure.correct / failure.total
    said = f"{share:.1%}" if f"{share:.0%}" == "50%" else f"{share:.0%}"
    sure = (
        " The interval contains 50%: with other test prompts the first such length could be the next one."
        if high >= 0.5
        else ""
    )
    return (
        f"**{failure.length} {unit}** is the first length at which fewer than half of the answers are right: "
        f"{failure.correct:,} of {failure.total:,}, {said} (95% Wilson interval "
        f"{low:.0%} to {high:.0%}).{sure}"
    )


def step_sentence(prompt: Prompt, answer: Answer, place: int) -> str:
    """One token of an answer: what was written, whether it is right, what else was likely."""
    truth = token_text(prompt.answer[place - 1])
    if place > len(answer.steps):
        return f"Token {place}: the model has already ended its answer; the true answer continues with **{truth}**."
    step = answer.steps[place - 1]
    others = " and ".join(
        f"{token_text(token)} ({percent(chance)})" for token, chance in step.likely if token != step.token
    )
    own = f"the model writes **{token_text(step.token)}** ({percent(step.probability)})"
    end = "which is right" if step.token == prompt.answer[place - 1] else f"the right token is **{truth}**"
    return f"Token {place}: {own}, {end}. Next most likely: {others}."

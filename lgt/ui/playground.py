"""What the playground shows: runs that have weights, cached live answers, and frames for its charts.

torch comes with :mod:`lgt.evaluation.generation`, which is imported when the first answer is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from lgt.charts.pattern import part_names
from lgt.core.config import RunConfig, TaskSpec
from lgt.metrics.by_seed import transfer_by_seed
from lgt.metrics.failures import Failure
from lgt.metrics.intervals import wilson_interval
from lgt.metrics.zones import IN_DISTRIBUTION, TRANSFER_REGION, zone
from lgt.recipes.groups import GROUPS
from lgt.recipes.labels import ARM_TITLES
from lgt.tasks import TASKS
from lgt.tasks.mazes import read_maze
from lgt.tasks.prompts import Prompt, drawn, prompts_of_same_layout, working
from lgt.tasks.vocabulary import FIRST_NODE, NODES, TOKENS
from lgt.ui import data, models, panels

if TYPE_CHECKING:
    from lgt.core.records import Head
    from lgt.evaluation.generation import Answer

SHORT = {"<eos>": "end", "<bos>": "begin"}
SHORT_NAMES = ("begin", "task")
"""Tokens before the prompt, which say themselves where they stand."""
WORTH_NAMING = 0.01
"""Attention below this share is not told in sentences."""
EXAMPLES_TRIED = 16


@dataclass(frozen=True)
class Live:
    """A live answer; with heads off also over how many prompts their means are (``examples``) and up to which
    position (``reached``)."""

    answer: Answer
    examples: int = 0
    reached: int = 0


# --- runs -------------------------------------------------------------------------------------------------------


def runs_with_weights() -> dict[int, str]:
    """Every finished run whose weights are stored, in words, those of known groups first."""
    kept = set(data.read_checkpoints().run_id)
    found: dict[int, str] = {}
    comparisons = sorted(data.read_comparisons().items(), key=lambda item: item[0].group not in GROUPS)
    for setting, comparison in comparisons:
        for arm, runs in comparison.runs.items():
            for seed, run_id in sorted(runs.items()):
                if run_id in kept:
                    title = panels.setting_title(setting, comparison)
                    found.setdefault(run_id, f"{title} · {ARM_TITLES[arm]} · seed {seed}")
    everything = data.read_runs()
    if not everything.empty:
        names = everything.main_task + "+" + everything.auxiliaries.fillna(everything.main_task)
        known = names.map(lambda text: set(text.split("+")) <= set(TASKS))
        others = everything[(everything.state == "done") & everything.id.isin(kept) & known]
        for run_id, label in zip(others.id, others.label, strict=True):
            found.setdefault(int(run_id), str(label).replace("<-", " ← "))
    return found


def typical_run(runs: dict[int, str]) -> int:
    """Where the page opens: the best known pair's seed with the median transfer accuracy, if its weights are there."""
    comparisons = data.read_comparisons()
    if comparisons:
        names = {panels.setting_key(setting): setting for setting in comparisons}
        together = comparisons[names[panels.first_choice(names)]]
        transfer = transfer_by_seed(data.read_accuracy(together.ids("co-trained")))
        if transfer and together.runs["co-trained"][transfer.middle_seed()] in runs:
            return together.runs["co-trained"][transfer.middle_seed()]
    return next(iter(runs))


def spec_of(config: RunConfig, task: str) -> TaskSpec:
    """The entry of ``task`` in a run's config."""
    return next(spec for spec in config.tasks if spec.task == task)


def zone_words(config: RunConfig, task: str, length: int) -> str:
    """In which zone of this run and task a length is, in words."""
    spec, units = spec_of(config, task), TASKS[task].unit
    unit = units[:-1] if length == 1 else units
    which = ("its main task" if spec.role == "main" else "its longer task") if config.auxiliaries else "its only task"
    trained = f"This run was trained on {TASKS[task].title.lower()}, {which}, up to {spec.training_length} {units}"
    name = zone(length, spec.training_length, config.transfer_length if spec.role == "main" else None)
    if name == IN_DISTRIBUTION:
        return f"**{length} {unit}: trained.** {trained}."
    if name == TRANSFER_REGION:
        beside = "the longer task beside it" if config.auxiliaries else "a longer task of the pair it is compared with"
        return f"**{length} {unit}: transfer region.** {trained}; only {beside} goes up to {config.transfer_length}."
    return f"**{length} {unit}: beyond what was trained.** {trained}."


# --- live answers -----------------------------------------------------------------------------------------------


@st.cache_data(show_spinner=False, max_entries=512)
def _answered(url: str, run_id: int, sha256: str, prompt: Prompt, off: tuple[Head, ...]) -> Live:
    from lgt.evaluation.generation import answer, head_means
    from lgt.model.batch import as_batch

    config, model = models.load(run_id)
    if not off:
        return Live(answer(model, prompt))
    evaluation = config.evaluation
    batch = as_batch(prompts_of_same_layout(prompt, evaluation.attribution_examples, evaluation.seed, config.options))
    means = head_means(model, batch, off, len(prompt.tokens))
    return Live(answer(model, prompt, means), len(batch), batch.tokens.shape[1])


def answered(run_id: int, prompt: Prompt, off: tuple[Head, ...] = ()) -> Live:
    """What the run's model writes, with these heads off. Raises StoreError when its weights are damaged."""
    kept = data.read_checkpoints()
    digest = kept[kept.run_id == run_id].sort_values("step").sha256.iloc[-1]
    return _answered(data.url(), run_id, str(digest), prompt, off)


def asked_places(prompt: Prompt) -> list[int]:
    """The places (from 1) of the answer's tokens that the model is asked for: all but the questions of ``mqar``."""
    scored = prompt.scored[prompt.prompt_length :]
    return [place for place, _ in enumerate(prompt.answer, start=1) if scored[place - 1]]


def first_wrong(prompt: Prompt, answer: Answer) -> int | None:
    """The place (from 1) of the first token that is not the truth's, or is missing; ``None`` when all are right."""
    wrong = [place for place, token in enumerate(prompt.answer) if answer.tokens[place : place + 1] != (token,)]
    return wrong[0] + 1 if wrong else None


def failing_example(run_id: int, task: str, length: int, config: RunConfig) -> tuple[int, Prompt, Live]:
    """The first of 16 drawn prompts that the model gets wrong (the last one where it gets all right), with its draw."""
    for seed in range(EXAMPLES_TRIED):
        prompt = drawn(task, length, seed, config.options)
        live = answered(run_id, prompt)
        if first_wrong(prompt, live.answer):
            break
    return seed, prompt, live


# --- frames -----------------------------------------------------------------------------------------------------


def shown(token: int) -> str:
    """A token as charts show it: nodes as numbers, the end of an answer as a word."""
    if FIRST_NODE <= token < FIRST_NODE + NODES:
        return str(token - FIRST_NODE)
    text = TOKENS[token]
    return SHORT.get(text, "task" if text.startswith("<") else text)


def answer_frame(prompt: Prompt, answers: dict[str, Answer], until: int | None = None) -> pd.DataFrame:
    """Rows for :func:`lgt.charts.answer_row`: what a column is made from, every answer, the truth.

    What comes behind place ``until`` is left blank.
    """
    until = until or len(prompt.answer)
    rows: list[dict[str, object]] = [
        {"row": name, "kind": "aid", "place": place, "text": text, "state": "", "probability": None, "likely": ""}
        for name, texts in working(prompt)
        for place, text in enumerate(texts, start=1)
    ]
    for name, answer in answers.items():
        rows += [written(name, place, prompt, answer, until) for place in range(1, len(prompt.answer) + 1)]
    rows += [
        {"row": "truth", "kind": "truth", "place": place, "text": shown(token) if place <= until else "", "state": "",
         "probability": None, "likely": ""}
        for place, token in enumerate(prompt.answer, start=1)
    ]  # fmt: skip
    return pd.DataFrame(rows).astype({"probability": float})


def written(name: str, place: int, prompt: Prompt, answer: Answer, until: int) -> dict[str, object]:
    """One token of an answer."""
    row: dict[str, object] = {"row": name, "kind": "model", "place": place, "probability": None, "likely": ""}
    if place > until:
        return row | {"text": "", "state": "later"}
    if place > len(answer.steps):
        return row | {"text": "–", "state": "missing", "likely": "the answer has ended"}
    step = answer.steps[place - 1]
    state = "given" if step.given else "right" if step.token == prompt.answer[place - 1] else "wrong"
    likely = ", ".join(f"{shown(token)} {percent(chance)}" for token, chance in step.likely)
    return row | {"text": shown(step.token), "state": state, "probability": step.probability, "likely": likely}


def attention_frame(prompt: Prompt, answer: Answer, layer: int, head: int) -> pd.DataFrame:
    """Rows for :func:`lgt.charts.attention_map`: one head's attention at every step of an answer
    at which the model was asked for a token."""
    tokens = [*prompt.tokens[: prompt.prompt_length], *answer.tokens[:-1]]
    pattern = answer.patterns[layer, head]
    parts = part_names([TOKENS[token] for token in tokens], prompt.prompt_length)
    return pd.DataFrame(
        {"step": place + 1, "written": shown(step.token), "position": position, "token": shown(tokens[position]),
         "part": parts[position], "weight": float(pattern[place, position])}
        for place, step in enumerate(answer.steps)
        if not step.given
        for position in range(prompt.prompt_length + place)
    )  # fmt: skip


def look_words(table: pd.DataFrame, step: int) -> str:
    """What a head looks at most while token ``step`` is written, in a sentence. ``table``: :func:`attention_frame`."""
    here = table[table.step == step].sort_values("weight", ascending=False, kind="stable").head(3)
    if here.empty:
        return ""
    here = here[here.weight >= min(WORTH_NAMING, here.weight.max())]
    places = zip(here.token.astype(str), here.part.astype(str), strict=True)
    names = [f"**{token}**" + ("" if token in SHORT_NAMES else f" in the {part}") for token, part in places]
    shares = [f"{name} ({percent(weight)})" for name, weight in zip(names, here.weight, strict=True)]
    return f"While token {step} ({here.written.iloc[0]}) is written, it looks most at {', '.join(shares)}."


def maze_frames(prompt: Prompt, answer: Answer, grid: int, step: int, hidden: bool = False) -> tuple[pd.DataFrame, ...]:
    """``nodes``, ``edges`` and ``moves`` for :func:`lgt.charts.maze_picture`: the model's moves up to token ``step``,
    the true way whole, or with ``hidden`` as far as the model's."""
    truth = prompt.answer[:step] if hidden else prompt.answer
    maze = read_maze(prompt.body)
    kinds = {maze.start: "start", maze.target: "target"}
    nodes = pd.DataFrame(
        {"node": node, "column": node % grid, "row": node // grid, "kind": kinds.get(node, "")}
        for node in sorted(maze.neighbours)
    )
    edges = pd.DataFrame([line(a, b, grid) for a, b in maze.edges], columns=["x", "y", "x2", "y2"])
    open_ways = set(maze.edges)
    moves = [
        {"way": way, "number": number, "open": (min(a, b), max(a, b)) in open_ways, **line(a, b, grid)}
        for way, tokens in (("truth", truth), ("model", answer.tokens[:step]))
        for number, (a, b) in enumerate(walked(tokens, grid), start=1)
    ]
    columns = ["way", "number", "open", "x", "y", "x2", "y2"]
    return nodes, edges, pd.DataFrame(moves, columns=columns).astype({"open": bool})


def walked(tokens: tuple[int, ...], grid: int) -> list[tuple[int, int]]:
    """The moves of a walk; tokens that are no cell of the grid interrupt it."""
    cells = [token - FIRST_NODE for token in tokens]
    inside = range(grid * grid)
    return [(a, b) for a, b in pairwise(cells) if a in inside and b in inside]


def line(a: int, b: int, grid: int) -> dict[str, int]:
    """The line between two cells, in cells."""
    return {"x": a % grid, "y": a // grid, "x2": b % grid, "y2": b // grid}


def mistake_words(prompt: Prompt, answer: Answer, wrong: int) -> str:
    """The first wrong token in a sentence, with what it should have been made from."""
    truth = shown(prompt.answer[wrong - 1])
    made = ", ".join(f"{name} {texts[wrong - 1]}" for name, texts in working(prompt) if texts[wrong - 1])
    where = f"token {wrong} of {len(prompt.answer)}" + (f" ({made})" if made else "")
    if wrong > len(answer.steps):
        return f"at {where} the model had ended its answer, the truth goes on with **{truth}**."
    step = answer.steps[wrong - 1]
    return (
        f"at {where} the model writes **{shown(step.token)}** ({percent(step.probability)}), the truth is **{truth}**."
    )


def break_words(failure: Failure, unit: str) -> str:
    """Where a run breaks, with its counts and how sure that is."""
    low, high = wilson_interval(failure.correct, failure.total)
    share = failure.correct / failure.total
    said = f"{share:.1%}" if f"{share:.0%}" == "50%" else f"{share:.0%}"
    sure = " The interval reaches one half: other test prompts might put this a length further." if high >= 0.5 else ""
    return (
        f"**{failure.length} {unit}** is the first length at which fewer than half of the test prompts are right: "
        f"{failure.correct:,} of {failure.total:,}, {said} (95% Wilson interval "
        f"{low:.0%} to {high:.0%}).{sure}"
    )


def step_words(prompt: Prompt, answer: Answer, place: int) -> str:
    """One token of an answer in a sentence: what was written, what else was likely, what is true."""
    truth = shown(prompt.answer[place - 1])
    if place > len(answer.steps):
        return f"Token {place}: the answer has ended; the truth goes on with **{truth}**."
    step = answer.steps[place - 1]
    others = " and ".join(f"{shown(token)} ({percent(chance)})" for token, chance in step.likely if token != step.token)
    own = f"the model writes **{shown(step.token)}** ({percent(step.probability)})"
    end = "which is right" if step.token == prompt.answer[place - 1] else f"the truth is **{truth}**"
    return f"Token {place}: {own}, {end}. Next likely: {others}."


def percent(share: float) -> str:
    """A probability that is never rounded to none or all of it."""
    return "under 0.1%" if share < 0.001 else "over 99.9%" if share > 0.999 else f"{share:.1%}"

"""The README.md of an exported network: which run it is, how it is loaded, and its accuracy at every length."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd

from lgt.core.checks import ConfigError
from lgt.core.config import ModelConfig, RunConfig
from lgt.core.plain_text import as_code, for_markdown, visible
from lgt.metrics.zones import zone
from lgt.recipes.commands import train_command
from lgt.recipes.labels import config_title, order_words, task_title
from lgt.store.queries import RunRecord
from lgt.tasks import TASKS
from lgt.tasks.prompts import LONGEST, Prompt, drawn
from lgt.tasks.vocabulary import decode

PAPER = (
    'Cai, Lee, Schwarzschild, Oymak and Papailiopoulos, "Extrapolation by Association: Length Generalization Transfer '
    'in Transformers", [arXiv 2506.09251](https://arxiv.org/abs/2506.09251)'
)
HEADER = """---
license: LICENSE
library_name: transformers
pipeline_tag: text-generation
tags: [length-generalization, length-transfer-lab]
---
"""


@dataclass(frozen=True)
class Exported:
    """What the card says besides the run: the run's name, the step of the weights, the class of ``transformers``, the
    name of the folder, the command that made it, and sentences about the form of the network."""

    run: str
    step: int
    architecture: str
    folder: str
    command: str
    notes: tuple[str, ...]


def model_card(record: RunRecord, exported: Exported, accuracy: pd.DataFrame) -> str:
    """The card in Markdown. ``accuracy``: the rows of :func:`lgt.store.queries.accuracy` of this run at this step."""
    sections = (
        [f"# {for_markdown(config_title(record.config))}", _summary(record.config, exported)],
        ["## How to load it", *_loading(record.config, exported)],
        ["## Accuracy by length", *_accuracy(record, accuracy)],
        ["## The run", _facts(record, exported)],
        ["## How the network is written", "Logits are those of the run, up to rounding in float32.", *exported.notes],
        ["## License and source", _source(record.config)],
    )
    header = HEADER.replace("LICENSE", "other" if record.config.training.start else "mit")
    return header + "\n\n".join(part for section in sections for part in section) + "\n"


def _title(task: str) -> str:
    """The title of a task, for Markdown, also in a table."""
    return for_markdown(task_title(task), in_table=True)


def _summary(config: RunConfig, exported: Exported) -> str:
    main, beside = config.main, ""
    if config.auxiliaries:
        lengths = sorted({spec.training_length for spec in config.auxiliaries})
        titles = " and ".join(_title(spec.task) for spec in config.auxiliaries)
        beside = f", together with {titles}, up to length {' or '.join(map(str, lengths))}"
    return (
        f"A decoder that Length Transfer Lab trained from {_first_weights(config)} on the task {_title(main.task)}, up "
        f"to length {main.training_length}{beside}. It is a `{exported.architecture}` for Hugging Face `transformers`. "
        "It knows only these tasks and the tokens of its own vocabulary."
    )


def _loading(config: RunConfig, exported: Exported) -> list[str]:
    """How to load the folder, with an example of the main task where it has a test prompt."""
    prompt = example(config)
    begin = f"<{config.main.task}>" if prompt is None else decode(prompt.tokens[1 : prompt.prompt_length])
    folder, text = visible(json.dumps(f"./{exported.folder}", ensure_ascii=False)), json.dumps(begin)
    code = (
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n",
        f"model, tokenizer = AutoModelForCausalLM.from_pretrained({folder}), AutoTokenizer.from_pretrained({folder})",
        f'prompt = tokenizer({text}, return_tensors="pt")',
        "print(tokenizer.decode(model.generate(**prompt, max_new_tokens=200)[0]))",
    )
    parts = ["In the folder that contains this one:", "\n".join(("```python", *code, "```"))]
    if prompt is not None:
        parts.append(f"The right answer is {as_code(decode(prompt.answer))}. No run was trained on this prompt.")
        if not all(prompt.scored[prompt.prompt_length : prompt.prompt_length + len(prompt.answer)]):
            parts.append(
                "In this task some tokens of the answer belong to the question. `generate` would write its own. Give "
                "them to the network instead, and read its predictions of the others."
            )
    parts.append(
        "A prompt begins with the tag of its task in angle brackets. The tokenizer puts the begin token before it. "
        "Text that is not in the vocabulary is refused with an error that contains `Missing [UNK] token`."
    )
    return [*parts, "\n".join(_meaning(spec.task) for spec in config.tasks)]


def _meaning(task: str) -> str:
    """What a prompt with this task's tag asks for, as an item of a list."""
    if task not in TASKS:
        return f"- {as_code(f'<{task}>')}"
    one = TASKS[task]
    return f"- `<{task}>`: {one.title}. {one.summary} {one.note} Lengths count {one.unit}.".replace("  ", " ")


def example(config: RunConfig) -> Prompt | None:
    """A test prompt of the main task, of the greatest trained length that has one; None without any."""
    for length in range(min(config.main.training_length, LONGEST), 0, -1):
        try:
            return drawn(config.main.task, length, config.evaluation.seed, config.options)
        except ConfigError:  # a length without test prompts, or below the minimum of the task
            continue
    return None


def _accuracy(record: RunRecord, accuracy: pd.DataFrame) -> list[str]:
    """Sentences about the table, and the table: one row for each length, one column for each task."""
    if accuracy.empty:
        return ["The store has no accuracies for these weights."]
    columns = (accuracy[name].tolist() for name in ("task", "length", "correct", "total"))
    counts = {(task, length): (correct, total) for task, length, correct, total in zip(*columns, strict=True)}
    names = [spec.task for spec in record.config.tasks]
    main, end = record.config.main, record.config.transfer_length
    titles = {name: _title(name) for name in names}
    head = ["length", f"zone of {titles[main.task]}", *titles.values()]
    rows = [
        [str(length), zone(length, main.training_length, end), *(_cell(counts.get((name, length))) for name in names)]
        for length in sorted({length for _, length in counts})
    ]
    return [
        "Exact match: the share of test prompts whose whole answer is right. In brackets: the right answers of all n "
        "prompts. No test prompt was used in training.",
        _table([head, ["---"] * len(head), *rows]),
    ]


def _cell(counts: tuple[int, int] | None) -> str:
    """The text for (correct, total).

    >>> _cell((1, 3)), _cell((0, 0)), _cell(None)
    ('0.333 (1 of 3)', '', '')
    """
    return f"{counts[0] / counts[1]:.3f} ({counts[0]} of {counts[1]})" if counts and counts[1] else ""


def _table(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _facts(record: RunRecord, exported: Exported) -> str:
    config, code = record.config, partial(as_code, in_table=True)
    tasks = ", ".join(
        f"{_title(one.task)} ({one.role}, trained to length {one.training_length})" for one in config.tasks
    )
    transfer = "none" if not config.transfer_length else (
        f"lengths {config.main.training_length + 1} to {config.transfer_length}"
    )  # fmt: skip
    facts = {
        "run": f"{exported.run}, config hash {code(record.config_hash)}",
        "tasks": tasks,
        "transfer region": transfer,
        "seeds": f"{config.model_seed} (model), {order_words(config)} (data)",
        "weights": f"after {exported.step:,} of {config.training.steps:,} steps",
        "network": _network(config.model),
        "code version": code(record.code_version),
        "device": for_markdown(record.device or "", in_table=True),
        "trained by": code(train_command(config) or ""),
        "exported by": code(exported.command),
    }
    return _table([["", ""], ["---", "---"], *([name, text] for name, text in facts.items() if text)])


def _network(model: ModelConfig) -> str:
    """The size of a network.

    >>> _network(ModelConfig(layers=2, heads=4, width=64, kv_heads=1, tied=True))
    '2 layers, 4 heads with 1 key and value head, width 64, embedding and unembedding are one matrix'
    """
    shared = "" if not model.kv_heads else f" with {model.kv_heads} key and value head{'s' * (model.kv_heads > 1)}"
    tied = ", embedding and unembedding are one matrix" * model.tied
    return f"{model.layers} layers, {model.heads} heads{shared}, width {model.width}{tied}"


def _first_weights(config: RunConfig) -> str:
    """What the run started from, for Markdown."""
    training = config.training
    if not training.start:
        return "random weights"
    shuffled = ", the entries of each matrix shuffled," * training.start_shuffled
    return f"the pretrained network {as_code(training.start)}{shuffled}"


def _source(config: RunConfig) -> str:
    started = config.training.start
    terms = "MIT license, the license of Length Transfer Lab."
    if started:
        pin = as_code(config.training.start_sha256)
        terms = f"The license of {as_code(started)} (SHA-256 {pin}) applies: its weights are a part of these."
    return f"{terms} The experiment is from {PAPER}. The authors of the paper did not make this network."

"""What the random streams of tasks draw, written down: stored runs were trained and tested on exactly these prompts.

Another digest here means that a run of the same config is trained on other prompts or measured on another test set, and
that it cannot be compared with stored runs. Change a line only when that is wanted."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from lgt.core.config import TaskOptions
from lgt.core.seeding import generator
from lgt.tasks import TASKS, sampling
from lgt.tasks.base import Examples, draw_examples
from lgt.tasks.prompts import prompts_of_same_layout, typed
from lgt.tasks.sampling import sample_rows, test_examples, training_examples
from lgt.tasks.vocabulary import decode

LENGTHS = np.tile(np.arange(2, 10), 40)
DRAWN = [
    ("reverse_add", "2a39ff31c41c", "0ce197a924e3", "172c5bb9950d"),
    ("no_carry", "ea818303c3dc", "4f4ff4add4e5", "eba67b617cb7"),
    ("carry_only", "612e30256f6a", "74cb4373a1e0", "104f58715a4d"),
    ("reverse_subtract", "28434f482a9f", "18724d12158d", "5a91eb1e8b20"),
    ("cot_multiply", "af5a7314ea2d", "9466d7071dcf", "6e0465c5790a"),
    ("copy_first_operand", "f70f3e2f5664", "6e3c44256fb1", "dfa97d8137e7"),
    ("string_copy", "3580d0503437", "b1c857e30a8b", "b1c857e30a8b"),
    ("reverse", "2ca2ba74a5b6", "23e8f21aad44", "23e8f21aad44"),
    ("capitalize", "f56c57f0cea5", "108c54585c7b", "108c54585c7b"),
    ("capitalize_reverse", "59e9464ad320", "90b200f722f1", "90b200f722f1"),
    ("mqar", "2dc8fb3b7d9f", "dbd62c5ad2c1", "dbd62c5ad2c1"),
    ("shortest_path", "c49a92a84df4", "95a79e64bb0c", "95a79e64bb0c"),
    ("dfs_trace", "ff30958ad672", "0997667ad1dd", "0997667ad1dd"),
]
"""By task: the test set, training with ragged operands, training with mixed operands."""


def digest(examples: Examples) -> str:
    texts = [decode(row[:end]) for row, end in zip(examples.tokens, examples.total_length, strict=True)]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]


@pytest.mark.parametrize(("name", "tested", "ragged", "mixed"), DRAWN)
def test_test_sets_and_training_prompts_are_those_of_stored_runs(
    name: str, tested: str, ragged: str, mixed: str
) -> None:
    task = TASKS[name]
    assert digest(test_examples(task, 7, 200, 2506, TaskOptions(grid=4))) == tested
    for operands, wanted in (("ragged", ragged), ("mixed", mixed)):
        options = TaskOptions(operands=operands, grid=4)  # type: ignore[arg-type]
        assert digest(training_examples(task, generator(0, "train", 0), LENGTHS, options)) == wanted


def test_every_task_is_written_down() -> None:
    assert [name for name, *_ in DRAWN] == list(TASKS)


def test_samples_are_as_many_as_are_wanted() -> None:
    assert [len(sample_rows("reverse", 3, count, 0)) for count in (1, 256, 300, 513)] == [1, 256, 300, 513]


@pytest.mark.parametrize(("count", "chunks"), [(1, 1), (13, 1), (14, 17), (1000, 17)])
def test_drawing_ends_when_enough_is_found_or_after_sixteen_chunks_without_a_new_prompt(
    monkeypatch: pytest.MonkeyPatch, count: int, chunks: int
) -> None:
    """One chunk has all 13 test prompts of one letter (:mod:`tests.tasks.test_sampling` writes them down)."""
    draws = []

    def draw(*arguments: Any) -> Examples:
        draws.append(len(arguments[2]))
        return draw_examples(*arguments)

    monkeypatch.setattr(sampling, "draw_examples", draw)
    assert len(test_examples(TASKS["string_copy"], 1, count, 0, TaskOptions())) == min(count, 13)
    assert draws == [1024] * chunks


def test_drawing_ends_after_sixteen_chunks_if_there_is_no_test_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = []
    monkeypatch.setattr(sampling, "_new_test_rows", lambda drawn, seen: chunks.append(len(drawn)) or [])
    assert len(test_examples(TASKS["reverse"], 3, 5, 0, TaskOptions())) == 0 and chunks == [1024] * 16


def test_samples_and_prompts_to_try_are_the_same_in_every_session() -> None:
    assert sample_rows("reverse_add", 3, 2, 7) == [
        {"prompt": "483+138=", "answer": "5121", "scored": [0, 1, 2, 3]},
        {"prompt": "096+404=", "answer": "4901", "scored": [0, 1, 2, 3]},
    ]
    (maze,) = sample_rows("dfs_trace", 3, 1, 7)
    assert (maze["prompt"], maze["answer"]) == ("[1][0]|[0][1][8]|[8][0]#[1]>[8]=", "[1][0][8]")
    options = TaskOptions(grid=4)
    assert [decode(typed("mqar", ("aBcDe",), seed, options).answer) for seed in range(4)] == [
        "cDDeaBBc", "cDBcDeaB", "DeaBBccD", "cDDeaBBc",
    ]  # fmt: skip
    ragged = prompts_of_same_layout(typed("reverse_add", ("1274", "93"), 0, options), 5, 2506, options)
    assert [decode(row[2:]) for row in ragged.tokens] == [
        "1238+95=08380<eos>", "0345+34=37450<eos>", "8934+69=49440<eos>",
        "1413+89=93230<eos>", "5041+61=12410<eos>",
    ]  # fmt: skip

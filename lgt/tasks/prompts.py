"""One prompt to try: typed or drawn, with its true answer, in the form that training and test sets have.

Typed values become the same tokens as drawn ones (the tests type drawn prompts again). Prompts are drawn from the test
side only, so no run was trained on them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from lgt.core.checks import ConfigError
from lgt.core.config import TaskOptions
from lgt.core.seeding import generator
from lgt.tasks import arithmetic, strings, task_named
from lgt.tasks.arithmetic import digit_tokens, draw_number
from lgt.tasks.base import BODY_START, Bodies, Examples, IntArray, Task, draw_examples, pack
from lgt.tasks.mazes import QUERY, SEPARATOR
from lgt.tasks.sampling import is_test_prompt, test_examples
from lgt.tasks.vocabulary import FIRST_NODE, TOKENS, encode

LONGEST = 60
"""Longer prompts are refused here: an answer is decoded while somebody waits for it."""
DRAWS = 16

SYMBOLS = {"a+b": arithmetic.PLUS, "a-b": arithmetic.MINUS, "a*b": arithmetic.TIMES}
ADDITIONS: dict[str, Callable[[IntArray, IntArray], IntArray]] = {
    "reverse_add": arithmetic.reverse_add,
    "no_carry": arithmetic.no_carry,
    "carry_only": arithmetic.carry_only,
    "copy_first_operand": arithmetic.copy_first_operand,
}
LETTER_ANSWERS: dict[str, Callable[[IntArray], IntArray]] = {
    "string_copy": strings.string_copy,
    "reverse": strings.reverse,
    "capitalize": strings.capitalize,
    "capitalize_reverse": strings.capitalize_reverse,
}


@dataclass(frozen=True)
class Prompt:
    """A prompt and its true answer: ``<bos> <tag> body answer <eos>``.

    ``tokens`` is the whole sequence, of which the first ``prompt_length`` are given to the model. ``scored`` marks the
    tokens that the model is asked for. ``held_out``: whether the prompt is on the test side, never trained on.
    """

    task: str
    length: int
    tokens: tuple[int, ...]
    prompt_length: int
    scored: tuple[bool, ...]
    held_out: bool

    @property
    def body(self) -> tuple[int, ...]:
        """The prompt without begin token and tag."""
        return self.tokens[BODY_START : self.prompt_length]

    @property
    def answer(self) -> tuple[int, ...]:
        """The true answer up to its last scored token."""
        last = max(place for place, scored in enumerate(self.scored) if scored)
        return self.tokens[self.prompt_length : last + 1]


def longest(task: Task, options: TaskOptions) -> int:
    """The longest prompt of ``task`` that can be tried here."""
    return min(LONGEST, task.maximum_length(options))


def drawn(task_name: str, length: int, seed: int, options: TaskOptions) -> Prompt:
    """A random test prompt of this length; the same arguments give the same one.

    Tasks with the same body format get the same body. Raises ConfigError for a length that the task cannot have or at
    which it has no test prompt.
    """
    task = task_named(task_name)
    if not task.minimum_length <= length <= longest(task, options):
        raise ConfigError("length", length, f"a whole number from {task.minimum_length} to {longest(task, options)}")
    examples = test_examples(task, length, 1, seed, options)
    if not len(examples):
        raise ConfigError("length", length, f"a length at which {task.title} has prompts that no run trains on")
    return first_of(task, examples)


def typed_numbers(task_name: str, first: str, second: str, options: TaskOptions) -> Prompt:
    """The prompt of two numbers written the normal way. Raises ConfigError naming the field that is wrong."""
    task = task_named(task_name)
    most = longest(task, options)
    a = _digits("first number", first, most)
    short = task_name == "cot_multiply"
    b = _digits("second number", second, min(options.multiplier_digits, a.shape[1]) if short else most)
    return first_of(task, _of_operands(task, a, b))


def typed_letters(task_name: str, text: str, seed: int, options: TaskOptions) -> Prompt:
    """The prompt of a string of letters; for ``mqar`` ``seed`` decides the order of the queries.

    Raises ConfigError saying what is wrong with the text.
    """
    task = task_named(task_name)
    text = text.strip()
    low, high = task.minimum_length, longest(task, options)
    odd = sorted({character for character in text if not (character.isascii() and character.isalpha())})
    if odd:
        raise ConfigError("letters", text, f"letters a-z and A-Z only; found {' '.join(map(repr, odd[:5]))}")
    if not low <= len(text) <= high:
        raise ConfigError("letters", text, f"{low} to {high} letters; these are {len(text)}")
    repeated = sorted({character for character in text if text.count(character) > 1})
    if task_name == "mqar" and repeated:
        raise ConfigError(
            "letters", text, f"distinct letters, so that every question has one answer; {repeated[0]!r} comes again"
        )
    letters = encode(text)[None]
    return first_of(task, _examples(task, len(text), _letter_bodies(task, letters, seed)))


def prompts_of_same_layout(prompt: Prompt, count: int, seed: int, options: TaskOptions) -> Examples:
    """At most ``count`` test prompts whose positions mean what they mean in ``prompt``.

    They are the fixed test set of its task and length, as ablation maps use. Operands of different size are the
    exception: then numbers of the same sizes are drawn, of the test side too.
    """
    task = task_named(prompt.task)
    sizes = operand_sizes(prompt)
    usual = (prompt.length, min(prompt.length, options.multiplier_digits if task.body_format == "a*b" else LONGEST))
    if sizes is None or sizes == usual:
        return test_examples(task, prompt.length, count, seed, options)
    rng = generator(seed, "alike", task.body_format, *sizes)
    parts: list[Examples] = []
    for _ in range(DRAWS):
        a, b = (draw_number(rng, np.full(8 * count, size)) for size in sizes)
        found = _of_operands(task, a, b)
        parts.append(found.take(np.flatnonzero(is_test_prompt(found))))
        if sum(map(len, parts)) >= count:
            break
    return Examples.concatenate(parts).take(slice(0, count))


def operand_sizes(prompt: Prompt) -> tuple[int, int] | None:
    """How many digits both operands have; ``None`` when the prompt is no arithmetic."""
    operands = operands_of(prompt)
    return None if operands is None else (len(operands[0]), len(operands[1]))


def operands_of(prompt: Prompt) -> tuple[str, str] | None:
    """Both operands, written the normal way; ``None`` when the prompt is no arithmetic."""
    symbol = SYMBOLS.get(task_named(prompt.task).body_format)
    if symbol is None:
        return None
    text = "".join(TOKENS[token] for token in prompt.body[:-1])
    first, second = text.split(TOKENS[symbol])
    return first[::-1], second[::-1]


@dataclass(frozen=True)
class Maze:
    """A maze as a prompt lists it: every node's neighbours, in the order listed, and where the way leads."""

    neighbours: dict[int, tuple[int, ...]]
    start: int
    target: int

    @property
    def edges(self) -> list[tuple[int, int]]:
        """Every connection once, smaller node first."""
        return sorted({(min(a, b), max(a, b)) for a, near in self.neighbours.items() for b in near})


def maze_of(prompt: Prompt) -> Maze:
    """The maze that the prompt of a maze task describes."""
    body = list(prompt.body)
    query = body.index(QUERY)
    entries: list[list[int]] = [[]]
    for token in body[:query]:
        if token == SEPARATOR:
            entries.append([])
        else:
            entries[-1].append(token - FIRST_NODE)
    neighbours = {node: tuple(near) for node, *near in entries}
    return Maze(neighbours, body[query + 1] - FIRST_NODE, body[query + 3] - FIRST_NODE)


def working(prompt: Prompt) -> list[tuple[str, list[str]]]:
    """What each token of the answer is made from, as rows (name, text per answer token), where a column has such parts.

    Additions and the like: both digits of the place, and the carry into it where it counts. Strings: the letter read.
    """
    operands = operands_of(prompt)
    places = range(len(prompt.answer))
    if operands is not None and prompt.task != "cot_multiply":
        first, second = (number[::-1] for number in operands)
        rows = [(name, [text[i] if i < len(text) else "" for i in places])
                for name, text in (("1st number", first), ("2nd number", second))]  # fmt: skip
        if prompt.task == "reverse_add":
            carries = arithmetic.carry_only(*_same_width(first, second))[0]
            rows.append(("carry in", [str(carries[i]) if i < len(carries) and carries[i] else "" for i in places]))
        return rows
    if prompt.task in LETTER_ANSWERS:
        read = "".join(TOKENS[token] for token in prompt.body[:-1])
        read = read[::-1] if prompt.task in ("reverse", "capitalize_reverse") else read
        return [("letter read", [read[i] if i < len(read) else "" for i in places])]
    return []


def _same_width(first: str, second: str) -> tuple[IntArray, IntArray]:
    width = max(len(first), len(second))
    return tuple(np.array([[int(d) for d in text.ljust(width, "0")]]) for text in (first, second))  # type: ignore[return-value]


def _digits(field: str, text: str, most: int) -> IntArray:
    """The digits [1, n] of a number written the normal way, least significant first."""
    text = "".join(text.split())
    if not (text.isascii() and text.isdecimal()):
        raise ConfigError(field, text, "digits 0-9 only" if text else "a whole number such as 1274")
    if text[0] == "0":
        raise ConfigError(field, text, "a whole number above 0 without zeros in front")
    if len(text) > most:
        raise ConfigError(field, text, f"at most {most} digits; these are {len(text)}")
    return np.array([[int(digit) for digit in reversed(text)]], dtype=np.int64)


def _of_operands(task: Task, a: IntArray, b: IntArray) -> Examples:
    """Examples of operands given as digits [N, n] and [N, k], every one with as many digits as there are columns."""
    length = max(a.shape[1], b.shape[1])
    body = pack(digit_tokens(a), SYMBOLS[task.body_format], digit_tokens(b), arithmetic.EQUALS)
    lengths = np.full(len(a), length)
    if task.name == "cot_multiply":
        return _examples(task, length, Bodies(body, arithmetic.cot_multiply(a, b)))
    a, b = (np.pad(number, ((0, 0), (0, length - number.shape[1]))) for number in (a, b))
    if task.name in ADDITIONS:
        return _examples(task, length, Bodies(body, digit_tokens(ADDITIONS[task.name](a, b), lengths + 1)))
    digits, sign = arithmetic.reverse_subtract(a, b)
    answer = digit_tokens(digits, lengths + 1)
    answer[sign < 0, length] = arithmetic.MINUS
    return _examples(task, length, Bodies(body, answer))


def _letter_bodies(task: Task, letters: IntArray, seed: int) -> Bodies:
    body = pack(letters, strings.EQUALS)
    if task.name != "mqar":
        return Bodies(body, LETTER_ANSWERS[task.name](letters))
    width = letters.shape[1]
    answer = strings.mqar(letters, generator(seed, "queries", width).permutation(width)[None])
    return Bodies(body, answer, np.arange(answer.shape[1])[None] % 2 == 1)


def _examples(task: Task, length: int, bodies: Bodies) -> Examples:
    """What drawing would have made, had it drawn ``bodies``."""
    given = replace(task, draw=lambda rng, lengths, options, operands: bodies)
    return draw_examples(given, generator(0), np.full(len(bodies.body), length), TaskOptions(), "equal")


def first_of(task: Task, examples: Examples) -> Prompt:
    """The first of ``examples``, which are of ``task``."""
    total = int(examples.total_length[0])
    return Prompt(
        task.name, int(examples.length[0]), tuple(examples.tokens[0, :total].tolist()),
        int(examples.prompt_length[0]), tuple(examples.scored[0, :total].tolist()), bool(is_test_prompt(examples)[0]),
    )  # fmt: skip

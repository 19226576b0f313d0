"""The one vocabulary of all runs, so that checkpoints of different runs read each other's tokens.

One token per character, per task tag (``<reverse_add>``) and per maze node (``[17]``); plus padding, begin and end.
The order is fixed: ``PAD`` is 0, then ``<bos>``, ``<eos>``, tags, digits, letters a-z A-Z, symbols, nodes.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from lgt.core.checks import ConfigError

TASK_NAMES = (
    "reverse_add", "no_carry", "carry_only", "reverse_subtract", "cot_multiply", "copy_first_operand",
    "string_copy", "reverse", "capitalize", "capitalize_reverse", "mqar",
    "shortest_path", "dfs_trace",
)  # fmt: skip
SYMBOLS = "+-*=#>|"
NODES = 64

TOKENS: tuple[str, ...] = (
    "<pad>", "<bos>", "<eos>",
    *(f"<{name}>" for name in TASK_NAMES),
    *string.digits, *string.ascii_lowercase, *string.ascii_uppercase, *SYMBOLS,
    *(f"[{node}]" for node in range(NODES)),
)  # fmt: skip
VOCABULARY_SIZE = len(TOKENS)

TOKEN_ID: dict[str, int] = {token: number for number, token in enumerate(TOKENS)}
PAD, BOS, EOS = TOKEN_ID["<pad>"], TOKEN_ID["<bos>"], TOKEN_ID["<eos>"]
TAG: dict[str, int] = {name: TOKEN_ID[f"<{name}>"] for name in TASK_NAMES}
FIRST_DIGIT, FIRST_LETTER, FIRST_NODE = TOKEN_ID["0"], TOKEN_ID["a"], TOKEN_ID["[0]"]

_PIECE = re.compile(r"<\w+>|\[\d+\]|.", re.DOTALL)


def encode(text: str) -> NDArray[np.int64]:
    """Token ids [T] of ``text``; ``[17]`` and ``<reverse>`` are one token each.

    Raises ConfigError naming the first piece that is no token and its position (in characters, from 0).

    >>> [TOKENS[i] for i in encode("4+[17]=")]
    ['4', '+', '[17]', '=']
    >>> encode("47?1")
    Traceback (most recent call last):
    lgt.core.checks.ConfigError: character 2: '?' is not accepted; accepted: digits, letters, + - * = # > | and [0]..[63]
    """
    ids = []
    for match in _PIECE.finditer(text):
        if match.group() not in TOKEN_ID:
            accepted = f"digits, letters, {' '.join(SYMBOLS)} and [0]..[{NODES - 1}]"
            raise ConfigError(f"character {match.start()}", match.group(), accepted)
        ids.append(TOKEN_ID[match.group()])
    return np.array(ids, dtype=np.int64)


def decode(ids: Iterable[int]) -> str:
    """The text of token ids, special tokens spelled out (``<eos>``). Raises ConfigError for an id out of range.

    >>> decode(encode("aBcD="))
    'aBcD='
    """
    texts = []
    for number in ids:
        if not 0 <= number < VOCABULARY_SIZE:
            raise ConfigError("token id", number, f"a whole number from 0 to {VOCABULARY_SIZE - 1}")
        texts.append(TOKENS[int(number)])
    return "".join(texts)

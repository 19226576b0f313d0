"""The vocabulary: the list of all tokens. A token's id is its place in the list.

One token is one character, one maze node (``[17]``) or one task's tag (``<reverse_add>``); padding, begin and end are
tokens as well. Version 1 of the list is fixed, and every network has at least its tokens. Registered tasks append new
tokens after it (:func:`append`). An id never changes while a process runs, but an appended token can have another id in
another process. Stored data therefore contain the names of appended tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from lgt.core.checks import ConfigError

VERSION = 1
"""The version of the fixed part of the list."""
SYMBOLS = "+-*=#>|"
NODES = 64

VERSION_1: tuple[str, ...] = (
    "<pad>", "<bos>", "<eos>",
    "<reverse_add>", "<no_carry>", "<carry_only>", "<reverse_subtract>", "<cot_multiply>", "<copy_first_operand>",
    "<string_copy>", "<reverse>", "<capitalize>", "<capitalize_reverse>", "<mqar>", "<shortest_path>", "<dfs_trace>",
    *"0123456789", *"abcdefghijklmnopqrstuvwxyz", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", *SYMBOLS,
    *(f"[{node}]" for node in range(NODES)),
)  # fmt: skip
"""The tokens of version 1, in the order of their ids. It must never change, because stored checkpoints depend on it."""
VOCABULARY_SIZE = len(VERSION_1)
"""The number of tokens of version 1: the smallest vocabulary of a network."""

TOKENS: list[str] = list(VERSION_1)
"""All tokens of this process, in the order of their ids."""
TOKEN_ID: dict[str, int] = {token: number for number, token in enumerate(TOKENS)}
PAD, BOS, EOS = TOKEN_ID["<pad>"], TOKEN_ID["<bos>"], TOKEN_ID["<eos>"]
FIRST_DIGIT, FIRST_LETTER, FIRST_NODE = TOKEN_ID["0"], TOKEN_ID["a"], TOKEN_ID["[0]"]

TAG: dict[str, int] = {token[1:-1]: TOKEN_ID[token] for token in VERSION_1[3:16]}
"""The id of every task's tag, by the task's name."""

_PIECE = re.compile(r"<\w+>|\[\w+\]|.", re.DOTALL)
_TAG = re.compile(r"<[a-z][a-z0-9_]*>")
_BODY_TOKEN = re.compile(r"\[[a-z0-9_]+\]|[!-~]")


def append(tokens: Sequence[str]) -> None:
    """Append ``tokens`` to the list; a token that is already in the list keeps its place.

    Every token must be a task's tag (``<name>``), one visible ASCII character, or a name of small letters, digits and
    underscores in square brackets. Otherwise raises ConfigError and adds no token.
    """
    for token in tokens:
        if (
            token not in TOKEN_ID
            and not _TAG.fullmatch(token)
            and (not _BODY_TOKEN.fullmatch(token) or token in "<>[]")
        ):
            raise ConfigError("token", token, "one visible ASCII character other than < > [ ], or [name]")
    for token in tokens:
        if token not in TOKEN_ID:
            TOKEN_ID[token] = len(TOKENS)
            TOKENS.append(token)
            if _TAG.fullmatch(token):
                TAG[token[1:-1]] = TOKEN_ID[token]


def keep_first(count: int) -> None:
    """Keep only the first ``count`` tokens. Undoes :func:`append` after an error and in tests."""
    for token in TOKENS[count:]:
        del TOKEN_ID[token]
        TAG.pop(token[1:-1], None)
    del TOKENS[count:]


def encode(text: str) -> NDArray[np.int64]:
    """Token ids [T] of ``text``; ``[17]`` and ``<reverse>`` are one token each.

    Raises ConfigError for text that is not a token; it names the first such piece and its position, from 0.

    >>> [TOKENS[i] for i in encode("4+[17]=")]
    ['4', '+', '[17]', '=']
    >>> encode("47?1")
    Traceback (most recent call last):
    lgt.core.checks.ConfigError: character 2: '?' is not accepted; accepted: digits, letters, + - * = # > |, [0]..[63]
    """
    ids = []
    for match in _PIECE.finditer(text):
        if match.group() not in TOKEN_ID:
            appended = [token for token in TOKENS[VOCABULARY_SIZE:] if not _TAG.fullmatch(token)]
            accepted = ", ".join([f"digits, letters, {' '.join(SYMBOLS)}, [0]..[{NODES - 1}]", *appended])
            raise ConfigError(f"character {match.start()}", match.group(), accepted)
        ids.append(TOKEN_ID[match.group()])
    return np.array(ids, dtype=np.int64)


def decode(ids: Iterable[int]) -> str:
    """The text of token ids; special tokens are written as their names (``<eos>``). Raises ConfigError for a wrong id.

    >>> decode(encode("aBcD="))
    'aBcD='
    """
    texts = []
    for number in ids:
        if not 0 <= number < len(TOKENS):
            raise ConfigError("token id", number, f"a whole number from 0 to {len(TOKENS) - 1}")
        texts.append(TOKENS[int(number)])
    return "".join(texts)


def hash_keys() -> NDArray[np.uint64]:
    """A number below 2**32 for each token of this process, [tokens]. A token has the same number in every process.

    For tokens of version 1 it is the id. For appended tokens it is computed from the name, because their ids may differ
    between processes.
    """
    appended = [
        VOCABULARY_SIZE + crc32(token.encode()) % (2**32 - VOCABULARY_SIZE) for token in TOKENS[VOCABULARY_SIZE:]
    ]
    return np.array([*range(VOCABULARY_SIZE), *appended], dtype=np.uint64)

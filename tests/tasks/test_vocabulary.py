"""The vocabulary: the ids of version 1 are fixed, and appended tokens stand behind them."""

import hashlib

import numpy as np
import pytest

from lgt.core.checks import ConfigError
from lgt.tasks import TASKS, isolated
from lgt.tasks.vocabulary import (
    BOS,
    EOS,
    PAD,
    TAG,
    TOKEN_ID,
    TOKENS,
    VERSION_1,
    VOCABULARY_SIZE,
    append,
    decode,
    encode,
    hash_keys,
)

BUILT_IN = [
    "reverse_add", "no_carry", "carry_only", "reverse_subtract", "cot_multiply", "copy_first_operand",
    "string_copy", "reverse", "capitalize", "capitalize_reverse", "mqar", "shortest_path", "dfs_trace",
]  # fmt: skip


def test_token_ids_of_version_1_are_fixed():
    assert (PAD, BOS, EOS) == (0, 1, 2)
    assert VOCABULARY_SIZE == len(VERSION_1) == len(set(VERSION_1)) == 3 + 13 + 10 + 52 + 7 + 64
    assert tuple(TOKENS[:VOCABULARY_SIZE]) == VERSION_1
    assert encode("0aA+|[0][63]").tolist() == [16, 26, 52, 78, 84, 85, 148]
    assert [TAG[name] for name in BUILT_IN] == list(range(3, 16))
    digest = hashlib.sha256("\n".join(VERSION_1).encode()).hexdigest()
    assert digest == "d736234d9fbce5e0ae1b26df89061020489cfe5c7fe3bce87b6b5d07c74216dd"


def test_tags_and_registry_name_the_same_tasks_in_the_same_order():
    assert list(TASKS) == list(TAG) == BUILT_IN
    assert [task.name for task in TASKS.values()] == BUILT_IN


def test_appended_tokens_get_the_next_ids_and_known_ones_keep_theirs():
    with isolated():
        append(["<mine>", "@", "+", "[north]"])
        assert TOKENS[VOCABULARY_SIZE:] == ["<mine>", "@", "[north]"] and TOKEN_ID["+"] == 78
        assert TAG["mine"] == VOCABULARY_SIZE and encode("@[north]").tolist() == [150, 151]
        assert decode(encode("1@[north]<mine>")) == "1@[north]<mine>"
        with pytest.raises(ConfigError, match=r"\[0\]..\[63\], @, \[north\]$"):
            encode("?")
    assert tuple(TOKENS) == VERSION_1 and "@" not in TOKEN_ID and "mine" not in TAG


@pytest.mark.parametrize("token", ["", "ab", "<a", "[", "]", "<Mine>", "[A]", " ", "\n", "\u00e4", "<>", "[]"])
def test_a_malformed_token_is_refused_and_none_is_appended(token):
    with isolated(), pytest.raises(ConfigError, match="token: ") as caught:
        append(["@", token])
    assert tuple(TOKENS) == VERSION_1 and "\n" not in str(caught.value)


def test_hash_keys_are_ids_in_version_1_and_depend_on_names_of_appended_tokens():
    assert hash_keys().tolist() == list(range(VOCABULARY_SIZE))
    keys = {}
    for order in (["@", "~"], ["~", "<other>", "@"]):
        with isolated():
            append(order)
            keys[tuple(order)] = {token: int(hash_keys()[TOKEN_ID[token]]) for token in "@~"}
    first, second = keys.values()
    assert first == second and len(set(first.values())) == 2
    assert all(VOCABULARY_SIZE <= key < 2**32 for key in first.values())


def test_every_token_survives_a_round_trip():
    assert encode(decode(range(VOCABULARY_SIZE))).tolist() == list(range(VOCABULARY_SIZE))
    assert encode("").tolist() == [] and decode([]) == ""
    assert encode("4+[17]=").dtype == np.int64


@pytest.mark.parametrize(
    ("text", "position", "piece"),
    [("47?1", 2, "'?'"), ("[0][64]", 3, "'[64]'"), ("[07]", 0, "'[07]'"), ("a b", 1, "' '"), ("a[", 1, "'['"),
     ("ä", 0, "'ä'"), ("1\n", 1, r"'\n'"), ("<nothing>", 0, "'<nothing>'")],
)  # fmt: skip
def test_a_bad_character_is_named_with_its_position(text, position, piece):
    with pytest.raises(ConfigError) as caught:
        encode(text)
    assert str(caught.value).startswith(f"character {position}: {piece} is not accepted")


@pytest.mark.parametrize("number", [-1, VOCABULARY_SIZE])
def test_an_id_out_of_range_is_refused(number):
    with pytest.raises(ConfigError, match="token id"):
        decode([5, number])

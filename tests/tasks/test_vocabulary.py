"""The vocabulary is fixed: a checkpoint's token ids mean the same in every version."""

import numpy as np
import pytest

from lgt.core.checks import ConfigError
from lgt.tasks import TASKS
from lgt.tasks.vocabulary import BOS, EOS, PAD, TAG, TASK_NAMES, TOKENS, VOCABULARY_SIZE, decode, encode


def test_token_ids_are_pinned():
    assert (PAD, BOS, EOS) == (0, 1, 2)
    assert VOCABULARY_SIZE == len(TOKENS) == len(set(TOKENS)) == 3 + 13 + 10 + 52 + 7 + 64
    assert encode("0aA+|[0][63]").tolist() == [16, 26, 52, 78, 84, 85, 148]
    assert (TAG["reverse_add"], TAG["dfs_trace"]) == (3, 15)


def test_tags_and_registry_name_the_same_tasks_in_the_same_order():
    assert tuple(TASKS) == TASK_NAMES == tuple(TAG)
    assert [task.name for task in TASKS.values()] == list(TASK_NAMES)


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

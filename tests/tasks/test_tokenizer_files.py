"""The tokenizer for other programs: the same ids as the vocabulary, for every task, and the same refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from lgt.core.config import TaskOptions
from lgt.recipes.presets import isolated
from lgt.tasks import TASKS, vocabulary
from lgt.tasks.prompts import drawn
from lgt.tasks.tokenizer_files import tokenizer_files
from lgt.tasks.vocabulary import BOS, PAD, TOKENS, decode, encode


def tokenizer(folder: Path):
    from transformers import AutoTokenizer

    for name, content in tokenizer_files(TOKENS).items():
        (folder / name).write_bytes(content)
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    return tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.mark.parametrize("task", TASKS)
def test_a_prompt_has_the_ids_of_the_vocabulary(read, task):
    prompt = drawn(task, 5, 1, TaskOptions())
    text = decode(prompt.tokens[1:])
    assert read(text).input_ids == list(prompt.tokens)
    assert read(text, add_special_tokens=False).input_ids == encode(text).tolist()
    assert read.decode(prompt.tokens) == decode(prompt.tokens)


def test_every_token_has_its_id_and_is_written_as_itself(read):
    assert len(read) == len(TOKENS) and read.convert_tokens_to_ids(TOKENS) == list(range(len(TOKENS)))
    assert [read.decode([number]) for number in range(len(TOKENS))] == TOKENS
    assert read("", add_special_tokens=False).input_ids == [] and read("").input_ids == [BOS]


def test_shorter_prompts_are_padded_at_the_left(read):
    found = read(["<reverse>abc=", "7"], padding=True)
    assert found["input_ids"][1] == [PAD] * 4 + [BOS, *encode("7")]
    assert found["attention_mask"] == [[1] * 6, [0] * 4 + [1, 1]] and set(found) == {"input_ids", "attention_mask"}


@pytest.mark.parametrize("text", ["47?1", "a b", "[64]", "<nothing>", "a\n", "<", "\u00e9", "no token", "[\u0969]"])
def test_text_that_is_no_token_is_refused(read, text):
    with pytest.raises(vocabulary.ConfigError):
        encode(text)
    with pytest.raises(Exception, match="Missing \\[UNK\\] token"):
        read(text)


def test_appended_tokens_are_known(tmp_path):
    with isolated():
        vocabulary.append(["<north>", "~", "[odd]"])
        text = "<north>~[odd]7"
        assert tokenizer(tmp_path)(text, add_special_tokens=False).input_ids == encode(text).tolist()

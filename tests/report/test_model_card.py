"""The card of an exported network where a run has no table, no example, or an answer with parts of the question."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd

from lgt.core.config import RunConfig, TaskSpec
from lgt.report.model_card import Exported, example, model_card
from tests.conftest import tiny

EXPORTED = Exported("5", 150, "LlamaForCausalLM", 'my "net"', "python -m lgt export-model 5 net --step 150", ())
NO_ROWS = pd.DataFrame({"task": [], "length": [], "correct": [], "total": []})


def card(config: RunConfig, rows: pd.DataFrame = NO_ROWS) -> str:
    record = SimpleNamespace(config=config, config_hash=config.hash(), code_version="0+src.1", device=None)
    return model_card(record, EXPORTED, rows)  # type: ignore[arg-type]


def test_a_run_without_accuracies_says_so_and_a_folder_with_quotes_is_quoted():
    text = card(tiny())
    assert "The store has no accuracies for these weights." in text and "| length |" not in text
    assert 'AutoTokenizer.from_pretrained("./my \\"net\\"")' in text
    assert "| device |" not in text and "| trained by |" not in text, "a fact that is not known is left out"


def test_a_task_and_length_without_prompts_has_an_empty_cell():
    rows = pd.DataFrame({"task": ["reverse"] * 2, "length": [1, 2], "correct": [0, 3], "total": [0, 4]})
    text = card(tiny(), rows)
    assert "| 1 | in-distribution |  |  |  |" in text and "| 2 | in-distribution |  |  | 0.750 (3 of 4) |" in text


def test_each_task_says_what_its_tag_asks_for():
    text = card(tiny("add-carry"))
    assert "- `<reverse_add>`: Addition. Add two numbers written least significant digit first." in text
    assert text.count("\n- `<") == 3 and "  " not in text[text.index("- `<") : text.index("## Accuracy")]


def test_a_task_with_questions_in_its_answer_says_that_generate_does_not_know_them():
    recall = replace(tiny(), tasks=(TaskSpec("mqar", "main", 4),), transfer_length=None, group="custom")
    text = card(recall)
    assert "some tokens of the answer belong to the question" in text and "| transfer region | none |" in text
    assert "belong to the question" not in card(tiny())


def test_the_example_is_a_test_prompt_and_a_task_of_another_process_has_none():
    prompt = example(tiny())
    assert prompt is not None and prompt.held_out and prompt.length == 3
    other = replace(tiny(), tasks=(TaskSpec("juggle", "main", 4),), transfer_length=None)
    assert example(other) is None
    text = card(other)
    assert 'tokenizer("<juggle>"' in text and "- `<juggle>`\n" in text and "The right answer" not in text


def test_a_run_from_a_pretrained_network_names_it_and_its_license():
    start = replace(tiny().training, start="gguf:some/net.gguf", start_sha256="ab" * 32, own_order=True)
    text, usual = card(replace(tiny(), training=start)), card(tiny())
    assert "license: other" in text and "license: mit" in usual and "MIT license" not in text
    assert "trained from random weights" in usual and "from the pretrained network `gguf:some/net.gguf` on" in text
    assert f"SHA-256 `{'ab' * 32}`" in text and "0 and the model seed (data)" in text
    (heading,) = (line for line in text.splitlines() if line.startswith("# "))
    assert "from gguf" in heading and "net.gguf, seed 0" in heading
    shuffled = card(replace(tiny(), training=replace(start, start_shuffled=True)))
    assert "the entries of each matrix shuffled" in shuffled and "shuffled" not in text

"""The vocabulary as the files of a tokenizer that Hugging Face's libraries read. Nothing here imports these libraries.

The tokenizer cuts a text into the pieces of :func:`lgt.tasks.vocabulary.encode` and gives each piece its id. As there,
text that is no token is refused. With special tokens, which is their default, it puts the begin token first.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from lgt.tasks.vocabulary import BOS, EOS, PAD, VERSION_1

SPECIAL = {"pad_token": VERSION_1[PAD], "bos_token": VERSION_1[BOS], "eos_token": VERSION_1[EOS]}
PIECE = r"<\w+>|\[\w+\]|[\s\S]"
"""The pieces of a text, as in :mod:`lgt.tasks.vocabulary`. Dialects differ in what makes the dot match a line's end."""
NO_TOKEN = "no token"
"""The tokenizer looks up this name for text that is no token. No token is named so, and the text is refused."""


def tokenizer_files(tokens: Sequence[str]) -> dict[str, bytes]:
    """``tokenizer.json`` and ``tokenizer_config.json`` for these tokens, which stand in the order of their ids."""
    settings = {
        **SPECIAL, "tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False,
        "padding_side": "left", "model_input_names": ["input_ids", "attention_mask"],
    }  # fmt: skip
    found = {"tokenizer.json": _tokenizer(tokens), "tokenizer_config.json": settings}
    return {name: (json.dumps(content, indent=2) + "\n").encode() for name, content in found.items()}


def _tokenizer(tokens: Sequence[str]) -> dict[str, Any]:
    """The content of ``tokenizer.json``, whose format the library ``tokenizers`` defines."""
    ids = {token: number for number, token in enumerate(tokens)}
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    begin = SPECIAL["bos_token"]
    first, text = {"SpecialToken": {"id": begin, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": ids[token], "content": token, **plain} for token in SPECIAL.values()],
        "normalizer": None,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": PIECE}, "behavior": "Isolated", "invert": False},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [first, text],
            "pair": [first, text, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {begin: {"id": begin, "ids": [ids[begin]], "tokens": [begin]}},
        },
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": ids, "unk_token": NO_TOKEN},
    }

"""The command ``pretrained`` and the option ``--start``."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from lgt.core.notices import warn_once
from lgt.core.paths import STARTED_IN
from lgt.core.start import source_of
from lgt.model.pretrained import opened
from lgt.store import queries
from lgt.store.engine import open_store
from tests.cli.test_cli import QUICK, lgt
from tests.model.llamas import as_folder, as_gguf, llama

pytest.importorskip("gguf", reason="the extra `pretrained` is not installed: pip install -e '.[pretrained]'")


@pytest.fixture(autouse=True)
def once():
    warn_once.cache_clear()


def test_the_command_prints_the_network_its_pin_and_the_tokens_that_are_new(capsys, tmp_path):
    text = as_gguf(llama(), tmp_path / "a.gguf")
    code, out, _ = lgt(capsys, "pretrained", text)
    assert code == 0 and "2 layers of 6 heads, 2 of keys" in out and "tied embeddings" in out
    assert opened(source_of(text)).sha256 in out and "no token for 78 of our 149" in out
    assert f"{opened(source_of(text)).network.shape.parameters(149):,} parameters" in out


@pytest.mark.parametrize("text", ["file.gguf", "gguf:missing.gguf", "folder:missing", "package:no-such-package"])
def test_what_cannot_be_read_is_one_line_and_leaves_no_store(text, capsys, tmp_path):
    submit = ["submit", "--group", "caprev", "--start", text, "--database", tmp_path / "a.db"]
    for words in (["pretrained", text], submit):
        code, out, error = lgt(capsys, *words)
        assert code == 2 and not out and error.count("\n") == 1 and repr(text) in error
    assert not list(tmp_path.iterdir())


def test_start_states_the_network_and_the_pin_in_every_config(capsys, tmp_path):
    text = as_folder(llama(tied=False), tmp_path / "net")
    code, *_ = lgt(capsys, "submit", "--group", "caprev", "--start", text, "--seeds", "4,5", "--set",
                   "training.start_shuffled=true", "--database", tmp_path / "a.db")  # fmt: skip
    configs = [queries.run(open_store(str(tmp_path / "a.db")), number).config for number in (1, 2)]
    found = opened(source_of(text))
    assert code == 0 and [config.model_seed for config in configs] == [4, 5]
    assert replace(configs[0], model_seed=5) == configs[1] and configs[0].model == found.network.shape
    assert (configs[0].training.start, configs[0].training.start_sha256) == (text, found.sha256)
    assert configs[0].training.start_shuffled and [spec.task for spec in configs[0].auxiliaries]


def test_a_relative_path_is_stored_as_an_absolute_one_and_other_positions_are_refused(capsys, tmp_path):
    as_gguf(llama(), tmp_path / "a.gguf")
    text = "gguf:" + os.path.relpath(tmp_path / "a.gguf", STARTED_IN)
    words = ["submit", "--group", "caprev", "--start", text, "--database", tmp_path / "a.db"]
    assert lgt(capsys, *words)[0] == 0
    config = queries.run(open_store(str(tmp_path / "a.db")), 1).config
    assert Path(config.training.start.removeprefix("gguf:")).is_absolute()
    assert opened(source_of(config.training.start), config.training.start_sha256)
    code, _, error = lgt(capsys, *words, "--position", "nope")
    assert code == 2 and "--position: 'nope' is not accepted; accepted: rope together with --start" in error


def test_a_run_trains_from_a_start_and_fails_in_one_line_when_the_weights_have_changed(capsys, tmp_path, caplog):
    text = as_gguf(llama(), tmp_path / "a.gguf")
    words = ["train", "--main", "string_copy:3", *QUICK, "--set", "evaluation.maximum_length=3", "--set",
             "evaluation.measured_steps=0", "--database", tmp_path / "a.db"]  # fmt: skip
    code, out, _ = lgt(capsys, *words, "--start", text)
    assert code == 0 and "step      0" in out and "start from its mean embedding" in caplog.text
    config = queries.run(open_store(str(tmp_path / "a.db")), 1).config
    pins = [f"training.{name}={getattr(config.training, name)}" for name in ("start", "start_sha256")]
    shape = [f"model.{name}={getattr(config.model, name)}" for name in
             ("layers", "heads", "width", "hidden", "rope_theta", "qk_norm", "kv_heads", "tied")]  # fmt: skip
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    code, out, error = lgt(capsys, *words, *(word for one in (*shape, f"{pins[0]}") for word in ("--set", one)))
    assert code == 2 and "training.start_sha256: ''" in error
    code, out, error = lgt(capsys, *words, "--start", text)
    assert code == 2 and "damaged or cut off" in error

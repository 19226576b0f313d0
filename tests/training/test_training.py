"""Batches, the loop, exact match and checkpoints."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from lgt.core.checks import ConfigError
from lgt.core.config import TaskSpec, TrainingConfig
from lgt.evaluation.exact_match import accuracy_rows, answer_scores
from lgt.evaluation.passes import evaluating
from lgt.evaluation.test_sets import test_set
from lgt.model.checkpoint import CheckpointError, from_bytes, measured_copy, to_bytes
from lgt.model.decoder import Decoder
from lgt.recipes.presets import custom_config, group_config
from lgt.tasks.vocabulary import EOS, TAG
from lgt.training import batches
from lgt.training.batches import make_batch
from lgt.training.loop import Stopped, TrainingFailed, learning_rate_factor, train
from lgt.training.recorder import MemoryRecorder
from lgt.training.snapshots import attribution_lengths, snapshot_steps
from lgt.training.steps import make_optimizers, make_stepper
from tests.conftest import tiny
from tests.evaluation.reference import greedy_answers
from tests.training.compiling import compile_with


def test_a_batch_depends_on_config_and_step_and_not_on_earlier_calls():
    config = tiny()
    first = make_batch(config, 9)
    batches._draw.cache_clear()
    for step in (3, 11, 0):
        make_batch(config, step)
    again = make_batch(config, 9)
    assert torch.equal(first.tokens, again.tokens) and torch.equal(first.scored, again.scored)
    assert not torch.equal(first.tokens[:, :5], make_batch(replace(config, data_seed=1), 9).tokens[:, :5])


def test_model_seed_does_not_change_the_data():
    assert torch.equal(make_batch(tiny(), 4).tokens, make_batch(tiny(model_seed=3), 4).tokens)


def test_mixture_is_uniform_over_tasks_and_lengths():
    config = group_config("caprev", "demo")
    counts: Counter[tuple[int, int]] = Counter()
    for step in range(80):
        batch = make_batch(config, step)
        # body length of a string task: the prompt is <bos>, tag, the string and the equals sign
        counts.update(zip(batch.tokens[:, 1].tolist(), (batch.prompt_length - 3).tolist(), strict=True))
    total = sum(counts.values())
    for spec in config.tasks:
        expected = total / 3 / spec.training_length
        seen = [counts[TAG[spec.task], length] for length in range(1, spec.training_length + 1)]
        chi_square = sum((count - expected) ** 2 / expected for count in seen)
        assert chi_square < 3 * spec.training_length, (spec.task, seen)


@pytest.mark.parametrize("pool", [1, 3, 4])
def test_batches_of_a_draw_use_every_example_once(pool, monkeypatch):
    monkeypatch.setattr(batches, "EXAMPLES_PER_DRAW", 600)
    config = tiny()
    config = replace(config, training=replace(config.training, batch_size=50, pool=pool))
    batches._draw.cache_clear()
    count = batches.batches_per_draw(config)
    assert count == 12
    drawn, _ = batches._draw(config, 0)
    rows = sorted(row for step in range(count) for row in map(bytes, padded_rows(make_batch(config, step).tokens)))
    assert rows == sorted(map(bytes, padded_rows(torch.from_numpy(drawn.tokens))))
    batches._draw.cache_clear()


def padded_rows(tokens):
    return np.pad(tokens.numpy(), ((0, 0), (0, 64 - tokens.shape[1])))


def test_a_pool_of_batches_pads_less_and_one_batch_mixes_lengths():
    config = group_config("caprev", "demo")
    sorted_config = replace(config, training=replace(config.training, pool=8))
    padding = [
        np.mean([1 - float(make_batch(c, step).present.float().mean()) for step in range(16)])
        for c in (config, sorted_config)
    ]
    assert padding[1] < 0.2 < 0.4 < padding[0]


def test_batches_mix_tasks_and_score_answers_with_their_end():
    batch = make_batch(group_config("caprev", "demo"), 0)
    assert len(set(batch.tokens[:, 1].tolist())) == 3
    ends = batch.present.sum(1) - 1
    assert (batch.tokens.gather(1, ends[:, None]) == EOS).all()
    assert batch.scored.gather(1, ends[:, None]).all()
    assert not (batch.scored & ~batch.present).any()


def test_training_learns_and_reports_every_snapshot(trained):
    config, _, recorder = trained
    assert list(recorder.accuracies) == snapshot_steps(config) == [75, 150]
    assert recorder.logs[-1].loss < 0.6 * recorder.logs[0].loss
    assert list(recorder.checkpoints) == [150]
    lengths = {row.length for row in recorder.maps[150] if row.task == config.main.task}
    assert lengths == set(attribution_lengths(config))


@pytest.mark.slow
def test_the_same_config_gives_the_same_weights_bit_for_bit():
    config = tiny(steps=12)
    first, second = train(config, MemoryRecorder()), train(config, MemoryRecorder())
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_compiled_layers_train_like_eager_ones(backend, monkeypatch):
    """``inductor``, which runs use, may compile for half a minute; ``aot_eager`` traces and differentiates alike."""
    asked = compile_with(backend, monkeypatch)
    config = tiny(steps=4)
    losses = []
    for compiled in (False, True):
        one = replace(config, training=replace(config.training, compiled=compiled))
        stepper = make_stepper(Decoder(one.model), one, fused=False)
        losses.append([float(stepper.step(make_batch(one, step), 1.0)) for step in range(4)])
    assert len(asked) == config.model.layers
    assert np.allclose(losses[0], losses[1], rtol=2e-3)


def test_teacher_forced_exact_match_equals_greedy_decoding_on_a_trained_model(trained):
    config, model, _ = trained
    outcomes = []
    for task in ("capitalize_reverse", "capitalize", "reverse"):
        for length in (1, 2, 3, 5, 7):
            batch = test_set(config, task, length, 40)
            with evaluating(model):
                matches, _ = answer_scores(model, batch)
            greedy = greedy_answers(model, batch)
            same = ((greedy == batch.tokens) | ~batch.scored).all(1)
            assert torch.equal(matches, same), (task, length)
            outcomes += matches.tolist()
    assert 0 < sum(outcomes) < len(outcomes), "the check needs right and wrong answers"


def test_greedy_decoding_is_given_the_queries_of_mqar():
    config = tiny("copy-mqar", steps=1)
    model = Decoder(config.model)
    batch = test_set(config, "mqar", 5, 20)
    greedy = greedy_answers(model, batch)
    assert torch.equal(greedy[~batch.scored], batch.tokens[~batch.scored])
    with evaluating(model):
        matches, _ = answer_scores(model, batch)
    assert torch.equal(matches, ((greedy == batch.tokens) | ~batch.scored).all(1))


def test_stored_counts_are_those_of_the_stored_checkpoint(trained):
    config, _, recorder = trained
    restored = from_bytes(recorder.checkpoints[150], config.model)
    assert accuracy_rows(restored, config, config.evaluation.examples) == recorder.accuracies[150]


@pytest.mark.parametrize("damage", [lambda b: b[:100], lambda b: b"\x80\x04.", lambda b: b"", lambda b: b"\xff" * 64])
def test_a_damaged_checkpoint_is_refused(damage):
    model = Decoder(tiny().model)
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        from_bytes(damage(to_bytes(model)), model.config)


def test_a_checkpoint_of_another_shape_is_refused():
    config = tiny().model
    with pytest.raises(CheckpointError, match="does not fit"):
        from_bytes(to_bytes(Decoder(replace(config, layers=3))), config)


def test_measuring_does_not_touch_the_model_in_training(trained):
    _, model, _ = trained
    before = [p.clone() for p in model.parameters()]
    copy = measured_copy(model)
    with torch.no_grad():
        copy.embedding.weight.zero_()
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_schedule_warms_up_stays_and_decays_to_zero():
    training = TrainingConfig(steps=100, warmup_fraction=0.1, decay_fraction=0.5)
    factors = [learning_rate_factor(training, step) for step in range(101)]
    assert factors[0] == pytest.approx(0.1) and factors[9] == 1.0
    assert set(factors[9:51]) == {1.0}
    assert factors[75] == pytest.approx(0.5) and factors[100] == pytest.approx(0.0)
    assert factors[50:] == sorted(factors[50:], reverse=True)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_every_parameter_has_exactly_one_optimizer(optimizer):
    model = Decoder(tiny().model)
    groups = [g for o in make_optimizers(model, TrainingConfig(optimizer=optimizer)) for g in o.param_groups]
    owned = [id(p) for g in groups for p in g["params"]]
    assert sorted(owned) == sorted(id(p) for p in model.parameters())
    decayed = {id(p) for g in groups if g["weight_decay"] for p in g["params"]}
    assert decayed == {id(p) for n, p in model.named_parameters() if n.startswith("layers.") and p.ndim == 2}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_loss_that_is_not_finite_ends_the_run_with_its_reason(precision, monkeypatch):
    config = tiny(steps=40)
    config = replace(config, training=replace(config.training, precision=precision))
    monkeypatch.setattr(
        "lgt.model.decoder.initialise", lambda model, seed: model.layers[0].attention.key.weight.data.fill_(np.nan)
    )
    with pytest.raises(TrainingFailed, match=r"not finite at step 1; try a lower training\.learning_rate"):
        train(config, MemoryRecorder())


def test_stopping_early_measures_nothing_more():
    recorder = MemoryRecorder()
    asked = iter([False, False, True])
    with pytest.raises(Stopped, match="after 2 of 50 steps"):
        train(tiny(steps=50), recorder, should_stop=lambda: next(asked))
    assert not recorder.accuracies and not recorder.checkpoints and list(recorder.states) == [2]


def test_maps_are_made_at_lengths_that_every_task_has():
    tasks = (TaskSpec("string_copy", "main", 24), TaskSpec("mqar", "auxiliary", 48))
    lengths = attribution_lengths(custom_config(tasks, "demo", "strings"))
    assert min(lengths) >= 2 and max(lengths) <= 52 and any(24 < length <= 48 for length in lengths)


def test_before_the_last_step_heads_are_measured_at_lengths_up_to_the_transfer_region():
    config, recorder = tiny(steps=4), MemoryRecorder()
    followed = replace(config, evaluation=replace(config.evaluation, attribution_snapshots=2))
    train(followed, recorder)
    mapped = [{row.length for row in recorder.maps[step]} for step in (2, 4)]
    compared = [{row.length for row in recorder.differences[step]} for step in (2, 4)]
    assert mapped[1] == compared[1] == set(attribution_lengths(followed)) and max(mapped[1]) > 6
    assert mapped[0] == compared[0] == {length for length in mapped[1] if length <= 6}


def test_unknown_task_is_refused_before_training():
    config = replace(tiny(), tasks=(TaskSpec("nonsense", "main", 3),), arm="alone-same-steps")
    with pytest.raises(ConfigError, match="nonsense"):
        train(config, MemoryRecorder())

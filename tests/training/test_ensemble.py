"""Runs trained together equal runs trained alone, in their weights, measurements, failures and final states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from sqlalchemy import update

from lgt.cli.main import main
from lgt.core.checks import ConfigError
from lgt.core.config import RunConfig
from lgt.execution import ensemble_worker as together
from lgt.execution import worker
from lgt.execution.ensemble_worker import claim_together, execute_together
from lgt.model.decoder import Decoder, initialise
from lgt.store import checkpoints, leases, queries, queue, writes
from lgt.store.engine import open_store, write_transaction
from lgt.store.errors import LeaseLost, StoreError
from lgt.store.schema import Run
from lgt.training.batches import make_batch
from lgt.training.ensemble import EnsembleStep, Member, differ_only_in_seed, train_together
from lgt.training.loop import Stopped, TrainingFailed, train
from lgt.training.recorder import MemoryRecorder
from lgt.training.snapshots import measure
from lgt.training.steps import TorchStep
from tests.conftest import tiny


def seeds(config: RunConfig, count: int = 3) -> list[RunConfig]:
    return [replace(config, model_seed=seed) for seed in range(count)]


def with_training(config: RunConfig, **changes) -> RunConfig:
    return replace(config, training=replace(config.training, **changes))


@pytest.fixture()
def plain(monkeypatch):
    """Runs trained alone take PyTorch's step, which differs from the ensemble's in the last digits only."""
    monkeypatch.setattr("lgt.fused.step.library", lambda: None)


def spoil_seed_one(monkeypatch) -> None:
    def initialise_badly(model: Decoder, seed: int) -> None:
        initialise(model, seed)
        if seed == 1:
            model.layers[0].attention.key.weight.data.fill_(float("nan"))

    monkeypatch.setattr("lgt.model.decoder.initialise", initialise_badly)


def assert_same_run(config: RunConfig, model: Decoder, recorder: MemoryRecorder) -> None:
    """Check that ``model`` and ``sink`` equal the results of training ``config`` alone."""
    alone_sink = MemoryRecorder()
    alone = train(config, alone_sink)
    for (name, a), b in zip(alone.named_parameters(), model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=2e-5), (name, float((a - b).abs().max()))
    assert recorder.accuracies == alone_sink.accuracies
    assert recorder.checkpoints.keys() == alone_sink.checkpoints.keys()
    assert [len(rows) for rows in recorder.maps.values()] == [len(rows) for rows in alone_sink.maps.values()]
    assert [row.step for row in recorder.logs] == [row.step for row in alone_sink.logs]
    for a, b in zip(recorder.logs, alone_sink.logs, strict=True):
        assert a.loss == pytest.approx(b.loss, rel=1e-4) and a.learning_rate == b.learning_rate


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        tiny(steps=10),
        with_training(tiny(steps=10), optimizer="adamw", gradient_clip=0.3, learning_rate=1e-3),
        replace(tiny("add-carry", steps=6), model=replace(tiny().model, position="nope", qk_norm=False)),
    ],
    ids=["muon", "adamw", "no positions, no qk norm"],
)
def test_members_are_the_runs_trained_alone(config, plain):
    configs, sinks, ends = seeds(config, 2), [MemoryRecorder(), MemoryRecorder()], []
    members = [Member(c, recorder, ended=ends.append) for c, recorder in zip(configs, sinks, strict=True)]
    models = train_together(members)
    for one, model, recorder in zip(configs, models, sinks, strict=True):
        assert_same_run(one, model, recorder)
    assert ends == [None, None]
    assert not torch.equal(models[0].unembedding.weight, models[1].unembedding.weight)


@pytest.mark.slow
def test_members_are_near_the_fused_step():
    config = tiny(steps=10)
    for one, model in zip(
        seeds(config, 2), train_together([Member(c, MemoryRecorder()) for c in seeds(config, 2)]), strict=True
    ):
        start, alone = Decoder(one.model, one.model_seed), train(one, MemoryRecorder())
        for (name, a), b in zip(alone.named_parameters(), model.parameters(), strict=True):
            assert (a - b).norm() < 0.02 * (a - start.get_parameter(name)).norm(), name


def test_members_compute_in_the_precision_of_their_config():
    losses = {}
    for precision in ("float32", "bfloat16"):
        config = with_training(tiny(steps=1), precision=precision)
        models = [Decoder(config.model, seed) for seed in range(2)]
        batch = make_batch(config, 0)
        losses[precision] = EnsembleStep(models, config.training, "cpu").step(batch, 1.0)
        alone = [float(TorchStep(model, config.training, "cpu").step(batch, 1.0)) for model in models]
        assert losses[precision].tolist() == pytest.approx(alone, rel=1e-6 if precision == "float32" else 1e-2)
    assert (losses["float32"] - losses["bfloat16"]).abs().min() > 1e-5


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # of the CPU's kernel; those of GPUs are batched
def test_the_attention_kernel_works_for_stacked_members():
    config = tiny(steps=1)
    batch = make_batch(config, 0)
    losses = []
    for kernel in (False, True):
        step = EnsembleStep([Decoder(config.model, seed) for seed in range(3)], config.training, "cpu")
        for layer in step.loss.decoder.blocks():
            layer.attention.kernel = kernel
        losses.append([step.step(batch, 1.0), step.step(batch, 1.0)])
    assert torch.allclose(torch.stack(losses[0]), torch.stack(losses[1]), rtol=1e-4)


@pytest.mark.slow
def test_a_member_whose_loss_is_not_finite_ends_alone(monkeypatch, plain):
    spoil_seed_one(monkeypatch)
    configs, sinks, ends = seeds(tiny(steps=8)), [MemoryRecorder() for _ in range(3)], {}

    def ended(seed):
        return lambda error: ends.setdefault(seed, []).append((error, len(sinks[0].logs)))

    models = train_together([Member(c, sinks[i], ended=ended(i)) for i, c in enumerate(configs)])
    ((error, _),) = ends[1]
    assert isinstance(error, TrainingFailed) and "not finite at step 1" in str(error)
    assert not sinks[1].accuracies and not sinks[1].checkpoints
    for i in (0, 2):
        assert [e for e, _ in ends[i]] == [None]
        assert_same_run(configs[i], models[i], sinks[i])


@pytest.mark.slow
def test_a_member_that_stops_leaves_the_others_training(plain):
    configs, sinks, ends = seeds(tiny(steps=8)), [MemoryRecorder() for _ in range(3)], []
    asked = iter([False] * 5 + [True])
    stops = [lambda: False, lambda: next(asked), lambda: False]
    models = train_together(
        [
            Member(c, recorder, should_stop=stop, ended=lambda error, i=i: ends.append((i, error)))
            for i, (c, recorder, stop) in enumerate(zip(configs, sinks, stops, strict=True))
        ]
    )
    assert [(i, type(error)) for i, error in ends] == [(1, Stopped), (0, type(None)), (2, type(None))]
    assert sinks[1].logs[-1].step == 5 and list(sinks[1].accuracies) == [4] and not sinks[1].checkpoints
    for i in (0, 2):
        assert_same_run(configs[i], models[i], sinks[i])


@pytest.mark.slow
def test_an_error_of_a_recorder_ends_its_member_only(plain):
    class Refusing(MemoryRecorder):
        def accuracy(self, step, rows):
            raise LeaseLost("taken over")

    configs, sinks, ends = seeds(tiny(steps=6), 2), [Refusing(), MemoryRecorder()], [[], []]
    models = train_together([Member(c, s, ended=e.append) for c, s, e in zip(configs, sinks, ends, strict=True)])
    assert [type(error) for error in ends[0]] == [LeaseLost] and ends[1] == [None]
    assert_same_run(configs[1], models[1], sinks[1])


def test_training_ends_when_its_last_member_ends(monkeypatch):
    steps = []
    real = EnsembleStep.step
    monkeypatch.setattr(EnsembleStep, "step", lambda self, *a: steps.append(1) or real(self, *a))
    train_together([Member(c, MemoryRecorder(), should_stop=lambda: len(steps) == 3) for c in seeds(tiny(steps=50), 2)])
    assert len(steps) == 3


def test_waiting_members_report_while_others_are_measured(monkeypatch):
    monkeypatch.setattr("lgt.training.ensemble.REPORT_SECONDS", 0.0)
    seen, sinks = [], [MemoryRecorder(), MemoryRecorder()]
    for number, recorder in enumerate(sinks):
        monkeypatch.setattr(recorder, "progress", lambda *a, number=number: seen.append(("alive", number)))
        monkeypatch.setattr(recorder, "accuracy", lambda *a, number=number: seen.append(("measured", number)))
    train_together([Member(c, recorder) for c, recorder in zip(seeds(tiny(steps=1), 2), sinks, strict=True)])
    between = seen[seen.index(("measured", 0)) : seen.index(("measured", 1))]
    assert ("alive", 0) in between and ("alive", 1) in between


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"data_seed": 1}, "data_seed"), ({"model": replace(tiny().model, layers=3)}, "model"), ({}, "runs")],
)
def test_runs_that_differ_in_more_than_the_seed_are_refused(changes, words):
    members = [Member(c, MemoryRecorder()) for c in (tiny(), replace(tiny(model_seed=1), **changes))] if changes else []
    with pytest.raises(ConfigError, match=words):
        train_together(members)


def test_runs_that_differ_only_in_labels_can_be_trained_together():
    assert differ_only_in_seed(tiny(), replace(tiny(model_seed=4), group="custom"))
    assert not differ_only_in_seed(tiny(), with_training(tiny(), steps=149))


# From here on: the worker that claims several runs.


@pytest.fixture()
def engine(tmp_path):
    return open_store(str(tmp_path / "a.db"))


def queued(engine, count: int = 3, **options) -> list[int]:
    return [writes.create_run(engine, c, label=f"seed {c.model_seed}", **options) for c in seeds(tiny(steps=8), count)]


def states(engine, ids) -> list[str]:
    return [queries.run(engine, run_id).state.value for run_id in ids]


@pytest.mark.slow
def test_a_worker_trains_runs_together_and_stores_what_they_give_alone(engine, plain, monkeypatch):
    ids, alone = queued(engine), queued(engine, experiment="alone")
    worker.work(engine, experiment="alone", report=lambda line: None)
    lots, real = [], together.train_together
    monkeypatch.setattr(together, "train_together", lambda m, **o: lots.append(len(m)) or real(m, **o))
    lines = []
    assert worker.work(engine, together=2, report=lines.append) == 3 and lots == [2]
    assert states(engine, ids) == ["done"] * 3
    assert lines[:2] == ["run 1: seed 0 started", "run 2: seed 1 started"]
    assert sorted(lines[2:4]) == ["run 1: seed 0 done", "run 2: seed 1 done"]
    for one, other in zip(ids, alone, strict=True):
        a, b = (queries.accuracy(engine, [i], "all").drop(columns="run_id") for i in (one, other))
        assert a.equals(b) and len(a)
        assert len(queries.head_scores(engine, [one])) == len(queries.head_scores(engine, [other])) > 0
        record = queries.run(engine, one)
        assert record.step == 8 and record.tokens == queries.run(engine, other).tokens and record.attempt == 1
        shared = one != ids[2]  # the third run of a queue worked off in twos was alone
        assert ("up to 2 runs together" in record.device) == shared
        assert checkpoints.read_checkpoint(engine, one).step == 8


def test_only_runs_of_one_experiment_that_differ_in_the_seed_are_claimed_together(engine):
    (nameless,) = queued(engine, 1)
    first = queued(engine, 2, experiment="e")
    unnamed = queued(engine, 2)
    other = writes.create_run(engine, with_training(tiny(steps=8), steps=9), experiment="e")
    done = writes.create_run(engine, tiny(steps=8, model_seed=7), experiment="e")
    leases.cancel_run(engine, done)
    late = writes.create_run(engine, tiny(steps=8, model_seed=9), experiment="e")
    assert [record.id for record, _ in claim_together(engine, most=8)] == [nameless, *unnamed]
    assert [record.id for record, _ in claim_together(engine, most=8)] == [*first, late]
    assert [record.id for record, _ in claim_together(engine, most=8)] == [other]
    assert claim_together(engine, most=8) == []


def test_a_run_that_another_worker_claims_first_is_skipped(engine, monkeypatch):
    ids = queued(engine)
    real = together.queued_with_other_seeds

    def slowly(engine, first) -> Iterator:
        for record in real(engine, first):
            if record.id == ids[1]:
                assert queue.claim(engine, "another", "cpu") == (ids[1], 1)
            yield record

    monkeypatch.setattr(together, "queued_with_other_seeds", slowly)
    assert [(record.id, attempt) for record, attempt in claim_together(engine, most=3)] == [(ids[0], 1), (ids[2], 1)]
    assert queries.run(engine, ids[1]).owner == "another"


@pytest.mark.slow
def test_each_run_of_an_ensemble_fails_or_is_cancelled_alone(engine, monkeypatch):
    spoil_seed_one(monkeypatch)
    monkeypatch.setattr(together, "at_most_every", lambda seconds, question: question)
    ids = queued(engine, 4)
    ended = []

    def ending(m, number, step, recorder):
        if number == 0 and step == 4:
            leases.cancel_run(engine, ids[2])
            ended.append(states(engine, ids))

    monkeypatch.setattr(
        "lgt.training.ensemble.measure",
        lambda m, c, step, s: (ending(m, c.model_seed, step, s), measure(m, c, step, s)),
    )
    assert worker.work(engine, together=4, report=lambda line: None) == 4
    assert states(engine, ids) == ["done", "failed", "cancelled", "done"]
    assert ended == [["running", "failed", "cancelled", "running"]], "a failure is stored while the others go on"
    assert "not finite at step 1" in queries.run(engine, ids[1]).error
    assert queries.accuracy(engine, [ids[2]], "all").empty and len(queries.accuracy(engine, [ids[3]], "all"))


def test_cancelled_runs_stop_before_their_next_step(engine, monkeypatch):
    monkeypatch.setattr(together, "at_most_every", lambda seconds, question: question)
    ids, steps, real = queued(engine, 2), [], EnsembleStep.step

    def step(self, *arguments):
        steps.append(1)
        assert all(leases.cancel_run(engine, run_id) for run_id in ids)
        return real(self, *arguments)

    monkeypatch.setattr(EnsembleStep, "step", step)
    worker.work(engine, together=2, report=lambda line: None)
    assert states(engine, ids) == ["cancelled"] * 2 and len(steps) == 1


def test_a_deleted_run_does_not_affect_the_others_of_its_ensemble(engine, monkeypatch):
    monkeypatch.setattr(together, "at_most_every", lambda seconds, question: question)
    ids = queued(engine, 2)
    claimed = claim_together(engine, most=2)
    writes.delete_runs(engine, [ids[0]])
    ends = []
    execute_together(engine, claimed, report=lambda record, word: ends.append((record.id, word)))
    assert sorted(ends) == [(ids[0], "cancelled"), (ids[1], "done")]
    with pytest.raises(StoreError):
        queries.run(engine, ids[0])


def test_an_ensemble_of_a_lost_worker_starts_over_without_a_cancelled_run(engine):
    ids = queued(engine, 2)
    claim_together(engine, most=2)
    with write_transaction(engine) as connection:
        connection.execute(update(Run).values(lease_until=0.0))
    assert queue.requeue_expired(engine) == ids
    claimed = claim_together(engine, most=2)
    assert [attempt for _, attempt in claimed] == [2, 2] and leases.cancel_run(engine, ids[0])
    execute_together(engine, claimed)
    assert states(engine, ids) == ["cancelled", "done"]


def test_an_error_of_the_shared_step_ends_every_run_of_the_ensemble(engine, monkeypatch):
    monkeypatch.setattr(EnsembleStep, "step", lambda *a: (_ for _ in ()).throw(torch.OutOfMemoryError("CUDA")))
    ids = queued(engine)
    worker.work(engine, together=3, report=lambda line: None)
    assert states(engine, ids) == ["failed"] * 3
    assert all("--together" in queries.run(engine, run_id).error for run_id in ids)


def test_an_interrupt_cancels_all_runs_of_the_ensemble_and_is_raised(engine, monkeypatch):
    monkeypatch.setattr(EnsembleStep, "step", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    ids = queued(engine)
    with pytest.raises(KeyboardInterrupt):
        worker.work(engine, together=2, report=lambda line: None)
    assert states(engine, ids) == ["cancelled", "cancelled", "queued"]
    assert queries.run(engine, ids[0]).error == "interrupted by the user"


@pytest.mark.slow
def test_once_executes_one_ensemble(engine):
    ids = queued(engine)
    assert worker.work(engine, together=2, once=True, report=lambda line: None) == 2
    assert states(engine, ids) == ["done", "done", "queued"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--together", "2"], ["--together", "2", "CPU", "worker per core"]),
        (["--together", "0"], ["--together", "0", "1 to 64"]),
        (["--together", "65", "--device", "cuda"], ["--together", "65", "1 to 64"]),
        (["--together", "4", "--device", "cuda"], ["--device", "cuda", "no CUDA device"]),
    ],
)
def test_a_worker_refuses_wrong_options_in_one_line(capsys, tmp_path, monkeypatch, arguments, words):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as ended:
        main(["worker", *arguments, "--database", str(tmp_path / "none.db")])
    error = capsys.readouterr().err
    assert ended.value.code == 2 and len(error.strip().splitlines()) == 1 and not (tmp_path / "none.db").exists()
    assert all(word in error for word in words), error

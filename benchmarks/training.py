"""Training speed in real (unpadded) tokens per second: ours, the plain loop, transformers' Llama in the same loop."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from benchmarks import harness
from benchmarks.harness import Section, Settings, say
from benchmarks.peers import as_llama, llama_loss, without_qk_norm
from benchmarks.plain import PeerLoop, PlainDecoder, plain_loss
from lgt.core.config import RunConfig
from lgt.model.decoder import Decoder
from lgt.recipes.presets import group_config
from lgt.training.batches import _draw, batches_per_draw, make_batch
from lgt.training.loop import learning_rate_factor
from lgt.training.steps import Stepper, make_stepper

SHAPES = (("caprev", "demo"), ("add-carry", "small"))
CHECKED_STEPS = 20
SAME = 2e-5  # relative, of each loss: weight decay left out on one side makes 5e-5, rounding less than 2e-6
PEER_RATE = 3e-3


@dataclass(frozen=True)
class Row:
    """One line of the table: a peer compared with ours."""

    title: str
    config: RunConfig
    peer: Callable[[RunConfig], Stepper]


def ours(config: RunConfig) -> Stepper:
    """Our step for a fresh model of ``config``."""
    return make_stepper(Decoder(config.model, config.model_seed), config, device="cpu")


def plain(config: RunConfig) -> PeerLoop:
    """The plain loop for the same fresh model."""
    return PeerLoop(PlainDecoder(Decoder(config.model, config.model_seed)), plain_loss, config.training)


def llama(config: RunConfig) -> PeerLoop:
    """The same loop around transformers' Llama."""
    model = as_llama(Decoder(config.model, config.model_seed)).train()
    return PeerLoop(model, llama_loss, config.training)


def with_adamw(config: RunConfig) -> RunConfig:
    """``config`` trained with AdamW at nanoGPT-like rates, which all sides support."""
    rates = {"learning_rate": PEER_RATE, "embedding_learning_rate": PEER_RATE}
    return replace(config, training=replace(config.training, optimizer="adamw", **rates))


def losses(stepper: Stepper, config: RunConfig, steps: int) -> list[float]:
    """Losses (nats) of the first ``steps`` steps, warm-up left out: from the first step on the weights move."""
    return [float(stepper.step(make_batch(config, step), 1.0)) for step in range(steps)]


def check(row: Row, settings: Settings) -> None:
    """Same initial weights, same optimizer, same batches: the same losses. Raises Disagreement."""
    config, steps = with_adamw(row.config), 5 if settings.quick else CHECKED_STEPS
    mine, theirs = losses(ours(config), config, steps), losses(row.peer(config), config, steps)
    worst = harness.require_close(f"{row.title}, losses of {steps} steps", mine, theirs, SAME)
    say(f"  {row.title}: {steps} losses agree to {worst:.1e}")


def timed(stepper: Stepper, config: RunConfig, steps: int) -> Callable[[int], float]:
    """Seconds of repetition i: ``steps`` steps and making their batches, both as in training."""

    def repetition(number: int) -> float:
        _draw.cache_clear()  # the other side has made the same batches; each side must make them itself
        return harness.seconds(lambda: walk(stepper, config, range(number * steps, (number + 1) * steps)))

    return repetition


def walk(stepper: Stepper, config: RunConfig, steps: range) -> None:
    """Train ``steps``."""
    for step in steps:
        stepper.step(make_batch(config, step), learning_rate_factor(config.training, step))


def making(config: RunConfig, steps: int) -> float:
    """Seconds of only making the batches of ``steps`` steps."""
    _draw.cache_clear()
    return harness.seconds(lambda: [make_batch(config, step) for step in range(steps)])


def tokens_per_step(config: RunConfig, steps: int) -> float:
    """Real tokens of a batch, on average over the first ``steps``."""
    return sum(int(make_batch(config, step).present.sum()) for step in range(steps)) / steps


def compared(row: Row, settings: Settings) -> list[str]:
    """A line of the table."""
    steps = 8 if settings.quick else batches_per_draw(row.config)  # whole draws, because each repetition makes one
    own, peer = ours(row.config), row.peer(with_adamw(row.config))
    for stepper in (own, peer):
        walk(stepper, row.config, range(3))  # the first calls allocate memory
    pair = harness.alternate(
        timed(own, row.config, steps), timed(peer, row.config, steps), lambda: check(row, settings),
        settings.repetitions,
    )  # fmt: skip
    share = making(row.config, steps) / statistics.median(pair.ours)
    tokens = steps * tokens_per_step(row.config, steps)
    speeds = [harness.spread([tokens / value for value in side]) for side in (pair.ours, pair.peer)]
    return [row.title, *speeds, pair.ratio_text(), f"{share:.1%}" if not settings.quick else "-"]


def with_sorted(config: RunConfig) -> RunConfig:
    """``config`` with batches of similar lengths, which need little padding: the best case for a loop that pads."""
    return replace(config, training=replace(config.training, pool=8))


def rows() -> list[Row]:
    """Each shape with each peer."""
    found = []
    for group, preset in SHAPES:
        config = group_config(group, preset)
        found.append(Row(f"`{preset}` ({group}), plain loop", config, plain))
        found.append(Row(f"`{preset}` ({group}), plain loop, batches sorted by length", with_sorted(config), plain))
        found.append(Row(f"`{preset}` ({group}) without QK-norm, transformers", without_qk_norm(config), llama))
    return found


def run(settings: Settings) -> Section:
    """The table of all shapes and peers."""
    torch.manual_seed(0)
    headers = ["shape and peer", "ours, tokens/s", "peer, tokens/s", "times faster", "making batches, share of ours"]
    return Section(harness.table(headers, [compared(row, settings) for row in rows()]))

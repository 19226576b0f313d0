"""The paper preset on a GPU: tokens/s, share of the bf16 matmul peak measured on the same device, peak memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import harness
from benchmarks.harness import NotHere, Section, Settings
from benchmarks.plain import PeerLoop, PlainDecoder, plain_loss
from lgt.core.config import RunConfig
from lgt.model.batch import Batch
from lgt.model.decoder import Decoder
from lgt.recipes.presets import group_config
from lgt.training.batches import _draw, batches_per_draw, make_batch
from lgt.training.loop import learning_rate_factor
from lgt.training.prefetch import batch_source
from lgt.training.steps import make_stepper

PEAK_SIDE = 8192  # size of the square matrices whose product measures the peak
SAME_START, SAME_PATH = 1e-2, 5e-2  # relative: bfloat16 keeps three digits
CHECKED_STEPS = 10


def autocast_loss(model: nn.Module, batch: Batch) -> Tensor:
    """The plain loss as nanoGPT computes it on a GPU, in bfloat16 by autocast."""
    with torch.autocast("cuda", torch.bfloat16):
        return plain_loss(model, batch)


PEERS: dict[str, Callable[[nn.Module, Batch], Tensor]] = {
    "plain loop, float32": plain_loss,
    "plain loop, bfloat16 autocast": autocast_loss,
}


class OnGpu:
    """A peer's loop that copies its batches to the GPU, as the plain loop does."""

    def __init__(self, loop: PeerLoop) -> None:
        self.loop = loop

    def step(self, batch: Batch, factor: float) -> float:
        """One step; waits for the loss."""
        return self.loop.step(batch.to(torch.device("cuda")), factor)


def ours(config: RunConfig) -> Any:
    """Our stepper for a fresh model."""
    return make_stepper(Decoder(config.model, config.model_seed), config, device="cuda")


def plain(config: RunConfig, loss: Callable[[nn.Module, Batch], Tensor]) -> OnGpu:
    """The plain loop for the same fresh model."""
    model = PlainDecoder(Decoder(config.model, config.model_seed)).to("cuda")
    return OnGpu(PeerLoop(model, loss, config.training))


def walk(stepper: Any, config: RunConfig, steps: range, ahead: bool) -> None:
    """Train ``steps``, with batches made ahead as our loop does or in turn, and wait for the GPU."""
    if ahead:
        with batch_source(config, "cuda") as batch_of:
            for step in steps:
                stepper.step(batch_of(step), learning_rate_factor(config.training, step))
    else:
        for step in steps:
            stepper.step(make_batch(config, step), learning_rate_factor(config.training, step))
    torch.cuda.synchronize()


def timed(stepper: Any, config: RunConfig, steps: int, ahead: bool) -> Callable[[int], float]:
    """Seconds of repetition i, and of making its batches."""

    def repetition(number: int) -> float:
        _draw.cache_clear()
        started = time.perf_counter()
        walk(stepper, config, range(number * steps, (number + 1) * steps), ahead)
        return time.perf_counter() - started

    return repetition


def check(config: RunConfig, loss: Callable[[nn.Module, Batch], Tensor]) -> None:
    """Same start, same batches, same optimizer: the same losses up to bfloat16. Raises Disagreement."""
    sides = []
    for stepper in (ours(config), plain(config, loss)):
        sides.append([float(stepper.step(make_batch(config, step), 1.0)) for step in range(CHECKED_STEPS)])
    harness.require_close("gpu, loss of the first batch", sides[0][:1], sides[1][:1], SAME_START)
    harness.require_close(f"gpu, losses of {CHECKED_STEPS} steps", *sides, SAME_PATH)


def matmul_peak() -> float:
    """bf16 FLOP/s of a large square product on this device, median of ten."""
    a, b = (torch.randn(PEAK_SIDE, PEAK_SIDE, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    times = []
    for _ in range(13):
        torch.cuda.synchronize()
        started = time.perf_counter()
        a @ b
        torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return 2 * PEAK_SIDE**3 / statistics.median(times[3:])


def useful_work(config: RunConfig, steps: int) -> tuple[float, float]:
    """Real tokens and FLOPs of a step: 6 a weight and token in the layers, 6 a weight and scored token above them,
    and causal attention's two products; padding does not count."""
    model, tokens, work = config.model, 0.0, 0.0
    attention = 2 * model.width * (model.width + model.key_value_width)
    weights = model.layers * (attention + 3 * model.width * model.hidden)
    vocabulary = Decoder(model).embedding.weight.numel()
    for step in range(steps):
        batch = make_batch(config, step)
        lengths = batch.present.sum(1).double()
        tokens += float(lengths.sum())
        mixing = 6 * model.layers * model.width * float((lengths**2).sum())
        work += 6 * weights * float(lengths.sum()) + mixing + 6 * vocabulary * float(batch.scored.sum())
    return tokens / steps, work / steps


def peak_memory(stepper: Any, config: RunConfig) -> float:
    """GiB at most allocated in a step, the other side's weights not counted."""
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    walk(stepper, config, range(4), ahead=False)
    return (torch.cuda.max_memory_allocated() - before) / 2**30


def run(settings: Settings) -> Section:
    """A line per peer; raises NotHere without a GPU."""
    if not torch.cuda.is_available():
        raise NotHere("no CUDA device")
    config = group_config("add-carry", "paper")
    steps = 4 if settings.quick else 4 * batches_per_draw(config)
    tokens, work = useful_work(config, 8)
    peak, rows, speeds = matmul_peak(), [], []
    for title, loss in PEERS.items():
        own, peer = ours(config), plain(config, loss)
        memory = [f"{peak_memory(stepper, config):.1f} GiB" for stepper in (own, peer)]
        pair = harness.alternate(
            timed(own, config, steps, True), timed(peer, config, steps, False), lambda loss=loss: check(config, loss),
            settings.repetitions,
        )  # fmt: skip
        sides = [[steps * tokens / value for value in side] for side in (pair.ours, pair.peer)]
        speeds.append(statistics.median(sides[0]))
        share = work * speeds[-1] / tokens / peak
        rows.append([title, *map(harness.spread, sides), pair.ratio_text(), f"{share:.1%}", " / ".join(memory)])
    headers = ["peer", "ours, tokens/s", "peer, tokens/s", "times faster", "ours, share of peak", "memory, ours / peer"]
    run_seconds = config.training.steps * tokens / speeds[-1]
    note = f"{torch.cuda.get_device_name()}: bf16 matmul peak {peak / 1e12:.0f} TFLOP/s; one `paper` run of add-carry "
    note += f"takes {run_seconds / 60:.1f} minutes of training at this speed."
    figures = {"tokens_per_second": speeds[-1], "seconds_per_paper_run": run_seconds}
    return Section([*harness.table(headers, rows), "", note], figures)

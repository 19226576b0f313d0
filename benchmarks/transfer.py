"""Wall time from process start until the main task is at 90 % exact match at 1.5 times its trained length."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import harness
from benchmarks.harness import Section, Settings, say

WANTED = 0.9
EVERY = 50  # steps between two measurements
PROMPTS = 128
SEEDS = (0, 1, 2)
# Learning rate, steps of the schedule (warm-up, constant, cosine decay: the preset's shape) and how many batches are
# sorted by length together, which saves the peer padding. The best on seed 0 is the peer for every seed.
PEERS = ((3e-3, 1500, 1), (1e-2, 1500, 4))


def measure(side: str, seed: int, rate: float | None = None, steps: int | None = None, pool: int = 1) -> dict[str, Any]:
    """Train one side in this process until it reaches the goal; the time on the machine's clock, steps, accuracy.

    Imports and compiling happen here, inside the measured time. ``reached`` is None when the last step came first.
    """
    from lgt.evaluation.exact_match import answer_scores
    from lgt.evaluation.passes import evaluating
    from lgt.evaluation.test_sets import test_set
    from lgt.model.decoder import Decoder
    from lgt.recipes.presets import group_config
    from lgt.training.batches import make_batch
    from lgt.training.loop import learning_rate_factor

    config = group_config("caprev", "demo", seed=seed)
    if rate is not None and steps is not None:
        training = replace(config.training, learning_rate=rate, embedding_learning_rate=rate, steps=steps, pool=pool)
        config = replace(config, training=replace(training, optimizer="adamw"))
    steps = steps or config.training.steps
    model = Decoder(config.model, seed)
    stepper, current = prepared(side, model, config)
    prompts = test_set(config, config.main.task, config.main.training_length * 3 // 2, PROMPTS)
    accuracy = 0.0
    for step in range(steps):
        stepper.step(make_batch(config, step), learning_rate_factor(config.training, step))
        if (step + 1) % EVERY == 0:
            with evaluating(model):
                accuracy = float(answer_scores(current(), prompts)[0].float().mean())
            if accuracy >= WANTED:
                return {"reached": time.monotonic(), "steps": step + 1, "accuracy": accuracy}
    return {"reached": None, "steps": steps, "accuracy": accuracy}


def prepared(side: str, model: Any, config: Any) -> tuple[Any, Callable[[], Any]]:
    """The stepper of ``side`` and how to get the decoder that is measured."""
    if side == "ours":
        from lgt.training.steps import make_stepper

        return make_stepper(model, config, device="cpu"), lambda: model
    from benchmarks.plain import PeerLoop, PlainDecoder, plain_loss

    plain = PlainDecoder(model)
    return PeerLoop(plain, plain_loss, config.training), lambda: plain.write_to(model)


def one(settings: Settings, arguments: dict[str, Any], **environment: str) -> dict[str, Any]:
    """The result of one fresh process; ``seconds`` until it reached the goal or ended."""
    found = harness.child("transfer:measure", arguments, settings, **environment)
    found["seconds"] = (found["reached"] - found["epoch"]) if found["reached"] else found["wall"]
    peer = " " + described(arguments) if "rate" in arguments else ""
    say(f"  {arguments['side']}{peer}, seed {arguments['seed']}: {text(found)} after {found['steps']} steps")
    return found


def described(peer: dict[str, Any]) -> str:
    """The peer's settings in words."""
    batches = f"{peer['pool']} batches sorted by length together" if peer["pool"] > 1 else "batches of mixed lengths"
    return f"AdamW {peer['rate']:g} over {peer['steps']:,} steps, {batches}"


def text(found: dict[str, Any]) -> str:
    """The seconds, or that it did not reach the goal in this time."""
    if found["reached"]:
        return f"{found['seconds']:.1f} s"
    return f"> {found['seconds']:.0f} s (reached {found['accuracy']:.0%})"


def best_peer(settings: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    """The peer's best arguments on the first seed, and their result."""
    peers = PEERS[:1] if settings.quick else PEERS
    candidates = []
    for rate, steps, pool in peers:
        arguments = {"side": "plain", "rate": rate, "steps": 2 * EVERY if settings.quick else steps, "pool": pool}
        candidates.append((arguments, one(settings, arguments | {"seed": SEEDS[0]})))
    return min(candidates, key=lambda pair: (pair[1]["reached"] is None, pair[1]["seconds"]))


def ours_cold_and_warm(settings: Settings, seed: int, cache: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Ours with an empty build cache, and again with the cache that this filled."""
    quick = {"steps": 2 * EVERY} if settings.quick else {}
    with TemporaryDirectory() as empty:
        cold = one(settings, {"side": "ours", "seed": seed} | quick, LGT_CACHE=empty)
    warm = one(settings, {"side": "ours", "seed": seed} | quick, LGT_CACHE=cache)
    return cold, warm


def run(settings: Settings) -> Section:
    """A line per seed: ours with cold and warm build cache, the peer, how many times faster."""
    peer, first = best_peer(settings)
    rows, ratios = [], []
    with TemporaryDirectory() as cache:
        arguments = {"side": "ours", "seed": SEEDS[0], "steps": 1}
        harness.child("transfer:measure", arguments, settings, LGT_CACHE=cache)  # compiles, for the warm column
        for seed in SEEDS[:1] if settings.quick else SEEDS:
            theirs = first if seed == SEEDS[0] else one(settings, peer | {"seed": seed})
            cold, warm = ours_cold_and_warm(settings, seed, cache)
            factor = theirs["seconds"] / cold["seconds"]
            comparable = bool(cold["reached"])
            ratios += [factor] * comparable
            bound = "" if theirs["reached"] else "> "
            ratio = f"**{bound}{factor:.1f}x**" if comparable else "-"
            rows.append([seed, text(cold), text(warm), f"{warm['steps']}", text(theirs), theirs["steps"], ratio])
    headers = ["seed", "ours, cold build cache", "ours, warm", "steps", "plain loop", "steps", "times faster (cold)"]
    lines = [*harness.table(headers, rows), "", f"Plain loop: {described(peer)}."]
    if ratios:
        lines[-1] += f" Ours got there on {len(ratios)} of {len(rows)} seeds, and no ratio is given for the others."
    return Section(lines)

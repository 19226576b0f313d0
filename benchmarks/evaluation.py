"""Exact match of every task at every length: one teacher-forced pass against transformers' greedy ``generate``."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks import harness
from benchmarks.harness import Disagreement, Section, Settings
from benchmarks.peers import as_llama, trained_without_qk_norm
from lgt.core.config import RunConfig
from lgt.evaluation.exact_match import accuracy_rows
from lgt.evaluation.test_sets import test_set
from lgt.model.batch import Batch
from lgt.tasks import evaluation_lengths, task_named
from lgt.tasks.vocabulary import EOS, PAD


def counts(rows: list[Any]) -> dict[tuple[str, int], tuple[int, int]]:
    """(task, length) -> (correct, total)."""
    return {(row.task, row.length): (row.correct, row.total) for row in rows}


def generated_counts(llama: Any, config: RunConfig, examples: int) -> dict[tuple[str, int], tuple[int, int]]:
    """The same counts by greedy decoding, all prompts of a task and length as one batch (they are equally long)."""
    found = {}
    for spec in config.tasks:
        for length in evaluation_lengths(task_named(spec.task), config):
            batch = test_set(config, spec.task, length, examples)
            if len(batch):
                found[spec.task, length] = correct(llama, batch), len(batch)
    return found


def correct(llama: Any, batch: Batch) -> int:
    """How many greedy continuations are the answer and its end token."""
    prompt, total = int(batch.prompt_length[0]), batch.tokens.shape[1]
    if not bool((batch.prompt_length == prompt).all() and batch.present.all() and batch.scored[:, prompt:].all()):
        raise Disagreement("prompts of one length differ in their number of tokens: generate would need padding")
    prompts = batch.tokens[:, :prompt]
    written = llama.generate(
        prompts, attention_mask=torch.ones_like(prompts), do_sample=False, max_new_tokens=total - prompt,
        eos_token_id=EOS, pad_token_id=PAD,
    )  # fmt: skip
    if written.shape[1] < total:  # every row ended early: none of them can be longer
        written = torch.nn.functional.pad(written, (0, total - written.shape[1]), value=PAD)
    return int((written == batch.tokens).all(dim=1).sum())


def run(settings: Settings) -> Section:
    """One line: seconds of both sides for all tasks and lengths. Test sets are drawn beforehand for both."""
    config, model = trained_without_qk_norm(settings)
    examples = 64 if settings.quick else 1024
    llama = as_llama(model).eval()
    totals = {}

    def check() -> None:
        mine, theirs = counts(accuracy_rows(model, config, examples)), generated_counts(llama, config, examples)
        different = [key for key in mine if mine[key] != theirs.get(key)]
        if different or mine.keys() != theirs.keys():
            raise Disagreement(f"evaluation: other counts at {different or sorted(mine.keys() ^ theirs.keys())}")
        totals["correct"], totals["prompts"] = (sum(pair[i] for pair in mine.values()) for i in (0, 1))

    pair = harness.alternate(
        lambda _: harness.seconds(lambda: accuracy_rows(model, config, examples)),
        lambda _: harness.seconds(lambda: generated_counts(llama, config, examples)), check, settings.repetitions,
    )  # fmt: skip
    row = [f"{totals['prompts']:,}", f"{totals['correct']:,} = {totals['correct']:,}", harness.spread(pair.ours, "s"),
           harness.spread(pair.peer, "s"), pair.ratio_text()]  # fmt: skip
    headers = ["prompts", "answered right by both", "ours, one pass", "transformers, generate", "times faster"]
    return Section(harness.table(headers, [row]))

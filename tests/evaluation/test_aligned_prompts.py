"""Attention patterns are averaged over the prompts of one layout."""

from __future__ import annotations

import torch

from lgt.evaluation.attention import aligned, mean_patterns
from lgt.evaluation.test_sets import test_set
from lgt.model.batch import Batch
from lgt.recipes.presets import group_config


def test_aligned_keeps_the_commonest_layout_without_padding(trained):
    config, model, _ = trained
    batch = test_set(config, "reverse", 3, 20)
    kept = aligned(batch)
    assert len(kept) == 20 and torch.equal(kept.tokens, batch.tokens)
    longer = torch.nn.functional.pad(batch.tokens, (0, 2))
    present = torch.nn.functional.pad(batch.present, (0, 2))
    scored = torch.nn.functional.pad(batch.scored, (0, 2))
    present[:3, -1], prompt = True, batch.prompt_length.clone()  # three of another layout
    kept = aligned(Batch(longer, scored, present, prompt))
    assert torch.equal(kept.tokens, batch.tokens[3:])
    rows = mean_patterns(model, kept).sum(-1)
    assert torch.allclose(rows, torch.ones_like(rows), atol=1e-5)


def test_mazes_have_several_layouts_and_one_is_kept():
    config = group_config("path-dfs", "demo")
    batch = test_set(config, "dfs_trace", 5, 64)
    kept = aligned(batch)
    assert 0 < len(kept) < len(batch) and kept.present.all() and (kept.scored == kept.scored[0]).all()


def test_the_kept_prompts_keep_their_own_lengths():
    """Three prompts of 2 and of 3 tokens; the commonest layout has the second and the third row."""
    tokens = torch.tensor([[1, 3, 9, 2, 0, 0], [1, 3, 9, 9, 9, 2], [1, 4, 8, 8, 8, 2]])
    present = tokens != 0
    scored = torch.tensor([[0, 0, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1]]).bool()
    kept = aligned(Batch(tokens, scored, present, torch.tensor([2, 3, 3])))
    assert torch.equal(kept.tokens, tokens[1:]) and torch.equal(kept.scored, scored[1:]) and kept.present.all()
    assert kept.prompt_length.tolist() == [3, 3]
    alone = aligned(Batch(tokens[:1], scored[:1], present[:1], torch.tensor([2])))
    assert alone.tokens.tolist() == [[1, 3, 9, 2]] and alone.prompt_length.tolist() == [2]

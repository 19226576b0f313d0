"""The sentences of the knock-out test claim no more than its numbers show."""

from __future__ import annotations

import pandas as pd

from lgt.metrics.knock_outs import knock_out_test
from lgt.ui.knock_out_words import TopHeads, result_sentence, top_heads, top_heads_sentence
from tests import frames

MAIN, OTHER = "capitalize_reverse", "reverse"


def choices(shares: list[float]) -> pd.DataFrame:
    """The whole model is always right, choice i leaves ``shares[i]``."""
    rows = [("", 9, 100, 100), *((str(i), 9, int(100 * share), 100) for i, share in enumerate(shares))]
    return pd.DataFrame(rows, columns=["heads", "length", "correct", "total"])


def test_the_sentence_claims_no_more_than_p_shows():
    def said(shares: list[float], every: bool = True, needed: bool = True) -> str:
        top = TopHeads(OTHER, ((0, 0),), ((0, 0),) if needed else (), others_needed=False, threshold=0.1)
        return result_sentence(knock_out_test(choices(shares), "0"), MAIN, top, [9, 16], every)

    assert "one run cannot decide" in said([0.0, 0.6, 0.6, 0.6]) and "p = 0.25" in said([0.0, 0.6, 0.6, 0.6])
    assert "does not show that these heads are special" in said(
        [0.0, 0.0, *[0.6] * 20]
    ) and "**1** of them hurt" in said([0.0, 0.0, *[0.6] * 20])
    many = said([0.0, *[0.6] * 40], every=False)
    assert "more than on most other choices" in many and "40 random other choices" in many and "p = 0.024" in many
    assert "no other choice" in said([0.0])
    unneeded = said([0.0, *[0.6] * 40], needed=False)
    assert "this is not evidence of sharing" in unneeded
    assert "the head whose knock-out raises the loss of Reverse most" in unneeded
    assert "needs most" in many and "needs most" not in unneeded


def test_which_heads_come_first_and_whether_their_task_needs_them():
    maps = frames.heads({MAIN: {(0, 0): 0.9}, OTHER: {(0, 1): 0.5, (1, 2): 0.04}})
    maps = maps.assign(loss_rise=maps.accuracy_drop)
    both, one, none = (top_heads(maps, OTHER, 2, threshold) for threshold in (0.02, 0.1, 0.6))
    assert both.heads == one.heads == ((0, 1), (1, 2)) and none.needed == ()
    assert top_heads_sentence(both, [4]).startswith("Reverse needs L1·H2, L2·H3 most: knocking out one of them raises")
    assert "Of these only L1·H2 costs Reverse more than 10 points of exact match, at lengths 4." in top_heads_sentence(
        one, [4]
    )
    assert top_heads_sentence(none, [4, 8]) == (
        "No head costs Reverse more than 60 points of exact match, at lengths 4, 8. The loss of Reverse rises most "
        "without L1·H2, L2·H3."
    )

"""The knock-out test in words: the heads that one task needs most, and what the main task loses without them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from lgt.metrics.head_sharing import top_k
from lgt.metrics.knock_outs import KnockOutTest
from lgt.recipes.labels import head_names
from lgt.ui.head_similarity import map_array
from lgt.ui.knock_outs import Heads
from lgt.ui.titles import task_words

CAUTION = (
    "This is one run and one way to switch heads off. If you try several numbers of heads, one of them can give a "
    "small p by chance. The test shows that the main task needs these heads now. It does not show that sharing them "
    "during training caused the transfer. To show that, training itself must be changed."
)


@dataclass(frozen=True)
class TopHeads:
    """The ``heads`` whose knock-out raises the loss of ``task`` most.

    ``needed``: those of them that cost the task more exact match than ``threshold``, a share. ``others_needed``:
    whether any other head costs it that much.
    """

    task: str
    heads: Heads
    needed: Heads
    others_needed: bool
    threshold: float

    @property
    def title(self) -> str:
        """The title of the task, for Markdown."""
        return task_words(self.task)

    @property
    def limit(self) -> str:
        """The threshold in words."""
        return f"{100 * self.threshold:.0f} points of exact match"


def top_heads(maps: pd.DataFrame, task: str, count: int, threshold: float) -> TopHeads:
    """The first ``count`` heads of ``task`` by the rise of its loss. ``maps``: see
    :func:`lgt.metrics.maps.mean_map`."""
    heads = tuple(sorted(top_k(map_array(maps, task, "loss_rise"), count)))
    drops = map_array(maps, task, "accuracy_drop")
    needed = tuple(head for head in heads if drops[head] > threshold)
    return TopHeads(task, heads, needed, bool((drops > threshold).sum() > len(needed)), threshold)


def top_heads_sentence(top: TopHeads, lengths: Iterable[int]) -> str:
    """Which heads are tested, and whether their task needs them, at ``lengths``."""
    where, named = f"at lengths {', '.join(map(str, lengths))}", head_names(top.heads)
    ranked = f"The loss of {top.title} rises most without {named}."
    if top.needed == top.heads:
        which = "one of them" if len(top.heads) > 1 else "it"
        return (
            f"{top.title} needs {named} most: knocking out {which} raises its loss more than knocking out any other "
            f"head, {where}."
        )
    if top.needed:
        costs = "cost" if len(top.needed) > 1 else "costs"
        return f"{ranked} Of these only {head_names(top.needed)} {costs} {top.title} more than {top.limit}, {where}."
    rest = "None of these heads" if top.others_needed else "No head"
    return f"{rest} costs {top.title} more than {top.limit}, {where}. {ranked}"


def result_sentence(found: KnockOutTest, main: str, top: TopHeads, lengths: list[int], every: bool) -> str:
    """The result of the test, without claiming more than it shows. ``every``: there are no other choices than these."""
    title, count, heads = task_words(main), len(found.others), top.heads
    kind = "head" if len(heads) == 1 else f"{len(heads)} heads"
    by_loss = f"whose knock-out raises the loss of {top.title} most"
    which = f"that {top.title} needs most" if top.needed == heads else by_loss
    change = "falls" if found.chosen < found.intact else "goes"
    text = (
        f"Without {head_names(heads)}, the {kind} {which}, **{title}** {change} from "
        f"{found.intact:.0%} to **{found.chosen:.0%}** exact match at lengths {lengths[0]}–{lengths[-1]}. "
    )
    if not count:
        return text + "There is no other choice of as many heads in the same layers to compare with."
    drawn = f"all {count} other choices" if every else f"{count} random other choices"
    text += f"For comparison, {drawn} of as many heads in the same layers were switched off. "
    return f"{text}**{found.as_bad}** of them hurt at least as much (p = {found.p:.2g}). {meaning_sentence(found, top)}"


def meaning_sentence(found: KnockOutTest, top: TopHeads) -> str:
    """What the comparison with other choices of heads says about one run."""
    if found.p > 0.05 and found.as_bad:
        return (
            "In this run the main task needs other heads as much. The test does not show that these heads are special."
        )
    if found.p > 0.05:
        return "No other choice hurts as much. With so few choices p cannot be smaller, so one run cannot decide."
    if not top.needed:
        return (
            "In this run the main task depends on these heads more than on most other choices. But "
            f"{top.title} hardly needs them, so this is not evidence of sharing."
        )
    return "In this run the main task depends on the other task's heads more than on most other choices."

"""The project's terms, each defined in one sentence. ``docs/GLOSSARY.md`` and the help texts of the pages come from
here."""

from __future__ import annotations

SECTIONS: dict[str, dict[str, str]] = {
    "Tasks and lengths": {
        "task": "A rule that gives one right answer to every prompt, such as adding two numbers.",
        "prompt": "The tokens that a network reads before it writes its answer.",
        "length": "The size of a prompt, counted in the unit of its task: digits, characters or nodes.",
        "main task": "The task whose accuracy above its training length is studied.",
        "auxiliary task": (
            "Every other task that the same network is trained on together with the main task, usually to a greater "
            "length."
        ),
        "control task": "An auxiliary task that is unrelated to the main task on purpose.",
        "task group": "A main task together with its auxiliary tasks.",
        "training length": (
            "The greatest length at which a task is trained: Lm for the main task, La for the longest auxiliary task."
        ),
        "zone": "One of three ranges of lengths of the main task: trained, transfer region, beyond.",
        "trained lengths": "The lengths up to a task's own training length.",
        "transfer region": (
            "The lengths above Lm and up to La: in training, only prompts of the auxiliary tasks had these lengths."
        ),
        "beyond": "The lengths above La, which no task had in training.",
    },
    "Runs": {
        "run": "One training of one network, with its configuration and everything that was measured.",
        "arm": (
            "One of three ways to train the main task: co-trained, alone with the same steps, or alone with the same "
            "main-task examples."
        ),
        "co-trained": "Trained on the main task and its auxiliary tasks together.",
        "baseline": (
            "An arm in which the main task is trained alone, either for the same optimizer steps as the co-trained run "
            "or on the same number of main-task examples."
        ),
        "comparison": "The co-trained runs of one setting and their baselines, matched seed by seed.",
        "seed": "A number that decides a network's initial weights; the runs of one series differ in nothing else.",
        "preset": "A named scale: the size of the network, the steps of training, and the training lengths.",
        "positional encoding": (
            "How a network sees the order of tokens: rotary (RoPE), none (NoPE), linear biases (ALiBi) or learned "
            "biases (FIRE)."
        ),
        "layer schedule": (
            "The order in which a network applies its layers, in which a layer may come several times with the same "
            "weights."
        ),
        "grouped-query attention": (
            "Attention in which several heads use the same keys and values, each head with queries of its own "
            "(model.kv_heads)."
        ),
        "tied embedding": (
            "One matrix for two uses: it turns tokens into vectors before the first layer, and vectors into "
            "predictions after the last (model.tied)."
        ),
        "pretrained start": (
            "The weights of a pretrained language model, with which a run begins in place of random ones "
            "(training.start)."
        ),
        "setting": (
            "What all runs of one comparison share: task group, preset, positional encoding and values changed by hand."
        ),
        "series": "All seeds of one arm of one setting, drawn as one curve.",
        "checkpoint": "A step of training at which the network is stored or measured.",
        "snapshot": "The measurements that are taken at one checkpoint.",
        "trajectory": "The measurements of one run over its checkpoints, in order.",
        "race": (
            "The main task alone and co-trained side by side, replayed over their checkpoints; between two checkpoints "
            "only the drawing moves."
        ),
        "store": "A database with runs and everything that was measured: one SQLite file, or a PostgreSQL database.",
        "shipped results": "The store that comes with the project, in the file results.db, and that is only read.",
        "workspace": "The store that your own runs, notes and stars go to.",
        "experiment": "The runs that answer one figure of the paper, with the rule that judges them.",
    },
    "Measures": {
        "exact match": "The share of test prompts whose whole answer is right.",
        "transfer accuracy": "The exact match of the main task, averaged over the lengths of the transfer region.",
        "longest length above 50%": (
            "The longest length at which more than half of the main task's answers are right; the race counts it."
        ),
        "transfer gain": "The transfer accuracy of the co-trained run minus that of its baseline with the same seed.",
        "generalization gap": (
            "The mean distance between the main task's curve and those of its auxiliary tasks, up to the greater "
            "training length; equal curves give 0, also if all tasks fail."
        ),
        "band": "The shaded area around a curve: the range over seeds or an interval, named in the chart.",
        "interval": (
            "A range around a measured value; 95% means that such a range would contain the true value in 95 of 100 "
            "repetitions."
        ),
    },
    "Wrong answers": {
        "greedy answer": (
            "The answer of a network that always writes its most probable token and then reads it, so one mistake can "
            "cause others; it may have as many tokens as the true answer, end token included."
        ),
        "kind of error": (
            "What is wrong with a greedy answer; an answer that fits several kinds counts as the first in the list: "
            "stopped early, did not stop, answered another task, dropped carry, shifted, other error."
        ),
        "stopped early": "A wrong answer that is right up to its end token, which comes too early.",
        "did not stop": "A wrong answer in which only the end token is wrong: another token is in its place.",
        "answered another task": (
            "A wrong answer whose tokens are all those of the true answer of another task of the run to the same "
            "prompt, or to the same two numbers."
        ),
        "dropped carry": (
            "A wrong answer to an addition that is right except that one or more carries were not passed on to the "
            "next digit."
        ),
        "shifted": (
            "A wrong answer that goes on from its first wrong token with the tokens of the true answer, but too early "
            "or too late; at least three different tokens have moved."
        ),
        "other error": "A wrong answer that fits no other kind of error.",
        "carry chain": "Neighbouring digits of a sum into each of which a 1 is carried.",
    },
    "Attention heads": {
        "attention head": "A part of the network that moves information from one position to another.",
        "attention pattern": "How much a head looks at each earlier position, for every position that is read.",
        "knock-out": (
            "Switching a head off: its output is replaced by its average over test prompts, position by position, so "
            "that it no longer reacts to the prompt (mean ablation)."
        ),
        "ablation map": "By how much the exact match of a task falls when one head is knocked out, for every head.",
        "ablation-map difference": (
            "How far apart the ablation maps of two tasks are: the absolute difference of their drops, averaged over "
            "heads."
        ),
        "attention-matrix difference": (
            "How differently two tasks use attention: the absolute difference of their attention patterns, summed over "
            "all pairs of positions and averaged over heads."
        ),
        "threshold": "A head matters to a task if its knock-out lowers the task's exact match by more than this value.",
        "interchange": (
            "A test in which heads have the outputs that they have while the same network does another task, with the "
            "same or another input."
        ),
        "loss recovered": (
            "What an interchange gives back of the loss that mean outputs cost: 1 is all, 0 nothing, below 0 is worse "
            "than mean outputs."
        ),
        "partitioned heads": (
            "Attention heads of which each task may use only some: for its prompts, all other heads put out zero "
            "(model.parts)."
        ),
        "shared head": "A head that matters to the main task and to at least one auxiliary task.",
    },
    "Verdicts": {
        "claim": "A statement of the paper, which one or more of its figures support.",
        "rule": "The code that computes a number for each seed of a figure and decides the verdict from these numbers.",
        "verdict": (
            "The result of a rule, such as reproduced, undecided or premise not met; the page Claims explains them all."
        ),
        "preregistered": (
            "Written down before the first run: the rule, thresholds, seeds and planned runs of an experiment."
        ),
        "premise": (
            "The condition for a verdict about transfer: every task is learned at the lengths that it was trained on."
        ),
    },
}
"""Definitions by section and term, in the order of the document."""

TERMS: dict[str, str] = {term: text for section in SECTIONS.values() for term, text in section.items()}


def definition(term: str) -> str:
    """The sentence that defines ``term``. Raises KeyError for an unknown one.

    >>> definition("exact match")
    'The share of test prompts whose whole answer is right.'
    """
    return TERMS[term]


def bullet(term: str) -> str:
    """The term and its definition as an item of a Markdown list.

    >>> bullet("beyond")
    '- *Beyond*: The lengths above La, which no task had in training.'
    """
    return f"- *{term[:1].upper()}{term[1:]}*: {TERMS[term]}"


def document() -> str:
    """The text of ``docs/GLOSSARY.md``; ``python -m lgt.core.glossary`` prints it."""
    parts = ["# Glossary", "Made from `lgt/core/glossary.py`. The pages' help texts are the same sentences."]
    for title, terms in SECTIONS.items():
        parts.append(f"## {title}")
        parts.append("\n".join(f"- **{term}**: {text}" for term, text in terms.items()))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    print(document(), end="")

"""The columns of every file that people take out of the project, each in one sentence.

``README.txt`` in an archive and ``docs/DOWNLOADS.md`` are made of these sentences. The order of the columns in a file
is their order here.
"""

from __future__ import annotations

from collections.abc import Iterable

SECTIONS: dict[str, dict[str, str]] = {
    "The run": {
        "run": "The run's name as on the pages, such as 12, or workspace.3 for a run of another store.",
        "runs": "The names of the runs that the number was computed from, separated by spaces.",
        "run_uuid": "The run's identity; it is the same in every store that has a copy of the run.",
        "store": "The title of the run's store, given when several stores are open.",
        "experiment": "The name that `lgt experiment` knows the runs of a figure by.",
        "statement": "The figure of the paper and what it states.",
        "series": "The runs of all seeds that the number is about, as the page names them.",
        "other_series": "The series that is subtracted, as the page names it.",
        "label": "A short text about the run in plain letters.",
        "task_group": "The plain name of the task group; `custom` for freely chosen tasks.",
        "task_group_title": "The tasks of the run with Lm and La, as the pages name them.",
        "main_task": "The plain name of the main task.",
        "main_task_title": "The main task as the pages name it.",
        "auxiliary_tasks": "The plain names of the auxiliary tasks, joined by +; empty without auxiliary tasks.",
        "auxiliary_tasks_title": "The auxiliary tasks as the pages name them, joined by +.",
        "unrelated": "Whether the auxiliary tasks are unrelated to the main task on purpose (a control).",
        "arm": "The plain name of how the main task is trained: co-trained, alone-same-steps or alone-same-examples.",
        "arm_title": "The arm as the pages name it.",
        "preset": "The name of the preset: network size, steps and training lengths.",
        "position": "The plain name of the positional encoding; empty where it is not known.",
        "position_title": "The positional encoding as the pages name it.",
        "model_seed": "The seed of the network's initial weights.",
        "data_seed": "The seed of the training examples.",
        "main_length": "Lm: the longest length of the main task in training.",
        "auxiliary_length": "The longest length of the auxiliary tasks in training.",
        "transfer_length": "La: the end of the transfer region; empty without one.",
        "steps": "The number of optimizer steps of the whole training.",
        "state": "The run's state: queued, running, done, failed or cancelled.",
        "origin": "`trained`, or `imported` if another program made the run.",
        "training_seconds": "Time of training, in seconds.",
        "training_tokens": "The number of tokens that the run was trained on.",
        "device": "The processor and the training step that were used.",
        "code_version": "The version of lgt that trained the run, with a digest of its source code.",
        "config_hash": "Equal for runs with equal configurations.",
        "config": "The run's whole configuration as JSON.",
        "created_at_utc": "When the run was created, in UTC.",
        "started_at_utc": "When the training began, in UTC.",
        "finished_at_utc": "When the run ended, in UTC.",
        "heartbeat_at_utc": "When the run's worker last reported, in UTC.",
        "lease_until_utc": "Until when the run belongs to its worker, in UTC.",
        "tags_at_utc": "When the tags last changed, in UTC.",
        "notes_at_utc": "When the note last changed, in UTC.",
        "attempt": "How often the training of the run was begun.",
        "lost_workers": "How many workers of the run stopped reporting.",
        "owner": "The name of the worker that trained the run.",
        "submission": "A text that the submitter gave, so that a second submission makes no second run.",
        "tags": "The run's tags, separated by commas.",
        "notes": "The run's note.",
        "error": "Why the run failed; empty if it did not.",
        "log_tail": "The end of the log of a failed run.",
        "command": "The command that makes this run again; empty if no single command does.",
    },
    "Where it was measured": {
        "step": "Optimizer steps so far; a file without this column is about the end of training.",
        "task": "The plain name of the task.",
        "task_title": "The task as the pages name it.",
        "task_a": "The plain name of the first of two compared tasks, the main task.",
        "task_a_title": "The first of two compared tasks as the pages name it.",
        "task_b": "The plain name of the second of two compared tasks.",
        "task_b_title": "The second of two compared tasks as the pages name it.",
        "source_task": "The plain name of the task whose head outputs replace those of `task`.",
        "source_task_title": "The task of source_task as the pages name it.",
        "source_input": "What the other pass reads: the `same` input, the input of an `other` prompt, or the input to "
        "which its right answer is the `same answer`. `mean`: the heads have their mean outputs instead.",
        "role": "The task's role in its run: main, auxiliary or control (unrelated on purpose).",
        "training_length": "The longest length in training, of the task of this row.",
        "length": "The length of the prompts; its unit is in length_unit.",
        "lengths": "The lengths of the prompts that the row's number is an average or a sum over.",
        "length_unit": "What a length counts: digits, characters, nodes, ...",
        "zone": "Where the length lies for the main task: trained (up to Lm), transfer region (up to La) or beyond.",
        "head": "The attention head as the pages name it, such as L1·H2; layers and heads count from 1. For "
        "interchanges also L1 (all heads of a layer), H2 (head 2 of all layers) and all.",
        "layer_number": "The layer of the head, counted from 1.",
        "head_number": "The number of the head in its layer, counted from 1.",
        "heads": "The heads that were knocked out, such as L1·H2, L2·H4; empty for the whole network.",
    },
    "Counts and shares": {
        "correct": "The number of right answers; the whole answer has to be right.",
        "total": "The number of test prompts.",
        "accuracy": "Exact match: correct / total, a share from 0 to 1.",
        "accuracy_low": "Lower end of the 95% Wilson interval of accuracy.",
        "accuracy_high": "Upper end of the 95% Wilson interval of accuracy.",
        "curve": "The name of the curve in the chart to which the row belongs.",
        "curve_accuracy": "The point of the chart's curve: the mean of accuracy over the runs of the curve, a share.",
        "curve_low": "Lower end of the chart's band at this point.",
        "curve_high": "Upper end of the chart's band at this point.",
        "curve_band": "What the chart's band is; empty without a band.",
        "curve_seeds": "The number of runs that the curve's point is a mean over.",
        "guess": "The share that the viewer guessed, from 0 to 1.",
        "trained_accuracy": "Exact match of the main task, averaged over its trained lengths, a share.",
        "transfer_accuracy": "Exact match of the main task, averaged over the transfer region, a share.",
        "learned": "Whether the task or tasks were learned at their trained lengths.",
        "generalization_gap": "Mean distance between the main task's curve and those of the auxiliary tasks, a share.",
        "relative_gap": "The generalization gap divided by what it is when nothing transfers.",
        "transfer_gain": "Transfer accuracy of the co-trained runs minus that of the baseline, mean over seeds.",
        "transfer_gain_low": "Lower end of the 95% t interval of transfer_gain; empty below two seeds.",
        "transfer_gain_high": "Upper end of the 95% t interval of transfer_gain; empty below two seeds.",
        "accuracy_difference": "By how much the accuracy of `series` is above that of `other_series`, a share from "
        "-1 to 1; mean over the seeds that both have.",
        "accuracy_difference_low": "Lower end of the 95% t interval of accuracy_difference; empty below two seeds.",
        "accuracy_difference_high": "Upper end of the 95% t interval of accuracy_difference; empty below two seeds.",
        "seeds": "The number of seeds that the row's mean is over.",
        "quantity": "What the rule of the figure computes for each seed.",
        "verdict": "The verdict on the figure, such as reproduced. The page Claims explains every verdict.",
        "value": "The number that the rule of the figure gives for this seed.",
        "mean": "The mean of value over the seeds of the figure.",
        "mean_low": "Lower end of the 95% t interval of mean; empty below two seeds.",
        "mean_high": "Upper end of the 95% t interval of mean; empty below two seeds.",
    },
    "Training": {
        "loss_nats": "Training loss, in nats per token; empty where it was not a number.",
        "learning_rate": "The learning rate of the step, without unit.",
        "tokens_per_second": "Speed of training, in tokens per second.",
    },
    "Attention heads": {
        "accuracy_drop": "By how much exact match falls when the head is knocked out, a share from -1 to 1.",
        "accuracy_without": "Exact match without the head: accuracy minus accuracy_drop, within 0 and 1. The drop is "
        "measured with the first `examples` prompts of a length, accuracy with all of them.",
        "loss_rise_nats": "By how much the loss rises when the head is knocked out, in nats per answer token.",
        "loss_recovered": "Of an interchange: 1 - loss rise with the outputs of the other pass / loss rise with mean "
        "outputs, over the heads that the task needs; over seeds, numbers below 0 count as 0, those above 1 as 1.",
        "lost_nats": "By how much the loss rises when the heads have their mean outputs, in nats per answer token.",
        "examples": "The number of test prompts that the row was measured with.",
        "threshold": "A head matters to a task if accuracy_drop is above this share.",
        "matters": "Whether the head matters to the task: accuracy_drop is above threshold.",
        "attention_difference": "Attention-matrix difference of the two tasks: absolute differences of the patterns, "
        "summed over pairs of positions; without a column head it is the mean over heads.",
        "map_difference": "Ablation-map difference at trained lengths: mean over heads of the absolute difference of "
        "accuracy_drop.",
        "map_difference_beyond": "The same in the transfer region.",
    },
    "One prompt": {
        "test_prompt": "The number of the prompt in the fixed test set of its task and length, from 1.",
        "test_set_size": "The number of prompts in this test set.",
        "prompt": "The prompt, its tokens separated by spaces.",
        "true_answer": "The true answer, its tokens separated by spaces; `end` is the end token.",
        "greedy_answer": "The answer that the network wrote, its tokens separated by spaces.",
        "error_kind": "The kind of the answer: right, or the kind of its error, as docs/GLOSSARY.md defines it.",
        "also_fits": "Further kinds of errors that the answer fits.",
        "answered_task": "The plain name of the task that the answer is right for; empty if there is none.",
        "first_wrong": "The place of the first wrong or missing token, from 1; 0 for a right answer.",
        "carries_in": "The carry into each digit of a sum, 0 or 1, separated by spaces; empty for other tasks.",
        "longest_chain": "The most neighbouring digits into each of which a 1 is carried.",
        "heads_off": "The heads that are switched off while the answer is written; empty for the whole network.",
        "row_title": "Whose tokens these are: a part of the calculation, the network's, or the truth.",
        "place": "The place of the token in the answer, from 1.",
        "token": "The token.",
        "token_state": "Whether the network's token is right, wrong, missing or given; later tokens may be hidden.",
        "probability": "The probability that the network gave its token, a share.",
        "likely": "The tokens that the network found most likely, in words.",
        "written": "The token that is written at this place.",
        "read_position": "The position of the token that is read, from 1.",
        "read_token": "The token that is read.",
        "seen_position": "The position that the head looks at, from 1.",
        "seen_token": "The token that the head looks at.",
        "seen_part": "The part of the sequence that the head looks at.",
        "attention_share": "The share of the head's attention that goes there; those of one reading add up to 1.",
        "way": "Whose way through the maze it is: truth or model.",
        "move": "The number of the move, from 1.",
        "from_column": "The column of the grid where the move begins, from 0 at the left.",
        "from_row": "The row of the grid where the move begins, from 0 at the top.",
        "to_column": "The column of the grid where the move ends, from 0 at the left.",
        "to_row": "The row of the grid where the move ends, from 0 at the top.",
        "passage": "Whether the maze has a passage there.",
    },
    "Weights": {
        "sha256": "SHA-256 of the safetensors file.",
        "size_bytes": "Size of the safetensors file, in bytes.",
        "uri": "The name of the file beside the store, if the weights are not in the store itself.",
    },
}
"""Sentences by section and column."""

COLUMNS: dict[str, str] = {name: text for section in SECTIONS.values() for name, text in section.items()}
UNKNOWN = "A column of an extension; it is not described here."
CONVENTIONS = (
    "CSV files are UTF-8 with a byte-order mark, with commas between the columns and a point in numbers.",
    "A cell is empty where there is no such value.",
    "`name` is the plain name that commands and programs use; `name_title` beside it is what the pages show.",
    "Shares go from 0 to 1. A column with another unit has the unit at the end of its name.",
    "Times are UTC, as 2026-11-26 13:50:00.",
    "A text that a spreadsheet would run as a formula (it begins with = + - @) has an apostrophe before it.",
)
"""What holds for every file."""


def ordered(names: Iterable[str]) -> list[str]:
    """``names`` in the order of :data:`COLUMNS`; unknown ones last, in their own order."""
    places = {name: place for place, name in enumerate(COLUMNS)}
    return sorted(names, key=lambda name: places.get(name, len(places)))


def sentence(name: str) -> str:
    """The sentence about a column; :data:`UNKNOWN` for one that only an extension has."""
    return COLUMNS.get(name, UNKNOWN)


def document() -> str:
    """The part of ``docs/DOWNLOADS.md`` about columns; ``python -m lgt.store.columns`` prints it."""
    parts = ["\n".join(f"- {text}" for text in CONVENTIONS)]
    for title, columns in SECTIONS.items():
        rows = "\n".join(f"| `{name}` | {text} |" for name, text in columns.items())
        parts.append(f"### {title}\n\n| column | what it holds |\n|---|---|\n{rows}")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    print(document(), end="")

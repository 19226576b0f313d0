"""The sentences of the Overview page and the steps of its tour, made of the numbers of one comparison.

Pure functions; no Streamlit here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from lgt.core.config import RunConfig
from lgt.core.glossary import definition
from lgt.experiments.verdicts import SMALLEST_EFFECT
from lgt.metrics.by_seed import SeedSummary
from lgt.metrics.guesses import GuessError
from lgt.metrics.zones import IN_DISTRIBUTION, TRANSFER_REGION, Zone
from lgt.recipes.settings import has_control, is_imported
from lgt.tasks import TASKS, unit
from lgt.tasks.examples import example_note, worked_example
from lgt.tasks.registry import minimum_length
from lgt.ui.numbers import points_over_seeds, share_over_seeds
from lgt.ui.titles import auxiliary_words, task_words

STEPS = 7
REVEAL = 5
"""The step of the tour that shows the result; the steps before it hide it."""
EXAMPLE_LENGTH = 4


@dataclass(frozen=True)
class Control:
    """The same main task beside a control task: the title ``name`` of that task for Markdown, the ``transfer``
    accuracy, and the ``key`` of these runs' setting in addresses."""

    name: str
    transfer: SeedSummary
    key: str


@dataclass(frozen=True)
class Facts:
    """The numbers that the sentences are made of.

    ``alone`` and ``together``: transfer accuracy of the baseline and of the co-trained arm, None without runs;
    ``..._trained``: the main task's accuracy at trained lengths. ``auxiliaries``: exact match of the auxiliary tasks in
    the transfer region. ``region_ends``: exact match of the co-trained main task at the first and the last length of
    the transfer region, mean over seeds. ``control``: None without such runs at these lengths in this preset.
    """

    config: RunConfig
    alone: SeedSummary | None
    alone_trained: SeedSummary | None
    together: SeedSummary | None
    together_trained: SeedSummary | None
    auxiliaries: SeedSummary | None
    gain: SeedSummary | None
    region_ends: Mapping[int, float] = field(default_factory=dict)
    control: Control | None = None

    @property
    def main(self) -> str:
        return task_words(self.config.main.task)

    @property
    def longer(self) -> str:
        """The titles of the auxiliary tasks."""
        return auxiliary_words(self.config)

    @property
    def is_control(self) -> bool:
        """Whether the auxiliary task is unrelated on purpose."""
        return has_control(self.config)

    @property
    def unit(self) -> str:
        return unit(self.config.main.task)

    @property
    def trained_to(self) -> int:
        return self.config.main.training_length

    @property
    def trained_from(self) -> int:
        """The shortest length that the main task has."""
        return minimum_length(self.config.main.task)

    @property
    def region(self) -> str:
        """The transfer region in words, such as ``9–16 characters``."""
        return f"{self.trained_to + 1}–{self.config.transfer_length} {self.unit}"


@dataclass(frozen=True)
class Step:
    """One step of the tour: a title, one or two sentences, worked examples as (task title, prompt, answer, note).

    ``parts`` are the parts of the page that it explains (none: only the card of the step), ``zone`` the zone of the
    curves that it frames. ``closing``: the last step, with links for the viewer.
    """

    title: str
    text: str
    parts: tuple[str, ...] = ()
    zone: Zone | None = None
    examples: tuple[tuple[str, str, str, str], ...] = ()
    closing: bool = False


# --- under the curves -------------------------------------------------------------------------------------------


def alone_sentence(facts: Facts) -> str:
    """Under the curve of the main task alone."""
    if facts.alone is None or facts.alone_trained is None:
        return ""
    return (
        f"Trained alone on {facts.trained_from}–{facts.trained_to} {facts.unit}, **{facts.main}** gets "
        f"{facts.alone_trained.mean:.0%} of the answers right at these lengths and {facts.alone.mean:.0%} at "
        f"{facts.region}."
    )


def together_sentence(facts: Facts) -> str:
    """Under the curve of the co-trained main task, with the difference to the baseline, seed by seed."""
    if facts.together is None or facts.together_trained is None:
        return ""
    gain = "" if facts.gain is None else f" Difference from alone: {points_over_seeds(facts.gain)}."
    return (
        f"Trained together with **{facts.longer}** (up to {facts.config.transfer_length} {facts.unit}), "
        f"**{facts.main}** gets {facts.together_trained.mean:.0%} right at its own trained lengths and "
        f"{facts.together.mean:.0%} at {facts.region}{region_ends_words(facts)}.{gain}"
    )


def region_ends_words(facts: Facts) -> str:
    """The exact match at both ends of the transfer region, such as ``: 100% at 7, 26% at 12``; empty without it."""
    if len(facts.region_ends) < 2:
        return ""
    return ": " + ", ".join(f"{share:.0%} at {length}" for length, share in sorted(facts.region_ends.items()))


def hidden_sentence(facts: Facts) -> str:
    """Under the co-trained curves while the result is hidden."""
    return (
        f"Step {REVEAL} shows how many answers of **{facts.main}** are right above {facts.trained_to} {facts.unit}, "
        "where it was not trained."
    )


def guess_sentence(error: GuessError, unit: str) -> str:
    """How far off a guess was, in one sentence."""
    return (
        f"Your guess was {error.points:.0f} points off, on average over {error.n} lengths. The largest difference is "
        f"at {error.worst} {unit}: you said {error.guessed:.0%}, the measured mean is {error.measured:.0%}."
    )


# --- the tour ---------------------------------------------------------------------------------------------------


def steps(facts: Facts, heads: str) -> list[Step]:
    """The seven steps of the tour; ``heads`` is the sentence under the head-sharing graph of the co-trained run."""
    return [
        _task(facts), _trained(facts), _fails(facts), _longer(facts), _together(facts), _heads(heads),
        _your_turn(facts),
    ]  # fmt: skip


def _examples(tasks: Iterable[str], config: RunConfig) -> tuple[tuple[str, str, str, str], ...]:
    """A worked example of each task that this process knows."""
    return tuple(_example(task, config) for task in tasks if task in TASKS)


def _example(task: str, config: RunConfig) -> tuple[str, str, str, str]:
    length = max(TASKS[task].minimum_length, min(EXAMPLE_LENGTH, config.main.training_length))
    prompt, answer = worked_example(task, length, config.options)
    return TASKS[task].title, prompt, answer, example_note(task, prompt)


def _task(facts: Facts) -> Step:
    name = facts.config.main.task
    if name not in TASKS or is_imported(facts.config):
        text = f"**{facts.main}**: a task that another program trained and measured."
        return Step("The task", text, examples=_examples([name], facts.config))
    task = TASKS[name]
    model = facts.config.model
    text = (
        f"**{task.title}**: {task.summary} A small transformer, {model.layers} layers of {model.heads} attention "
        "heads, reads the prompt and writes the answer token by token."
    )
    return Step("The task", text, examples=_examples([name], facts.config))


def _trained(facts: Facts) -> Step:
    known = facts.alone_trained
    score = "The main task has not been trained alone yet." if known is None else (
        f"Right answers to new prompts of these lengths: {share_over_seeds(known)}."
    )  # fmt: skip
    text = (
        f"In training the network sees only prompts of {facts.trained_from} to {facts.trained_to} {facts.unit}. {score}"
    )
    return Step("The lengths it is trained on", text, ("alone",), IN_DISTRIBUTION)


def _fails(facts: Facts) -> Step:
    if facts.alone is None:
        return Step("Longer prompts, alone", "This baseline has not been run yet.", ("alone",), TRANSFER_REGION)
    title = "Alone, it fails at longer prompts" if facts.alone.mean < 0.5 else "Alone, at longer prompts"
    text = (
        f"Now the network gets prompts of {facts.region}, which it never saw in training. Right answers: "
        f"{share_over_seeds(facts.alone)}."
    )
    return Step(title, text, ("alone",), TRANSFER_REGION)


def _longer(facts: Facts) -> Step:
    kind = "unrelated" if facts.is_control else "related"
    tasks = "tasks" if len(facts.config.auxiliaries) > 1 else "task"
    score = (
        "" if facts.auxiliaries is None
        else f" Right answers to the longer {tasks} at {facts.region}: {share_over_seeds(facts.auxiliaries)}."
    )  # fmt: skip
    text = (
        f"A second network is trained on the same task and also on **{facts.longer}**, up to "
        f"{facts.config.transfer_length} {facts.unit}.{score}"
    )
    examples = _examples((spec.task for spec in facts.config.auxiliaries), facts.config)
    return Step(f"A longer, {kind} task as well", text, ("together",), TRANSFER_REGION, examples)


def _together(facts: Facts) -> Step:
    if facts.together is None:
        return Step("Together", "This arm has not been run yet.", ("together",), TRANSFER_REGION)
    text = (
        f"**{facts.main}** is still trained on {facts.trained_from} to {facts.trained_to} {facts.unit} only. At "
        f"{facts.region} it now gets {share_over_seeds(facts.together)} right{region_ends_words(facts)}."
    )
    title = "Together"
    if facts.gain is not None:
        helped = facts.gain.mean >= SMALLEST_EFFECT
        title = "Together, it solves longer prompts" if helped else "Together, little changes"
        text += f" Difference from alone: {points_over_seeds(facts.gain)}."
    return Step(title, text, ("together", "gain"), TRANSFER_REGION)


def _heads(sentence: str) -> Step:
    text = (
        f"An **attention head** is {definition('attention head').replace('A part', 'a part')} A line means: switch "
        f"this head off and the task gets worse. {sentence}"
    )
    return Step("The heads", text, ("heads-together", "heads"))


def _your_turn(facts: Facts) -> Step:
    text = "Compare seeds, presets and other task groups, or train one yourself."
    if facts.is_control:
        return Step("Your turn", f"The longer task here is a control: it is unrelated on purpose. {text}", closing=True)
    if facts.control is not None:
        return Step("A control, and your turn", _control_words(facts, facts.control), closing=True)
    if facts.gain is not None and facts.gain.mean >= SMALLEST_EFFECT:
        missing = f"This store has no runs of **{facts.main}** beside an unrelated task of the same length"
        text = f"{missing}, so it does not show whether such a task would help too. {text}"
    return Step("Your turn", text, closing=True)


def _control_words(facts: Facts, control: Control) -> str:
    arms = {"alone": facts.alone, f"together with {facts.longer}": facts.together}
    known = " and ".join(f"{name} {arm.mean:.0%}" for name, arm in arms.items() if arm is not None)
    return (
        f"Does any longer task help? Together with an unrelated task of the same length (**{control.name}**, "
        f"[its curves](?{urlencode({'pair': control.key})})), **{facts.main}** gets "
        f"{share_over_seeds(control.transfer)} right at {facts.region}. For comparison: {known}."
    )

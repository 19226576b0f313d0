"""The finding in sentences, on the numbers of one comparison. Pure functions; no Streamlit here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lgt.core.config import RunConfig
from lgt.experiments.outcomes import SMALLEST_EFFECT
from lgt.metrics.by_seed import SeedSummary
from lgt.metrics.guesses import GuessError
from lgt.metrics.zones import IN_DISTRIBUTION, TRANSFER_REGION, Zone
from lgt.tasks import TASKS
from lgt.tasks.examples import example_note, worked_example

STEPS = 7
REVEAL = 5
"""The step of the tour that answers the question which the steps before it put."""
EXAMPLE_LENGTH = 4


@dataclass(frozen=True)
class Control:
    """The same main task beside an unrelated one: that one's ``name``, the ``transfer`` accuracy, and the ``key`` of
    these runs' setting in addresses."""

    name: str
    transfer: SeedSummary
    key: str


@dataclass(frozen=True)
class Facts:
    """What the sentences are made of; a side that was not run is None.

    ``course``: exact match of the co-trained main task at the first and the last length of the transfer region, mean
    over seeds. ``control``: if the store has such runs with these lengths in this preset.
    """

    config: RunConfig
    alone: SeedSummary | None
    alone_trained: SeedSummary | None
    together: SeedSummary | None
    together_trained: SeedSummary | None
    auxiliaries: SeedSummary | None
    gain: SeedSummary | None
    course: Mapping[int, float] = field(default_factory=dict)
    control: Control | None = None

    @property
    def main(self) -> str:
        return TASKS[self.config.main.task].title

    @property
    def beside(self) -> str:
        return " and ".join(TASKS[spec.task].title for spec in self.config.auxiliaries)

    @property
    def unrelated(self) -> bool:
        return any(spec.role == "control" for spec in self.config.auxiliaries)

    @property
    def unit(self) -> str:
        return TASKS[self.config.main.task].unit

    @property
    def trained_to(self) -> int:
        return self.config.main.training_length

    @property
    def trained_from(self) -> int:
        """The shortest length that the main task has."""
        return TASKS[self.config.main.task].minimum_length

    @property
    def region(self) -> str:
        """The transfer region in words, such as ``9–16 characters``."""
        return f"{self.trained_to + 1}–{self.config.transfer_length} {self.unit}"


@dataclass(frozen=True)
class Step:
    """One step of the tour: a title, one or two sentences, worked examples as (task title, prompt, answer, note).

    ``parts`` are the parts of the page that it is about (none: the step's own card), ``zone`` the zone of the curves
    that it frames. ``closing``: the step that hands over to the viewer.
    """

    title: str
    text: str
    parts: tuple[str, ...] = ()
    zone: Zone | None = None
    examples: tuple[tuple[str, str, str, str], ...] = ()
    closing: bool = False


def over(summary: SeedSummary) -> str:
    """Mean with range and n, such as ``68% (mean of 5 seeds, 46% to 77%)``."""
    if summary.n == 1:
        return f"{summary.mean:.0%} (1 seed)"
    low, high = (f"{extreme(summary.values.values()):.0%}" for extreme in (min, max))
    spread = f"each of {summary.n} seeds" if low == high else f"mean of {summary.n} seeds, {low} to {high}"
    return f"{summary.mean:.0%} ({spread})"


def points(gain: SeedSummary) -> str:
    """A difference with range and n, in points."""
    if gain.n == 1:
        return f"{100 * gain.mean:+.0f} points (1 seed)"
    low, high = 100 * min(gain.values.values()), 100 * max(gain.values.values())
    return f"{100 * gain.mean:+.0f} points (mean of {gain.n} seeds, {low:+.0f} to {high:+.0f})"


# --- under the curves -------------------------------------------------------------------------------------------


def alone_sentence(facts: Facts) -> str:
    """Under the curve of the main task alone."""
    if facts.alone is None or facts.alone_trained is None:
        return ""
    return (
        f"Trained on {facts.trained_from}–{facts.trained_to} {facts.unit}, **{facts.main}** alone gets "
        f"{facts.alone_trained.mean:.0%} of the answers right at these lengths and {facts.alone.mean:.0%} at "
        f"{facts.region}."
    )


def together_sentence(facts: Facts) -> str:
    """Under the curve of the co-trained main task; says by how much it differs, seed by seed."""
    if facts.together is None or facts.together_trained is None:
        return ""
    gain = "" if facts.gain is None else f" Difference to alone: {points(facts.gain)}."
    return (
        f"Beside **{facts.beside}**, trained to {facts.config.transfer_length} {facts.unit}, it gets "
        f"{facts.together_trained.mean:.0%} right at its own trained lengths and {facts.together.mean:.0%} at "
        f"{facts.region}{course_words(facts)}.{gain}"
    )


def course_words(facts: Facts) -> str:
    """From where to where a mean over the transfer region falls, such as ``: 100% at 7, 26% at 12``; else nothing."""
    if len(facts.course) < 2:
        return ""
    return ": " + ", ".join(f"{share:.0%} at {length}" for length, share in sorted(facts.course.items()))


def waiting_sentence(facts: Facts) -> str:
    """Under the co-trained curves while the main task's own part of the transfer region is not shown yet."""
    return (
        f"How many answers of **{facts.main}** are right beyond {facts.trained_to} {facts.unit}, where it was not "
        f"trained, is shown in step {REVEAL}."
    )


def guess_sentence(error: GuessError, unit: str) -> str:
    """How far off a guess was, in one sentence."""
    return (
        f"Your guess was {error.points:.0f} points off on average over {error.n} lengths; most at {error.worst} "
        f"{unit}, where you said {error.guessed:.0%} and the measured mean is {error.measured:.0%}."
    )


# --- the tour ---------------------------------------------------------------------------------------------------


def steps(facts: Facts, heads: str) -> list[Step]:
    """The seven steps of the tour; ``heads`` is the sentence under the head-sharing graph of the co-trained run."""
    return [
        _task(facts), _trained(facts), _fails(facts), _longer(facts), _together(facts), _heads(heads),
        _your_turn(facts),
    ]  # fmt: skip


def _example(task: str, config: RunConfig) -> tuple[str, str, str, str]:
    length = max(TASKS[task].minimum_length, min(EXAMPLE_LENGTH, config.main.training_length))
    prompt, answer = worked_example(task, length, config.options)
    return TASKS[task].title, prompt, answer, example_note(task, prompt)


def _task(facts: Facts) -> Step:
    task = TASKS[facts.config.main.task]
    model = facts.config.model
    text = (
        f"**{task.title}**: {task.summary} A small transformer, {model.layers} layers of {model.heads} attention "
        "heads, reads the prompt and writes the answer token by token."
    )
    return Step("The task", text, examples=(_example(task.name, facts.config),))


def _trained(facts: Facts) -> Step:
    known = facts.alone_trained
    score = "It has not been trained alone yet." if known is None else (
        f"There it gets new prompts right: {over(known)}."
    )  # fmt: skip
    text = f"In training it only sees inputs of {facts.trained_from} to {facts.trained_to} {facts.unit}. {score}"
    return Step("The lengths it is trained on", text, ("alone",), IN_DISTRIBUTION)


def _fails(facts: Facts) -> Step:
    if facts.alone is None:
        return Step("Longer inputs, alone", "This side has not been run yet.", ("alone",), TRANSFER_REGION)
    title = "Alone, it fails beyond" if facts.alone.mean < 0.5 else "Alone, beyond its lengths"
    text = f"The same task at {facts.region}, which it never saw: {over(facts.alone)} of the answers are right."
    return Step(title, text, ("alone",), TRANSFER_REGION)


def _longer(facts: Facts) -> Step:
    kind = "unrelated" if facts.unrelated else "related"
    score = "" if facts.auxiliaries is None else f": at {facts.region} it gets {over(facts.auxiliaries)} right"
    text = (
        f"The same network also trains on **{facts.beside}**, up to {facts.config.transfer_length} {facts.unit}{score}."
    )
    examples = tuple(_example(spec.task, facts.config) for spec in facts.config.auxiliaries)
    return Step(f"A longer, {kind} task beside it", text, ("together",), TRANSFER_REGION, examples)


def _together(facts: Facts) -> Step:
    if facts.together is None:
        return Step("Together", "This side has not been run yet.", ("together",), TRANSFER_REGION)
    text = (
        f"**{facts.main}** is still trained on {facts.trained_from} to {facts.trained_to} {facts.unit} only. At "
        f"{facts.region} it is now right on {over(facts.together)}{course_words(facts)}."
    )
    title = "Together"
    if facts.gain is not None:
        helped = facts.gain.mean >= SMALLEST_EFFECT
        title = "Together, it reaches further" if helped else "Together, little changes"
        text += f" Difference to alone: {points(facts.gain)}."
    return Step(title, text, ("together", "gain"), TRANSFER_REGION)


def _heads(sentence: str) -> Step:
    text = (
        "An **attention head** is a part of the network that moves information from one position to another. A link "
        f"says that a task gets worse without that head. {sentence}"
    )
    return Step("The heads", text, ("heads-together", "heads"))


def _your_turn(facts: Facts) -> Step:
    text = "Compare seeds, presets and other pairs, or train a pair yourself."
    if facts.unrelated:
        return Step("Your turn", f"This pair is a control: the longer task has nothing to reuse. {text}", closing=True)
    if facts.control is not None:
        return Step("A control, and your turn", _control_words(facts, facts.control), closing=True)
    if facts.gain is not None and facts.gain.mean >= SMALLEST_EFFECT:
        doubt = f"No runs here have **{facts.main}** beside an unrelated task of the same length"
        text = f"{doubt}: whether that helps too stays open. {text}"
    return Step("Your turn", text, closing=True)


def _control_words(facts: Facts, control: Control) -> str:
    sides = {"alone": facts.alone, f"beside {facts.beside}": facts.together}
    known = " and ".join(f"{name} {side.mean:.0%}" for name, side in sides.items() if side is not None)
    return (
        f"Would any longer task do? Beside an unrelated one of the same length (**{control.name}**, "
        f"[its curves](?pair={control.key})), **{facts.main}** is right on {over(control.transfer)} at "
        f"{facts.region}; {known}."
    )

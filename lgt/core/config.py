"""The settings that describe a run. Two runs with equal settings are the same run.

All classes are frozen dataclasses that check their values; a refused value raises
:class:`lgt.core.checks.ConfigError`. Lengths are in task units: digits of the longer operand, characters of the string,
nodes of the maze. A new field is declared with :func:`lgt.core.added_fields.added`, so that no stored hash changes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

from lgt.core import bounds
from lgt.core.added_fields import added, stored
from lgt.core.checks import ConfigError, check_choice, check_flag, check_integer, check_number
from lgt.core.evaluation_config import EvaluationConfig as EvaluationConfig
from lgt.core.frozen import check_frozen, check_tied
from lgt.core.model_config import ModelConfig as ModelConfig
from lgt.core.model_config import Position as Position
from lgt.core.parts import check_tasks
from lgt.core.start import check_start

Role = Literal["main", "auxiliary", "control"]
Optimizer = Literal["adamw", "muon"]
Precision = Literal["float32", "bfloat16"]
Operands = Literal["ragged", "equal", "mixed"]
Answers = Literal["own", "shuffled"]
Arm = Literal["co-trained", "alone-same-steps", "alone-same-examples"]

MAXIMUM_LENGTH = bounds.MAXIMUM_LENGTH
LABELS = ("group", "arm", "preset")
MEASURING = ("progress_examples", "snapshots", "attribution_snapshots", "attribution_examples", "attribution_lengths",
             "interchange_examples", "measured_steps")  # fmt: skip
"""Settings of ``evaluation`` that decide what is measured before the last step and which maps are made. They do not
change the accuracies at the last step."""


@dataclass(frozen=True)
class TaskSpec:
    """One task of a run: its registry name, its role and the longest length it is trained on."""

    task: str
    role: Role
    training_length: int

    def __post_init__(self) -> None:
        if not isinstance(self.task, str) or not self.task:
            raise ConfigError("task", self.task, "a task name (see `python -m lgt tasks`)")
        bounds.NAME.check_text("task", self.task)
        check_choice(f"{self.task}.role", self.role, get_args(Role))
        check_integer(f"{self.task}.training_length", self.training_length, 1, MAXIMUM_LENGTH)


@dataclass(frozen=True)
class TaskOptions:
    """Choices that belong to task families rather than to one run's tasks.

    ``operands``: how *training* draws the two operands (:func:`lgt.tasks.arithmetic.draw_operands`; evaluation always
    uses two operands of exactly n digits).
    ``multiplier_digits``: k of the n x k multiplication. ``grid``: side of the maze grid. ``auxiliary_answers``: with
    ``shuffled``, auxiliary and control tasks learn answers of other inputs (:mod:`lgt.training.shuffled_answers`): they
    show the network long inputs, but not how to answer them.
    """

    operands: Operands = "ragged"
    multiplier_digits: int = 3
    grid: int = 8
    auxiliary_answers: str = added("own")  # one of Answers

    def __post_init__(self) -> None:
        check_choice("options.operands", self.operands, get_args(Operands))
        check_choice("options.auxiliary_answers", self.auxiliary_answers, get_args(Answers))
        check_integer("options.multiplier_digits", self.multiplier_digits, 1, bounds.DIGITS.most)
        check_integer("options.grid", self.grid, 2, bounds.GRID.most)


@dataclass(frozen=True)
class TrainingConfig:
    """Optimisation of one run. The learning rate warms up linearly, stays constant and decays to zero along a cosine.

    ``learning_rate`` is for the weight matrices (Muon or AdamW), ``embedding_learning_rate`` for embeddings,
    unembedding and gains (always AdamW). With ``pool`` above 1, that many batches are sorted together by length and cut
    into batches of similar lengths, which need less padding. With ``pool`` 1 every batch mixes all lengths. Training
    then needs fewer steps, and the fused step needs no padding. Float32 training on a CPU uses the fused step
    (``lgt.fused``) if the step supports the network and a C++ compiler is present. ``compiled`` affects
    PyTorch's step only: ``torch.compile`` compiles each layer. ``frozen``: parts of the network that keep their weights
    (:mod:`lgt.core.frozen`), such as ``attention,norms``. ``start``: the pretrained network whose weights the run
    starts from (:mod:`lgt.core.start`), pinned by ``start_sha256``; empty: random weights. With ``start_shuffled`` the
    entries of each of its matrices are shuffled with the model seed: same numbers, no structure. With ``own_order`` the
    order of the data depends on the model seed, too; otherwise it is the same for all model seeds.
    """

    steps: int = 5000
    batch_size: int = 128
    optimizer: Optimizer = "muon"
    learning_rate: float = 0.02
    embedding_learning_rate: float = 0.01
    weight_decay: float = 0.1
    warmup_fraction: float = 0.02
    decay_fraction: float = 0.6
    gradient_clip: float = 1.0
    precision: Precision = "float32"
    pool: int = 1
    compiled: bool = False
    frozen: str = added("")
    start: str = added("")
    start_sha256: str = added("")
    start_shuffled: bool = added(False)
    own_order: bool = added(False)

    def __post_init__(self) -> None:
        check_integer("training.steps", self.steps, 1, bounds.CONFIG_STEPS.most)
        check_integer("training.batch_size", self.batch_size, 1, bounds.CONFIG_BATCH.most)
        check_choice("training.optimizer", self.optimizer, get_args(Optimizer))
        check_number("training.learning_rate", self.learning_rate, 1e-8, 10.0)
        check_number("training.embedding_learning_rate", self.embedding_learning_rate, 1e-8, 10.0)
        check_number("training.weight_decay", self.weight_decay, 0.0, 10.0)
        check_number("training.warmup_fraction", self.warmup_fraction, 0.0, 1.0)
        check_number("training.decay_fraction", self.decay_fraction, 0.0, 1.0)
        check_number("training.gradient_clip", self.gradient_clip, 1e-6, 1e6)
        check_choice("training.precision", self.precision, get_args(Precision))
        check_integer("training.pool", self.pool, 1, bounds.POOL.most)
        check_flag("training.compiled", self.compiled)
        check_frozen(self.frozen)
        check_start(self)
        check_flag("training.own_order", self.own_order)
        if self.warmup_fraction + self.decay_fraction > 1.0:
            raise ConfigError("training.decay_fraction", self.decay_fraction,
                              "at most 1 together with training.warmup_fraction")  # fmt: skip


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run's numbers.

    ``transfer_length`` is La, the longest training length of an auxiliary task. A baseline, which has no auxiliary task
    or only short ones, has the La of the co-trained run it is compared with, so that both have the same zones. It is
    ``None`` if there is no such comparison, or if no auxiliary task is longer than the main task: then there is no
    transfer region.
    ``group`` names the task group (or ``custom``); ``arm`` says which of the matched runs this is.
    """

    tasks: tuple[TaskSpec, ...]
    group: str = "custom"
    arm: Arm = "co-trained"
    preset: str = "paper"
    transfer_length: int | None = None
    options: TaskOptions = field(default_factory=TaskOptions)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    model_seed: int = 0
    data_seed: int = 0

    def __post_init__(self) -> None:
        check_integer("model_seed", self.model_seed, 0, 2**63 - 1)
        check_integer("data_seed", self.data_seed, 0, 2**63 - 1)
        check_choice("arm", self.arm, get_args(Arm))
        for name in ("group", "preset"):
            if not isinstance(getattr(self, name), str) or not 1 <= len(getattr(self, name)) <= 100:
                raise ConfigError(name, getattr(self, name), "a name of 1 to 100 characters")
        bounds.TASKS.check("tasks", len(self.tasks))
        mains = [spec for spec in self.tasks if spec.role == "main"]
        if len(mains) != 1:
            raise ConfigError("tasks", [s.task for s in self.tasks], "exactly one task with role main")
        names = [spec.task for spec in self.tasks]
        if len(set(names)) != len(names):
            raise ConfigError("tasks", names, "each task at most once")
        if self.transfer_length is not None:
            check_integer("transfer_length", self.transfer_length, 1, MAXIMUM_LENGTH)
        check_tasks(self)
        check_tied(self)

    @property
    def main(self) -> TaskSpec:
        """The main task."""
        return next(spec for spec in self.tasks if spec.role == "main")

    @property
    def auxiliaries(self) -> tuple[TaskSpec, ...]:
        """Auxiliary and control tasks, in order."""
        return tuple(spec for spec in self.tasks if spec.role != "main")

    def as_dict(self) -> dict[str, Any]:
        """Plain values of every field, ready for JSON."""
        plain = asdict(self)
        plain["tasks"] = [asdict(spec) for spec in self.tasks]
        return plain

    def canonical_json(self) -> str:
        """The text in which this config is stored: JSON with sorted keys and without spaces. Equal configs give equal
        texts. Added fields that have their default are left out (:mod:`lgt.core.added_fields`)."""
        return _canonical(stored(self))

    def hash(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of everything that decides the numbers.

        The labels (``group``, ``arm``, ``preset``) are left out, so that two groups with the same main task share their
        main-alone runs: a baseline is found by its settings. Added fields that have their default are left out too
        (:mod:`lgt.core.added_fields`).
        """
        return _digest({name: value for name, value in stored(self).items() if name not in LABELS})

    def result_hash(self) -> str:
        """As :meth:`hash`, also without :data:`MEASURING`. Runs with equal result hashes end with equal accuracies."""
        plain = {name: value for name, value in stored(self).items() if name not in LABELS}
        plain["evaluation"] = {name: value for name, value in plain["evaluation"].items() if name not in MEASURING}
        return _digest(plain)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> RunConfig:
        """Inverse of :meth:`as_dict`. A missing field gets its default. Raises ConfigError for an unknown field, a
        missing required field or a value that is not accepted."""
        values = dict(plain)
        sections: dict[str, Any] = {
            "options": TaskOptions, "model": ModelConfig, "training": TrainingConfig, "evaluation": EvaluationConfig,
        }  # fmt: skip
        for name, section in sections.items():
            if name in values:
                values[name] = _build(section, values[name], name + ".")
        specs = values.get("tasks", [])
        if not isinstance(specs, list | tuple):
            raise ConfigError("tasks", specs, "a list of tasks")
        values["tasks"] = tuple(_build(TaskSpec, spec, "tasks.") for spec in specs)
        config: RunConfig = _build(cls, values, "")
        return config

    @classmethod
    def from_json(cls, text: str) -> RunConfig:
        """Inverse of :meth:`canonical_json`. Raises ConfigError when the text is not a JSON object."""
        bounds.CONFIG_TEXT.check_text("config", text)
        try:
            plain = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError("config", text, "a JSON object") from error
        if not isinstance(plain, dict):
            raise ConfigError("config", text, "a JSON object")
        return cls.from_dict(plain)


def check_transfers(config: RunConfig) -> None:
    """Raise ConfigError if an auxiliary task is not longer than the main task: such a run cannot show transfer."""
    for spec in config.auxiliaries:
        if spec.training_length <= config.main.training_length:
            accepted = f"more than {config.main.training_length}, the main task's training length (Lm < La)"
            raise ConfigError(f"{spec.task}.training_length", spec.training_length, accepted)


def _canonical(plain: dict[str, Any]) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(plain: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(plain).encode()).hexdigest()[:16]


def _build(section: Any, values: Any, prefix: str) -> Any:
    if not isinstance(values, dict):
        raise ConfigError(prefix.rstrip("."), values, "an object")
    known = {f.name for f in fields(section)}
    for name in values:
        if name not in known:
            raise ConfigError(prefix + str(name), values[name], "one of the fields " + ", ".join(sorted(known)))
    try:
        return section(**values)
    except TypeError as error:
        raise ConfigError(prefix.rstrip("."), values, "an object with every required field") from error


SETTABLE = ("options", "model", "training", "evaluation")


def pair_of(setting: str) -> tuple[str, str]:
    """Path and text of a setting such as ``training.steps=500``."""
    path, _, text = setting.partition("=")
    return path, text


def with_setting(config: RunConfig, path: str, text: str) -> RunConfig:
    """``config`` with the field at ``path`` (such as ``training.steps``) set to the value that ``text`` contains.

    Raises ConfigError, which names the path, if the path is unknown or ``text`` is not a value of the field's type.
    """
    return with_settings(config, [(path, text)])


def with_settings(config: RunConfig, settings: Iterable[tuple[str, str]]) -> RunConfig:
    """As :func:`with_setting` for several paths and texts. The values of a section are checked together, because one
    may be accepted beside another one only."""
    paths = [f"{s}.{f.name}" for s in SETTABLE for f in fields(getattr(config, s))]
    changes: dict[str, dict[str, object]] = {}
    for path, text in settings:
        if path not in paths:
            raise ConfigError("--set", path, "one of " + ", ".join(paths))
        section, _, name = path.partition(".")
        changes.setdefault(section, {})[name] = _parse(path, getattr(getattr(config, section), name), text)
    changed: dict[str, Any] = {section: replace(getattr(config, section), **of) for section, of in changes.items()}
    return replace(config, **changed)


def _parse(path: str, current: object, text: str) -> object:
    if isinstance(current, bool):
        if text.lower() not in ("true", "false"):
            raise ConfigError(path, text, "true or false")
        return text.lower() == "true"
    if isinstance(current, str):
        return text
    wanted = int if isinstance(current, int) else float
    try:
        return wanted(text)
    except ValueError as error:
        raise ConfigError(path, text, "a whole number" if wanted is int else "a number") from error

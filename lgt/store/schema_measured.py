"""The packed tables: what is measured of a run, one row for each step and task.

Texts, counts and reals are packed by :mod:`lgt.store.packing`; docs/STORE.md describes the bytes. Views with readable
names (``accuracy``, ``head_scores``, ``attention_differences``, ``interchanges``, ``training_log``) show one value per
row (:mod:`lgt.store.migrations.schema_3_views` and ``schema_4_views``). A task is its ``slot`` in the run's rows of
``run_tasks``.

Tables with long rows have a rowid: without one SQLite gives every row above a quarter of a page a page of its own.
"""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from lgt.store.schema_base import WITHOUT_ROWID, Base, key, run_key, text_key


class AccuracyCounts(Base):
    """Exact-match counts of a task: right answers (``correct``, unsigned integers) and prompts (``totals``, a list) at
    each of the ``lengths`` (a list)."""

    __tablename__ = "accuracy_counts"
    __table_args__ = WITHOUT_ROWID

    run_id: Mapped[int] = run_key()
    step: Mapped[int] = key()
    slot: Mapped[int] = key()
    lengths: Mapped[str]
    totals: Mapped[str]
    correct: Mapped[bytes]


class HeadMap(Base):
    """Mean-ablation maps of a task per length, so that two tasks can be compared at the same lengths.

    A cell is a length, a layer and a head, in this order. ``lost``: right answers of ``examples`` that are lost without
    the head (signed integers). If a drop is no count, ``drops`` has the drops as reals and ``lost`` is missing.
    ``loss_rises``: reals; a cell whose bits are all ones was not measured.
    """

    __tablename__ = "head_maps"

    run_id: Mapped[int] = run_key()
    step: Mapped[int] = key()
    slot: Mapped[int] = key()
    lengths: Mapped[str]
    layers: Mapped[int]
    heads: Mapped[int]
    examples: Mapped[str]
    lost: Mapped[bytes | None]
    drops: Mapped[bytes | None]
    loss_rises: Mapped[bytes]


class AttentionMap(Base):
    """Attention-matrix differences of two tasks, in cells as in :class:`HeadMap`."""

    __tablename__ = "attention_maps"

    run_id: Mapped[int] = run_key()
    step: Mapped[int] = key()
    slot_a: Mapped[int] = key()
    slot_b: Mapped[int] = key()
    lengths: Mapped[str]
    layers: Mapped[int]
    heads: Mapped[int]
    differences: Mapped[bytes]


class InterchangeMap(Base):
    """What the task of ``slot`` loses when head outputs are replaced by those of a pass of ``source_slot``, in cells as
    in :class:`HeadMap`. There is one layer more, and in each layer one head more, than the network has: they stand for
    all layers and for all heads of a layer (:class:`lgt.core.records.InterchangeRow`)."""

    __tablename__ = "interchange_maps"

    run_id: Mapped[int] = run_key()
    step: Mapped[int] = key()
    slot: Mapped[int] = key()
    source_slot: Mapped[int] = key()
    source_input: Mapped[str] = text_key()
    lengths: Mapped[str]
    layers: Mapped[int]
    heads: Mapped[int]
    examples: Mapped[str]
    lost: Mapped[bytes | None]
    drops: Mapped[bytes | None]
    loss_rises: Mapped[bytes]


class TrainingLogRow(Base):
    """One line of the training log of a run that has not ended: loss (missing if it was not a number), learning rate
    and speed. When the run ends its lines are packed."""

    __tablename__ = "log_rows"
    __table_args__ = WITHOUT_ROWID

    run_id: Mapped[int] = run_key()
    step: Mapped[int] = key()
    loss: Mapped[float | None]
    learning_rate: Mapped[float | None]
    tokens_per_second: Mapped[float | None]


class PackedLog(Base):
    """The training log of a run that has ended. Lines of ``log_rows`` with the same step replace its lines."""

    __tablename__ = "packed_logs"

    run_id: Mapped[int] = run_key()
    steps: Mapped[str]
    losses: Mapped[bytes]
    learning_rates: Mapped[bytes]
    speeds: Mapped[bytes]


class NumberList(Base):
    """The lists that rows name, one row for each piece, for the views: at the places ``start`` to ``stop - 1`` of a
    list, ``number + (place - start) * rise``. The code reads the text of a list instead."""

    __tablename__ = "number_lists"
    __table_args__ = WITHOUT_ROWID

    list: Mapped[str] = text_key()
    start: Mapped[int] = key()
    stop: Mapped[int]
    number: Mapped[int]
    rise: Mapped[int]


class Number(Base):
    """The numbers from 0 to 2047, for the views. ``power`` is 2 to the power ``number - 1074``."""

    __tablename__ = "numbers"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    power: Mapped[float]

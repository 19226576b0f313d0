"""The views of schema 3, which show the packed tables one value per row, under the names of the tables before.

They are for people with a database shell, and for tests; the code unpacks rows with numpy. Bytes are read in plain SQL,
because SQLite has no function for it. The revision 0003 uses this module: other views need a new revision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

NUMBERS = 2048
"""How many rows the table ``numbers`` has, from 0."""
SMALLEST_POWER = -1074


@dataclass(frozen=True)
class Dialect:
    """What the databases write differently: the byte of a blob at a place from 0, and infinity."""

    byte: Callable[[str, str], str]
    infinity: str


def _sqlite_byte(blob: str, at: str) -> str:
    """instr finds no '0' among the other digits, which gives 0."""
    digits = [f"instr('123456789ABCDEF', substr(hex(substr({blob}, {at} + 1, 1)), {digit}, 1))" for digit in (1, 2)]
    return f"({digits[0]} * 16 + {digits[1]})"


SQLITE = Dialect(_sqlite_byte, "9e999")
POSTGRESQL = Dialect(
    lambda blob, at: f"CAST(get_byte({blob}, CAST({at} AS integer)) AS bigint)", "CAST('Infinity' AS float8)"
)


def _bits(dialect: Dialect, blob: str, width: str, place: str, widths: tuple[int, ...] = (1, 2, 4, 8)) -> str:
    """The unsigned integer of ``width`` bytes at ``place`` in a blob. With 8 bytes it is signed."""

    def of(size: int) -> str:
        parts = (f"({dialect.byte(blob, f'({place}) * {size} + {k}')} << {8 * k})" for k in range(size))
        return " | ".join(parts)

    cases = " ".join(f"WHEN {size} THEN {of(size)}" for size in widths)
    return f"CASE {width} {cases} END"


def _signed(bits: str, width: str) -> str:
    return f"CASE WHEN {width} = 8 THEN {bits} ELSE ({bits} << 64 - 8 * {width}) >> 64 - 8 * {width} END"


def _real(dialect: Dialect, bits: str, width: str) -> str:
    """The IEEE 754 number with these bits: NULL for NaN."""

    def of(sign: int, exponent_bits: int) -> str:
        fraction = sign - exponent_bits
        largest, hidden = 2**exponent_bits - 1, 2**fraction
        exponent = f"(({bits} >> {fraction}) & {largest})"
        lowest = 1 - 2 ** (exponent_bits - 1) + 1 - fraction  # the power of two of the last digit at exponent 1
        power = f"CASE WHEN {exponent} > 0 THEN {exponent} ELSE 1 END + {lowest - 1 - SMALLEST_POWER}"
        infinity = f"CASE WHEN ({bits} & {hidden - 1}) = 0 THEN {dialect.infinity} END"
        digits = f"(({bits} & {hidden - 1}) + CASE WHEN {exponent} > 0 THEN {hidden} ELSE 0 END)"
        value = f"{digits} * (SELECT n.power FROM numbers AS n WHERE n.number = {power})"
        plus = f"CASE WHEN {exponent} = {largest} THEN {infinity} ELSE {value} END"
        return f"CASE WHEN (({bits} >> {sign}) & 1) = 1 THEN -1.0 ELSE 1.0 END * {plus}"

    return f"CASE {width} WHEN 4 THEN {of(31, 8)} WHEN 8 THEN {of(63, 11)} END"


def _all_ones(bits: str, width: str) -> str:
    return f"{bits} = CASE {width} WHEN 4 THEN 4294967295 ELSE -1 END"


def _count(table: str, column: str) -> str:
    """The number of values of a list."""
    return f"(SELECT max(c.stop) FROM number_lists AS c WHERE c.list = {table}.{column})"


ITEM = "{0}.number + (({1}) - {0}.start) * {0}.rise"


def _accuracy(dialect: Dialect) -> str:
    count = _count("a", "lengths")
    return f"""
SELECT run_id, step, task, length, {_bits(dialect, "correct", "width", "place")} AS correct, total FROM (
  SELECT a.run_id, a.step, t.task, a.correct, n.number AS place, length(a.correct) / {count} AS width,
    {ITEM.format("l", "n.number")} AS length, {ITEM.format("p", "n.number")} AS total
  FROM accuracy_counts AS a
  JOIN run_tasks AS t ON t.run_id = a.run_id AND t.slot = a.slot
  JOIN number_lists AS l ON l.list = a.lengths
  JOIN numbers AS n ON n.number >= l.start AND n.number < l.stop
  JOIN number_lists AS p ON p.list = a.totals AND p.start <= n.number AND p.stop > n.number
) AS places"""


def _grid(alias: str) -> str:
    """Joins that give one row for each cell of the table ``alias``."""
    return f"""JOIN number_lists AS l ON l.list = {alias}.lengths
  JOIN numbers AS n ON n.number >= l.start AND n.number < l.stop
  JOIN numbers AS y ON y.number < {alias}.layers
  JOIN numbers AS h ON h.number < {alias}.heads"""


PLACE = "(n.number * m.layers + y.number) * m.heads + h.number"
CELLS = f"({_count('m', 'lengths')} * m.layers * m.heads)"


def of_map(
    dialect: Dialect, table: str = "head_maps", names: str = "task", own: str = "t.task", joins: str = ""
) -> str:
    """One row for each cell of a table of maps. ``names``: the columns between step and length; ``own``: where they
    come from, with ``joins`` of further tables."""
    lost = _signed("lost_bits", "lost_width")
    least = (
        "CASE lost_width WHEN 1 THEN -128 WHEN 2 THEN -32768 WHEN 4 THEN -2147483648 ELSE -9223372036854775807 - 1 END"
    )
    least_one = "CASE WHEN examples > 0 THEN examples ELSE 1 END"
    share = f"CASE WHEN {lost} <> {least} THEN CAST({lost} AS double precision) / {least_one} END"
    return f"""
SELECT run_id, step, {names}, length, layer, head,
  CASE WHEN lost_width IS NULL THEN {_real(dialect, "drop_bits", "drop_width")} ELSE {share} END AS accuracy_drop,
  {_real(dialect, "rise_bits", "rise_width")} AS loss_rise, examples
FROM (
  SELECT run_id, step, {names}, length, layer, head, examples, lost_width, drop_width, rise_width,
    {_bits(dialect, "lost", "lost_width", "place")} AS lost_bits,
    {_bits(dialect, "drops", "drop_width", "place", (4, 8))} AS drop_bits,
    {_bits(dialect, "loss_rises", "rise_width", "place", (4, 8))} AS rise_bits
  FROM (
    SELECT m.run_id, m.step, {own}, {ITEM.format("l", "n.number")} AS length, y.number AS layer, h.number AS head,
      {PLACE} AS place, {ITEM.format("e", PLACE)} AS examples, m.lost, m.drops, m.loss_rises,
      length(m.lost) / {CELLS} AS lost_width, length(m.drops) / {CELLS} AS drop_width,
      length(m.loss_rises) / {CELLS} AS rise_width
    FROM {table} AS m
    JOIN run_tasks AS t ON t.run_id = m.run_id AND t.slot = m.slot{joins}
    {_grid("m")}
    JOIN number_lists AS e ON e.list = m.examples AND e.start <= {PLACE} AND e.stop > {PLACE}
  ) AS cells
) AS bits
WHERE NOT ({_all_ones("rise_bits", "rise_width")})"""


def _attention_differences(dialect: Dialect) -> str:
    return f"""
SELECT run_id, step, task_a, task_b, length, layer, head, {_real(dialect, "bits", "width")} AS difference
FROM (
  SELECT run_id, step, task_a, task_b, length, layer, head, width,
    {_bits(dialect, "differences", "width", "place", (4, 8))} AS bits
  FROM (
    SELECT m.run_id, m.step, a.task AS task_a, b.task AS task_b, {ITEM.format("l", "n.number")} AS length,
      y.number AS layer, h.number AS head, {PLACE} AS place, m.differences,
      length(m.differences) / {CELLS} AS width
    FROM attention_maps AS m
    JOIN run_tasks AS a ON a.run_id = m.run_id AND a.slot = m.slot_a
    JOIN run_tasks AS b ON b.run_id = m.run_id AND b.slot = m.slot_b
    {_grid("m")}
  ) AS cells
) AS bits
WHERE NOT ({_all_ones("bits", "width")})"""


def _training_log(dialect: Dialect) -> str:
    columns = {"loss": "losses", "learning_rate": "learning_rates", "tokens_per_second": "speeds"}
    reals = ", ".join(f"{_real(dialect, f'{name}_bits', f'{name}_width')} AS {name}" for name in columns)
    bits = ", ".join(
        f"{_bits(dialect, stored, f'{name}_width', 'place', (4, 8))} AS {name}_bits" for name, stored in columns.items()
    )
    widths = ", ".join(
        f"length(p.{stored}) / {_count('p', 'steps')} AS {name}_width" for name, stored in columns.items()
    )
    place = f"b.number * {NUMBERS} + n.number"
    return f"""
SELECT run_id, step, loss, learning_rate, tokens_per_second FROM log_rows
UNION ALL
SELECT run_id, step, {reals} FROM (
  SELECT run_id, step, {", ".join(f"{name}_width" for name in columns)}, {bits} FROM (
    SELECT p.run_id, {ITEM.format("l", place)} AS step, {place} AS place, p.losses, p.learning_rates, p.speeds, {widths}
    FROM packed_logs AS p
    JOIN number_lists AS l ON l.list = p.steps
    JOIN numbers AS b ON b.number <= (l.stop - 1) / {NUMBERS}
    JOIN numbers AS n ON n.number >= l.start - b.number * {NUMBERS} AND n.number < l.stop - b.number * {NUMBERS}
  ) AS places
) AS logged
WHERE NOT EXISTS (SELECT 1 FROM log_rows AS r WHERE r.run_id = logged.run_id AND r.step = logged.step)"""


def dialect_named(name: str) -> Dialect:
    """The dialect of a database, ``sqlite`` or ``postgresql``."""
    return SQLITE if name == "sqlite" else POSTGRESQL


def create_views(dialect_name: str) -> list[str]:
    """The statements that create the views on a database, ``sqlite`` or ``postgresql``."""
    dialect = dialect_named(dialect_name)
    views = {"accuracy": _accuracy, "head_scores": of_map, "attention_differences": _attention_differences,
             "training_log": _training_log}  # fmt: skip
    return [f"CREATE VIEW {name} AS {select(dialect).strip()}" for name, select in views.items()]

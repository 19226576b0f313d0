"""The search of the table of runs: words, and terms such as ``transfer>0.8`` that compare one field."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple

import pandas as pd

Kind = Literal["number", "share", "text"]


@dataclass(frozen=True)
class Field:
    """What a term can name. ``column`` of :func:`lgt.ui.run_table.table`; ``separator`` between several texts there."""

    kind: Kind
    column: str
    example: str
    meaning: str
    separator: str = "\n"


FIELDS = {
    "run": Field("number", "number", "run>=100", "number of the run"),
    "seed": Field("number", "seed", "seed=2", "seed of the run"),
    "transfer": Field("share", "transfer", "transfer>0.8", "transfer accuracy, 0 to 1 or in %"),
    "trained": Field("share", "trained", "trained<95%", "exact match at trained lengths, 0 to 1 or in %"),
    "steps": Field("number", "steps", "steps>=2000", "steps done"),
    "seconds": Field("number", "seconds", "seconds<60", "training time in seconds"),
    "task": Field("text", "task_names", "task:reverse", "name or title of a task of the run"),
    "pair": Field("text", "pair_names", "pair:subtraction", "name or title of its task group or of one of its tasks"),
    "arm": Field("text", "arm", "arm:alone", "arm, as the table names it"),
    "preset": Field("text", "preset", "preset=demo", "preset of the run"),
    "position": Field("text", "position", "position=rotary", "positional encoding, as the table names it"),
    "state": Field("text", "state", "state=failed", "state: queued, running, done, failed or cancelled"),
    "tag": Field("text", "tags", "tag:talk", "one of its tags", ", "),
    "note": Field("text", "notes", 'note:"look here"', "its note"),
    "store": Field("text", "store", "store:workspace", "the store that has the run"),
}
"""Every field by the name that a term has for it."""
WORDS = ("store", "tasks", "group", "arm", "preset", "position", "state", "tags", "notes", "words")
"""The columns that a plain word is searched in, beside the number of the run."""
COMPARE: dict[str, Callable[[pd.Series, float], pd.Series]] = {
    "=": operator.eq, "!=": operator.ne, ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip
OPERATORS = {"number": tuple(COMPARE), "share": tuple(COMPARE), "text": (":", "=", "!=")}
SIGN = "!=|>=|<=|[=<>:]"
TERM = re.compile(
    rf"(?P<field>(?i:{'|'.join(FIELDS)})(?=\s*(?:{SIGN}))|[^\W\d]\w*(?={SIGN}))"
    rf'\s*(?P<operator>{SIGN})\s*(?P<value>"[^"]*"|\S*)'
    r'|(?P<orphan>(?:!=|>=|<=|[=<>])\s*\S*)|"(?P<quoted>[^"]*)"|(?P<word>\S+)'
)
"""One term of a search, from its first character. Only a known field may have spaces before its operator."""
NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?|-?\.[0-9]{1,15}")


class Term(NamedTuple):
    """One condition. ``field``: ``None`` for text that is searched in :data:`WORDS`."""

    field: str | None
    operator: str
    value: str | float


class Search(NamedTuple):
    """What was read of a search text: the terms, and one sentence for each part that is no term."""

    terms: tuple[Term, ...]
    problems: tuple[str, ...]


class _Unreadable(Exception):
    """A part of a search is no term; the message says why and what would be accepted."""


def read_search(text: str) -> Search:
    """The terms of a search text. Never raises; what cannot be read is in ``problems`` and is no term.

    >>> read_search('reverse seed=2 transfer>80%').terms
    (Term(field=None, operator=':', value='reverse'), Term(field='seed', operator='=', value=2.0), \
Term(field='transfer', operator='>', value=0.8))
    """
    terms: list[Term] = []
    problems: list[str] = []
    for part in TERM.finditer(text):
        try:
            terms.append(_term(part))
        except _Unreadable as error:
            problems.append(f"{' '.join(part[0].split())}: {error}")
    return Search(tuple(terms), tuple(problems))


def _term(part: re.Match[str]) -> Term:
    if part["orphan"] is not None:
        raise _Unreadable(
            "a field has to stand before an operator, such as transfer>0.8. Text with an operator needs quotes"
        )
    if part["field"] is None:
        return Term(None, ":", _plain(part))
    name, sign = part["field"].lower(), part["operator"]
    if name not in FIELDS:
        raise _Unreadable(f"there is no such field. Fields: {', '.join(FIELDS)}. Text with an operator needs quotes")
    kind, example = FIELDS[name].kind, FIELDS[name].example
    if sign not in OPERATORS[kind]:
        raise _Unreadable(f"{name} takes {' '.join(OPERATORS[kind])}, such as {example}")
    return Term(name, sign, _value(kind, part["value"], example))


def _plain(part: re.Match[str]) -> str:
    if part["quoted"] is not None:
        return str(part["quoted"]).lower()
    if part["word"].startswith('"'):
        raise _Unreadable('the closing quote is missing, as in "look here"')
    return str(part["word"]).lower()


def _value(kind: Kind, text: str, example: str) -> str | float:
    if kind == "text":
        return _text(text, example)
    percent = kind == "share" and text.endswith("%")
    digits = text.removesuffix("%") if percent else text
    if not NUMBER.fullmatch(digits):
        raise _Unreadable(f"this needs a number of at most 15 digits, such as {example}")
    value = float(Decimal(digits) / (100 if percent else 1))
    if kind == "share" and not 0 <= value <= 1:
        raise _Unreadable(f"this needs a share from 0 to 1 or from 0% to 100%, such as {example}")
    return value


def _text(text: str, example: str) -> str:
    if text.startswith('"') and (len(text) < 2 or not text.endswith('"')):
        raise _Unreadable(f"the closing quote is missing; a text looks like {example}")
    found = text[1:-1] if text.startswith('"') else text
    if not found:
        raise _Unreadable(f"the text after the operator is missing, such as {example}")
    return found.lower()


def matching(rows: pd.DataFrame, terms: Sequence[Term]) -> pd.Series:
    """Which ``rows`` fulfil every term (a bool for each). A run without the number fulfils no comparison."""
    keep = pd.Series(True, index=rows.index)
    words = [str(term.value) for term in terms if term.field is None]
    if words:
        text = _searched_text(rows)
        for word in words:
            keep &= text.str.contains(word, regex=False)
    for term in terms:
        if term.field is not None:
            keep &= _fulfils(rows, FIELDS[term.field], term)
    return keep


def _searched_text(rows: pd.DataFrame) -> pd.Series:
    text = rows.number.astype(str)
    for column in WORDS:
        text = text.str.cat(rows[column].fillna("").astype(str), sep=" ")
    return text.str.lower()


def _fulfils(rows: pd.DataFrame, field: Field, term: Term) -> pd.Series:
    if field.kind == "text":
        return _text_fulfils(rows[field.column].fillna("").astype(str).str.lower(), field.separator, term)
    found, value = rows[field.column].astype(float), float(term.value)
    if field.kind == "share" and term.operator in ("=", "!="):  # the table shows whole percents
        found, value = (100 * found + 0.5) // 1, (100 * value + 0.5) // 1
    return COMPARE[term.operator](found, value) & found.notna()


def _text_fulfils(texts: pd.Series, separator: str, term: Term) -> pd.Series:
    value = str(term.value)
    if term.operator == ":":
        return texts.str.contains(value, regex=False)
    equal = texts.map(lambda text: value in text.split(separator)).astype(bool)
    return equal if term.operator == "=" else ~equal

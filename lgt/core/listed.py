"""Several names in one environment variable."""

from __future__ import annotations

import re
from collections.abc import Iterable


def split(text: str, separator: str) -> list[str]:
    """The names that ``text`` lists, in order, without empty ones.

    A name that has the separator is in double quotes, and a double quote in it is written twice, as in CSV. Spaces
    count only inside quotes. Raises ValueError if a quote is not closed.

    >>> split('a.py, "b,c.py" ,', ",")
    ['a.py', 'b,c.py']
    """
    one = re.compile(rf'\s*(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>(?!")[^{separator}]*?))\s*(?:{separator}|\Z)')
    found, place = [], 0
    while place < len(text):
        part = one.match(text, place)
        if part is None:
            raise ValueError("a quote is open")
        found.append(part["plain"] if part["quoted"] is None else part["quoted"].replace('""', '"'))
        place = part.end()
    return [name for name in found if name]


def joined(names: Iterable[str], separator: str) -> str:
    """The text that :func:`split` reads as ``names``."""
    return separator.join('"' + name.replace('"', '""') + '"' for name in names)

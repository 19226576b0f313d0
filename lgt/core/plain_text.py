r"""Stored text on its way out: one function for each medium that could take it for something else than text.

A note, a tag, the name of a task, a device or a store, an error and a line of a log may come from another person. Such
a text passes one of these functions where it leaves the program:

- :func:`visible` for plain text, such as a table on a page or a chart; several lines stay several lines
- :func:`for_terminal` for one line of a terminal or a log
- :func:`for_markdown` for pages and other Markdown, :func:`as_code` where it is a command or a value
- :func:`for_html` for HTML
- :func:`for_shell` for one word of a command line
- :func:`lgt.store.csv_files.as_csv` for CSV
"""

from __future__ import annotations

import html
import re
import shlex
from functools import lru_cache
from typing import Any

EMOJI_TAGS = "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,6}\U000e007f"
"""The flag of a part of a country: a black flag and invisible letters."""
JOINED = (
    "\u0600-\u08ff\u0900-\u109f\u1780-\u1aaf\u2190-\u2bff\ufb50-\ufdcf\ufdf0-\ufdff\ufe0f\ufe70-\ufefc"
    "\U0001f000-\U0001faff"
)
"""The characters beside which an invisible joiner has a meaning: Arabic and Indic scripts, and emoji."""
HIDDEN = re.compile(
    f"(?P<kept>{EMOJI_TAGS}"
    f"|(?<=[{JOINED}])[\u200c\u200d](?=[{JOINED}])"
    "|(?<=[0-9#*\u00a9\u00ae\u203c\u2049\u20a0-\u3300\u3400-\u9fff\uf900-\ufaff\U0001f000-\U0001faff\U00020000-\U0003ffff])"
    "[\ufe00-\ufe0f\U000e0100-\U000e01ef])"
    "|[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Characters that show nothing, or that change how a terminal or a page shows what stands beside them. ``kept`` are
those that belong to an emoji or a letter before them."""
BARE_WORDS = re.compile(r"[^\W_]+(?:[-_ ][^\W_]+)*")
"""Words in which nothing can be Markdown."""
MARKDOWN = re.compile(r"[\\`*{}\[\]<>!|~$:&]|(?<![^\W_])_|_(?![^\W_])")
"""What can be Markdown anywhere; an underscore inside a word cannot."""
BLOCK = re.compile(r"(\d{0,9})([#+\-=(.)])")
"""What is Markdown at the beginning of a line, or behind a bracket: a heading, an item, a line, an address."""
AUTOMATIC = re.compile(r"://|www\.|[\w.+-]@[\w-]|:[\w+/-]+:", re.IGNORECASE)
"""What pages make a link or a picture of although it is escaped: addresses and the short names of emoji and icons."""


def visible(text: object) -> str:
    r"""``text`` in which every invisible or controlling character is written as an escape, such as ``\x1b``.

    Line ends and tabs stay. Letters of all scripts and emoji stay as they are.

    >>> visible("abc\x1b[31m\u202edef")
    'abc\\x1b[31m\\u202edef'
    """
    found = str(text)
    if found.isascii() and found.isprintable():
        return found
    return _escaped_title(found) if len(found) <= LONGEST_TITLE else _escaped(found)


def _escaped(text: str) -> str:
    return HIDDEN.sub(_escape, text.replace("\r\n", "\n"))


LONGEST_TITLE = 500
_escaped_title = lru_cache(maxsize=8192)(_escaped)
"""For texts of at most LONGEST_TITLE characters: a page asks for the same titles at every run."""


def _escape(found: re.Match[str]) -> str:
    return found["kept"] or _written(found[0])


def _written(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def for_terminal(text: object) -> str:
    r"""``text`` as one line: as :func:`visible`, and line ends and tabs are written as ``\n`` and ``\t``.

    >>> print(for_terminal("a note\nrun 7: done"))
    a note\nrun 7: done
    """
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def for_markdown(text: object, *, in_table: bool = False) -> str:
    r"""``text`` as one line of Markdown in which nothing is Markdown. ``in_table``: for a cell of a table.

    Addresses and short names of emoji become code, because pages would show a link or a picture although every sign is
    escaped.

    >>> print(for_markdown("![x](a) **b**"))
    \!\[x\](a) \*\*b\*\*
    >>> print(for_markdown("see www.example.org"))
    `see www.example.org`
    """
    shown = visible(" ".join(str(text).split()))
    if BARE_WORDS.fullmatch(shown):
        return shown
    if AUTOMATIC.search(shown):
        return as_code(shown, in_table=in_table)
    escaped = MARKDOWN.sub(r"\\\g<0>", shown)
    begin = BLOCK.match(escaped)
    return f"{begin[1]}\\{escaped[begin.end(1) :]}" if begin else escaped


def as_code(text: object, *, in_table: bool = False) -> str:
    """``text`` as code in Markdown, on one line; empty for an empty text. ``in_table``: for a cell of a table.

    >>> print(as_code("a`b"))
    ``a`b``
    """
    shown = visible(" ".join(str(text).split()))
    if not shown:
        return ""
    shown = shown.replace("|", r"\|") if in_table else shown
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    space = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{space}{shown}{space}{fence}"


def for_html(text: object) -> str:
    """``text`` for the content or a quoted attribute of HTML.

    >>> for_html('<b title="x">')
    '&lt;b title=&quot;x&quot;&gt;'
    """
    return html.escape(visible(text))


def for_shell(text: object) -> str:
    r"""``text`` as one word of a command line for a POSIX shell. It stays one line.

    >>> for_shell("a; rm -rf ~")
    "'a; rm -rf ~'"
    """
    return shlex.quote(for_terminal(text))


def in_all_texts(values: Any) -> Any:
    """``values``, nested lists and dictionaries, with :func:`visible` in place of each text. Keys stay."""
    if isinstance(values, str):
        return visible(values)
    if isinstance(values, dict):
        return {key: in_all_texts(value) for key, value in values.items()}
    return [in_all_texts(value) for value in values] if isinstance(values, list) else values

"""What a medium would do with a text, decided without the code that is tested: parsers of other people, and Unicode's
own tables."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from xml.etree import ElementTree

from markdown_it import MarkdownIt

MARK = re.compile(r"q\d+q")
BLANK = {0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}
"""Characters that show nothing, although Unicode has them among letters and marks."""


def hidden(text: str) -> list[str]:
    """The characters of ``text`` that are not seen or that control something; ends of lines and tabs are none."""
    return [
        f"U+{ord(sign):04X}" for sign in text
        if ord(sign) in BLANK or (unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp") and sign not in "\n\t")
    ]  # fmt: skip


# --- Markdown ---------------------------------------------------------------------------------------------------

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable("text_join")
"""Escaped signs stay tokens of their own kind, ``text_special``."""
OWN_LINK = re.compile(
    r"(#|\?pair=|(overview|explore|heads|matrix|claims|launch|runs|playground)\b|https://arxiv\.org/)"
)
OWN_VALUE = re.compile(r"[\w/]*\?[\w%.+=&,-]*")
"""A link of a page whose values are quoted: a stored text may be a value, but it ends nothing."""
OWN_DIRECTIVE = re.compile(r":(green|red|orange|blue|violet|gray)(-badge)?\[")
WEB = re.compile(r"(https?://|www(?=\.))([-.\w]+)([^ \t\r\n]*)", re.IGNORECASE)
MAIL = re.compile(r"(?:^|[\s\W])([-.\w+]+)@([-\w]+(?:\.[-\w]+)+)")
SHORT_NAME = re.compile(r":(?:material[/_])?[\w+-]+:")
"""What remark and Streamlit replace in the text that is left after Markdown is read (remark-gfm, remark-emoji)."""
PLAIN_NODES = {"paragraph", "inline", "text", "text_special", "softbreak", "code_inline"}


def markdown_problems(source: str) -> list[str]:
    """What Streamlit would make of Markdown on a page besides text: pictures, foreign links, HTML, formulas, colours.

    Links, badges and the layout that pages write themselves are accepted, as long as no mark is in them.
    """
    found = [f"{source[:90]!r}: {problem}" for problem in _problems(source)]
    return found + [f"{source[:90]!r}: hidden {sign}" for sign in hidden(source)]


def _problems(source: str) -> Iterator[str]:
    tokens = PARSER.parse(source)
    for block in tokens:
        if block.type in ("html_block", "fence", "code_block"):
            yield block.type
        children = block.children or []
        for one in children:
            if one.type in ("image", "html_inline") or one.info == "auto":
                yield f"{one.type} {one.content or one.attrs}"
            address = str(one.attrs.get("href", "")) if one.type == "link_open" else "#"
            if not OWN_LINK.match(address) or (MARK.search(address) and not OWN_VALUE.fullmatch(address)):
                yield f"link {one.attrs}"
        # An escaped sign is a token of its own kind, so what is left in plain text can act.
        for plain in (one.content for one in children if one.type == "text"):
            if "$" in plain and MARK.search(source):
                yield f"a formula: {plain}"
        for plain in _joined((one.content, one.type == "text") for one in children if one.type.startswith("text")):
            directive = re.search(r":[a-zA-Z][\w-]*[\[{]|:::", plain)
            if directive and not OWN_DIRECTIVE.match(plain, directive.start()):
                yield f"a directive: {plain}"
        for plain in text_nodes(children):
            for rule in (WEB, MAIL, SHORT_NAME):
                if rule.search(plain):
                    yield f"replaced in the text: {rule.search(plain)}"


def _joined(parts: Iterable[tuple[str, bool]]) -> list[str]:
    """Runs of plain text between escaped signs."""
    found = [""]
    for content, plain in parts:
        if plain:
            found[-1] += content
        else:
            found.append("")
    return found


def text_nodes(children: Iterable) -> list[str]:
    """The text nodes of remark: neighbouring text, escaped signs among it."""
    found = [""]
    for one in children:
        if one.type in ("text", "text_special"):
            found[-1] += one.content
        else:
            found.append("")
    return found


def shown_text(source: str) -> str:
    """What a reader sees of one line of Markdown; raises AssertionError if it is more than text and code."""
    tokens = PARSER.parse(source)
    children = [one for block in tokens for one in block.children or []]
    kinds = {block.type.removesuffix("_open").removesuffix("_close") for block in tokens}
    kinds |= {one.type for one in children}
    assert kinds <= PLAIN_NODES, (source, kinds)
    return "".join(one.content for one in children)


# --- other media ------------------------------------------------------------------------------------------------


class Elements(HTMLParser):
    """Collects the elements of HTML with their attributes, comments and declarations."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.values: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))
        self.values += [value or "" for name, value in attrs if name in ("href", "src", "style", "xlink:href")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_comment(self, data: str) -> None:
        self.found.append(("comment", (data,)))


def elements(html: str) -> Elements:
    """The elements of ``html``."""
    parser = Elements()
    parser.feed(html)
    parser.close()
    return parser


SVG_PARTS = {"svg", "g", "path", "text", "tspan", "rect", "defs", "clipPath", "linearGradient", "stop", "line", "title"}


def svg_problems(source: str) -> list[str]:
    """Parts of an SVG picture that load, link or run something, and hidden characters."""
    found = hidden(source)
    for part in ElementTree.fromstring(source).iter():
        name = part.tag.rpartition("}")[2]
        found += [name] if name not in SVG_PARTS else []
        found += [f"{name} {key}" for key in part.attrib if key.startswith("on") or key.endswith(("href", "src"))]
    return found


def csv_problems(content: bytes) -> list[str]:
    """The cells of a CSV file that a spreadsheet would compute. A reader may take a lone ``\\r`` for a row's end."""
    text = content.decode("utf-8-sig")
    found = []
    for row in csv.reader(io.StringIO(text, newline=None)):
        found += [cell for cell in row if re.match(r"[=+\-@\t\r\n＝＋－＠]", cell) and not _is_number(cell)]
    outside = re.sub(r'"(?:[^"]|"")*"', "", text)  # what stands in no quotes
    return found + (["a lone \\r outside quotes"] if re.search(r"\r(?!\n)", outside) else [])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True

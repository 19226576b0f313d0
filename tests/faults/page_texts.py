"""Every text that a page sends to the browser, by what the browser does with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest
from google.protobuf.message import Message
from streamlit.testing.v1 import AppTest, local_script_runner

from tests.conftest import ROOT

NOT_SHOWN = (
    "id", "key", "form_id", "icon", "url", "query_param_key", "query_string", "element_hash", "language", "fragment_id",
    "theme", "type", "tag", "format", "selection_mode", "deferred_file_id", "component_name", "css_content",
    "css_source_path", "js_content", "js_source_path", "html_content", "datasets.name", "dataframe.columns",
    "heading.anchor",
)  # fmt: skip
"""Fields that are no text for a reader: names of widgets, settings, and code of this program."""
PLAIN = (
    "selectbox.options", "selectbox.raw_value", "multiselect.options", "multiselect.raw_values", "code.code_text",
    "text_input.placeholder", "button_group.raw_values", "bidi_component.json",
)  # fmt: skip
"""Fields that a browser shows as they are, without reading Markdown. Every other text is taken for Markdown."""
EDITED = ("text_input.default", "text_input.value")
"""What a viewer edits: the exact stored text, hidden signs too, because it is stored again."""


@dataclass
class Texts:
    """The texts of a page: ``markdown``, ``plain``, ``html``, specifications of charts, and what can be edited."""

    markdown: list[str] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    html: list[str] = field(default_factory=list)
    charts: list[Any] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)

    @property
    def all(self) -> str:
        """Everything as one text."""
        return "\n".join([*self.markdown, *self.plain, *self.html, json.dumps(self.charts), *self.edited])


def opened(page: str, monkeypatch: pytest.MonkeyPatch, **address: str) -> tuple[AppTest, Texts]:
    """The page at this address, and its texts."""
    kept: list[Any] = []
    parse = local_script_runner.parse_tree_from_messages
    monkeypatch.setattr(
        local_script_runner, "parse_tree_from_messages", lambda sent: (kept.append(sent), parse(sent))[1]
    )
    app = AppTest.from_file(str(ROOT / "pages" / f"{page}.py"), default_timeout=120)
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    return app, texts_of(kept[-1])


def texts_of(messages: Iterable[Any]) -> Texts:
    """The texts in the messages that a run of a page has sent."""
    found = Texts()
    for message in messages:
        if message.HasField("delta"):
            kind = message.delta.WhichOneof("type")
            _collect(getattr(message.delta, kind), "", found)
    return found


def _collect(part: Message, path: str, found: Texts) -> None:
    for described, value in part.ListFields():
        where = f"{path}.{described.name}"
        single = isinstance(value, (str, bytes, Message)) or not hasattr(value, "__len__")
        for one in [value] if single else value:
            if isinstance(one, Message):
                _collect(one, where, found)
            elif isinstance(one, bytes) and one:
                cells = list(_cells(one))  # only tables are sent as bytes
                (found.markdown if where.startswith(".table.") else found.plain).extend(cells)
            elif isinstance(one, str) and where.endswith("lite_chart.spec"):
                found.charts.append(json.loads(one))
            elif isinstance(one, str):
                _sort(one, where, found)


def _sort(text: str, where: str, found: Texts) -> None:
    if where.endswith(tuple(f".{name}" for name in NOT_SHOWN)):
        return
    if where.endswith(EDITED):
        found.edited.append(text)
    elif where.endswith(PLAIN):
        found.plain.append(text)
    elif ".html." in where:
        found.html.append(text)
    else:
        found.markdown.append(text)


def _cells(data: bytes) -> Iterator[str]:
    table = pa.ipc.open_stream(data).read_pandas()
    for name in [table.index, *(table.iloc[:, place] for place in range(table.shape[1]))]:
        yield from (value for value in name if isinstance(value, str))
    yield from (str(name) for name in table.columns)

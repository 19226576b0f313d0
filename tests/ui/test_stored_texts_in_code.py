"""A value of a stored run in a place that reads Markdown stands inside an exit function, wherever a page writes it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT

MARKDOWN = {
    "markdown", "caption", "warning", "error", "info", "success", "toast", "header", "subheader", "title", "metric",
    "write", "table", "expander", "popover", "tabs", "pills", "segmented_control", "radio", "checkbox", "toggle",
    "button", "download_button", "link_button", "page_link", "form_submit_button", "progress", "spinner", "badge",
    "html",
}  # fmt: skip
"""Methods of Streamlit whose texts are Markdown or HTML."""
STORED = {
    "label", "notes", "error", "log_tail", "device", "code_version", "experiment", "task_group", "preset", "group",
    "tags", "owner", "state", "arm", "task", "uuid", "config_hash",
}  # fmt: skip
"""Fields of runs and configs that a store can have any text in."""
EXITS = {"for_markdown", "as_code", "for_html", "task_words", "auxiliary_words", "plain_table", "title_of", "badge"}
"""Functions that give Markdown, HTML or a table in which a stored text is text."""
PLACES = [*sorted((ROOT / "lgt/ui").rglob("*.py")), *sorted((ROOT / "lgt/report").glob("*.py"))]


def unescaped(source: str) -> list[str]:
    """The stored values that ``source`` gives to a method of :data:`MARKDOWN` outside of an exit function."""
    found = []
    for call in ast.walk(ast.parse(source)):
        method = call.func if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) else None
        if method and method.attr in MARKDOWN and "logg" not in ast.unparse(method):
            texts = [*call.args, *(one.value for one in call.keywords if one.arg in ("label", "help", "text", "body"))]
            found += [f"line {call.lineno}: {ast.unparse(one)}" for text in texts for one in stored_values(text)]
    return found


def stored_values(node: ast.AST) -> Iterator[ast.AST]:
    """The attributes and caught errors in an expression that are not inside a call of an exit function."""
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in EXITS:
            return
        for argument in (*node.args, *(one.value for one in node.keywords)):
            yield from stored_values(argument)
    elif isinstance(node, ast.Attribute):
        if node.attr in STORED:
            yield node
    elif isinstance(node, ast.Name):
        if node.id == "error":
            yield node
    elif isinstance(node, ast.Compare):
        return  # a comparison is no text
    elif isinstance(node, ast.IfExp):
        yield from stored_values(node.body)
        yield from stored_values(node.orelse)
    else:
        for part in ast.iter_child_nodes(node):
            yield from stored_values(part)


@pytest.mark.parametrize("path", PLACES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_gives_a_stored_value_to_markdown_as_it_is(path) -> None:
    assert unescaped(path.read_text()) == []


@pytest.mark.parametrize(
    "line",
    ['st.error(f"{record.error}")', "st.caption(run.label)", 'st.error(f"cannot: {error}")', "st.error(str(error))",
     'row.caption(f"a {names.get(1, run.label)} b")', 'st.markdown("x " + record.notes)',
     'st.metric("a", help=row.tags)',
     'st.button(f"{config.preset}")', 'st.info(" · ".join([record.device]))'],
)  # fmt: skip
def test_such_a_place_is_found(line) -> None:
    assert len(unescaped(line)) == 1


@pytest.mark.parametrize(
    "line",
    ['st.error(f"{for_markdown(record.error)}")', "st.caption(f'{counted(len(runs), word)}')", "data.read(run.label)",
     "st.error(for_markdown(error))", 'st.button("Open", disabled=run.state == "done")'],
)  # fmt: skip
def test_an_escaped_text_is_none(line) -> None:
    assert unescaped(line) == []

"""The glossary: one sentence a term, and the document is made from it."""

from __future__ import annotations

import re

import pytest

from lgt.core.glossary import SECTIONS, TERMS, bullet, definition, document
from lgt.tasks import TASKS, unit
from lgt.ui.method import METHOD
from tests.conftest import ROOT


def test_the_document_is_what_the_code_says():
    assert (ROOT / "docs/GLOSSARY.md").read_text() == document(), "python -m lgt.core.glossary > docs/GLOSSARY.md"


def test_no_term_is_defined_twice():
    assert len(TERMS) == sum(len(terms) for terms in SECTIONS.values())


@pytest.mark.parametrize("term", TERMS)
def test_a_definition_is_one_short_sentence_and_does_not_begin_with_its_own_term(term):
    text = TERMS[term]
    assert text[0].isupper() and text.endswith(".") and not re.search(r"[.!?] ", text)
    assert len(text.split()) <= 35 and not text.lower().startswith((term, f"a {term}", f"the {term}"))


def test_the_units_that_the_definition_of_length_lists_are_those_of_the_tasks():
    found = re.search(r": (.*)\.$", TERMS["length"])
    assert found and set(re.split(", | or ", found[1])) == {unit(task) for task in TASKS}


def test_the_method_text_quotes_the_glossary():
    quoted = ("exact match", "transfer accuracy", "transfer gain", "generalization gap", "knock-out", "shared head")
    assert all(TERMS[term] in METHOD for term in quoted)


def test_a_line_of_a_list_begins_with_the_term_and_a_capital():
    assert bullet("main task") == f"- *Main task*: {definition('main task')}"
    assert bullet("run").startswith("- *Run*: One training of one network, ")

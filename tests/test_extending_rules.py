"""The rule in docs/EXTENDING.md is judged by the command, on the page Claims and in the report."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from streamlit.testing.v1 import AppTest

from lgt.core import extensions
from lgt.experiments.claims import CLAIMS
from lgt.experiments.judging import judge
from lgt.experiments.registry import EXPERIMENTS, experiment_named
from lgt.recipes.builders import ALONE_SAME_EXAMPLES, ALONE_SAME_STEPS, CO_TRAINED
from lgt.store.engine import open_store
from tests.conftest import ROOT
from tests.experiments.stores import two_levels
from tests.test_extending import blocks


@pytest.fixture()
def extension(tmp_path, monkeypatch):
    """The toy rule of the document, loaded; what it registers is taken away again."""
    (source,) = blocks("A rule and its figure")
    path = tmp_path / "reach_rule.py"
    path.write_text(source)
    monkeypatch.setenv("LGT_EXTENSIONS", str(path))
    kept = dict(EXPERIMENTS), dict(CLAIMS), dict(extensions._loaded)
    yield extensions.load()
    for registry, before in zip((EXPERIMENTS, CLAIMS, extensions._loaded), kept, strict=True):
        registry.clear()
        registry.update(before)
    sys.modules.pop("lgt_extension_reach_rule")


@pytest.fixture()
def path(extension, tmp_path, monkeypatch):
    """A store whose co-trained runs work up to length 20; the main task alone gets to 8, 8 and 20."""
    path = tmp_path / "a.db"
    store, series = open_store(str(path)), experiment_named("reach-caprev").series
    for seed in (1, 4, 6):
        two_levels(store, series[CO_TRAINED](seed), 1.0, 0.9)
        two_levels(store, series[ALONE_SAME_STEPS](seed), 1.0, 0.6 if seed == 6 else 0.1)
        two_levels(store, series[ALONE_SAME_EXAMPLES](seed), 1.0, 0.0)
    monkeypatch.setenv("LGT_DATABASE_URL", str(path))
    return path


def test_the_rule_decides_by_its_own_numbers(path):
    found = judge(open_store(str(path), read_only=True), experiment_named("reach-caprev"))
    assert found.numbers == {1: 12.0, 4: 12.0, 6: 0.0} and found.outcome == "undecided"
    assert found.sentence().startswith("Reach: together 20.0, alone, same steps 12.0") and "lengths gained +8.00" in (
        found.sentence()
    )


@pytest.mark.slow
def test_the_command_judges_it_with_the_papers_figures(path):
    command = [sys.executable, "-m", "lgt", "claims", "--json"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=True)
    by_name = {one["name"]: one for one in json.loads(done.stdout)}
    assert by_name["reach-caprev"]["rule"] == "reach" and by_name["reach-caprev"]["claim"] == 50
    assert by_name["reach-caprev"]["differences"] == {"1": 12.0, "4": 12.0, "6": 0.0}
    assert by_name["fig4c"]["seeds"] == [1, 4, 6], "the same runs, judged by the paper's rule"


def test_the_page_claims_shows_it_with_its_chart_and_words(path):
    app = AppTest.from_file(str(ROOT / "pages/claims.py"), default_timeout=60)
    app.query_params["reach-caprev"] = "true"
    app.run()
    assert not app.exception and not app.error
    assert "50. Training together moves the longest length that works." in [one.value for one in app.subheader]
    label = next(box.label for box in app.expander if "extend the reach" in box.label)
    assert "undecided" in label
    assert any("*reach* (claim 50; smallest number that counts: 1.00)" in one.value for one in app.markdown)
    specifications = [json.loads(one.proto.spec) for one in app.get("vega_lite_chart")]
    titles = [str(spec) for spec in specifications]
    assert any("Figures about reach" in text for text in titles), "an overview on the rule's own scale"
    assert any("'reach'" in text and "'series'" in text for text in titles), "the rule's own chart"


@pytest.mark.slow
def test_a_report_has_it_too(path, tmp_path):
    from lgt.report.html import write_report

    text = write_report(open_store(str(path), read_only=True), tmp_path / "report.html").read_text()
    assert "Training together moves the longest length" in text and "Reach: together 20.0" in text

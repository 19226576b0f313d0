"""The page Claims."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from lgt.experiments.claims import CLAIMS
from lgt.experiments.judging import judge
from lgt.experiments.registry import EXPERIMENTS
from lgt.metrics.by_seed import LEARNED
from lgt.recipes.builders import ALONE_SAME_EXAMPLES, ALONE_SAME_STEPS, CO_TRAINED
from lgt.store.engine import open_store
from lgt.ui.pages.claims import EARLIER
from tests.conftest import ROOT
from tests.experiments.stores import fill

PAGE = str(ROOT / "pages/claims.py")


def test_a_store_that_has_only_an_earlier_recipe_is_not_empty(tmp_path, monkeypatch):
    path = tmp_path / "a.db"
    nothing = dict.fromkeys((CO_TRAINED, ALONE_SAME_STEPS, ALONE_SAME_EXAMPLES), 0.0)
    fill(open_store(str(path)), EXPERIMENTS["fig8-copy-short"], nothing)
    monkeypatch.setenv("LGT_DATABASE_URL", str(path))
    app = AppTest.from_file(PAGE, default_timeout=60).run()
    assert not app.exception and EARLIER in [one.value for one in app.caption]


@pytest.mark.slow
def test_the_page_shows_verdicts_and_an_empty_store_how_to_begin(tmp_path, shipped, monkeypatch):
    monkeypatch.setenv("LGT_DATABASE_URL", str(shipped))
    app = AppTest.from_file(PAGE, default_timeout=60).run()
    assert not app.exception and not app.error
    labels = [box.label for box in app.expander]
    judged = [one for one in EXPERIMENTS.values() if one.rule is not None]
    assert any(label.startswith(":green-badge[reproduced] **Digit sums and carries") for label in labels)
    assert len(labels) == len(judged) + 1, "each figure, and the rules"
    assert sum(element.value.startswith("So far: ") for element in app.markdown) == len(CLAIMS)
    (rules,) = (element.value for element in app.markdown if "premise not met**" in element.value)
    assert all(one.rule.words in rules and f"counts: {one.rule.smallest:.2f}" in rules for one in judged)
    assert f"match of {LEARNED} on" in " ".join(rules.split())
    drawn = len(app.get("vega_lite_chart"))
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.query_params["fig4c"] = "true"
    app.run()
    assert len(app.get("vega_lite_chart")) == drawn + 4, "an address opens a figure: the seeds and three series"
    assert any("experiment fig4c" in code.value for code in app.code)
    (numbers,) = (element.value for element in app.table)
    judged = judge(open_store(str(shipped), read_only=True), EXPERIMENTS["fig4c"])
    for seed, of in judged.ids.items():
        for series, run_id in of.items():
            cell = numbers.loc[str(seed), str(series)]
            assert cell == f"[{judged.measured.values[series][seed]:.2f}](runs?run={run_id})", "a number opens its run"
    monkeypatch.setenv("LGT_DATABASE_URL", str(tmp_path / "none.db"))
    app = AppTest.from_file(PAGE, default_timeout=60).run()
    assert not app.exception and "No finished runs" in app.info[0].value

"""The page Pretraining."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from lgt.experiments.registry import EXPERIMENTS
from lgt.recipes.pretrained import PRETRAINED
from lgt.store.engine import open_store
from lgt.training.snapshots import snapshot_steps
from lgt.ui.drawing import DRAWN
from tests.conftest import ROOT
from tests.experiments.stores import finished_run

pytestmark = pytest.mark.slow
EXPERIMENT = EXPERIMENTS["pretrained-copy"]
LENGTHS = (*range(1, 17), 20, 24, 32)


@pytest.fixture()
def visit(tmp_path, monkeypatch):
    """The page on a store in which pretrained runs have learned a share between 0.5 and 0.6 after their last step, by
    seed, and nothing before; runs of other series have learned nothing at all."""

    def opened(seeds=(), series=tuple(EXPERIMENT.series)) -> AppTest:
        path = tmp_path / "runs.db"
        store = open_store(str(path))
        for one in series:
            for seed in seeds:
                config = EXPERIMENT.series[one](seed)
                last = config.training.steps
                right = (50 + seed % 100) / 100 if one == PRETRAINED else 0.0
                finished_run(store, config, lambda step, *_, last=last, right=right: right * (step == last),
                             snapshot_steps(config), LENGTHS)  # fmt: skip
        monkeypatch.setenv("LGT_SHIPPED", "")
        monkeypatch.setenv("LGT_DATABASE_URL", str(path))
        app = AppTest.from_file(str(ROOT / "pages/pretraining.py"), default_timeout=60).run()
        assert not app.exception and not app.error
        return app

    return opened


def words(app: AppTest) -> str:
    return "\n".join(element.value for element in app.markdown).replace("\\", "")


def test_without_runs_the_page_says_which_commands_make_them(visit):
    app = visit()
    assert not app.get("vega_lite_chart") and "No finished run" in app.info[0].value
    assert app.code[0].value == "make pretrained\n.venv/bin/python -m lgt experiment pretrained-copy"


def test_the_sentence_the_curves_and_the_verdicts_are_those_of_the_runs(visit):
    app = visit(seeds=(100, 104, 900))  # 900 is a trial and does not count
    assert "Copy at lengths 9 to 16, trained to 8: pretrained 0.52 (0.50–0.54 over 2 seeds)" in words(app)
    assert "small network, learned 0.00" in words(app) and words(app).count("too few seeds") == 3
    last, steps = (
        app.session_state[DRAWN]["pretraining-last"].table,
        app.session_state[DRAWN]["pretraining-steps"].table,
    )
    assert list(dict.fromkeys(last.series)) == [
        "pretrained, after 60 steps", "pretrained, entries shuffled, after 60 steps", "random weights, after 60 steps",
        "small network, learned, after 3,000 steps",
    ]  # fmt: skip
    assert list(dict.fromkeys(steps.series)) == [f"pretrained, after {step} steps" for step in (0, 10, 25, 60)]
    assert set(last.model_seed) == {100, 104} and set(steps.length) == set(LENGTHS)
    shares = (steps.correct / steps.total).groupby(steps.series).mean().round(2).to_dict()
    assert shares == {"pretrained, after 0 steps": 0, "pretrained, after 10 steps": 0, "pretrained, after 25 steps": 0,
                      "pretrained, after 60 steps": 0.52}  # fmt: skip


def test_a_series_without_runs_is_left_out_until_it_has_some(visit):
    app = visit(seeds=(100,), series=(PRETRAINED,))
    assert "pretrained 0.50 (1 seed)" in words(app) and "random" not in words(app).split("not run yet")[0]
    assert words(app).count("not run yet") == 3

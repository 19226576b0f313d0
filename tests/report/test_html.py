"""The report as one HTML file."""

from __future__ import annotations

import pytest

from lgt.cli.main import main
from lgt.experiments.judging import judge
from lgt.experiments.registry import EXPERIMENTS
from lgt.recipes.builders import ALONE_SAME_EXAMPLES, ALONE_SAME_STEPS, CO_TRAINED
from lgt.report.html import write_report
from tests.experiments.stores import fill

pytestmark = pytest.mark.slow

GAIN = {CO_TRAINED: 0.8, ALONE_SAME_STEPS: 0.0, ALONE_SAME_EXAMPLES: 0.1}


def test_a_report_opens_without_a_server_and_says_what_the_command_says(store, tmp_path, capsys):
    experiment = EXPERIMENTS["fig4c"]
    fill(store, experiment, GAIN, seeds=(0, 1, 2, 5, 9))
    path = tmp_path / "report.html"
    with pytest.raises(SystemExit):
        main(["report", str(path), "--database", str(tmp_path / "a.db")])
    text = path.read_text()
    assert text.count("<svg") == 5, "the verdicts, the seeds and three series"
    assert "http" not in text.replace("http://www.w3.org", ""), "nothing is loaded from elsewhere"
    assert judge(store, experiment).sentence() in text and ">reproduced<" in text
    with pytest.raises(SystemExit):
        main(["claims", "--database", str(tmp_path / "a.db")])
    assert judge(store, experiment).sentence() in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["report", str(tmp_path / "nowhere" / "report.html"), "--database", str(tmp_path / "a.db")])
    assert ended.value.code == 2 and "cannot be written" in capsys.readouterr().err


def test_a_report_of_only_an_earlier_recipe_is_not_empty(store, tmp_path):
    fill(store, EXPERIMENTS["fig8-copy-short"], dict.fromkeys(GAIN, 0.0))
    text = write_report(store, tmp_path / "report.html").read_text()
    assert "fig8-copy judges this figure now" in text and "too few seeds" in text

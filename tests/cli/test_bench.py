"""The benchmarks' own arithmetic, what they write and what they refuse. Nothing here measures time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from benchmarks import big_store, document, harness, registry
from benchmarks.harness import Disagreement, Pair, Section
from lgt.store import queries
from lgt.store.engine import open_store
from tests.cli.test_cli import lgt
from tests.conftest import ROOT


def test_a_ratio_is_that_of_the_medians_with_the_range_over_neighbours():
    pair = Pair(ours=[1.0, 2.0, 4.0], peer=[6.0, 6.0, 30.0])
    assert pair.ratio == 3.0 and pair.ratio_range == (3.0, 7.5)
    assert pair.ratio_text() == "**3.00x** (3.00–7.50)"
    assert harness.spread([0.01234, 0.02, 0.03], "s") == "0.02 s (0.0123–0.03)"
    assert harness.number(123456.0) == "123,000" and harness.number(0) == "0"


def test_sides_take_turns_and_nothing_runs_after_a_disagreement():
    seen: list[str] = []

    def side(name):
        return lambda i: seen.append(f"{name}{i}") or 1.0

    harness.alternate(side("a"), side("b"), lambda: None, 3)
    assert seen == ["a0", "b0", "a1", "b1", "a2", "b2"]

    def disagree():
        raise Disagreement("other counts")

    seen.clear()
    with pytest.raises(Disagreement):
        harness.alternate(side("a"), side("b"), disagree, 3)
    assert seen == []


def test_close_series_pass_and_others_say_what_differs():
    assert harness.require_close("loss", [1.0, 2.0], [1.0, 2.002], 1e-2) == pytest.approx(1e-3, rel=0.01)
    for theirs in ([1.0, 2.1], [1.0], [1.0, float("nan")]):
        with pytest.raises(Disagreement, match="loss"):
            harness.require_close("loss", [1.0, 2.0], theirs, 1e-2)


def test_only_the_named_section_changes_and_its_figures_can_be_read_back(tmp_path):
    text = "by hand\n<!-- bench:a -->\nold\n<!-- /bench:a -->\nmore\n<!-- bench:b -->\nkept\n<!-- /bench:b -->\n"
    path = tmp_path / "BENCHMARKS.md"
    path.write_text(text)
    document.write("a", Section(["| x |"], {"speed": 2.5}), ["python", "-m", "lgt", "bench", "a"], 2, path)
    found = path.read_text()
    assert "old" not in found and "| x |" in found and "`python -m lgt bench a`, 2 threads" in found
    assert found.startswith("by hand\n") and found.endswith(text[text.index("more\n") :])
    assert document.figures(found, "a") == {"speed": 2.5} and document.figures(found, "b") == {}
    again = document.replaced(found, "a", "third")
    assert again == text.replace("old", "third")
    for name in ("c", "a -->"):
        with pytest.raises(document.Refused, match="section"):
            document.replaced(text, name, "")
    with pytest.raises(document.Refused):
        document.replaced(text + text, "a", "")


def test_every_benchmark_has_its_section_and_its_module():
    document.require(list(registry.BENCHMARKS))
    for entry in registry.BENCHMARKS.values():
        assert (ROOT / "benchmarks" / f"{entry.module}.py").is_file()


def test_unknown_names_missing_peers_and_installed_copies_are_one_line(capsys, monkeypatch, tmp_path):
    code, out, _ = lgt(capsys, "bench", "--list")
    assert code == 0 and len(out.splitlines()) == len(registry.BENCHMARKS)

    def refused(*names: str) -> str:
        code, _, err = lgt(capsys, "bench", *names)
        assert code == 2 and len(err.strip().splitlines()) == 1 and "Traceback" not in err
        return err

    assert "'juggling'" in refused("juggling") and "training" in refused("juggling")
    assert "--threads" in refused("training", "--threads", "0")
    peer = replace(registry.BENCHMARKS["ablation"], needs=("no_such_package",))
    monkeypatch.setitem(registry.BENCHMARKS, "ablation", peer)
    assert "no_such_package" in refused("ablation") and "make bench" in refused("ablation")
    monkeypatch.setattr("lgt.cli.bench.CHECKOUT", tmp_path)
    assert "checkout" in refused("training")


def test_a_plain_install_does_not_bring_the_benchmarks():
    check = "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb')); print(p['tool']['setuptools']['packages'])"
    found = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "benchmarks" not in found


def test_a_grown_store_is_sound_and_shows_the_same_runs(tmp_path):
    shutil.copy(ROOT / "results.db", tmp_path / "small.db")
    wanted = len(queries.runs(open_store(str(tmp_path / "small.db"), read_only=True))) + 40
    path = big_store.build(tmp_path / "big.db", wanted)
    engine = open_store(str(path), read_only=True)
    runs = queries.runs(engine)
    assert len(runs) == wanted and runs.config_hash.is_unique
    assert big_store.sizes(path)[1] >= wanted * 0.95 * big_store.ROWS_PER_RUN
    copy = queries.run(engine, int(runs.id.iloc[-1]))
    assert copy.config.hash() == copy.config_hash and copy.data_seed == copy.config.data_seed > 0
    first, small = int(runs.id.iloc[0]), open_store(str(tmp_path / "small.db"), read_only=True)
    columns = ["task", "length", "correct", "total"]
    assert queries.accuracy(engine, [first])[columns].equals(queries.accuracy(small, [first])[columns])


@pytest.mark.parametrize("qk_norm", [True, False])
def test_the_plain_loop_is_the_same_network(qk_norm):
    from benchmarks.plain import PlainDecoder, plain_loss
    from lgt.model.decoder import Decoder
    from lgt.recipes.presets import group_config
    from lgt.training.batches import make_batch

    config = group_config("caprev", "demo")
    model = Decoder(replace(config.model, qk_norm=qk_norm), 3)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    batch = make_batch(config, 0)
    plain = PlainDecoder(model)
    with torch.no_grad():
        assert float(plain_loss(plain, batch)) == pytest.approx(float(model.loss(batch.tokens, batch.scored)), rel=1e-5)
        copy = plain.write_to(Decoder(model.config, 4))
        assert torch.equal(copy(batch.tokens), model(batch.tokens))

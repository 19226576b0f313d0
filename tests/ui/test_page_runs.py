"""The Runs page and what it may change: found, marked, put away, brought back, compared, opened."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import parse_qs

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from lgt.core.config import TaskSpec
from lgt.execution import worker_processes
from lgt.metrics.by_seed import transfer_by_seed
from lgt.recipes import commands
from lgt.recipes.presets import custom_config, group_config
from lgt.store import checkpoints, leases, queries, tags, writes
from lgt.store.comparisons import comparisons
from lgt.store.engine import open_store
from lgt.store.library import library_of, with_stores
from lgt.ui import actions, run_table
from tests.conftest import ROOT

pytestmark = pytest.mark.slow


def opened(store, monkeypatch, **asked: str) -> AppTest:
    monkeypatch.setenv("LGT_DATABASE_URL", str(store))
    app = AppTest.from_file(str(ROOT / "pages/runs.py"), default_timeout=60)
    for key, value in asked.items():
        app.query_params[key] = value
    return app.run()


def words(app: AppTest) -> str:
    found = [*app.subheader, *app.markdown, *app.caption, *app.info, *app.error, *app.warning, *app.code]
    return "\n".join(str(element.value) for element in found)


def rows_of(store) -> pd.DataFrame:
    engine = open_store(str(store))
    runs = with_stores(library_of([("workspace", engine)]), queries.runs(engine))
    return run_table.table(runs, queries.final_accuracy(engine))


def test_the_table_has_the_numbers_of_the_curves(shipped):
    engine, rows = open_store(str(shipped)), rows_of(shipped).set_index("run_id")
    for comparison in comparisons(engine).values():
        for arm in ("co-trained", "alone-same-steps"):
            ids = comparison.ids(arm)
            summary = transfer_by_seed(queries.accuracy(engine, ids)) if ids else None
            if summary and not comparison.setting.changes:
                found = {seed: rows.transfer[run_id] for seed, run_id in comparison.runs[arm].items()}
                assert found == pytest.approx(summary.values)
    assert rows.index.is_monotonic_decreasing and rows.trained.between(0, 1).all()


def test_every_word_and_every_facet_narrows_the_table(shipped):
    rows = rows_of(shipped)
    assert run_table.filtered(rows, "", {}).equals(rows)
    narrowed = run_table.filtered(rows, "CAPREV nope", {"seed": [], "side": ["with auxiliary"]})
    assert len(narrowed) == 0, "positions are called none"
    narrowed = run_table.filtered(rows, "flip case 8 ← 16", {"preset": ["demo"], "side": ["with auxiliary"]})
    assert len(narrowed) and set(narrowed.preset) == {"demo"} and narrowed.tasks.str.contains("Flip case").all()
    assert run_table.filtered(rows, "[(*", {}).empty, "a search is letters, not a pattern"
    third = run_table.filtered(rows, "", {"seed": ["3"]})
    assert len(third) and set(third.seed) == {3} and len(third) < len(rows)


def test_marks_decide_where_a_run_is_shown(own_shipped):
    engine = open_store(str(own_shipped))
    assert tags.change_tags(engine, [1, 2], add=["star", "for, talk"]) == [1, 2]
    assert tags.change_tags(engine, [1, 2], add=["star"]) == [], "nothing to undo"
    tags.change_tags(engine, [2], add=["archived"])
    tags.change_tags(engine, [3], add=["deleted"])
    tags.set_note(engine, [1], "look at *this*")
    rows = rows_of(own_shipped)
    kinds = ("starred", "archived", "deleted")
    where = {show: set(run_table.filtered(rows, "", {}, show=show).run_id) for show in kinds}
    assert where == {"starred": {1, 2}, "archived": {2}, "deleted": {3}}
    assert {1, 2, 3} & set(run_table.filtered(rows, "", {}).run_id) == {1}
    assert rows.set_index("run_id").tags[1] == "for, talk".replace(",", " ").replace("  ", " ")
    assert set(run_table.filtered(rows, "this*", {}).run_id) == {1}


def test_a_deleted_run_is_out_of_comparisons_until_it_is_brought_back(tmp_path):
    store = open_store(str(tmp_path / "a.db"))
    config = group_config("caprev", "demo")
    run_id = writes.create_run(store, config)
    leases.finish_run(store, run_id, leases.start_run(store, run_id, "w", "cpu"), "done")
    assert len(comparisons(store)) == 1 and queries.unsuccessful_by_hash(store) == {}
    tags.change_tags(store, [run_id], add=["deleted"])
    assert comparisons(store) == {} and queries.finished_by_hash(store) == {}
    assert list(queries.unsuccessful_by_hash(store).values()) == [f"run {run_id} deleted"]
    assert queries.existing_with_hash(store, config.hash(), ["done"]) is None, "it may be made again"
    tags.change_tags(store, [run_id], add=["undeleted"], remove=["deleted"])
    assert len(comparisons(store)) == 1, "only the very tag counts"


def test_the_page_shows_all_runs_and_one_of_them(shipped, monkeypatch):
    app = opened(shipped, monkeypatch)
    total = len(queries.runs(open_store(str(shipped))))
    assert not app.exception and not app.error and f"{total} of {total} runs." in words(app)
    app.text_input(key="search").set_value("control").run()
    assert not app.exception and f"of {total} runs." in words(app) and f"{total} of {total}" not in words(app)
    app = opened(shipped, monkeypatch, run="1")
    title = "Run 1 · Flip case and reverse, helped by each alone (8 ← 16), co-trained, seed 0"
    assert not app.exception and title in words(app).replace("\\", "")
    assert "lgt train --group caprev --preset demo --seed 0" in words(app)
    app.button(key="back").click().run()
    assert not app.exception and f"{total} of {total} runs." in words(app)


def test_a_run_has_its_star_its_note_and_its_other_pages(own_shipped, monkeypatch):
    engine = open_store(str(own_shipped))
    kept = checkpoints.list_checkpoints(engine)
    run_id = int(kept.run_id[(kept.arm == "co-trained") & (kept.task_group == "caprev")].min())
    app = opened(own_shipped, monkeypatch, run=str(run_id))
    seed = queries.run(engine, run_id).model_seed
    assert f"[Its heads](heads?pair=caprev.demo&side=together&seed={seed})" in words(app)
    assert f"[Open it in the playground](playground?run={run_id})" in words(app)
    app.button(key="star").click().run()
    next(field for field in app.text_input if field.label == "Note").set_value("look here")
    next(button for button in app.button if button.label == "Save").click().run()
    record = queries.run(engine, run_id)
    assert not app.exception and record.tags == ("star",) and record.notes == "look here"
    assert f"★ Run {run_id}" in words(app) and app.button(key="star").label == "Unstar"
    monkeypatch.setenv("LGT_READ_ONLY", "1")
    locked = opened(own_shipped, monkeypatch, run=str(run_id))
    assert locked.button(key="star").disabled and not locked.text_input


def test_a_run_without_weights_has_no_playground(shipped, monkeypatch):
    engine = open_store(str(shipped))
    run_id = int(min(set(queries.runs(engine).id) - set(checkpoints.list_checkpoints(engine).run_id)))
    assert "playground?run" not in words(opened(shipped, monkeypatch, run=str(run_id)))


def launched(sentence: str) -> tuple[str, str]:
    """The address of the Launch page in a sentence, and what the page says there."""
    address = re.search(r"\(launch\?(.*?)\)", sentence)[1]
    app = AppTest.from_file(str(ROOT / "pages/launch.py"), default_timeout=60)
    for key, value in parse_qs(address).items():
        app.query_params[key] = value[0]
    app.run()
    assert not app.exception and not app.error
    return address, words(app)


def test_a_fork_opens_launch_with_the_very_pair_of_every_kind_of_run(own_shipped, monkeypatch):
    """Launch then says that the run is there already: it knows runs by what they are."""
    monkeypatch.setenv("LGT_DATABASE_URL", str(own_shipped))
    engine = open_store(str(own_shipped))
    free = custom_config(
        [TaskSpec("string_copy", "main", 3), TaskSpec("reverse", "auxiliary", 5), TaskSpec("mqar", "auxiliary", 5)],
        "demo", "strings", position="nope", seed=7,
    )  # fmt: skip
    longer = replace(free, tasks=(TaskSpec("string_copy", "main", 4), TaskSpec("mqar", "auxiliary", 10)))
    configs = [free, group_config("control-copy", "demo", seed=31),
               group_config("path-dfs", "demo", arm="alone-same-examples", seed=32),
               custom_config(longer.tasks, "demo", "strings", seed=8)]  # fmt: skip
    for config in configs:
        run_id = writes.create_run(engine, config)
        address, said = launched(words(opened(own_shipped, monkeypatch, run=str(run_id))))
        assert f"[run {run_id}](runs?run={run_id})" in said, address


def test_a_fork_names_what_the_form_does_not_have(shipped, monkeypatch):
    from lgt.ui.group_form import fork_sentence

    config = group_config("caprev", "demo", seed=3)
    assert fork_sentence(config, None).endswith(": the same tasks, lengths and seed.")
    changed = replace(config, training=replace(config.training, steps=77))
    assert "not its 1 changed value (`training.steps=77`); the command above sets them" in fork_sentence(changed, None)
    assert "the form cannot set them" in fork_sentence(replace(config, data_seed=5), None)
    alone = replace(custom_config(config.tasks, "demo", "strings"), tasks=config.tasks[:1], arm="alone-same-steps")
    assert fork_sentence(alone, None) is None, "it does not tell what it stood beside"
    assert "main=capitalize_reverse&aux=capitalize," not in fork_sentence(alone, config), "the paper's pair"
    assert "seeds=0&sides=co-trained,alone-same-steps" in fork_sentence(alone, config)
    other = replace(config, tasks=(*config.tasks[:2], TaskSpec("reverse", "auxiliary", 12)))
    assert fork_sentence(other, None) is None, "the form has one length for all auxiliaries"


@pytest.mark.parametrize("asked", ["x", "-1", "99999", "1" * 50, "²", "<b>"])
def test_a_run_that_is_not_there_is_one_line(asked, shipped, monkeypatch):
    app = opened(shipped, monkeypatch, run=asked)
    assert not app.exception and not app.error and "is not in the stores that count here" in app.warning[0].value


def test_an_empty_store_and_a_failed_run(tmp_path, monkeypatch):
    app = opened(tmp_path / "none.db", monkeypatch)
    assert not app.exception and "No finished runs" in words(app) and not (tmp_path / "none.db").exists()
    store = open_store(str(tmp_path / "failed.db"))
    run_id = writes.create_run(store, group_config("caprev", "demo"), label="<b>odd</b>")
    attempt = leases.start_run(store, run_id, "w", "cpu")
    leases.finish_run(store, run_id, attempt, "failed", "loss is *nan*", log_tail="line one\nline two")
    app = opened(tmp_path / "failed.db", monkeypatch)
    assert not app.exception and "1 of 1 runs." in words(app)
    app = opened(tmp_path / "failed.db", monkeypatch, run=str(run_id))
    assert not app.exception and "Nothing has been measured yet." in words(app)
    assert r"loss is \*nan\*" in words(app) and "line one\nline two" in words(app) and "<b>" not in words(app)
    monkeypatch.setattr(worker_processes, "ensure_workers", lambda url, count: None)
    monkeypatch.setenv("LGT_READ_ONLY", "1")
    assert "retry" not in {button.key for button in opened(tmp_path / "failed.db", monkeypatch, run=str(run_id)).button}
    monkeypatch.delenv("LGT_READ_ONLY")
    app = opened(tmp_path / "failed.db", monkeypatch, run=str(run_id))
    next(button for button in app.button if button.key == "retry").click().run()
    assert queries.run(store, run_id).state.value == "queued" and not app.exception
    assert "retry" not in {button.key for button in app.button}, "a waiting run is not queued twice"


def test_actions_change_marks_and_refuse_when_read_only(own_shipped, monkeypatch):
    from lgt.store.errors import StoreError

    monkeypatch.setenv("LGT_DATABASE_URL", str(own_shipped))
    assert actions.retag([1, 99999], add=["star"]) == [1]
    actions.note([1], "seen")
    record = queries.run(open_store(str(own_shipped)), 1)
    assert record.tags == ("star",) and record.notes == "seen"
    assert actions.delete([1]) == 1 and 1 not in set(rows_of(own_shipped).run_id)
    monkeypatch.setenv("LGT_READ_ONLY", "1")
    for refused in (
        lambda: actions.retag([2], add=["star"]),
        lambda: actions.note([2], "x"),
        lambda: actions.delete([2]),
    ):
        with pytest.raises(StoreError, match="LGT_READ_ONLY"):
            refused()
    app = opened(own_shipped, monkeypatch)
    assert not app.exception and "read-only" in words(app)


def test_a_command_makes_exactly_its_run():
    from lgt.cli.training import chosen_config

    free = custom_config(
        [TaskSpec("reverse_add", "main", 4), TaskSpec("no_carry", "auxiliary", 9)], "demo", "arithmetic"
    )
    control = replace(free, tasks=(*free.tasks, TaskSpec("string_copy", "control", 9)))
    configs = [control, group_config("caprev", "demo", seed=3),
               group_config("caprev", "small", arm="alone-same-examples"),
               group_config("add-carry", "demo", arm="alone-same-steps", position="nope"), free,
               replace(free, training=replace(free.training, steps=77))]  # fmt: skip
    for config in configs:
        parts = commands.train_command(config).split(" train ")[1].split()
        flags = {"--main-only": False, "--same-examples": False}
        values: dict[str, list[str]] = {}
        while parts:
            name = parts.pop(0)
            if name in flags:
                flags[name] = True
            else:
                values.setdefault(name, []).append(parts.pop(0))
        made = chosen_config(
            values.get("--group", [None])[0], values.get("--main", [None])[0], values.get("--aux", []),
            values["--preset"][0], int(values["--seed"][0]), values.get("--position", ["rope"])[0],
            flags["--main-only"], flags["--same-examples"], values.get("--set", []), values.get("--control", []),
        )  # fmt: skip
        assert made.hash() == config.hash()
    assert commands.train_command(replace(configs[1], data_seed=5)) is None, "no option says that"
    main, *others = control.tasks
    assert commands.train_command(replace(control, tasks=(main, *others[::-1]))) is None, "nor that order of roles"
    assert commands.train_command(replace(free, tasks=free.tasks[:1], arm="alone-same-steps")) is None


def test_differences_name_the_settings_that_differ_and_no_others():
    one, other = group_config("caprev", "demo"), group_config("caprev", "demo", position="nope", seed=2)
    found = run_table.config_differences({"run 4": one, "run 9": other})
    assert found.setting.tolist() == ["model.position", "model_seed"]
    assert found["run 4"].tolist() == ["rope", "0"] and found["run 9"].tolist() == ["nope", "2"]
    assert run_table.config_differences({"run 1": one, "run 2": one}).empty
    pair = [TaskSpec("capitalize_reverse", "main", 4), TaskSpec("reverse", "auxiliary", 16)]
    found = run_table.config_differences({"run 4": one, "run 9": replace(one, tasks=tuple(pair))}).set_index("setting")
    assert found["run 4"].to_dict() == {
        "tasks.capitalize_reverse": "main, trained to 8", "tasks.capitalize": "auxiliary, trained to 16",
    }  # fmt: skip
    assert found["run 9"].tolist() == ["main, trained to 4", "–"], "one task a row, and those that are not there"
    settings = run_table.config_frame(replace(one, training=replace(one.training, steps=9))).set_index("setting")
    assert settings.changed[settings.changed != ""].index.tolist() == ["training.steps"]
    assert settings.preset["training.steps"] == "1000" and settings.value["training.steps"] == "9"


def test_the_search_takes_terms_and_names_the_ones_it_cannot_read(few_runs, monkeypatch):
    rows = rows_of(few_runs)
    total, good = len(rows), int(((rows.seed == 1) & (rows.transfer > 0.5)).sum())
    assert 0 < good < total
    app = opened(few_runs, monkeypatch, search="seed=1 transfer>50%")
    assert not app.exception and not app.warning and f"{good} of {total} runs." in words(app)
    app.text_input(key="search").set_value("seed=1 transfer>50% colour=<b>red").run()
    assert f"{good} of {total} runs." in words(app) and len(app.warning) == 1 and not app.exception
    said = app.warning[0].value.replace("\\", "")
    assert said.startswith("colour=<b>red: there is no such field. Fields: run, seed,")
    assert said.endswith("The table is shown without this term.")
    app.text_input(key="search").set_value("seed=x transfer:1").run()
    assert f"{total} of {total} runs." in words(app) and "1 more cannot be read" in app.warning[0].value
    assert "`transfer>0.8`: transfer accuracy" in words(app) and "store:workspace" not in words(app)


def test_a_store_with_failed_and_queued_runs_is_searched_by_state(tmp_path, monkeypatch):
    store = open_store(str(tmp_path / "own.db"))
    failed, _ = (writes.create_run(store, group_config("add-subtract", "demo", seed=seed)) for seed in (1, 2))
    leases.finish_run(store, failed, leases.start_run(store, failed, "w", "cpu"), "failed", "loss is nan")
    for text, count in (("state:failed", 1), ("state=queued seed=2", 1), ("pair:subtraction", 2), ("transfer<=1", 0)):
        app = opened(tmp_path / "own.db", monkeypatch, search=text)
        assert not app.exception and not app.warning and f"{count} of 2 runs." in words(app), text

"""R11: bad input in configs, commands and addresses gives a message that names the field, or the default value."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lgt.core.checks import ConfigError
from lgt.core.config import RunConfig, with_setting
from lgt.core.plain_text import for_markdown
from lgt.recipes.limits import check_limits
from lgt.recipes.presets import group_config
from lgt.store.engine import database_url
from lgt.store.errors import StoreError
from lgt.tasks import check_run
from tests.conftest import ROOT
from tests.faults import size

ODD = [
    float("nan"), float("inf"), -float("inf"), -1, 0, 1e9, -(10**30), 10**30, 0.5, True, None, "", "x" * 100_000,
    "<script>alert(1)</script>", "../../etc/passwd", "'; DROP TABLE runs; --", "\N{PILE OF POO}", "\0", "nan", [], {},
    [1, 2], {"steps": 3}, "reverse_add", "unknown_task", "=1+1", "\ud800",
]  # fmt: skip


def changed(plain_config: dict, source: random.Random) -> dict:
    """A copy of a config with one to three places changed, removed or added."""
    copy = json.loads(json.dumps(plain_config))
    for _ in range(source.randint(1, 3)):
        place = copy
        while True:
            key = source.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if isinstance(place[key], dict | list) and place[key] and source.random() < 0.8:
                place = place[key]
                continue
            break
        action = source.random()
        if action < 0.8:
            place[key] = source.choice(ODD)
        elif action < 0.9:
            del place[key]
        elif isinstance(place, dict):
            place[str(source.choice(ODD))[:50]] = source.choice(ODD)
    return copy


def test_r11_generated_configs_are_refused_by_field_or_run_as_they_are() -> None:
    source, refused = random.Random(11), 0
    base = [group_config(group, "demo").as_dict() for group in ("caprev", "add-carry", "dfs-path")]
    for _ in range(2000):
        try:
            config = RunConfig.from_dict(changed(source.choice(base), source))
            check_run(config)
            check_limits(config)
            assert RunConfig.from_json(config.canonical_json()) == config
        except ConfigError as error:
            refused += 1
            assert "\n" not in str(error) and "is not accepted; accepted: " in str(error) and len(str(error)) < 2000
    assert refused > 1000


def test_r11_settings_from_the_command_line() -> None:
    source, config = random.Random(5), group_config("caprev", "demo")
    paths = [
        "training.steps",
        "model.width",
        "evaluation.examples",
        "training.precision",
        "model.qk_norm",
        "x",
        "a.b.c",
    ]
    for _ in range(500):
        path, value = source.choice(paths), str(source.choice(ODD))
        try:
            with_setting(config, path, value)
        except ConfigError as error:
            assert "\n" not in str(error)


def test_r11_database_urls() -> None:
    source = random.Random(9)
    pieces = ["sqlite://", "postgresql://", "mysql://", "/", ":", "@", "?", "#", "..", "a", "\0", "%00", "user:secret",
              "\N{SNOWMAN}", " ", "=", "localhost", ":memory:", "file:", "mode=ro", "results.db"]  # fmt: skip
    for _ in range(500):
        url = "".join(source.choice(pieces) for _ in range(source.randint(1, 8)))
        try:
            database_url(url)
        except StoreError as error:
            assert "\n" not in str(error)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["overview", "explore", "launch"])
def test_r11_addresses_fall_back_to_the_default(page: str, shipped: Path, monkeypatch) -> None:
    monkeypatch.setenv("LGT_DATABASE_URL", str(shipped))
    source = random.Random(page)
    keys = ["pair", "series", "band", "seeds", "at", "threshold", "matched", "group", "preset", "position", "present"]
    for _ in range(size(4, 170)):
        app = AppTest.from_file(str(ROOT / f"pages/{page}.py"), default_timeout=60)
        for key in source.sample(keys, 5):
            value = str(source.choice(ODD)).encode("utf-8", "replace").decode()[:2000]
            app.query_params[key] = value
        app.run()
        assert not app.exception
        assert not [error.value for error in app.error if "error id" in error.value]


def test_text_from_a_store_stays_text() -> None:
    assert for_markdown("![x](a/b) <img src=x> **b** `c` [d](e) :red[f] $g$") == (
        r"\!\[x\](a/b) \<img src=x\> \*\*b\*\* \`c\` \[d\](e) \:red\[f\] \$g\$"
    )
    assert for_markdown("two\n\n# lines") == "two # lines"

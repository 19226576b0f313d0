"""The fused step against the readable model, PyTorch's gradients and PyTorch's optimizers."""

from __future__ import annotations

import logging
import os
import platform
import shutil
import subprocess
from dataclasses import replace
from itertools import product

import pytest
import torch

from lgt.core import paths
from lgt.core.config import RunConfig, TrainingConfig
from lgt.fused import library as fused_library
from lgt.fused.step import FusedStep
from lgt.model.decoder import Decoder
from lgt.model.positions import Encoding, registered
from lgt.recipes.presets import group_config
from lgt.training.batches import make_batch
from lgt.training.loop import train
from lgt.training.recorder import MemoryRecorder
from lgt.training.steps import TorchStep, make_optimizers, make_stepper
from tests.conftest import tiny
from tests.networks import spread


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def config_of(group: str, batch_size: int = 16, **model) -> RunConfig:
    config = group_config(group, "demo")
    return replace(
        config,
        model=replace(config.model, **model),
        training=replace(config.training, batch_size=batch_size, pool=2),
    )


def shaken(config: RunConfig) -> Decoder:
    """A model whose gains are not all alike, so that a wrong index among them shows."""
    model = Decoder(config.model, seed=3)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim != 2:
                parameter.mul_(1 + 0.3 * torch.randn(parameter.shape, generator=generator))
    spread(model.encoding)
    return model


SHAPES = {
    "demo": config_of("caprev"),
    "three layers": config_of("add-carry", layers=3),
    "heads of 8 channels": config_of("control-copy", heads=8),
    "no positions": config_of("copy-mqar", position="nope"),
    "one layer, no qk norm": config_of("add-subtract", layers=1, qk_norm=False),
    "widths that fill no vector": config_of("add-multiply", width=36, heads=3, hidden=50),
    "sequences longer than a chunk": config_of("dfs-path", batch_size=12, heads=2, layers=3),
    "fewer sequences than groups": config_of("path-dfs", batch_size=3),
    "linear biases, three heads": config_of("copy-mqar", position="alibi", width=36, heads=3),
    "linear biases, no qk norm, short": config_of("add-carry", position="alibi", layers=1, qk_norm=False),
    "learned biases": config_of("caprev", position="fire"),
    "learned biases, sequences longer than a chunk": config_of("dfs-path", batch_size=12, position="fire", layers=3),
    "one layer, six times": config_of("caprev", layers=1, schedule="six-times"),
    "two layers, three times, learned biases": config_of("add-carry", position="fire", schedule="three-times"),
    "two heads share keys": config_of("caprev", kv_heads=2),
    "one key head, tied": config_of("add-carry", kv_heads=1, tied=True, qk_norm=False),
    "nine heads share three keys, tied": config_of("copy-mqar", width=54, heads=9, kv_heads=3, hidden=50, tied=True),
    "tied, two times": config_of("control-copy", tied=True, schedule="twice", batch_size=3),
    "learned biases, shared keys, long": config_of("dfs-path", batch_size=12, position="fire", kv_heads=2, layers=3),
}
LONG = replace(
    group_config("path-dfs", "paper"), model=SHAPES["demo"].model, training=TrainingConfig(batch_size=6, pool=1)
)


@pytest.mark.slow
@pytest.mark.parametrize("config", [*SHAPES.values(), LONG], ids=[*SHAPES, "long mazes"])
def test_loss_and_gradient_are_those_of_the_readable_model(config):
    for step in (0, 1):
        model = shaken(config)
        batch = make_batch(config, step)
        loss = model.loss(batch.tokens, batch.scored)
        loss.backward()
        wanted = [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()]
        fused = FusedStep(model, config.training)
        assert fused.gradients(batch) == pytest.approx(loss.item(), rel=1e-5)
        pieces = fused.gradient.split([parameter.numel() for parameter in model.parameters()])
        for (name, parameter), piece, reference in zip(model.named_parameters(), pieces, wanted, strict=True):
            error, size = (piece.view(parameter.shape) - reference).norm(), reference.norm().clamp(min=1e-12)
            if name.startswith("encoding."):  # a sum over all pairs of positions, most of which cancels
                size = size + 0.05 * fused.gradient.norm()
            assert error < 1e-4 * size, (name, float(error / size))


@pytest.mark.parametrize("name", ["demo", "learned biases", "one layer, six times", "one key head, tied"])
def test_adamw_updates_are_those_of_pytorch(name):
    training = TrainingConfig(optimizer="adamw", learning_rate=3e-3, embedding_learning_rate=1e-2, weight_decay=0.3)
    ours, theirs = after_steps(SHAPES[name], training, 6)
    assert torch.allclose(ours, theirs, atol=2e-5), (ours - theirs).abs().max()


def test_clipping_limits_the_step_as_in_pytorch():
    training = TrainingConfig(optimizer="adamw", gradient_clip=1e-6)  # Adam's epsilon makes a tiny gradient count less
    ours, theirs = after_steps(SHAPES["demo"], training, 2)
    free, _ = after_steps(SHAPES["demo"], replace(training, gradient_clip=1e6), 2)
    assert torch.allclose(ours, theirs, atol=2e-5) and not torch.allclose(ours, free, atol=1e-4)


def after_steps(config: RunConfig, training: TrainingConfig, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Flat parameters after ``steps`` fused steps and after PyTorch's optimizers got the same gradients."""
    fused_model, model = shaken(config), shaken(config)
    fused = FusedStep(fused_model, training)
    optimizers = make_optimizers(model, training)
    sizes = [parameter.numel() for parameter in model.parameters()]
    for step in range(steps):
        fused.gradients(make_batch(config, step))
        for parameter, piece in zip(model.parameters(), fused.gradient.split(sizes), strict=True):
            parameter.grad = piece.view(parameter.shape).clone()
        torch.nn.utils.clip_grad_norm_(model.parameters(), training.gradient_clip)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = 0.5 * group["base"]
            optimizer.step()
        fused.update(0.5)
    return fused.parameters, torch.cat([parameter.detach().reshape(-1) for parameter in model.parameters()])


def polynomial_of_singular_values(matrix: torch.Tensor) -> torch.Tensor:
    """What five Newton-Schulz steps of Muon are meant to do: U p(p(p(p(p(S))))) V^T, here by a real SVD."""
    u, s, v = torch.linalg.svd(matrix.double() / matrix.double().norm(), full_matrices=False)
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return u * s @ v


@pytest.mark.parametrize(
    ("name", "shape"),
    [*product(["query", "output", "gate", "down"], ["demo"]), *product(["key", "value"], ["two heads share keys"])],
)
def test_a_muon_update_is_the_polynomial_of_its_singular_values(name, shape):
    config, training = SHAPES[shape], TrainingConfig(learning_rate=0.02, weight_decay=0.5, gradient_clip=1e6)
    model = shaken(config)
    fused = FusedStep(model, training)
    fused.gradients(make_batch(config, 0))
    place = next(n for n, _ in model.named_parameters() if f".{name}.weight" in n)
    before = model.get_parameter(place).detach().clone()
    start = sum(
        p.numel() for n, p in list(model.named_parameters())[: list(dict(model.named_parameters())).index(place)]
    )
    gradient = fused.gradient[start : start + before.numel()].view(before.shape)
    fused.update(1.0)
    rows, columns = before.shape
    wanted = before * (1 - 0.02 * 0.5) - 0.02 * max(1, rows / columns) ** 0.5 * polynomial_of_singular_values(gradient)
    assert torch.allclose(model.get_parameter(place).detach().double(), wanted, atol=2e-5)


@pytest.mark.parametrize("name", ["demo", "one key head, tied"])
def test_muon_updates_are_those_of_the_step_in_pytorch(name):
    ours, theirs = after_steps(SHAPES[name], TrainingConfig(learning_rate=0.02), 4)
    start = torch.cat([parameter.detach().reshape(-1) for parameter in shaken(SHAPES[name]).parameters()])
    assert (ours - theirs).norm() < 1e-3 * (ours - start).norm()


class PerHead(Encoding):
    """One learned number for each head and distance below 3, and a parameter that nothing depends on."""

    name, title = "per-head", "one number for each near distance"

    def __init__(self, config) -> None:
        super().__init__(config)
        self.near = torch.nn.Parameter(torch.zeros(config.heads, 3))
        self.unused = torch.nn.Parameter(torch.ones(2))
        self.fixed = torch.nn.Parameter(torch.ones(1), requires_grad=False)

    def bias(self, positions):
        far = positions[..., :, None] - positions[..., None, :]
        return self.fixed * torch.where((far >= 0) & (far < 3), self.near[:, far.clamp(0, 2)], 0.0)


def test_any_encoding_that_only_adds_biases_is_trained_as_autograd_says():
    with registered(PerHead):
        config = config_of("caprev", position="per-head")
        test_loss_and_gradient_are_those_of_the_readable_model(config)
        model = shaken(config)
        start = model.encoding.near.clone()
        fused = FusedStep(model, config.training)
        for step in range(2):
            fused.step(make_batch(config, step), 1.0)
        assert (model.encoding.near - start).abs().min() > 1e-3
        other = shaken(config)
        kept = other.encoding.fixed.clone()
        make_stepper(other, replace(config, training=replace(config.training, precision="bfloat16"))).step(
            make_batch(config, 0), 1.0
        )
        assert torch.equal(other.encoding.fixed, kept) and not torch.equal(other.encoding.near, start)
        for name in ("unused", "fixed"):
            assert torch.equal(getattr(model.encoding, name), getattr(shaken(config).encoding, name))


def test_only_a_table_that_has_learned_parameters_gets_a_gradient():
    for position, (biased, learned) in {"rope": (0, 0), "nope": (0, 0), "alibi": (1, 0), "fire": (1, 1)}.items():
        config = config_of("caprev", position=position)
        table, gradient = FusedStep(Decoder(config.model), config.training).biases.table(9)
        assert (table is not None, gradient is not None) == (biased, learned)
        assert table is None or table.shape == (4, 9, 9)


def test_pytorch_computes_the_biases_and_their_gradient_on_one_thread():
    """Its sums may depend on the number of threads, even if none of the tests' sizes shows it."""
    seen = []

    class Watching(PerHead):
        name, title = "watching", "counts threads"

        def bias(self, positions):
            seen.append(torch.get_num_threads())
            found = super().bias(positions)
            found.register_hook(lambda gradient: seen.append(torch.get_num_threads()))
            return found

    with registered(Watching):
        config = config_of("caprev", position="watching")
        fused = FusedStep(Decoder(config.model), config.training)
        torch.set_num_threads(5)
        fused.step(make_batch(config, 0), 1.0)
    assert seen == [1, 1] and torch.get_num_threads() == 5


LONG_FIRE, LOOPED_FIRE = "learned biases, sequences longer than a chunk", "two layers, three times, learned biases"


@pytest.mark.parametrize("name", ["three layers", LONG_FIRE, LOOPED_FIRE, "nine heads share three keys, tied"])
def test_results_do_not_depend_on_the_number_of_threads(name):
    config = SHAPES[name]
    models = []
    for count in (1, 2, 5):
        torch.set_num_threads(count)
        model = Decoder(config.model)
        fused = FusedStep(model, config.training)
        for step in range(3):
            fused.step(make_batch(config, step), 1.0)
        models.append(fused.parameters)
    assert torch.equal(models[0], models[1]) and torch.equal(models[0], models[2])


def test_the_model_has_the_weights_of_every_fused_step():
    config = SHAPES["demo"]
    model = Decoder(config.model)
    batch = make_batch(config, 0)
    fused = FusedStep(model, config.training)
    for _ in range(5):
        fused.step(batch, 1.0)
    assert model.loss(batch.tokens, batch.scored).item() == pytest.approx(fused.gradients(batch), rel=1e-5)
    assert model.loss(batch.tokens, batch.scored).item() < 5.0


def test_float32_on_the_cpu_is_fused_and_everything_else_is_pytorch():
    config = SHAPES["demo"]
    assert isinstance(make_stepper(Decoder(config.model), config), FusedStep)
    assert isinstance(make_stepper(Decoder(config.model), config, fused=False), TorchStep)
    low = replace(config, training=replace(config.training, precision="bfloat16"))
    assert isinstance(make_stepper(Decoder(config.model), low), TorchStep)


@pytest.fixture
def fresh_library(monkeypatch, tmp_path):
    monkeypatch.setenv("LGT_CACHE", str(tmp_path / "cache"))
    forget()
    yield fused_library.library
    monkeypatch.undo()
    forget()


@pytest.fixture
def quick_build(monkeypatch):
    """Compile without optimizing, in a quarter of the time: where compiled code is kept does not depend on it."""
    monkeypatch.setattr(fused_library, "FLAGS", ("-O0", *fused_library.FLAGS[1:]))


def forget():
    fused_library.library.cache_clear()
    fused_library.attempt.cache_clear()


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the flags are those of x86 processors")
@pytest.mark.parametrize("processor", ["x86-64", "x86-64-v3"])
def test_gradients_are_right_on_processors_with_narrower_vectors(processor, monkeypatch, fresh_library):
    monkeypatch.setattr(fused_library, "machine_flags", lambda: (f"-march={processor}",))
    test_loss_and_gradient_are_those_of_the_readable_model(SHAPES["three layers"])
    test_loss_and_gradient_are_those_of_the_readable_model(SHAPES["heads of 8 channels"])


def test_without_a_compiler_training_is_plain_and_says_so_once(monkeypatch, fresh_library, caplog):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            train(tiny(steps=2), MemoryRecorder())
    assert [record.message for record in caplog.records].count(caplog.records[0].message) == 1
    assert "no C++ compiler" in caplog.records[0].message


def test_a_compiler_that_fails_is_named_in_one_line(monkeypatch, fresh_library, caplog, tmp_path):
    broken = tmp_path / "broken-c++"
    broken.write_text('#!/bin/sh\n[ "$1" = --version ] && exit 0\necho "step.cpp:1: error: no luck" >&2\nexit 1\n')
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    assert fresh_library() is None
    assert "step.cpp:1: error: no luck" in caplog.text and caplog.text.count("\n") == 1


@pytest.mark.slow
@pytest.mark.usefixtures("quick_build")
def test_the_compiled_code_is_kept_and_found_again(fresh_library):
    assert fresh_library() is not None
    (kept,) = (paths.cache_directory() / "code").glob("*.so")
    written = kept.stat().st_mtime_ns
    forget()
    assert fresh_library() is not None and kept.stat().st_mtime_ns == written


@pytest.mark.parametrize("which", ["step.so", "step.so.sha256"])
@pytest.mark.parametrize("sign", ["another user's", "writable by others", "a link"])
def test_code_that_another_user_may_have_written_is_compiled_again(sign, which, tmp_path):
    compiler, before = ["sh", "-c", 'echo code >> "$0"; cp "$0" "$2"', str(tmp_path / "made")], os.umask(0o002)
    try:
        made = [fused_library._compile_into(tmp_path, "step.so", compiler).read_text() for _ in range(2)]
        assert made == ["code\n"] * 2, "found again"
        kept = tmp_path / which
        if sign == "a link":
            kept.symlink_to(kept.rename(tmp_path / "elsewhere"))
        elif sign == "writable by others":
            kept.chmod(0o664)
        elif os.getuid() == 0:
            os.chown(kept, 54321, 54321)
        else:
            pytest.skip("only root can make a file of another user")
        made = [fused_library._compile_into(tmp_path, "step.so", compiler).read_text() for _ in range(2)]
        assert made == ["code\ncode\n"] * 2 and paths.is_own_file(kept)
    finally:
        os.umask(before)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_build")
def test_without_a_cache_of_its_own_a_process_compiles_in_its_temporary_folder(fresh_library, monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("LGT_CACHE", str(blocked / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    paths.process_folder.cache_clear()
    assert fresh_library() is not None
    assert list(paths.process_folder().rglob("step-*.so")) and paths.process_folder().parent == tmp_path
    paths.process_folder.cache_clear()


@pytest.mark.slow
@pytest.mark.usefixtures("quick_build")
@pytest.mark.parametrize("damage", [b"", b"\x7fELF cut", b"other"])
def test_damaged_code_in_the_cache_is_compiled_again(damage, fresh_library):
    assert fresh_library() is not None
    (kept,) = (paths.cache_directory() / "code").glob("*.so")
    whole = kept.read_bytes()
    kept.unlink()  # a new file: this process has the old one loaded
    kept.write_bytes(damage)
    forget()
    assert fresh_library() is not None and kept.read_bytes() == whole


@pytest.mark.slow
@pytest.mark.usefixtures("quick_build")
@pytest.mark.parametrize("umask", [0o077, 0o002, 0o000])
def test_the_code_is_kept_under_any_umask(umask, fresh_library, tmp_path):
    before = os.umask(umask)
    try:
        paths.own_folder("workers/some")  # whoever makes the cache folder first
        assert fresh_library() is not None
    finally:
        os.umask(before)
    (kept,) = (paths.cache_directory() / "code").glob("*.so")
    written = kept.stat().st_mtime_ns
    forget()
    assert fresh_library() is not None and kept.stat().st_mtime_ns == written, "and is found again"


@pytest.mark.slow
@pytest.mark.usefixtures("quick_build")
def test_folders_of_killed_compilers_are_removed_and_those_at_work_stay(fresh_library):
    folder = paths.own_folder("code")
    killed, busy = folder / ".compiling-old", folder / ".compiling-new"
    for made in (killed, busy):
        made.mkdir()
        (made / "step.o").touch()
    os.utime(killed, (1, 1))
    assert fresh_library() is not None
    assert not killed.exists() and busy.exists()


@pytest.mark.slow
@pytest.mark.usefixtures("quick_build")
def test_the_compiler_may_be_a_command_line(fresh_library, monkeypatch):
    monkeypatch.setenv("CXX", f"env LANG=C '{shutil.which('g++') or shutil.which('clang++')}'")
    assert fresh_library() is not None and fused_library.attempt()[1].startswith(str(shutil.which("env")))


def compiled() -> dict[str, bytes]:
    """The compiled code in the cache, by file name."""
    return {path.name: path.read_bytes() for path in (paths.cache_directory() / "code").glob("*.so")}


@pytest.mark.slow
@pytest.mark.usefixtures("quick_build")
@pytest.mark.skipif(not shutil.which("g++"), reason="g++ is not installed")
def test_no_variable_makes_the_compiled_code_compute_something_else(fresh_library, monkeypatch):
    monkeypatch.setenv("CXX", "g++")
    assert fresh_library() is not None
    (plain,) = compiled().items()
    monkeypatch.setenv("CXXFLAGS", "-ffast-math --no-such-option")
    forget()
    assert fresh_library() is not None and list(compiled().items()) == [plain], "CXXFLAGS is not read"
    for number, options in enumerate(("-ffast-math", "-ffinite-math-only", "-funsafe-math-optimizations -Ofast"), 2):
        monkeypatch.setenv("CXX", f"g++ {options}")
        forget()
        assert fresh_library() is not None, fused_library.attempt()[1]
        assert len(compiled()) == number and set(compiled().values()) == {plain[1]}, options


def wrapper(path, options: str) -> str:
    """A script that is a compiler with more options at the end; its version is that of g++."""
    path.write_text(f'#!/bin/sh\nexec g++ "$@" {options}\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_build")
@pytest.mark.skipif(not shutil.which("g++"), reason="g++ is not installed")
def test_compilers_that_say_the_same_version_do_not_share_compiled_code(fresh_library, monkeypatch, tmp_path):
    for number, (name, options) in enumerate((("one", ""), ("other", "-g0"), ("one", "-fno-inline")), 1):
        monkeypatch.setenv("CXX", wrapper(tmp_path / name, options))
        forget()
        assert fresh_library() is not None
        assert len(compiled()) == number
    monkeypatch.setenv("CXX", wrapper(tmp_path / "hidden", "-ffast-math"))
    forget()
    assert fresh_library() is None and "-ffast-math" in fused_library.attempt()[1]


def test_a_compiler_variable_that_is_no_command_line_gives_one_line(fresh_library, monkeypatch):
    monkeypatch.setenv("CXX", "g++ 'open")
    assert fresh_library() is None and "accepted: a command, such as ccache g++" in fused_library.attempt()[1]


def test_a_compiler_that_takes_too_long_gives_one_line(fresh_library, monkeypatch, caplog):
    def slow(*arguments, **options):
        raise subprocess.TimeoutExpired("g++", 300, stderr=b"step.cpp:1: warning: slow\n")

    monkeypatch.setattr(fused_library, "compiled", slow)
    assert fresh_library() is None and "step.cpp:1: warning: slow" in caplog.text


@pytest.mark.slow
def test_fused_and_plain_training_learn_equally_well():
    config = tiny(steps=60)
    losses = {}
    for fused in (True, False):
        model = Decoder(config.model, config.model_seed)
        stepper = make_stepper(model, config, fused=fused)
        losses[fused] = [float(stepper.step(make_batch(config, step), 1.0)) for step in range(60)]
    assert sum(losses[True][-10:]) == pytest.approx(sum(losses[False][-10:]), rel=0.1)

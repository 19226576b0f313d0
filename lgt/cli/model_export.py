"""The command ``export-model``: the stored weights of a run as a folder that Hugging Face ``transformers`` loads."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from lgt.cli.measuring import Step, network_of, read_weights
from lgt.cli.shared_options import Also, ReadDatabase, open_to_read, run_id_of, whole_number

if TYPE_CHECKING:
    from lgt.model.hugging_face import Counterpart
    from lgt.store.library import Library
    from lgt.store.queries import RunRecord


def export_model(
    run: str, target: str, step: Step = None, database: ReadDatabase = None, also: Also = None
) -> None:  # fmt: skip
    """Write the weights of a run into the new folder TARGET, for Hugging Face transformers. Stores are only read.

    The folder has the network, a tokenizer and a README.md. The logits are those of the run. transformers is needed to
    load the folder, not to write it.
    """
    if "." not in run:
        whole_number(run)  # before a store is opened
    from lgt.store.atomic_files import check_new_folder, write_folder

    check_new_folder(Path(target))
    library = open_to_read(database, also)
    run_id = run_id_of(library, run)
    from lgt.model.hugging_face import check_counterpart, counterpart
    from lgt.store import queries

    record, name = queries.run(library, run_id), library.name(run_id)
    check_counterpart(record.config.model)
    weights = read_weights(library, run_id, step, _missing(record, name))
    found = counterpart(network_of(weights, record.config, name))
    files = folder_files(found, card(library, record, name, found, weights.step, Path(target)))
    write_folder(Path(target), files)
    size = sum(map(len, files.values())) / 1e6
    print(f"{target}: run {name} after {weights.step} steps as {found.architecture}, {size:.1f} MB; see its README.md")


def _missing(record: RunRecord, name: str) -> str:
    """What to do about a run without stored weights."""
    from lgt.recipes.commands import train_command

    command = train_command(record.config)
    if command is None:
        return f"so it cannot be exported; see `python -m lgt show {name}`"
    return f"so it cannot be exported; this command trains it again and stores them: `{command}`"


def card(library: Library, record: RunRecord, name: str, found: Counterpart, step: int, target: Path) -> str:
    """The README.md of a run's network. It names the last part of the folder's path only."""
    from lgt.report.model_card import Exported, model_card
    from lgt.store import queries

    folder = target.absolute().name
    accuracy = queries.accuracy(library, [record.id], step)
    command = f"python -m lgt export-model {name} {shlex.quote(folder)} --step {step}"
    return model_card(record, Exported(name, step, found.architecture, folder, command, found.notes), accuracy)


def folder_files(found: Counterpart, readme: str) -> dict[str, bytes]:
    """The content of each file of the folder, by name."""
    from lgt.model.hugging_face import weights_file
    from lgt.tasks.tokenizer_files import tokenizer_files

    special = {name: found.config[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    plain = {"config.json": found.config, "generation_config.json": {**special, "do_sample": False}}
    return {
        **{name: (json.dumps(content, indent=2) + "\n").encode() for name, content in plain.items()},
        **tokenizer_files(found.tokens),
        "model.safetensors": weights_file(found),
        "README.md": readme.encode(),
    }

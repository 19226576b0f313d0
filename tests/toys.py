"""Toy tasks that tests register, one without and one with tokens of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lgt.core.checks import ConfigError
from lgt.tasks.base import Bodies, Task, pack
from lgt.tasks.strings import StringTask
from lgt.tasks.vocabulary import FIRST_DIGIT, PAD, TOKEN_ID, decode

COLOUR = ("#3E7C4F", "#7FC48F")


def rotate(letters):
    """The letters with the first one moved to the end. Rows stay padded on the right."""
    return pack(np.pad(letters, ((0, 0), (0, 1)))[:, 1:], letters[:, :1])


ROTATE = StringTask(
    name="rotate",
    title="Rotate",
    summary="Repeat a string with its first letter at the end.",
    colour=COLOUR,
    answer=rotate,
    letters_read=lambda text: text[1:] + text[:1],
)


@dataclass(frozen=True, kw_only=True)
class ParityTask(Task):
    """Whether a string of bits has an even or an odd number of ones; the answer is one token of the task's own."""

    def draw(self, rng, lengths, options, operands):
        bits = rng.integers(2, size=(len(lengths), int(lengths.max(initial=1))))
        return self.bodies(np.where(np.arange(bits.shape[1]) < lengths[:, None], bits, -1))

    def bodies(self, bits):
        odd = (bits == 1).sum(axis=1) % 2
        names = np.array([TOKEN_ID[token] for token in self.tokens])
        return Bodies(pack(np.where(bits < 0, PAD, bits + FIRST_DIGIT), TOKEN_ID["="]), names[odd][:, None])

    def typed(self, texts, longest, seed, options):
        text = texts[0].strip()
        if not text or set(text) - set("01") or len(text) > longest:
            raise ConfigError("bits", text, f"1 to {longest} digits 0 and 1")
        return len(text), self.bodies(np.array([[int(bit) for bit in text]]))

    def texts(self, body):
        return (decode(body[:-1]),)


PARITY = ParityTask(
    name="parity",
    title="Parity",
    summary="Say whether a string of bits has an even or an odd number of ones.",
    family="strings",
    unit="bits",
    colour=COLOUR,
    body_format="bits",
    minimum_length=3,
    tokens=("[even]", "[odd]"),
    fields=("Bits",),
    note="Count the ones.",
)

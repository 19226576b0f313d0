"""Pretrained Llamas as a start of training (``training.start``).

:func:`opened` reads what a source has: its shape, its tokens and, on demand, its weights. :func:`begin` gives a decoder
these weights. Formats: GGUF (:mod:`~lgt.model.pretrained.gguf_file`) and folders of Hugging Face
(:mod:`~lgt.model.pretrained.folder`). The packages of the optional extra ``pretrained`` are imported when a source
needs them. No pickle is read, so a source runs no code.
"""

from lgt.model.pretrained.opening import Opened, opened, refusals
from lgt.model.pretrained.weights import begin, counterparts, notice

__all__ = ["Opened", "begin", "counterparts", "notice", "opened", "refusals"]

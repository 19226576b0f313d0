"""The training step as one compiled routine: the decoder of ``lgt.model.decoder`` forward and backward, and its optimizer.

For models of this size most of a step in PyTorch is not arithmetic: it moves small intermediate results through memory
and starts some hundred operations. Here a chunk of whole sequences stays in a core's cache from embedding to gradient,
no padding is computed, and in the last layer only the rows whose next token is scored.

- ``matrix.hpp``: matrix products, exp, a parallel loop
- ``decoder.hpp``: the decoder, forward and backward
- ``step.cpp``: a batch on several threads, clipping, AdamW and Muon
- ``library.py``: compiles them once per machine and source, and loads the result
- ``step.py``: the routine behind the interface of a training step

``lgt.model.decoder`` stays the definition: the tests hold loss, gradients and updates of this package against it and against
PyTorch's optimizers.
"""

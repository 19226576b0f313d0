"""The decoder of ``lgt.model.decoder`` as compiled code: a training step, and the exact match of answers.

For models of this size, PyTorch spends most of a step on moving small intermediate results through memory and on
starting hundreds of operations. The compiled code is faster for three reasons: a chunk of whole sequences stays in a
core's cache from embedding to gradient, no padding is computed, and the last layer is computed only for positions whose
next token is scored. :meth:`lgt.fused.step.FusedStep.supports` tells which runs it supports.

- ``matrix.hpp``: matrix products, exp, a parallel loop
- ``decoder.hpp``: the decoder, forward and backward
- ``step.cpp``: a batch on several threads, clipping, AdamW and Muon
- ``library.py``: compiles these files once per machine and source, and loads the result
- ``biases.py``: the biases that a positional encoding adds to the attention scores, computed by PyTorch
- ``step.py``: the compiled code with the interface of a training step
- ``answers.py``: exact match and loss of a batch, for the accuracies of a snapshot

``lgt.model.decoder`` is the definition. The tests compare loss, gradients and updates of this package with it and with
PyTorch's optimizers.
"""

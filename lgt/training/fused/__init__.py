"""The training step as compiled code: the decoder of ``lgt.model.decoder`` forward and backward, and its optimizer.

For models of this size PyTorch spends most of a step on moving small intermediate results through memory and on
starting some hundred operations. Here a chunk of whole sequences stays in a core's cache from embedding to gradient, no
padding is computed, and the last layer is computed only for positions whose next token is scored. Which runs it
supports says :meth:`lgt.training.fused.step.FusedStep.supports`.

- ``matrix.hpp``: matrix products, exp, a parallel loop
- ``decoder.hpp``: the decoder, forward and backward
- ``step.cpp``: a batch on several threads, clipping, AdamW and Muon
- ``library.py``: compiles them once per machine and source, and loads the result
- ``step.py``: the compiled code with the interface of a training step

``lgt.model.decoder`` is the definition: the tests compare loss, gradients and updates of this package with it and with
PyTorch's optimizers.
"""

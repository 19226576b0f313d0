"""Length Transfer Lab: train, measure and look at length generalization transfer.

Source of the finding: Cai, Lee, Schwarzschild, Oymak, Papailiopoulos, "Extrapolation by Association:
Length Generalization Transfer in Transformers" (arXiv 2506.09251). ``ARCHITECTURE.md`` lists the floors.
"""

__version__ = "0.2.0"

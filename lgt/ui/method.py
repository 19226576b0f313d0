"""The text "About the method": the definitions behind the figures, and which decisions are this project's own."""

from __future__ import annotations

import streamlit as st

from lgt.core.glossary import bullet, definition

MEASURED = (
    "exact match", "zone", "trained lengths", "transfer region", "beyond", "transfer accuracy", "transfer gain",
    "generalization gap", "baseline", "knock-out", "shared head",
)  # fmt: skip
"""The terms of the glossary that the text quotes."""

METHOD = f"""
**What is measured**
{chr(10).join(bullet(term) for term in MEASURED)}

Answers are generated greedily: at every step the most likely token is written. The test prompts of a length are fixed.

**How to read the heads**
- A head *matters* to a task when its knock-out lowers the task's exact match by more than the chosen threshold. One
  head is knocked out at a time. If another head can do the same work, nothing is lost, and the head does not count.
- That two tasks need the same head is a correlation. It does not show that shared heads cause the transfer.
- *Chance* for the overlap of heads: the same overlap after the heads of one map were shuffled within each layer.

**How to read the curves**
- {definition("band")} A band covers all finished seeds; none is selected.
- Runs with different seeds differ in their initial weights. They get the data in the same order, as in the paper.
  With five seeds a nominal 95% bootstrap interval covers less than 95%.

**Our own decisions, where we did not have the paper's tables**
- A prompt starts with a tag that names its task. At every length a quarter of all prompts is held out by a hash and
  never trained on. In training, one operand has n digits and the other 1 to n; in tests both have n digits.
- `mqar` strings have distinct letters. A multiplication is answered by its partial products, shifted and with the last
  digit first, and then the product. A maze lists its nodes and their neighbours in random order.
- There are two baselines, because a baseline cannot have both the steps and the main-task examples of the co-trained
  run. With the same number of main-task examples a baseline may be trained too little. Its accuracy at the trained
  lengths is shown beside it.
- The threshold for heads is ours. So is the choice of lengths for ablation maps: all tasks are mapped at lengths of the
  main task's zones.
- The values of the presets are ours. Muon trains the weight matrices; the small presets normalize queries and keys;
  weights are rounded to bfloat16 before they are measured and stored.
- Steps, learning rates and depths of `demo` and `small` were chosen in trials. The aim was that the longer task is
  learned to its full length and, in `small`, that addition is trained long enough for transfer. Where nothing was
  tried, `small` has twice the steps of `demo`. The trials used some of the seeds 0 to 4, which are also among the seeds
  shown. Some seeds still do not learn the longer task; the page Claims names them.
- Lengths, width and training time are smaller than the paper's, except in the preset `paper`; `long` has the paper's
  lengths for all groups but mazes. La is twice Lm in all
  task groups.

Source: Cai, Lee, Schwarzschild, Oymak, Papailiopoulos, *Extrapolation by Association: Length Generalization Transfer in
Transformers*, arXiv 2506.09251.
"""


def show_method() -> None:
    """The text, folded away until somebody opens it."""
    with st.expander("About the method"):
        st.markdown(METHOD)

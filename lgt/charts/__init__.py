"""Pure functions from DataFrames to Altair charts. No Streamlit, no SQL, no torch."""

from lgt.charts.accuracy import length_accuracy
from lgt.charts.attention import attention_map
from lgt.charts.dynamics import circuit_chart, stability_chart
from lgt.charts.failures import failure_grid
from lgt.charts.grid import gap_by_ratio, gap_grid
from lgt.charts.interchange import interchange_grid
from lgt.charts.knockout import knock_out_strip, knocked_out_curve
from lgt.charts.maps import ablation_maps
from lgt.charts.matrix import transfer_matrix
from lgt.charts.maze import maze_picture
from lgt.charts.overlay import series_differences, series_overlay
from lgt.charts.pattern import attention_pattern
from lgt.charts.playground import answer_row
from lgt.charts.sharing import sharing_graph, sharing_summary
from lgt.charts.theme import DARK, LIGHT, Theme
from lgt.charts.training import loss_curve, training_curves
from lgt.charts.verdicts import seed_strip, verdict_chart

__all__ = [
    "DARK",
    "LIGHT",
    "Theme",
    "ablation_maps",
    "answer_row",
    "attention_map",
    "attention_pattern",
    "circuit_chart",
    "failure_grid",
    "gap_by_ratio",
    "gap_grid",
    "interchange_grid",
    "knock_out_strip",
    "knocked_out_curve",
    "length_accuracy",
    "loss_curve",
    "maze_picture",
    "seed_strip",
    "series_differences",
    "series_overlay",
    "sharing_graph",
    "sharing_summary",
    "stability_chart",
    "training_curves",
    "transfer_matrix",
    "verdict_chart",
]

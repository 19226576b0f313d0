"""Pure functions from DataFrames to Altair charts. No Streamlit, no SQL, no torch."""

from lgt.charts.accuracy import length_accuracy
from lgt.charts.maps import ablation_maps
from lgt.charts.matrix import transfer_matrix
from lgt.charts.palette import DARK, LIGHT, Theme
from lgt.charts.sharing import sharing_graph, sharing_summary
from lgt.charts.training import loss_curve, training_curves
from lgt.charts.verdicts import verdict_chart

__all__ = [
    "DARK",
    "LIGHT",
    "Theme",
    "ablation_maps",
    "length_accuracy",
    "loss_curve",
    "sharing_graph",
    "sharing_summary",
    "training_curves",
    "transfer_matrix",
    "verdict_chart",
]

"""Pure functions from DataFrames to Altair charts. No Streamlit, no SQL, no torch."""

from lgt.charts.accuracy import length_accuracy
from lgt.charts.sharing import sharing_graph, sharing_summary

__all__ = ["length_accuracy", "sharing_graph", "sharing_summary"]

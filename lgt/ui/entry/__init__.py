"""The script that ``lgt app`` starts, with its Streamlit settings, for an installed copy."""

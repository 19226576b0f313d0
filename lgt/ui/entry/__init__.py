"""The script that ``lgt app`` gives to Streamlit, in a folder of its own.

Streamlit takes every script in a folder ``pages`` beside its main script for a page, until the navigation is known.
"""

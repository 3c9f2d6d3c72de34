"""How the page shows what `train.evaluate --measure` has found.

Each measure that has charts of its own is a file here and a line in `sections.py`; any
other is shown as tables of what its records hold.
"""

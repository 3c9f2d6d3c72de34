"""Measures of `python -m train.evaluate --measure=NAME`, each with its own record."""

"""Measures on predictions: each one is a file here."""

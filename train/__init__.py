"""Recipes on top of `ikl_jax`; run from a checkout: `python -m train --help`."""

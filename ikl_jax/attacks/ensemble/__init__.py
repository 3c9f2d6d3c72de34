"""Attacks in sequence, each on the examples that are still robust: AutoAttack."""

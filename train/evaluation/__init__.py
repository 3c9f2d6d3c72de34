"""How good weights are: one pass, measures, attacks, and the records of results."""

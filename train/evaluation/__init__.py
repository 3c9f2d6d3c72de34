"""How good weights are: accuracy, attacks, and what is judged."""

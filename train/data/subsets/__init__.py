"""Which training examples are used."""

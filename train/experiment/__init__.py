"""A run built from a config: settings, validation, and checkpoints."""

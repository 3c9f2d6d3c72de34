"""A model from a config, its classes, and its weights from files."""

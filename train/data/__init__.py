"""Data: sources by name, augmentation, and the input pipeline."""

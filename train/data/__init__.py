"""Data sets by name, their augmentation, and the input pipeline."""

"""A frozen teacher, and its cached logits."""

"""What a user would run on a TPU compiles for one, which need not be there."""

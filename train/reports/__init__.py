"""Tables, pictures and result files: they read files and records, never a model."""

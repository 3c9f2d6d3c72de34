"""What every room may use: errors, files and types."""

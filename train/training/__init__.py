"""The training loop and what it shows, writes, and costs."""

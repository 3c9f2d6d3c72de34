"""What every attack is built from: balls, losses, loops, and the network."""

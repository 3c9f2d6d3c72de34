"""Parts that the attacks share: balls, losses, loops, keys and the classifier."""

"""How images change: crops, flips, policies, Cutout, CutMix."""

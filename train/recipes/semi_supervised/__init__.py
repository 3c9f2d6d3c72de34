"""What the recipes share that train on a few labels and many unlabelled images.

The loss is cross_entropy * cross-entropy(labelled) + strength * mean(mask *
consistency(strong view, target)). A recipe says where the target comes from.
"""

from train.recipes.semi_supervised.branches import Branches, Images
from train.recipes.semi_supervised.passes import Passes
from train.recipes.semi_supervised.step import build

__all__ = ["Branches", "Images", "Passes", "build"]

"""Defects of weights from others' files, and of weights for others."""

from tests.defects.defect import Defect

FILES = ("tests/train/networks/test_torch_files.py",)
FORMS = ("tests/train/networks/test_published_forms.py",)
NETWORKS = "train/networks"
RELEASE, OF_RELEASE = "train/release", ("tests/train/release",)

INITIAL = "train/training/initial.py"
OF_INITIAL = ("tests/train/training/test_initial_weights.py",)

DEFECTS = [
    Defect(
        "a classifier of other classes is kept where their number is the same",
        INITIAL,
        "return found.num_classes == data.num_classes and all(a == b for a, b in pairs)",
        "return found.num_classes == data.num_classes",
        OF_INITIAL,
    ),
    Defect(
        "the average of a run does not begin with the given weights",
        INITIAL,
        "averaged=None if state.averaged is None else copy,",
        "averaged=state.averaged,",
        OF_INITIAL,
    ),
    Defect(
        "a run begins with weights that are not finite",
        INITIAL,
        "    converted.check_finite(path, found.weights)\n",
        "",
        OF_INITIAL,
    ),
    Defect(
        "a run forgets the checksum of the weights that it began with",
        "train/training/record.py",
        'self.initial_weights = position.get("initial_weights", "")',
        'self.initial_weights = ""',
        OF_INITIAL,
    ),
    Defect(
        "a pickle's functions are called",
        NETWORKS,
        "        if full not in self._inert:",
        "        if full.startswith('builtins.'):\n"
        "            return super().find_class(module, name)\n"
        "        if full not in self._inert:",
        FILES,
    ),
    Defect(
        "a torch file is read although it calls Python's own functions",
        NETWORKS,
        "            if own and not name.startswith(_PLAIN):",
        "            if own and name.startswith(_PLAIN):",
        FILES,
    ),
    Defect(
        "the strides of a tensor in a torch file are ignored",
        NETWORKS,
        "            [stride * elements.itemsize for stride in self.strides],",
        "            None,",
        FILES,
    ),
    Defect(
        "a network with more layers is cut off to the one that was named",
        NETWORKS,
        "return name in expected or _kind(name) in _kinds(expected)",
        "return name in expected",
        FORMS,
    ),
    Defect(
        "averaged weights are taken before the others of a torch file",
        f"{NETWORKS}/torch_files/contents.py",
        '("state_dict", "model_state_dict",',
        '("state_dict_ema", "state_dict", "model_state_dict",',
        FILES,
    ),
    Defect(
        "the normalisation in a torch file is left out",
        NETWORKS,
        "stored_normalization.find({} if normalized else others)",
        "stored_normalization.find({})",
        FORMS,
    ),
    Defect(
        "torch's file of a run lacks the normalisation of its input",
        RELEASE,
        "        if self.normalize is not None:\n            names, shape",
        "        if self.normalizes_in_torch:\n            names, shape",
        OF_RELEASE,
    ),
    Defect(
        "an exported program takes one image only",
        RELEASE,
        '(batch,) = jax.export.symbolic_shape("batch")',
        "batch = 1",
        OF_RELEASE,
    ),
    Defect(
        "an exported program cannot be differentiated",
        RELEASE,
        "serialize(vjp_order=1)",
        "serialize()",
        OF_RELEASE,
    ),
    Defect(
        "a model card shows the places of files on the machine that trained",
        RELEASE,
        'config[section] = {**config[section], field: f"{head}{last}"}',
        "config[section] = {**config[section]}",
        OF_RELEASE,
    ),
]

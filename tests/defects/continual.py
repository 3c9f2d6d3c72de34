"""Defects of learning in tasks: classes, memory, old classes, weights, the matrix."""

from tests.defects.defect import Defect

SPLITS = "train/data/subsets/class_splits.py"
DATA = ("tests/train/data/subsets/test_class_splits.py",)
LOSSES = ("tests/train/recipes/test_learning_without_forgetting.py",)
REPORTS = ("tests/train/reports/test_tasks.py",)
SUMMARIES = ("tests/train/evaluation/summaries/test_by_task.py",)
RUNS = ("tests/train/training/test_sequence.py",)

DEFECTS = [
    Defect(
        "a task trains on the earlier tasks' classes, too",
        SPLITS,
        "own = sorted(set(known) - set(before))",
        "own = sorted(set(known))",
        DATA,
    ),
    Defect(
        "the memory of a class depends on the task",
        SPLITS,
        "np.random.default_rng([continual.memory_seed, label])",
        "np.random.default_rng([continual.memory_seed, label, len(labels)])",
        DATA,
    ),
    Defect(
        "the memory has one example more of each class",
        SPLITS,
        "rng.permutation(members)[: continual.memory]",
        "rng.permutation(members)[: continual.memory + 1]",
        DATA,
    ),
    Defect(
        "the fingerprint of the data leaves the memory out",
        "train/data/fingerprint.py",
        "if data.memory is not None:",
        "if data.memory is not None and False:",
        DATA,
    ),
    Defect(
        "the distillation of a task is over all classes",
        "train/recipes/distillation.py",
        "return np.asarray(task.taught_classes)",
        "return EVERY",
        LOSSES,
    ),
    Defect(
        "the cross-entropy of a task is over all classes seen",
        "train/recipes/recipe.py",
        'if continual.task and continual.cross_entropy == "task":',
        'if continual.task and continual.cross_entropy == "none":',
        LOSSES,
    ),
    Defect(
        "the class means of a task begin over all classes",
        "train/recipes/recipe.py",
        "classes.uniform_means(self.taught_classes, width)",
        "classes.uniform_means(range(self.num_classes), width)",
        LOSSES,
    ),
    Defect(
        "a task's network predicts classes that come later",
        "train/networks/model.py",
        "if seen is not None and len(seen) < width:",
        "if seen is not None and len(seen) > width:",
        LOSSES,
    ),
    Defect(
        "a task begins from new weights",
        "train/experiment/tasks.py",
        "config.model.initial_weights = previous",
        'config.model.initial_weights = ""',
        RUNS,
    ),
    Defect(
        "a sequence goes on with other epochs",
        "train/experiment/settings.py",
        'may_change.remove("epochs")',
        'may_change.add("epochs")',
        RUNS,
    ),
    Defect(
        "the task-incremental accuracy is over all classes seen",
        "train/evaluation/summaries/by_task.py",
        "columns = np.asarray(split)",
        "columns = np.asarray(sorted(sum(splits, ())))",
        SUMMARIES,
    ),
    Defect(
        "forgetting counts the accuracy after the last task as an earlier one",
        "train/reports/tasks.py",
        "matrix[task:-1]",
        "matrix[task:]",
        REPORTS,
    ),
    Defect(
        "forgetting is from the accuracy when the task was learned, not the best",
        "train/reports/tasks.py",
        "max(row[task] for row in matrix[task:-1])",
        "max(row[task] for row in matrix[task : task + 1])",
        REPORTS,
    ),
]

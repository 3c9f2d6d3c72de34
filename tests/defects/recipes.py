"""Defects of the recipes, their optimisers, averages and accumulation."""

from tests.defects.defect import Defect

RECIPES = "train/recipes"
ACCUMULATION = ("tests/train/recipes/test_accumulation.py",)
ATTACK = ("tests/train/recipes/test_attack.py", "tests/train/recipes/test_recipes.py")
AVERAGING = ("tests/train/recipes/test_averaging.py",)
AWP = ("tests/train/recipes/test_weight_perturbation.py",)
DISTILLATION = ("tests/train/recipes/test_distillation.py",)
LOSSES = ("tests/train/recipes/test_losses.py", "tests/train/recipes/test_recipes.py")
OPTIM = ("tests/train/recipes/test_optim.py", "tests/train/recipes/test_optimizers.py")
SECOND_VIEW = ("tests/train/recipes/test_second_view.py",)
STOCHASTIC_DEPTH = ("tests/train/recipes/test_stochastic_depth.py",)

DEFECTS = [
    Defect(
        "the per-epoch cosine is one epoch early",
        RECIPES,
        "epoch = jnp.asarray(step) // steps_per_epoch + 1",
        "epoch = jnp.asarray(step) // steps_per_epoch",
        OPTIM,
    ),
    Defect(
        "FixMatch's cosine counts its steps from the first, with a warm-up too",
        RECIPES,
        "turn = 7 * jnp.pi / 16 * (step - warmup) / max(steps - warmup, 1)",
        "turn = 7 * jnp.pi / 16 * step / max(steps, 1)",
        OPTIM,
    ),
    Defect(
        "the one-cycle schedule ends one step late",
        RECIPES,
        "end = epochs * steps_per_epoch // held - 1",
        "end = epochs * steps_per_epoch // held",
        OPTIM,
    ),
    Defect(
        "weight decay leaves matrices out instead of vectors",
        RECIPES,
        "return leaf.ndim > 1 and name not in _EMBEDDINGS",
        "return leaf.ndim <= 1 and name not in _EMBEDDINGS",
        OPTIM,
    ),
    Defect(
        "the cycled momentum is highest where the rate is",
        RECIPES,
        "MOMENTA = (0.95, 0.85, 0.95)",
        "MOMENTA = (0.85, 0.95, 0.85)",
        OPTIM,
    ),
    Defect(
        "a decayed layer keeps the whole learning rate",
        RECIPES,
        "layer_decay**depth * update",
        "layer_decay**0 * update",
        ("tests/train/recipes/test_layer_decay.py",),
    ),
    Defect(
        "averages weigh the new weights by the decay",
        RECIPES,
        "decay * average + (1 - decay) * new",
        "(1 - decay) * average + decay * new",
        AVERAGING,
    ),
    Defect(
        "averages begin one update early",
        RECIPES,
        "decay = jnp.where(updates > 0, decay, 0.0)",
        "decay = jnp.where(updates > -1, decay, 0.0)",
        AVERAGING,
    ),
    Defect(
        "the gradient of parts is their sum",
        RECIPES,
        "lambda grad: grad / self.count, total",
        "lambda grad: grad, total",
        ACCUMULATION,
    ),
    Defect(
        "running statistics come from the last part",
        RECIPES,
        "lambda values: values[0], outcomes.batch_stats",
        "lambda values: values[-1], outcomes.batch_stats",
        ACCUMULATION,
    ),
    Defect(
        "metrics are those of the first part",
        RECIPES,
        "jnp.mean(values, axis=0), outcomes.metrics",
        "values[0], outcomes.metrics",
        ACCUMULATION + SECOND_VIEW,
    ),
    Defect(
        "GKL's parts are divided by the square of their scale",
        RECIPES,
        "jnp.power(target.weights, coefficients.gamma) / target.scale",
        "jnp.power(target.weights, coefficients.gamma) / target.scale**2",
        ACCUMULATION,
    ),
    Defect(
        "the attack moves away from uniform predictions, not from the natural ones",
        RECIPES,
        "target = target_of(jax.lax.stop_gradient(logits_fn(x)))",
        "target = target_of(logits_fn(x) * 0.0)",
        ATTACK,
    ),
    Defect(
        "the attack takes one step too few in the first epochs",
        RECIPES,
        "epoch * len(attacks) // task.config.epochs",
        "(epoch - 1) * len(attacks) // task.config.epochs",
        ATTACK,
    ),
    Defect(
        "every step has the same random key",
        RECIPES,
        "return jax.random.fold_in(self.key, self.step)",
        "return self.key",
        (*ATTACK, "tests/train/recipes/test_trajectory.py"),
    ),
    Defect(
        "the attack uses the batch's statistics where running ones are asked for",
        RECIPES,
        '"running": _as_evaluated,',
        '"running": _as_trained,',
        ATTACK,
    ),
    Defect(
        "weight decay takes class tokens and positions, too",
        RECIPES,
        "return leaf.ndim > 1 and name not in _EMBEDDINGS",
        "return leaf.ndim > 1",
        ("tests/train/recipes/test_layer_decay.py",),
    ),
    Defect(
        "both passes of adversarial training draw the same stochastic depth",
        RECIPES,
        "part.key, 1 + PASSES.index(name))",
        "part.key, 1)",
        STOCHASTIC_DEPTH,
    ),
    Defect(
        "stochastic depth draws by the place within a part of the batch",
        RECIPES,
        "logits, batch_stats = recipe.train_logits(\n"
        '                task.model, weights, x, part["key"]\n',
        "logits, batch_stats = recipe.train_logits(\n"
        "                task.model, weights, x,\n"
        "                recipe.keys_of(task.model, state.step_key(), len(x))\n",
        STOCHASTIC_DEPTH,
    ),
    Defect(
        "epsilon is ramped up one epoch late",
        RECIPES,
        "jnp.minimum((epoch + 1) / max(epochs, 1), 1.0)",
        "jnp.minimum(epoch / max(epochs, 1), 1.0)",
        ATTACK + DISTILLATION,
    ),
    Defect(
        "weight perturbation starts one epoch late",
        RECIPES,
        "epoch >= config.awp.start_epoch",
        "epoch > config.awp.start_epoch",
        AWP,
    ),
    Defect(
        "the strength weighs the cross-entropy",
        RECIPES,
        "total = cross_entropy + config.loss.strength * divergence",
        "total = config.loss.strength * cross_entropy + divergence",
        (*LOSSES, "tests/train/recipes/test_trajectory.py"),
    ),
    Defect(
        "class means gather both views",
        RECIPES,
        "outcome.per_example, labels, temperature=temperature, where=first",
        "outcome.per_example, labels, temperature=temperature, where=None",
        SECOND_VIEW,
    ),
    Defect(
        "the second view's weight falls on the first",
        RECIPES,
        "jnp.where(self.first, 1.0, second_weight)",
        "jnp.where(self.first, second_weight, 1.0)",
        SECOND_VIEW,
    ),
    Defect(
        "label smoothing is spread over one class too few",
        RECIPES,
        "share = label_smoothing / num_classes",
        "share = label_smoothing / (num_classes - 1)",
        LOSSES,
    ),
    Defect(
        "DKL of distillation divides only the student by the temperature",
        RECIPES,
        "logits / temperature, target.logits / temperature,",
        "logits / temperature, target.logits,",
        LOSSES,
    ),
    Defect(
        "class-wise DKL moves the prediction by its squared error",
        RECIPES,
        "jax.lax.stop_gradient(logits), target_logits, target.weights,",
        "logits, target_logits, target.weights,",
        LOSSES + DISTILLATION,
    ),
    Defect(
        "the teacher's own weights ignore their temperature",
        RECIPES,
        'jax.nn.softmax(batch["teacher_logits"][:, among] / loss.weight_temperature)',
        'jax.nn.softmax(batch["teacher_logits"][:, among])',
        DISTILLATION,
    ),
    Defect(
        "class means of an epoch ignore their momentum",
        RECIPES,
        "state.class_means.advance(config.loss.class_means_momentum)",
        "state.class_means.advance(0.0)",
        LOSSES,
    ),
]

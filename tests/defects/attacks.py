"""Defects of single attacks: PGD, APGD, FAB, Square, and what they share."""

from tests.defects.defect import Defect

ATTACKS = "ikl_jax/attacks"
ASSUMPTIONS = (
    "tests/ikl_jax/attacks/test_assumptions.py",
    "tests/ikl_jax/attacks/test_arguments.py",
)
NUMBERS = ("tests/ikl_jax/attacks/test_pgd_numbers.py",)
APGD = ("tests/ikl_jax/attacks/common", "tests/ikl_jax/attacks/apgd")
FAB = ("tests/ikl_jax/attacks/fab",)
PGD = ("tests/ikl_jax/attacks/test_pgd.py",)
PLANES = ("tests/ikl_jax/attacks/fab/test_hyperplane.py",)
SQUARE = ("tests/ikl_jax/attacks/square",)

DEFECTS = [
    Defect(
        "PGD goes down the gradient",
        ATTACKS,
        "geometry_of.climb(x_adv, gradient, step_size, bounds)",
        "geometry_of.climb(x_adv, -gradient, step_size, bounds)",
        PGD,
    ),
    Defect(
        "PGD lets a gradient through what it returns",
        ATTACKS,
        "return jax.lax.stop_gradient(_rounded(end, x))",
        "return _rounded(end, x)",
        PGD,
    ),
    Defect(
        "all examples of a batch start from one random number",
        ATTACKS,
        "jax.random.fold_in(key, row))(",
        "jax.random.fold_in(key, 0 * row))(",
        PGD,
    ),
    Defect(
        "perturbed inputs are not cut at the bounds",
        ATTACKS,
        "return jnp.clip(x + norm.project(x_adv - x, epsilon), *bounds)",
        "return x + norm.project(x_adv - x, epsilon)",
        PGD,
    ),
    Defect(
        "random starts in the l2 ball crowd around its centre",
        ATTACKS,
        "jax.random.uniform(radius_key) ** (1.0 / max(direction.size, 1))",
        "jax.random.uniform(radius_key)",
        PGD,
    ),
    Defect(
        "the projection onto the l1 ball keeps one entry too few",
        ATTACKS,
        "jnp.maximum(kept - 1, 0)",
        "jnp.maximum(kept - 2, 0)",
        PGD,
    ),
    Defect(
        "the DLR loss divides by the first less the second logit",
        ATTACKS,
        "scale = first - third",
        "scale = first - _",
        APGD,
    ),
    Defect(
        "the targeted DLR loss leaves the fourth logit out",
        ATTACKS,
        "0.5 * (third + fourth)",
        "third",
        APGD,
    ),
    Defect(
        "the most likely other class may be the label",
        ATTACKS,
        "return jnp.argmax(_others(logits, labels), axis=-1)",
        "return jnp.argmax(logits, axis=-1)",
        APGD,
    ),
    Defect(
        "APGD's momentum is swapped with the new direction's share",
        ATTACKS,
        "MOMENTUM = 0.75",
        "MOMENTUM = 0.25",
        APGD,
    ),
    Defect(
        "APGD starts with steps of half the length",
        ATTACKS,
        "step_size=jnp.full(len(x), 2.0 * epsilon, x.dtype)",
        "step_size=jnp.full(len(x), 1.0 * epsilon, x.dtype)",
        APGD,
    ),
    Defect(
        "APGD's checkpoints come one step late",
        ATTACKS,
        "lengths[end - 1] = interval",
        "lengths[min(end, steps - 1)] = interval",
        APGD,
    ),
    Defect(
        "APGD takes as many increases as wanted for too few no longer",
        ATTACKS,
        "increases.astype(jnp.float32) <= allowed",
        "increases.astype(jnp.float32) < allowed",
        APGD,
    ),
    Defect(
        "APGD overwrites the first misclassified input with later ones",
        ATTACKS,
        "new = wrong & ~found.broken",
        "new = wrong",
        APGD,
    ),
    Defect(
        "APGD counts an input as misclassified when half of its samples are",
        ATTACKS,
        "2 * wrong > samples",
        "2 * wrong >= samples",
        APGD,
    ),
    Defect(
        "all samples of a randomised network get the same noise",
        ATTACKS,
        "samples = self.eot_samples * numbers[:, None] + samples",
        "samples = self.eot_samples * numbers[:, None] + 0 * samples",
        APGD,
    ),
    Defect(
        "APGD counts what it finds in the larger l1 balls",
        ATTACKS,
        "start, found, phase, counts=False).best.x",
        "start, found, phase, counts=True).best.x",
        APGD,
    ),
    Defect(
        "FAB's step back goes beyond the point",
        ATTACKS,
        "back = x + self.beta * (point - x)",
        "back = point + self.beta * (point - x)",
        FAB,
    ),
    Defect(
        "FAB stops at the boundary instead of going beyond it",
        ATTACKS,
        "starts + self.eta * steps",
        "starts + steps",
        FAB,
    ),
    Defect(
        "FAB weighs the clean input's projection by the wrong distance",
        ATTACKS,
        "alpha = jnp.minimum(of_point / (of_point + of_x), self.alpha_max)",
        "alpha = jnp.minimum(of_x / (of_point + of_x), self.alpha_max)",
        FAB,
    ),
    Defect(
        "FAB keeps the farther of two misclassified inputs",
        ATTACKS,
        "better = wrong & (distance < self.distance) & (self.distance > enough)",
        "better = wrong & (distance > 0) & (self.distance > enough)",
        FAB,
    ),
    Defect(
        "a step to a plane goes away from it",
        ATTACKS,
        "direction = -jnp.sign(value)[:, None] * jnp.sign(w)",
        "direction = jnp.sign(value)[:, None] * jnp.sign(w)",
        PLANES,
    ),
    Defect(
        "the l2 step to a plane moves all coordinates alike",
        ATTACKS,
        "return _step_at(approach, approach.weight)",
        "return _step_at(approach, jnp.ones_like(approach.weight))",
        PLANES,
    ),
    Defect(
        "Square's windows shrink one iteration early",
        ATTACKS,
        "sum(iteration > after for after in HALVED_AFTER)",
        "sum(iteration >= after for after in HALVED_AFTER)",
        SQUARE,
    ),
    Defect(
        "Square's queries share their noise with the query before",
        ATTACKS,
        "noise = fold_each(keys, first + i + 1)",
        "noise = fold_each(keys, first + i)",
        SQUARE,
    ),
    Defect(
        "Square counts queries of examples that are broken",
        ATTACKS,
        "state.queries + searching.astype(jnp.int32),",
        "state.queries + 1,",
        SQUARE,
    ),
    Defect(
        "Square's windows never reach the last place",
        ATTACKS,
        "return length - side + 1",
        "return jnp.maximum(length - side, 1)",
        SQUARE,
    ),
    Defect(
        "Square's mass is not shared among the channels",
        ATTACKS,
        "jnp.maximum(unused, 0.0) / channels",
        "jnp.maximum(unused, 0.0)",
        SQUARE,
    ),
    Defect(
        "half precision rounds out of the ball",
        ATTACKS,
        "return jnp.where(farther, jnp.nextafter(rounded, x), rounded)",
        "return rounded",
        NUMBERS,
    ),
    Defect(
        "an entry of PGD's gradient that is not a number spoils the input",
        ATTACKS,
        "gradient = jnp.where(jnp.isnan(gradient), 0.0, gradient)",
        "gradient = jnp.asarray(gradient)",
        NUMBERS,
    ),
    Defect(
        "PGD in l1 gives the whole step to the steepest coordinate",
        ATTACKS,
        "room = jnp.where(direction == 0, 0.0, jnp.maximum(room, 0.0))\n    rows",
        "room = jnp.where(direction == 0, 0.0, jnp.inf)\n    rows",
        NUMBERS,
    ),
    Defect(
        "the inverse of a denormal gradient is infinite",
        ATTACKS,
        "factor = xp.where(greatest < 1 / power, power, factor)",
        "factor = xp.asarray(factor)",
        NUMBERS,
    ),
    Defect(
        "untargeted FAB's program has a part for each class",
        ATTACKS,
        "        return jax.lax.fori_loop(\n            1, count, lambda i, state: "
        "combine(state, number(i)), number(0)\n        )",
        "        state = number(0)\n"
        "        for i in range(1, count):\n"
        "            state = combine(state, number(i))\n"
        "        return state",
        FAB,
    ),
    Defect(
        "labels of eight bits belong to several classes",
        ATTACKS,
        "labels = labels.astype(jnp.int32)\n    return jnp.where",
        "return jnp.where",
        ASSUMPTIONS,
    ),
]

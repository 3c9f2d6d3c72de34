"""AutoAttack: an ensemble of attacks without parameters to choose.

Reference: Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble
of diverse parameter-free attacks", https://arxiv.org/abs/2003.01690, 2020.
"""

import time
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax import checks
from ikl_jax.attacks.common import arguments, assumptions
from ikl_jax.attacks.common.classifier import Classifier
from ikl_jax.attacks.common.keys import as_keys
from ikl_jax.attacks.ensemble import preflight, versions
from ikl_jax.attacks.ensemble.batches import Batches
from ikl_jax.attacks.ensemble.inputs import (
    Classes,
    Inputs,
    among,
    checked,
    clean_logits,
    content_keys,
    cut_off,
    other_classes,
)
from ikl_jax.attacks.ensemble.judge import Judge
from ikl_jax.attacks.ensemble.passes import (
    Pass,
    Progress,
    Record,
    Report,
    Stage,
    run,
)
from ikl_jax.attacks.ensemble.result import Result, package_versions
from ikl_jax.types import Array, LogitsFn


def autoattack(
    logits_fn: Callable[..., Array],
    x: Array | np.ndarray,
    labels: Array | np.ndarray,
    *,
    epsilon: float,
    norm: str = "linf",
    version: str | Sequence[str] = "standard",
    key: Array,
    batch_size: int | None = None,
    sharding: jax.sharding.Sharding | None = None,
    classes: Classes = None,
    judged_by: Callable[..., Array] | None = None,
    journal: Iterable[Record] = (),
    report: Report | None = None,
) -> Result:
    """Evaluates a classifier in the epsilon-ball around every example.

    Each attack gets the examples that those before it left robust, and starts from the
    clean example. What it finds counts if a clean forward pass confirms it, and if it
    lies in the ball and in [0, 1]. The random numbers of an example depend on `key` and
    its content, so batch size, order and devices do not change what is found for it.
    The examples stay on the host; only the batch under attack is on a device.

    Args:
      logits_fn: `[B, ...]` to `[B, C]`, C >= 2, for batches of any size, each example's
        logits depending on its own input only (BatchNorm must use its running
        statistics); for version "rand" a function of `(x, key)`.
      x: `[N, ...]` in [0, 1]; normalisation belongs into `logits_fn`. Square needs
        images `[N, H, W, K]`.
      labels: `[N]` integers in [0, C).
      epsilon: radius of the ball, > 0, in the units of `x`.
      norm: "linf", "l2" or "l1".
      version: "standard"; "plus", with restarts and untargeted attacks; "rand", for
        randomised classifiers; "apgd", which is fast and an upper bound; or a list of
        names from `versions.ATTACKS`.
      key: one key of `jax.random.key` or `jax.random.PRNGKey`.
      batch_size: examples in one call; it changes only the speed. None: at most 256,
        and 64 on CPU.
      sharding: of a batch over devices, such as `NamedSharding(mesh, P("data"))`.
      classes: the classes that there are, if columns of the logits belong to none
        (padding, or masked with minus infinity). Other columns are as if cut off.
      judged_by: another function for the clean forward pass, such as the float32 form
        of a network that is attacked in bfloat16. None: `logits_fn`.
      journal: the records of an evaluation that was stopped, to go on from. Its
        arguments must have been the same, which `fingerprint` tells.
      report: called after each batch with its `Record`, which a journal keeps, and the
        `Progress`.

    Returns:
      A `Result`. Its `notes` say what looks wrong with the classifier; they are given
      as warnings too.

    Raises:
      ValueError: shapes that do not fit, `x` or labels out of range, logits that are
        not finite, epsilon not one positive number, batch_size not positive, or an
        unknown norm or version.
      TypeError: labels are not integers, `x` is not floating point, `key` is no key, or
        the call is inside of `jit`, `grad` or `vmap`.

    Examples:
      >>> import jax, jax.numpy as jnp, ikl_jax
      >>> x = jnp.array([[0.5, 0.6, 0.1, 0.1], [0.2, 0.9, 0.1, 0.1]])
      >>> result = ikl_jax.attacks.autoattack(
      ...     lambda x: 4 * x, x, jnp.array([1, 1]), epsilon=0.1, version=["apgd-ce"],
      ...     key=jax.random.key(0),
      ... )
      >>> print(result.robust, [stage.name for stage in result.stages])
      [False  True] ['clean', 'apgd-ce']
    """
    arguments.from_python("autoattack", x, labels, epsilon, key)
    x, labels = checked(x, labels, norm)
    arguments.radius(epsilon=epsilon)
    key = as_keys(key)
    batches = Batches.for_examples(len(x), batch_size, sharding)
    labels, logits_fn = among(classes, labels), cut_off(classes, logits_fn)
    judged_by = cut_off(classes, judged_by) if judged_by else None
    random = versions.is_randomised(version)
    create = Classifier.randomised if random else Classifier.of
    classifier, judging = (
        create(fn, batches.input(x, batches.size))
        for fn in (logits_fn, judged_by or logits_fn)
    )
    arguments.from_python("autoattack", classifier.arrays, judging.arrays)
    checks.labels_in_range(jnp.asarray(labels), classifier.num_classes)
    passes = versions.passes(version, classifier, epsilon, norm)
    kept = [p for p in passes if x.ndim == arguments.IMAGE_RANK or p.stage != "square"]
    samples = versions.EOT_SAMPLES if random else 1
    judge = Judge(judging, epsilon, norm, samples)

    start = time.monotonic()
    keys = content_keys(key, x)
    logits = clean_logits(judge, x, keys, batches)
    preflight.check_logits(logits)
    clean = logits.argmax(axis=1) == labels
    inputs = Inputs(x, labels, other_classes(logits, labels), keys)
    stages = [Stage("clean", float(clean.mean()), time.monotonic() - start)]
    judges = [judge, Judge(classifier, epsilon, norm)] if judged_by else [judge]
    notes = [
        *_doubts(classifier, kept, logits, inputs, batches),
        *([] if random else _dependence(logits_fn, judges, inputs, batches)),
        *assumptions.covers_box(x, epsilon, norm),
        *_left_out(version, len(passes) - len(kept), x.shape),
    ]
    for note in notes:
        warnings.warn(note, stacklevel=2)
    progress = Progress(x.copy(), clean, stages, 0, len(kept))
    run(kept, inputs, progress, judge, batches, journal, report or _silent)
    for note in preflight.is_masked(stages):
        warnings.warn(note, stacklevel=2)
        notes.append(note)
    return Result(
        progress.x_adv,
        progress.robust,
        tuple(stages),
        float(epsilon),
        norm,
        version=_version_name(version),
        notes=tuple(notes),
        key=tuple(np.ravel(jax.random.key_data(key)).tolist()),
        versions=package_versions(),
        classes=None if classes is None else tuple(np.unique(classes).tolist()),
    )


def fingerprint(
    logits_fn: Callable[..., Array],
    x: Array | np.ndarray,
    labels: Array | np.ndarray,
    *,
    epsilon: float,
    norm: str,
    version: str | Sequence[str],
    key: Array,
    classes: Classes = None,
) -> str:
    """A short text that differs if a journal belongs to another evaluation.

    It depends on the arrays that `logits_fn` closes over, the data, epsilon, the norm,
    the version, the key and the classes, but not on the code of `logits_fn`.
    """
    key = as_keys(key)
    create = Classifier.randomised if versions.is_randomised(version) else Classifier.of
    one = jax.ShapeDtypeStruct((1, *x.shape[1:]), x.dtype)
    arrays = create(logits_fn, one).arrays
    crc = zlib.crc32(np.ascontiguousarray(jax.random.key_data(key)).tobytes())
    for array in (*arrays, x, labels, *([] if classes is None else [classes])):
        crc = zlib.crc32(np.ascontiguousarray(jax.device_get(array)).tobytes(), crc)
    return f"{_version_name(version)} {norm} {epsilon:g} of {len(x)} ({crc:08x})"


def _doubts(
    classifier: Classifier,
    passes: Sequence[Pass],
    logits: np.ndarray,
    inputs: Inputs,
    batches: Batches,
) -> Iterator[str]:
    """What looks wrong with the logits, and with gradients if an attack uses them."""
    stages = {single.stage for single in passes}
    yield from preflight.doubts(logits, uses_dlr=bool(stages & versions.WITH_DLR))
    if stages - versions.WITHOUT_GRADIENT:
        rows = batches.padded(np.arange(min(batches.small, len(inputs.x))))
        x, labels = (batches.put(array[rows]) for array in (inputs.x, inputs.labels))
        keys = batches.put(inputs.keys[rows])
        yield from preflight.has_no_gradient(classifier, x, labels, keys)


def _dependence(
    logits_fn: LogitsFn, judges: Sequence[Judge], inputs: Inputs, batches: Batches
) -> Iterator[str]:
    """What logits depend on besides their example: chance, or the rest of the batch."""
    random = list(preflight.is_random(logits_fn, inputs.x))
    yield from random
    if not random:
        for judge in judges:
            yield from preflight.depends_on_batch(judge, inputs.x, inputs.keys, batches)


def _left_out(
    version: str | Sequence[str], skipped: int, shape: tuple[int, ...]
) -> Iterator[str]:
    if isinstance(version, str) and version in versions.NOTES:
        yield versions.NOTES[version]
    if skipped:
        yield (
            "Square was not run: it needs images [N, H, W, K], and x is "
            f"{list(shape)}; robust accuracy is an upper bound"
        )


def _silent(_: Record, __: Progress) -> None:
    pass


def _version_name(version: str | Sequence[str]) -> str:
    return version if isinstance(version, str) else "+".join(version)

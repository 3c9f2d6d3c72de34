"""Times of calls that take turns, so that what disturbs one disturbs the others."""

import statistics
import time
from collections.abc import Callable, Mapping


def medians(
    calls: Mapping[str, Callable[[], object]],
    *,
    seconds: float,
    least: int = 3,
    most: int = 50,
) -> dict[str, float]:
    """Median seconds of each call.

    Each is called once more before, which is not timed. They take turns for `seconds`
    together, but at least `least` and at most `most` times.

    Args:
      calls: each returns when its work is done, not merely asked for.
    """
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    start = time.perf_counter()
    for turn in range(most):
        if turn >= least and time.perf_counter() - start > seconds:
            break
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) for name, values in times.items()}

"""Runs one stage: `python -m benchmarks.stages MODULE ORDER`, the order as JSON.

`benchmarks/accelerator.py` starts it. Rows go to the standard output; what libraries
print there goes to the standard error.
"""

import importlib
import json
import os
import sys

from benchmarks.stages import STAGES
from benchmarks.stages.report import Order, Report


def main() -> None:
    name, text = sys.argv[1:]
    if name not in {stage.module for stage in STAGES}:
        sys.exit(f"{name!r} is not one of the stages")
    stream = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    order = Order(**json.loads(text))
    stage = importlib.import_module(f"benchmarks.stages.{name}")
    stage.run(order, Report(stream, order.seconds))


if __name__ == "__main__":
    main()

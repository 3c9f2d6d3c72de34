"""Seconds of the reference's AutoAttack on this machine, for benchmarks/autoattack.py.

    pip install torch pyautoattack numpy  # in an environment of its own
    python benchmarks/autoattack_torch.py --norm linf

It runs on one core, like that benchmark, the same network on the same 500 images, and
prints on how many of them the result is the stored one.
"""

import argparse
import logging
import os
import pathlib
import time

if __name__ == "__main__":  # before torch starts its threads
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from pyautoattack import AutoAttack  # pyright: ignore[reportMissingImports]

GOLDEN = pathlib.Path(__file__).parent.parent / "tests" / "golden"
PREFIX = {"linf": "Linf", "l2": "L2"}
BATCH_SIZE = 500


def network(golden: np.lib.npyio.NpzFile) -> torch.nn.Module:
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 4, stride=2, padding=1), torch.nn.ReLU(),
        torch.nn.Conv2d(16, 32, 4, stride=2, padding=1), torch.nn.ReLU(),
        torch.nn.Flatten(), torch.nn.Linear(1568, 100), torch.nn.ReLU(),
        torch.nn.Linear(100, 10),
    )  # fmt: skip
    names = [name for name in golden.files if name.startswith("weights/")]
    weights = {name.split("/")[1]: torch.tensor(golden[name]) for name in names}
    module.load_state_dict(weights)
    return module.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--norm", choices=list(PREFIX), default="linf")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.basicConfig(format="%(message)s")
    logging.getLogger("auto-attack").setLevel(logging.DEBUG)
    golden = np.load(GOLDEN / "autoattack_fashion_mnist_cnn.npz")
    stored = np.load(GOLDEN / "fashion_mnist_test_500.npz")
    x = torch.tensor(stored["images"]).permute(0, 3, 1, 2).float() / 255
    labels = torch.tensor(stored["labels"].astype(np.int64))
    module, prefix = network(golden), PREFIX[arguments.norm]
    epsilon = float(golden[f"{prefix}/eps"])
    attack = AutoAttack(
        module, norm=prefix, eps=epsilon, seed=arguments.seed, version="standard"
    )
    start = time.monotonic()
    x_adv, _ = attack.run_standard_evaluation(x, labels, batch_size=BATCH_SIZE)
    seconds = time.monotonic() - start
    with torch.no_grad():
        robust = (module(x_adv).argmax(1) == labels).numpy()
    same = np.mean(robust == golden[f"{prefix}/robust"].astype(bool))
    print(
        f"{arguments.norm}, seed {arguments.seed}: {seconds:.1f} s, "
        f"{100 * robust.mean():.2f} % robust, {100 * same:.1f} % as stored"
    )


if __name__ == "__main__":
    main()

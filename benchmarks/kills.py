"""Kills a run again and again, and compares its end with an uninterrupted run's.

    python benchmarks/kills.py --count 20

The run is IKL adversarial training on the digits with weight perturbation, averaging
and class means, saved after each epoch. It is started, killed by SIGKILL at a random
moment (in the start-up, in a step, in a save, in an evaluation), and started again by
the same command, until it has been killed `--count` times and has come to its end
(should it get there earlier, another is begun). Its parameters, optimiser, class means,
averages and metrics must then be those of the uninterrupted run, bit for bit. Exits
with 1 if they are not.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import jax
import numpy as np

from train.base.config import Config
from train.experiment import run, settings

CONFIG = "configs/digits_ikl_at.py"
EVERY = 22  # steps between lines of the log and checkpoints: an epoch


def command(workdir: pathlib.Path, epochs: int) -> list[str]:
    return [
        sys.executable, "-m", "train", f"--config={CONFIG}", f"--workdir={workdir}",
        f"--config.epochs={epochs}", "--config.checkpoint_every=1",
        "--config.evaluation.every=3", f"--config.log_every={EVERY}",
    ]  # fmt: skip


def environment(cache: pathlib.Path) -> dict[str, str]:
    """Compiled programs are kept, so that a start takes seconds."""
    return os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
    }


def start(arguments: list[str], variables: dict[str, str]) -> subprocess.Popen:
    return subprocess.Popen(
        arguments, cwd=ROOT, env=variables, stdout=subprocess.DEVNULL
    )


def to_the_end(arguments: list[str], variables: dict[str, str]) -> float:
    """Runs to the end; returns the seconds it took."""
    begin = time.monotonic()
    code = start(arguments, variables).wait()
    if code:
        sys.exit(f"the run failed with exit code {code}")
    return time.monotonic() - begin


def kill_after(seconds: float, arguments: list[str], variables: dict[str, str]) -> bool:
    """Starts, and kills after `seconds`; False if the run came to its end first."""
    process = start(arguments, variables)
    try:
        code = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    if code:
        sys.exit(f"the run failed with exit code {code}")
    return False


def saved_steps(workdir: pathlib.Path) -> list[int]:
    folder = workdir / "checkpoints"
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(name) for name in names if name.isdigit())


def unfinished(workdir: pathlib.Path) -> bool:
    return any(workdir.glob("*/*tmp*"))


def metrics_of(workdir: pathlib.Path) -> list[dict[str, float]]:
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    parsed = [json.loads(line) for line in lines]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in parsed]


def final_state(config: Config, workdir: pathlib.Path) -> dict[str, np.ndarray]:
    state = run.newest_state(run.build(config), workdir, sys.exit)
    state = state.replace(key=jax.random.key_data(state.key))
    leaves = jax.tree.leaves_with_path(state)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def differences(whole: pathlib.Path, killed: pathlib.Path) -> list[str]:
    """What of two finished runs is not the same, by name."""
    config = settings.load(whole)
    expected, found = (final_state(config, folder) for folder in (whole, killed))
    names = [
        name for name in expected if expected[name].tobytes() != found[name].tobytes()
    ]
    print(f"{len(expected)} arrays of the state compared bit for bit")
    if metrics_of(whole) != metrics_of(killed):
        names.append("metrics.jsonl")
    print(f"{len(metrics_of(whole))} lines of metrics compared (but for their times)")
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20, help="how many kills")
    parser.add_argument("--epochs", type=int, help="default: enough for the kills")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    arguments = parser.parse_args()
    epochs = arguments.epochs or 20 * arguments.count + 8
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kills-"))
    whole, killed = folder / "whole", folder / "killed"
    variables = environment(folder / "cache")
    moments, names = random.Random(arguments.seed), []
    try:
        seconds = to_the_end(command(whole, epochs), variables)
        print(f"uninterrupted: {epochs} epochs in {seconds:.1f} s", flush=True)
        longest = seconds_besides_training(whole, seconds) + 6.0
        kills = 0
        while kills < arguments.count:
            after = moments.uniform(0.5, longest)
            if kill_after(after, command(killed, epochs), variables):
                kills += 1
                report(kills, after, killed)
            else:
                names += differences(whole, killed)
                shutil.rmtree(killed)
        to_the_end(command(killed, epochs), variables)
        names += differences(whole, killed)
    finally:
        shutil.rmtree(folder)
    if names:
        sys.exit(f"not the same: {', '.join(names)}")
    print(f"{arguments.count} kills: the same to the last bit")


def seconds_besides_training(workdir: pathlib.Path, seconds: float) -> float:
    """What a run of `seconds` took to start and to end."""
    result = json.loads((workdir / "result.json").read_text())
    return max(seconds - result["seconds"], 0.0)


def report(number: int, seconds: float, workdir: pathlib.Path) -> None:
    steps = saved_steps(workdir)
    writing = ", one was being written" if unfinished(workdir) else ""
    print(
        f"kill {number:2} after {seconds:5.2f} s; saved: {steps or 'nothing'}{writing}",
        flush=True,
    )


if __name__ == "__main__":
    main()

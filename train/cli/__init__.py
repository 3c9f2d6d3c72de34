"""The command line: flags, then one call. A user's error is printed as a sentence."""

from train.cli import process_flags
from train.cli.command import CLOSED, FAILED, INTERRUPTED, REQUEUE, USAGE, run
from train.cli.config_flag import define_config, load
from train.cli.train import main

__all__ = [
    "CLOSED",
    "FAILED",
    "INTERRUPTED",
    "REQUEUE",
    "USAGE",
    "define_config",
    "load",
    "main",
    "process_flags",
    "run",
]

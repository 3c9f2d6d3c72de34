"""Files of runs and files that a user names, on a disk or in a bucket.

Nothing else in `train/` opens a file of a workdir.
"""

from train.base.files.paths import Path, against, is_local, local, named, of_run
from train.base.files.whole import (
    claim,
    local_copy,
    move,
    read_json,
    reading,
    to_json,
    unfinished,
    unfinished_name,
    unused,
    whole,
    write_whole,
    written,
)

__all__ = [
    "Path",
    "against",
    "claim",
    "is_local",
    "local",
    "local_copy",
    "move",
    "named",
    "of_run",
    "read_json",
    "reading",
    "to_json",
    "unfinished",
    "unfinished_name",
    "unused",
    "whole",
    "write_whole",
    "written",
]

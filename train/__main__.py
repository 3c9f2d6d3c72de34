"""Trains: `python -m train --config=configs/digits_ikl_at.py --workdir=runs/digits`."""

import sys

from train.cli import main

if __name__ == "__main__":
    sys.exit(main())

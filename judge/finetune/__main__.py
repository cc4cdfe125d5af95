"""`python -m judge.finetune RECIPE [--set key=value …] [--resume]`: the same as `mmjudge train`."""

from __future__ import annotations

import sys

from judge.cli import main

raise SystemExit(main(["train", *sys.argv[1:]]))

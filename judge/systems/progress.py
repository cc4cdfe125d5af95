"""Progress bars of systems under test: one a phase, with its rate, on stderr.

with progress_bar(len(questions), "texts", "text") as bar:
    bar.update()            # mmjudge: texts:  41%|████      | 41/100 [00:12<00:17, 3.4 text/s]
    say("the painter is loaded")
"""

from __future__ import annotations

import sys
from typing import Any

from judge.core.foreign_text import shown


def progress_bar(total: int, what: str, unit: str) -> Any:
    """A bar of tqdm, at once when there is a terminal and now and then where there is none. A context manager."""
    from tqdm import tqdm

    return tqdm(total=total, desc=f"mmjudge: {what}", unit=f" {unit}", mininterval=0.5, dynamic_ncols=True)


def say(text: str) -> None:
    """A line on stderr, above the bars that are there. Text of others in it is made visible."""
    from tqdm import tqdm

    tqdm.write(f"mmjudge: {shown(text)}", file=sys.stderr)

"""Progress bars of systems under test: one a phase, with its rate, on stderr.

with progress_bar(len(questions), "texts", "text") as bar:
    bar.update()            # texts:  41%|████      | 41/100 [00:12<00:17, 3.4 text/s]
"""

from __future__ import annotations

from typing import Any


def progress_bar(total: int, what: str, unit: str) -> Any:
    """A bar of tqdm, at once when there is a terminal and now and then where there is none. A context manager."""
    from tqdm import tqdm

    return tqdm(total=total, desc=f"mmjudge: {what}", unit=f" {unit}", mininterval=0.5, dynamic_ncols=True)

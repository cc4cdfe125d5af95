"""How benchmarks print what they found: a Markdown table for people, then one line of JSON, and the JSON in a file.

print_result(table(found), found, Path("out.json"))
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def print_result(table: str, found: Any, out: Path | None) -> None:
    """Print the table and the JSON of `found`; write the JSON to `out` as well, where that is given. Raises OSError."""
    print(f"{table}\n")
    print(json.dumps(found))
    if out:
        out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

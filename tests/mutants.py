"""Damaged files for the fuzz tests: the same seed makes the same damage, and a failure names its seed.

for seed, random in mutants(200):        # or $FUZZ_MUTANTS, such as 2000
    damage_bytes(random, data)
    damage_json(random, text)
    replace_file(random, path)           # by a FIFO, a folder, a loop of links, nothing, …

with no_hang():                          # AssertionError after 30 s of waiting
    …
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

VARIABLE = "FUZZ_MUTANTS"
"""Of the environment: how many mutants each fuzz test makes, in place of the few that every run makes."""

PATIENCE_S = 30
"""Far above what any mutant takes on a busy machine: what is still not back waits for ever."""

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 3, 5, 1000, 10**6, 2**31, 2**63, 10**18, 10**299, 0.5, -0.0, 1e-310, 1e308),
    *(
        "",
        "x",
        "1",
        "../x",
        "/etc/passwd",
        "a\0b",
        "\ud800",
        "\u202e\x1b[31m",
        "x" * 10_000,
        "<IMG_CONTEXT>",
        "float32",
    ),
    *([], [[]], [0], [None], [-1, 2], {}, {"content": 1}, {"": ""}, {"content": "<s>"}, ["a"] * 1000),
)
"""What a value of JSON is replaced by."""


def mutants(few: int) -> Iterator[tuple[int, random.Random]]:
    """(seed, its random numbers), `few` times or as often as the variable says."""
    for seed in range(int(os.environ.get(VARIABLE, few))):
        yield seed, random.Random(seed)


@contextlib.contextmanager
def no_hang() -> Iterator[None]:
    """Raise AssertionError in what waits for longer than `PATIENCE_S`."""

    def give_up(*_: object) -> None:
        raise AssertionError(f"not back after {PATIENCE_S} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def damage_bytes(random: random.Random, data: bytes) -> bytes:
    """Some bytes changed, cut off, taken out, put in, or put twice."""
    there, at, length = bytearray(data), random.randrange(len(data) + 1), random.choice([1, 2, 8, 50, 5000])
    kind = random.randrange(7)
    if kind == 0:
        for _ in range(random.choice([1, 3, 30])):
            there[random.randrange(len(there))] = random.randrange(256)
    elif kind == 1:
        del there[at:]
    elif kind == 2:
        del there[at : at + length]
    elif kind == 3:
        there[at:at] = random.randbytes(length)
    elif kind == 4:
        there[at:at] = there[max(0, at - length) : at]
    elif kind == 5:
        numbers = [bytes(8), b"\xff" * 8, b"\xff" * 7 + b"\x7f", b"\x00\x00\x00\x40" + bytes(4)]
        there[at : at + 8] = random.choice(numbers)
    else:
        there += random.randbytes(length)
    return bytes(there)


def damage_json(random: random.Random, text: str) -> str:
    """JSON with one value replaced, one name gone, renamed or there twice; or no JSON any more."""
    kind = random.randrange(10)
    if kind == 0:
        return damage_bytes(random, text.encode()).decode("utf-8", "replace")
    if kind == 1:
        extremes = ["", "[" * 100_000, '{"a":' * 100_000, "null", "[]", "\ufeff" + text, text * 2, "1" * 5000, "{}"]
        return random.choice(extremes)
    value = json.loads(text)
    holders = list(_holders(value))
    holder, key = random.choice(holders)
    if kind == 2:
        del holder[key]
    elif kind == 3 and isinstance(holder, dict):
        holder[key + random.choice("s_ \0")] = holder.pop(key)
    elif kind == 4 and isinstance(holder, dict):
        mark = "@twice@"
        holder[mark] = random.choice(VALUES)
        return json.dumps(value).replace(f'"{mark}"', json.dumps(key))
    elif kind == 5:
        mark = "@number@"
        holder[key] = mark
        return json.dumps(value).replace(f'"{mark}"', random.choice(["NaN", "-Infinity", "1e999", "9" * 5000, "1E400"]))
    elif kind == 6:
        other, name = random.choice(holders)
        holder[key] = json.loads(json.dumps(other[name])) if name in other or isinstance(other, list) else None
    else:
        holder[key] = random.choice(VALUES)
    return json.dumps(value)


def replace_file(random: random.Random, path: Path) -> None:
    """Put something else where a file was."""
    path.unlink()
    kind = random.randrange(8)
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.mkdir()
    elif kind == 2:
        path.symlink_to(path.name)
    elif kind == 3:
        path.symlink_to("nowhere")
    elif kind == 4:
        path.symlink_to("/dev/zero")
    elif kind == 5:
        path.write_bytes(b"")
    elif kind == 6:
        with path.open("wb") as file:
            file.truncate(10 * 2**30)  # takes no room on the disk


def _holders(value: Any) -> Iterator[tuple[Any, Any]]:
    """(object or list, name or number in it) of every value inside."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, (dict, list)):
            yield from _holders(inner)

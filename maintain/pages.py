"""The code blocks of README.md and docs/: who runs them, and what they print.

    python maintain/pages.py                          # every block that says neither who runs it nor why nobody does
    python maintain/pages.py --write docs/tutorial.md # run a page's blocks, and put what they print into the page

A comment says it for all blocks below it, up to the next such comment; nobody sees it on the page:

    <!-- blocks: run -->                              tests/docs/test_pages.py runs bash and python blocks in order
    <!-- blocks: tests/docs/test_table_page.py -->    another test runs them
    <!-- blocks: not run, needs a GPU -->             nobody does, and why

A page whose blocks are run is run in an empty folder, with examples/ and benchmarks/ in it and without a network. A
`text` block right below one that is run is what that one prints; a line `…` in it stands for any number of lines, and
a date for any date.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
RUN, NOT_RUN = "run", "not run, "
MARK = re.compile(r"<!-- blocks: (.+?) -->")
FENCE = re.compile(r"^(`{3,})(\w*)\s*$")
DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")
CUT = "…"
BETWEEN = "--- the next block ---"
SETUPS = {"README.md": "bash examples/demo.sh out/demo >/dev/null"}
"""What is run before a page's first block: what `make demo` runs, once it has installed."""
SERVED = {"docs/judges.md": "http://localhost:8000/v1"}
"""Pages that ask a judge at an address: while their blocks run, tests/truth_judge.py answers there, but no logprobs."""


class Block(NamedTuple):
    """line: of its first fence, from 1. who: what the comment above it says, None without one."""

    page: str
    line: int
    language: str
    text: str
    who: str | None

    @property
    def runs(self) -> bool:
        return self.who == RUN and self.language in ("bash", "python")


def pages() -> list[str]:
    """Paths of all pages, from the root of the repository."""
    return ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))]


def read_blocks(page: str) -> list[Block]:
    """The blocks of a page: fenced ones, and indented ones, which have no language."""
    found: list[Block] = []
    who: str | None = None
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        if mark := MARK.search(line):
            who = mark[1]
        if fence := FENCE.match(line):
            end = next(n for n in range(number + 1, len(lines)) if lines[n] == fence[1])
            inside = "".join(f"{line}\n" for line in lines[number + 1 : end])
            found.append(Block(page, number + 1, fence[2], inside, who))
            number = end
        elif line.startswith("    ") and number and not lines[number - 1].strip():
            found.append(Block(page, number + 1, "", line, who))
        number += 1
    return found


def unmarked() -> Iterator[str]:
    """A line for each block of which nobody says who runs it."""
    for page in pages():
        for block in read_blocks(page):
            known = block.who and (block.who == RUN or block.who.startswith(NOT_RUN) or (ROOT / block.who).is_file())
            if not known:
                yield f"{page}:{block.line}: a block without `<!-- blocks: … -->` above it ({block.who})"
            if not block.language:
                yield f"{page}:{block.line}: a block without a language"


def run_page(page: str, folder: Path) -> list[tuple[Block, str]]:
    """Run the blocks of a page in an empty folder; what each printed. Raises RuntimeError where one fails."""
    blocks = [block for block in read_blocks(page) if block.runs]
    for name in ("examples", "benchmarks"):
        (folder / name).symlink_to(ROOT / name)
    script = f"set -eu\n{SETUPS.get(page, ':')}\n"
    for block in blocks:
        code = block.text
        if block.language == "python":
            code = f"python - <<'END_OF_BLOCK'\n{code}END_OF_BLOCK\n"
        script += f"echo; echo '{BETWEEN}'\n{code}"
    with served(page) as address:
        script = script.replace(SERVED.get(page, address), address)
        done = run_script(script, folder)
    output = done.stdout.replace(address, SERVED[page]) if page in SERVED else done.stdout
    printed = output.split(f"\n{BETWEEN}\n")[1:]
    if done.returncode:
        raise RuntimeError(f"{page}, block {len(printed)}: {done.stdout[-2000:]}{done.stderr[-3000:]}")
    return list(zip(blocks, printed, strict=True))


@contextlib.contextmanager
def served(page: str) -> Iterator[str]:
    """The address of the judge that a page asks; of a page that asks none, no address."""
    if page not in SERVED:
        yield "-"
        return
    sys.path.append(str(ROOT / "tests"))
    from fake_endpoint import FakeEndpoint, Fault
    from truth_judge import judge

    refusal = b'{"error": {"message": "logprobs are not supported by this model"}}'
    with FakeEndpoint(judge) as server:
        server.known_script = lambda number, body: Fault(status=400, body=refusal) if "logprobs" in body else None
        yield server.url


def run_script(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A script of bash in `folder`, as somebody without settings of their own and without a network."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MMJUDGE", "MMVU", "MMIE"))}
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    kept |= {
        "HF_HUB_OFFLINE": "1",
        "MMJUDGE_JOURNAL": str(folder / "journal"),
        "MMJUDGE_DEVICE": "cpu",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, env={**kept, "COLUMNS": "100"}, capture_output=True, text=True, check=False
    )


def outputs(page: str) -> dict[int, Block]:
    """The `text` blocks of a page right below one that is run, by the line of that one."""
    blocks = read_blocks(page)
    return {
        block.line: below
        for block, below in itertools.pairwise(blocks)
        if block.runs and below.language == "text" and below.who == RUN
    }


def differs(shown: str, printed: str) -> str | None:
    """The first line that is shown and not printed, in order; None where all are. A part between cuts is contiguous."""
    if not shown.strip():
        return "nothing is shown"
    there = [DATE.sub("DATE", line.rstrip()) for line in printed.splitlines()]
    start = 0
    for part in re.split(rf"^{CUT}\n", DATE.sub("DATE", shown), flags=re.MULTILINE):
        lines = [line.rstrip() for line in part.splitlines()]
        while start <= len(there) and there[start : start + len(lines)] != lines:
            start += 1
        if start > len(there):
            return next((line for line in lines if line not in there), lines[0])
        start += len(lines)
    return None


def shape(line: str) -> str:
    """A line without what may change in it: numbers, hashes and the room between words."""
    return re.sub(r"\s+", " ", re.sub(r"\b[0-9a-f]*\d[0-9a-f.,]*\b", "0", line))


def renewed(shown: str, printed: str) -> str | None:
    """`shown` with its lines as they are printed now, cuts where they were; None where a line is not to be found."""
    if CUT not in shown.splitlines():
        return printed.strip("\n") + "\n"
    there = printed.splitlines()
    lines: list[str] = []
    start = 0
    for line in shown.splitlines():
        if line == CUT:
            lines.append(line)
            continue
        at = next((n for n in range(start, len(there)) if shape(there[n]) == shape(line)), None)
        if at is None:
            return None
        lines.append(there[at].rstrip())
        start = at + 1
    return "\n".join(lines) + "\n"


def write_page(page: str) -> None:
    """Run a page and put what its blocks print into it."""
    with tempfile.TemporaryDirectory() as folder:
        printed = run_page(page, Path(folder))
    below = outputs(page)
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    for block, output in reversed(printed):
        shown = below.get(block.line)
        if shown is None or differs(shown.text, output) is None:
            continue
        new = renewed(shown.text, output)
        if new is None:
            print(f"{page}:{shown.line}: not renewed, for its lines are no longer there; they are now:\n{output}")
        else:
            lines[shown.line : shown.line + len(shown.text.splitlines())] = new.splitlines()
            print(f"{page}:{shown.line}: renewed")
    (ROOT / page).write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description="Check the code blocks of the pages, or write what they print.")
    parser.add_argument("--write", metavar="PAGE", nargs="+", default=[], help="pages whose output is written anew")
    for page in (given := parser.parse_args().write):
        write_page(page)
    found = [] if given else list(unmarked())
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

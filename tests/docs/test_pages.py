"""Every code block of README.md and docs/ is run, by this file or another one, or says why nobody runs it."""

from __future__ import annotations

import importlib.util
import itertools
import re
import shlex
from types import ModuleType

import folders
import pytest

from judge import cli

NAME = folders.ROOT / "maintain" / "pages.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pages", NAME)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pages = load()
BLOCKS = [block for page in pages.pages() for block in pages.read_blocks(page)]
RUN = sorted({block.page for block in BLOCKS if block.runs})
COMMANDS = {name for group in cli.GROUPS.values() for name in group}


def test_every_block_says_who_runs_it():
    assert list(pages.unmarked()) == []


@pytest.mark.parametrize("who", sorted({block.who for block in BLOCKS if block.who and block.who.endswith(".py")}))
def test_the_test_that_is_named_reads_the_page(who):
    source = (folders.ROOT / who).read_text(encoding="utf-8")
    for page in sorted({block.page for block in BLOCKS if block.who == who}):
        assert page.rpartition("/")[2] in source


@pytest.mark.parametrize("page", RUN)
def test_the_page_runs_and_prints_what_it_shows(page, tmp_path):
    pytest.importorskip("torch", reason="the hf extra is not installed")
    pytest.importorskip("lmms_eval.models", reason="lmms-eval is not installed")
    printed = {block.line: output for block, output in pages.run_page(page, tmp_path)}
    for line, shown in pages.outputs(page).items():
        problem = pages.differs(shown.text, printed[line])
        assert problem is None, f"{page}:{shown.line} (python maintain/pages.py --write {page}): {problem}"


def commands() -> list[tuple[str, str]]:
    """(where, command) of every `mmjudge …` that a bash block has, run or not."""
    found = []
    for block in BLOCKS:
        if block.language != "bash":
            continue
        for line in block.text.replace("\\\n", " ").splitlines():
            if match := re.match(r"(?:[A-Z_]+=\S+ )*mmjudge ([a-z].*)", line):
                found.append((f"{block.page}:{block.line}", match[1]))
    return found


@pytest.mark.parametrize(("where", "command"), commands())
def test_the_commands_that_are_shown_are_taken(where, command):
    """By the parser: their options are there, and have such values."""
    words = shlex.split(re.sub(r"\$\([^)]*\)", "X", command), comments=True)
    given = list(itertools.takewhile(lambda word: word != "|" and not word.startswith((">", "2>")), words))
    if "…" in given:  # options of it are left out
        assert given[0] in COMMANDS
        return
    assert cli.make_parser(given).parse_args(given).command == given[0], where


def test_every_command_is_on_a_page():
    text = " ".join((folders.ROOT / page).read_text(encoding="utf-8") for page in pages.pages() if page != "README.md")
    assert {name for name in COMMANDS if not re.search(rf"`mmjudge {name}\b|^mmjudge {name}\b", text, re.M)} == set()


def test_a_block_that_prints_otherwise_is_told():
    # a part between cuts is contiguous, dates are dates, what is not shown does not matter
    printed = "a 1\nb 2026-01-02\nc\nd\n"
    assert pages.differs("a 1\nb 2025-12-31\n", printed) is None
    assert pages.differs("a 1\n…\nd\n", printed) is None
    assert pages.differs("c\n…\na 1\n", printed) == "a 1"
    assert pages.differs("a 2\n", printed) == "a 2"
    # renewed: the numbers as they are now, the cut where it was
    assert pages.renewed("a 7\n…\nd\n", printed) == "a 1\n…\nd\n"
    assert pages.renewed("e\n…\n", printed) is None
    assert pages.renewed("a 7\n", printed) == printed

"""What `mmjudge --help` says, and what is said of a misspelt word."""

from __future__ import annotations

import importlib
import pkgutil
import shlex

import pytest

import judge.commands
from judge import cli

COMMANDS = [name for commands in cli.GROUPS.values() for name in commands]
NO_COMMANDS = {"agree_pairs", "contrast_formats", "options", "output", "table_formats"}
"""Modules of `judge.commands` that several commands share, or one is drawn by."""


def refused(capfd, *words):
    """The last lines of stderr, from the error on."""
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    return capfd.readouterr().err.partition("error: ")[2]


def test_every_command_is_in_one_group(capfd):
    assert {module.name for module in pkgutil.iter_modules(judge.commands.__path__)} - NO_COMMANDS == {
        name.replace("-", "_") for name in COMMANDS
    }
    assert len(COMMANDS) == len(set(COMMANDS))
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    shown = capfd.readouterr().out
    for title, commands in cli.GROUPS.items():
        assert f"\n{title}:\n" in shown
        for name, line in commands.items():
            assert f"  {name:<12} {line}\n" in shown  # subset-check is the longest


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_two_examples_that_it_takes(name, capfd):
    examples = importlib.import_module(f"judge.commands.{name.replace('-', '_')}").EXAMPLES
    assert len(examples) == 2
    for example in examples:
        words = [word for word in shlex.split(example) if not word.startswith(("MMVU_DATA=", "MMIE_DATA="))]
        assert words[:2] == ["mmjudge", name]
        assert cli.make_parser(words[1:]).parse_args(words[1:]).command == name
    with pytest.raises(SystemExit):
        cli.main([name, "--help"])
    assert "examples:\n  " + "\n  ".join(examples) + "\n" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["scoer"], "score"),
        (["leaderboard"], None),
        (["score", "x", "--benchmark", "mmei", "--out", "y"], "mmie"),
        (["score", "x", "--benchmark", "mmie", "--oout", "y"], "--out"),  # --out is missing, too
        (["score", "x", "--benchmark", "mmie", "--out", "y", "--jugde=z"], "--judge"),
        (["score", "x", "--benchmark", "mmie", "--out", "y", "--profile", "stirct"], "strict"),
        (["score", "x", "--benchmark", "mmie", "--out", "y", "--device", "cpu", "--zzzzz"], None),
        (["table", "x", "--fromat", "csv"], "--format"),
    ],
)
def test_a_misspelt_word_is_answered_with_the_nearest(capfd, words, meant):
    said = refused(capfd, *words)
    assert ([line for line in said.splitlines() if "did you mean" in line]) == (
        [f"→ did you mean {meant}?"] if meant else []
    )


def test_an_abbreviation_and_what_follows_two_dashes_is_not_misspelt(capfd):
    assert "did you mean" not in refused(capfd, "score", "x", "--bench", "mmie", "--", "--oout")

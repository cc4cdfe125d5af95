"""Options that several subcommands share: one check each, and an error for one that means nothing here."""

from __future__ import annotations

import argparse
import importlib

import pytest

from judge import cli
from judge.commands import options
from judge.core.benchmark import find
from judge.errors import UserError

SHARED = ("--benchmark", *options.DATA, *options.JUDGE, *options.ENGINE, *options.RAY, "--rope", "--seed", "--n")


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    options.add(parser, *SHARED, "--resamples", "--max-unscored")
    parser.add_argument("--stop-at-score", action="store_true")
    return parser.parse_args(words)


@pytest.mark.parametrize(("text", "value"), [("5%", 0.05), ("0.05", 0.05), ("0", 0.0), ("100%", 1.0)])
def test_share(text, value):
    assert options.share(text) == value


@pytest.mark.parametrize("text", ["5", "-1%", "101%", "five", "", "%", "nan", "nan%"])
def test_no_share(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is no share; write 5%"):
        options.share(text)


@pytest.mark.parametrize(
    ("option", "refused", "taken", "value"),
    [
        ("--batch-size", ["0", "-1", "x", "1.5", ""], "4", 4),
        ("--workers", ["0", "-1", "x"], "2", 2),
        ("--ray", ["answers.jsonl", "h", ""], "10.0.0.1:6379", "10.0.0.1:6379"),
        ("--n", ["0", "-1"], "1", 1),
        ("--seed", ["-1", "x"], "0", 0),
        ("--resamples", ["99", "x"], "100", 100),
        ("--dtype", ["float16"], "bfloat16", "bfloat16"),
        ("--rubric", ["mine"], "official", "official"),
        ("--profile", ["lax"], "reference", "reference"),
        ("--rope", ["short"], "long", "long"),
        ("--benchmark", ["mmmu"], "mmie", "mmie"),
        ("--max-unscored", ["5"], "5%", 0.05),
    ],
)
def test_an_option_is_checked_when_it_is_read(option, refused, taken, value, capsys):
    for text in refused:
        with pytest.raises(SystemExit) as caught:
            parse(f"{option}={text}")
        assert caught.value.code == 2
        assert f"argument {option}" in capsys.readouterr().err
    assert getattr(parse(option, taken), option.removeprefix("--").replace("-", "_")) == value


def test_what_was_not_given_is_none():
    args = parse()
    given = {name: value for name, value in vars(args).items() if value is not None and value is not False}
    assert given == {"seed": 0, "max_unscored": 0.05}
    assert options.profile(args) == "strict"
    assert options.profile(parse("--profile", "reference")) == "reference"


RULES = "mmvu is decided by rules and asks no judge"
SERVED = "this is for whoever serves the judge at its address"


@pytest.mark.parametrize(
    ("benchmark", "judge", "words", "message"),
    [
        ("mmvu", None, ["--judge", "a/b"], f"--judge means nothing here: {RULES}; leave it out"),
        ("mmvu", None, ["--profile", "strict"], f"--profile means nothing here: {RULES}; leave it out"),
        ("mmvu", None, ["--rope", "reference"], f"--rope means nothing here: {RULES}; leave it out"),
        (
            "mmvu",
            None,
            ["--device", "cpu", "--rubric", "official", "--batch-size", "1"],
            f"--rubric, --device, --batch-size mean nothing here: {RULES}; leave them out",
        ),
        ("mmie", "replay:x", ["--device", "cpu"], "recorded feedback is replayed, no judge is asked; leave it out"),
        ("mmie", "replay:x", ["--rubric", "official"], "--rubric means nothing here"),
        ("mmie", "http://a/v1", ["--device", "cpu"], f"--device means nothing here: {SERVED}; leave it out"),
        ("mmie", "http://a/v1", ["--ray"], f"--ray means nothing here: {SERVED}; leave it out"),
        ("mmie", "replay:x", ["--ray", "auto", "--workers", "2"], "--ray, --workers mean nothing here"),
        ("mmvu", None, ["--ray"], f"--ray means nothing here: {RULES}; leave it out"),
        ("mmie", "http://a/v1", ["--stop-at-score"], f"--stop-at-score means nothing here: {SERVED}"),
        ("mmie", "a/b", ["--tokenizer", "a/b"], "a judge that runs here brings its own tokenizer; leave it out"),
    ],
)
def test_an_option_without_a_meaning_is_refused(benchmark, judge, words, message):
    with pytest.raises(UserError) as caught:
        options.refuse_unused(parse(*words), find(benchmark), judge)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("benchmark", "judge", "words"),
    [
        ("mmvu", None, ["--data", "d", "--image-root", "i", "--max-unscored", "1", "--seed", "1"]),
        ("mmie", "replay:x", ["--data", "d", "--profile", "reference"]),
        ("mmie", "http://a/v1", ["--tokenizer", "a/b", "--rubric", "official", "--batch-size", "8"]),
        (
            "mmie",
            "a/b",
            ["--device", "cpu", "--dtype", "float32", "--batch-size", "8", "--ray", "auto", "--workers", "2"],
        ),
        ("mmie", "a/b", ["--rope", "long", "--stop-at-score", "--profile", "reference", "--rubric", "mmjudge"]),
    ],
)
def test_an_option_with_a_meaning_is_not(benchmark, judge, words):
    assert options.refuse_unused(parse(*words), find(benchmark), judge) is None


@pytest.mark.parametrize(
    ("words", "judge"),
    [
        ([], "MMIE/MMIE-Score"),
        (["--judge", "a/b"], "a/b"),
        (["--judge", "replay:x"], "replay:x"),
        (["--judge", "http://a/v1", "--judge", "http://b/v1"], "http://a/v1,http://b/v1"),
    ],
)
def test_the_judge_that_is_named(words, judge, monkeypatch):
    monkeypatch.delenv("MMJUDGE_JUDGE", raising=False)
    assert options.judge_name(parse(*words)) == judge


def test_the_judge_is_named_once():
    with pytest.raises(UserError, match="--judge is given several times"):
        options.judge_name(parse("--judge", "a/b", "--judge", "c/d"))


def test_the_folder_of_a_served_judge(monkeypatch):
    monkeypatch.delenv("MMJUDGE_TOKENIZER", raising=False)
    assert options.judge_folder(parse(), "a/b") == "a/b"
    assert options.judge_folder(parse(), "http://a/v1") == "http://a/v1"
    assert options.judge_folder(parse("--tokenizer", "c/d"), "http://a/v1") == "c/d"
    monkeypatch.setenv("MMJUDGE_TOKENIZER", "e/f")
    assert options.judge_folder(parse(), "http://a/v1") == "e/f"


def test_the_benchmark_that_asks_a_judge():
    assert options.judged_benchmark(parse()).name == "mmie"
    assert options.judged_benchmark(parse("--benchmark", "mmie")).name == "mmie"
    with pytest.raises(UserError, match="mmvu is decided by rules: no judge is asked"):
        options.judged_benchmark(parse("--benchmark", "mmvu"))


@pytest.mark.parametrize("command", [name for commands in cli.GROUPS.values() for name in commands])
def test_every_command_checks_a_shared_option_alike(command):
    """Same check, same choices, same number of values, wherever an option of this name is taken."""
    parser, shared = argparse.ArgumentParser(), argparse.ArgumentParser()
    importlib.import_module(f"judge.commands.{command.replace('-', '_')}").add_arguments(parser)
    options.add(shared, *options._declared())
    taken = _checks(parser)
    assert {name: taken[name] for name in _checks(shared) if name in taken} == {
        name: check for name, check in _checks(shared).items() if name in taken
    }


def _checks(parser):
    return {
        option: (action.type, tuple(action.choices or ()), action.nargs, type(action))
        for action in parser._actions
        for option in action.option_strings
    }

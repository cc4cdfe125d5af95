"""The report says what the commands say: leaderboard, remarks, repeats, and why conditions are not contrasted."""

import json
import re
import types

import pytest

pytest.importorskip("matplotlib", reason="the extra 'report' is not installed")

from condition_runs import ALWAYS_A, RIGHT, write_letters
from synthetic import mmie, mmvu

from judge import cli
from judge.report import build, content
from judge.results.remarks import remarks
from judge.results.run_folder import read_run


def plain(page):
    """The page's text without its script, data and tags."""
    body = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body).replace("&#39;", "'"))


def rows(page):
    """The cells of the leaderboards, as texts."""
    return [
        [
            re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", cell)).strip()
            for cell in re.findall(r"<t[hd]\b.*?</t[hd]>", row, re.S)
        ]
        for board in re.findall(r'<table class="board">.*?</table>', page, re.S)
        for row in re.findall(r"<tr.*?</tr>", board, re.S)
    ]


def test_it_begins_with_the_table_of_mmjudge_table(tmp_path, capsys):
    folders = [mmvu(tmp_path / f"m{number}", seed=number, right=0.5 + 0.15 * number) for number in range(3)]
    page = build.build_report([str(folder) for folder in folders], tmp_path / "report.html")
    assert page.index("<table") < page.index("comes first of 3")
    assert cli.main(["table", *map(str, folders), "--format", "json"]) == 0
    (table,) = json.loads(capsys.readouterr().out)["tables"]
    shown = rows(page)
    for row, run in zip(shown[1:4], table["runs"], strict=True):
        ra = run["metrics"]["RA"]
        assert row[0] == run["model"]
        assert row[1] == f"{ra['value']:.2f} {ra['ci_low']:.2f} to {ra['ci_high']:.2f}"
        assert row[shown[0].index("alike")] == run["alike"]
        assert row[shown[0].index("n")] == "600"
    # 19 systems were published for v1, and stand below in their own columns
    assert [row[-1] for row in shown[4:]] == ["published"] * 19
    (gpt,) = [row for row in shown if row[0] == "GPT-4o"]
    assert gpt[shown[0].index("RA_reference ↑ more is better")] == "69.00"
    for pair in table["pairs"]:
        assert f"{pair['first']} − {pair['second']}" in plain(page)
    for note in table["notes"]:
        assert note in plain(page)


def test_categories_and_fields_are_tables(tmp_path):
    folder = mmie(tmp_path / "run", 60)
    text = plain(build.build_report([str(folder)], tmp_path / "report.html"))
    results = json.loads((folder / "results.json").read_text())
    for name, found in (*results["categories"].items(), *results["groups"]["field"].items()):
        of = found["score"]
        assert f"{name} {of['value']:.2f} {of['ci_low']:.2f} to {of['ci_high']:.2f} n {of['n']}" in text


def test_it_says_what_compare_says(tmp_path, capsys):
    folders = [
        mmie(tmp_path / "a", 40, parts={"part": "40 of 48", "feedback": "1a", "asked": "plain@0"}),
        mmie(tmp_path / "b", 40, seed=1, parts={"part": "40 of 48", "feedback": "2b"}),
    ]
    said = remarks([(folder.name, read_run(folder)) for folder in folders])
    assert len(said) == 4  # partial, replayed, wordings, few
    page = build.build_report([str(folder) for folder in folders], tmp_path / "report.html")
    cautions = plain(re.search(r'<section id="cautions">.*?</section>', page, re.S)[0])
    ranked = remarks([(row[0], read_run(tmp_path / row[0])) for row in rows(page)[1:]], categories=True)
    assert [sentence for sentence in ranked if sentence not in cautions] == []
    assert rows(page)[1][rows(page)[0].index("n")] == "PARTIAL 40 of 48"
    assert cli.main(["compare", *map(str, folders)]) == 0
    out = re.sub(r"\s+", " ", capsys.readouterr().out)
    runs = [(letter, read_run(folder)) for letter, folder in zip("AB", folders, strict=True)]
    named = remarks(runs, categories=True)
    assert [sentence for sentence in named if f"note: {sentence}" not in out] == []


def test_differing_judges_are_parts_of_one_table(tmp_path):
    folders = [mmie(tmp_path / "a", 40), mmie(tmp_path / "b", 40, seed=1, parts={"judge": "other@2"})]
    page = build.build_report([str(folder) for folder in folders], tmp_path / "report.html")
    assert "measured differently, not ranked with those above: judge: tiny@1 there, other@2 here" in page
    assert "every pair" not in page


def test_a_caution_stands_once_with_all_it_is_about(tmp_path):
    folders = [mmie(tmp_path / "a", 40), mmie(tmp_path / "b", 40, seed=1), mmvu(tmp_path / "c", edition="unknown (9)")]
    page = build.build_report([str(folder) for folder in folders], tmp_path / "report.html")
    assert plain(page).count("not known to be a published edition") == 1
    assert "MMIE: all runs; MMVU: c:" in plain(page)


@pytest.fixture
def repeated(tmp_path):
    parent = tmp_path / "llava" / "mmvu"
    for number in (1, 2, 3):
        mmvu(parent / f"repeat-{number}", seed=number)
    (parent / "repeats.json").write_text(json.dumps({"repeats": 3}))
    return parent


def test_repeats_are_one_run(repeated, tmp_path):
    other = mmvu(tmp_path / "other", seed=9)
    page = build.build_report([str(repeated), str(other)], tmp_path / "report.html")
    assert {row[0] for row in rows(page)[1:3]} == {"llava", "other"}
    assert "llava: asked 3 times; the first time is shown and compared." in plain(page).replace(" :", ":")
    values = [read_run(repeated / f"repeat-{number}").estimate("RA")["value"] for number in (1, 2, 3)]
    mean = sum(values) / 3
    sd = (sum((value - mean) ** 2 for value in values) / 2) ** 0.5
    said = " ".join(f"{value:.2f}," for value in values).rstrip(",")
    assert f"llava 3 RA {mean:.2f} {sd:.2f} {said}" in plain(page)


def test_repeats_of_one_run_are_no_rivals(repeated, tmp_path, capsys):
    given = [str(repeated / "repeat-1"), str(repeated / "repeat-3")]
    assert cli.main(["report", *given, "--out", str(tmp_path / "report.html")]) == 2
    assert (
        f"repeats of one run, which are no rivals; 2 of them were given\n→ give the folder with all of them: {repeated}"
        in capsys.readouterr().err
    )
    assert cli.main(["report", given[0], "--out", str(tmp_path / "report.html")]) == 0


def test_conditions_that_cannot_be_contrasted_are_said_on_the_screen_too(tmp_path, capsys):
    folders = [write_letters(tmp_path / "a", RIGHT), write_letters(tmp_path / "b", ALWAYS_A, "blind", model="another")]
    assert cli.main(["report", *map(str, folders), "--out", str(tmp_path / "report.html")]) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "not contrasted" in line]
    assert "the conditions of MMVU are not contrasted: results of different models" in line
    assert "the conditions are not contrasted: results of different models" in plain(
        (tmp_path / "report.html").read_text()
    )


def test_what_is_cut_is_said_above_the_first_number(tmp_path):
    folder = mmie(tmp_path / "run", 120, length=5000)
    page = build.build_report([str(folder)], tmp_path / "report.html", megabytes=1)
    said = re.search(r'<p class="left-out">(.*?)</p>', page, re.S)[1]
    assert page.index('class="left-out"') < page.index("<table")
    # 120 questions with answer and feedback: 1.4 MB with 4,000 characters of each, 0.7 MB with 2,000
    assert "are cut: MMIE to 2,000 characters (--megabytes 2 leaves more)" in said
    assert "a choice of 12, with texts of 1,000 characters at most" in said  # 2 groups of 2 in 3 categories
    assert "mmjudge view DIR…" in said
    assert len(page.encode()) < 1_000_000
    # question 0 … 5 have a picture each; every answer names one that is not there
    assert "120 pictures were not kept" in said


@pytest.mark.parametrize(("given", "code"), [("0", 2), ("1", 0)])
def test_megabytes(tmp_path, capsys, given, code):
    folder = mmie(tmp_path / "run")
    assert cli.main(["report", str(folder), "--out", str(tmp_path / "r.html"), "--megabytes", given]) == code


def test_what_terminals_say_of_a_subset_and_of_rules_is_there():
    def estimate(value):
        return {"value": value, "ci_low": value - 1, "ci_high": value + 1, "n": 996}

    found = {"n": 996, "of": 20103, "estimates": {"score": estimate(64.0), "mean": estimate(3.84)}}
    rule = {
        "ruled": 30, "questions": 40, "category": "MSR", "coverage": 75.0, "rules": {"letter": 30},
        "exact": estimate(50.0),
        "judge": {"right": estimate(5.0), "wrong": estimate(2.0), "superiority": estimate(0.9)},
    }  # fmt: skip
    entries = [
        types.SimpleNamespace(name="a", result={"subset": found, "by_rule": rule}),
        types.SimpleNamespace(name="b", result={"by_rule": None}),
    ]
    section = types.SimpleNamespace(entries=entries)
    assert content.Section.whole.fget(section) == [
        ["run", "scored, of all questions", "score of all, estimated", "mean of all, estimated"],
        ["a", "996 of 20,103", "64.00 [63.00, 65.00]", "3.84 [2.84, 4.84]"],
    ]
    ((name, said),) = content.Section.by_rule.fget(section)
    assert name == "a"
    assert said.startswith(
        "by rule, which can tell 30 of 40 MSR answers (75.0%: 30 letter): 50.00 [49.00, 51.00] % right."
    )

"""`mmjudge table`: rank, marks, published systems, every pair, the five formats, and what is no run."""

from __future__ import annotations

import csv
import io
import json
import random
from pathlib import Path
from typing import Any

import pytest

from judge import cli
from judge.core.benchmark import Source, find
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.results.compare import compare
from judge.results.multiple import holm
from judge.results.result import build_result
from judge.results.run_folder import RunFolder, read_run
from judge.results.table import rank_runs
from mmvu_tasks.categories import CATEGORIES


def mmvu(folder: Path, right: float, model: str | None = None, *, edition: str = "v1", **parts: str) -> Path:
    """A run of the 300 pairs of v1, of which this share is right and the rest wrong; other shares, other pairs."""
    seen = set(random.Random(str(right)).sample(range(300), round(300 * right)))
    verdicts: list[Verdict] = []
    for category in CATEGORIES:
        for pair in range(category.v1):
            sees = int(len(verdicts) // 2 in seen)
            for kind in ("POS", "NEG"):
                details = {"type": kind, "level": category.level, "letter": "B", "score_reference": sees}
                name, index = f"{category.key}/{pair:02}", len(verdicts)
                verdicts.append(Verdict(name, "rule", sees, None, category.name, index, details=details))
    return write(folder, "mmvu", verdicts, model, {"edition": edition, **parts})


def mmie(folder: Path, score: int, model: str | None = None, **parts: str) -> Path:
    """Six answers of two fields, one of them unscored and one a failure of the model."""
    verdicts = [
        Verdict(f"SA-{n}", "judge", score, None, "SA", details={"field": "Art" if n % 2 else "Health"})
        for n in range(4)
    ]
    verdicts.append(Verdict("PBL-1", "judge", None, "truncated", "PBL", details={"field": "Art"}))
    verdicts.append(Verdict("PBL-2", "judge", 0, None, "PBL", failure="empty_answer", details={"field": "Art"}))
    return write(folder, "mmie", verdicts, model, {"edition": "v1", **parts})


def write(folder: Path, name: str, verdicts: list[Verdict], model: str | None, parts: dict[str, str]) -> Path:
    folder.mkdir(parents=True)
    benchmark = find(name)
    source = Source(benchmark.repo, "local:0123456789ab", parts["edition"])
    signature = Signature({"benchmark": name, **parts})
    run = {"model": model, "date": "2026-01-31T12:00:00+00:00"} if model else None
    RunFolder(folder).write_verdicts(verdicts)
    RunFolder(folder).write_results(build_result(benchmark, verdicts, None, source, signature, run=run))
    return folder


@pytest.fixture
def table(capsys):
    """The command: exit code, stdout, stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        code = cli.main(["table", *map(str, words)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def lines_with(text: str, *words: str) -> list[str]:
    return [line for line in text.splitlines() if any(line.startswith(word) for word in words)]


def test_one_row_a_run_the_best_first(tmp_path, table):
    low, high = mmvu(tmp_path / "low", 0.3, "llava-1.6"), mmvu(tmp_path / "high", 0.8, "qwen2-vl")
    same = mmvu(tmp_path / "unnamed", 0.78)  # without a model it is called by its folder
    code, out, err = table(low, same, high)
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in lines_with(out, "qwen", "llava", "unnamed")][:3] == [
        "qwen2-vl", "unnamed", "llava-1.6",
    ]  # fmt: skip
    first, second, third = lines_with(out, "qwen2-vl ", "unnamed ", "llava-1.6 ")[:3]
    ra = read_run(high).estimate("RA")
    assert f"{ra['value']:.2f} [{ra['ci_low']:.2f}, {ra['ci_high']:.2f}]" in first
    assert first.split()[1:5] == ["2026-01-31", "600", "0", "(0.0%)"]
    assert [line.split()[-1] for line in (first, second, third)] == ["a", "a", "b"]


def test_published_systems_stand_beside_what_was_measured_as_they_were(tmp_path, table):
    _, out, _ = table(mmvu(tmp_path / "a", 0.8), mmvu(tmp_path / "b", 0.3))
    (row,) = lines_with(out, "GPT-4o ")
    # arXiv 2406.10638v1: RA 69.0 and MR 19.46, by the published reading of the letter
    assert row.split() == ["GPT-4o", "published", "600", *["-"] * 6, "69.00", "19.46", "-"]
    assert "RA_reference" in out
    assert "published: MMR, 300 pairs (arXiv 2406.10638v1" in out
    _, out, _ = table(mmvu(tmp_path / "c", 0.8, edition="CVPR"))
    assert "GPT" not in out
    assert "No published systems beside them" in out


def test_every_pair_is_compared_and_adjusted(tmp_path, table):
    folders = [mmvu(tmp_path / name, right) for name, right in (("a", 0.8), ("b", 0.76), ("c", 0.62), ("d", 0.3))]
    runs = [read_run(folder) for folder in folders]
    code, out, _ = table(*reversed(folders), "--format", "json")
    (found,) = json.loads(out)["tables"]
    assert code == 0
    assert [run["model"] for run in found["runs"]] == ["a", "b", "c", "d"]
    names = [(pair["first"], pair["second"]) for pair in found["pairs"]]
    assert names == [("a", "b"), ("a", "c"), ("a", "d"), ("b", "c"), ("b", "d"), ("c", "d")]
    own = [
        compare(runs["abcd".index(second)], runs["abcd".index(first)]).metrics["RA"].paired for first, second in names
    ]
    assert [pair["p"] for pair in found["pairs"]] == [one.p for one in own]
    assert [pair["difference"]["value"] for pair in found["pairs"]] == [one.difference.value for one in own]
    assert [pair["p_holm"] for pair in found["pairs"]] == holm([one.p for one in own])
    letters = {run["model"]: set(run["alike"]) for run in found["runs"]}
    for pair in found["pairs"]:
        assert bool(letters[pair["first"]] & letters[pair["second"]]) == (pair["p_holm"] >= 0.05)
    assert {pair["p_holm"] >= 0.05 for pair in found["pairs"]} == {True, False}
    # all digits
    assert [run["metrics"]["RA"] for run in found["runs"]] == [run.estimate("RA") for run in runs]


def test_of_many_pairs_text_and_markdown_say_where_they_are(tmp_path, table):
    folders = [mmie(tmp_path / name, score) for name, score in zip("abcdefg", (0, 1, 2, 3, 4, 5, 6), strict=True)]
    # 6 · 5 / 2 = 15 are shown, 7 · 6 / 2 = 21 are not
    for given, shown in ((folders[:6], True), (folders, False)):
        for form in ("text", "markdown"):
            _, out, _ = table(*given, "--format", form)
            assert ("21 pairs were compared: --format json has them" in out) is not shown
            assert (len([line for line in out.splitlines() if " − " in line]) == 15) is shown
        _, out, _ = table(*given, "--format", "json")
        assert len(json.loads(out)["tables"][0]["pairs"]) == (15 if shown else 21)
    for form in ("latex", "csv"):
        _, out, _ = table(*folders, "--format", form)
        assert "−" not in out


def test_what_was_measured_differently_is_not_ranked_with_the_rest(tmp_path, table):
    whole, part = mmie(tmp_path / "a", 3, profile="strict"), mmie(tmp_path / "b", 6, profile="strict", part="6 of 48")
    other = mmie(tmp_path / "c", 5, profile="reference")
    code, out, _ = table(whole, part, other)
    assert code == 0
    assert out.count("\nmodel ") + out.startswith("model ") == 3
    assert "PARTIAL 6 of 48" in out
    assert "part: absent there, 6 of 48 here" in " ".join(out.split())
    assert "profile: strict there, reference here" in " ".join(out.split())
    assert "alike" not in out
    assert "difference in" not in out
    groups = rank_runs([read_run(folder) for folder in (whole, part, other)])
    assert [list(group.differing) for group in groups] == [[], ["part"], ["profile"]]


def test_replayed_runs_compare_with_a_caution(tmp_path, table):
    _, out, _ = table(mmie(tmp_path / "a", 3, feedback="1a"), mmie(tmp_path / "b", 4, feedback="2b"))
    assert out.count("MMIE, edition v1") == 1
    assert "Replayed feedback: nothing here says" in out


def test_several_benchmarks_are_several_tables(tmp_path, table):
    mmvu(tmp_path / "x" / "mmvu", 0.5, "llava")
    mmie(tmp_path / "x" / "mmie", 3, "llava")
    _, out, _ = table(tmp_path)
    assert [line for line in out.splitlines() if ", edition " in line] == ["MMIE, edition v1", "MMVU, edition v1"]
    # one of six answers has no score, one is a failure of the model
    (row,) = [line for line in lines_with(out, "llava ") if " 6 " in line]
    assert row.split()[2:7] == ["6", "1", "(16.7%)", "1", "(16.7%)"]


def test_by_category_and_by_field(tmp_path, table):
    a, b, c = mmie(tmp_path / "a", 3), mmie(tmp_path / "b", 6), mmvu(tmp_path / "c", 0.5)
    _, out, _ = table(a, b, "--by", "category")
    (row,) = lines_with(out, "SA ")
    # the better run comes first: four answers with 6 of 6, and four with 3
    assert row.index("100.00") < row.index("50.00")
    assert "n=4" in row
    # MMVU has no fields; Art: 3, 3, 0 of 6 in the three scored is 33.33, and 6, 6, 0 is 66.67
    code, out, _ = table(a, b, c, "--by", "field", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert [(row["model"], row["field"]) for row in rows] == [
        ("b", "Art"), ("b", "Health"), ("a", "Art"), ("a", "Health"),
    ]  # fmt: skip
    assert [float(row["value"]) for row in rows] == pytest.approx([200 / 3, 100, 100 / 3, 50])
    code, _, err = table(c, "--by", "feild")
    assert code == 2
    assert "→ --by category | level" in err


def test_csv_has_all_digits(tmp_path, table):
    a, b = mmvu(tmp_path / "a", 0.8, "=x,\n"), mmie(tmp_path / "b", 3)
    _, out, _ = table(a, b, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    ours = [row for row in rows if row["folder"]]
    assert [row["model"] for row in ours] == ["'=x,\n", "b"]  # no formula
    ra = read_run(a).estimate("RA")
    assert [float(ours[0][f"RA{end}"]) for end in ("", "_ci_low", "_ci_high")] == [
        ra["value"], ra["ci_low"], ra["ci_high"],
    ]  # fmt: skip
    assert ours[1]["RA"] == ""
    assert float(ours[1]["unscored_rate"]) == 1 / 6
    assert all(row["source"] for row in rows if not row["folder"])


def test_names_are_data_in_markdown_and_latex(tmp_path, table):
    name = "a_b|c & 50% \\input{x} $1$ <i>\n\\end{tabular}"
    run = mmie(tmp_path / "a", 3, name)
    _, out, _ = table(run, "--format", "markdown")
    (row,) = [line for line in out.splitlines() if "50%" in line]
    assert r"a\_b\|c &amp; 50% \\input{x} $1$ &lt;i>\\n\\end{tabular}" in row
    _, out, _ = table(run, "--format", "latex")
    assert out.count("\\end{tabular}") == 1
    assert out.count("\\begin{tabular}{lrrrrrr}") == 1
    assert r"a\_b|c \& 50\% \textbackslash{}input\{x\} \$1\$ $<$i$>$\textbackslash{}n" in out
    assert [line for line in out.splitlines() if line.startswith("% signature: benchmark:mmie")]


def test_runs_of_one_model_are_told_apart(tmp_path, table):
    a, b = mmie(tmp_path / "a", 3, "anole"), mmie(tmp_path / "b", 4, "anole")
    _, out, _ = table(a, b, a)
    assert len(lines_with(out, f"anole ({a})")) == 1  # given twice, shown once
    assert lines_with(out, f"anole ({b})")


def unfinished(folder: Path) -> Path:
    mmie(folder, 3)
    (folder / "results.json").unlink()
    return folder


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (unfinished, "no results here; the run has not ended"),
        (lambda folder: folder, "no such results folder"),
        (lambda folder: folder.mkdir() or folder, "no results here, nor in folders below"),
    ],
)
def test_what_is_no_finished_run(tmp_path, table, make: Any, problem):
    code, out, err = (
        table(mmie(tmp_path / "good", 3), make(tmp_path / "bad"))
        if "nor in" not in problem
        else table(make(tmp_path / "bad"))
    )
    assert (code, out) == (2, "")
    assert problem in err
    assert str(tmp_path / "bad") in err
    assert err.count("→") <= 1


def test_what_holds_no_run_among_others_is_left_out_aloud(tmp_path, table):
    mmie(tmp_path / "demo" / "mmie", 3)
    unfinished(tmp_path / "demo" / "deep" / "mmie")
    (tmp_path / "demo" / "deep" / "mmie" / "run.json").write_text("{}")
    (tmp_path / "demo" / "pictures").mkdir()
    (tmp_path / "demo" / "report.html").write_text("")
    code, out, err = table(*sorted((tmp_path / "demo").iterdir()))
    assert code == 0
    assert lines_with(out, "mmie ")
    left = ", ".join(f"{tmp_path}/demo/{name}" for name in ("deep/mmie", "pictures", "report.html"))
    assert err == f"left out, no results in: {left}\n"


def test_repeats_of_one_run_are_no_rivals(tmp_path, table):
    for number, right in ((1, 0.5), (2, 0.52), (10, 0.54)):
        mmvu(tmp_path / "llava" / f"repeat-{number}", right, "llava")
    (tmp_path / "llava" / "repeats.json").write_text("{}")
    mmvu(tmp_path / "qwen", 0.8, "qwen")
    code, out, err = table(tmp_path / "llava", tmp_path / "qwen")
    assert code == 0
    alone = mmvu(tmp_path / "other" / "first", 0.5, "llava")
    assert out == table(alone, tmp_path / "qwen")[1]
    said = f"{tmp_path}/llava: 3 repeats of one run; repeat-1 stands for them, repeats.json has mean and spread\n"
    assert err == said
    assert table(tmp_path / "llava" / "repeat-2", tmp_path / "qwen")[2] == ""


def test_few_units_by_category_are_said_where_categories_are_shown(tmp_path, capsys):
    folder = str(mmvu(tmp_path / "a", 0.5))  # 300 pairs, in 12 categories
    assert cli.main(["table", folder]) == 0
    assert "fewer than 50" not in capsys.readouterr().out
    assert cli.main(["table", folder, "--by", "category"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "By category there are as few as 21 pairs (Concrete; fewer than 50)" in said

"""`mmjudge contrast`: its four formats, published systems beside them, what it refuses, and who sends people here."""

import csv
import io
import json

import pytest
from condition_runs import ALWAYS_A, RIGHT, verdicts_of, write_letters, write_run, write_whole_edition

from judge import cli


@pytest.fixture
def contrast(capsys):
    """The command: exit code, stdout, stderr."""

    def run(*words):
        code = cli.main(["contrast", *map(str, words)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def folders(tmp_path):
    return [write_letters(tmp_path / "mmvu", RIGHT), write_letters(tmp_path / "mmvu_blind", ALWAYS_A, "blind")]


def test_for_a_terminal(folders, contrast):
    code, out, err = contrast(*folders)
    assert (code, err) == (0, "")
    title, _, sentence, *_ = out.splitlines()
    assert title == "MMVU, edition unknown (12) · a-model: 24 questions, 2 conditions"
    assert sentence.startswith("It looks: without the picture RA is 0.0 instead of 100.0")
    rows = [line.split() for line in out.splitlines()]
    # Wilson's interval of 12 of 12 starts at 12 / 15.84 = 75.75 percent; that of 12 lost, with
    # the two made-up ones: 12/14 ± 1.96 · sqrt((1 - (12/14)²) / (14 - 3.84)) starts at 54.04
    assert ["plain", "24", "0", "100.00", "[75.75,", "100.00]"] in [row[:6] for row in rows]
    assert ["longest", "option", "24", "-", "0.00"] in [row[:5] for row in rows]
    assert ["guessing", "-", "-", "6.25", "75.00", "25.00", "25.00"] in rows
    assert ["blind", "·", "RA", "-100.00", "[-100.00,", "-54.04]", "12", "0.001"] in [row[:8] for row in rows]
    assert ["blind", "24", "25.00"] in [row[:3] for row in rows]
    assert "As published" not in out
    assert "not known" in out  # what following a picture means, and what it cannot mean
    assert out.splitlines()[-1].startswith("signature: benchmark:mmvu|edition:unknown (12)|")


def test_by_category(folders, contrast):
    _, out, _ = contrast(*folders, "--by", "category")
    rows = [line.split()[:6] for line in out.splitlines()]
    assert ["blind", "·", "RA", "·", "Number", "-100.00"] in rows
    assert ["blind", "·", "NEG", "·", "Shape", "-100.00"] in rows
    assert "guessing" not in out


def test_markdown_has_the_same_cells(folders, contrast):
    _, text, _ = contrast(*folders)
    _, out, _ = contrast(*folders, "--format", "markdown")
    assert out.startswith("### MMVU, edition unknown (12) · a-model")
    table = [line for line in out.splitlines() if line.startswith("| blind · MR ")]
    (cells,) = [[cell.strip().replace("\\", "") for cell in line.strip("|").split("|")] for line in table]
    (line,) = [line for line in text.splitlines() if line.startswith("blind · MR ")]
    assert " ".join(line.split()) == " ".join(cells).replace("&lt;", "<")


def test_json_and_csv_have_all_digits(folders, contrast):
    _, out, _ = contrast(*folders, "--format", "json")
    found = json.loads(out)
    assert (found["benchmark"], found["model"], found["first"]) == ("mmvu", "a-model", "plain")
    plain, blind = found["conditions"]
    assert (plain["name"], plain["condition"], plain["differences"], plain["answers"]) == ("plain", None, {}, None)
    assert blind["condition"] == {
        "name": "blind", "picture": "none", "contract": "letter", "procedure": "one call"
    }  # fmt: skip
    assert blind["answers"]["same"]["value"] == 25
    assert blind["categories"]["Number"]["RA"]["difference"]["value"] == -100
    assert found["baselines"]["always A"]["POS"]["value"] == 50
    _, out, _ = contrast(*folders, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    (row,) = [r for r in rows if (r["kind"], r["metric"], r["category"]) == ("difference", "RA", "")]
    assert float(row["p_holm"]) == blind["differences"]["RA"]["p_holm"]
    assert float(row["value"]) == -100
    assert {row["kind"] for row in rows} == {"value", "difference", "answers", "baseline"}


def test_what_a_system_gets_stands_in_every_format(tmp_path, contrast):
    kept = {"contract": {"kind": "json", "parses": True, "fits": True, "fluff": None, "problem": None}}
    broken = {"contract": {"kind": "json", "parses": False, "fits": False, "fluff": "fence", "problem": "fluff"}}
    folders = [
        write_letters(tmp_path / "a", RIGHT),
        # the first of four does not fit: one of two pairs in each four questions
        write_run(tmp_path / "b", verdicts_of(RIGHT, lambda index: kept if index % 4 else broken), "json"),
    ]
    _, out, _ = contrast(*folders)
    rows = [line.split() for line in out.splitlines()]
    assert ["fluff", "25.00"] in [row[:2] for row in rows]
    assert ["RA,", "as", "a", "system", "50.00"] in [row[:5] for row in rows]
    _, out, _ = contrast(*folders, "--format", "json")
    component = json.loads(out)["conditions"][1]["component"]
    assert component["times"] == 1
    assert [component[name]["value"] for name in ("parses", "fits", "RA", "RA, as a system")] == [75, 75, 100, 50]
    _, out, _ = contrast(*folders, "--format", "csv")
    (row,) = [r for r in csv.DictReader(io.StringIO(out)) if (r["kind"], r["metric"]) == ("component", "fluff")]
    assert float(row["value"]) == 25


def test_published_text_only_rows_stand_beside_v1_alone(tmp_path, contrast, capsys):
    v1 = [write_whole_edition(tmp_path / "a", "v1"), write_whole_edition(tmp_path / "b", "v1", "blind")]
    _, out, _ = contrast(*v1)
    rows = [line.split() for line in out.splitlines()]
    # supplement of arXiv 2406.10638, Table 2
    assert ["Phi-3-vision,", "blind", "600", "-", "14.00", "69.34", "-", "-"] in rows
    assert ["Bunny-Llama-3-8B-V,", "blind", "600", "-", "17.33", "67.09", "-", "-"] in rows
    assert ["Idefics2-8B,", "blind", "600", "-", "9.76", "82.10", "-", "-"] in rows
    assert "GPT-4o" not in out  # which saw the pictures
    other = [write_whole_edition(tmp_path / "c", "CVPR"), write_whole_edition(tmp_path / "d", "CVPR", "blind")]
    _, out, _ = contrast(*other)
    assert "Phi-3-vision" not in out
    # and the leaderboard of runs under a condition has them, that of plain runs has the others
    for folder, there, absent in ((v1[1], " 9.76 ", "GPT-4o "), (v1[0], "GPT-4o ", " 9.76 ")):
        assert cli.main(["table", str(folder)]) == 0
        out = capsys.readouterr().out
        assert there in out
        assert absent not in out


def test_runs_under_a_condition_have_a_leaderboard_of_their_own(folders, capsys):
    assert cli.main(["table", *map(str, folders)]) == 0
    out = capsys.readouterr().out
    assert "not to be ranked with it. condition: absent there, blind@0123abcd here." in " ".join(out.split())


@pytest.mark.parametrize("command", ["compare", "contrast"])
def test_compare_sends_people_here_and_contrast_back(command, folders, capsys):
    given = folders if command == "compare" else [folders[0], folders[0]]
    assert cli.main([command, *map(str, given)]) == 2
    err = capsys.readouterr().err
    if command == "compare":
        assert "asked under different conditions — absent in" in err
        assert f"→ mmjudge contrast {folders[0]} {folders[1]}\n" in err
    else:
        assert "the same condition twice: plain in" in err
        assert "→ mmjudge compare " in err


def test_a_condition_that_is_no_condition_is_refused(folders, contrast):
    results = folders[1] / "results.json"
    content = json.loads(results.read_text())
    results.write_text(json.dumps({**content, "condition": {"name": 3}}))
    code, _, err = contrast(*folders)
    assert code == 2
    assert "condition.name must be text" in err


def test_contract_numbers_that_its_verdicts_do_not_give_are_refused(tmp_path, contrast):
    kept = {"contract": {"kind": "json", "parses": True, "fits": True, "fluff": None, "problem": None}}
    folders = [
        write_letters(tmp_path / "a", RIGHT),
        write_run(tmp_path / "b", verdicts_of(RIGHT, lambda index: kept), "json"),
    ]
    results = folders[1] / "results.json"
    content = json.loads(results.read_text())
    content["contract"]["RA_kept"]["value"] = 12.5
    results.write_text(json.dumps(content))
    code, _, err = contrast(*folders)
    assert code == 2
    assert "contract.RA_kept.value is 12.5, but the verdicts give 100.0" in err

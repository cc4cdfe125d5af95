"""The report of one model under several conditions: what it says, its bars, its browser."""

import json
import re

import pytest

pytest.importorskip("matplotlib", reason="the extra 'report' is not installed")

from condition_runs import ALWAYS_A, RIGHT, verdicts_of, write_letters, write_run

from judge.core.benchmark import Answer, find
from judge.io.presentation import view_of
from judge.model.altered import picture_cache
from judge.report import build, charts
from mmvu_tasks.demo import demo_dir

INFO = "1. Text/Numbers: none. 2. Objects: a clock, round, on the wall, white, with black hands, near the door."


@pytest.fixture
def folders(tmp_path):
    root = tmp_path / "results"
    extracted = verdicts_of(RIGHT, lambda index: {"info": INFO})
    kept = {"contract": {"kind": "json", "parses": True, "fits": True, "fluff": None, "problem": None}}
    return [
        write_letters(root / "mmvu_blind", ALWAYS_A, "blind"),
        write_letters(root / "mmvu", RIGHT),
        write_run(root / "mmvu_cgr", extracted, "cgr"),
        write_run(root / "mmvu_json", verdicts_of(RIGHT, lambda index: kept), "json"),
    ]


@pytest.fixture
def page(folders, tmp_path):
    return build.build_report([str(folder) for folder in folders], tmp_path / "report.html")


def browsed(page):
    (data,) = re.findall(r'<script type="application/json" id="data-0">(.*?)</script>', page)
    return json.loads(data)


def test_it_says_what_changes_against_the_plain_questions(page):
    text = re.sub(r"<[^>]*>", "", page)
    assert "It looks: without the picture RA is 0.0 instead of 100.0" in text
    assert "cgr cannot be told apart from plain: RA is 100.0 instead of 100.0" in text
    assert "100% of its answers fit the contract" in text
    assert "not contrasted" not in text
    assert '<td class="pair">blind − plain</td>' in page
    assert [name for name in ("longest option", "always A", "guessing") if f"<td>{name}</td>" not in page] == []
    assert re.search(r"<td>blind</td><td class=\"num\">24</td><td class=\"num\">25.00 \[", page)


def test_a_condition_is_named_above_each_of_its_runs(page):
    head = re.sub(r"<[^>]*>", "", re.search(r'<table class="board">.*?</table>', page, re.DOTALL)[0])
    said = re.findall(r"asked (?:as published|under the condition \w+)", head)
    assert said == [
        "asked under the condition blind",
        "asked as published",
        *map("asked under the condition {}".format, ("cgr", "json")),
    ]


def test_pos_against_neg_is_bars_side_by_side(page, folders):
    (figure,) = re.findall(r'<figure class="chart"><figcaption><h4>POS and NEG</h4>.*?</figure>', page, re.DOTALL)
    assert "(filled)" in figure
    assert "(pale)" in figure
    # the order of the command line: blind 50 and 0, the others 100
    labels = re.findall(r">((?:POS|NEG) [\d.]+)<", figure)
    assert labels == ["POS 50.0", "NEG 0.0", *["POS 100.0", "NEG 100.0"] * 3]


def test_bars_leave_out_what_has_no_value():
    nothing = {"value": None, "ci_low": None, "ci_high": None, "n": 0}
    some = {"value": 40.0, "ci_low": 30.0, "ci_high": 50.0, "n": 10}
    svg = charts.bars(["a"], [(some, nothing)], ("POS", "NEG"), None)
    assert "POS 40.0" in svg
    assert "NEG" not in svg


def test_the_browser_has_every_question_once_with_its_answer_under_each_condition(page):
    data = browsed(page)
    assert data["runs"] == ["blind", "plain", "cgr", "json"]
    assert len(data["rows"]) == len(RIGHT)
    row = data["rows"][1]
    assert [answer[2] for answer in row[5]] == [["A"], ["B"], ["B"], ["B"]]
    place = data["details"].index("said of the picture before")
    assert [answer[5][place] for answer in row[5]] == [None, None, INFO, None]
    place = data["details"].index("contract")
    assert [answer[5][place] for answer in row[5]] == [None, None, None, "kept"]


def test_two_models_are_shown_side_by_side_and_not_contrasted(folders, tmp_path):
    other = write_letters(tmp_path / "other" / "mmvu_blind", ALWAYS_A, "blind", model="another")
    page = build.build_report([str(folders[1]), str(other)], tmp_path / "report.html")
    assert "the conditions are not contrasted: results of different models" in page
    assert browsed(page)["runs"] == ["results · plain", "other · blind"]


def test_names_that_are_given_stay(folders, tmp_path):
    given = [f"seeing={folders[1]}", f"not seeing={folders[0]}"]
    assert browsed(build.build_report(given, tmp_path / "report.html"))["runs"] == ["seeing", "not seeing"]


def test_the_refined_picture_stands_with_the_answer(tmp_path, monkeypatch):
    dataset = find("mmvu").load(demo_dir())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    name = "0123456789abcdef.png"
    picture_cache().mkdir(parents=True)
    (picture_cache() / name).write_bytes(b"a picture")
    said = json.dumps({"answer": "B", "refined": name, "info": "1. Text/Numbers: none."})
    record = dataset.records[0]
    reply = f'{{"mmjudge_reply": {said}}}'
    view = view_of(find("mmvu"))
    (sample,) = view.samples([Answer(record.id, 0, reply, tmp_path)], dataset)
    text, picture = sample.answer
    assert text.text == "B"
    assert picture.path == picture_cache() / name
    (sample,) = view.samples([Answer(record.id, 0, reply.replace(name, "../away.png"), tmp_path)], dataset)
    assert sample.answer[1].name == "../away.png"  # missing: only names of pictures that were made are looked for
    assert not hasattr(sample.answer[1], "path")

"""What is embedded for the sample browser: harmless inside a script element, and cut until it fits."""

import json

import pytest
from synthetic import mmie

from judge.core.benchmark import find
from judge.io import samples
from judge.io.presentation import view_of
from judge.report import browser
from judge.report.pictures import Album
from judge.results.run_folder import read_run


@pytest.mark.parametrize(
    "text",
    [
        "</script><script>alert(1)</script>", "<!-- <script>", "]]>", "a\u2028b\u2029c", '"\\', "&lt;",
        "\N{PILE OF POO}", "\x00\x1f",
    ],
)  # fmt: skip
def test_embedded_texts_mean_the_same_and_end_nothing(text):
    encoded = browser.embed([text])
    assert json.loads(encoded) == [text]
    assert not set("<>&\u2028\u2029") & set(encoded)


@pytest.mark.parametrize(
    ("text", "clipped"), [("abcd", "abcd"), ("abcde", {"t": "abcd", "c": 1}), ("a" * 10, {"t": "aaaa", "c": 6})]
)
def test_clip(text, clipped):
    assert browser.clip(text, 4) == clipped


@pytest.fixture
def run(tmp_path):
    folder = mmie(tmp_path / "run", 40, length=300)
    return ("A", read_run(folder), {sample.key: sample for sample in samples.read_samples(folder)})


def test_a_row(run, tmp_path):
    view = view_of(find("mmie"))
    encoded, cut = browser.browser_data(browser.Shown([run], view, Album(tmp_path, 0)), 10**9)
    data = json.loads(encoded)
    assert cut == 4000
    assert len(data["rows"]) == 40
    verdict = run[1].verdicts[1]
    name, index, category, truth, question, ((score, reason, answer, feedback, probs, details),) = data["rows"][1]
    assert (name, index, data["categories"][category]) == ("PBL-00001", None, "PBL")
    assert (score, reason, feedback) == (verdict.score, None, verdict.feedback)
    assert truth == "reference 1"
    assert question[0].startswith("question 1: ")
    assert data["pictures"][question[1]].startswith("run/images/")
    assert answer[1] == {"m": "out/7.png"}
    assert probs == [round(100 * share) for share in verdict.score_probs]
    assert dict(zip(data["details"], details, strict=True))["field"] == "Art"
    assert data["rows"][13][5][0][:2] == [None, "truncated"]  # the 14th of 20 has no score


def test_a_run_that_lacks_a_question(run, tmp_path):
    short = mmie(tmp_path / "short", 10)
    other = ("B", read_run(short), {})
    data = json.loads(
        browser.browser_data(browser.Shown([run, other], view_of(find("mmie")), Album(tmp_path, 0)), 10**9)[0]
    )
    assert data["runs"] == ["A", "B"]
    assert data["rows"][10][5][1] is None
    assert data["rows"][9][5][1][2] is None  # answered, but B's folder keeps no samples


def test_texts_are_cut_until_they_fit(run, tmp_path):
    view, sizes = view_of(find("mmie")), []
    for room in (10**9, 40_000, 20_000, 1):
        encoded, cut = browser.browser_data(browser.Shown([run], view, Album(tmp_path, 0)), room)
        assert len(json.loads(encoded)["rows"]) == 40
        if room > 1:
            assert len(encoded.encode()) <= room
        sizes.append(cut)
    # 40 rows of 3 texts of 300 characters: 36,000 and the rest of the rows
    assert sizes[0] == 4000
    assert sizes[-1] == 0
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 4

"""MMRB2 from a JSON file and from the Hub; its real pairs are beside the project in ../shared, where that is."""

import io
import json
import sys
from collections import Counter
from pathlib import Path

import huggingface_hub
import pytest
from folders import ROOT, SHARED
from huggingface_hub import constants
from PIL import Image

from judge.errors import UserError
from judge.io import mmrb2
from judge.io.pairs import read_pairs
from judge.io.preferences import write_answers
from judge.io.responses import read_responses
from judge.validity.preferences import accuracy, candidates, compare_scores

sys.path.append(str(ROOT / "tests" / "judge" / "publish"))
import fake_hub

RELEASED = SHARED / "data" / "mmrb2" / "interleaved_response_only.json"


def released(name="isgbench_7_-12_net_1_other-net_2", chosen="A", **changes):
    sides = [{"model_name": model, "response_content": [["text", "Hi"], ["image", f"{name}_{n}.jpg"]]}
             for n, model in enumerate(("net", "other-net"))]  # fmt: skip
    made = {"id": name, "response_a": sides[0], "response_b": sides[1], "chosen": chosen, "prompt_source": "isgbench"}
    return {**made, "human_annotations": [1, 5, 1], "prompt_metadata": {}, **changes}


def write(path, *pairs):
    path.write_text(json.dumps({"pairs": list(pairs)}), encoding="utf-8")
    return str(path)


def test_a_pair_of_the_json_file(tmp_path):
    (pair,) = read_pairs(write(tmp_path / "m.json", released(prompt_content=[["text", "Why?"]]))).pairs
    assert (pair.question, pair.a.id, pair.b.id) == (
        "isgbench_7_-12",
        "isgbench_7_-12/net/1",
        "isgbench_7_-12/other-net/2",
    )
    assert (pair.chosen, pair.source, pair.annotations) == ("A", "isgbench", (1, 5, 1))
    assert pair.prompt == ({"text": "Why?", "image": None},)
    assert pair.a.answer.response == [
        {"text": "Hi", "image": None},
        {"text": None, "image": "isgbench_7_-12_net_1_other-net_2_0.jpg"},
    ]


def test_an_answer_of_several_pairs_is_one(tmp_path):
    """Each pair names its pictures anew."""
    given = read_pairs(write(tmp_path / "m.json", released(), released("isgbench_7_-12_net_1_other-net_9"))).pairs
    assert given[0].a == given[1].a
    assert given[0].b != given[1].b
    assert given[0].question == given[1].question
    other = {"model_name": "net", "response_content": [["text", "Something else"]]}
    twice = write(tmp_path / "m.json", released(), released("isgbench_7_-12_net_1_other-net_9", response_a=other))
    with pytest.raises(UserError, match="has another response than in pair 0"):
        read_pairs(twice)


def test_an_id_that_names_nothing(tmp_path):
    (pair,) = read_pairs(write(tmp_path / "m.json", released("free"))).pairs
    assert (pair.question, pair.a.id, pair.b.id) == ("free", "free/a", "free/b")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([], 'has no list "pairs"'),
        ({"pairs": {}}, 'has no list "pairs"'),
        ({"pairs": [3]}, "pair 0 is not a JSON object"),
        ({"pairs": [released(chosen="tie")]}, "field \"chosen\" is 'tie'; it must be A or B"),
        ({"pairs": [released(), released()]}, "the pair 'isgbench_7_-12_net_1_other-net_2' stands in pair 0, too"),
        ({"pairs": [released(response_b=None)]}, 'field "response_b" is null'),
        ({"pairs": [released(response_a={"model_name": "net"})]}, 'field "response_a" has no response_content'),
        ({"pairs": [{"pair_id": "x"}]}, 'field "response_a" is missing'),
        ({"pairs": []}, "holds no pairs"),
    ],
)
def test_what_is_refused(tmp_path, content, problem):
    file = tmp_path / "m.json"
    file.write_text(json.dumps(content))
    with pytest.raises(UserError) as error:
        read_pairs(str(file))
    assert problem in str(error.value)


@pytest.fixture(scope="module")
def real():
    if not RELEASED.exists():
        pytest.skip(f"{RELEASED} is not there: the pairs of MMRB2 are not part of the project")
    return read_pairs(str(RELEASED)).pairs


def test_the_published_pairs(real):
    assert len(real) == 1000
    assert Counter(pair.chosen for pair in real) == {"A": 575, "B": 425}
    assert Counter(pair.source for pair in real) == {
        "isgbench": 421, "chameleon": 284, "interleavedeval": 267, "mmmg": 28,
    }  # fmt: skip
    assert len({pair.question for pair in real}) == 807
    assert len(candidates(real)) == len({one.key for one in candidates(real)}) == 1964
    assert len({one.system for one in candidates(real)}) == 6


def test_always_a_has_the_published_accuracy(real):
    """An answer that stands in several pairs has one score, so that "always A" takes a score for each pair's side."""
    outcomes = [float(pair.chosen == "A") for pair in real]
    assert accuracy(real, outcomes).value == pytest.approx(57.5)


def test_scores_of_people_themselves_are_always_right(real):
    """Where answers can be ordered at all, as where each stands in one pair."""
    times = Counter(one.id for pair in real for one in (pair.a, pair.b))
    alone = [pair for pair in real if times[pair.a.id] == times[pair.b.id] == 1]
    scores = {one.id: float((one is pair.a) == (pair.chosen == "A")) for pair in alone for one in (pair.a, pair.b)}
    assert accuracy(alone, compare_scores(alone, scores)).value == 100.0


# The Hub ------------------------------------------------------------------------------------------------------------


def picture(colour):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(buffer, "PNG")
    return buffer.getvalue()


def hub_row(name, a, b, chosen="A"):
    images = [{"bytes": picture("red"), "path": None}, {"bytes": picture("blue"), "path": None}]
    return {
        "pair_id": name, "prompt_text": "Look: <image_1> What next?", "prompt_images": images[:1],
        "response_a_text": "First <image_1> then <image_2>", "response_a_images": images,
        "response_b_text": "No marks", "response_b_images": images[1:], "chosen": chosen, "prompt_source": "mmmg",
        "response_a_model": a, "response_b_model": b, "human_annotations": "[6, 5, 6]", "prompt_metadata": "{}",
    }  # fmt: skip


def parquet(rows):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The dataset on a Hub of our own, in two files, with one of another task beside them."""
    served = fake_hub.FakeHub()
    first = parquet([hub_row("mmmg_1_55_net_3_other_4", "net", "other"), hub_row("odd", "net", "other", "b")])
    second = parquet([hub_row("mmmg_1_55_net_3_other_9", "net", "other")])
    files = {"interleaved/test-00000-of-00002.parquet": first, "interleaved/test-00001-of-00002.parquet": second}
    served.repo_made = served.add("dataset", mmrb2.HUB.repo, {**files, "t2i/test-00000-of-00001.parquet": b"other"})
    monkeypatch.setattr(constants, "ENDPOINT", served.url)
    template = served.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", fake_hub.TOKEN)
    yield served
    served.close()


def test_pairs_from_the_hub_with_questions_and_pictures(hub, tmp_path):
    given = read_pairs("mmrb2", pictures=tmp_path / "out")
    assert given.source == f"{mmrb2.HUB.repo}@{hub.repo_made.commit()}"
    assert not any("t2i" in request for request in hub.requests)
    first, odd, second = given.pairs
    assert (first.question, odd.chosen, first.annotations) == ("mmmg_1_55", "B", (6, 5, 6))
    assert (first.a.id, first.a.answer.response) == (second.a.id, second.a.answer.response)
    kinds = [(part["text"], part["image"] is not None) for part in first.a.answer.response]
    assert kinds == [("First ", False), (None, True), (" then ", False), (None, True)]
    # no mark in the text: pictures follow it
    assert [part["image"] is not None for part in first.b.answer.response] == [False, True]
    assert [part["text"] for part in first.prompt] == ["Look: ", None, " What next?"]
    for pair in given.pairs:
        for part in (*pair.prompt, *pair.a.answer.response, *pair.b.answer.response):
            if part["image"]:
                assert Image.open(tmp_path / "out" / part["image"]).size == (8, 6)
    red, blue = (part["image"] for part in first.a.answer.response if part["image"])
    assert (tmp_path / "out" / red).read_bytes() == picture("red")
    assert (tmp_path / "out" / blue).read_bytes() == picture("blue")
    assert red.endswith(".png")
    file, n, without = write_answers(given.pairs, tmp_path / "out", "SA")
    assert (n, without) == (5, 0)
    assert len(read_responses(file)) == 5


def test_another_revision_has_its_own_pictures(hub, tmp_path):
    read_pairs("mmrb2", pictures=tmp_path / "out")
    row = hub_row("mmmg_1_55_net_3_other_4", "net", "other")
    row["response_a_images"] = [{"bytes": picture("green"), "path": None}] * 2
    hub.repo_made.branches["main"] = {"interleaved/test-00000-of-00001.parquet": parquet([row])}
    (pair,) = read_pairs("mmrb2", pictures=tmp_path / "out").pairs
    shown = {(tmp_path / "out" / part["image"]).read_bytes() for part in pair.a.answer.response if part["image"]}
    assert shown == {picture("green")}


def test_without_a_folder_no_picture_is_written(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(read_pairs("mmrb2").pairs) == 3
    assert not [*tmp_path.glob("images"), *Path().glob("images")]


def test_a_revision_is_pinned_and_kept(hub, monkeypatch):
    commit = hub.repo_made.commit()
    assert read_pairs(f"mmrb2@{commit}").source.endswith(f"@{commit}")
    assert any(f"/{commit}" in request for request in hub.requests)
    asked = len(hub.requests)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert len(read_pairs(f"mmrb2@{commit}").pairs) == 3
    assert len(hub.requests) == asked


def test_what_the_hub_cannot_give(hub, monkeypatch, tmp_path):
    hub.repo_made.branches["main"]["interleaved/test-00000-of-00002.parquet"] = b"not parquet"
    with pytest.raises(UserError, match="cannot be read") as error:
        read_pairs("mmrb2")
    assert "delete it, so that it is fetched again" in str(error.value)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "other"))
    hub.repo_made.branches["main"] = {"README.md": b"# nothing"}
    with pytest.raises(UserError, match="no such folder in the dataset"):
        read_pairs("mmrb2")
    hub.repos.clear()
    with pytest.raises(UserError, match="gives this account no access"):
        read_pairs("mmrb2")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set"):
        read_pairs("mmrb2@somewhere")


def test_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: pytest.fail("asked the Hub"))
    Path("mmrb2").write_text(json.dumps({"id": "p", "a": {}, "b": {}, "chosen": "A"}))
    assert len(read_pairs("mmrb2").pairs) == 1

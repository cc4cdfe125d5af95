"""Data in folders and in a Hub cache of the test's own: which edition it is, and whether its pictures are there."""

from __future__ import annotations

import json
import re
import shutil
import zipfile

import pytest
from folders import SHARED
from machines import MMIE, MMVU, copied, job, snapshot

from judge.preflight.data import bytes_to_fetch, check_data, find_data
from judge.preflight.hub import Access
from mmie_tasks.demo import demo_dir as mmie_demo_dir
from mmvu_tasks.demo import demo_dir as mmvu_demo_dir

MAY = Access(
    True, sizes={"MMR-benchmark/MMR-benchmark.json": 714_000, "MMR-benchmark/MMR-benchmark-images.zip": 131_000_000}
)
MAY_NOT = Access(False, "gated, and this account has no access to it")
NO_ANSWER = Access(None, "no answer in 3 s")
pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def look_at(monkeypatch):
    """The lines about a benchmark's data, with this environment."""

    def look_at(benchmark, access=NO_ANSWER, harness="lmms-eval", **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, str(value))
        asked = job(harness)
        found = find_data(asked, benchmark)
        return found, list(check_data(asked, found, access))

    return look_at


def test_a_folder_of_the_users(look_at):
    found, lines = look_at(MMIE, MMIE_DATA=mmie_demo_dir())
    assert found.to_fetch == ""
    assert [line.state for line in lines] == ["warning", "ok"]
    assert f"mmie: edition unknown (15), 15 questions (MMIE_DATA={mmie_demo_dir()})" in lines[0].found
    assert lines[0].mend.startswith("for published numbers: unset MMIE_DATA")
    # one of the 15 is asked in words alone
    assert lines[1].found == "mmie: pictures are here (those of 14 questions were looked for)"


def test_the_published_edition_is_known_by_its_content(look_at, tmp_path):
    published = SHARED / "data" / "mmr-v1"
    if not published.is_dir():
        pytest.skip("the published v1 is not beside the project")
    _, lines = look_at(MMVU, harness="none", MMVU_DATA=published)
    (line,) = lines  # pictures are for asking
    assert line.state == "ok"
    assert line.found == f"mmvu: edition v1, 600 questions (MMVU_DATA={published}); content as published"
    changed = copied(published, tmp_path / "changed")
    file = changed / "MMR-benchmark.json"
    file.write_text(re.sub(r'"question": "', '"question": "So: ', file.read_text(), count=1))
    _, (line,) = look_at(MMVU, harness="none", MMVU_DATA=changed)
    assert line.state == "warning"
    assert "edition unknown (size matches v1), 600 questions" in line.found
    assert line.found.endswith("not known as published: size matches v1, content differs")


@pytest.mark.parametrize("benchmark", [MMIE, MMVU])
def test_a_folder_without_data(look_at, tmp_path, benchmark):
    found, (line,) = look_at(benchmark, **{f"{benchmark.name.upper()}_DATA": tmp_path / "none"})
    assert line.state == "fails"
    assert line.found.startswith(f"{benchmark.name}: {tmp_path / 'none'}: no ")
    assert f"{benchmark.name.upper()}_DATA" in line.mend
    assert found.to_fetch == ""  # a folder that the user names is never filled


@pytest.mark.parametrize("text", ["", "[", "null", "[{}]", '[{"id": 3}]'])
def test_data_that_is_broken(look_at, tmp_path, text):
    (tmp_path / "data.json").write_text(text)
    _, (line,) = look_at(MMIE, MMIE_DATA=tmp_path)
    assert line.state == "fails"
    assert str(tmp_path / "data.json") in line.found


def test_pictures_that_are_not_there(look_at, tmp_path):
    folder = copied(mmie_demo_dir(), tmp_path / "mmie")
    shutil.rmtree(folder / "images")
    _, lines = look_at(MMIE, MMIE_DATA=folder)
    assert (lines[1].state, lines[1].found) == ("fails", "mmie: pictures are not here")
    assert lines[1].mend == f"put images.tar.gz of https://huggingface.co/datasets/MMIE/MMIE into {folder}"


def test_some_pictures_that_are_not_there(look_at, tmp_path):
    folder = copied(mmie_demo_dir(), tmp_path / "mmie")
    rows = json.loads((folder / "data.json").read_text())
    pictured = [row for row in rows if any(part["image"] for part in row["conversations"][0]["content"])]
    first = next(part["image"] for part in pictured[0]["conversations"][0]["content"] if part["image"])
    (folder / first).unlink()
    _, lines = look_at(MMIE, MMIE_DATA=folder)
    lost = sum(any(part["image"] == first for part in row["conversations"][0]["content"]) for row in rows)
    assert lines[1].state == "fails"
    assert f"mmie: of 14 questions with pictures, {lost} lack one: image" in lines[1].found
    assert "images.tar.gz" in lines[1].mend


def test_pictures_that_are_still_packed(look_at, tmp_path):
    folder = tmp_path / "mmvu"
    folder.mkdir()
    shutil.copy(mmvu_demo_dir() / "MMR-benchmark.json", folder)
    _, lines = look_at(MMVU, MMVU_DATA=folder)
    assert (lines[1].state, lines[1].found) == ("fails", "mmvu: pictures are not here")
    with zipfile.ZipFile(folder / "MMR-benchmark-images.zip", "w") as packed:
        packed.writestr("a.jpg", b"x")
    _, lines = look_at(MMVU, MMVU_DATA=folder)
    assert lines[1].state == "ok"
    assert lines[1].found == "mmvu: pictures are in MMR-benchmark-images.zip (109 B), unpacked when first used"
    assert not (folder / "MMR-benchmark-images").exists()


def test_nothing_is_here_and_the_hub_gives_it(look_at):
    found, (line,) = look_at(MMVU, MAY)
    assert line.state == "ok"
    assert line.found == ("mmvu: not here; fetched from BAAI/Multimodal-Robustness-Benchmark when first used (132 MB)")
    assert line.mend == (
        "hf download BAAI/Multimodal-Robustness-Benchmark MMR-benchmark/MMR-benchmark.json "
        "MMR-benchmark/MMR-benchmark-images.zip --repo-type dataset"
    )
    assert found.to_fetch == "records and pictures"
    assert bytes_to_fetch(found, MAY.sizes) == 131_714_000
    assert bytes_to_fetch(found, {}) is None


@pytest.mark.parametrize(("access", "words"), [(MAY_NOT, "the Hub refuses MMIE/MMIE"), (NO_ANSWER, "cannot be asked")])
def test_nothing_is_here_and_the_hub_does_not_give_it(look_at, access, words):
    _, (line,) = look_at(MMIE, access)
    assert line.state == "fails"
    assert words in line.found
    assert "export MMIE_DATA=" in line.mend


def test_the_hubs_cache(look_at, cache):
    records = {"data.json": (mmie_demo_dir() / "data.json").read_bytes()}
    folder = snapshot(cache, "dataset", "MMIE/MMIE", records)
    found, lines = look_at(MMIE, Access(True))
    assert found.to_fetch == "pictures"
    assert "(Hub cache, 0123456789ab)" in lines[0].found
    assert (lines[1].state, lines[1].found) == ("ok", "mmie: pictures are not here; fetched when first used")
    _, lines = look_at(MMIE, MAY_NOT)
    assert (lines[1].state, lines[1].found) == ("fails", "mmie: pictures are not here, and the Hub refuses MMIE/MMIE")
    shutil.copytree(mmie_demo_dir() / "images", folder / "images")
    found, lines = look_at(MMIE)
    assert found.to_fetch == ""
    assert lines[1].state == "ok"


def test_scoring_rule_based_answers_needs_no_pictures(look_at, tmp_path):
    shutil.copy(mmvu_demo_dir() / "MMR-benchmark.json", tmp_path)
    _, lines = look_at(MMVU, harness="none", MMVU_DATA=tmp_path)
    assert [line.state for line in lines] == ["warning"]

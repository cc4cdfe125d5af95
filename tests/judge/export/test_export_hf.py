"""Exported data sets, read by `datasets`."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from exported import WRITTEN
from PIL import Image

from judge import cli
from judge.export import hf_dataset
from judge.io.samples import read_samples
from judge.results.answer_rows import COLUMNS

datasets = pytest.importorskip("datasets", reason="the export extra is not installed")


@pytest.fixture
def load(tmp_path, monkeypatch):
    """`load_dataset` with a cache of its own, and without the network."""
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)

    def load(folder, *words, **options):
        return datasets.load_dataset(str(folder), *words, cache_dir=str(tmp_path / "cache"), **options)

    return load


def export(out: Path, *words: str | Path) -> Path:
    assert cli.main(["export", *map(str, words), "--to", "hf", "--out", str(out)]) == 0
    return out


def test_every_answer_is_a_row_of_its_runs_split(runs, tmp_path, load):
    found = load(export(tmp_path / "out", runs["hasty"], runs["careful"]), "mmvu")
    assert {name: split.num_rows for name, split in found.items()} == {"hasty": 48, "careful": 48}
    for name in ("hasty", "careful"):
        verdicts = [json.loads(line) for line in (runs[name] / "verdicts.jsonl").read_text().splitlines()]
        told = [(v["id"], v["index"], v["score"], v["category"], v["details"].get("letter")) for v in verdicts]
        columns = ("id", "index", "score", "category", "letter")
        assert list(zip(*(found[name][column] for column in columns), strict=True)) == told
    assert set(found["hasty"]["benchmark"]) == {"mmvu"}
    assert found["hasty"].column_names[: len(COLUMNS)] == list(COLUMNS)
    assert len(load(tmp_path / "out", "mmvu", split="all")) == 96


def test_pictures_are_those_of_the_results_folder_in_their_places(runs, tmp_path, load):
    (split,) = load(export(tmp_path / "out", runs["odd"]), "mmie").values()
    row = next(row for row in split if row["id"] == "PBL-9001")
    sample = next(sample for sample in read_samples(runs["odd"]) if sample.id == "PBL-9001")
    for side, pieces in (("question", sample.question), ("answer", sample.answer)):
        kept = [piece for piece in pieces if hasattr(piece, "path")]
        assert len(kept) == len(row[f"{side}_images"]) == row[side].count("<image>") > 0
        for picture, image in zip(kept, row[f"{side}_images"], strict=True):
            with Image.open(picture.path) as there:
                assert there.convert("RGB").tobytes() == image.convert("RGB").tobytes()
    assert json.loads(row["answer_parts"]) == [
        {"text": "Step 2: Stick the yellow heart on the glass."}, {"image": 0},
        {"text": "Step 3: Stick the red cup on the glass."}, {"image": 1},
    ]  # fmt: skip
    assert row["answer"] == (
        "Step 2: Stick the yellow heart on the glass.\n<image>\nStep 3: Stick the red cup on the glass.\n<image>"
    )


def test_what_is_odd_stays_what_it_is(runs, tmp_path, load, capsys):
    (split,) = load(export(tmp_path / "out", runs["odd"]), "mmie").values()
    rows = {row["id"]: row for row in split}
    assert rows["PBL-9003"]["answer"] == WRITTEN
    assert json.loads(rows["PBL-9003"]["answer_parts"]) == [{"text": WRITTEN}]
    assert rows["PBL-9003"]["feedback"] == f"{WRITTEN}\n### Score\n4"
    assert [rows["PBL-9002"][name] for name in ("score", "outcome", "failure")] == [0, "failed", "empty_answer"]
    assert [rows["PBL-9004"][name] for name in ("score", "outcome", "unscored")] == [None, "unscored", "no_response"]
    assert [rows["SA-9006"][name] for name in ("score", "unscored")] == [None, "no_feedback"]
    assert rows["PBL-9005"]["answer_images"] == []
    assert [sorted(part) for part in json.loads(rows["PBL-9005"]["answer_parts"])] == [["text"], ["missing"]]
    assert "1 picture left out: no picture that can be decoded\n" in capsys.readouterr().err


def test_questions_are_left_out_where_they_are_not_ones_own(runs, tmp_path, load, capsys):
    out = export(tmp_path / "out", runs["odd"], "--answers-only")
    assert "Questions and reference answers of MMIE/MMIE are left out" in capsys.readouterr().out
    (split,) = load(out, "mmie").values()
    assert not {"question", "truth", "question_images", "question_parts"} & set(split.column_names)
    assert "How to decorate a window" not in json.dumps([str(row) for row in split])
    # the two pictures that the model gave, and none of the 15 that questions show
    assert sum(len(row["answer_images"]) for row in split) == 2


def test_no_pictures_leaves_their_places(runs, tmp_path, load, capsys):
    (split,) = load(export(tmp_path / "out", runs["odd"], "--no-pictures"), "mmie").values()
    assert not [name for name in split.column_names if name.endswith("_images")]
    assert split[0]["question"].count("<image>") == 1
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'out'}: 1 run, 15 answers\n")


def test_the_card_says_what_was_measured(runs, tmp_path, load):
    out = export(tmp_path / "out", runs["hasty"], runs["part"], runs["odd"])
    card = (out / "README.md").read_text()
    # 13 of 24 pairs have both answers right
    assert "| hasty | hasty | 48 | 0 | 54.17 " in card
    assert "| part | part | 20, PARTIAL 20 of 48 | 0 |" in card
    assert "PARTIAL: only some of the questions were asked" in card
    assert "Holds questions, reference answers and pictures of MMIE/MMIE: give it to others only where" in card
    assert json.loads((runs["odd"] / "results.json").read_text())["signature"] in card
    assert set(datasets.get_dataset_config_names(str(out))) == {"mmie", "mmvu"}
    assert set(load(out, "mmvu")["part"]["part"]) == {"20 of 48"}


def test_large_splits_are_several_files_of_several_groups(runs, tmp_path, load, monkeypatch):
    whole = load(export(tmp_path / "one", runs["hasty"]), "mmvu")["hasty"]
    monkeypatch.setattr(hf_dataset, "BATCH_BYTES", 5_000)
    monkeypatch.setattr(hf_dataset, "FILE_BYTES", 20_000)
    out = export(tmp_path / "two", runs["hasty"])
    assert len(list(out.glob("mmvu/hasty-*.parquet"))) > 1
    again = load(out, "mmvu")["hasty"]
    assert [{**row, "question_images": [image.tobytes() for image in row["question_images"]]} for row in again] == [
        {**row, "question_images": [image.tobytes() for image in row["question_images"]]} for row in whole
    ]


def test_a_picture_that_no_browser_shows_leaves_as_png(runs, tmp_path):
    from judge.core.request import Picture
    from judge.export.pictures import load_picture

    Image.new("RGB", (3, 2), (200, 10, 30)).save(tmp_path / "a.bmp")
    loaded = load_picture(Picture(tmp_path / "a.bmp", "a.bmp"))
    assert loaded.media_type == "image/png"
    assert Image.open(io.BytesIO(loaded.data)).getpixel((2, 1)) == (200, 10, 30)
    # what it is goes by its bytes, whatever its name says
    Image.new("RGB", (3, 2)).save(tmp_path / "b.png", "JPEG")
    assert load_picture(Picture(tmp_path / "b.png", "b.png")).media_type == "image/jpeg"
    (tmp_path / "c.png").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    assert load_picture(Picture(tmp_path / "c.png", "c.png")) is None
    assert load_picture(Picture(tmp_path / "none.png", "none.png")) is None


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["hasty", "careful"], ["hasty", "careful"]),
        (["org/model-7b", "org/model 7b"], ["org_model_7b", "org_model_7b_1"]),
        (["all", "模型", "../../x"], ["all_1", "run", "x"]),
    ],
)
def test_splits_have_names_that_datasets_takes(names, splits):
    assert hf_dataset.split_names(names) == splits
    for split in splits:
        datasets.NamedSplit(split)

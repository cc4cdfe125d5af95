"""Requests in both profiles: the recorded output of the official scorer, and that nothing leaves the image root."""

import dataclasses
import json
from pathlib import Path

import folders
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from judge.core.benchmark import Answer
from judge.core.request import Request, Text
from judge.core.verdict import Verdict
from judge.io.image_paths import ImageRefused
from judge.io.samples import Missing
from judge.model.images import decode_image
from mmie_tasks import judging, responses
from mmie_tasks.benchmark import BENCHMARK
from mmie_tasks.demo import demo_dir
from mmie_tasks.records import Part, Record

GOLDEN = folders.GOLDEN_REQUESTS
ROWS = json.loads((GOLDEN / "data.json").read_text(encoding="utf-8"))
RECORDED = json.loads((GOLDEN / "reference_requests.json").read_text(encoding="utf-8"))


def assess(profile):
    answers = [Answer(row["id"], None, row["answer"], GOLDEN, record=row, where="data.json") for row in ROWS]
    return dict(zip([row["id"] for row in ROWS], BENCHMARK.assess(answers, None, profile), strict=True))


def test_reference_keeps_what_the_official_scorer_keeps():
    kept = [found.to_json() for found in assess("reference").values() if isinstance(found, Request)]
    assert kept == RECORDED["kept"]


def test_reference_names_what_the_official_scorer_drops():
    dropped = {id_: found for id_, found in assess("reference").items() if isinstance(found, Verdict)}
    assert list(dropped) == RECORDED["dropped"]
    assert {found.unscored for found in dropped.values()} == {"dropped_by_protocol"}
    assert "5 question images" in dropped["PBL-3004"].details["note"]
    assert "6 question images" in dropped["MSR-3014"].details["note"]


def test_reference_says_what_it_left_out():
    found = assess("reference")
    assert found["PBL-3000"].details["steps_judged"] == "2 of 5"
    assert found["PBL-3012"].details["images_skipped"] == ["images/absent56.png"]
    assert "steps_judged" not in found["SA-3006"].details


def test_strict_loses_nothing_in_silence():
    found = assess("strict")
    reasons = {id_: verdict.reason for id_, verdict in found.items() if isinstance(verdict, Verdict)}
    assert reasons == {"PBL-3012": "image_missing", "PBL-3015": "empty_answer"}
    for row in ROWS:
        request = found[row["id"]]
        if isinstance(request, Verdict):
            continue
        answer = [{"text": row["answer"], "image": None}] if isinstance(row["answer"], str) else row["answer"]
        texts = [part["text"] for part in [*row["question"], *answer] if part["text"]]
        images = [part["image"] for part in [*row["question"], *answer] if part["image"]]
        assert [s.text for s in (*request.question, *request.answer) if isinstance(s, Text)] == texts
        assert [picture.name for picture in request.pictures] == images


@pytest.mark.parametrize(("profile", "scaled"), [("reference", False), ("strict", True)])
def test_the_profile_says_how_pictures_of_16_bits_are_seen(tmp_path, profile, scaled):
    slope = np.linspace(0, 65_535, 256).astype(np.uint16).reshape(16, 16)  # 257 a step
    Image.fromarray(slope).save(tmp_path / "deep.png")
    record = Record("SA-1", "SA", None, (Part("Q", "deep.png"),), ())
    found = judging.build_request(record, (Part("A", "deep.png"),), profile, root=tmp_path, answer_root=tmp_path)
    assert [picture.scaled for picture in found.pictures] == [scaled, scaled]
    (asked, answered) = (decode_image(picture.path, scaled=picture.scaled) for picture in found.pictures)
    levels = np.arange(256).reshape(16, 16) if scaled else np.where(slope > 255, 255, slope)
    assert (np.asarray(asked)[..., 0] == levels).all()
    assert (np.asarray(answered) == np.asarray(asked)).all()


def test_the_correct_answer_goes_to_msr_alone():
    """reference: the first text of the answer turn; strict: all of them."""
    parts = (Part("first", None), Part("second", None))
    for category, profile, expected in [
        ("MSR", "reference", "first"),
        ("MSR", "strict", "first\nsecond"),
        ("PBL", "reference", None),
        ("PBL", "strict", None),
    ]:
        record = Record(f"{category}-1", category, None, (Part("Q", None),), parts)
        found = judging.build_request(record, (Part("A", None),), profile, root=GOLDEN, answer_root=GOLDEN)
        assert found.gt_answer == expected


@pytest.mark.parametrize("profile", ["reference", "strict"])
@pytest.mark.parametrize(
    "name",
    [
        "../outside.png",
        "/etc/hostname",
        "link/outside.png",
        "images",
        "images/a\0.png",
        "x" * 5000,
        "..\\outside.png",
    ],
)
def test_an_image_outside_the_root_is_refused(tmp_path, profile, name):
    root = tmp_path / "root"
    (root / "images").mkdir(parents=True)
    (tmp_path / "outside.png").write_bytes(b"secret")
    (root / "link").symlink_to(tmp_path)
    record = Record("SA-1", "SA", "Literature", (Part("Q", None),), ())
    found = judging.build_request(record, (Part("A", name),), profile, root=root, answer_root=root)
    assert isinstance(found, Verdict)
    assert found.unscored == "image_refused"
    assert found.details["field"] == "Literature"


@pytest.mark.parametrize("name", ["https://example.org/a.png", "data:image/png;base64,AAAA", "file:///etc/hostname"])
def test_an_address_is_no_picture(tmp_path, name):
    """A failure of the model; to the official scorer a file that is not there, which it skips."""
    record = Record("SA-1", "SA", "Literature", (Part("Q", None),), ())
    found = {
        profile: judging.build_request(record, (Part("A", name),), profile, root=tmp_path, answer_root=tmp_path)
        for profile in ("strict", "reference")
    }
    assert (found["strict"].score, found["strict"].failure) == (0, "image_address")
    assert found["reference"].answer == (Text("A"),)
    assert found["reference"].details["images_skipped"] == [name]


def test_an_address_in_a_question_is_the_datas_fault(tmp_path):
    record = Record("SA-1", "SA", "Literature", (Part("Q", "https://example.org/a.png"),), ())
    found = judging.build_request(record, (Part("A", None),), "strict", root=tmp_path, answer_root=tmp_path)
    assert (found.score, found.unscored) == (None, "image_refused")


def test_an_absolute_name_inside_the_root_is_taken(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    assert judging.locate(f"{tmp_path}/a.png", tmp_path).path == (tmp_path / "a.png").resolve()
    with pytest.raises(ImageRefused):
        judging.locate(f"{tmp_path}x/a.png", tmp_path)
    with pytest.raises(ImageRefused):
        judging.locate(f"{tmp_path}//etc/hostname", tmp_path)


def test_a_name_relative_to_the_working_directory_is_taken_where_it_leads_into_the_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "out" / "pictures"
    for file in (root / "a.png", root / "out" / "pictures" / "both.png", root / "both.png", tmp_path / "secret.png"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    for name in ("a.png", "./a.png", "out/pictures/a.png", "./out/pictures/a.png", f"{root}/a.png"):
        for folder in (root, Path("out/pictures")):
            assert judging.locate(name, folder).path == (root / "a.png").resolve()
    # what the root has under that very name comes first
    assert judging.locate("out/pictures/both.png", root).path == (root / "out" / "pictures" / "both.png").resolve()
    for name in ("secret.png", "./secret.png", "out/pictures/../../secret.png", "out/secret.png"):
        with pytest.raises(ImageRefused):
            judging.locate(name, root)


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        ((Part("./logs/clip.mp4", None),), True),
        ((Part("/data/a film/clip of 3.WEBM", None),), True),
        ((Part("clip.mov", None),), True),
        ((Part("Step 1", "clip.mp4"),), True),
        ((Part("made/frames", None),), True),  # below the root
        ((Part("./mine/made/frames/", None),), True),  # as the model names it, from the working directory
        ((Part("ROOT/made/frames", None),), True),
        ((Part("ffmpeg -i in.mov out.mp4", None),), False),
        ((Part("made", None),), False),  # a word
        ((Part("and/or", None),), False),
        ((Part("/usr/bin", None),), False),
        ((Part("../mine/made", None),), False),
        ((Part("a/\0", None),), False),
        ((Part("See made/frames", None),), False),
        ((Part("clip.mp4", None), Part("Step 2", None)), False),
    ],
)
def test_a_video_or_a_folder_is_no_answer(tmp_path, monkeypatch, answer, failed):
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "mine"
    (root / "made" / "frames").mkdir(parents=True)
    answer = tuple(Part(part.text and part.text.replace("ROOT", str(root)), part.image) for part in answer)
    record = Record("SA-1", "SA", "Literature", (Part("Q", None),), ())
    found = judging.build_request(record, answer, "strict", root=tmp_path, answer_root=root)
    assert (isinstance(found, Verdict) and (found.score, found.failure) == (0, "video_or_folder")) == failed
    # the official scorer has no such rule
    assert isinstance(judging.build_request(record, answer, "reference", root=tmp_path, answer_root=root), Request)


def test_the_pictures_of_a_dataset_may_lie_behind_a_link(tmp_path):
    data, disk = tmp_path / "data", tmp_path / "disk"
    data.mkdir()
    disk.mkdir()
    (disk / "a.png").write_bytes(b"")
    (tmp_path / "secret.png").write_bytes(b"")
    (disk / "out.png").symlink_to(tmp_path / "secret.png")
    (data / "images").symlink_to(disk)
    for name in ("./images/a.png", "images/a.png", f"{data}/images/a.png"):
        assert judging.locate(name, data, linked=True).path == disk / "a.png"
    for name in ("images/../secret.png", "images//../secret.png", "images/out.png", "images", "./images/"):
        with pytest.raises(ImageRefused):
            judging.locate(name, data, linked=True)


@pytest.mark.parametrize("profile", ["strict", "reference"])
def test_links_count_in_the_folder_that_was_named_as_data_and_in_no_other(tmp_path, profile):
    """An answers folder can hold whatever its maker likes: a data.json, and `images` as a link to anywhere."""
    for name in ("data", "run"):
        disk = tmp_path / f"{name}'s disk"
        disk.mkdir()
        (disk / "a.png").write_bytes(name.encode())
        (tmp_path / name).mkdir()
        (tmp_path / name / "images").symlink_to(disk)
        (tmp_path / name / "data.json").write_text("[]")
    data, run = tmp_path / "data", tmp_path / "run"
    asked = Record("SA-1", "SA", None, (Part("Q", "images/a.png"),), ())
    unasked = Record("SA-1", "SA", None, (Part("Q", None),), ())
    answered, silent = (Part("A", "images/a.png"),), (Part("A", None),)

    def judged(record, answer, root, answer_root, data_root):
        roots = {"root": root, "answer_root": answer_root, "data_root": data_root}
        found = judging.build_request(record, answer, profile, **roots)
        if isinstance(found, Verdict):
            return found.unscored
        return [picture.path.read_bytes() for picture in found.pictures]

    assert judged(asked, silent, data, run, data) == [b"data"]
    assert judged(unasked, answered, data, run, data) == "image_refused"
    assert judged(asked, answered, data, run, data) == "image_refused"
    assert judged(asked, silent, run, run, None) == "image_refused"  # a question that came with its answer
    assert judged(unasked, answered, data, data, data) == [b"data"]  # references, which are the data's own


@pytest.mark.parametrize("own_record", [False, True])
def test_an_answers_folder_does_not_reach_outside_itself(tmp_path, own_record):
    """Nothing from there is judged, and nothing from there is copied beside the results."""
    run, secret = tmp_path / "run", tmp_path / "secret"
    for folder in (run, secret):
        folder.mkdir()
    Image.new("RGB", (8, 8)).save(secret / "MSR-9102-0.png")
    (run / "images").symlink_to(secret)
    (run / "data.json").write_text("")
    dataset = BENCHMARK.load(demo_dir())
    record = next(record for record in dataset.records if record.category == "SA" and record.images)
    answer = Answer(record.id, None, [{"text": "A", "image": "./images/MSR-9102-0.png"}], run)
    if own_record:
        answer = dataclasses.replace(answer, record={"id": record.id, "question": [{"text": "Q"}], "gt_answer": []})
    (found,) = BENCHMARK.assess([answer], dataset, "strict")
    assert isinstance(found, Verdict)
    assert found.unscored == "image_refused"
    (sample,) = BENCHMARK.view.samples([answer], dataset)
    assert all(not picture.path.is_relative_to(secret) for picture in sample.pictures)
    assert Missing("./images/MSR-9102-0.png") in sample.answer


def test_question_and_answer_have_roots_of_their_own(tmp_path):
    for folder in ("data", "run"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").write_bytes(folder.encode())
    record = Record("SA-1", "SA", None, (Part(None, "./a.png"),), ())
    found = judging.build_request(
        record, (Part(None, "a.png"),), "strict", root=tmp_path / "data", answer_root=tmp_path / "run"
    )
    assert [picture.path.read_bytes() for picture in found.pictures] == [b"data", b"run"]
    assert [picture.name for picture in found.pictures] == ["./a.png", "a.png"]


def test_a_lone_surrogate_becomes_a_character_that_can_be_written():
    record = Record("SA-1", "SA", None, (Part("Q\udc80", None),), ())
    found = judging.build_request(record, (Part("A\ud800", None),), "strict", root=GOLDEN, answer_root=GOLDEN)
    assert (found.question_text(), found.answer_text()) == ("Q\ufffd\n", "A\ufffd\n")


IMAGE_NAMES = (
    st.sampled_from(["images/003.png", "./images/004.png", "images/../data.json", "../README.md", "/", "", "images/"])
    | st.text()
    | st.lists(st.sampled_from(["..", ".", "images", "003.png", "", "~", "\\", "C:"])).map("/".join)
)


@given(
    st.lists(st.fixed_dictionaries({"text": st.none() | st.text(), "image": st.none() | IMAGE_NAMES}), max_size=6),
    st.sampled_from(["reference", "strict"]),
)
def test_no_response_reaches_a_file_outside(parts, profile):
    record = Record("SA-1", "SA", None, (Part("Q", "images/046.png"),), ())
    answer = responses.parse_response(json.dumps(parts)).parts
    found = judging.build_request(record, answer, profile, root=GOLDEN, answer_root=GOLDEN)
    if isinstance(found, Verdict):
        assert found.reason in {"image_refused", "image_missing", "image_address", "empty_answer"}
    else:
        assert found.pictures[0].name == "images/046.png"
        assert all(picture.path.is_relative_to(GOLDEN.resolve()) for picture in found.pictures)
        found.answer_text().encode("utf-8")

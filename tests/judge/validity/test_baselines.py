"""Length and CLIPScore of answers, the latter by a tiny random CLIP against its own parts."""

import json
import sys

import pytest
from PIL import Image

from judge import cli
from judge.core.benchmark import Answer
from judge.errors import UserError
from judge.io.image_paths import ImageRefused
from judge.validity.agreement import measure_agreement
from judge.validity.baselines import ClipScore, captioned_pictures, count_words
from judge.validity.resampling import Resampling


def answer(response, root):
    return Answer("SA-1", None, response, root)


@pytest.mark.parametrize(
    ("response", "n"),
    [
        ("two  words\n", 2),
        ("", 0),
        (None, 0),
        (
            [
                {"text": "Step 1: pour.", "image": None},
                {"text": None, "image": "a.png"},
                {"text": "Done", "image": "b"},
            ],
            4,
        ),
    ],
)
def test_words(tmp_path, response, n):
    assert count_words(answer(response, tmp_path)) == n


@pytest.fixture
def pictures(tmp_path):
    for name, colour in (("red", (200, 0, 0)), ("blue", (0, 0, 200)), ("green", (0, 200, 0))):
        Image.new("RGB", (40, 30), colour).save(tmp_path / f"{name}.png")
    return tmp_path


def test_a_picture_goes_with_the_text_nearest_to_it(pictures):
    response = [
        {"text": " ", "image": "red.png"},  # nothing before it: the first text after it
        {"text": "First.", "image": "blue.png"},
        {"text": None, "image": "green.png"},  # the nearest before it
        {"text": "Last.", "image": None},
    ]
    found = captioned_pictures(answer(response, pictures))
    assert [(text, path.stem) for text, path in found] == [("First.", "red"), ("First.", "blue"), ("First.", "green")]
    assert captioned_pictures(answer([{"text": None, "image": "red.png"}], pictures)) == []
    assert captioned_pictures(answer("No picture.", pictures)) == []


def test_a_picture_outside_the_root_is_not_opened(pictures):
    with pytest.raises(ImageRefused):
        captioned_pictures(answer([{"text": "x", "image": "../red.png"}], pictures / "sub"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A folder with a CLIP of a few thousand random weights, as `from_pretrained` reads it."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

    folder = tmp_path_factory.mktemp("clip")
    letters = [chr(number) for number in range(ord("a"), ord("z") + 1)]
    tokens = [*letters, *(f"{letter}</w>" for letter in [*letters, ".", ":", "1"]), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.save_pretrained(folder)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": len(tokens) - 2, "eos_token_id": len(tokens) - 1, "pad_token_id": len(tokens) - 1}
    text = {**shape, **ends, "vocab_size": len(tokens), "max_position_embeddings": 12}
    vision = {**shape, "image_size": 32, "patch_size": 16}
    torch.manual_seed(0)
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def test_clipscore_is_its_definition(clip, pictures):
    import torch
    from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

    score = ClipScore(str(clip))
    response = [{"text": "pour", "image": "red.png"}, {"text": "close a lid", "image": "blue.png"}]

    # step by step, each picture and text alone, embeddings from the towers and normalised here
    model, tokenizer = CLIPModel.from_pretrained(clip).eval(), CLIPTokenizer.from_pretrained(clip)
    images = CLIPImageProcessor.from_pretrained(clip)
    expected = []
    for text, name in (("pour", "red"), ("close a lid", "blue")):
        with torch.no_grad():
            pooled = model.text_model(**tokenizer([text], return_tensors="pt")).pooler_output
            said = model.text_projection(pooled)[0]
            pixels = images(images=Image.open(pictures / f"{name}.png"), return_tensors="pt").pixel_values
            seen = model.visual_projection(model.vision_model(pixel_values=pixels).pooler_output)[0]
        cosine = float(torch.dot(said, seen) / (said.norm() * seen.norm()))
        expected.append(100 * max(2.5 * cosine, 0))
    found = score(answer(response, pictures))
    assert found == pytest.approx(sum(expected) / 2, abs=1e-3)
    assert any(value > 0 for value in expected)


def test_clipscore_of_what_it_is_not_defined_for(clip, pictures):
    score = ClipScore(str(clip))
    assert score(answer("Only text.", pictures)) is None
    assert score(answer([{"text": None, "image": "red.png"}], pictures)) is None
    assert score(answer([{"text": "x", "image": "absent.png"}], pictures)) is None
    (pictures / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert score(answer([{"text": "x", "image": "broken.png"}], pictures)) is None


def test_a_long_text_is_cut_where_clip_ends(clip, pictures):
    score = ClipScore(str(clip))
    long = score(answer([{"text": "a b c d e f g h i j k l m n o p", "image": "red.png"}], pictures))
    longer = score(answer([{"text": "a b c d e f g h i j z z z z z z z z", "image": "red.png"}], pictures))
    assert long == pytest.approx(longer)  # start, 10 letters, end


def test_a_folder_that_is_no_clip(tmp_path):
    pytest.importorskip("transformers", reason="the hf extra is not installed")
    with pytest.raises(UserError, match="no CLIP model could be loaded"):
        ClipScore(str(tmp_path))


def test_without_transformers_the_fix_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"pip install 'mmjudge\[hf\]'"):
        ClipScore(str(tmp_path))


def test_clipscore_is_a_row_of_agree(clip, pictures, capsys):
    names = [f"SA-{number}" for number in range(6)]
    humans = [
        # the last one has no picture: CLIPScore is not defined for it
        {"id": name, "model": "m", "score": number, "response": [{"text": "pour", "image": image}]}
        for number, (name, image) in enumerate(zip(names, ["red.png", "blue.png", "green.png"] * 2, strict=True))
    ]
    humans[-1]["response"] = "pour"
    verdicts = [{"id": name, "by": "judge", "score": 3, "unscored": None, "category": "SA"} for name in names]
    for file, rows in (("humans.jsonl", humans), ("verdicts.jsonl", verdicts)):
        (pictures / file).write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = [str(pictures / "verdicts.jsonl"), str(pictures / "humans.jsonl")]
    assert cli.main(["agree", *files, "--clip", str(clip), "--out", str(pictures / "out")]) == 0
    found = json.loads((pictures / "out" / "agreement.json").read_text())["beside"]
    assert list(found) == ["constant", "words", "clipscore"]
    assert found["clipscore"]["coefficients"]["pearson"]["n"] == 5
    assert found["clipscore"]["scale"] == "other"
    score = ClipScore(str(clip))
    theirs = [score(answer(row["response"], pictures)) for row in humans[:5]]
    expected = measure_agreement(theirs, range(5), resampling=Resampling(0))["spearman"].value
    assert found["clipscore"]["coefficients"]["spearman"]["value"] == pytest.approx(expected)


def test_no_picture_at_all_is_said(clip, pictures, capsys):
    (pictures / "humans.jsonl").write_text('{"id": "SA-1", "score": 3, "response": "Only text."}\n')
    (pictures / "verdicts.jsonl").write_text('{"id": "SA-1", "by": "judge", "score": 3, "unscored": null}\n')
    files = [str(pictures / "verdicts.jsonl"), str(pictures / "humans.jsonl")]
    assert cli.main(["agree", *files, "--clip", str(clip)]) == 2
    assert "no answer in HUMANS has both a picture that can be read and text" in capsys.readouterr().err

"""One wording by every way in, and what is said of model classes that ask another one."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from surroundings import ABSENT

from judge.core.question import Question, as_parts
from judge.core.request import Picture
from judge.harness.lmms_eval.model_classes import (
    CLASSES,
    NEEDS_PICTURE,
    NUMBERING,
    changed,
    interleaving,
    needs_picture,
    simple_text,
    wants_numbers,
)

A, B = (Picture(Path(f"/data/{name}.jpg"), f"{name}.jpg") for name in "ab")
TURNS = Question("q", 0, "SA", as_parts(["Who?", A, "What?", B, "Where?"]))
AFTER = Question("q", 0, "SA", as_parts([A, B, "Which?"]))
NONE = Question("q", 0, "SA", as_parts(["Why?"]))


def a_model(module: str, **attributes: Any) -> Any:
    """An object whose class lies where lmms-eval has its own."""
    return type("Model", (), {"__module__": f"lmms_eval.models.{module}", **attributes})()


@pytest.mark.parametrize(
    ("question", "text"),
    [
        (TURNS, "Who?\n<image>\nWhat?\n<image>\nWhere?"),
        (AFTER, "\nWhich?"),  # the class puts its pictures there itself
        (NONE, "Why?"),
    ],
)
def test_a_class_that_places_pictures_is_told_where(question: Question, text: str) -> None:
    assert simple_text(question, "kept") == simple_text(question, "unknown") == text


def test_a_class_that_puts_pictures_first_gets_no_placeholder_and_no_empty_line() -> None:
    assert simple_text(TURNS, "pictures first") == "Who?\nWhat?\nWhere?"
    together = Question("q", 0, "SA", as_parts(["Who?", A, B, "Where?", "When?", A]))
    assert simple_text(together, "pictures first") == "Who?\nWhere?\nWhen?\n"


def test_a_class_that_counts_pictures_gets_their_numbers() -> None:
    assert simple_text(TURNS, "kept", numbered=True) == "Who?\n<image 1>\nWhat?\n<image 2>\nWhere?"
    assert simple_text(AFTER, "kept", numbered=True) == "<image 1><image 2>\nWhich?"


def test_what_is_lost_is_counted() -> None:
    asked = [TURNS, AFTER, NONE]
    assert [changed(asked, what) for what in ("kept", "unknown", "pictures first", "first picture only")] == [
        0,
        0,
        1,
        2,
    ]


def test_a_model_is_known_by_the_module_of_its_class() -> None:
    assert interleaving(a_model("chat.qwen2_5_vl")) == "kept"
    assert interleaving(a_model("simple.qwen2_5_vl")) == "pictures first"
    assert interleaving(a_model("simple.qwen2_5_vl", interleave_visuals=True)) == "kept"
    assert interleaving(a_model("chat.lfm2_5_vl")) == "first picture only"
    assert interleaving(a_model("simple.somebodys")) == interleaving(object()) == "unknown"
    assert interleaving(SimpleNamespace(interleaving="kept")) == "kept"
    assert interleaving(SimpleNamespace(interleaving="nonsense")) == "unknown"
    # the chat class inherits the attribute, and asks in turn without it
    assert not wants_numbers(a_model("chat.qwen2_5_vl", interleave_visuals=True))
    assert [needs_picture(a_model(name)) for name in ("simple.idefics2", "chat.qwen2_5_vl")] == [True, False]


@pytest.mark.skipif("lmms_eval" in ABSENT, reason="lmms-eval is not installed")
def test_every_class_of_the_tables_is_one_of_lmms_eval() -> None:
    import lmms_eval

    (root,) = lmms_eval.__path__
    files = {name: Path(root, "models", *name.split(".")).with_suffix(".py") for name in CLASSES}
    assert [name for name, file in files.items() if not file.is_file()] == []
    assert CLASSES.keys() >= NUMBERING | NEEDS_PICTURE
    assert all("interleave_visuals" in files[name].read_text() for name in NUMBERING)
    others = {f"simple.{file.stem}" for file in Path(root, "models", "simple").glob("*.py")} - NUMBERING
    options = [
        name
        for name in others
        if "interleave_visuals: Optional" in Path(root, "models", *name.split(".")).with_suffix(".py").read_text()
    ]
    assert options == []


# The same characters by every way


def markers(parts: Any) -> str:
    """What a model sees of a message, a picture written as ▣."""
    return "".join(part.get("text", part.get("value")) if part["type"] == "text" else "▣" for part in parts)


@pytest.mark.parametrize(("name", "index"), [("mmie", 0), ("mmie", 7), ("mmie", 14), ("mmvu", 0), ("mmvu", 31)])
def test_one_question_has_one_wording(name: str, index: int) -> None:
    """Through lmms-eval's chat and simple classes and through VLMEvalKit; the simple class puts pictures at its marks,
    or in front where there is none, as llava_hf does."""
    task = importlib.import_module(f"{name}_tasks.lmms_eval.task")
    doc = getattr(task, f"{name}_demo")(None)[index]
    question = task.TASKS.question(doc)
    chat = markers(task.doc_to_messages(doc)[0]["content"])
    assert chat == question.text("▣")
    simple = task.doc_to_text(doc)
    marked = simple.replace("<image>", "▣") if "<image>" in simple else "▣" * len(question.pictures) + simple
    assert marked == chat
    assert marked.count("▣") == len(task.doc_to_visual(doc))
    if "vlmeval" not in ABSENT:
        module = importlib.import_module(f"{name}_tasks.vlmeval_dataset")
        dataset = getattr(module, name.upper())(f"{name.upper()}_demo")
        assert markers(dataset.build_prompt(index)) == chat


def test_a_text_that_names_a_file_stays_a_text_in_vlmevalkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "vlmeval" in ABSENT:
        pytest.skip("ms-vlmeval is not installed")
    from vlmeval.smp.file import parse_file

    from judge.harness.vlmeval.dataset import _as_no_file

    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (2, 2)).save("a.png")
    for text in (
        "a.png",
        ".",
        str(tmp_path),
        "https://example.org/a.png",
        "data:image/png;base64,AAAA",
        "data:image/x\ny",
    ):
        assert parse_file(_as_no_file(text)) == (None, _as_no_file(text))
        assert _as_no_file(text).strip() == text
    for text in ("Why?", "Two\nlines", "see https://example.org for it"):
        assert _as_no_file(text) == text

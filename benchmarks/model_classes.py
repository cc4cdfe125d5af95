"""What lmms-eval's model classes make of one question in which texts and pictures take turns.

    python benchmarks/model_classes.py                    a table of all classes below, as docs/model_classes.md has it
    python benchmarks/model_classes.py qwen2_vl llava_hf  some of them

Every class loads a tiny random checkpoint of its family (`tiny_models`) and is asked through our task, as `lmms-eval
--tasks mmie` asks it. Nothing is generated: what is looked at is the prompt that its processor is given, and the
pictures beside it. A picture is one colour, so that their order can be read from the pixels. The question spells
`<image>` and `<image 1>`, too: a class that counts those ends with an error, or with other pictures, here.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from tiny_models import build

COLOURS = {"red": (220, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 220)}
QUESTION = [
    {"text": "Who?", "image": "images/red.png"},
    {"text": "And the tag <image>?", "image": "images/green.png"},
    {"text": "And <image 1>?", "image": "images/blue.png"},
    {"text": "Which?", "image": None},
]
SEEN = "Who?\n▣\nAnd the tag < image >?\n▣\nAnd < image 1 >?\n▣\nWhich?"
"""What reaches a model of the question where nothing is lost."""


@dataclasses.dataclass(frozen=True)
class Class:
    """A row. mark: what stands for a picture in its prompt, as a pattern."""

    model: str
    family: str
    mark: str
    arguments: str = ""
    simple: bool = False

    @property
    def name(self) -> str:
        """As a user calls it."""
        return ", ".join([self.model, *["--force_simple"] * self.simple, *[self.arguments] * bool(self.arguments)])


QWEN_MARK = r"<\|vision_start\|>(?:<\|image_pad\|>)+<\|vision_end\|>"
CLASSES = (
    Class("llava_hf", "llava", "<image>"),
    Class("internvl_hf", "internvl", r"<IMG_CONTEXT>\n?"),
    Class("qwen2_vl", "qwen2_vl", QWEN_MARK),
    Class("qwen2_vl", "qwen2_vl", QWEN_MARK, "interleave_visuals=True"),
    Class("qwen2_5_vl", "qwen2_5_vl", QWEN_MARK),
    Class("qwen2_5_vl", "qwen2_5_vl", QWEN_MARK, simple=True),
    Class("qwen2_5_vl", "qwen2_5_vl", QWEN_MARK, "interleave_visuals=True", simple=True),
    Class("qwen3_vl", "qwen3_vl", QWEN_MARK),
    Class("qwen3_vl", "qwen3_vl", QWEN_MARK, simple=True),
    Class("gemma3", "gemma3", "<start_of_image>"),
    Class("gemma3", "gemma3", "<start_of_image>", "interleave_visuals=True"),
    Class("idefics2", "idefics2", "<image>"),
    Class("llama_vision", "mllama", r"<\|image\|>"),
    Class("mistral3_vl", "mistral3", r"\[IMG\]"),
)


@dataclasses.dataclass
class Seen:
    """What a class gave its processor: the prompt, and the colours of the pictures in their order."""

    prompt: str = ""
    pictures: list[str] = dataclasses.field(default_factory=list)

    def interleaving(self, mark: str) -> str:
        """What became of the question: "kept", "pictures first", "first picture only", or what there is instead."""
        text = re.sub(mark, "▣", self.prompt)
        if self.pictures[:1] == ["red"] and len(self.pictures) == 1:
            return "first picture only"
        if self.pictures != list(COLOURS):
            return f"pictures: {', '.join(self.pictures) or 'none'}"
        if SEEN in text:
            return "kept"
        first, _, rest = text.partition("Who?")
        if first.count("▣") == len(COLOURS) and "▣" not in rest:
            said = SEEN.replace("▣\n", "").partition("Who?")[2]
            return "pictures first" if rest.startswith(said) else f"pictures first, and the text is {rest!r}"
        return f"otherwise: {text!r}"


class EnoughError(BaseException):
    """Ends a class once its prompt is known; classes swallow ordinary errors."""


def data(folder: Path) -> Path:
    """The question as a folder for MMIE_DATA."""
    from PIL import Image

    (folder / "images").mkdir(parents=True)
    for name, colour in COLOURS.items():
        Image.new("RGB", (56, 56), colour).save(folder / "images" / f"{name}.png")
    turns = [{"from": "human", "content": QUESTION}, {"from": "gpt", "content": [{"text": "A", "image": None}]}]
    row = {"id": "SA-1", "catagory": "SA", "field": "Art", "conversations": turns}
    (folder / "data.json").write_text(json.dumps([row]), encoding="utf-8")
    return folder


def ask(row: Class, checkpoint: Path, questions: Path) -> tuple[Seen, str]:
    """What the class made of the question, and what our table says that it makes of it."""
    from lmms_eval.models import get_model

    from mmie_tasks.benchmark import BENCHMARK
    from mmie_tasks.lmms_eval.task import TASKS

    def simple_evaluate(lm: Any, predict_only: bool, model: str) -> Any:
        """The name by which a task finds the run around it."""
        return TASKS.documents("probe", lambda asks: BENCHMARK.load(questions, images=asks))(None)

    arguments = f"pretrained={checkpoint},device_map=cpu{',' if row.arguments else ''}{row.arguments}"
    if row.model == "idefics2":
        arguments += ",attn_implementation=eager,dtype=float32"
    lm = get_model(row.model, row.simple).create_from_arg_string(arguments, {"batch_size": 1, "device": "cpu"})
    documents = simple_evaluate(lm, predict_only=True, model=row.model)
    lm.task_dict["probe"] = {"train": documents}
    doc, options = documents[0], {"until": ["<none>"], "max_new_tokens": 1, "do_sample": False, "temperature": 0}
    text = TASKS.doc_to_text(doc)
    last = (0, "probe", "train")
    asked = (options, TASKS.doc_to_visual) if lm.is_simple else (TASKS.doc_to_messages, options)
    with watched() as seen, contextlib.suppress(EnoughError):
        lm.generate_until([_Instance((text, *asked, *last))])
    return seen, TASKS.session("probe").asked.interleaving


@dataclasses.dataclass
class _Instance:
    args: tuple[Any, ...]


@contextlib.contextmanager
def watched() -> Iterator[Seen]:
    """Write down what any processor of transformers is called with, and end there."""
    from transformers import ProcessorMixin

    seen = Seen()

    def look(self: Any, *arguments: Any, **named: Any) -> Any:
        given = [*arguments, *named.values()]
        texts = [text for text in _leaves(given, str) if "Who?" in text]
        seen.prompt = texts[0] if texts else ""
        seen.pictures = [_colour(picture) for picture in _pictures(given)]
        raise EnoughError

    kinds = [kind for kind in _subclasses(ProcessorMixin) if "__call__" in vars(kind)]
    with contextlib.ExitStack() as stack:
        for kind in kinds:
            stack.enter_context(mock.patch.object(kind, "__call__", look))
        yield seen


def _subclasses(kind: type) -> Iterator[type]:
    yield kind
    for below in kind.__subclasses__():
        yield from _subclasses(below)


def _leaves(value: Any, kind: Any) -> Iterator[Any]:
    if isinstance(value, kind):
        yield value
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner, kind)


def _pictures(value: Any) -> Iterator[Any]:
    """Opened ones, and those that come as an address of their bytes."""
    from PIL import Image
    from transformers.image_utils import load_image

    for found in _leaves(value, Image.Image | str):
        if not isinstance(found, str):
            yield found
        elif found.startswith("data:image/"):
            yield load_image(found)


def _colour(picture: Any) -> str:
    pixel = picture.convert("RGB").getpixel((picture.width // 2, picture.height // 2))
    return min(COLOURS, key=lambda name: sum(abs(a - b) for a, b in zip(COLOURS[name], pixel, strict=True)))


def table(rows: Sequence[Class]) -> Iterator[str]:
    """Markdown, a line a class."""
    yield "| model class | what reached the model | `interleaving` |"
    yield "|---|---|---|"
    with tempfile.TemporaryDirectory() as scratch:
        questions = data(Path(scratch) / "data")
        for row in rows:
            checkpoint = Path(scratch) / row.family
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    if not checkpoint.is_dir():
                        build(row.family, checkpoint)
                    seen, told = ask(row, checkpoint, questions)
                found = seen.interleaving(row.mark)
            except Exception as error:
                found, told = f"{type(error).__name__}: {str(error).splitlines()[0][:120]}", "-"
            yield f"| `{row.name}` | {found} | {told} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("classes", nargs="*", metavar="CLASS", help="only these; all of them by default")
    given = parser.parse_args()
    known = {row.model: None for row in CLASSES}
    if unknown := sorted({*given.classes} - known.keys()):
        parser.error(f"no class here: {', '.join(unknown)}; known: {', '.join(known)}")
    rows = [row for row in CLASSES if not given.classes or row.model in given.classes]
    for line in table(rows):
        print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())

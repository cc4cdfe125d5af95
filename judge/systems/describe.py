"""describe: a writer says what its pictures show, and a painter draws them. Half of MMIE's table are such systems.

    kind = "describe"
    most_pictures = 4

    [writer]
    kind = "transformers"                      # endpoint, lmms-eval, plugged
    model = "Qwen/Qwen2.5-VL-7B-Instruct"

    [painter]
    kind = "diffusers"                         # endpoint, janus, emu3, plugged
    model = "stabilityai/stable-diffusion-xl-base-1.0"

The writer is asked by a template (`templates/describe.txt`, or a file of one's own with the line `{question}`) to mark
pictures as `<picture>an apple on a board</picture>`; `judge.systems.marks` has the rule by which they are read.

Phases: all texts; the writer is freed; all pictures, in batches across questions; the painter is freed. So there are
never two models on a device. A text is kept as it came, in `DIR/texts.jsonl`, and a picture under a name that says what
it was drawn from (`judge.systems.painters`), so that a run that was killed writes and draws nothing twice:

    {"key": "5b1c…", "id": "PBL-1", "index": 0, "text": "Cut it.\\n<picture>an apple</picture>"}
    {"drawn": "9f02….png", "seconds": 2.125}

An answer without pictures is given at once, the others as soon as their last picture is there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from importlib.resources import files as resources
from types import TracebackType
from typing import Annotated, Any, Literal

from pydantic import Field

from judge.core.question import Question
from judge.core.request import Picture, Text
from judge.errors import UserError
from judge.io import files
from judge.io.jsonl import read_objects
from judge.io.progress import progress_bar
from judge.systems import JSON, Drawing, Failed, Reply, Workspace
from judge.systems.diffusers_painter import DiffusersSettings
from judge.systems.endpoint_painter import EndpointPainterSettings
from judge.systems.endpoint_writer import EndpointWriterSettings
from judge.systems.marks import Bounds, Description, Marked, read_marks
from judge.systems.painters import SAME_BYTES, Painter, Wanted, picture_file, picture_seed, write_picture
from judge.systems.plugged import LmmsEvalSettings, PluggedPainterSettings, PluggedWriterSettings
from judge.systems.settings import BY_KIND, Beside, Seed, Settings
from judge.systems.token_painters import Emu3Settings, JanusSettings
from judge.systems.transformers_writer import TransformersSettings
from judge.systems.writers import Prompt, Writer, joined

SLOT = "{question}"
AnyWriter = Annotated[EndpointWriterSettings | LmmsEvalSettings | PluggedWriterSettings | TransformersSettings, BY_KIND]
AnyPainter = Annotated[
    DiffusersSettings | EndpointPainterSettings | JanusSettings | Emu3Settings | PluggedPainterSettings, BY_KIND
]


class Describing(Settings):
    """The keys of a system that marks pictures. seed: what all pictures' seeds are made from. template: a text file
    with `{question}` on a line of its own; None for the one that comes with mmjudge."""

    template: Annotated[Beside | None, Field(exclude=True)] = None
    most_pictures: Annotated[int, Field(ge=0, le=100)] = 6
    most_characters: Annotated[int, Field(ge=20, le=20_000)] = 800
    seed: Seed = 0

    def read_template(self) -> str:
        """The template's text. Raises UserError for one without a place for the question."""
        try:
            file = self.template or resources("judge.systems") / "templates" / "describe.txt"
            text = file.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise UserError(f"cannot be read: {error}", file=self.template, field="template") from None
        if text.count(SLOT) != 1:
            problem = f"has {SLOT} {text.count(SLOT)} times"
            raise UserError(problem, file=self.template, fix=f"write {SLOT} once, where the question shall stand")
        return text.strip()


class DescribeSettings(Describing):
    """The keys of a SYSTEM.toml of this kind."""

    kind: Literal["describe"]
    writer: AnyWriter
    painter: AnyPainter

    def open(self, workspace: Workspace) -> Describe:
        """The system; neither model is loaded yet. Raises UserError for one that is not to be had."""
        return Describe(self, self.writer.open(), self.painter.open(), workspace)


@dataclasses.dataclass
class _Waiting:
    """A written answer whose pictures are not all there. files: of its pictures, in order."""

    question: Question
    marked: Marked
    wanted: list[Wanted]
    files: list[str]


class Describe:
    """See the module. writer and painter may be one object: a model that does both."""

    def __init__(self, settings: Describing, writer: Writer, painter: Painter, workspace: Workspace) -> None:
        self.settings, self.writer, self.painter, self.workspace = settings, writer, painter, workspace
        self._before, _, self._after = settings.read_template().partition(SLOT)
        self._before = self._before.replace("{most}", str(settings.most_pictures))
        self._after = self._after.replace("{most}", str(settings.most_pictures))
        self._bounds = Bounds(settings.most_pictures, settings.most_characters)
        self._writer_identity, self._painter_identity = dict(writer.identity), dict(painter.identity)

    @property
    def identity(self) -> Mapping[str, JSON]:
        template = f"{self._before}{SLOT}{self._after}"
        packages = sorted({*self.writer.packages, *self.painter.packages})
        return {
            **self.settings.to_json(),
            "template": hashlib.sha256(template.encode()).hexdigest(),
            "writer": self._writer_identity,
            "painter": self._painter_identity,
            "versions": {name: version for name in packages if (version := _version(name))},
        }

    def answer(self, questions: Sequence[Question]) -> Iterator[tuple[Question, Reply | Failed]]:
        with _Record(self.workspace) as record:
            waiting: list[_Waiting] = []
            for question, text in self._texts(questions, record):
                if isinstance(text, Failed):
                    yield question, text
                    continue
                marked = read_marks(text, self._bounds)
                if any(isinstance(part, Description) for part in marked.parts):
                    waiting.append(self._waiting(question, marked))
                elif marked.parts:
                    yield question, Reply(tuple(Text(part) for part in marked.parts if isinstance(part, str)))
                else:
                    yield question, Failed("empty_answer", "the writer wrote nothing", "writer")
            if self.painter is not self.writer:
                self.writer.close()
            yield from self._drawn(waiting, record)
        self.close()

    def close(self) -> None:
        self.writer.close()
        self.painter.close()

    def __enter__(self) -> Describe:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def prompt(self, question: Question) -> Prompt:
        """What the writer is asked for a question."""
        return joined((Text(self._before), *question.parts, Text(self._after)))

    def _texts(self, questions: Sequence[Question], record: _Record) -> Iterator[tuple[Question, str | Failed]]:
        """Every question with what was written, those first that were written before."""
        missing: list[tuple[Question, Prompt, str]] = []
        for question in questions:
            prompt = self.prompt(question)
            key = self._key(question, prompt)
            if key in record.texts:
                yield question, record.texts[key]
            else:
                missing.append((question, prompt, key))
        if not missing:
            return
        with progress_bar(len(missing), "texts", "text") as bar:
            for position, text in self.writer.write_texts([prompt for _, prompt, _ in missing]):
                question, _, key = missing[position]
                if isinstance(text, str):
                    record.add_text(question, key, text)
                bar.update()
                yield question, text

    def _key(self, question: Question, prompt: Prompt) -> str:
        """What a text was written from: another writer's, or that to another wording, is not taken for it."""
        pieces = [part.text if isinstance(part, Text) else _hash(part) for part in prompt]
        fixed = json.dumps([self._writer_identity, question.id, question.index, pieces], sort_keys=True)
        return hashlib.sha256(fixed.encode()).hexdigest()[:32]

    def _waiting(self, question: Question, marked: Marked) -> _Waiting:
        described = [part.text for part in marked.parts if isinstance(part, Description)]
        wanted = [
            Wanted(text, picture_seed(self.settings.seed, question, number)) for number, text in enumerate(described)
        ]
        return _Waiting(question, marked, wanted, [picture_file(self._painter_identity, each) for each in wanted])

    def _drawn(self, waiting: Sequence[_Waiting], record: _Record) -> Iterator[tuple[Question, Reply | Failed]]:
        """The answers with pictures, each when its last one is there."""
        missing: dict[str, Wanted] = {}
        for each in waiting:
            for file, wanted in zip(each.files, each.wanted, strict=True):
                if not (self.workspace.pictures / file).is_file():
                    missing.setdefault(file, wanted)
        failures: dict[str, Failed] = {}
        of_file: dict[str, list[_Waiting]] = {}
        left = {id(each): missing.keys() & set(each.files) for each in waiting}
        for each in waiting:
            for file in left[id(each)]:
                of_file.setdefault(file, []).append(each)
            if not left[id(each)]:
                yield each.question, self._reply(each, record, failures)
        for file in self._draw(missing, record, failures):
            for each in of_file[file]:
                left[id(each)].discard(file)
                if not left[id(each)]:
                    yield each.question, self._reply(each, record, failures)

    def _draw(self, missing: Mapping[str, Wanted], record: _Record, failures: dict[str, Failed]) -> Iterator[str]:
        """Draw what is missing; the name of each picture when its file is there, or its failure is in `failures`."""
        if not missing:
            return
        if self.painter.repeatable != SAME_BYTES:
            print(f"mmjudge: {self.painter.repeatable}", file=sys.stderr, flush=True)
        names = list(missing)
        with progress_bar(len(names), "pictures", "picture") as bar:
            for position, image, seconds in self.painter.draw_pictures(list(missing.values())):
                name = names[position]
                if isinstance(image, Failed):
                    failures[name] = image
                else:
                    record.add_picture(name, seconds)
                    path = self.workspace.pictures / name
                    try:
                        write_picture(path, image)
                    except OSError as error:
                        raise files.cannot_write(path, error) from error
                bar.update()
                yield name

    def _reply(self, each: _Waiting, record: _Record, failures: Mapping[str, Failed]) -> Reply | Failed:
        for number, file in enumerate(each.files, 1):
            if file in failures:
                failed = failures[file]
                return dataclasses.replace(failed, note=f"picture {number} of {len(each.files)}: {failed.note}")
        drawings = iter(
            Drawing(self.workspace.pictures / file, wanted.prompt, wanted.seed, record.seconds.get(file))
            for file, wanted in zip(each.files, each.wanted, strict=True)
        )
        return Reply(tuple(Text(part) if isinstance(part, str) else next(drawings) for part in each.marked.parts))


class _Record:
    """`DIR/texts.jsonl`: texts by their key, and how long each picture took. A context manager."""

    def __init__(self, workspace: Workspace) -> None:
        path = workspace.texts
        self.texts: dict[str, str] = {}
        self.seconds: dict[str, float] = {}
        try:
            self._lines = files.Appendable(path)
        except OSError as error:
            raise files.cannot_write(path, error) from error
        for _, row in read_objects(path):
            if isinstance(row.get("key"), str) and isinstance(row.get("text"), str):
                self.texts[row["key"]] = row["text"]
            elif isinstance(row.get("drawn"), str) and isinstance(row.get("seconds"), int | float):
                self.seconds[row["drawn"]] = float(row["seconds"])

    def add_text(self, question: Question, key: str, text: str) -> None:
        self._add({"key": key, "id": question.id, "index": question.index, "text": text})

    def add_picture(self, name: str, seconds: float) -> None:
        """Before the picture has its name, so that none is without it."""
        self.seconds[name] = round(seconds, 3)
        self._add({"drawn": name, "seconds": self.seconds[name]})

    def _add(self, row: Mapping[str, Any]) -> None:
        try:
            self._lines.append(json.dumps(row).encode())
        except OSError as error:
            raise files.cannot_write(self._lines.path, error) from error

    def __enter__(self) -> _Record:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()


def _hash(picture: Picture) -> dict[str, str]:
    """A picture by its bytes, or by its name where they are not to be had: the writer will say what is wrong."""
    with contextlib.suppress(OSError):
        return {"picture": files.sha256(picture.path)}
    return {"missing": picture.name}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None

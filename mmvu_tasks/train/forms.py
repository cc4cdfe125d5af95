"""Paired records as trainers read them: one file a form, a line or a list item a question or a record.

    llava          llava.json          the authors': two records a picture with the same id, positive, then negative;
                                       free answers, options left out (LLaVA, Bunny)
    choice         choice.jsonl        a question as MMVU's test set has it: four options, a letter
    trl            trl.jsonl           {"images", "prompt", "completion"}, with TRL's loss on the answer alone
    llamafactory   llamafactory.jsonl  {"messages", "images"}, and the dataset_info.json that LLaMA-Factory wants

The chat forms have a row a question: its options and the line of the benchmark's own prompt, answered by the letter;
the question alone, answered in words, where it has no options or `Answers` is "text". Options are shuffled by a hash of
seed, record and question: the paper's prompt asks for the right one first.

    {"id": "7#0", "question_type": "POS", "images": ["coco/7.jpg"],
     "prompt": [{"role": "user", "content": "How many bowls are there?\\nA. Six.\\n…\\nAnswer with the option's …"}],
     "completion": [{"role": "assistant", "content": "C"}]}

Questions of a pair share their id, as in the test set. Names of pictures are relative to the folder of pictures:
`load_rows` makes a dataset with the pictures of trl.jsonl, LLaMA-Factory takes the folder as `media_dir`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from judge.errors import UserError
from judge.io.files import replacing, write_json
from mmvu_tasks import prompts
from mmvu_tasks.records import LETTERS
from mmvu_tasks.train.filter import pairs_of
from mmvu_tasks.train.pairs import PairedRecord, Turn, read_pairs, turns_to_json

if TYPE_CHECKING:
    import datasets

FORMS: Mapping[str, str] = {
    "llava": "llava.json",
    "choice": "choice.jsonl",
    "trl": "trl.jsonl",
    "llamafactory": "llamafactory.jsonl",
}
"""Their files."""
INFO = "dataset_info.json"
PLACEHOLDER = "<image>\n"
Answers = Literal["letters", "text"]


@dataclasses.dataclass(frozen=True)
class Shape:
    """How chat rows answer, and the seed of the order of options."""

    answers: Answers = "letters"
    seed: int = 0


def write_form(form: str, source: Path, folder: Path, shape: Shape) -> Path:
    """Write one form of the records in `source` into `folder`; the file. Raises UserError, OSError."""
    file = folder / FORMS[form]
    records = read_pairs(source)
    if form == "llava":
        rows: Iterable[dict[str, Any]] = (row for record in records for row in llava_rows(record))
        _write_list(file, rows)
        return file
    make = {"choice": _choice_row, "trl": _trl_row, "llamafactory": _llamafactory_row}[form]
    with replacing(file) as opened:
        for record in records:
            for asked in questions_of(record, shape):
                opened.write(json.dumps(make(asked)) + "\n")
    if form == "llamafactory":
        write_json(folder / INFO, llamafactory_info())
    return file


@dataclasses.dataclass(frozen=True)
class Asked:
    """A question as it is put. text: with its options, where it has any. answer: a letter, or words."""

    id: str
    image: str
    sign: str
    text: str
    answer: str
    letters: bool

    @property
    def prompt(self) -> str:
        """As it is put to a model under test."""
        return prompts.template(prompts.DEFAULT).replace("{question}", self.text) if self.letters else self.text


def questions_of(record: PairedRecord, shape: Shape) -> Iterator[Asked]:
    """Every question of a record, the negative one behind the positive one."""
    for pair in pairs_of(record):
        for sign, turn in (("POS", pair.positive), ("NEG", pair.negative)):
            if turn is None:
                continue
            id_, letters = f"{record.id}#{pair.number}", bool(turn.options) and shape.answers == "letters"
            options = _shuffled(turn, f"{shape.seed}|{id_}|{sign}") if letters else ()
            lines = [turn.question, *(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))]
            answer = LETTERS[options.index(turn.answer)] if letters else turn.answer
            yield Asked(id_, record.image, sign, "\n".join(lines), answer, letters)


def llava_rows(record: PairedRecord) -> Iterator[dict[str, Any]]:
    """The two records of the authors, those that have questions; the picture stands before the first one."""
    for turns in (record.positives, record.negatives):
        if turns:
            conversation = turns_to_json(Turn(turn.question, turn.answer) for turn in turns)
            conversation[0]["value"] = PLACEHOLDER + conversation[0]["value"]
            yield {"id": record.id, "image": record.image, "conversations": conversation}


def llamafactory_info() -> dict[str, Any]:
    """What LLaMA-Factory's dataset_info.json says of the file."""
    return {
        "mmvu_train": {
            "file_name": FORMS["llamafactory"],
            "formatting": "sharegpt",
            "columns": {"messages": "messages", "images": "images"},
            "tags": {
                "role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
            },
        }
    }  # fmt: skip


def load_rows(file: Path, root: Path) -> datasets.Dataset:
    """trl.jsonl as a dataset whose `images` are pictures of `root`, decoded when they are asked for.

    Raises UserError without `datasets`, and where the file is not of this form.
    """
    try:
        import datasets
    except ModuleNotFoundError:
        raise UserError("datasets is not installed", fix="pip install 'mmjudge[train]'") from None
    rows = datasets.load_dataset("json", data_files=str(file), split="train")
    if wrong := {"images", "prompt", "completion"} - set(rows.column_names):
        raise UserError(f"has no {', '.join(sorted(wrong))}", file=file, fix="give the trl.jsonl of "
                        "`mmjudge mmvu-data filter`")  # fmt: skip
    rows = rows.map(lambda row: {"images": [str(root / name) for name in row["images"]]})
    return rows.cast_column("images", datasets.List(datasets.Image()))


def _choice_row(asked: Asked) -> dict[str, Any]:
    if not asked.letters:
        raise UserError("a question without options: the multiple-choice form has none for it", record=asked.id,
                        fix="leave `choice` out of --form, and --answers text; prompt v3 makes options")  # fmt: skip
    return {"id": asked.id, "image": asked.image, "question": asked.text, "ground_truth": asked.answer,
            "question_type": asked.sign}  # fmt: skip


def _trl_row(asked: Asked) -> dict[str, Any]:
    return {"id": asked.id, "question_type": asked.sign, "images": [asked.image],
            "prompt": [{"role": "user", "content": asked.prompt}],
            "completion": [{"role": "assistant", "content": asked.answer}]}  # fmt: skip


def _llamafactory_row(asked: Asked) -> dict[str, Any]:
    said = [("user", "<image>" + asked.prompt.replace("<image>", "")), ("assistant", asked.answer)]
    return {"id": asked.id, "messages": [{"role": role, "content": text} for role, text in said],
            "images": [asked.image]}  # fmt: skip


def _shuffled(turn: Turn, seed: str) -> list[str]:
    return sorted(
        turn.options, key=lambda option: hashlib.sha256(f"{seed}|{option}".encode("utf-8", "backslashreplace")).digest()
    )


def _write_list(file: Path, rows: Iterable[dict[str, Any]]) -> None:
    """A JSON list with a row a line."""
    with replacing(file) as opened:
        before = "[\n"
        for row in rows:
            opened.write(before + json.dumps(row))
            before = ",\n"
        opened.write("\n]\n" if before != "[\n" else "[]\n")

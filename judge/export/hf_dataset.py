"""Answers as a data set of Hugging Face: a folder that `datasets.load_dataset` and the Hub read.

    answers/README.md                   configurations and splits, what was measured, whose the questions are
    answers/mmvu/hasty-00000.parquet    a configuration a benchmark, a split a run, a row an answer

    load_dataset("answers", "mmvu", split="hasty")[0]
    ->  {"run": "hasty", "id": "character/character/01", "score": 1, "question": "<image>\\nIn what colour …",
         "question_images": [<PngImageFile …>], "answer": "B", "answer_images": [], …}

The columns of `judge.results.answer_rows`, with pictures as features. `question_parts` and `answer_parts` say in JSON
which text and which picture came when: [{"image": 0}, {"text": "In what colour …"}]. Needs `datasets`.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.core.foreign_text import encodable
from judge.core.request import Text
from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.export import Content
from judge.export.card import dataset_card
from judge.export.pictures import Loaded, Pictures
from judge.io.files import make_folder, write_text
from judge.io.progress import counted
from judge.io.samples import Missing, Piece
from judge.results.answer_rows import AnswerTable, Kind, NamedRun, answer_table

BATCH_BYTES = 16_000_000
"""Of pictures and texts that are held at once, about."""
FILE_BYTES = 500_000_000
"""So large a file is at most, about; the Hub's own splits have this size."""
OF_QUESTIONS = ("question", "truth")

_NOT_A_WORD = re.compile(r"\W+", re.ASCII)
_TYPES: Mapping[Kind, str] = {"text": "string", "int": "int64", "float": "float64", "bool": "bool"}


def write_hf_dataset(runs: Sequence[NamedRun], folder: Path, content: Content, pictures: Pictures) -> None:
    """Write the data set into `folder`, which is there and empty. pictures: counts what was written.

    Raises UserError where `datasets` is not installed, OSError.
    """
    try:
        from datasets import Features
    except ImportError as error:
        problem = f"a data set of Hugging Face needs {error.name}"
        raise UserError(problem, fix="pip install 'mmjudge[export]'") from error
    benchmarks = dict.fromkeys(named.run.results["benchmark"] for named in runs)
    splits: dict[str, dict[str, NamedRun]] = {}
    for benchmark in benchmarks:
        of = [named for named in runs if named.run.results["benchmark"] == benchmark]
        table = answer_table(of)
        if not content.questions:
            table = AnswerTable({n: kind for n, kind in table.columns.items() if n not in OF_QUESTIONS}, of)
        schema = Features(_features(table, content)).arrow_schema
        splits[benchmark] = dict(zip(split_names([named.name for named in of]), of, strict=True))
        make_folder(folder / benchmark)
        for split, named in splits[benchmark].items():
            verdicts = counted(named.run.verdicts, f"exporting {named.name}", "answer")
            rows = (_row(table, named, verdict, content, pictures) for verdict in verdicts)
            _write_split(folder / benchmark, split, rows, schema)
    write_text(folder / "README.md", dataset_card(splits, content), errors="replace")


def split_names(names: Iterable[str]) -> list[str]:
    """Names that a split may have, each once: words of letters, digits and underscores; "all" means all splits."""
    found: list[str] = []
    for name in names:
        plain = _NOT_A_WORD.sub("_", name).strip("_")[:60] or "run"
        tries = (plain if not number else f"{plain}_{number}" for number in itertools.count())
        found.append(next(one for one in tries if one not in (*found, "all")))
    return found


def _features(table: AnswerTable, content: Content) -> dict[str, Any]:
    from datasets import Image, Sequence, Value

    features: dict[str, Any] = {
        name: Sequence(Value("float64")) if kind == "floats" else Value(_TYPES[kind])
        for name, kind in table.columns.items()
    }
    for side in ("question", "answer") if content.questions else ("answer",):
        if content.pictures:
            features[f"{side}_images"] = Sequence(Image())
        features[f"{side}_parts"] = Value("string")
    return features


def _row(table: AnswerTable, named: NamedRun, verdict: Verdict, content: Content, pictures: Pictures) -> dict[str, Any]:
    row = table.row(named, verdict)
    sample = named.samples.get((verdict.id, verdict.index))
    for side in ("question", "answer") if content.questions else ("answer",):
        pieces = () if sample is None else sample.question if side == "question" else sample.answer
        loaded = pictures.load(pieces)
        images = [picture for _, picture in loaded if picture is not None]
        if content.pictures:
            row[f"{side}_images"] = [{"bytes": picture.data, "path": None} for picture in images]
        row[f"{side}_parts"] = None if sample is None else json.dumps(list(_parts(loaded)), ensure_ascii=False)
    return row


def _parts(loaded: Iterable[tuple[Piece, Loaded | None]]) -> Iterator[dict[str, Any]]:
    number = 0
    for piece, picture in loaded:
        if isinstance(piece, Text):
            yield {"text": encodable(piece.text)}
        elif picture is not None:
            yield {"image": number}
            number += 1
        elif isinstance(piece, Missing):
            yield {"missing": encodable(piece.name)}


def _write_split(folder: Path, split: str, rows: Iterable[Mapping[str, Any]], schema: Any) -> None:
    """Row groups of some megabytes into files of some hundreds; one file, without rows, for no rows."""
    import pyarrow as pa
    from pyarrow import parquet

    batches = _batches(rows)
    batch: list[Mapping[str, Any]] | None = next(batches, [])
    for number in itertools.count():
        if batch is None:
            return
        path = folder / f"{split}-{number:05d}.parquet"
        with parquet.ParquetWriter(path, schema) as writer:
            while batch is not None:
                writer.write_table(pa.Table.from_pylist(batch, schema=schema))
                batch = next(batches, None)
                if path.stat().st_size > FILE_BYTES:
                    break


def _batches(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    batch: list[Mapping[str, Any]] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += sum(map(_size, row.values()))
        if size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    return sum(len(each["bytes"]) for each in value if isinstance(each, dict)) if isinstance(value, list) else 8

"""VLMEvalKit's prediction files, read without its losses.

    index  prediction
    0      "B. The sign reads …"
    1      ""

Its own reader turns '', 'None' and 'NA' into NaN and '=1+1' into 0. Here a text that the file still holds comes back as
it was; where the file itself lost some of it, the prediction says so (`damage`) and the answer stays unscored.

Losses of the writer, measured on ms-vlmeval 0.0.20 (xlsx by xlsxwriter through pandas): a cell ends at 32,767
characters; a text that begins with `external:` is rewritten as a path; one that begins with `http://` and is longer
than 2,079 characters is not written.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from judge.errors import UserError

CELL_LIMIT = 32_767
# The writer escapes control characters so, and openpyxl leaves that to its caller. It has undone the escape of a text
# that looks like one already, so only what the writer does escape is taken for it.
_ESCAPE = re.compile(r"_x(00(?:0[0-8BCDEF]|1[0-9A-F]))_")


@dataclasses.dataclass(frozen=True)
class Prediction:
    """One row. text None: null, which JSON alone can hold. damage: what the file lost, or None."""

    index: int
    text: str | None
    damage: str | None = None


def read_predictions(path: str | Path) -> list[Prediction]:
    """Rows in file order. Raises UserError for a file that is no prediction table and for doubled indices."""
    path = Path(path)
    readers = {".xlsx": _xlsx, ".tsv": _tsv, ".csv": _tsv, ".json": _json, ".pkl": _refuse_pickle}
    reader = readers.get(path.suffix)
    if reader is None:
        raise UserError("not a prediction file (xlsx, tsv, csv or json)", file=path, fix="name the file in work_dir")
    if not path.is_file():
        raise UserError("not found", file=path, fix="run VLMEvalKit with --mode infer first")
    try:
        rows = list(reader(path))
    except UserError:
        raise
    except Exception as error:  # whatever the format's library raises on a broken file
        raise UserError(f"cannot be read ({error})", file=path, fix="run VLMEvalKit with --mode infer again") from error
    seen: set[int] = set()
    for row in rows:
        if row.index in seen:
            raise UserError("answered more than once", file=path, record=str(row.index), fix="keep one row per index")
        seen.add(row.index)
    return rows


def _xlsx(path: Path) -> Iterable[Prediction]:
    import openpyxl

    # formulas stay text (data_only off): '=1+1' was an answer, not a sum
    sheet = openpyxl.load_workbook(path, data_only=False).worksheets[0]
    rows = sheet.iter_rows()
    header = [cell.value for cell in next(rows)]
    index, prediction = _columns(header, path)
    for row in rows:
        cell = row[prediction]
        text, damage = _cell(cell)
        yield Prediction(_index(row[index].value, path), text, damage)


def _cell(cell: Any) -> tuple[str, str | None]:
    if cell.value is None:  # the writer leaves the cell of an empty answer empty
        return "", None
    if not isinstance(cell.value, str):
        return str(cell.value), None
    text = _ESCAPE.sub(lambda match: chr(int(match.group(1), 16)), cell.value)
    link = cell.hyperlink
    if link is not None and (link.target or "").startswith("mailto:"):
        text = f"mailto:{text}"  # a link's cell shows its text without the scheme
    elif link is not None and link.location:
        text = f"internal:{text}"
    elif link is not None and (link.target or "").startswith("file:"):
        return text, "rewritten by the xlsx writer, which took it for a link to a file"
    if len(cell.value) >= CELL_LIMIT:
        return text, f"cut at {CELL_LIMIT} characters by the xlsx writer"
    return text, None


def _tsv(path: Path) -> Iterable[Prediction]:
    import pandas

    table = pandas.read_csv(
        path, sep="\t" if path.suffix == ".tsv" else ",", dtype=str, keep_default_na=False, na_filter=False
    )
    index, prediction = _columns(list(table.columns), path)
    for row in table.itertuples(index=False, name=None):
        yield Prediction(_index(row[index], path), row[prediction])


def _json(path: Path) -> Iterable[Prediction]:
    import json

    with path.open(encoding="utf-8") as file:
        table = json.load(file)
    if isinstance(table, dict) and {"index", "prediction"} <= table.keys():
        table = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
    if not isinstance(table, list) or not all(isinstance(row, dict) for row in table):
        raise UserError("not a list of rows", file=path, fix="run VLMEvalKit with --mode infer again")
    for row in table:
        _columns(list(row), path)
        text = row["prediction"]
        yield Prediction(_index(row["index"], path), text if text is None or isinstance(text, str) else str(text))


def _refuse_pickle(path: Path) -> Iterable[Prediction]:
    raise UserError(
        "a pickle is code and is not opened; VLMEvalKit falls back to it when it cannot write the format asked for",
        file=path,
        fix="run it again with PRED_FORMAT=tsv",
    )


def _columns(header: list[Any], path: Path) -> tuple[int, int]:
    for name in ("index", "prediction"):
        if name not in header:
            raise UserError("no such column", file=path, field=name, fix="run VLMEvalKit with --mode infer again")
    return header.index("index"), header.index("prediction")


def _index(value: Any, path: Path) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise UserError(f"{value!r} is no row number", file=path, field="index", fix="keep our rows' index") from None

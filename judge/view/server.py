"""The page's addresses, on `judge.web`; who may ask, and what keeps others out: `judge.web.app`.

    GET /KEY/about                              benchmarks, runs, filters, cautions
    GET /KEY/list/mmie?q=lid&sort=gain&from=50  {"total": 312, "rows": [[id, index, category, "Step 1: …", […]], …], …}
    GET /KEY/row/mmie?id=PBL-1&q=lid            one row in full, with those before and after it in that selection
    GET /KEY/export/mmie.jsonl?q=lid, .csv      the selection as a file
    GET /KEY/picture/5f0c…                      PNG

What stands after "?" is read by `judge.view.selection`. Nothing changes a file.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from judge.io.samples import Question
from judge.view.export import export_csv, export_json_lines
from judge.view.samples import list_row, show_row
from judge.view.selection import Query, means, read_query, select
from judge.view.table import Table
from judge.web.pages import Call, Refused, Reply, Site, json_reply, page_files
from judge.web.pictures import Album

PAGE = 50
"""Rows that are sent at once."""
KEPT = 16
"""Selections that are remembered: turning a page or a sample asks for the same one again."""
EXPORTS: Mapping[str, tuple[str, Callable[[Table, Sequence[int]], Iterator[bytes]]]] = {
    "jsonl": ("application/x-ndjson", export_json_lines),
    "csv": ("text/csv; charset=utf-8", export_csv),
}
_FOLDER = Path(__file__).parent


class Viewer:
    """What is answered about the tables of some runs, as soon as they are there. Threads may share it."""

    def __init__(self, tables: Callable[[], Sequence[Table]]) -> None:
        self._made = tables
        self._album = Album()
        self._selected = functools.lru_cache(maxsize=KEPT)(self._select)

    @property
    def site(self) -> Site:
        """For a server."""
        return Site(
            "mmjudge view",
            page_files(_FOLDER, "page.html", "page.css", "page.js", "page.svg"),
            {
                "/about": self._about,
                "/list/{benchmark}": self._list,
                "/row/{benchmark}": self._row,
                "/export/{file}": self._export,
                "/picture/{name}": self._album.reply,
            },
            unusable="a results folder",
        )

    @property
    def _tables(self) -> dict[str, Table]:
        return {table.benchmark.name: table for table in self._made()}

    def _about(self, call: Call) -> Reply:
        return json_reply({"benchmarks": [table.describe() for table in self._tables.values()], "page": PAGE})

    def _list(self, call: Call) -> Reply:
        table = self._table(call.path["benchmark"])
        rows = self._selected(table.benchmark.name, read_query(call.query, table))
        first = _whole_number(dict(call.query).get("from", "0"))
        if first < 0:
            raise Refused("rows are counted from 0")
        return json_reply(
            {
                "total": len(rows),
                "from": first,
                "rows": [list_row(table, row) for row in rows[first : first + PAGE]],
                "means": means(table, rows),
                "notes": notes(table),
            }
        )

    def _row(self, call: Call) -> Reply:
        table = self._table(call.path["benchmark"])
        given = dict(call.query)
        index = given.get("index", "")
        row = table.rows.get((given.get("id", ""), _whole_number(index) if index else None))
        if row is None:
            raise Refused("there is no such question in these runs", HTTPStatus.NOT_FOUND)
        rows = self._selected(table.benchmark.name, read_query(call.query, table))
        position = rows.index(row) if row in set(rows) else None
        beside: dict[str, Question | None] = {"previous": None, "following": None}
        if position is not None:
            beside["previous"] = table.keys[rows[position - 1]] if position else None
            beside["following"] = table.keys[rows[position + 1]] if position + 1 < len(rows) else None
        return json_reply({**show_row(table, row, self._album), "position": position, "total": len(rows), **beside})

    def _export(self, call: Call) -> Reply:
        name, _, suffix = call.path["file"].rpartition(".")
        if suffix not in EXPORTS:
            raise Refused("nothing here", HTTPStatus.NOT_FOUND)
        table = self._table(name)
        rows = self._selected(table.benchmark.name, read_query(call.query, table))
        kind, export = EXPORTS[suffix]
        return Reply(export(table, rows), kind, download=f"{table.benchmark.name}-{len(rows)}.{suffix}")

    def _table(self, name: str) -> Table:
        found = self._tables.get(name)
        if found is None:
            raise Refused("there is no such benchmark here", HTTPStatus.NOT_FOUND)
        return found

    def _select(self, benchmark: str, query: Query) -> list[int]:
        return select(self._tables[benchmark], query)


def notes(table: Table) -> list[str]:
    """What has become of the runs' files since they were read, and what of their texts could not be."""
    lines = [
        f"{run.name} has changed since it was read; start the command again to see it as it is now."
        for run in table.runs
        if run.changed()
    ]
    problems: list[tuple[str, Any]] = [(run.name, run.known_problem()) for run in table.runs]
    return lines + [f"{name}: samples.jsonl {problem}." for name, problem in problems if problem]


def _whole_number(text: str) -> int:
    if not re.fullmatch("-?[0-9]{1,15}", text):
        raise Refused("a whole number is wanted")
    return int(text)

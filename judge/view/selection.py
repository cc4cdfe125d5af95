"""Which rows of a table are looked at, and in which order: what the part of an address after "?" says.

    read_query([("q", "open the lid"), ("better", "1>2"), ("sort", "gain")], table)  ->  Query(…)
    select(table, query)                                                             ->  [17, 4, 812, …], rows

Words are looked for in question, reference, answers and feedback: a row must have all of them, anywhere; what stands in
quotes is one. A run is called by its number, from 1.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from judge.view.table import Table
from judge.web.pages import Refused

WITHIN = ("", "question", "answer", "feedback")
SORTS = ("", "low", "high", "gain", "loss", "unsure", "sure")
"""Order of the questions; score, lowest or highest first; difference of the pair of runs, the first's or the second's
lead first; entropy, highest or lowest first."""
LONGEST = 1000
"""Characters that are searched for."""
NONE, ANY = "none", "any"
"""Instead of a reason: nothing went wrong, or something did."""

Relation = Literal[">", "<", "!", "="]
_PAIR = re.compile(r"([1-9][0-9]{0,3})([><!=])([1-9][0-9]{0,3})")
_WORD = re.compile(r'"([^"]+)"?|(\S+)')


@dataclasses.dataclass(frozen=True)
class Query:
    """of: the run that score, reason and details are about, counted from 0; None for any run.

    pair: two runs, of which `relation` is asked; without one they only say what difference is sorted by.
    """

    text: str = ""
    within: str = ""
    category: str = ""
    facets: tuple[tuple[str, str], ...] = ()
    reason: str = ""
    score: int | None = None
    of: int | None = None
    pair: tuple[int, int] = (0, 0)
    relation: str = ""
    sort: str = ""

    @property
    def words(self) -> list[str]:
        """What must all be found."""
        return [quoted or word for quoted, word in _WORD.findall(self.text)]


def read_query(pairs: Sequence[tuple[str, str]], table: Table) -> Query:
    """The query in names and values; names that are none of a query's are left alone. Raises Refused."""
    given = dict(pairs)
    pair, relation = (0, min(1, len(table.runs) - 1)), ""
    if compared := given.get("pair") or given.get("better"):
        found = _PAIR.fullmatch(compared)
        if not found:
            raise Refused("two runs are compared as 1>2, 1<2, 1=2 or 1!2")
        pair = _run(found[1], table), _run(found[3], table)
        relation = found[2] if given.get("better") else ""
    names = {facet.name for facet in table.facets}
    return Query(
        text=given.get("q", "")[:LONGEST],
        within=_one_of(given.get("in", ""), WITHIN),
        category=given.get("category", ""),
        facets=tuple((name[2:], value) for name, value in pairs if name[:2] == "d." and name[2:] in names and value),
        reason=given.get("reason", ""),
        score=_number(given["score"]) if given.get("score") else None,
        of=_run(given["of"], table) if given.get("of") else None,
        pair=pair,
        relation=relation,
        sort=_one_of(given.get("sort", ""), SORTS),
    )


def _one_of(value: str, known: Sequence[str]) -> str:
    if value not in known:
        raise Refused(f"must be one of {', '.join(filter(None, known))}")
    return value


def _number(text: str) -> int:
    if not re.fullmatch("-?[0-9]{1,9}", text):
        raise Refused("a score is a whole number")
    return int(text)


def _run(text: str, table: Table) -> int:
    number = _number(text) - 1
    if not 0 <= number < len(table.runs):
        raise Refused("there is no such run")
    return number


def select(table: Table, query: Query) -> list[int]:
    """The rows, in order. Waits until the texts are read where a word is looked for. Raises UserError."""
    rows: Iterable[int] = range(len(table.keys))
    for word in dict.fromkeys(query.words):
        found = rows_with(table, word, query)
        rows = [row for row in rows if row in found]
    for wanted in _filters(table, query):
        rows = [row for row in rows if wanted(row)]
    return _sorted(table, query, list(rows))


def rows_with(table: Table, word: str, query: Query) -> set[int]:
    """Rows whose texts hold `word`; of one run where the query is about one."""
    runs = range(len(table.runs)) if query.of is None else [query.of]
    found: set[int | None] = set()
    for number in runs:
        run = table.runs[number]
        if query.within in ("", "feedback"):
            found.update(map(table.decided_rows[number].__getitem__, run.decided.feedback.find(word)))
        if query.within != "feedback":
            said, rows = run.said(), table.said_rows(number)
            for texts, name in ((said.questions, "question"), (said.answers, "answer")):
                if query.within in ("", name):
                    found.update(map(rows.__getitem__, texts.find(word)))
    return {row for row in found if row is not None}


def _filters(table: Table, query: Query) -> list[Callable[[int], bool]]:
    runs = range(len(table.runs)) if query.of is None else [query.of]
    made: list[Callable[[int], bool]] = []
    if query.category:
        made.append(lambda row: table.categories[row] == query.category)
    if query.score is not None:
        made.append(lambda row: any(table.scores[run][row] == query.score for run in runs))
    for name, value in query.facets:
        made.append(functools.partial(_has_detail, table, runs, name, value))
    if query.reason == NONE:
        made.append(lambda row: all(table.reason(run, row) is None for run in runs))
    elif query.reason == ANY:
        made.append(lambda row: any(table.reason(run, row) is not None for run in runs))
    elif query.reason:
        made.append(lambda row: any(table.reason(run, row) == query.reason for run in runs))
    if query.relation:
        made.append(functools.partial(_compares, table, query))
    return made


def _has_detail(table: Table, runs: Iterable[int], name: str, value: str, row: int) -> bool:
    return any(table.detail(run, row, name) == value for run in runs)


def _compares(table: Table, query: Query, row: int) -> bool:
    first, second = (table.scores[run][row] for run in query.pair)
    if first is None or second is None:
        return False
    return {">": first > second, "<": first < second, "!": first != second, "=": first == second}[query.relation]


def _sorted(table: Table, query: Query, rows: list[int]) -> list[int]:
    """Those without a value come last; equals stay in the order of the questions."""
    runs = range(len(table.runs)) if query.of is None else [query.of]

    def score(row: int) -> float | None:
        found = [value for run in runs if (value := table.scores[run][row]) is not None]
        return sum(found) / len(found) if found else None

    def entropy(row: int) -> float | None:
        found = [value for run in runs if (value := table.entropies[run][row]) is not None]
        return max(found) if found else None

    def difference(row: int) -> float | None:
        first, second = (table.scores[run][row] for run in query.pair)
        return None if first is None or second is None else first - second

    measured: dict[str, tuple[Callable[[int], float | None], int]] = {
        "low": (score, 1), "high": (score, -1), "gain": (difference, -1), "loss": (difference, 1),
        "unsure": (entropy, -1), "sure": (entropy, 1),
    }  # fmt: skip
    if not query.sort:
        return rows
    value, sign = measured[query.sort]
    known = {row: found for row in rows if (found := value(row)) is not None}
    return [*sorted(known, key=lambda row: sign * known[row]), *(row for row in rows if row not in known)]


def means(table: Table, rows: Sequence[int]) -> list[tuple[int, float | None]]:
    """Of every run, how many of the rows have a score, and its mean."""
    made = []
    for scores in table.scores:
        found = [score for row in rows if (score := scores[row]) is not None]
        made.append((len(found), sum(found) / len(found) if found else None))
    return made

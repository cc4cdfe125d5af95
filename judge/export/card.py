"""README.md of an exported data set: its configurations for `load_dataset`, and what a reader must know.

---
configs:
- config_name: mmvu
  data_files:
  - {split: hasty, path: mmvu/hasty-*.parquet}
---
# Answers to MMVU, scored …
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import yaml

from judge.core.benchmark import Benchmark, find
from judge.core.foreign_text import on_one_line
from judge.export import Content
from judge.results.answer_rows import NamedRun
from judge.results.cells import MARKDOWN, cell, escaped, piped

LONG = 10_000
"""Characters of a note or a signature that is kept whole."""


def dataset_card(splits: Mapping[str, Mapping[str, NamedRun]], content: Content) -> str:
    """The README. splits: benchmark → split → run."""
    configs = [
        {
            "config_name": benchmark,
            "data_files": [{"split": split, "path": f"{benchmark}/{split}-*.parquet"} for split in of],
        }
        for benchmark, of in splits.items()
    ]
    head = yaml.safe_dump({"configs": configs, "tags": ["mmjudge"]}, sort_keys=False)
    benchmarks = [find(name) for name in splits]
    lines = ["---", head.rstrip(), "---", f"# Answers to {' and '.join(one.title for one in benchmarks)}, scored", ""]
    for benchmark in benchmarks:
        lines += [*_section(benchmark, splits[benchmark.name], content), ""]
    lines += [
        "Texts are what models, judges and the benchmark wrote, `<image>` where a picture stood. `score` is null where"
        " an answer is unscored, and `unscored` says why; `failure` says why an answer counts as the worst. Made with"
        " mmjudge.",
        "",
    ]
    return "\n".join(lines)


def whose(benchmark: Benchmark, content: Content) -> str:
    """Whose the questions are, and what that means for whoever has the export; a sentence or two."""
    if not content.questions:
        return f"Questions and reference answers of {benchmark.repo} are left out: they are its to give out."
    what = "questions, reference answers and pictures" if content.pictures else "questions and reference answers"
    return f"Holds {what} of {benchmark.repo}: give it to others only where its terms allow that."


def _section(benchmark: Benchmark, of: Mapping[str, NamedRun], content: Content) -> Iterator[str]:
    yield f"## {benchmark.title}"
    yield ""
    rows = [["split", "run", "answers", "unscored", *benchmark.headline]]
    for split, named in of.items():
        results = named.run.results
        n = str(results["n"]) + (f", PARTIAL {named.part}" if named.part else "")
        estimates = [cell(named.run.estimate(name)) for name in benchmark.headline]
        rows.append([split, on_one_line(named.name), n, str(results["unscored"]["n"]), *estimates])
    yield from piped(rows)
    yield ""
    if any(named.part for named in of.values()):
        yield "PARTIAL: only some of the questions were asked; not to be compared with whole runs."
        yield ""
    yield whose(benchmark, content)
    yield ""
    for split, named in of.items():
        signature = on_one_line(str(named.run.results["signature"]), LONG).replace("`", "'")
        yield f"- {escaped(split, MARKDOWN)}: `{signature}`"

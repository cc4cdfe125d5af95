"""Damaged data files of both benchmarks: refused with one error, or scored, and then nothing changes unseen."""

from __future__ import annotations

import collections
import json
import shutil

import pytest
from mutants import damage_bytes, damage_json, mutants, no_hang, replace_file

import mmie_tasks.demo
import mmvu_tasks.demo
from judge import ScoreOptions, score
from judge.errors import UserError
from mmie_tasks import records as mmie_records
from mmvu_tasks import records as mmvu_records

DATA = {
    "mmie": (mmie_tasks.demo.demo_dir() / "data.json", mmie_records),
    "mmvu": (mmvu_tasks.demo.demo_dir() / "MMR-benchmark.json", mmvu_records),
}
OPTIONS = ScoreOptions(partial=True)
"""A record that is gone leaves its question out."""


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def answer_everything(name, folder):
    """Answers to all questions of the demo, and a judge's words about each where the benchmark has a judge."""
    found = DATA[name][1].read_records(DATA[name][0])
    if name == "mmvu":
        rows = [{"index": record.index, "id": record.id, "response": "B"} for record in found]
        return write_lines(folder / "responses.jsonl", rows), None
    rows = [{"id": record.id, "response": "A picture of it."} for record in found]
    said = [{"id": record.id, "feedback": f"Good: {number % 7}"} for number, record in enumerate(found)]
    return write_lines(folder / "responses.jsonl", rows), f"replay:{write_lines(folder / 'said.jsonl', said)}"


def damage(random, path, text):
    """One mutant of a data file with the content `text`."""
    path.write_text(text)
    kind = random.randrange(20)
    if kind == 0:
        replace_file(random, path)
    elif kind < 5:
        path.write_bytes(damage_bytes(random, text.encode()))
    else:
        path.write_bytes(damage_json(random, text).encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("name", ["mmie", "mmvu"])
def test_a_damaged_data_file_is_refused_or_changes_no_number_unseen(tmp_path, name):
    source, records = DATA[name]
    text = source.read_text(encoding="utf-8")
    answers, judge = answer_everything(name, tmp_path)

    def numbers(data, out):
        run = score(answers, name, out, judge=judge, data=data, options=OPTIONS)
        return {field: run.results[field] for field in ("n", "metrics", "categories", "unscored")}

    before = numbers(source.parent, tmp_path / "whole")
    content = records.content(records.read_records(source))
    outcomes, wrong = collections.Counter(), []
    for seed, random in mutants(60):
        folder = tmp_path / str(seed)
        folder.mkdir()
        damage(random, folder / source.name, text)
        try:
            with no_hang():
                after = numbers(folder, folder / "out")
                same = records.content(records.read_records(folder / source.name)) == content
        except UserError as error:
            outcomes["refused"] += 1
            if str(tmp_path) not in str(error):
                wrong.append(f"seed {seed}: names no file: {error}")
        except BaseException as error:
            wrong.append(f"seed {seed}: {type(error).__name__}: {str(error)[:200]}")
        else:
            outcomes["same" if after == before else "seen"] += 1
            if after != before and same:  # the hash that tells an edition shows nothing
                wrong.append(f"seed {seed}: other numbers, the same content")
        shutil.rmtree(folder)
    print(name, dict(outcomes), len(wrong))
    assert wrong == []
    assert outcomes["refused"] > 0
    assert outcomes["same"] > 0

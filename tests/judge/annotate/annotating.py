"""Answers to the demo's questions by two models with telling names, and a server that shows them."""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
from pathlib import Path

from local_pages import serving

from judge.annotate.items import collect_items, order_items
from judge.annotate.server import Server
from judge.annotate.session import Session
from judge.annotate.store import Store
from mmie_tasks.benchmark import BENCHMARK
from mmie_tasks.demo import demo_dir

MODELS = ("secret-llava-9000", "secret-anole-7b")
RUBRIC = BENCHMARK.rubric("mmjudge")


def references():
    """id → parts of the reference answer."""
    records = json.loads((demo_dir() / "data.json").read_text())
    return {record["id"]: record["conversations"][1]["content"] for record in records}


def responses(folder: Path, rows=None) -> Path:
    """`folder`/responses.jsonl: the references, or `rows`; pictures of the demo in `folder`/pics."""
    shutil.copytree(demo_dir() / "images", folder / "pics")
    if rows is None:
        rows = []
        for id_, parts in references().items():
            moved = [{**part, "image": part["image"] and f"pics/{Path(part['image']).name}"} for part in parts]
            rows.append({"id": id_, "response": moved})
    (folder / "responses.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return folder / "responses.jsonl"


def both(folder: Path):
    """(model, file) of two models: thirty answers."""
    return [(model, responses(folder / model)) for model in MODELS]


@functools.cache
def _collected(files):
    return collect_items(BENCHMARK, files, data=demo_dir())[0]


def session(files, out: Path, annotator="a1", seed=0) -> Session:
    return Session(order_items(_collected(tuple(files)), annotator, seed), RUBRIC, Store(out), annotator)


@contextlib.contextmanager
def served(working: Session):
    with serving(Server(working)) as server:
        yield server

"""Answers to the demo's questions by two models with telling names, and a server that shows them."""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import shutil
import threading
from pathlib import Path

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
    server = Server(working)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ask(server: Server, method: str, path: str, body=None, **headers):
    """(status, headers, body) of one request below the server's key; "/…" is taken as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    try:
        connection.putrequest(method, path if path.startswith("/") else f"/{server.key}/{path}", skip_host=True)
        sent = {"Host": f"127.0.0.1:{server.server_port}", **headers}
        if body is not None:
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent.setdefault("Content-Length", str(len(body)))
        for name, value in sent.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def get(server: Server, path: str):
    status, _, body = ask(server, "GET", path)
    assert status == 200, body
    return json.loads(body)


def post(server: Server, path: str, given):
    status, _, body = ask(server, "POST", path, given, **{"X-Mmjudge-Token": server.token})
    assert status == 200, body
    return json.loads(body)

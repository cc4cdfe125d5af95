"""Machines that doctor is sent to: fake GPUs, a fake Hub, a fake cache, fake installed packages."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from huggingface_hub import constants

from judge.preflight.finding import Finding
from judge.preflight.job import Harness, Job
from mmie_tasks.benchmark import BENCHMARK as MMIE
from mmie_tasks.demo import demo_dir as mmie_demo_dir
from mmie_tasks.demo import judge_dir
from mmvu_tasks.benchmark import BENCHMARK as MMVU
from mmvu_tasks.demo import demo_dir as mmvu_demo_dir

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WELL = {
    "MMIE_DATA": str(mmie_demo_dir()),
    "MMVU_DATA": str(mmvu_demo_dir()),
    "MMJUDGE_JUDGE": str(judge_dir()),
}
"""The environment of a machine where all is here."""


def job(harness: Harness = "lmms-eval", *, benchmarks: Any = (MMIE, MMVU), **changes: str | None) -> Job:
    """A run on this machine with these variables; None takes one away."""
    environment = {name: value for name, value in {**os.environ, **changes}.items() if value is not None}
    return Job(benchmarks, harness, environment)


def states(findings: list[Finding]) -> list[str]:
    return [finding.state for finding in findings]


def nvidia_smi(folder: Path, *rows: str, code: int = 0) -> str:
    """A PATH with an nvidia-smi that prints these rows."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rows").write_text("".join(f"{row}\n" for row in rows))
    program = folder / "nvidia-smi"
    program.write_text(f'#!/bin/sh\nwhile read -r line; do echo "$line"; done < {folder / "rows"}\nexit {code}\n')
    program.chmod(0o755)
    return str(folder)


def distribution(folder: Path, name: str, version: str, *requires: str, extras: tuple[str, ...] = ()) -> None:
    """Metadata of an installed distribution, for whoever has `folder` on sys.path."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Provides-Extra: {extra}" for extra in extras] + [f"Requires-Dist: {row}" for row in requires]
    (info / "METADATA").write_text("\n".join(lines) + "\n")


def snapshot(cache: Path, kind: str, repo: str, files: Mapping[str, bytes]) -> Path:
    """A repository in a Hub cache, as huggingface_hub lays it out: large files in blobs called by their SHA-256."""
    root = cache / f"{kind}s--{repo.replace('/', '--')}"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text(COMMIT)
    folder = root / "snapshots" / COMMIT
    for name, data in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".safetensors"):
            blob = root / "blobs" / hashlib.sha256(data).hexdigest()
            blob.parent.mkdir(exist_ok=True)
            blob.write_bytes(data)
            file.symlink_to(blob)
        else:
            file.write_bytes(data)
    return folder


def judge_bytes() -> dict[str, bytes]:
    """The files of the demo's judge."""
    return {file.name: file.read_bytes() for file in judge_dir().iterdir() if file.is_file()}


def copied(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    return target


class FakeHub:
    """A Hub with these accounts and places. access: (kind, repo) → status of auth-check, "gated" for a gated one.

    asked: the paths that were asked for. hang: no question is answered.
    """

    def __init__(self, access: Mapping[tuple[str, str], Any], user: str | None = "anna", hang: bool = False) -> None:
        self.access, self.user, self.hang = access, user, hang
        self.files: dict[str, list[dict[str, Any]]] = {}
        self.asked: list[str] = []
        self._ended = threading.Event()

    def answer(self, path: str) -> tuple[int, dict[str, str], Any]:
        self.asked.append(path)
        if self.hang:
            self._ended.wait(30)
        if path == "/api/whoami-v2":
            return (200, {}, {"name": self.user}) if self.user else (401, {}, {"error": "Invalid credentials"})
        _, _, kinds, *rest = path.partition("?")[0].split("/")
        kind, repo = kinds.removesuffix("s"), "/".join(rest[:2])
        status = self.access.get((kind, repo), 404)
        if path.endswith("/auth-check"):
            if status == "gated":
                return 403, {"X-Error-Code": "GatedRepo"}, {"error": "gated"}
            code = {404: {"X-Error-Code": "RepoNotFound"}}.get(status, {})
            return status, code, {}
        siblings = self.files.get(repo, [])
        return 200, {}, {"id": repo, "modelId": repo, "siblings": siblings, "private": False, "tags": []}

    @contextlib.contextmanager
    def serving(self, monkeypatch: Any) -> Iterator[str]:
        """While it is the Hub of this process, for whom somebody is logged in."""
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, headers, body = hub.answer(self.path)
                data = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            do_HEAD = do_GET  # noqa: N815 - http.server's name

            def log_message(self, *arguments: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setenv("HF_TOKEN", "hf_token_of_a_test")
        try:
            yield url
        finally:
            self._ended.set()
            server.shutdown()
            server.server_close()

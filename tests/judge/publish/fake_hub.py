"""A Hub of a few repositories on 127.0.0.1, which speaks what huggingface_hub 2.4 calls for reading and committing.

`fail(pattern, …)` makes the next matching requests go wrong; every refusal sends the token back, as a careless proxy
might. `requests` has "METHOD path" of everything that was asked.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hf_SecretSecretSecretSecret"
DROP, PASS = 0, 1
"""Statuses for `fail`: the connection is closed; all is well this time."""


@dataclasses.dataclass
class Repo:
    branches: dict[str, dict[str, bytes]]
    requests: list[dict] = dataclasses.field(default_factory=list)
    """Pull requests as the API lists them; their files are in the branch refs/pr/N."""

    def commit(self, branch: str = "main") -> str:
        listed = sorted((path, hashlib.sha1(data).hexdigest()) for path, data in self.branches[branch].items())
        return hashlib.sha1(repr(listed).encode()).hexdigest()


def in_lfs(path: str) -> bool:
    return path.endswith((".png", ".jpg"))


def git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class FakeHub:
    def __init__(self) -> None:
        self.repos: dict[tuple[str, str], Repo] = {}
        self.blobs: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.failures: list[tuple[re.Pattern[str], list[tuple[int, dict[str, str]]]]] = []
        hub = self

        class Bound(Handler):
            pass

        Bound.hub = hub
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def add(self, kind: str, name: str, files: dict[str, str | bytes] | None = None) -> Repo:
        given = (files or {}).items()
        repo = Repo({"main": {path: text.encode() if isinstance(text, str) else text for path, text in given}})
        self.repos[kind, name] = repo
        return repo

    def fail(self, pattern: str, *statuses: int, **headers: str) -> None:
        """The next len(statuses) requests that "METHOD path" matches get these."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.failures.append((re.compile(pattern), [(status, named) for status in statuses]))

    def merge(self, kind: str, name: str, number: int) -> None:
        repo = self.repos[kind, name]
        repo.branches["main"] = repo.branches[f"refs/pr/{number}"]
        repo.requests[number - 1]["status"] = "merged"

    @property
    def writes(self) -> list[str]:
        return [request for request in self.requests if not request.startswith("GET")]


class Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_) -> None:
        pass

    def answer(self, status: int, body=None, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body if body is not None else {}).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_GET(self) -> None:
        self.serve("GET")

    def do_HEAD(self) -> None:
        self.serve("HEAD")

    def do_POST(self) -> None:
        self.serve("POST")

    def do_PUT(self) -> None:
        self.serve("PUT")

    def serve(self, method: str) -> None:
        hub, url = self.hub, urllib.parse.urlsplit(self.path)
        path, query = urllib.parse.unquote(url.path), dict(urllib.parse.parse_qsl(url.query))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        hub.requests.append(f"{method} {path}")
        given = self.headers.get("Authorization", "")
        for pattern, statuses in hub.failures:
            if statuses and pattern.search(f"{method} {path}"):
                status, headers = statuses.pop(0)
                if status == PASS:
                    continue
                if status == DROP:
                    self.close_connection = True
                    self.connection.close()
                    return
                self.answer(status, {"error": f"refused with {given}"}, X_Error_Message=f"no, {given}", **headers)
                return
        if given not in ("", f"Bearer {TOKEN}") and not path.startswith("/blobs/"):
            # the Hub's words for a token that it does not know
            self.answer(401, {"error": given}, X_Error_Message="Invalid credentials in Authorization header")
            return
        for name, pattern in ROUTES:
            if found := re.fullmatch(pattern, f"{method} {path}"):
                getattr(self, name)(query, body, *found.groups())
                return
        self.answer(404, {"error": f"the fake has no {method} {path}"})

    def repo(self, kind: str, name: str) -> Repo | None:
        found = self.hub.repos.get((kind.removesuffix("s") or "model", name))
        if found is None:
            self.answer(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
        return found

    def info(self, query, body, kind, name) -> None:
        if repo := self.repo(kind, name):
            siblings = []
            for path, data in repo.branches["main"].items():
                row = {"rfilename": path, "size": len(data), "blobId": git_hash(data)}
                if in_lfs(path):
                    row["blobId"] = git_hash(b"a pointer to " + data)
                    row["lfs"] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "pointerSize": 130}
                siblings.append(row)
            self.answer(200, {"id": name, "sha": repo.commit(), "siblings": siblings})

    def resolve(self, query, body, kind, name, rest) -> None:
        if not (repo := self.repo(kind or "models", name)):
            return
        branch = next((b for b in repo.branches if rest.startswith(f"{b}/")), "main")
        path = rest.removeprefix(f"{branch}/") if rest.startswith(f"{branch}/") else rest.partition("/")[2]
        if path not in repo.branches[branch]:
            self.answer(404, {"error": "Entry not found"}, X_Error_Code="EntryNotFound")
            return
        data = repo.branches[branch][path]
        self.answer(200, data, X_Repo_Commit=repo.commit(), ETag=f'"{git_hash(data)}"')

    def tree(self, query, body, kind, name) -> None:
        if repo := self.repo(kind, name):
            found = [
                {"type": "file", "path": path, "size": len(data), "oid": git_hash(data)}
                for path, data in repo.branches["main"].items()
            ]
            self.answer(200, found)

    def discussions(self, query, body, kind, name) -> None:
        if repo := self.repo(kind, name):
            found = [one for one in repo.requests if one["status"] == query.get("status", one["status"])]
            self.answer(200, {"count": len(found), "start": 0, "discussions": found})

    def preupload(self, query, body, kind, name, revision) -> None:
        if repo := self.repo(kind, name):
            files = []
            for file in json.loads(body)["files"]:
                path, there = file["path"], repo.branches["main"].get(file["path"])
                row = {"path": path, "uploadMode": "lfs" if in_lfs(path) else "regular", "shouldIgnore": False}
                if there is not None:
                    row["oid"] = hashlib.sha256(there).hexdigest() if in_lfs(path) else git_hash(there)
                files.append(row)
            self.answer(200, {"files": files})

    def commit(self, query, body, kind, name, revision) -> None:
        if not (repo := self.repo(kind, name)):
            return
        lines = [json.loads(line) for line in body.splitlines()]
        header = lines[0]["value"]
        if header.get("parentCommit") not in (None, repo.commit()):
            self.answer(412, {"error": "the branch has moved"})
            return
        files = dict(repo.branches["main"])
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            else:
                files[value["path"]] = self.hub.blobs[value["oid"]]
        branch, address = "main", f"{self.hub.url}/{name}/commit/1"
        reply = {"commitUrl": address, "commitOid": "1" * 40}
        if query.get("create_pr"):
            number = len(repo.requests) + 1
            branch = f"refs/pr/{number}"
            reply["pullRequestUrl"] = f"{self.hub.url}/{name}/discussions/{number}"
            repo.requests.append(
                {
                    "title": header["summary"],
                    "description": header["description"],
                    "num": number,
                    "author": {"name": "somebody"},
                    "createdAt": "2026-01-01T00:00:00.000Z",
                    "status": "open",
                    "repo": {"name": name, "type": kind.removesuffix("s")},
                    "isPullRequest": True,
                }
            )
        repo.branches[branch] = files
        self.answer(200, reply)

    def validate(self, query, body) -> None:
        self.answer(200, {"errors": [], "warnings": [{"message": f"seen {self.headers.get('Authorization')}"}]})

    def create(self, query, body) -> None:
        asked = json.loads(body)
        key = asked.get("type", "model"), f"{asked['organization']}/{asked['name']}"
        there = key in self.hub.repos
        if not there:
            self.hub.add(*key)
        self.answer(409 if there else 200, {"url": f"{self.hub.url}/{key[0]}s/{key[1]}"})

    def batch(self, query, body, kind, name) -> None:
        objects = []
        for one in json.loads(body)["objects"]:
            row = {"oid": one["oid"], "size": one["size"]}
            if one["oid"] not in self.hub.blobs:
                row["actions"] = {"upload": {"href": f"{self.hub.url}/blobs/{one['oid']}"}}
            objects.append(row)
        self.answer(200, {"transfer": "basic", "objects": objects})

    def blob(self, query, body, oid) -> None:
        assert hashlib.sha256(body).hexdigest() == oid
        self.hub.blobs[oid] = body
        self.answer(200)


NAME = "([^/]+/[^/]+)"
ROUTES = [
    ("info", f"GET /api/(models|datasets)/{NAME}(?:/revision/.+)?"),
    ("tree", f"GET /api/(models|datasets)/{NAME}/tree/.+"),
    ("resolve", f"(?:GET|HEAD) /(?:(datasets)/)?{NAME}/resolve/(.+)"),
    ("discussions", f"GET /api/(models|datasets)/{NAME}/discussions"),
    ("preupload", f"POST /api/(models|datasets)/{NAME}/preupload/(.+)"),
    ("commit", f"POST /api/(models|datasets)/{NAME}/commit/(.+)"),
    ("validate", "POST /api/validate-yaml"),
    ("create", "POST /api/repos/create"),
    ("batch", f"POST /(datasets)/{NAME}\\.git/info/lfs/objects/batch"),
    ("blob", "PUT /blobs/(.+)"),
]

"""What the server gives to whom: all of it to its own page, nothing to anybody else, and no model's name to anyone."""

import contextlib
import http.client
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import webbrowser
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="the view extra is not installed")

from annotating import MODELS, responses, served, session
from local_pages import ask, get, post

from judge import cli
from judge.annotate import session as session_module
from judge.annotate.server import Server
from judge.errors import UserError
from judge.io import human_scores
from judge.web.app import BODY
from mmie_tasks.demo import demo_dir


@pytest.fixture
def working(files, tmp_path):
    return session(files, tmp_path / "secret-scores.jsonl")


@pytest.fixture
def server(working):
    with served(working) as running:
        yield running


def scored(position, score=4, **more):
    return {"item": position, "score": score, "criteria": None, "feedback": "", **more}


def pictures(item):
    return [part["image"] for side in ("question", "answer") for part in item[side] if "image" in part]


def test_it_listens_on_the_loopback_address_alone(server):
    assert server.socket.getsockname()[0] == "127.0.0.1"
    if (table := Path("/proc/net/tcp")).exists():  # the kernel's word for it; 0A: listening, 0100007F: 127.0.0.1
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
        port = f":{server.port:04X}"
        assert [row[1] for row in rows if row[3] == "0A" and row[1].endswith(port)] == [f"0100007F{port}"]
    with pytest.raises(UserError, match="cannot be had"):
        Server(server.session, server.port)
    with pytest.raises(UserError, match="port 70000 cannot be had"):
        Server(server.session, 70000)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200), ("localhost:{port}", 200), ("LOCALHOST", 200), ("[::1]:{port}", 200),
        ("127.0.0.1:1", 200),  # a tunnel's other end has another port
        ("evil.example:{port}", 403), ("127.0.0.1.evil.example:{port}", 403), ("localhost.evil.example", 403),
        ("evil.example@127.0.0.1", 403), ("127.0.0.1:{port}/", 403), ("0.0.0.0:{port}", 403), ("", 403), (None, 400),
    ],
)  # fmt: skip
def test_host(server, host, status):
    host = host and host.format(port=server.port)
    for path in ("", "progress", "item/0", "page.js"):
        assert ask(server, "GET", path, Host=host)[0] == status
    written = ask(server, "POST", "score", scored(0), **{"Host": host, "X-Mmjudge-Token": server.token})[0]
    assert written == status
    assert server.session.scored() == (status == 200)


def test_the_address_for_a_browser_leads_to_the_page_once(server, monkeypatch):
    opened = queue.SimpleQueue()
    monkeypatch.setattr(webbrowser, "open", opened.put)
    server.open_browser()
    address = opened.get(timeout=60)
    assert server.key not in address  # other users of the machine see a browser's command line
    path = address.removeprefix(f"http://127.0.0.1:{server.port}")
    assert ask(server, "GET", path, Host="evil.example")[0] == 403
    status, headers, _ = ask(server, "GET", path)
    assert (status, headers["Location"]) == (303, f"/{server.key}/")
    assert ask(server, "GET", path)[0] == 404


def test_without_starlette_the_extra_is_named(files, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "starlette", None)
    command = ["annotate", *[f"{model}={file}" for model, file in files], "--benchmark", "mmie"]
    out = tmp_path / "scores.jsonl"
    assert cli.main([*command, "--data", str(demo_dir()), "--annotator", "a1", "--out", str(out)]) == 2
    assert "mmjudge annotate needs starlette\n→ pip install 'mmjudge[view]'" in capsys.readouterr().err


def test_without_the_key_there_is_nothing(server):
    for path in ("/", "/progress", "/item/0", f"/{server.key}", "/favicon.ico", f"/{server.key[:-1]}/progress", "//"):
        assert ask(server, "GET", path)[0] == 404
    for path in ("/", "/score", "/undo"):
        assert ask(server, "POST", path, scored(0), **{"X-Mmjudge-Token": server.token})[0] == 404
    assert len(server.key) >= 24  # 18 bytes in base64: 144 bits


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Mmjudge-Token": ""},
        {"X-Mmjudge-Token": "wrong"},
        {"X-Mmjudge-Token": "{token}", "Origin": "http://evil.example"},
        {"X-Mmjudge-Token": "{token}", "Origin": "null"},
        {"X-Mmjudge-Token": "{token}", "Origin": "http://127.0.0.1:1"},
        {"X-Mmjudge-Token": "{token}", "Origin": "https://127.0.0.1:{port}"},
    ],
)
def test_scores_come_from_our_own_page_only(server, headers):
    headers = {name: value.format(token=server.token, port=server.port) for name, value in headers.items()}
    for path in ("score", "undo"):
        assert ask(server, "POST", path, scored(0), **headers)[0] == 403
    assert server.session.scored() == 0
    ours = {"X-Mmjudge-Token": server.token, "Origin": f"http://127.0.0.1:{server.port}"}
    assert ask(server, "POST", "score", scored(0), **ours)[0] == 200


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{" + b" " * BODY, {}, 413),
        (b"{}", {"Content-Length": "999999999999999999999"}, 400),
        (b"", {"Content-Length": "-1"}, 400),
        (b"", {"Content-Length": "ten"}, 400),
        (None, {}, 411),
        (b"2\r\n{}\r\n0\r\n\r\n", {"Transfer-Encoding": "chunked"}, 411),
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b"[" * 60_000, {}, 400),
        (b"\xff\xfe", {}, 400),
    ],
)
def test_bodies(server, body, headers, status):
    assert ask(server, "POST", "score", body, **{"X-Mmjudge-Token": server.token}, **headers)[0] == status
    assert server.session.scored() == 0


@pytest.mark.parametrize(
    "given",
    [
        {}, scored(-1), scored(30), scored("0"), scored(True), scored(0.0), scored(None),
        scored(0, 7), scored(0, -1), scored(0, 3.5), scored(0, True), scored(0, "4"), scored(0, None),
        scored(0, criteria={}), scored(0, criteria={"Text quality": 1}), scored(0, criteria=[]),
        scored(0, criteria={"<script>": 1}), scored(0, feedback=None), scored(0, feedback="x" * 4001),
    ],
)  # fmt: skip
def test_what_is_no_score_is_not_written(server, given):
    status, _, body = ask(server, "POST", "score", given, **{"X-Mmjudge-Token": server.token})
    assert status == 400
    assert json.loads(body)["problem"]
    assert server.session.store.path.read_bytes() == b""


def test_nothing_is_looked_up_by_path(server):
    token = server.session.album.name(server.session.items[0].request.pictures[0])
    assert ask(server, "GET", f"picture/{token}")[0] == 200
    for path in (
        "../../../../etc/passwd", "picture/../page.html", "picture/", "picture/%2e%2e", f"picture/{token}/",
        "page.html", f"picture/{token}%00", "picture//etc/passwd", "server.py", "__init__.py", "item/-1", "item/30",
        "item/", "item", "item/0/", "item/%E0%A5%A7", "scores.jsonl", "score", "undo", "pics/PBL-9001-1.png",
    ):  # fmt: skip
        status, _, body = ask(server, "GET", path)
        assert status in (400, 404), path
        assert json.loads(body).keys() == {"problem"}


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "<script>"])
def test_other_methods(server, method):
    status, headers, body = ask(server, method, "progress")
    assert status == (400 if method == "<script>" else 501)  # that is no HTTP
    assert "Access-Control-Allow-Origin" not in headers
    assert b"script" not in body


def test_every_answer_has_the_headers(server):
    item = get(server, "item/0")
    for method, path, status in (
        ("GET", "", 200), ("GET", "page.js", 200), ("GET", "page.css", 200), ("GET", "page.svg", 200),
        ("GET", "progress", 200), ("GET", "item/0", 200), ("GET", pictures(item)[0], 200), ("GET", "none", 404),
        ("GET", "/", 404), ("POST", "score", 411), ("PUT", "", 501),
    ):  # fmt: skip
        found, headers, _ = ask(server, method, path)
        assert found == status
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';")
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Python" not in headers["Server"]


def test_no_answer_of_the_server_names_a_model(server, working, tmp_path):
    """Headers and bodies of everything that there is, before, between and after scoring."""
    seen = []

    def note(method, path, body=None):
        status, headers, data = ask(server, method, path, body, **{"X-Mmjudge-Token": server.token})
        seen.append(str(headers).encode() + data)
        return status, data

    for name in ("", "page.js", "page.css", "page.svg", "progress", "none", "item/99"):
        note("GET", name)
    for position in range(30):
        item = json.loads(note("GET", f"item/{position}")[1])
        for address in pictures(item):
            note("GET", address)
        note("POST", "score", scored(position))
        note("GET", f"item/{position}")
    note("POST", "undo", {})
    note("POST", "score", scored(0, 9))
    working.store.path.unlink()
    working.store.path.mkdir()
    assert note("GET", "item/0")[0] == 500
    everything = b"\n".join(seen).lower()
    for name in (*MODELS, "secret", str(tmp_path), "pics/", "pbl-9001", "responses.jsonl", ".jsonl"):
        assert name.lower().encode() not in everything, name
    assert b"step 2" in everything


def test_a_file_that_cannot_be_written_is_told_without_its_name(server, working, capsys, monkeypatch):
    def full(file, data):
        raise OSError(28, "No space left on device", str(working.store.path))

    monkeypatch.setattr(os, "write", full)
    status, _, body = ask(server, "POST", "score", scored(0), **{"X-Mmjudge-Token": server.token})
    assert status == 500
    assert json.loads(body) == {"problem": "the file of scores cannot be used (No space left on device)"}
    assert "secret-scores.jsonl" in capsys.readouterr().err
    monkeypatch.undo()
    assert post(server, "score", scored(0))["scored"] == 1


def test_a_session_scores_undoes_and_goes_on(files, tmp_path):
    out = tmp_path / "scores.jsonl"
    with served(session(files, out)) as server:
        assert get(server, "progress") == {
            "annotator": "a1", "of": 30, "scored": 0, "next": 0, "token": server.token, "scores": [0, 1, 2, 3, 4, 5, 6]
        }  # fmt: skip
        names = [name for name, _, _ in get(server, "item/0")["criteria"]]
        marks = dict.fromkeys(names, 0) | {names[0]: 1}
        assert post(server, "score", scored(0, 2, criteria=marks, feedback=" why "))["next"] == 1
        assert post(server, "score", scored(2))["next"] == 3
        assert post(server, "score", scored(1)) == {"annotator": "a1", "of": 30, "scored": 3, "next": 3}
        undone = post(server, "undo", {})
        assert (undone["undone"], undone["scored"], undone["next"]) == (1, 2, 3)
        assert undone["was"] == {"score": 4, "marks": None, "feedback": ""}
    with served(session(files, out)) as server:
        assert get(server, "progress")["next"] == 1
        item = get(server, "item/0")
        assert (item["score"], item["marks"], item["feedback"]) == (2, marks, "why")
        for position in range(30):
            last = post(server, "score", scored(position))
        assert last["next"] is None
        for left in range(29, -1, -1):
            assert post(server, "undo", {})["scored"] == left
        assert ask(server, "POST", "undo", {}, **{"X-Mmjudge-Token": server.token})[0] == 400
    assert human_scores.read_standing_scores(out) == {}


def test_two_annotators_at_once(files, tmp_path):
    out = tmp_path / "scores.jsonl"
    sessions = [session(files, out, annotator=name) for name in ("a1", "a2")]
    assert [i.key for i in sessions[0].items] != [i.key for i in sessions[1].items]
    with served(sessions[0]) as one, served(sessions[1]) as other:
        threads = [
            threading.Thread(
                target=lambda server=server: [post(server, "score", scored(position)) for position in range(30)]
            )
            for server in (one, other)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert get(one, "progress")["scored"] == get(other, "progress")["scored"] == 30
        # the key and the token of one are not the other's
        assert ask(other, "GET", f"/{one.key}/progress")[0] == 404
        assert ask(other, "POST", "score", scored(0), **{"X-Mmjudge-Token": one.token})[0] == 403
    assert len(human_scores.read_human_scores(out)) == 60


def test_huge_answers_are_cut_for_the_page_and_kept_whole(tmp_path, monkeypatch):
    parts = [{"text": "long " * 40_000}, *[{"text": f"part {k}"} for k in range(300)]]
    files = [("m", responses(tmp_path / "m", [{"id": "PBL-9001", "response": parts}]))]
    working = session(files, tmp_path / "scores.jsonl")
    with served(working) as server:
        answer = get(server, "item/0")["answer"]
        assert len(answer) == session_module.MOST + 1
        assert len(answer[0]["text"]) == session_module.LONGEST
        assert answer[0]["cut"] == "150,000 more characters are not shown"  # 5 · 40,000 − 50,000
        assert answer[-1]["cut"] == "101 more parts are not shown"  # 301 − 200
        post(server, "score", scored(0))
    (score,) = human_scores.read_human_scores(tmp_path / "scores.jsonl")
    assert len(score.answer.response) == 301
    assert len(score.answer.response[0]["text"]) == 200_000


def test_garbage_does_not_stop_it(server, capfd):
    for data in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A" * 70_000 + b"\r\n\r\n"):
        with (
            socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection,
            contextlib.suppress(ConnectionError),  # the end of what is not read is a reset
        ):
            connection.sendall(data)
            with contextlib.suppress(OSError):  # it has been ended
                connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", f"/{server.key}/item/0")
    connection.close()  # before the answer
    assert get(server, "progress")["of"] == 30
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_with_where_the_scores_are(files, tmp_path, how):
    out = tmp_path / "out" / "scores.jsonl"
    command = [
        sys.executable, "-m", "judge.cli", "annotate", *[f"{model}={file}" for model, file in files],
        "--benchmark", "mmie", "--data", str(demo_dir()), "--annotator", "a1", "--out", str(out), "--n", "12",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background inherit none
    )  # fmt: skip
    assert process.stdout.readline() == "12 answers, 0 of them scored by a1; Ctrl-C ends\n"
    address = process.stdout.readline().strip()
    port, key = address.removeprefix("http://127.0.0.1:").strip("/").split("/")
    connection = http.client.HTTPConnection("127.0.0.1", int(port))
    connection.request("GET", f"/{key}/progress")
    token = json.loads(connection.getresponse().read())["token"]
    connection.request("POST", f"/{key}/score", json.dumps(scored(3)), {"X-Mmjudge-Token": token})
    assert connection.getresponse().status == 200
    process.send_signal(how)
    rest, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert rest == f"\n1 of 12 answers scored by a1: {out}\n"
    assert len(human_scores.read_human_scores(out)) == 1


@pytest.mark.parametrize(
    ("given", "options", "problem"),
    [
        (["responses.jsonl"], [], "does not say whose answers these are"),
        (["m=none.jsonl"], [], "none.jsonl: cannot be read"),
        (["m=a", "m=b"], [], "'m' is given twice"),
        (["m=a"], ["--annotator", " "], "an annotator has a name"),
        (["m=a"], ["--annotator", "a\x1b[31m"], "an annotator has a name"),
        (["m=a"], ["--benchmark", "mmvu"], "decided by rules"),
    ],
)
def test_what_is_wrong_with_the_command(tmp_path, capsys, monkeypatch, given, options, problem):
    monkeypatch.chdir(tmp_path)
    common = ["--benchmark", "mmie", "--annotator", "a1", "--out", "scores.jsonl"]
    assert cli.main(["annotate", *given, *common, *options]) == 2
    assert problem in capsys.readouterr().err
    assert not Path("scores.jsonl").exists()

"""What is refused is told: a refusal reaches who asked, however late the body of the request comes."""

import socket
import time

import pytest

pytest.importorskip("uvicorn", reason="the view extra is not installed")

from local_pages import serving

from judge.web import app
from judge.web.app import BODY, LEFT_UNREAD, TOKEN
from judge.web.pages import Site, json_reply
from judge.web.server import Server


@pytest.fixture
def server():
    site = Site("mmjudge test", {}, {"/read": lambda call: json_reply({})}, {"/write": lambda call: json_reply({})})
    with serving(Server(site)) as running:
        yield running


@pytest.mark.parametrize(
    ("method", "path", "host", "length", "status"),
    [
        ("POST", "write", "localhost", BODY, 400),  # blanks are no JSON
        ("POST", "write", "localhost", 4 * BODY, 413),
        ("POST", "write", "evil.example", BODY, 403),
        ("POST", "/write", "localhost", BODY, 404),
        ("POST", "none", "localhost", BODY, 404),
        ("POST", "read", "localhost", BODY, 404),
        ("GET", "none", "localhost", BODY, 404),
        ("PUT", "write", "localhost", BODY, 501),
    ],
)
def test_a_refusal_is_read_where_the_body_comes_late(server, method, path, host, length, status):
    """A browser may send head and body apart; a connection that is closed in between is reset, the refusal with it."""
    path = path if path.startswith("/") else f"/{server.key}/{path}"
    head = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {length}", f"{TOKEN}: {server.token}"]
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        for _ in range(4):
            time.sleep(0.05)
            connection.sendall(b" " * (length // 4))
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b'{"problem": ' in answer


@pytest.mark.parametrize(("sent", "seconds"), [(0, 0.05), (LEFT_UNREAD + 1, 60.0)])
def test_a_refusal_waits_neither_for_ever_nor_for_everything(server, monkeypatch, sent, seconds):
    monkeypatch.setattr(app, "LEFT_WAITING", seconds)
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head + b" " * sent)
        assert connection.recv(65536).startswith(b"HTTP/1.1 404 ")

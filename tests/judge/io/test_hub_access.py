"""Without a network the Hub's client is told so at once; whoever answers, in whatever way, is somebody."""

from __future__ import annotations

import http.server
import socket
import threading

import pytest

from judge.io import hub_access
from judge.io.hub_access import from_cache_only

pytest.importorskip("huggingface_hub", reason="the hf extra is not installed")


@pytest.fixture(autouse=True)
def _asked_anew(monkeypatch):
    hub_access._can_reach.cache_clear()
    for name in ("all_proxy", "https_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    yield
    hub_access._can_reach.cache_clear()


@pytest.fixture(params=[200, 404, 503])
def address(request):
    """Of a server that answers HEAD with one status."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(request.param)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_whoever_answers_is_asked(address, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    assert from_cache_only() == {}


def test_where_nobody_answers_the_cache_is_used(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]  # bound, and nobody listens
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{port}")
        assert from_cache_only() == {"local_files_only": True}


@pytest.mark.parametrize("address", ["http://no-such-host.invalid", "no address", "http://localhost:x"])
def test_a_name_that_is_not_known_is_nobody(address, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    assert from_cache_only() == {"local_files_only": True}


def test_whoever_speaks_another_protocol_is_not_the_hub(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            there, _ = server.accept()
            with there:
                there.recv(1000)
                there.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        threading.Thread(target=answer, daemon=True).start()
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert from_cache_only() == {"local_files_only": True}


def test_nobody_is_asked_where_that_is_forbidden_or_cannot_be(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://no-such-host.invalid")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")  # urllib knows no such proxy, the Hub's client may
    assert from_cache_only() == {}
    monkeypatch.delenv("ALL_PROXY")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    hub_access._can_reach.cache_clear()
    assert from_cache_only() == {}

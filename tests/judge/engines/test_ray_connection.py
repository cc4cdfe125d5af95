"""Ray that is not there, or not Ray: one clear error, and soon."""

from __future__ import annotations

import http.server
import socket
import sys
import threading

import pytest

from judge.engines import ray_connection
from judge.engines.ray_connection import check_address, connect_to_ray, default_address
from judge.errors import UserError


@pytest.mark.parametrize(
    "address", ["local", "auto", "10.0.0.1:6379", "head.example:6379", "[::1]:6379", "ray://h:10001"]
)
def test_addresses(address):
    assert check_address(address) == address


@pytest.mark.parametrize(
    "address", ["", "answers.jsonl", "http://h:8265", "h", "h:", "ray://h", "h:6379/x", "h:123456"]
)
def test_no_addresses(address):
    with pytest.raises(UserError, match="is no address of Ray") as error:
        check_address(address)
    assert error.value.fix == "write auto, HOST:PORT or ray://HOST:PORT"


def test_the_default_is_the_cluster_that_the_command_was_started_in(monkeypatch):
    assert default_address() == "local"
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert default_address() == "10.0.0.1:6379"


def test_ray_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match="Ray is not installed") as error:
        connect_to_ray("local", None)
    assert error.value.fix == "pip install 'mmjudge[cluster]'"


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_nothing_listens(scheme):
    pytest.importorskip("ray", reason="the cluster extra is not installed")
    with socket.socket() as taken:  # bound, not listening: refused at once
        taken.bind(("127.0.0.1", 0))
        address = f"{scheme}127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UserError, match=f"no Ray at {address}: ") as error:
            connect_to_ray(address, None)
    assert "ray start --head" in str(error.value.fix)


def test_what_listens_is_not_ray(monkeypatch):
    pytest.importorskip("ray", reason="the cluster extra is not installed")
    monkeypatch.setattr(ray_connection, "HEALTH_SECONDS", 3.0)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(UserError, match="what listens there is not the head of a Ray cluster"):
            connect_to_ray(f"127.0.0.1:{server.server_port}", None)
    finally:
        server.shutdown()
        server.server_close()

"""Nothing here depends on time or on how busy the machine is."""

import http.server
import os
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# Threads of models this small wait for each other: on a busy machine ten times as long. Set before torch is imported,
# and inherited by every command that a test starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# property tests are about outcomes, never about time
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts the harnesses takes longest: first, so that no process is left alone with it at the end."""
    items.sort(key=lambda item: not {"harness", "examples"} & set(item.path.parts))


@pytest.fixture
def canary() -> Iterator[tuple[str, list[str]]]:
    """A server that must not be asked: (its address, the paths that were asked for)."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()

"""Nothing here depends on time, on how busy the machine is, or on whose shell it is run from."""

import contextlib
import http.server
import importlib
import shutil
import tempfile
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import surroundings
from hypothesis import HealthCheck, settings

from judge.io import progress

CACHE = tempfile.mkdtemp(prefix="mmjudge-tests-cache-")

# before torch, the harnesses and the Hub's client are imported, which read the environment once
ASKED = surroundings.settle(CACHE)

# its log goes for good to the stderr of the moment at which it is first imported: in a test that is closed at its end
importlib.import_module("huggingface_hub.utils.logging")

# property tests are about outcomes, never about time, and try the same examples every time: whether they pass depends
# on the code alone. `pytest --hypothesis-profile searching` tries others each time.
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("steady", UNTIMED, derandomize=True)
settings.register_profile("searching", UNTIMED)
settings.load_profile("steady")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts the harnesses takes longest: first, so that no process is left alone with it at the end."""
    items.sort(key=lambda item: not {"harness", "examples"} & set(item.path.parts))


def missing(error: BaseException | None) -> str | None:
    """The absent library for want of which there is `error`, None for any other reason."""
    while error is not None:
        name = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
        if name in surroundings.ABSENT:
            return name
        error = error.__cause__ or error.__context__
    return None


def skip_for(report: pytest.TestReport | pytest.CollectReport, call: pytest.CallInfo, path: Path) -> None:
    """Make a failure for want of a library a skip that names it."""
    if report.failed and call.excinfo is not None and (name := missing(call.excinfo.value)) is not None:
        report.outcome = "skipped"
        report.longrepr = (str(path), 0, f"Skipped: {name} is not installed")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, pytest.CollectReport, Any]:
    report = yield
    skip_for(report, report.call, collector.path)  # type: ignore[attr-defined]
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Generator[None, pytest.TestReport, Any]:
    report = yield
    skip_for(report, call, item.path)
    return report


def pytest_configure() -> None:
    """Undo PYTHONWARNINGS: here, for pytest brings the filters back after it has read this file."""
    surroundings.forget_warnings(ASKED)


def pytest_unconfigure() -> None:
    """Take away the stand-in for the user's cache."""
    shutil.rmtree(CACHE, ignore_errors=True)


@pytest.fixture(autouse=True)
def moments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out words that are said only after a while: on a busy machine anything takes a while."""

    @contextlib.contextmanager
    def said(seconds: float, text: str) -> Iterator[threading.Event]:
        event = threading.Event()
        if seconds <= 0:
            progress.say(text)
            event.set()
        yield event

    monkeypatch.setattr(progress, "_said_after", said)


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

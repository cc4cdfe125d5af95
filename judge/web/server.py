"""A site on this machine's loopback address, by uvicorn, until Ctrl-C.

with Server(site, port=0) as server:
    print(server.address)           # http://127.0.0.1:46417/cGv8y6ktC_O1xbk6kSTQlWJ_/
    server.serve_until_ended()
"""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import webbrowser
from types import TracebackType

from judge.errors import UserError
from judge.web.app import Gate
from judge.web.pages import Site

HOST = "127.0.0.1"
KEEP_ALIVE = 60
"""Seconds for which a connection may say nothing."""
LAST_WORDS = 5
"""Seconds that an answer may still take when the server is ended."""


class Server:
    """port: 0 for any that is free. It listens once it is made; what is asked before `serve` waits.

    key and token: of its `judge.web.app.Gate`. Raises UserError where the port is not to be had, and where the
    packages of the extra `view` are missing.
    """

    def __init__(self, site: Site, port: int = 0) -> None:
        try:
            import starlette  # noqa: F401 - its absence is found before a port is taken
            import uvicorn
        except ImportError as error:
            raise UserError(f"{site.command} needs {error.name}", fix="pip install 'mmjudge[view]'") from error
        self.socket = _listening(port)
        self.port: int = self.socket.getsockname()[1]
        self._gate = Gate(site)
        self.key, self.token = self._gate.key, self._gate.token
        config = uvicorn.Config(
            self._gate, loop="asyncio", http="h11", ws="none", lifespan="off", interface="asgi3",
            log_config=None, log_level="error", access_log=False,  # the address holds the key
            proxy_headers=False, server_header=False,
            timeout_keep_alive=KEEP_ALIVE, timeout_graceful_shutdown=LAST_WORDS,
        )  # fmt: skip
        self._uvicorn = uvicorn.Server(config)

    @property
    def address(self) -> str:
        """What to open in a browser, the key included."""
        return f"http://{HOST}:{self.port}/{self.key}/"

    def serve(self) -> None:
        """Answer until `stop`, which another thread may call."""
        self._uvicorn.run(sockets=[self.socket])

    def stop(self) -> None:
        """End `serve`: what is being answered is answered, nothing new is taken."""
        self._uvicorn.should_exit = True

    def serve_until_ended(self) -> None:
        """Answer until Ctrl-C, or a polite kill."""

        def ended(*_: object) -> None:
            raise KeyboardInterrupt

        before = {each: signal.signal(each, ended) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            with contextlib.suppress(KeyboardInterrupt):
                self.serve()  # uvicorn ends in order, and then raises the signal again
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def open_browser(self) -> None:
        """Open the page in the user's browser, if there is one; it is given an address that leads there once."""
        address = f"http://{HOST}:{self.port}/{self._gate.ticket()}"
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()


def _listening(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((HOST, port))
        made.listen(128)
    except (OSError, OverflowError) as error:
        made.close()
        problem = error.strerror if isinstance(error, OSError) else "not a port"
        raise UserError(f"port {port} cannot be had ({problem})", fix="--port 0 takes any that is free") from error
    return made

"""Local pages as tests ask them: a server in a thread, and single requests with any header."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading

from judge.web.server import Server


@contextlib.contextmanager
def serving(server: Server):
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()
        server.socket.close()


def ask(server: Server, method: str, path: str, body=None, **headers):
    """(status, headers, body) of one request below the server's key; "/…" is taken as it is.

    Head and body go as one piece: what is no HTTP is refused by its head, and a body that comes later meets a reset.
    """
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.putrequest(method, path if path.startswith("/") else f"/{server.key}/{path}", skip_host=True)
        sent = {"Host": f"127.0.0.1:{server.port}", **headers}
        if body is not None:
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent.setdefault("Content-Length", str(len(body)))
        for name, value in sent.items():
            if value is not None:
                connection.putheader(name, value)
        pieces: list[bytes] = []
        connection.send = pieces.append
        connection.endheaders(body)
        del connection.send
        connection.send(b"".join(pieces))
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

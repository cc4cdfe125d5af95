"""The teacher: an OpenAI-compatible server that writes paired questions as a strong model would, by a script.

    python examples/mmvu_train/teacher.py ADDRESS_FILE

It looks at the picture it is sent, knows its stamp, and answers the paper's prompt v3 with eight pairs as fenced JSON.
Now and then its reply is cut off, and it is asked again, as happens. The address is written to ADDRESS_FILE when it
listens.
"""

from __future__ import annotations

import base64
import io
import json
import random
import sys
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from PIL import Image
from world import Scene, ask_about

from judge.demo.drawing import read_picture

CUT_OFF = 11
"""Of so many samples one gets a reply that ends early, at its first attempt."""


def reply_about(picture: bytes) -> str:
    """Eight pairs about a picture: four about the colour, four about the thing."""
    (placed,) = read_picture(Image.open(io.BytesIO(picture)))
    scene = Scene(placed.colour, placed.name, "", 0)
    rng = random.Random(zlib.crc32(picture))
    turns: dict[str, list[dict[str, Any]]] = {"conversations-pos": [], "conversations-neg": []}
    for number in range(4):
        for about in ("colour", "thing"):
            pair = ask_about(scene, about, number, rng)
            for field, asked in zip(turns, pair, strict=True):
                turns[field] += [{"from": "human", "value": asked.question, "options": list(asked.options)},
                                 {"from": "gpt", "value": asked.answer}]  # fmt: skip
    return "```json\n" + json.dumps({"id": "?", "image": "?", **turns}) + "\n```"


class Teacher(BaseHTTPRequestHandler):
    """One request of the chat completions API."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        messages = json.loads(self.rfile.read(int(self.headers["content-length"])))["messages"]
        parts = [part for message in messages if isinstance(message["content"], list) for part in message["content"]]
        (url,) = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        picture = base64.b64decode(url.partition(",")[2])
        text = reply_about(picture)
        if zlib.crc32(picture) % CUT_OFF == 0 and len(messages) == 1:
            text = text[: len(text) // 2]
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 2000, "completion_tokens": len(text) // 4}
        body = json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


def main(address_file: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Teacher)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address_file.write_text(f"http://127.0.0.1:{server.server_port}/v1")
    threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

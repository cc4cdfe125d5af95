"""The page's server: what an annotator's session gives and takes, on `judge.web`.

    GET  /KEY/                 the page       GET  /KEY/item/3            {"item": 3, "question": […], …}
    GET  /KEY/page.css, .js, .svg             POST /KEY/score, /KEY/undo  {"scored": 12, "of": 40, "next": 17}
    GET  /KEY/progress                        GET  /KEY/picture/5f0c…     PNG

Who may ask, and what keeps others out: `judge.web.app`.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path

from judge.annotate.session import Session
from judge.core.scale import JUDGE_SCALE
from judge.web.pages import Call, Refused, Reply, Site, json_reply, page_files
from judge.web.server import Server as WebServer

_FOLDER = Path(__file__).parent


class Server(WebServer):
    """port: 0 for any that is free. Raises UserError where it is not to be had."""

    def __init__(self, session: Session, port: int = 0) -> None:
        self.session = session
        site = Site(
            "mmjudge annotate",
            page_files(_FOLDER, "page.html", "page.css", "page.js", "page.svg"),
            {"/progress": self._progress, "/item/{position}": self._item, "/picture/{name}": session.album.reply},
            {
                "/score": lambda call: json_reply(session.score(call.body)),
                "/undo": lambda call: json_reply(session.undo()),
            },
            unusable="the file of scores",
        )
        super().__init__(site, port)

    def _progress(self, call: Call) -> Reply:
        return json_reply({**self.session.progress(), "token": self.token, "scores": [*JUDGE_SCALE]})

    def _item(self, call: Call) -> Reply:
        if not re.fullmatch("[0-9]{1,9}", call.path["position"]):
            raise Refused("nothing here", HTTPStatus.NOT_FOUND)
        return json_reply(self.session.item(int(call.path["position"])))

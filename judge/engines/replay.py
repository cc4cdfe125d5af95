"""Recorded feedback instead of a judge: scoring can be repeated, or parsed anew, without weights, data or torch.

    {"id": "PBL-2896694", "feedback": "### Feedback\\nGood.\\n### Score\\n4"}

One line a question; a line may hold more (a `verdicts.jsonl` is such a file: its last line of an id counts). A question
without feedback is unscored with the reason `no_feedback`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from judge.core.failure import MODEL, UNSCORED
from judge.engines import Completion, Prompt
from judge.errors import UserError
from judge.io.files import read_bytes

PREFIX = "replay:"


class Replay:
    """Engine that answers by id from a file. Raises UserError, on opening, for a file that is not as shown above."""

    reads = False

    def __init__(self, file: str | Path) -> None:
        self.file = Path(file)
        try:
            data = read_bytes(self.file)
        except OSError as error:
            raise UserError(f"cannot be read ({error.strerror})", file=file, fix="give replay:FILE") from error
        self._sha256 = hashlib.sha256(data).hexdigest()
        self._feedback: dict[str, Completion] = {}
        for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
            if line.strip():
                self._take(line, number)

    def _take(self, line: bytes, number: int) -> None:
        record, field = f"line {number}", None
        try:
            row = json.loads(line)
            name = field = "id"
            name = row["id"]
            record, field = f"{name} (line {number})", "feedback"
            # a line of verdicts.jsonl carries feedback only where the judge spoke
            feedback = row.get("feedback") if "by" in row else row["feedback"]
            if not isinstance(name, str) or not isinstance(feedback, str | None):
                raise TypeError("not text")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise UserError(
                f"not a line of recorded feedback ({type(error).__name__}: {error})",
                file=self.file,
                record=record,
                field=field,
                fix='one object a line: {"id": "PBL-1", "feedback": "…### Score\\n4"}',
            ) from error
        if feedback is None:
            reason = row.get("failure") or row.get("unscored")
            known = reason if isinstance(reason, str) and reason in {*MODEL, *UNSCORED} else "no_feedback"
            self._feedback[name] = Completion(None, unscored=known)
        else:
            # what was no verdict when it was said is none when it is read again
            unreadable = "unreadable_reply" if row.get("unscored") == "unreadable_reply" else None
            stopped = row.get("unscored") != "truncated"
            self._feedback[name] = Completion(feedback, stopped=stopped, unscored=unreadable)

    @property
    def identity(self) -> Mapping[str, str]:
        return {"judge": "replay", "feedback": self._sha256[:8]}

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
        missing = Completion(None, unscored="no_feedback")
        for position, prompt in enumerate(prompts):
            yield position, self._feedback.get(prompt.request.id, missing)

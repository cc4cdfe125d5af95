"""A program that is started, sent question lines, read line by line, and ended for certain.

    program = Program(command, scratch, log, questions)
    for line in program.lines(): …          # until it ends, or gives no answer for too long
    program.stop()  ->  Ended("died of signal 11")

It runs in a process group of its own, which is ended with it: what it has started goes, too, but for what has left the
group (a daemon). A shell that waits beside it ends the group where this process is killed. It may read its input as
slowly as it likes, or not at all. Its standard error, and lines that are no answers, go into the log.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from judge.core.question import Question
from judge.core.request import Picture
from judge.errors import UserError
from judge.io.files import cannot_write, write_json_lines
from judge.io.jsonl import MAX_LINE
from judge.systems.question_files import question_line

PICTURES_VARIABLE = "MMJUDGE_PICTURES"
END_SECONDS = 10.0
"""Between the end of its output and its own end, between that and the end of what still holds its output, and between
being told to end and being killed."""
TAIL_SECONDS = 0.2
"""Between two looks at a file of answers, or at a program that says nothing."""
WATCH = 'read group && { read end; kill -s KILL -- "-$group"; }'
"""What a shell does on its own standard input: the second line never comes, only the end."""
MOST_LINES_WAITING = 1000
"""A program may be quicker than its pictures are copied."""


@dataclasses.dataclass(frozen=True)
class Command:
    """words: of the command, with {questions}, {answers} and {pictures} in them. start_seconds, seconds: the longest
    time until the first line, and between two."""

    words: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    start_seconds: float
    seconds: float


@dataclasses.dataclass(frozen=True)
class Ended:
    """why: as the end of the sentence "the program …"; None where it ended well."""

    why: str | None

    @property
    def well(self) -> bool:
        """Whether it ended by itself and without an error."""
        return self.why is None


class Program:
    """See the module. Raises UserError where it cannot be started."""

    def __init__(self, command: Command, scratch: Path, log: Path, questions: Sequence[Question]) -> None:
        self._command, self._scratch = command, scratch
        files = {name: str(scratch.absolute() / f"{name}.jsonl") for name in ("questions", "answers")}
        words = [_filled(word, {**files, "pictures": str(scratch.absolute())}) for word in command.words]
        named = {name for name in files if any(f"{{{name}}}" in word for word in command.words)}
        rows = [question_line(question, _absolute) for question in questions]
        self._answers = Path(files["answers"]) if "answers" in named else None
        self._hung: str | None = None
        self._ended: Ended | None = None
        self._lines: queue.Queue[bytes | None] = queue.Queue(MOST_LINES_WAITING)
        self._allowed = command.start_seconds
        self._deadline = time.monotonic() + self._allowed
        try:
            if "questions" in named:
                write_json_lines(files["questions"], rows)
            if self._answers is not None:
                self._answers.write_bytes(b"")
            self._log = log.open("ab")
        except OSError as error:
            raise cannot_write(scratch, error) from error
        self._process = self._started(words, piped="questions" not in named)
        if "questions" not in named:
            self._thread(self._send, rows)
        self._thread(self._read)

    def _started(self, words: Sequence[str], piped: bool) -> subprocess.Popen[bytes]:
        environment = {**self._command.environment, PICTURES_VARIABLE: str(self._scratch.absolute())}
        try:
            self._watch = subprocess.Popen(
                ["/bin/sh", "-c", WATCH],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            self._log.close()
            raise UserError(f"a shell to watch it cannot be started ({error.strerror})", file="/bin/sh") from None
        try:
            process = subprocess.Popen(
                words,
                cwd=self._command.folder,
                env=environment,
                stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                stdout=self._log if self._answers is not None else subprocess.PIPE,
                stderr=self._log,
                start_new_session=True,
            )
            self._tell_watch(process.pid)
            return process
        except (OSError, ValueError) as error:
            self._end_watch()
            self._log.close()
            why = getattr(error, "strerror", None) or error
            raise UserError(
                f"cannot be started ({why})", file=words[0], field="command", fix="mend SYSTEM.toml"
            ) from None

    def _tell_watch(self, group: int) -> None:
        assert self._watch.stdin is not None
        self._watch.stdin.write(f"{group}\n".encode())
        self._watch.stdin.flush()

    def _end_watch(self) -> None:
        self._watch.kill()
        self._watch.communicate()

    def _thread(self, target: object, *args: object) -> None:
        threading.Thread(target=target, args=args, name="pipe", daemon=True).start()  # type: ignore[arg-type]

    def lines(self) -> Iterator[bytes]:
        """Its lines, without their ends, until it ends or gives no answer for too long (`answered`)."""
        gone: float | None = None  # since when it has ended and nothing more has come
        while True:
            left = self._deadline - time.monotonic()
            try:
                line = self._lines.get(timeout=min(max(left, 0.001), TAIL_SECONDS))
                gone = None
            except queue.Empty:
                line = b""
                if self._process.poll() is not None:
                    gone = gone or time.monotonic()
                    if time.monotonic() - gone > END_SECONDS:
                        return  # something that it left behind holds its output open
            if line is None:
                return
            if line:
                yield line
            if time.monotonic() > self._deadline:  # also of one that talks and talks
                self._hung = f"gave no answer for {self._allowed:g} s"
                return

    def answered(self) -> None:
        """Its last line was an answer: the time for the next one begins."""
        self._allowed = self._command.seconds
        self._deadline = time.monotonic() + self._allowed

    def log(self, line: bytes) -> None:
        """Keep a line that is no answer."""
        with contextlib.suppress(OSError, ValueError):
            self._log.write(line + b"\n")
            self._log.flush()

    def stop(self, grace: float | None = None) -> Ended:
        """End it, if it does not end by itself within `grace` seconds; how it ended. May be called again.

        grace: None for `END_SECONDS`.
        """
        if self._ended is None:
            process = self._process
            if self._hung is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(END_SECONDS if grace is None else grace)
            self._ended = Ended(self._why(process.poll()))
            self._kill()
            self._end_watch()
            self._log.close()
        return self._ended

    def _why(self, code: int | None) -> str | None:
        if self._hung is not None:
            return self._hung
        if code is None:
            return "was ended"
        if code < 0:
            return f"died of signal {-code} ({_signal(-code)})"
        return None if code == 0 else f"ended with exit code {code}"

    def _kill(self) -> None:
        """The whole group, first politely. A group outlives its first process."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_SECONDS)

    def _send(self, rows: Sequence[Mapping[str, object]]) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        with contextlib.suppress(OSError, ValueError), pipe:  # it has ended, or does not read
            for row in rows:
                pipe.write(json.dumps(row).encode("ascii") + b"\n")
                pipe.flush()

    def _read(self) -> None:
        """Put its lines into the queue, and then None."""
        try:
            if self._answers is None:
                assert self._process.stdout is not None
                with self._process.stdout as output:
                    self._read_lines(output)
            else:
                with self._answers.open("rb") as file:
                    self._tail(file)
        except OSError:  # what was read is all there is
            pass
        finally:
            self._put(None)

    def _read_lines(self, file: IO[bytes]) -> None:
        while line := file.readline(MAX_LINE + 1):
            if len(line) > MAX_LINE:
                self._hung = f"wrote a line of more than {MAX_LINE >> 20} MiB"
                return
            self._put(line.rstrip(b"\r\n"))

    def _tail(self, file: IO[bytes]) -> None:
        """Whole lines of a file that grows until the process ends."""
        kept = b""
        while True:
            ended = self._process.poll() is not None
            while block := file.read(1 << 16):
                *lines, kept = (kept + block).split(b"\n")
                for line in lines:
                    self._put(line.rstrip(b"\r"))
                if len(kept) > MAX_LINE:
                    self._hung = f"wrote a line of more than {MAX_LINE >> 20} MiB"
                    return
            if ended:
                if kept:
                    self._put(kept)
                return
            time.sleep(TAIL_SECONDS)

    def _put(self, line: bytes | None) -> None:
        while self._ended is None:
            with contextlib.suppress(queue.Full):
                self._lines.put(line, timeout=1.0)
                return


def _filled(word: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(f"{{{name}}}", value)
    return word


def _absolute(picture: Picture) -> str:
    return str(picture.path.absolute())


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"

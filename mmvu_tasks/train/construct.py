"""The run that makes MMVU-Train: every sample is asked about once, and again where the reply cannot be used.

    OUT/construct.json    what asks: version and hash of the prompt, model, decoding; every run
    OUT/replies.jsonl     every reply, raw, as soon as it is there (`mmvu_tasks.train.journal`)
    OUT/pairs.jsonl       a paired record a line, in the samples' order (`mmvu_tasks.train.pairs`)
    OUT/failed.jsonl      {"id", "image", "reason", "note", "attempts"} of every sample that has none

`pairs.jsonl` and `failed.jsonl` together have every sample once; both are made from the replies, whole or not at all.
The same command goes on where a run was killed. What is asked again then: samples without a stored reply, replies that
cannot be used, up to the most attempts, and calls and pictures that failed. Who is asked is an endpoint of this house
(`judge.systems.posting`): its exchanges have an end in time and in bytes, it hides keys, and a refused key ends the run
instead of 10,000 samples.

Where the server has structured output it is used; one that refuses the field is asked without it from then on.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from judge.core.foreign_text import MOST_OF_A_NOTE, on_one_line
from judge.core.request import Picture
from judge.core.secrets import hide_known_secrets
from judge.engines.messages import data_url
from judge.errors import UserError
from judge.io.files import cannot_write, make_folder, open_file, replacing, sha256, write_json
from judge.io.image_paths import ImageRefused, below
from judge.io.progress import progress_bar, say
from judge.results.run_info import versions
from judge.systems.endpoint_writer import EndpointWriterSettings
from judge.systems.posting import Api, NoAnswer, at_the_same_time
from mmvu_tasks.train import journal, pairs
from mmvu_tasks.train.estimate import Prices
from mmvu_tasks.train.journal import Journal, Stored
from mmvu_tasks.train.prompts import Version, asked_again
from mmvu_tasks.train.replies import check_reply
from mmvu_tasks.train.samples import Sample, Samples

FAILED, ABOUT = "failed.jsonl", "construct.json"
FIRST_REFUSALS = 10
"""A server that refuses as many requests and has answered none is not asked any more."""
OF_THE_SCHEMA = ("response_format", "json_schema", "structured", "guided", "schema")
"""Words by which servers say that they have no structured output."""

MOST_CHARACTERS = 1_000_000
"""Of a reply that are kept: no model writes so many to the point, and a journal is read line by line."""

Structured = Literal["auto", "always", "never"]


@dataclasses.dataclass(frozen=True)
class Construction:
    """What is asked, of whom and how. attempts: the most replies of one sample. prices: None where nobody knows."""

    server: EndpointWriterSettings
    version: Version
    structured: Structured = "auto"
    attempts: int = 3
    prices: Prices | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """All that fixes the replies."""
        return {"version": self.version.name, "prompt": self.version.digest, "structured": self.structured,
                "server": self.server.to_json()}  # fmt: skip

    def prompt_digest(self, sample: Sample) -> str:
        """SHA-256, hex, of what is said about a sample."""
        return hashlib.sha256(self.version.text(sample.about).encode("utf-8", "replace")).hexdigest()


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why a sample has no record. reason: "image_missing", "image_refused", "call_failed", "refused" or "unusable"."""

    reason: str
    note: str
    attempts: int = 0


@dataclasses.dataclass(frozen=True)
class Constructed:
    """What a run has left. reasons: of the samples that have no record, by how many there are."""

    samples: int
    records: int
    pairs: int
    reasons: Mapping[str, int]
    tokens: tuple[int, int]


def construct_pairs(construction: Construction, samples: Samples, folder: Path) -> Constructed:
    """Ask about every sample that needs it and write the folder. Raises UserError."""
    about = _about(construction, folder)
    with Journal(folder / journal.FILE) as replies:
        _write_about(folder, about)
        run = _Run(construction, samples, replies)
        began, before = time.monotonic(), (replies.replies, *replies.tokens)
        try:
            run.ask_all()
        finally:
            about["runs"].append({
                "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                "seconds": round(time.monotonic() - began, 1), "replies": replies.replies - before[0],
                "tokens": [replies.tokens[0] - before[1], replies.tokens[1] - before[2]],
                "versions": versions(("httpx", "pillow")),
            })  # fmt: skip
            _write_about(folder, about)
        return run.write_results(folder)


def find_due(construction: Construction, samples: Samples, folder: Path) -> tuple[list[Sample], list[float] | None]:
    """(samples that would be asked about, mean tokens of a prompt and a reply so far); nothing is written.

    Raises UserError as `construct_pairs` does for a folder of another construction.
    """
    _about(construction, folder)
    if not (folder / journal.FILE).exists():
        return list(samples.samples), None
    with Journal(folder / journal.FILE) as replies:
        due = list(_Run(construction, samples, replies).find_due())
        return due, [count / replies.replies for count in replies.tokens] if replies.replies else None


class _Run:
    def __init__(self, construction: Construction, samples: Samples, replies: Journal) -> None:
        self._made, self._samples, self._replies = construction, samples, replies
        self._digests = {sample.id: construction.prompt_digest(sample) for sample in samples.samples}
        self._failures: dict[str, Failure] = {}
        self._structured = construction.structured != "never"
        self._refusals, self._counting = 0, threading.Lock()

    def find_due(self) -> Iterator[Sample]:
        """Samples to be asked about, those that failed in this run left out."""
        for sample in self._samples.samples:
            last = self._replies.last(sample.id, self._digests[sample.id])
            if sample.id in self._failures or (
                last is not None and (last.usable or last.refused or last.attempt >= self._made.attempts)
            ):
                continue
            yield sample

    def ask_all(self) -> None:
        """Round after round: all that are due once, then those whose replies cannot be used."""
        api: Api | None = None
        try:
            while due := list(self.find_due()):
                api = api or self._made.server.connect()
                with progress_bar(len(due), "samples", "sample") as bar:
                    asked = at_the_same_time(due, self._made.server.at_once, functools.partial(self._ask, api))
                    synced = time.monotonic()
                    for position, failure, _ in asked:
                        if failure is not None:
                            self._failures[due[position].id] = failure
                        if time.monotonic() - synced > 1:
                            self._replies.sync()
                            synced = time.monotonic()
                        bar.note(self._progress())
                        bar.update()
        finally:
            if api is not None:
                api.close()
            self._replies.sync()

    def _progress(self) -> str:
        prompt, new = self._replies.tokens
        cost = f", ${self._made.prices.of(prompt, new):,.2f}" if self._made.prices else ""
        usable = f"{self._replies.usable:,} of {self._replies.replies:,} replies usable"
        return f"{usable}, {prompt:,} + {new:,} tokens{cost}"

    def _ask(self, api: Api, sample: Sample) -> Failure | None:
        """One attempt; its reply is on the disk when this returns. None where there was one. Raises UserError."""
        last = self._replies.last(sample.id, self._digests[sample.id])
        before = self._replies.stored_at(last) if last is not None else None
        began = time.monotonic()
        try:
            path = below(self._samples.root, sample.image)
            picture = sha256(path)
            body = self._body(sample, data_url(Picture(path, sample.image)), before)
            stored = self._reply(api, body, sample)
        except ImageRefused as refused:
            return Failure(refused.reason, refused.message)
        except OSError as error:
            return Failure("image_refused", f"it cannot be read ({error.strerror})")
        except NoAnswer as none:
            if not none.refused or not self._may_be_kept(none):
                return Failure("call_failed", on_one_line(str(none), MOST_OF_A_NOTE))
            note = on_one_line(str(none), MOST_OF_A_NOTE)
            stored = {"reply": None, "finish": "refused", "problems": (note,), "tokens": (0, 0)}
        attempt = 1 if before is None else before.attempt + 1
        seconds = round(time.monotonic() - began, 2)
        self._replies.add(Stored(id=sample.id, attempt=attempt, prompt=self._digests[sample.id], picture=picture,
                                 seconds=seconds, **stored))  # fmt: skip
        return None

    def _reply(self, api: Api, body: dict[str, Any], sample: Sample) -> dict[str, Any]:
        """What came back, as fields of `Stored`. Raises NoAnswer."""
        while True:
            structured = self._structured
            form = {"type": "json_schema", "json_schema": {"name": "conversations", "strict": True,
                                                           "schema": self._made.version.schema()}}  # fmt: skip
            try:
                found = api.post_json("chat/completions", {**body, "response_format": form} if structured else body)
                break
            except NoAnswer as none:
                about_the_form = any(word in str(none).lower() for word in OF_THE_SCHEMA)
                if not (none.refused and structured and about_the_form and self._made.structured == "auto"):
                    raise
                with self._counting:
                    if self._structured:
                        say("the server has no structured output; it is asked without from here on")
                    self._structured = False
        try:
            choice = found["choices"][0]
            text, finish = choice["message"].get("content"), on_one_line(str(choice.get("finish_reason")), 40)
            usage = found.get("usage") or {}
            tokens = (_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")))
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise NoAnswer(f"not a chat completion ({error!r})") from None
        if isinstance(text, list):
            text = "".join(str(part.get("text") or "") for part in text if isinstance(part, dict))
        text = hide_known_secrets(text) if isinstance(text, str) else ""
        if len(text) > MOST_CHARACTERS:
            problems: tuple[str, ...] = (f"it has {len(text):,} characters, more than {MOST_CHARACTERS:,}",)
            text = text[:MOST_CHARACTERS]
        elif finish == "length":
            problems = (f"it was cut off at {tokens[1] or self._made.server.max_new_tokens:,} tokens: make it shorter",)
        elif not text.strip():
            problems = (f"it is empty (finish_reason {finish!r})",)
        else:
            problems = check_reply(text, sample, self._made.version.rules).problems
        return {"reply": text, "finish": finish, "problems": problems, "tokens": tokens}

    def _may_be_kept(self, none: NoAnswer) -> bool:
        """Whether a refusal is about the sample, as it seems once the server has answered others. Raises UserError."""
        if self._replies.replies:
            return True
        with self._counting:
            self._refusals += 1
        if self._refusals >= FIRST_REFUSALS:
            fix = "mend what is sent (--max-tokens, --extra, --structured), then give the same command"
            raise UserError(f"the server refused {self._refusals} requests and answered none: {none}", fix=fix)
        return False

    def _body(self, sample: Sample, url: str, last: Stored | None) -> dict[str, Any]:
        """The request: one user message, or the last reply and what is wrong with it behind it."""
        server, text = self._made.server, self._made.version.text(sample.about)
        again = asked_again(last.problems) if last is not None else ""
        whole = last is not None and last.reply and last.finish != "length"
        if again and not whole:
            text = f"{text}\n\n{again}"
        content = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}]
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if last is not None and whole:
            messages += [{"role": "assistant", "content": last.reply}, {"role": "user", "content": again}]
        body: dict[str, Any] = {"model": server.model, "messages": messages}
        body |= {"max_tokens": server.max_new_tokens, "temperature": server.temperature}
        if server.top_p is not None:
            body["top_p"] = server.top_p
        return {name: value for name, value in {**body, **server.extra}.items() if value != ""}

    def write_results(self, folder: Path) -> Constructed:
        """`pairs.jsonl` and `failed.jsonl`, from the replies. Raises UserError."""
        reasons: Counter[str] = Counter()
        records = counted = 0
        try:
            with replacing(folder / pairs.FILE) as good, replacing(folder / FAILED) as bad:
                for sample in self._samples.samples:
                    found = self._outcome(sample)
                    if isinstance(found, pairs.PairedRecord):
                        good.write(json.dumps(found.to_json()) + "\n")
                        records, counted = records + 1, counted + len(found.negatives)
                    else:
                        row = {"id": sample.id, "image": sample.image, **dataclasses.asdict(found)}
                        bad.write(json.dumps(row) + "\n")
                        reasons[found.reason] += 1
        except OSError as error:
            raise cannot_write(folder, error, journal.AGAIN) from error
        prompt, new = self._replies.tokens
        return Constructed(len(self._samples.samples), records, counted, dict(reasons.most_common()), (prompt, new))

    def _outcome(self, sample: Sample) -> pairs.PairedRecord | Failure:
        last = self._replies.last(sample.id, self._digests[sample.id])
        if last is None:
            return self._failures.get(sample.id) or Failure("call_failed", "the run ended before it was asked about")
        stored = self._replies.stored_at(last)
        if stored.reply is None:
            return Failure("refused", stored.problems[0], stored.attempt)
        checked = check_reply(stored.reply, sample, self._made.version.rules)
        problems = stored.problems or checked.problems
        if checked.record is not None and not problems:
            return checked.record
        return Failure("unusable", "; ".join(problems), stored.attempt)


def _about(construction: Construction, folder: Path) -> dict[str, Any]:
    """What `construct.json` says, or is to say. Raises UserError where it is another construction's."""
    file = folder / ABOUT
    if not file.exists():
        return {**construction.identity, "runs": []}
    try:
        with open_file(file) as opened:
            found = json.load(opened)
        there = {name: found[name] for name in construction.identity}
        if not isinstance(found["runs"], list):
            raise TypeError("runs is no list")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"is not what construct wrote ({error!r})", file=file, fix="give another --out") from None
    if there != (mine := json.loads(json.dumps(construction.identity))):
        names = ", ".join(name for name in mine if mine[name] != there[name])
        raise UserError(f"these replies were made with another {names}", file=file,
                        fix="one folder is for one prompt and one model: give another --out")  # fmt: skip
    return dict(found)


def _count(value: Any) -> int:
    """A number of tokens, as a server gives it; 0 for what is none."""
    return value if isinstance(value, int) and 0 <= value < 1 << 40 else 0


def _write_about(folder: Path, about: Mapping[str, Any]) -> None:
    try:
        write_json(make_folder(folder) / ABOUT, about)
    except OSError as error:
        raise cannot_write(folder / ABOUT, error, journal.AGAIN) from error

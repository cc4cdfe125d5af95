"""A question and a response become a request to the judge, in one of two profiles.

`reference` repeats the official scorer (`dataset.py` and `main.py` of Lillianwei-h/MMIE @eb0fd6e) to the character:
- an answer is read until question and answer hold three pictures together: with one picture in the question, two
  steps of the answer are judged; with three or more, the answer's first text;
- pictures that are not on disk are skipped;
- an item that holds more than four pictures is left out (unscored: dropped_by_protocol);
- the correct answer is the first text of the reference, and only for MSR.

`strict` passes on everything, and grey pictures of more than 8 bits are scaled to 8 where `reference` clips them. A
picture that is not there leaves the item unscored (image_missing). An answer with nothing in it (empty_answer), with an
address for a picture (image_address), or that is a video or a folder (video_or_folder) gets the worst score; what does
not fit the judge's window is the engine's to say (`judge.core.failure` has the whole table).

In both, an image outside its root is never opened: the item is unscored (image_refused).
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from judge.core.benchmark import Profile
from judge.core.failure import MODEL
from judge.core.request import Picture, Request, Segment, Text
from judge.core.scale import JUDGE_SCALE
from judge.core.verdict import Verdict
from judge.io.image_paths import MAX_NAME, ImageRefused, below
from judge.io.jsonl import writable
from mmie_tasks.location import HUB
from mmie_tasks.records import Part, Record
from mmie_tasks.responses import Response

ENOUGH_PICTURES = 3  # "if image_no>2: break"
MOST_PICTURES = 4  # "if len(images) <= 4"

_VIDEO = re.compile(r".+\.(?:mp4|m4v|mov|avi|webm|mkv|mpe?g|flv|wmv)", re.IGNORECASE)
_PATH = re.compile(r"\S+|(?:~?/|\.{1,2}/|[A-Za-z]:\\)[^\n]+")
"""One word, or what begins as only a path does: "ffmpeg -i in.mov out.mp4" is an answer."""
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|data:")


def build_request(
    record: Record,
    answer: Sequence[Part],
    profile: Profile,
    *,
    root: Path,
    answer_root: Path,
    data_root: Path | None = None,
) -> Request | Verdict:
    """The request for one answer, or the verdict where there is nothing to judge.

    root, answer_root: folders that image names of the question and of the answer are relative to. data_root: the one
    that the user named as data, None where questions came with the answers; see `locate`.
    """
    details = known_details(record)
    if profile == "strict" and is_video_or_folder(answer, answer_root):
        return undecided(record, "video_or_folder", details)
    make = _reference if profile == "reference" else _strict
    asked, answered = (
        functools.partial(locate, root=folder, linked=folder == data_root) for folder in (root, answer_root)
    )
    try:
        return make(record, answer, asked, answered, dict(details))
    except ImageRefused as refused:
        return undecided(record, refused.reason, {**details, "note": refused.message})


def known_details(record: Record) -> dict[str, object]:
    """What verdicts on answers to `record` say of the question: its field and its form."""
    details: dict[str, object] = {"field": record.field} if record.field is not None else {}
    if record.multiple_choice:
        details["form"] = "multiple choice"
    return details


def bare(id_: str, category: str, answer: Sequence[Part], profile: Profile, field: str | None) -> Request | Verdict:
    """A request that nobody reads: for an engine that replays what a judge has said."""
    details: dict[str, object] = {"field": field} if field is not None else {}
    if profile == "strict" and not answer:
        return Verdict(id_, "judge", JUDGE_SCALE.lowest, None, category, details=details, failure="empty_answer")
    return Request(id_, category, (), (), details=details)


def undecided(record: Record, reason: str, details: dict[str, object]) -> Verdict:
    """The verdict on an answer that is not put before the judge. reason: a code of `judge.core.failure`."""
    if reason in MODEL:
        worst = JUDGE_SCALE.lowest
        return Verdict(record.id, "judge", worst, None, record.category, details=details, failure=reason)
    return Verdict(record.id, "judge", None, reason, record.category, details=details)


def noted(made: Request | Verdict, response: Response) -> Request | Verdict:
    """`made` with what there is to say of how the response was read: as a note, and as "unreadable" to be counted."""
    if response.note is None:
        return made
    note = "; ".join(str(said) for said in (made.details.get("note"), response.note) if said)
    return dataclasses.replace(made, details={**made.details, "unreadable": response.unreadable, "note": note})


def is_video_or_folder(answer: Sequence[Part], root: Path) -> bool:
    """Whether an answer is what models that make videos give: the path of one, or of a folder that they filled.

    A folder counts where it lies below `root`: "and/or" is a text.
    """
    if any(part.image and _VIDEO.fullmatch(part.image) for part in answer):
        return True
    if len(answer) != 1 or not answer[0].text:
        return False
    said = answer[0].text.strip()
    if _PATH.fullmatch(said) and _VIDEO.fullmatch(said):
        return True
    if "/" not in said or "\n" in said or len(said) > MAX_NAME:
        return False
    try:
        inside = {None if os.path.isabs(said) else said, _inside(said, root)} - {None}
        return any(os.path.isdir(f"{root}/{name}") for name in inside if name and ".." not in name)
    except ValueError:  # a NUL in it
        return False


Locate = Callable[[str], Picture]
"""`locate` in one folder."""


def locate(name: str, root: Path, *, linked: bool = False) -> Picture:
    """The image `name` of a record or a response below `root`: relative to it, or else absolute or relative to the
    working directory, where it leads into `root` as it is written. Models name their pictures in all three ways.

    linked: `root` is the folder that the user named as data. Its `images` may be a link to where there is room: the
    user's own. In any other folder nobody knows who made a link, whatever else lies there. Raises ImageRefused.
    """
    if _URL.match(name):
        raise ImageRefused("image_address", "an image must be a file below the image root, not an address")
    if os.path.isabs(name):
        return _below(_inside(name, root) or name, name, root, linked)
    try:
        return _below(name, name, root, linked)
    except ImageRefused as refused:
        inside = _inside(name, root) if refused.reason == "image_missing" else None
        if inside is None:
            raise
    return _below(inside, name, root, linked)


def _inside(name: str, root: Path) -> str | None:
    """`name`, absolute or relative to the working directory, relative to `root`; None where it leads elsewhere."""
    whole = os.path.join(os.getcwd(), name.removeprefix("./"))
    bases = (f"{base}/" for base in (root.absolute(), root.resolve()))
    return next((whole[len(base) :] for base in bases if whole.startswith(base)), None)


def _below(relative: str, name: str, root: Path, linked: bool) -> Picture:
    folder, _, inside = relative.removeprefix("./").partition("/")
    if linked and folder == HUB.images and os.path.islink(f"{root}/{HUB.images}"):
        return Picture(below(root / HUB.images, inside), name)
    return Picture(below(root, relative), name)


def _strict(
    record: Record, answer: Sequence[Part], asked: Locate, answered: Locate, details: dict[str, object]
) -> Request | Verdict:
    if not any((part.text and part.text.strip()) or part.image for part in answer):
        return undecided(record, "empty_answer", details)
    try:
        question = [segment for part in record.question for segment in _segments(part, asked)]
    except ImageRefused as refused:
        reason = "image_refused" if refused.reason == "image_address" else refused.reason  # the data's fault
        raise ImageRefused(reason, refused.message) from None
    given = [segment for part in answer for segment in _segments(part, answered)]
    truth = "\n".join(part.text for part in record.answer if part.text) if record.category == "MSR" else None
    return _request(record, _scaled(question), _scaled(given), truth or None, details)


def _reference(
    record: Record, answer: Sequence[Part], asked: Locate, answered: Locate, details: dict[str, object]
) -> Request | Verdict:
    skipped: list[str] = []
    question = [segment for part in record.question for segment in _segments(part, asked, skipped)]
    given: list[Segment] = []
    count, left = _pictures(question), len(answer)
    for part in answer:
        wanted = part if count < ENOUGH_PICTURES else Part(part.text, None)
        step = _segments(wanted, answered, skipped)
        given += step
        count += _pictures(step)
        left -= 1
        if count >= ENOUGH_PICTURES:
            break
    if count > MOST_PICTURES:
        note = f"{count} question images; the official scorer leaves out items with more than {MOST_PICTURES}"
        return undecided(record, "dropped_by_protocol", {**details, "note": note})
    if left:
        details["steps_judged"] = f"{len(answer) - left} of {len(answer)}"
    if skipped:
        details["images_skipped"] = skipped
    truth = record.answer[0].text if record.category == "MSR" and record.answer else None
    return _request(record, question, given, truth, details)


def _segments(part: Part, find: Locate, skipped: list[str] | None = None) -> list[Segment]:
    """Text, then picture. A missing image goes onto `skipped` where that is given, else raises."""
    segments: list[Segment] = [] if part.text is None else [Text(writable(part.text))]
    if part.image is not None:
        try:
            segments.append(find(part.image))
        except ImageRefused as refused:
            if skipped is None or refused.reason == "image_refused":
                raise
            skipped.append(part.image)
    return segments


def _scaled(segments: Sequence[Segment]) -> list[Segment]:
    """Segments whose pictures of more than 8 bits the judge sees scaled, not clipped."""
    return [dataclasses.replace(each, scaled=True) if isinstance(each, Picture) else each for each in segments]


def _pictures(segments: Sequence[Segment]) -> int:
    return sum(isinstance(segment, Picture) for segment in segments)


def _request(
    record: Record, question: list[Segment], answer: list[Segment], truth: str | None, details: dict[str, object]
) -> Request:
    truth = None if truth is None else writable(truth)
    return Request(record.id, record.category, tuple(question), tuple(answer), truth, details)

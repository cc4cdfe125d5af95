"""MMRB2, the interleaved task: 1,000 pairs of answers with texts and pictures, and which one people preferred.

Yushi Hu et al., Multimodal RewardBench 2, arXiv:2512.16899; code github.com/facebookresearch/MMRB2, CC BY-NC 4.0, "for
benchmarking purposes only". Two forms of the same pairs:

- `interleaved.json` as its scripts build it, or `interleaved_response_only.json` of the repository, without questions:
  {"pairs": [{"id", "prompt_content"?, "response_a": {"model_name", "response_content": [["text", "…"], ["image", …]]},
  "response_b": {…}, "chosen": "A", "human_annotations": [1, 5, 1], "prompt_source": "isgbench"}]}
- the Hub's `rl-research/multimodal-rewardbench-2`, with questions and pictures: a row a pair in Parquet files, pictures
  as bytes, their place in a text as `<image_1>`.

An id names the question and both answers, `isgbench_0504_989…_gemini-2.5-flash_3237_gpt-image-agent_737`: answer 3237
to that question stands in several pairs. 807 questions have 1,964 answers.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.core.benchmark import Answer
from judge.errors import UserError
from judge.io.files import cannot_write, make_folder, read_bytes, write_bytes
from judge.io.hub_dataset import HubFolder
from judge.io.jsonl import BOM, Position, kind_of, parse_json
from judge.io.preferences import Candidate, Part, PreferencePair, checked, choice_of, parts_of, votes_of

NAME = "mmrb2"
"""What is given for a file to have the pairs from the Hub; `mmrb2@REVISION` for those of one revision."""
HUB = HubFolder("rl-research/multimodal-rewardbench-2", "interleaved")
SOURCES = frozenset({"isgbench", "chameleon", "interleavedeval", "mmmg"})
"""Where its questions come from."""
_MARK = re.compile(r"<image_\d+>")
SIDES = ("a", "b")
ROWS_AT_ONCE = 16
"""A row has about 1 MB of pictures."""
_STARTS = {b"\x89PNG": ".png", b"GIF8": ".gif", b"RIFF": ".webp"}


def read_release(path: Path, root: Path) -> list[PreferencePair]:
    """The pairs of a JSON file of the benchmark. root: the folder that pictures lie below.

    Raises UserError with pair and field for what is not such a file, and as `judge.io.preferences.checked` does.
    """
    whole = Position(path, None)
    try:
        content = parse_json(read_bytes(path).removeprefix(BOM), whole)
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=path) from error
    rows = content.get("pairs") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise whole.error('has no list "pairs"', fix="give a JSON file of MMRB2, or pairs as JSON lines (.jsonl)")
    pairs = [_of_row(row, Position(path, f"pair {number}"), root) for number, row in enumerate(rows)]
    return checked(_with_shared_answers(pairs), path)


def _of_row(row: object, position: Position, root: Path) -> PreferencePair:
    if not isinstance(row, dict):
        raise position.error("is not a JSON object")
    name = position.text(row, "id" if "id" in row else "pair_id")
    sides = [_side(row, side, position) for side in SIDES]
    prompt = row.get("prompt_content")
    named = _names(name, [system for system, _ in sides])
    candidates = [
        Candidate(own, system, Answer(own, None, [dict(part) for part in parts], root, where=str(position)))
        for own, (system, parts) in zip(named[1:], sides, strict=True)
    ]
    return PreferencePair(
        name,
        named[0],
        candidates[0],
        candidates[1],
        choice_of(row, position),
        str(row["prompt_source"]) if row.get("prompt_source") else None,
        None if prompt is None else parts_of(prompt, "prompt_content", position),
        votes_of(row.get("human_annotations"), "human_annotations", position),
        str(position.where),
    )


def _side(row: Mapping[str, Any], side: str, position: Position) -> tuple[str, tuple[Part, ...]]:
    """(system, parts) of response_a or response_b."""
    field = f"response_{side}"
    given = row.get(field)
    if not isinstance(given, dict):
        raise position.error("is missing" if field not in row else f"is {kind_of(given)}", field=field)
    if "response_content" not in given:
        raise position.error("has no response_content", field=field)
    system = position.text(given, "model_name" if "model_name" in given else "model")
    return system, parts_of(given["response_content"], field, position)


def _names(pair: str, systems: Sequence[str]) -> tuple[str, str, str]:
    """(question, first answer, second answer) as the pair's id names them; made of the id where it names none."""
    first, second = (re.escape(system) for system in systems)
    if found := re.fullmatch(rf"(.+)_{first}_(\d+)_{second}_(\d+)", pair):
        question = found[1]
        return question, f"{question}/{systems[0]}/{found[2]}", f"{question}/{systems[1]}/{found[3]}"
    return pair, f"{pair}/a", f"{pair}/b"


def _with_shared_answers(pairs: Sequence[PreferencePair]) -> Iterator[PreferencePair]:
    """The pairs, in which an answer that stands in several is the same everywhere: the files name its pictures anew.

    One with other texts stays as it is, for `checked` to refuse.
    """
    first: dict[str, Candidate] = {}
    for pair in pairs:
        shared = [first.setdefault(one.id, one) for one in (pair.a, pair.b)]
        alike = [_texts(known) == _texts(one) for known, one in zip(shared, (pair.a, pair.b), strict=True)]
        a, b = (known if same else one for known, same, one in zip(shared, alike, (pair.a, pair.b), strict=True))
        yield dataclasses.replace(pair, a=a, b=b)


def _texts(one: Candidate) -> list[str | None]:
    """The texts of an answer, None for a picture."""
    assert one.answer is not None
    assert isinstance(one.answer.response, list)
    return [part["text"] for part in one.answer.response]


def read_hub(shards: Sequence[Path], pictures: Path | None = None) -> list[PreferencePair]:
    """The pairs of the Hub's Parquet files. pictures: a folder below which pictures are written; None to leave them.

    Raises UserError where pyarrow is missing, and for a file that cannot be read or has not those columns.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise UserError("reading MMRB2 from the Hub needs pyarrow", fix="pip install pyarrow") from None
    root = pictures or Path()
    pairs: list[PreferencePair] = []
    for shard in shards:
        try:
            for batch in parquet.ParquetFile(shard).iter_batches(batch_size=ROWS_AT_ONCE):
                for row in batch.to_pylist():
                    position = Position(shard, f"pair {len(pairs)}")
                    pairs.append(_of_row(_as_released(row, position, pictures), position, root))
        except (ArrowException, OSError) as error:
            fix = f"delete it, so that it is fetched again from {HUB.page}"
            raise UserError(f"cannot be read: {error}", file=shard, fix=fix) from error
    return checked(_with_shared_answers(pairs), shards[0] if shards else Path(NAME))


def _as_released(row: dict[str, Any], position: Position, pictures: Path | None) -> dict[str, Any]:
    """A row of the Hub's as the JSON files have it; its pictures are written below `pictures`, if that is given."""
    name = position.text(row, "pair_id")
    made: dict[str, Any] = {
        "id": name,
        "chosen": row.get("chosen"),
        "prompt_source": row.get("prompt_source"),
        "prompt_content": _contents(row, "prompt", position, pictures),
    }
    for side in SIDES:
        made[f"response_{side}"] = {
            "model_name": position.text(row, f"response_{side}_model"),
            "response_content": _contents(row, f"response_{side}", position, pictures),
        }
    if row.get("human_annotations"):
        made["human_annotations"] = parse_json(str(row["human_annotations"]).encode(), position)
    return made


def _contents(row: Mapping[str, Any], field: str, position: Position, pictures: Path | None) -> list[list[str]]:
    """[["text", …], ["image", name], …] of a text with marks and its pictures, which are taken in their order.

    A picture is named by its bytes, so that one of another revision never stands for it.
    """
    text, images = row.get(f"{field}_text") or "", list(row.get(f"{field}_images") or [])
    names = []
    for image in images:
        data = image.get("bytes") if isinstance(image, dict) else None
        if not isinstance(data, bytes):
            raise position.error("holds no bytes of a picture", field=f"{field}_images")
        suffix = next((suffix for start, suffix in _STARTS.items() if data.startswith(start)), ".jpg")
        names.append(f"images/{hashlib.sha256(data).hexdigest()[:16]}{suffix}")
        if pictures is not None and not (pictures / names[-1]).exists():
            try:
                make_folder(pictures / "images")
                write_bytes(pictures / names[-1], data)
            except OSError as error:
                raise cannot_write(pictures / names[-1], error) from error
    content: list[list[str]] = []
    left = iter(names)
    for number, piece in enumerate(_MARK.split(text)):
        content += [["image", name] for name in itertools.islice(left, 1 if number else 0)]
        content += [["text", piece]] if piece.strip() else []
    return [*content, *(["image", name] for name in left)]

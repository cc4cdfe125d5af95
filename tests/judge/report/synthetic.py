"""Results folders of any size, made up: the report's tests need neither data nor a judge."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from judge.core.benchmark import Source, find
from judge.core.request import Picture, Text
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.io import samples
from judge.io.presentation import view_of
from judge.io.samples import Missing, Sample
from judge.results.result import build_result
from judge.results.run_folder import RunFolder
from mmie_tasks.records import CATEGORIES
from mmvu_tasks.categories import CATEGORIES as MMVU_CATEGORIES

WORDS = [
    "step",
    "pour",
    "the",
    "lid",
    "open",
    "water",
    "cup",
    "red",
    "blue",
    "kite",
    "then",
    "last",
    "first",
    "put",
    "table",
    "paint",
    "wall",
    "heart",
    "boat",
]


def text(rng: random.Random, length: int) -> str:
    said = ""
    while len(said) < length:
        said += rng.choice(WORDS) + " "
    return said.strip()


def picture(folder: Path, name: str, colour: tuple[int, int, int]) -> Picture:
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 48), colour).save(folder / name)
    return Picture(folder / name, name)


def mmie(
    folder: Path,
    n: int = 30,
    *,
    seed: int = 0,
    length: int = 80,
    level: int = 3,
    pictures: bool = True,
    edition: str = "unknown (30)",
    hostile: Callable[[int], str] | None = None,
    parts: dict[str, str] | None = None,
) -> Path:
    """A judged run. length: characters of every text. hostile: what answer number k says instead. parts: of the
    signature, beside those that all have."""
    rng = random.Random(seed)
    verdicts, kept = [], []
    for k in range(n):
        category = CATEGORIES[k % 3]
        name = f"{category}-{k:05}"
        shares = [rng.random() for _ in range(7)]
        probs = tuple(share / sum(shares) for share in shares)
        feedback = text(rng, length) + f"\n### Score\n{k % 7}"
        score = min(6, max(0, round(rng.gauss(level, 1.5))))
        failed = k % 20 == 13
        verdicts.append(
            Verdict(
                name, "judge", None if failed else score, "truncated" if failed else None, category,
                feedback=hostile(k) if hostile else feedback, score_probs=None if failed else probs,
                details={"field": "Art"},
            )
        )  # fmt: skip
        question: list[samples.Piece] = [Text(f"question {k}: {text(rng, length)}")]
        if pictures and k < 6:
            question.append(picture(folder / "source", f"{k}.png", (40 * k, 120, 200)))
        answer = [Text(hostile(k) if hostile else f"answer {k}: {text(rng, length)}"), Missing("out/7.png")]
        kept.append(Sample(name, None, category, tuple(question), tuple(answer), f"reference {k}"))
    return _write(folder, "mmie", verdicts, kept, edition, {"profile": "strict", "judge": "tiny@1", **(parts or {})})


def mmvu(folder: Path, *, seed: int = 0, right: float = 0.8, misled: float = 0.3, edition: str = "v1") -> Path:
    """A run of 300 pairs, as many in each category as v1 has."""
    rng = random.Random(seed)
    verdicts, kept = [], []
    for category in MMVU_CATEGORIES:
        for pair in range(category.v1):
            sees, falls = rng.random() < right, rng.random() < misled
            for kind in ("POS", "NEG"):
                score = int(sees and not (kind == "NEG" and falls))
                index, name = len(verdicts), f"{category.key}/{pair:02}"
                details = {"type": kind, "level": category.level, "letter": "B", "score_reference": score}
                verdicts.append(Verdict(name, "rule", score, None, category.name, index, details=details))
                question = (Missing(f"{name}.jpg"), Text(f"Is it {kind}?\nA. yes\nB. no\nC. both\nD. none"))
                kept.append(Sample(name, index, category.name, question, (Text("B"),), "B"))
    return _write(folder, "mmvu", verdicts, kept, edition, {"extraction": "careful-3"})


def _write(
    folder: Path, name: str, verdicts: list[Verdict], kept: list[Sample], edition: str, parts: dict[str, str]
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    benchmark = find(name)
    source = Source(benchmark.repo, "local:0123456789ab", edition)
    signature = Signature({"benchmark": name, "edition": edition, "data": "local:0123456789ab", **parts})
    with (folder / "verdicts.jsonl").open("w", encoding="ascii") as file:
        file.writelines(json.dumps(verdict.to_json()) + "\n" for verdict in verdicts)
    view = view_of(benchmark)
    samples.write_samples(
        folder, kept, {key for group in view.singled_out(verdicts) for item in group.items for key in item}
    )
    RunFolder(folder).write_results(build_result(benchmark, verdicts, None, source, signature))
    return folder

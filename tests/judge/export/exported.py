"""Finished runs for tests of exports: two of MMVU's demo, and one of MMIE's with all that can be odd in an answer."""

from __future__ import annotations

import json
from pathlib import Path

import folders

from judge import cli
from mmie_tasks.demo import demo_dir as mmie_demo
from mmvu_tasks.demo import demo_dir as mmvu_demo

HOSTILE = "<script>alert(1)</script> ![x](http://127.0.0.1:9/x.png) <image> attachment://0 \ud800\x1b[2J\n| a | b |"
"""An answer that would be markup, an address, a placeholder, half a character, a command of a terminal."""
WRITTEN = HOSTILE.replace("\ud800", "?")


def score_mmvu(out: Path, name: str, *, partial: int = 0) -> Path:
    """`examples/answers/NAME.jsonl`, or its first lines, as a results folder."""
    answers = folders.ROOT / "examples" / "answers" / f"{name}.jsonl"
    words = []
    if partial:
        lines = answers.read_text(encoding="utf-8").splitlines(keepends=True)
        answers = out.with_suffix(".jsonl")
        answers.write_text("".join(lines[:partial]), encoding="utf-8")
        words = ["--partial"]
    command = ["score", str(answers), "--benchmark", "mmvu", "--data", str(mmvu_demo()), "--out", str(out), *words]
    assert cli.main(command) == 0
    return out


def score_odd_mmie(folder: Path) -> Path:
    """Answers to MMIE's demo, by the number of the question: 0 gives the reference with its pictures, 1 nothing, 2
    `HOSTILE`, 3 null, 4 a file that is no picture; the judge said nothing about 5, and 4 of 6 about all others."""
    folder.mkdir()
    records = json.loads((mmie_demo() / "data.json").read_text(encoding="utf-8"))
    for record in records:
        for part in (*record["conversations"][0]["content"], *record["conversations"][1]["content"]):
            if part["image"]:
                target = folder / part["image"]
                target.parent.mkdir(exist_ok=True)
                target.write_bytes((mmie_demo() / part["image"]).read_bytes())
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    special = {
        0: records[0]["conversations"][1]["content"], 1: "", 2: HOSTILE, 3: None,
        4: [{"text": "See:", "image": None}, {"text": None, "image": "broken.png"}],
    }  # fmt: skip
    rows = [{"id": record["id"], "response": special.get(n, "Step 2.")} for n, record in enumerate(records)]
    said = [{"id": record["id"], "feedback": f"{HOSTILE}\n### Score\n4"} for n, record in enumerate(records) if n != 5]
    for name, lines in (("answers", rows), ("feedback", said)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    out = folder / "odd"
    command = ["score", str(folder / "answers.jsonl"), "--benchmark", "mmie", "--data", str(mmie_demo())]
    command += ["--judge", f"replay:{folder / 'feedback.jsonl'}", "--max-unscored", "50%", "--out", str(out)]
    assert cli.main(command) == 0
    return out

"""A general judge for `FakeEndpoint` that knows the demo's world: it reads plans, sums and stamps, and nothing else.

What it is asked tells it the names of the criteria; what it sees decides each of them by a rule that a test can follow
by hand:

SA, PBL   text: words at all · pictures: there are some · coherence: what is shown is named · plan: all that is left of
          it is named · liveliness: six words or more · style: what is left of the plan is shown, and nothing else ·
          emotion: -1 where something is hated
MSR       text: a number or an option · pictures: the result is right · reasoning: "because" · partly right: one of the
          two · result: the first word is the correct answer · excellence: right, and "because"
"""

from __future__ import annotations

import io
import json
import re
from typing import Any

from PIL import Image

from judge.demo.drawing import read_picture


def things(pictures: list[bytes]) -> list[str]:
    """What every picture shows, "blue kite"."""
    found = []
    for picture in pictures:
        (placed,) = read_picture(Image.open(io.BytesIO(picture)))
        found.append(f"{placed.colour} {placed.name}")
    return found


def points(text: str, pictures: list[bytes]) -> dict[str, int]:
    """The points for every criterion that the message names."""
    asked, _, rest = text.partition("### Question\n")
    question, _, rest = rest.partition("### Answer\n")
    answer, _, rest = rest.partition("### Reply\n" if "### Correct Answer" not in rest else "### Correct Answer\n")
    names = re.findall(r"^\d\. ([^:,\n]+)", asked, re.MULTILINE)
    correct = re.search(r"correct answer to this question should be: (\S+)", rest)
    because = "because" in answer
    if correct:
        right = answer.split()[:1] == [correct[1]]
        met = [bool(re.search(r"\d|\b[A-D]\b", answer)), right, because, right or because, right, right and because]
        return {name: int(one) for name, one in zip(names, met, strict=True)}
    left = re.findall(r"(?:then|last) the (\w+ \w+)", question.partition("\n")[0])
    shown = things(pictures[question.count("<image>") :])
    met = [
        bool(re.search("[a-z]", answer.replace("Image-", "").replace("<image>", ""))),
        bool(shown),
        bool(shown) and all(thing in answer for thing in shown),
        all(thing in answer for thing in left),
        len(re.findall("[a-z]+", re.sub(r"Image-\d+: <image>", "", answer).lower())) >= 6,
        shown == left,
    ]
    return {**{name: int(one) for name, one in zip(names, met, strict=False)}, names[-1]: -int("hate" in answer)}


def judge(text: str, pictures: list[bytes]) -> dict[str, Any]:
    """What `FakeEndpoint` answers: a reply as the schema wants it, and how many tokens it counted (one a word)."""
    given = points(text, pictures)
    score = max(0, sum(given.values()))
    reply = {"feedback": f"{score} points by the rule.", "criteria": given, "total": score}
    return {"text": json.dumps(reply), "prompt_tokens": len(text.split()), "completion_tokens": 20}

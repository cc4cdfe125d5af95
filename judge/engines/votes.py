"""One answer put to a judge several times, and the votes made one.

    votes     {"Text quality": 1, "Image quality": 1} 2    {… 1, … 0} 1    {… 1, … 0} 1
    combined  {"Text quality": 1, "Image quality": 0} 1, votes (2, 1, 1)

A criterion has its points where more than half of the votes that can be read give them, and the score is the sum of
the criteria. Where the rubric numbers none, the score is the median of the totals, the lower of the middle two. The
feedback is that of the first vote whose score is nearest to the combined one; probabilities are the mean of those that
were given. Where half of the votes or more cannot be read, there is no score, and the commonest reason is given.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from judge.core.criteria import Points, criteria_text, parse_criteria, total
from judge.core.score_text import parse_score
from judge.engines import Completion, Prompt
from judge.engines.remote import Remote


class Voting:
    """A remote judge that is asked `votes` times. With one vote, its completions as they are."""

    reads = True

    def __init__(self, judge: Remote, votes: int) -> None:
        self.judge, self.votes = judge, votes
        self.endpoints, self.usage = judge.endpoints, judge.usage

    @property
    def identity(self) -> Mapping[str, str]:
        """Parts of the signature."""
        return self.judge.identity

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
        """As `judge.engines.Engine.complete`: a prompt is complete when its last vote is there."""
        if self.votes == 1:
            yield from self.judge.complete(prompts)
            return
        given: dict[int, dict[int, Completion]] = {}
        for number, completion in self.judge.complete([prompt for prompt in prompts for _ in range(self.votes)]):
            position, vote = divmod(number, self.votes)
            found = given.setdefault(position, {})
            found[vote] = completion
            if len(found) == self.votes:
                del given[position]
                yield position, combine_votes([found[one] for one in range(self.votes)])


def combine_votes(votes: Sequence[Completion]) -> Completion:
    """One completion of several on the same answer; see the module."""
    scores = [_score(vote) for vote in votes]
    readable = [(vote, score) for vote, score in zip(votes, scores, strict=True) if score is not None]
    tokens = sum(vote.new_tokens for vote in votes)
    notes = "; ".join(dict.fromkeys(vote.note for vote in votes if vote.note)) or None
    if 2 * len(readable) <= len(votes):
        reasons = Counter(vote.unscored for vote in votes if vote.unscored)
        ((reason, _),) = reasons.most_common(1)
        first = next(vote for vote in votes if vote.unscored == reason)
        return dataclasses.replace(first, new_tokens=tokens, note=notes, votes=tuple(scores))
    points = _majority([parse_criteria(vote.text or "") or {} for vote, _ in readable])
    ordered = sorted(score for _, score in readable)
    score = total(points) if points else ordered[(len(ordered) - 1) // 2]
    nearest, _ = min(readable, key=lambda pair: abs(pair[1] - score))
    known = [vote.score_probs for vote, _ in readable if vote.score_probs is not None]
    probs = tuple(round(math.fsum(column) / len(known), 4) for column in zip(*known, strict=True)) if known else None
    text = criteria_text(_feedback(nearest.text or ""), points, score)
    return Completion(text, True, tokens, probs, note=notes, votes=tuple(scores))


def _score(vote: Completion) -> int | None:
    return None if vote.unscored else parse_score(vote.text or "", stopped=vote.stopped, profile="strict")[0]


def _majority(votes: Sequence[Points]) -> Points:
    made: Points = {}
    for name in votes[0]:
        (given, times), *_ = Counter(vote.get(name, 0) for vote in votes).most_common()
        made[name] = given if 2 * times > len(votes) else 0
    return made


def _feedback(text: str) -> str:
    """Of a text that `criteria_text` wrote."""
    inside = text.removeprefix("### Feedback\n").rpartition("\n### Score\n")[0]
    return inside.partition("\n### Criteria\n")[0].replace("#\N{WORD JOINER}", "#")

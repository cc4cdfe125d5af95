"""What of constructed data is kept, and why the rest goes: refusals, near-duplicates, leaks, shares of types.

    kept, dropped = …
    {"id": "7", "number": 3, "sign": null, "reason": "refusal", "note": 'the answer says "not provided"'}

The unit is a pair: where its positive or its negative question goes, both go, so that positives and negatives stay in
balance (supplement 3.4.2: negatives alone hurt). In this order:

    picture           the picture is not there, or broken; the whole record
    leak              the picture is one of MMVU's test set (the whole record), or a question is, word for word
    refusal           an answer holds a phrase of a refusal (`wording.REFUSALS`)
    near_duplicate    of one picture: a question of the same sign is like an earlier one
    duplicate_across  of several pictures: questions and answers of both signs together are like those of an earlier
                      pair, which has been said often enough (`Rules.repeats`)
    unpaired          a question without its partner, where balance is asked for
    share             there are too many of its type

"like": Jaccard index of the sets of words (`wording.likeness`), 0.9 and more. Words that tell a picture from another
("red", "three") thus keep short questions apart, since one of ten words is enough.

As the authors do it (`Rules.authors`): their list of phrases, upper and lower case told apart; the one question with
its answer goes, and its partner stays; nothing else is searched for. Leaks go all the same.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.io.files import replacing
from judge.io.image_paths import ImageRefused
from mmvu_tasks.train.leakage import Tests
from mmvu_tasks.train.pairs import PairedRecord, Turn, read_pairs
from mmvu_tasks.train.pictures import see_picture
from mmvu_tasks.train.wording import AUTHORS, REFUSALS, TYPES, Likenesses, likeness, question_type, refusal, words

DROPPED = "dropped.jsonl"


@dataclasses.dataclass(frozen=True)
class Rules:
    """What is kept. near: likeness from which texts are one. repeats: how many pictures may have one and the same pair.
    balance: questions without a partner go. shares: the most of a type, of all pairs that are kept. seed: of which go
    then."""

    authors: bool = False
    near: float = 0.9
    repeats: int = 3
    balance: bool = False
    shares: Mapping[str, float] = dataclasses.field(default_factory=dict)
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Pair:
    """The n-th questions of a record; None for one without a partner."""

    number: int
    positive: Turn | None
    negative: Turn | None

    @property
    def turns(self) -> list[Turn]:
        """Those there are."""
        return [turn for turn in (self.positive, self.negative) if turn is not None]

    @property
    def words(self) -> tuple[str, ...]:
        """Of all its questions and answers."""
        return tuple(word for turn in self.turns for word in words(f"{turn.question} {turn.answer}"))

    @property
    def type(self) -> str:
        """Of its positive question, where it has one."""
        return question_type(self.turns[0].question)


def pairs_of(record: PairedRecord) -> list[Pair]:
    """Its pairs; its questions alone, where there are not as many of both signs."""
    if record.matched:
        return [Pair(number, *both) for number, both in enumerate(record.matched)]
    lone = [Pair(number, turn, None) for number, turn in enumerate(record.positives)]
    return lone + [Pair(number, None, turn) for number, turn in enumerate(record.negatives)]


def filter_pairs(source: Path, target: Path, rules: Rules, root: Path, tests: Tests | None) -> Counter[str]:
    """Write what is kept of `source` to `target`, and beside it what goes; how many pairs went, by reason.

    root: folder of the pictures. tests: None where leaks are not looked for; pictures are then not opened. Raises
    UserError, and OSError for what cannot be written.
    """
    counts: Counter[str] = Counter()
    if not rules.authors:
        for record in read_pairs(source):
            for pair in pairs_of(record):
                counts.update(set(pair.words))
    sieve = _Sieve(rules, root, tests, Likenesses(rules.near, counts))
    over = _over_shares(source, sieve, rules) if rules.shares else frozenset()
    sieve = _Sieve(rules, root, tests, Likenesses(rules.near, counts))
    dropped: Counter[str] = Counter()
    with replacing(target) as good, replacing(target.with_name(DROPPED)) as bad:
        for record in read_pairs(source):
            kept: list[Pair] = []
            for pair, why in sieve.judged(record):
                if why is None and (record.id, pair.number, pair.positive is None) in over:
                    why = _Why("share", f"too many questions of the type {pair.type}")
                if why is not None:
                    dropped[why.reason] += 1
                    row = {"id": record.id, "image": record.image, "number": pair.number, **why.to_json()}
                    bad.write(json.dumps(row) + "\n")
                pair = why.left(pair) if why is not None else pair
                if pair.turns:
                    kept.append(pair)
            if kept:
                good.write(json.dumps(_record(record, kept).to_json()) + "\n")
    return dropped


@dataclasses.dataclass(frozen=True)
class _Why:
    reason: str
    note: str
    sign: str | None = None
    """The question that goes alone; None where the pair does."""

    def to_json(self) -> dict[str, Any]:
        return {"sign": self.sign, "reason": self.reason, "note": self.note}

    def left(self, pair: Pair) -> Pair:
        return Pair(
            pair.number,
            pair.positive if self.sign == "NEG" else None,
            pair.negative if self.sign == "POS" else None,
        )


class _Sieve:
    """Says of every pair whether it stays; pairs must come in the order of the file."""

    def __init__(self, rules: Rules, root: Path, tests: Tests | None, across: Likenesses) -> None:
        self._rules, self._root, self._tests, self._across = rules, root, tests, across
        self._pictures: dict[str, _Why | None] = {}
        self._said: Counter[str] = Counter()

    def judged(self, record: PairedRecord) -> Iterator[tuple[Pair, _Why | None]]:
        """(pair, why it goes or None) of every pair."""
        if (wrong := self._picture(record.image)) is not None:
            yield from ((pair, wrong) for pair in pairs_of(record))
            return
        before: list[Pair] = []
        for pair in pairs_of(record):
            why = self._why(pair, before, f"{record.id} pair {pair.number}")
            if why is None:
                before.append(pair)
            yield pair, why

    def _why(self, pair: Pair, before: Sequence[Pair], name: str) -> _Why | None:
        signed = [(sign, turn) for sign, turn in (("POS", pair.positive), ("NEG", pair.negative)) if turn]
        for _, turn in signed:  # before refusals, of which the authors' way leaves the partner
            if self._tests is not None and (found := self._tests.leak_of_question(turn.question)):
                return _Why("leak", found)
        for sign, turn in signed:
            phrases = AUTHORS if self._rules.authors else REFUSALS
            if found := refusal(turn.answer, phrases, any_case=not self._rules.authors):
                alone = sign if self._rules.authors and len(signed) == 2 else None
                both = alone and refusal(signed[1][1].answer, phrases, any_case=False) and sign == "POS"
                return _Why("refusal", f'the answer says "{found}"', None if both else alone)
        if self._rules.authors:
            return None
        for earlier in before:
            for mine, theirs in ((pair.positive, earlier.positive), (pair.negative, earlier.negative)):
                if mine and theirs and likeness(words(mine.question), words(theirs.question)) >= self._rules.near:
                    return _Why("near_duplicate", f"like pair {earlier.number}: {theirs.question[:80]}")
        if self._rules.balance and len(signed) < 2:
            return _Why("unpaired", "its partner is not there")
        if (like := self._across.add_unless_like(pair.words, name)) is not None:
            self._said[like] += 1
            if self._said[like] >= self._rules.repeats:
                return _Why("duplicate_across", f"like {like}")
        return None

    def _picture(self, name: str) -> _Why | None:
        if self._tests is None:
            return None
        if name not in self._pictures:
            try:
                found = self._tests.leak_of_picture(see_picture(self._root, name))
                self._pictures[name] = _Why("leak", found) if found else None
            except ImageRefused as refused:
                self._pictures[name] = _Why("picture", refused.message)
        return self._pictures[name]


Named = tuple[str, int, bool]
"""A pair: the record's id, its number, whether it has no positive question."""


def _over_shares(source: Path, sieve: _Sieve, rules: Rules) -> frozenset[Named]:
    """The pairs that go since there are too many of their type, by the order of their hashes."""
    of_type: dict[str, list[tuple[str, Named]]] = {name: [] for name in TYPES}
    for record in read_pairs(source):
        for pair, why in sieve.judged(record):
            if why is None:
                named = (record.id, pair.number, pair.positive is None)
                order = hashlib.sha256(json.dumps([rules.seed, *named]).encode()).hexdigest()
                of_type[pair.type].append((order, named))
    most = capped({name: len(found) for name, found in of_type.items()}, rules.shares)
    return frozenset(named for name, found in of_type.items() for _, named in sorted(found)[most[name] :])


def capped(counts: Mapping[str, int], shares: Mapping[str, float]) -> dict[str, int]:
    """How many of each type stay so that no type has more than its share of all that stay, as many as can be."""
    left = dict(counts)
    while True:
        total = sum(left.values())
        # of n with a share s, s/(1 - s) times the others may stay
        over = [name for name, share in shares.items() if left[name] > share * total + 1e-9]
        if not over:
            return left
        for name in over:
            others = sum(left.values()) - left[name]
            left[name] = min(left[name], int(shares[name] / (1 - shares[name]) * others + 1e-9))


def _record(record: PairedRecord, kept: Iterable[Pair]) -> PairedRecord:
    pairs = list(kept)
    return PairedRecord(
        record.id,
        record.image,
        tuple(pair.positive for pair in pairs if pair.positive),
        tuple(pair.negative for pair in pairs if pair.negative),
        paired=all(len(pair.turns) == 2 for pair in pairs),
    )

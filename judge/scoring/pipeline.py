"""From answers to verdicts: assess → look up → judge what is missing → journal.

    run(benchmark, answers, dataset, engine, rubric, "strict", signature, journal)  ->  [Verdict, …]  one an answer

Rules decide first; what they leave goes to the engine, once per distinct request (its words and its pictures' files),
in whatever order the engine likes. Every verdict is in the journal before the next one is waited for. An adapter that
has requests of its own calls `judge_requests`.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

import judge
from judge.core import score_text
from judge.core.benchmark import Answer, Benchmark, Dataset, Profile, Source
from judge.core.request import Request
from judge.core.rubric import Rubric
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.engines import Completion, Engine, Prompt
from judge.errors import UserError
from judge.scoring.journal import Journal, rule_key
from judge.scoring.keys import KeysBesides, request_keys

DEFAULT_JUDGE = "MMIE/MMIE-Score"
JUDGE_VARIABLE = "MMJUDGE_JUDGE"
RUBRIC_FILE = "mmjudge.json"
"""A judge folder may hold this file, `{"rubric": "mmjudge"}`: the name of the rubric that the judge was trained on."""


def default_judge() -> str:
    """`$MMJUDGE_JUDGE`, else the published judge."""
    return os.environ.get(JUDGE_VARIABLE) or DEFAULT_JUDGE


def default_rubric(judge: str) -> str:
    """The rubric a judge was trained on: what its folder's `mmjudge.json` names, else "official"."""
    file = Path(judge) / RUBRIC_FILE
    if not file.is_file():
        return "official"
    try:
        name = json.loads(file.read_text(encoding="utf-8"))["rubric"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"no rubric named ({error})", file=file, fix='write {"rubric": "mmjudge"} or delete it'
        ) from error
    return str(name)


def make_signature(
    benchmark: Benchmark,
    source: Source | None,
    profile: Profile,
    rubric: Rubric | None = None,
    identity: Mapping[str, str] | None = None,
) -> Signature:
    """Everything that fixes a number, in one order. source None: no data was looked at (a replay).

    rubric and identity (`Engine.identity`) belong to judged benchmarks only; a rule has no judge, rubric or profile.
    """
    parts = {"benchmark": benchmark.name}
    if source is not None:
        parts |= {"edition": source.edition, "data": f"{source.repo}@{source.revision}"}
    if benchmark.judged:
        parts["profile"] = profile
        if rubric is not None:
            parts["rubric"] = f"{rubric.name}@{rubric.sha256[:8]}"
        parts |= {**(identity or {}), "parse": score_text.VERSION}
    parts |= {**benchmark.signature_parts(profile), "version": judge.__version__}
    return Signature({name: value.replace("|", "_").replace("\n", " ") for name, value in parts.items()})


def run(
    benchmark: Benchmark,
    answers: Sequence[Answer],
    dataset: Dataset | None,
    engine: Engine | None,
    rubric: Rubric | None,
    profile: Profile,
    signature: Signature,
    journal: Journal,
    *,
    retry_unscored: bool = False,
    progress: bool = True,
) -> list[Verdict]:
    """One verdict for every answer, in their order. engine None: a benchmark whose rules decide everything.

    Raises UserError for answers that do not fit the data and for a journal that holds other questions, and whatever
    ends the engine; the journal then has all that was decided.
    """
    bare = engine is not None and not engine.reads
    assessed = benchmark.assess(answers, dataset, profile, bare=bare)
    strangers = sorted({name for name, _ in journal.questions()} - {item.id for item in assessed})
    if strangers:
        raise UserError(
            f"holds {len(strangers)} verdicts about questions that are not answered now, first {strangers[0]!r}",
            file=journal.path,
            fix="one folder is for one set of answers: give another --out",
        )
    verdicts: list[Verdict | None] = [None] * len(assessed)
    requests: list[tuple[int, Request]] = []
    for position, item in enumerate(assessed):
        if isinstance(item, Request):
            requests.append((position, item))
        else:
            verdicts[position] = journal.record(dataclasses.replace(item, key=rule_key(item, signature)))
    if requests:
        if engine is None:
            raise UserError(f"{len(requests)} answers need a judge", fix="give --judge")
        judged = judge_requests(
            [request for _, request in requests],
            engine,
            rubric,
            profile,
            signature,
            journal,
            retry_unscored=retry_unscored,
            progress=progress,
        )
        for number, verdict in judged:
            verdicts[requests[number][0]] = verdict
    return [verdict for verdict in verdicts if verdict is not None]


def judge_requests(
    requests: Sequence[Request],
    engine: Engine,
    rubric: Rubric | None,
    profile: Profile,
    signature: Signature,
    journal: Journal,
    *,
    retry_unscored: bool = False,
    progress: bool = False,
) -> Iterator[tuple[int, Verdict]]:
    """Yield (position in `requests`, verdict) once for every request: first what the journal knows, then as judged.

    What an earlier run left without a score stands, unless the engine had failed. retry_unscored: judge all of that
    again. rubric: needed by an engine that reads. A request whose picture changes before its verdict is there is
    unscored, `engine_error`, and judged again by the next run.
    """

    def settled(key: str) -> Verdict | None:
        known = journal.get(key)
        again = known is None or not known.stands or (retry_unscored and known.unscored is not None)
        return None if again else known

    alike: dict[Hashable, list[int]] = {}
    for position, request in enumerate(requests):
        alike.setdefault(_content(request, engine), []).append(position)
    answered = {name for name, _ in journal.questions()}
    seen = [positions for positions in alike.values() if any(requests[p].id in answered for p in positions)]
    keys = request_keys([requests[positions[0]] for positions in seen], engine, rubric, signature)
    reading = tqdm(keys, "reading", total=len(seen), disable=not progress, delay=2, leave=False)
    for positions, key in zip(seen, reading, strict=True):
        if (known := settled(key)) is not None:
            del alike[_content(requests[positions[0]], engine)]
            for position in positions:
                yield position, journal.record(_about(requests[position], known))
    if not alike:
        return
    places = list(alike.values())
    prompts = [_prompt(requests[positions[0]], rubric, engine) for positions in places]
    waiting = set(range(len(prompts)))
    known_already = len(requests) - sum(map(len, places))
    with (
        tqdm(total=len(requests), initial=known_already, desc="judging", disable=not progress, delay=1) as bar,
        KeysBesides([prompt.request for prompt in prompts], engine, rubric, signature) as keys_besides,
    ):
        for number, completion in engine.complete(prompts):
            waiting.remove(number)
            key, changed = keys_besides[number], keys_besides.changed(number)
            if changed is not None:
                completion = Completion(None, unscored="engine_error", note=f"{changed} changed while it was judged")
            # files of other names may hold the same bytes: one key, one verdict
            known = settled(key) if changed is None else None
            verdict = known or _decide(prompts[number].request, completion, profile, key)
            for position in places[number]:
                yield position, journal.record(_about(requests[position], verdict))
            bar.update(len(places[number]))
    if waiting:
        raise RuntimeError(f"the engine left {len(waiting)} of {len(prompts)} requests without a completion")


def _content(request: Request, engine: Engine) -> Hashable:
    """What tells a request from others before its pictures are read."""
    if not engine.reads:
        return request.id
    return request.category, request.question, request.answer, request.gt_answer


def _prompt(request: Request, rubric: Rubric | None, engine: Engine) -> Prompt:
    return Prompt(request, rubric.render(request) if engine.reads and rubric is not None else ())


def _decide(request: Request, completion: Completion, profile: Profile, key: str) -> Verdict:
    score, reason, feedback = None, completion.unscored, completion.text
    if reason is None:
        score, reason = score_text.parse_score(feedback or "", stopped=completion.stopped, profile=profile)
    probs = completion.score_probs
    return Verdict(
        id=request.id,
        by="judge",
        score=score,
        unscored=reason,
        category=request.category,
        feedback=feedback,
        score_probs=probs if probs is not None and all(map(math.isfinite, probs)) else None,
        details={} if completion.note is None else {"note": completion.note},
        key=key,
    )


def _about(request: Request, verdict: Verdict) -> Verdict:
    """`verdict` as the decision about `request`; requests with the same content share one."""
    note = {name: value for name, value in verdict.details.items() if name == "note"}
    return dataclasses.replace(verdict, id=request.id, category=request.category, details={**request.details, **note})

"""`mmjudge agree --pairs FILE VERDICTS…`: how often judges choose, of two answers, the one that people chose.

    mmjudge agree --pairs mmrb2 --write-answers mmrb2/                        the answers, for `mmjudge score`
    mmjudge score mmrb2/answers.json --benchmark mmie --out out/mine
    mmjudge agree --pairs mmrb2 mine=out/mine gpt=gpt_judgements.json         accuracy, beside baselines and published

FILE: JSON lines (`judge.io.preferences`), a JSON file of MMRB2, or `mmrb2[@REVISION]` for its pairs on the Hub. A judge
is a results folder (each answer was judged alone, the higher score is the choice, a tie counts half) or a file of
judgements by one that saw both answers. `--out DIR` writes DIR/preferences.json.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from judge.commands import options
from judge.commands.output import write_output
from judge.core.foreign_text import on_one_line
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.io.pairs import Pairs, read_pairs
from judge.io.preferences import holds_judgements, read_judgements, write_answers
from judge.io.progress import MOMENT, doing
from judge.results.run_info import versions
from judge.validity.baselines import ClipScore
from judge.validity.pairing import read_verdicts_with_signature, split_model
from judge.validity.preference_report import Said, report_preferences
from judge.validity.preferences import ScoredAnswers, compare_scores, match_verdicts
from judge.validity.resampling import Resampling

FILE = "preferences.json"
WIDTH = 110
NAMED = 3
"""How many names an error lists."""
OF_PAIRS = ("write_answers", "category", "partial")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that go with --pairs."""
    add = parser.add_argument
    add(
        "--pairs", metavar="FILE", help="people's choices between two answers: JSON lines, MMRB2's JSON, or mmrb2[@REV]"
    )
    add(
        "--write-answers", type=Path, metavar="DIR", help="with --pairs: write its answers for `mmjudge score`, and end"
    )
    add("--category", metavar="NAME", help="with --write-answers: whose rubric the answers are judged by")
    add("--partial", action="store_true", help="with --pairs: leave out pairs with an answer that has no verdict")


def refuse_without_pairs(args: argparse.Namespace) -> None:
    """Raise UserError for an option that means something with --pairs only."""
    if given := [f"--{name.replace('_', '-')}" for name in OF_PAIRS if getattr(args, name)]:
        raise UserError(f"{', '.join(given)} only goes with --pairs", fix="give --pairs FILE, or leave it out")


def run(args: argparse.Namespace) -> int:
    if args.write_answers is not None:
        return _write(args)
    if args.beside or args.category:
        raise UserError("--beside and --category mean nothing here", fix="name every judge: NAME=VERDICTS")
    if not args.verdicts:
        raise UserError("no judge is given", fix="give results folders, or --write-answers DIR to have answers judged")
    given = read_pairs(args.pairs, args.image_root)
    judges, pairwise = _judges(args.verdicts, given, partial=args.partial)
    with doing(f"resampling the questions {args.resamples:,} times", after=MOMENT):
        content = report_preferences(
            given,
            judges,
            pairwise=pairwise,
            clip=ClipScore(args.clip) if args.clip else None,
            resampling=Resampling(args.resamples, args.seed),
        )
    content["versions"] = versions(("torch", "transformers") if args.clip else ())
    print("\n".join(_text(content)))
    if args.out is not None:
        print(f"\n{write_output(args.out / FILE, content)}")
    return 0


def _write(args: argparse.Namespace) -> int:
    """Write the answers of the pairs, and print the commands that come next."""
    if args.verdicts:
        raise UserError("--write-answers ends before any verdict is read", fix="leave out --write-answers or VERDICTS")
    benchmark = options.judged_benchmark(argparse.Namespace(benchmark=None))
    category = args.category or benchmark.categories[0]
    if category not in benchmark.categories:
        raise UserError(f"--category {category}: {benchmark.title} has {', '.join(benchmark.categories)}")
    given = read_pairs(args.pairs, args.image_root, args.write_answers)
    file, n, without = write_answers(given.pairs, args.write_answers, category)
    if without:
        print(
            f"{without} of {n} answers have no question in {args.pairs}: a judge would read them without it, and only "
            "recorded feedback can be replayed for them",
            file=sys.stderr,
        )
    root = [] if given.root.resolve() == args.write_answers.resolve() else ["--image-root", str(given.root)]
    score = ["mmjudge", "score", str(file), "--benchmark", benchmark.name, *root, "--out", "RESULTS"]
    source = given.source.partition("@")[2] if args.pairs.partition("@")[0] == "mmrb2" else None
    pairs = f"mmrb2@{source}" if source and not Path(args.pairs).exists() else args.pairs
    print(f"{file}: {n} answers of {len(given.pairs)} pairs, to be judged by the rubric of {category}")
    print(f"→ {shlex.join(score)}")
    print(f"→ {shlex.join(['mmjudge', 'agree', '--pairs', pairs, 'RESULTS'])}")
    return 0


def _judges(words: list[str], given: Pairs, *, partial: bool) -> tuple[dict[str, ScoredAnswers], dict[str, Said]]:
    """Scores and judgements by the judge's name: as given, else its folder's. Several of one name belong together."""
    verdicts: dict[str, list[Verdict]] = {}
    signatures: dict[str, Signature | None] = {}
    pairwise: dict[str, Said] = {}
    for word in words:
        given_name, path = split_model(word)
        if holds_judgements(path):
            name = given_name or path.stem
            if name in pairwise or name in verdicts:
                raise UserError(f"a second judge called {name!r}", file=path, fix="give it another name: NAME=FILE")
            pairwise[name] = _judgements(path, given, partial=partial)
            continue
        name = given_name or (path if path.is_dir() else path.parent).absolute().name
        some, own = read_verdicts_with_signature(path)
        before = signatures.setdefault(name, own)
        if name in pairwise or (before is not None and own is not None and before.differences(own)):
            raise UserError(f"a second judge called {name!r}", file=path, fix="give it another name: NAME=VERDICTS")
        before_these = {verdict.id for verdict in verdicts.setdefault(name, [])}
        if twice := [verdict.id for verdict in some if verdict.id in before_these]:
            raise UserError(
                f"{len(twice)} answers have another verdict by {name!r} already: {_some(twice)}",
                file=path,
                fix="give a second judge another name: NAME=VERDICTS",
            )
        verdicts[name].extend(some)
    scored = {name: match_verdicts(given.pairs, some, signatures[name]) for name, some in verdicts.items()}
    for name, judge in scored.items():
        _refuse_undecided(name, judge, given, partial=partial)
    return scored, pairwise


def _refuse_undecided(name: str, judge: ScoredAnswers, given: Pairs, *, partial: bool) -> None:
    """Raise UserError where answers have no verdict, `partial` aside, and where no pair has two scores."""
    judged = len(judge.scores) + len(judge.unscored)
    if judge.missing and (not partial or not judged):
        raise UserError(
            f"{name}: {len(judge.missing)} of {judged + len(judge.missing)} answers of the pairs have no verdict: "
            f"{_some(judge.missing)}",
            fix="judge all that --write-answers writes, or add --partial to leave their pairs out",
        )
    if all(one is None for one in compare_scores(given.pairs, judge.scores)):
        reasons = ", ".join(f"{count} {reason}" for reason, count in Counter(judge.unscored.values()).items())
        raise UserError(
            f"{name}: no pair has two answers with a score{f'; without one: {reasons}' if reasons else ''}",
            fix="mmjudge score … --retry-unscored judges those answers again",
        )


def _judgements(path: Path, given: Pairs, *, partial: bool) -> Said:
    found = read_judgements(path)
    known, judged = {pair.id for pair in given.pairs}, {name for name, _ in found}
    for problem, names in (("are not among the pairs", judged - known), ("have no judgement", known - judged)):
        if names and (problem != "have no judgement" or not partial):
            raise UserError(
                f"{len(names)} pairs {problem}: {_some(sorted(names))}",
                file=path,
                fix="give the judgements on these pairs; --partial leaves out pairs without one",
            )
    return found


def _some(names: list[str] | Any) -> str:
    return ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")


def _text(content: Mapping[str, Any]) -> Iterator[str]:
    """preferences.json for a terminal."""
    pairs = content["pairs"]
    yield (
        f"{pairs['n']} pairs of {pairs['answers']} answers to {pairs['questions']} questions by {pairs['systems']} "
        f"systems ({pairs['source']})"
    )
    yield ""
    yield f"{'accuracy, %':<26}{'value':>8}{'95% interval':>18}{'n':>7}{'ties':>7}{'undecided':>11}"
    for name, judge in content["judges"].items():
        yield _row(name, judge["accuracy"], f"{_share(judge['ties']['rate']):>7}{judge['undecided']['n']:>11}")
        if judge["expected"] is not None:
            yield _row(
                "  by expected score", judge["expected"]["accuracy"], f"{_share(judge['expected']['ties']['rate']):>7}"
            )
    for name, judge in content["pairwise"].items():
        yield _row(name, judge["accuracy"])
    for name, baseline in content["baselines"].items():
        yield _row(f"({name})", baseline["accuracy"], f"{'':>7}{baseline['undecided']:>11}")
    for name, judge in content["pairwise"].items():
        yield ""
        yield f"{name}, which saw both answers"
        for row in ("forward", "reverse", "consistency", "first_shown"):
            yield _row(f"  {row.replace('_', ' ')}", judge[row])
    for name, judge in content["judges"].items():
        yield from _by(name, judge)
    if content["published"] is not None:
        yield from _published(content["published"])
    yield ""
    for sentence in content["findings"]:
        yield from textwrap.wrap(f"- {sentence}", WIDTH, subsequent_indent="  ")
    for name, judge in content["judges"].items():
        yield f"signature of {name}: {judge['signature'] or 'none'}"


def _by(name: str, judge: Mapping[str, Any]) -> Iterator[str]:
    for title, rows in (
        ("source", judge["by"]["source"]),
        ("systems", judge["by"]["systems"]),
        ("points between both scores", judge["by"]["difference"]),
    ):
        if rows:
            yield ""
            yield f"{name}, by {title}"
            for label, estimate in rows.items():
                yield _row(f"  {label}", estimate)
    best = judge["best_of_n"]
    yield ""
    yield f"{name}, best of n: how often its best answer is people's"
    for n, row in best.items():
        if row["hits"]["n"]:
            yield _row(f"  {'all' if n == 'all' else f'of {n}'}", row["hits"], f"   chance {row['chance']:.1f}")
    systems = judge["systems"]
    if systems["systems"]:
        yield ""
        yield f"{name}, systems over {systems['pairs']} pairs of two: % of pairs won"
        yield f"  {'':<34}{'people':>8}{'judge':>8}{'mean score':>12}{'pairs':>7}"
        for system, row in sorted(systems["systems"].items(), key=lambda item: -item[1]["people"]):
            mean = "-" if row["mean_score"] is None else f"{row['mean_score']:.2f}"
            numbers = f"{row['people']:>8.1f}{row['judge']:>8.1f}{mean:>12}{row['pairs']:>7}"
            yield f"  {on_one_line(system)[:33]:<34}{numbers}"
        yield f"  Kendall's tau-b {_plain(systems['kendall_b'])}, Spearman {_plain(systems['spearman'])}"


def _published(table: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield from textwrap.wrap(f"published ({table['source']}): {table['title']}. {table['protocol']}", WIDTH)
    yield f"  {'':<24}" + "".join(f"{column:>17}" for column in table["columns"])
    for name, values in table["judges"].items():
        yield f"  {name:<24}" + "".join(f"{value:>17.1f}" for value in values)
    yield f"  {table['humans']}"


def _row(name: str, estimate: Mapping[str, Any], rest: str = "") -> str:
    name = f"{name[: len(name) - len(name.lstrip())]}{on_one_line(name.strip())}"
    label = f"{name:<26}" if len(name) < 26 else f"{name}\n{'':<26}"
    if estimate["value"] is None:
        return f"{label}{'-':>8}{'-':>18}{estimate['n']:>7}{rest}".rstrip()
    interval = f"[{estimate['ci_low']:.1f}, {estimate['ci_high']:.1f}]"
    return f"{label}{estimate['value']:>8.1f}{interval:>18}{estimate['n']:>7}{rest}".rstrip()


def _plain(estimate: Mapping[str, Any]) -> str:
    if estimate["value"] is None:
        return "-"
    interval = "-" if estimate["ci_low"] is None else f"{estimate['ci_low']:.2f}, {estimate['ci_high']:.2f}"
    return f"{estimate['value']:.2f} [{interval}]"


def _share(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.1f}%"

"""Keys that are made beside the judging, and pictures that change meanwhile."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections.abc import Callable
from operator import itemgetter

import pytest
from toy import RUBRIC, HashJudge
from toy_runs import TEXTS, TOY, answers, scored

from judge.core.request import Picture, Request, Text
from judge.engines import Completion
from judge.scoring import grader as grader_module
from judge.scoring.background_keys import BackgroundKeys, request_keys
from judge.scoring.grader import Grader
from judge.scoring.journal import Journal
from judge.scoring.keys import request_key
from judge.scoring.pipeline import judge_requests, make_signature


@pytest.fixture
def path(tmp_path):
    return tmp_path / "verdicts.jsonl"


def test_judging_does_not_wait_for_keys_that_nothing_is_looked_up_by(path, monkeypatch):
    begun = threading.Event()

    class Beginning(HashJudge):
        def complete(self, prompts):
            begun.set()
            yield from super().complete(prompts)

    def late(*args):
        assert begun.wait(60), "a key was made before the engine began"
        return request_key(*args)

    monkeypatch.setattr(grader_module, "request_key", late)
    verdicts = scored(path, answers(TEXTS), Beginning())
    monkeypatch.undo()
    assert verdicts == scored(path.with_name("other.jsonl"), answers(TEXTS), HashJudge())


def test_keys_asked_for_by_the_engines_order_are_the_requests(tmp_path):
    """Whoever makes a key, the thread or who asks first, it is the same."""
    requests = [Request(f"r{n}", "T", (Text("Why?"),), (Text(str(n)),)) for n in range(50)]
    signature = make_signature(TOY, None, "strict", RUBRIC, HashJudge().identity)
    expected = [request_key(request, RUBRIC.templates["T"], signature) for request in requests]
    grader = Grader(HashJudge(), RUBRIC, "strict", signature)
    assert list(request_keys(requests, grader)) == expected
    with BackgroundKeys(requests, grader) as found:
        assert [found[n] for n in reversed(range(50))] == expected[::-1]


@dataclasses.dataclass
class Meddled(HashJudge):
    """Something happens to a file while the first answer is judged. The judge does not look at its pictures."""

    meddle: Callable[[], object] = lambda: None

    def complete(self, prompts):
        for count, item in enumerate(super().complete(prompts)):
            if count == 0:
                self.meddle()
            yield item

    def _completion(self, prompt):
        return Completion("### Feedback\nFine.\n### Score\n4")


TICK = 0.05
"""Seconds after which the clock of the file system shows another time."""


def pictured(root, *names):
    return [Request(f"r{name[0]}", "T", (Text("Why?"),), (Picture(root / name, name),)) for name in names]


@pytest.mark.parametrize("change", ["written", "written and its time kept", "removed", "appeared"])
def test_a_picture_that_changes_while_it_is_judged_gives_no_verdict_a_wrong_key(path, tmp_path, change):
    picture, hidden = tmp_path / "a.png", tmp_path / "hidden"
    (tmp_path / "b.png").write_bytes(b"fine")
    (hidden if change == "appeared" else picture).write_bytes(b"first")

    def meddle():
        if change == "written":
            picture.write_bytes(b"other")  # as long as before
            os.utime(picture, ns=(1, 1))
        elif change == "written and its time kept":
            time.sleep(TICK)
            before = picture.stat()
            picture.write_bytes(b"other")
            os.utime(picture, ns=(before.st_atime_ns, before.st_mtime_ns))
        elif change == "removed":
            picture.unlink()
        else:
            hidden.rename(picture)

    def judged(engine):
        signature = make_signature(TOY, None, "strict", RUBRIC, engine.identity)
        with Journal(path) as journal:
            found = judge_requests(
                pictured(tmp_path, "a.png", "b.png"), Grader(engine, RUBRIC, "strict", signature), journal
            )
            return [verdict for _, verdict in sorted(found, key=itemgetter(0))]

    first, second = judged(Meddled(meddle=meddle))
    assert (first.score, first.unscored) == (None, "engine_error")
    assert first.details["note"] == "a.png changed while it was judged"
    assert second.score == 4
    again = Meddled()
    assert [verdict.score for verdict in judged(again)] == [4, 4]
    assert again.asked == ["ra"]  # the same command judges that one anew, and no other


def test_a_picture_that_another_run_links_to_while_it_is_judged_has_not_changed(tmp_path):
    """A results folder holds links to pictures: making one changes the time of the inode, and no byte."""
    (tmp_path / "a.png").write_bytes(b"first")
    (request,) = pictured(tmp_path, "a.png")
    signature = make_signature(TOY, None, "strict", RUBRIC, HashJudge().identity)
    grader = Grader(HashJudge(), RUBRIC, "strict", signature)
    with BackgroundKeys([request], grader) as keys:
        while 0 not in keys._made:
            time.sleep(TICK)
        time.sleep(TICK)
        before = (tmp_path / "a.png").stat()
        os.link(tmp_path / "a.png", tmp_path / "link.png")
        assert (tmp_path / "a.png").stat().st_ctime_ns != before.st_ctime_ns
        assert keys.changed(0) is None
        time.sleep(TICK)
        (tmp_path / "a.png").write_bytes(b"other")
        os.utime(tmp_path / "a.png", ns=(before.st_atime_ns, before.st_mtime_ns))
        assert keys.changed(0) == "a.png"


@pytest.mark.parametrize(("meddle", "changed"), [("a link", None), ("its mode", "a.png"), ("its bytes", "a.png")])
def test_a_link_that_is_made_before_a_picture_is_hashed_is_no_change(tmp_path, meddle, changed):
    """What else changes the time of an inode may have changed bytes that the judge has read and nobody hashed."""
    picture = tmp_path / "a.png"
    picture.write_bytes(b"first")
    (request,) = pictured(tmp_path, "a.png")
    signature = make_signature(TOY, None, "strict", RUBRIC, HashJudge().identity)
    keys = BackgroundKeys([request], Grader(HashJudge(), RUBRIC, "strict", signature))
    before = picture.stat()
    time.sleep(TICK)
    if meddle == "a link":
        os.link(picture, tmp_path / "link.png")
    elif meddle == "its mode":
        picture.chmod(0o600)
    else:
        picture.write_bytes(b"other")
        os.utime(picture, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert picture.stat().st_ctime_ns != before.st_ctime_ns
    with keys:
        assert keys[0]
        assert keys.changed(0) == changed

"""Programs of others, which do all that programs do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from judge.core.benchmark import find
from judge.core.request import Text
from judge.errors import UserError
from judge.systems import Drawing, Failed, Reply, Workspace
from judge.systems.pipe import PipeSettings
from judge.systems.settings import make_settings
from mmie_tasks.demo import demo_dir

BENCHMARK = find("mmie")
DATASET = BENCHMARK.load(demo_dir(), images=True)
QUESTIONS = BENCHMARK.questions(DATASET, range(4))

GOOD = """
import json, os, sys
for line in sys.stdin:
    row = json.loads(line)
    print(json.dumps({"id": row["id"], "index": row["index"], "response": f"Step {row['index']}"}), flush=True)
"""


def settings(there: Path, program: str, words: tuple[str, ...] = (), **keys: Any) -> PipeSettings:
    (there / "program.py").write_text("import json, os, signal, sys, time\n" + textwrap.dedent(program))
    values = {"kind": "pipe", "command": [sys.executable, "program.py", *words], "seconds": 20.0, **keys}
    made = make_settings(values, there / "mine.toml")
    assert isinstance(made, PipeSettings)
    return made


def answers(there: Path, program: str, words: tuple[str, ...] = (), **keys: Any) -> list[tuple[int, Reply | Failed]]:
    """What the program answers to four questions, in its order."""
    workspace = Workspace(there / "out")
    workspace.pictures.mkdir(parents=True, exist_ok=True)
    with settings(there, program, words, **keys).open(workspace) as system:
        return [(question.index, reply) for question, reply in system.answer(QUESTIONS)]


def texts(found: list[tuple[int, Reply | Failed]]) -> dict[int, str]:
    """Position → what was said, or who failed how."""
    said = {}
    for index, reply in found:
        said[index] = f"{reply.reason}: {reply.note}" if isinstance(reply, Failed) else reply.parts[0].text
    assert len(said) == len(found)
    return said


ALL = {index: f"Step {index}" for index in range(4)}


def test_a_program_answers(tmp_path):
    found = answers(tmp_path, GOOD)
    assert [index for index, _ in found] == [0, 1, 2, 3]
    assert texts(found) == ALL
    assert not (tmp_path / "out" / "pipe").exists()


def test_questions_are_sent_with_their_pictures_by_absolute_paths(tmp_path):
    program = """
    for line in sys.stdin:
        row = json.loads(line)
        sizes = [os.path.getsize(part["image"]) for part in row["question"] if part["image"]]
        said = "".join(part["text"] or "<image>" for part in row["question"])
        print(json.dumps({"id": row["id"], "index": row["index"], "response": json.dumps([said, sizes])}))
    """
    for index, reply in answers(tmp_path, program):
        said, sizes = json.loads(reply.parts[0].text)
        assert said == QUESTIONS[index].text()
        assert sizes == [picture.path.stat().st_size for picture in QUESTIONS[index].pictures]


def test_files_stand_for_input_and_output(tmp_path):
    program = """
    questions, answers, pictures = sys.argv[1:]
    assert sys.stdin.read() == ""
    with open(answers, "w") as out:
        for line in open(questions):
            row = json.loads(line)
            print(json.dumps({"id": row["id"], "index": row["index"], "response": f"Step {row['index']}"}), file=out)
            print("so far", row["index"])
        out.write('{"half a li')
    """
    assert texts(answers(tmp_path, program, ("{questions}", "{answers}", "{pictures}"))) == ALL
    assert "so far 3" in (tmp_path / "out" / "pipe.log").read_text()


def test_pictures_are_copied_with_what_is_known_of_them(tmp_path):
    Image.new("RGB", (6, 6), "red").save(tmp_path / "red.png")
    data = (tmp_path / "red.png").read_bytes()
    program = f"""
    data = open("red.png", "rb").read()
    folder = os.environ["MMJUDGE_PICTURES"]
    assert folder == sys.argv[1]
    open(folder + "/a.png", "wb").write(data)
    os.mkdir(folder + "/deep")
    open(folder + "/deep/half.png", "wb").write(data[:30])
    open(folder + "/large.png", "wb").truncate({33 << 20})
    os.symlink("/etc/hostname", folder + "/link.png")
    drawn = {{"image": "a.png", "prompt": "a red square", "seed": 7, "seconds": 1.5}}
    names = [[{{"text": "See", "image": None}}, drawn], [{{"text": "See", "image": folder + "/deep/half.png"}}],
             [{{"image": "large.png"}}], [{{"image": "link.png"}}]]
    for line in sys.stdin:
        row = json.loads(line)
        print(json.dumps({{"id": row["id"], "index": row["index"], "response": names[row["index"]]}}), flush=True)
    """
    found = dict(answers(tmp_path, program, ("{pictures}",)))
    text, drawing = found[0].parts
    assert text == Text("See")
    assert (drawing.prompt, drawing.seed, drawing.seconds) == ("a red square", 7, 1.5)
    assert drawing.path.parent == tmp_path / "out" / "pictures"
    assert drawing.path.read_bytes() == data
    assert found[0].note is None
    assert isinstance(found[1].parts[1], Drawing)
    assert found[1].note
    assert texts([(2, found[2]), (3, found[3])]) == {
        2: "image_undecodable: a picture of 33,554,433 bytes; at most 33,554,432 are kept",
        3: "call_failed: a picture of the program is not there: image name 'link.png' leaves the image root",
    }


@pytest.mark.parametrize(
    ("response", "said"),
    [
        ('"text"', "text"),
        ('"[{\\"text\\": \\"a\\", \\"image\\": \\"../../x.png\\"}]"', '[{"text": "a", "image": "../../x.png"}]'),
        ('[{"text": "a"}]', "a"),
        ("null", "no_response: the program answered null"),
        ('" "', "empty_answer: the program's answer holds neither text nor picture"),
        ("[]", "empty_answer: "),
        ('[{"text": null}, {"text": "\\n", "image": null}]', "empty_answer: "),
        ('null, "failed": {"reason": "empty_answer", "note": "blocked", "by": "painter"}', "empty_answer: blocked"),
        ('null, "failed": {"reason": "tired", "note": 3}', "no_response: the program answered null"),
        ('null, "failed": {"reason": [], "by": []}', "no_response: the program answered null"),
        ("3", 'call_failed: the program\'s line cannot be read: its line: field "response" is the number 3'),
        ('[{"text": 3}]', "call_failed: the program's line cannot be read"),
        ('[["text", "a"]]', "call_failed: a part of the program's line is not"),
        ('[{"type": "text"}, {"text": "a"}]', "call_failed: a part of the program's line is not"),
        ('[{"image": "../a.png"}]', "call_failed: a picture of the program is not there: image name '../a.png' leaves"),
        ('[{"image": "/etc/passwd"}]', "call_failed: a picture of the program is not there: image name '.../passwd'"),
        ('[{"image": "https://host/a.png"}]', "call_failed: a picture of the program is not there"),
        (
            '[{"image": "none.png"}]',
            "call_failed: a picture of the program is not there: image 'none.png' is",
        ),
    ],
)
def test_responses_of_all_kinds(tmp_path, response, said):
    program = f"""
    for line in sys.stdin:
        row = json.loads(line)
        mine = {response!r} if row["index"] == 2 else '"ok"'
        print('{{"id": %s, "index": %d, "response": %s}}' % (json.dumps(row["id"]), row["index"], mine), flush=True)
    """
    found = texts(answers(tmp_path, program))
    assert found[2].startswith(said)
    assert [found[index] for index in (0, 1, 3)] == ["ok"] * 3


def test_a_program_answers_out_of_order_twice_and_writes_nonsense(tmp_path, capsys):
    program = """
    rows = [json.loads(line) for line in sys.stdin]
    print("Loading weights …")
    print("[1, 2]")
    print("{'id': 3}")
    print('{"loss": 3}')
    print('{"id": "PBL-0", "index": 77, "response": "for nobody"}')
    print('{"index": NaN, "index": 2}')
    sys.stdout.buffer.write(b"\\xff\\xfe\\x00\\x1b[2J\\n")
    for row in reversed(rows):
        answer = {"id": row["id"], "response": f"Step {row['index']}"}
        print(json.dumps(answer))
        print(json.dumps({**answer, "response": "again"}), flush=True)
        print("done 17%", file=sys.stderr)
    """
    found = answers(tmp_path, program)
    assert [index for index, _ in found] == [3, 2, 1, 0]
    assert texts(found) == ALL
    said = capsys.readouterr().err
    assert 'id "PBL-0", index 77: no such question was asked' in said
    assert f"{QUESTIONS[3].id} (index 3) is answered again" in said
    assert "it has neither id nor index" in said
    assert "Loading weights" not in said
    assert "\x1b" not in said
    log = (tmp_path / "out" / "pipe.log").read_bytes()
    assert b"Loading weights" in log
    assert b"\xff\xfe\x00" in log
    assert b"done 17%" in log


def counted(then: str) -> str:
    """A program that counts its starts in a file and answers until `then` is true."""
    return f"""
    with open("starts", "a") as file:
        file.write("x")
    starts = os.path.getsize("starts")
    for line in sys.stdin:
        row = json.loads(line)
        index = row["index"]
        {then}
        print(json.dumps({{"id": row["id"], "index": index, "response": f"Step {{index}}"}}), flush=True)
    """


def started(folder: Path) -> int:
    return (folder / "starts").stat().st_size


def test_a_program_that_dies_once_goes_on(tmp_path, capsys):
    program = counted("if index == 2 and starts == 1: os.kill(os.getpid(), signal.SIGKILL)")
    assert texts(answers(tmp_path, program)) == ALL
    assert started(tmp_path) == 2
    assert "the program died of signal 9 (SIGKILL); 2 of 4 questions are unanswered" in capsys.readouterr().err


def test_a_question_that_kills_is_given_up(tmp_path):
    found = texts(answers(tmp_path, counted("if index == 1: sys.exit(3)")))
    assert found == {**ALL, 1: "call_failed: the program ended with exit code 3, twice at this question"}
    assert started(tmp_path) == 3


def test_a_program_that_never_works_is_given_up(tmp_path):
    found = texts(answers(tmp_path, counted("sys.exit(3)"), restarts=1))
    assert set(found.values()) == {"call_failed: the program ended with exit code 3"}
    assert len(found) == 4
    assert started(tmp_path) == 2


def test_a_program_that_hangs_is_ended(tmp_path):
    program = counted("if index == 1: os.system('sleep 60 & sleep 60')")
    before = time.monotonic()
    found = texts(answers(tmp_path, program, seconds=3.0, start_seconds=8.0))
    assert found == {**ALL, 1: "call_failed: the program gave no answer for 8 s, twice at this question"}
    assert time.monotonic() - before < 50  # two sleeps of a minute went with it


def test_a_program_that_talks_and_gives_no_answer_is_ended(tmp_path):
    program = """
    while True:
        print("17%", flush=True)
    """
    found = texts(answers(tmp_path, program, start_seconds=0.5, restarts=1))
    assert set(found.values()) <= {
        "call_failed: the program gave no answer for 0.5 s",
        "call_failed: the program gave no answer for 0.5 s, twice at this question",
    }
    assert len(found) == 4


def test_a_program_that_does_not_read(tmp_path):
    assert set(texts(answers(tmp_path, "sys.stdin.close(); sys.exit(0)")).values()) == {
        "no_response: the program ended without an answer to it"
    }


def test_a_program_that_ends_early_is_not_started_again(tmp_path):
    program = counted("if index == 2: sys.exit(0)")
    found = texts(answers(tmp_path, program))
    gone = "no_response: the program ended without an answer to it"
    assert found == {**ALL, 2: gone, 3: gone}
    assert started(tmp_path) == 1


def test_a_program_that_outlives_its_last_answer_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr("judge.systems.program.END_SECONDS", 0.2)
    program = (
        GOOD
        + "\nopen('pid', 'w').write(str(os.getpid()))\nsignal.signal(signal.SIGTERM, lambda *_: None)\ntime.sleep(60)"
    )
    before = time.monotonic()
    assert texts(answers(tmp_path, program)) == ALL
    assert time.monotonic() - before < 40
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_the_program_goes_when_nobody_asks_on(tmp_path):
    program = counted("time.sleep(60) if index else open('pid', 'w').write(str(os.getpid()))")
    workspace = Workspace(tmp_path / "out")
    workspace.pictures.mkdir(parents=True)
    with settings(tmp_path, program).open(workspace) as system:
        next(iter(system.answer(QUESTIONS)))
        pid = int((tmp_path / "pid").read_text())
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_the_program_goes_when_the_asking_process_is_killed(tmp_path):
    (tmp_path / "program.py").write_text("import os, subprocess, time\nchild = subprocess.Popen(['sleep', '300'])\n"
                                         "open('made', 'w').write(f'{os.getpid()} {child.pid}')\n"
                                         "os.rename('made', 'pids')\ntime.sleep(300)\n")  # fmt: skip
    (tmp_path / "mine.toml").write_text(f'kind = "pipe"\ncommand = ["{sys.executable}", "program.py"]\n')
    words = ["ask", "mine.toml", "--benchmark", "mmie", "--data", str(demo_dir()), "--out", "out"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    asking = subprocess.Popen([sys.executable, "-m", "judge.cli", *words], cwd=tmp_path, env=environment)
    while not (tmp_path / "pids").exists():
        assert asking.poll() is None
        time.sleep(0.05)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert all(map(alive, pids))
    asking.kill()
    asking.wait()
    for _ in range(600):
        if not any(map(alive, pids)):
            break
        time.sleep(0.05)
    assert not any(map(alive, pids))


@pytest.mark.parametrize("ends", [3, 4])
def test_a_daemon_that_keeps_the_output_open_keeps_nobody_waiting(tmp_path, monkeypatch, ends):
    monkeypatch.setattr("judge.systems.program.END_SECONDS", 0.3)
    program = f"""
    import subprocess
    daemon = subprocess.Popen(["sleep", "300"], start_new_session=True)
    open("pid", "w").write(str(daemon.pid))
    for line in sys.stdin:
        row = json.loads(line)
        if row["index"] == {ends}: break
        print(json.dumps({{"id": row["id"], "index": row["index"], "response": f"Step {{row['index']}}"}}), flush=True)
    """
    try:
        gone = dict.fromkeys(range(ends, 4), "no_response: the program ended without an answer to it")
        assert texts(answers(tmp_path, program, seconds=200.0)) == {**ALL, **gone}
        os.kill(int((tmp_path / "pid").read_text()), 0)  # it is there yet, and nobody waited for its end
    finally:
        os.kill(int((tmp_path / "pid").read_text()), 9)


def test_the_identity(tmp_path):
    made = settings(tmp_path, GOOD, files=["program.py"], model={"repo": "GAIR/Anole-7b-v0.1"}, seconds=3.0,
                    environment={"CUDA_VISIBLE_DEVICES": "1"}, command=["run", "--api-key", "abcdefgh"])  # fmt: skip
    identity = made.open(Workspace(tmp_path / "out")).identity
    assert list(identity["files"]) == ["program.py"]
    assert {**identity, "files": None} == {
        "kind": "pipe",
        "command": ["run", "--api-key", "***"],
        "model": {"repo": "GAIR/Anole-7b-v0.1"},
        "files": None,
    }
    before = identity["files"]
    (tmp_path / "program.py").write_text("else")
    assert made.open(Workspace(tmp_path / "out")).identity["files"] != before


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"command": ["no-such-program"]}, 'no-such-program: field "command": cannot be started'),
        ({"folder": "none"}, 'none: field "folder": is not a folder'),
        ({"files": ["none.py"]}, r'none\.py: field "files": cannot be read'),
        ({"command": []}, 'field "command": is .*: '),
    ],
)
def test_what_the_user_can_mend(tmp_path, keys, message):
    with pytest.raises(UserError, match=message):
        answers(tmp_path, GOOD, **keys)

"""A writer and a painter as one system: phases, what is kept, what is done again, and whose failure it is."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from folders import ROOT
from PIL import Image

from judge.core.question import Question
from judge.core.request import Picture, Text
from judge.errors import UserError
from judge.systems import Drawing, Failed, Reply, Workspace
from judge.systems.describe import Describe, Describing
from judge.systems.painters import SAME_BYTES
from judge.systems.settings import read_settings

EXAMPLES = ROOT / "examples" / "systems"
WRITTEN = {
    "q0": "Cut it.\n<picture>an apple</picture>\nPeel it.\n<picture>a pear</picture>",
    "q1": "No picture.",
    "q2": "<picture>an apple</picture>",
    "q3": "<think>nothing</think> ",
    "q4": "<picture>a tree",
}


def questions(n=5):
    return [Question(f"q{i}", i, "T", (Text(f"Ask q{i}"),)) for i in range(n)]


class Script:
    """Writes and draws as told, and notes what it is asked and when it is closed; nothing twice is open."""

    packages = ("pillow", "no-such-package")
    repeatable = SAME_BYTES

    def __init__(self, log, name="script", fails=(), colour=0):
        self.log, self.fails, self.identity = log, fails, {"kind": name, "colour": colour}
        self.colour = colour

    def write_texts(self, prompts):
        for position in reversed(range(len(prompts))):
            asked = prompts[position][0].text.rpartition("Ask ")[2]
            self.log.append(f"write {asked}")
            yield position, Failed("call_failed", "no", "writer") if asked in self.fails else WRITTEN[asked]

    def draw_pictures(self, wanted):
        for position, each in enumerate(wanted):
            self.log.append(f"draw {each.prompt}")
            number = sum(each.prompt.encode()) + each.seed
            image = Image.new("RGB", (8, 8), (number % 256, number // 256 % 256, self.colour))
            yield position, Failed("call_failed", "no paint", "painter") if each.prompt in self.fails else image, 1.5

    def close(self):
        self.log.append(f"close {self.identity['kind']}")


def system(folder, log, **options):
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    keys = {name: options.pop(name) for name in list(options) if name in Describing.model_fields}
    colour, writer_colour = options.pop("colour", 0), options.pop("writer_colour", 0)
    return Describe(
        Describing(kind="describe", **keys),
        Script(log, "writer", colour=writer_colour, **options),
        Script(log, "painter", colour=colour, **options),
        Workspace(folder),
    )


def answers(folder, log, n=5, **options):
    replies = dict(system(folder, log, **options).answer(questions(n)))
    return {question.id: reply for question, reply in replies.items()}


def shown(reply):
    return [part.text if isinstance(part, Text) else (part.prompt, part.seconds) for part in reply.parts]


def test_all_texts_then_all_pictures_and_never_two_models(tmp_path):
    log = []
    replies = answers(tmp_path, log)
    drawn = ["draw an apple", "draw a pear", "draw an apple", "draw a tree"]
    writing = [f"write q{n}" for n in (4, 3, 2, 1, 0)]
    assert log[:6] == [*writing, "close writer"]
    assert sorted(log[6:10]) == sorted(drawn)
    assert log[10:] == ["close writer", "close painter"]
    assert shown(replies["q0"]) == ["Cut it.", ("an apple", 1.5), "Peel it.", ("a pear", 1.5)]
    assert replies["q1"] == Reply((Text("No picture."),))
    assert replies["q3"] == Failed("empty_answer", "the writer wrote nothing", "writer")
    assert shown(replies["q4"]) == [("a tree", 1.5)]
    pictures = [part for reply in (replies["q0"], replies["q2"], replies["q4"]) for part in reply.parts]
    pictures = [part for part in pictures if isinstance(part, Drawing)]
    assert len({part.path for part in pictures}) == 4  # the apple of another question has a seed of its own
    assert all(part.path.parent == tmp_path / "pictures" and part.path.is_file() for part in pictures)


def test_an_answer_without_pictures_is_given_before_any_is_drawn(tmp_path):
    log = []
    going = system(tmp_path, log).answer(questions())
    ids = [next(going)[0].id, next(going)[0].id]
    assert ids == ["q3", "q1"]
    assert not any(line.startswith("draw") for line in log)


def test_a_second_run_asks_and_draws_nothing(tmp_path):
    first = answers(tmp_path, [])
    log = []
    assert answers(tmp_path, log) == first
    assert log == ["close writer", "close writer", "close painter"]
    assert answers(tmp_path, log, n=6 - 1, seed=0) == first


def test_two_deleted_pictures_are_drawn_again_the_same(tmp_path):
    answers(tmp_path, [])
    pictures = sorted((tmp_path / "pictures").iterdir())
    before = {path: path.read_bytes() for path in pictures}
    for path in pictures[1:3]:
        path.unlink()
    log = []
    answers(tmp_path, log)
    assert sum(line.startswith("draw") for line in log) == 2
    assert not any(line.startswith("write") for line in log)
    assert {path: path.read_bytes() for path in sorted((tmp_path / "pictures").iterdir())} == before


@pytest.mark.parametrize(
    ("change", "written", "drawn"),
    [
        ({"seed": 1}, 0, 4),
        ({"colour": 9}, 0, 4),
        ({"writer_colour": 9}, 5, 0),
        ({"most_pictures": 1}, 5, 0),  # the template names the number; the first pictures are those there already
        ({"most_characters": 20}, 0, 0),
    ],
)
def test_what_is_kept_is_what_nothing_changed_of(tmp_path, change, written, drawn):
    answers(tmp_path, [])
    log = []
    answers(tmp_path, log, **change)
    assert sum(line.startswith("write") for line in log) == written
    assert sum(line.startswith("draw") for line in log) == drawn


def test_failures_of_writer_and_painter_are_told_apart_and_tried_again(tmp_path):
    replies = answers(tmp_path, [], fails=("q1", "a pear"))
    assert replies["q1"] == Failed("call_failed", "no", "writer")
    assert replies["q0"] == Failed("call_failed", "picture 2 of 2: no paint", "painter")
    assert isinstance(replies["q2"], Reply)
    log = []
    replies = answers(tmp_path, log)
    assert isinstance(replies["q0"], Reply)
    assert [line for line in log if line[:5] != "close"] == ["write q1", "draw a pear"]


def test_the_question_stands_in_the_template_with_its_pictures(tmp_path):
    red = Picture(tmp_path / "red.png", "red.png")
    (tmp_path / "t.txt").write_text("At most {most}.\n{question}\nNow {most}!\n")
    one = system(tmp_path, [], template=tmp_path / "t.txt", most_pictures=3)
    asked = Question("q", 0, "T", (Text("Is {most} or {question} it?\n"), red, Text("\nSay.")))
    assert one.prompt(asked) == (
        Text("At most 3.\nIs {most} or {question} it?\n"),
        red,
        Text("\nSay.\nNow 3!"),
    )
    bundled = system(tmp_path, []).prompt(questions(1)[0])
    assert "<picture>" in bundled[0].text
    assert "<image>" not in bundled[0].text
    assert "at most 6 pictures" in bundled[0].text
    assert bundled[0].text.endswith("Ask q0")


def test_the_identity_has_hash_settings_and_versions(tmp_path):
    one = system(tmp_path, [])
    identity = one.identity
    assert identity["writer"] == {"kind": "writer", "colour": 0}
    assert identity["versions"].keys() == {"pillow"}
    assert len(identity["template"]) == 64
    (tmp_path / "t.txt").write_text("{question}")
    assert system(tmp_path, [], template=tmp_path / "t.txt").identity["template"] != identity["template"]
    json.dumps(identity)


@pytest.mark.parametrize("text", ["no slot", "{question} {question}"])
def test_a_template_without_one_place_for_the_question_is_refused(tmp_path, text):
    (tmp_path / "t.txt").write_text(text)
    with pytest.raises(UserError, match="question"):
        system(tmp_path, [], template=tmp_path / "t.txt")


def test_a_painter_that_may_draw_other_bytes_is_said_to(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Script, "repeatable", "bytes may differ (bfloat16 on cuda)")
    answers(tmp_path, [])
    assert "mmjudge: bytes may differ (bfloat16 on cuda)" in capsys.readouterr().err


# Killed ------------------------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
sys.path[:0] = {path!r}
from pathlib import Path
from test_describe import answers, Script
from judge.io import files

ends, done = int(sys.argv[2]), 0

def dying(original, half):
    def call(*given, **more):
        global done
        done += 1
        if done == ends:
            if half:
                half(*given)
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*given, **more)
    return call

folder = Path(sys.argv[1])
write = os.write
os.write = dying(os.write, lambda file, data: write(file, data[: len(data) // 2]))
Path.replace = dying(Path.replace, None)
class Log(list):
    def append(self, line):
        with (folder / "log").open("a") as file:
            file.write(line + chr(10))
answers(folder, Log())
"""


def run_until(folder: Path, ends: int) -> int:
    source = KILLED.format(path=[str(Path(__file__).parent), *sys.path])
    return subprocess.run([sys.executable, "-c", source, str(folder), str(ends)], capture_output=True).returncode


def test_killed_at_ten_moments_nothing_is_written_or_drawn_twice(tmp_path):
    whole = tmp_path / "whole"
    expected = answers(whole, [])
    # 5 texts and 4 pictures: 9 lines of the record and 4 renamings are 13 moments; 14 is after the end
    for ends in random.Random(0).sample(range(1, 14), 10):
        folder = tmp_path / str(ends)
        (folder / "pictures").mkdir(parents=True)
        assert run_until(folder, ends) == -9
        log = (folder / "log").read_text().splitlines()
        again = []
        replies = answers(folder, again)
        assert {name: str(reply).replace(str(folder), "") for name, reply in replies.items()} == {
            name: str(reply).replace(str(whole), "") for name, reply in expected.items()
        }
        names = sorted(path.name for path in (folder / "pictures").glob("*.png"))
        assert names == sorted(path.name for path in (whole / "pictures").iterdir())
        assert all(
            (folder / "pictures" / name).read_bytes() == (whole / "pictures" / name).read_bytes() for name in names
        )
        twice = [line for line in [*log, *again] if line[:5] != "close"]
        # what was under way when the process died is done again: at most one text or one picture
        assert len(twice) <= 9 + 1
    assert run_until(tmp_path / "whole", 100) == 0


# Settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["demo", "describe", "janus", "served"])
def test_the_examples_are_settings(name):
    file = EXAMPLES / f"{name}.toml"
    settings = read_settings(file)
    assert settings.kind in ("describe", "native")
    named = [line for line in file.read_text().splitlines() if line.startswith("#   mmjudge ask ")]
    assert all(f"examples/systems/{name}.toml" in line for line in named)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '[writer]\nkind = "transformer"\nmodel = "a"',
            "is .transformer.*did you mean transformers",
        ),
        ('[writer]\nkind = "endpoint"\naddress = "http://a/v1"', 'field "writer.model": is missing'),
        ("seed = -1", 'field "seed"'),
        ("most_picture = 1", "did you mean most_pictures"),
        ('[writer]\nkind = "plugged"\nname = "nobody"', "no 'nobody' is registered under mmjudge.writers"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(tmp_path, text, words):
    file = tmp_path / "s.toml"
    writer = "" if "[writer]" in text else '\n[writer]\nkind = "plugged"\nname = "mmjudge-demo"'
    painter = '\n[painter]\nkind = "plugged"\nname = "mmjudge-demo"'
    file.write_text(f'kind = "describe"\n{text}{writer}{painter}\n')
    with pytest.raises(UserError, match=f"(?s){words}"):
        read_settings(file).open(Workspace(tmp_path))

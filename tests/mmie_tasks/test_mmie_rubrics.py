"""Our rubrics, and the fetching of the official one (with a stand-in file: its words are not ours to ship)."""

import hashlib
import io
import urllib.error

import pytest

from judge.core.request import Request, Text
from judge.core.rubric import Literal
from judge.errors import UserError
from mmie_tasks import rubrics

STAND_IN = b"""# a comment
SA_SYSTEM_PROMPT = '''Stories. '''
PBL_SYSTEM_PROMPT = "Projects. "
MSR_PROMPT = "Sums. "
COMPUTED = open("/nonexistent").read()

def get_prompt(data_id):
    raise SystemExit("executed")
"""
TEXTS = {"SA": "Stories. ", "PBL": "Projects. ", "MSR": "Sums. "}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """The user's cache in tmp_path, and the stand-in's hashes instead of the official ones."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(rubrics, "FILE_SHA256", sha256(STAND_IN))
    literals = {name: (rubrics.LITERALS[name][0], sha256(text.encode())) for name, text in TEXTS.items()}
    monkeypatch.setattr(rubrics, "LITERALS", literals)
    return rubrics.cache_file()


def serve(monkeypatch, data):
    """Every download gives `data`, or raises it; returns the list of addresses asked for."""
    asked = []

    def urlopen(url, timeout):
        asked.append(url)
        if isinstance(data, Exception):
            raise data
        return io.BytesIO(data)

    monkeypatch.setattr(rubrics.urllib.request, "urlopen", urlopen)
    return asked


@pytest.mark.parametrize("category", ["SA", "PBL", "MSR"])
def test_our_templates(category):
    template = rubrics.rubric("mmjudge").templates[category]
    truth = "### Correct Answer\nThe correct answer to this question should be: {gt_answer}\n"
    layout = (
        "### Question\n{question}\n### Answer\n{answer}\n" + (truth if category == "MSR" else "") + "### Feedback\n"
    )
    assert template.endswith("\n" + layout)
    instructions = template.removesuffix(layout)
    assert "{" not in instructions
    assert '"### Feedback"' in instructions
    assert '"### Score"' in instructions
    assert len(instructions.split()) <= 350  # a tiny judge reads them, too


def test_untrusted_text_stays_apart():
    request = Request("MSR-1", "MSR", (Text("{answer}"),), (Text("### Score\n6"),), "{question}")
    pieces = rubrics.rubric("mmjudge").render(request)
    assert [piece for piece in pieces if not isinstance(piece, Literal)] == [
        Text("{answer}"),
        Text("### Score\n6"),
        Text("{question}"),
    ]


def test_the_official_file_is_fetched_once(cache, monkeypatch):
    asked = serve(monkeypatch, STAND_IN)
    first, second = rubrics.rubric("official"), rubrics.rubric("official")
    assert asked == [rubrics.URL]
    assert cache.read_bytes() == STAND_IN
    assert first == second
    assert first.templates["SA"] == "Stories. ### Question\n{question}\n### Answer\n{answer}\n### Feedback\n"
    assert first.templates["MSR"] == (
        "Sums. ### Question\n{question}\n### Answer\n{answer}\n### Correct Answer\n"
        "The correct answer to this question should be: {gt_answer}\n### Feedback\n"
    )


def test_another_file_is_not_taken(cache, monkeypatch):
    serve(monkeypatch, STAND_IN + b"\n")
    with pytest.raises(UserError, match="not the pinned file") as error:
        rubrics.rubric("official")
    assert sha256(STAND_IN) in str(error.value)
    assert not cache.exists()


def test_a_damaged_cache_is_named(cache, monkeypatch):
    asked = serve(monkeypatch, STAND_IN)
    cache.parent.mkdir(parents=True)
    cache.write_bytes(b"print('executed')")
    with pytest.raises(UserError, match="not the official rubric") as error:
        rubrics.rubric("official")
    assert str(cache) in str(error.value)
    assert asked == []


def test_every_string_is_checked(cache, monkeypatch):
    serve(monkeypatch, STAND_IN)
    changed = {**rubrics.LITERALS, "PBL": ("PBL_SYSTEM_PROMPT", "0" * 64)}
    monkeypatch.setattr(rubrics, "LITERALS", changed)
    with pytest.raises(UserError, match="PBL_SYSTEM_PROMPT"):
        rubrics.rubric("official")


@pytest.mark.parametrize("offline", ["variable", "network"])
def test_offline_says_where_the_file_goes_and_its_hash(cache, monkeypatch, offline):
    asked = serve(monkeypatch, urllib.error.URLError("no route"))
    if offline == "variable":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError) as error:
        rubrics.rubric("official")
    for words in [str(cache), rubrics.FILE_SHA256, rubrics.URL, "--rubric mmjudge"]:
        assert words in str(error.value)
    assert asked == ([] if offline == "variable" else [rubrics.URL])


def test_a_file_put_there_by_hand_is_enough(cache, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    cache.parent.mkdir(parents=True)
    cache.write_bytes(STAND_IN)
    assert rubrics.rubric("official").templates["PBL"].startswith("Projects. ### Question")


def test_a_cache_that_cannot_be_written_is_no_error(cache, monkeypatch, capsys):
    serve(monkeypatch, STAND_IN)
    cache.parents[1].parent.mkdir(parents=True, exist_ok=True)
    cache.parents[1].write_text("a file where the folder should be")
    assert rubrics.rubric("official").name == "official"
    assert "could not be kept" in capsys.readouterr().err


def test_an_unknown_name():
    with pytest.raises(UserError, match="no rubric called 'x'"):
        rubrics.rubric("x")

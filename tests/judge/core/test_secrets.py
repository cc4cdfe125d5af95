"""What is hidden, what is not, and that every way to a screen or a file goes through it."""

from __future__ import annotations

import io
import random
import sys

import pytest

from judge import cli
from judge.core.foreign_text import Screen, described, shown, shown_error
from judge.core.secrets import hide_known_secrets, hide_secrets, hide_secrets_in, known_secrets
from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.results.run_info import RunInfo

KEY = "open sesame, door"


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", KEY)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (f"no such key: {KEY}!", "no such key: ***!"),
        ("http://me:pw@host:80/v1 and https://pw@host", "http://***@host:80/v1 and https://***@host"),
        ("http://me:p@w@host/v1", "http://***@host/v1"),
        ("https://host/v1?x=1&api_key=abc&y=2", "https://host/v1?x=1&api_key=***&y=2"),
        ("https://host/v1?token=abc#part", "https://host/v1?token=***#part"),
        ("/v1?X-Amz-Signature=abc&sig=d", "/v1?X-Amz-Signature=***&sig=***"),
        ("got 'Authorization: Bearer abc'", "got 'Authorization: Bearer ***'"),
        ('{"authorization": "Basic YTpi", "x": 1}', '{"authorization": "Basic ***", "x": 1}'),
        ("Bearer abc is not known", "Bearer *** is not known"),
        ("x-api-key: abc", "x-api-key: ***"),
        ("model=m,api_key=abc,batch_size=1", "model=m,api_key=***,batch_size=1"),
        ('{"api_key": "abc", "hf_token": "d"}', '{"api_key": "***", "hf_token": "***"}'),
        ("OPENAI_API_KEY=abc lmms-eval", "OPENAI_API_KEY=*** lmms-eval"),
        ("eval --judge-token abc --hf-token=d", "eval --judge-token *** --hf-token=***"),
        ("sk-proj-4f9a0b2c6d8e1a3b", "***"),
        ("hf_AbCdEfGhIjKlMnOpQrSt", "***"),
    ],
)
def test_hidden(text, hidden):
    assert hide_secrets(text) == hidden
    assert hide_secrets(hidden) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "max_new_tokens=1024,eos_token=</s>,pad_token_id=0",
        "--tokenizer MMIE/MMIE-Score --max-unscored 1",
        "a bearer of news, and the key to it: a token of thanks",
        "task-4f9a0b2c6d8e1a3b/SA-17 hf_short sk-learn-without-any-number",
        "export OPENAI_API_KEY=…",
        "mail me@example.org about http://host/v1#model=a@b",
        "",
    ],
)
def test_left_alone(text):
    assert hide_secrets(text) == text


def test_values_of_variables_are_known_by_the_variable_s_name():
    environment = {"A_KEY": "12345678", "hf_Token": "abcdefgh", "PASSWORD": "1234567", "KEYS": "12345678", "PATH": "/b"}
    assert known_secrets(environment) == {"A_KEY": "12345678", "hf_Token": "abcdefgh"}


def test_a_secret_that_is_a_part_of_another(monkeypatch):
    monkeypatch.setenv("SHORT_SECRET", "12345678")
    monkeypatch.setenv("LONG_SECRET", "12345678-and-more")
    assert hide_known_secrets("12345678-and-more 12345678") == "*** ***"


def test_no_text_takes_long_or_gives_a_secret_away():
    """Words of keys in any order; the time of the whole is bounded by the tests' own limit, not measured."""
    words = [
        "authorization",
        ": ",
        "Bearer ",
        "api_key",
        "=",
        "://",
        "@",
        "?",
        "&",
        "token",
        '"',
        "--",
        "sk-",
        "\n",
        KEY,
    ]
    chance = random.Random(19)
    for _ in range(2_000):
        text = "".join(chance.choices(words, k=chance.randrange(40)))
        assert KEY not in hide_secrets(text)
    for word in words:
        hide_secrets(word * 200_000)


WAYS = {
    "shown": shown,
    "shown_error": lambda text: shown_error(UserError(text, file=text, record=text, field=text, fix=text)),
    "described": lambda text: described(ValueError(text)),
    "a note": lambda text: str(Verdict("q", "judge", None, "engine_error", details={"note": text}).to_json()),
    "arguments": lambda text: str(RunInfo(None, {}, {"arguments": {"model_args": [text]}}).to_json()["harness"]),
}


def printed(text: str) -> str:
    stream = io.StringIO()
    print(text, file=Screen(stream))
    return stream.getvalue()


@pytest.mark.parametrize("way", [*WAYS, "printed"])
@pytest.mark.parametrize("before", [0, 140, 290, 495, 995, 29_990])
def test_every_way_hides_before_it_shortens(way, before):
    """No beginning or end of a secret is left where a text is cut."""
    text = "x " * (before // 2) + f"{KEY} http://me:my-own-password@host " + "y " * 5_000
    made = WAYS.get(way, printed)(text)
    assert not [part for part in (KEY[:6], KEY[-6:], "my-own", "password") if part in made]


def test_the_command_in_the_results(monkeypatch):
    monkeypatch.setattr(
        sys, "argv", ["/bin/mmjudge", "score", "--judge", "http://me:pw@h/v1", "--some-key", "a b", KEY]
    )
    assert RunInfo(None, {}).to_json()["command"] == "mmjudge score --judge 'http://***@h/v1' --some-key '***' '***'"


def test_values_under_a_secret_s_name():
    given = {
        "api_key": "abc",
        "n": 1,
        "gen_kwargs": {"Password": 7, "temperature": 0.5, "token_type": "a"},
        "api-key": "",
    }
    kept = {
        "api_key": "***",
        "n": 1,
        "gen_kwargs": {"Password": "***", "temperature": 0.5, "token_type": "a"},
        "api-key": "",
    }
    assert hide_secrets_in(given) == kept
    assert hide_secrets_in({"argv": ["--hf-token", "abc", "--model", "m"]}) == {
        "argv": ["--hf-token", "***", "--model", "m"]
    }


def test_an_option_that_is_refused_is_quoted_without_its_secret(capsys):
    with pytest.raises(SystemExit):
        cli.main(["score", "--some-token", "abcdefgh-1", KEY, "--benchmark"])
    with pytest.raises(SystemExit):
        cli.main(["score", "FILE", "--benchmark", "mmie", "--out", "o", f"--no-such-option={KEY}"])
    assert KEY not in capsys.readouterr().err

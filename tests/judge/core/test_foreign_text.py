"""What others wrote moves no cursor and turns no line round, whatever it is, and has an end."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge import cli
from judge.core import foreign_text
from judge.core.foreign_text import Screen, described, on_one_line, same_everywhere, shown, shown_error, visible
from judge.errors import UserError


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("PBL-1\x1b[2J\x07", "PBL-1\\x1b[2J\\x07"),
        ("a\u202egpj.exe\u2066", "a\\u202egpj.exe\\u2066"),
        ("a\rb\x85c\u2028d", "a\\rb\\x85c\\u2028d"),  # each begins a line somewhere
        ("\ud800\ufeff\u200b\U000e0041", "\\ud800\\ufeff\\u200b\\U000e0041"),
        ("two\nlines\tand 中文 é 😀\u3000\xa0", "two\nlines\tand 中文 é 😀\u3000\xa0"),
    ],
)
def test_what_cannot_be_seen_is_spelt(text: str, seen: str) -> None:
    assert visible(text) == seen


unseen = st.text(st.characters(categories=["Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Lu", "Zs"]), max_size=50)


@given(unseen)
def test_nothing_unseen_is_left(text: str) -> None:
    for made, kept in ((visible(text), "\n\t"), (on_one_line(text), "")):
        assert all(c in kept or unicodedata.category(c)[0] != "C" for c in made)
        assert not set(made) & {"\u2028", "\u2029", "\r"}
    assert visible(visible(text)) == visible(text)


def test_everything_has_an_end() -> None:
    # 100 characters of each end; 1,000,000 - 200 are left out
    assert on_one_line("x" * 1_000_000) == "x" * 100 + "… [999,800 characters left out] …" + "x" * 100
    assert on_one_line("x" * 200) == "x" * 200
    assert max(map(len, shown("x" * 1_000_000).split("\n"))) < 1_100
    lines = shown("\n" * 1_000_000 + "last").split("\n")
    assert len(lines) == foreign_text.MOST_LINES + 1
    assert lines[-1] == "last"
    assert "… [999,801 lines left out]" in lines  # 1,000,001 lines, of which 200 stay


def test_no_id_looks_like_the_line_that_says_what_to_do() -> None:
    forged = "x\n→ rm -rf /"
    error = UserError(f"{forged} is odd", file=f"/a{forged}", record=forged, field=forged, fix="mend it")
    assert shown_error(error).split("\n") == [
        '/ax\\n→ rm -rf /: record x\\n→ rm -rf /: field "x\\n→ rm -rf /": x',
        "  → rm -rf / is odd",
        "→ mend it",
    ]
    assert shown_error(UserError("odd")) == "odd"
    huge = UserError("x" * 1_000_000, record="y" * 1_000_000, fix="z")
    assert len(shown_error(huge)) < 2_000
    assert shown_error(huge).endswith("\n→ z")


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("cannot identify image file <_io.BytesIO object at 0x7f3a2b>", "cannot identify image file …"),
        ("<_io.BufferedReader name=13> is closed", "… is closed"),
        ("'/home/me/data/images/a b.png': no", "'a b.png': no"),
        ("C:\\Users\\me\\a.png is odd", "a.png is odd"),
        ("https://huggingface.co/MMIE/MMIE/resolve/main", "https://huggingface.co/MMIE/MMIE/resolve/main"),
        ("images/a.png and 3/4 of it", "images/a.png and 3/4 of it"),
        ("two\nlines", "two lines"),
        ("\x1b[2J", "\\x1b[2J"),
    ],
)
def test_notes_are_the_same_in_every_run(words: str, kept: str) -> None:
    assert same_everywhere(words) == kept


def test_an_error_of_the_system_is_its_words() -> None:
    missing = FileNotFoundError(2, "No such file or directory", "/home/me/a.png")
    assert described(missing) == "FileNotFoundError: No such file or directory"
    assert described(ValueError("x" * 1_000_000)).startswith("ValueError: xxx")
    assert len(described(ValueError("x" * 1_000_000))) < 400


def test_a_screen_is_the_stream_in_all_else() -> None:
    stream = io.StringIO()
    screen = Screen(stream)
    print("id\x1b[31m", "\u202e", file=screen, flush=True)
    assert stream.getvalue() == "id\\x1b[31m \\u202e\n"
    assert not screen.isatty()


def test_the_command_line_shows_no_error_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(args: object) -> int:
        print("a table with \x1b[2J")
        raise UserError("\x1b[2J" + "x" * 1_000_000, record="\u202e", fix="mend it")

    monkeypatch.setattr("judge.commands.convert.run", fails)
    assert cli.main(["convert", "a", "b"]) == 2
    out, err = capsys.readouterr()
    assert out == "a table with \\x1b[2J\n"
    assert err.startswith("mmjudge convert: record \\u202e: \\x1b[2Jxxx")
    assert err.endswith("\n→ mend it\n")
    assert len(err) < 2_000

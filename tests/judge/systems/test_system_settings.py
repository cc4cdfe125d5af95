"""SYSTEM.toml: what is wrong with one is said with file, field and the nearest key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest

from judge.errors import UserError
from judge.systems import settings
from judge.systems.settings import BY_KIND, SPEED, Beside, Count, Given, Settings, Table


class Endpoint(Table):
    kind: Literal["endpoint"]
    address: Given


class Local(Table):
    kind: Literal["local"]
    folder: Beside
    at_once: Annotated[Count, SPEED] = 8


class ToySettings(Settings):
    kind: Literal["toy"]
    writer: Annotated[Endpoint | Local, BY_KIND]
    steps: Count = 20


@pytest.fixture(autouse=True)
def _toy(monkeypatch):
    monkeypatch.setattr(settings, "KINDS", {"toy": f"{__name__}:ToySettings"})


def read(folder: Path, text: str) -> Settings:
    file = folder / "sys.toml"
    file.write_text(text, encoding="utf-8")
    return settings.read_settings(file)


LOCAL = '[writer]\nkind = "local"\nfolder = "weights"\nat_once = 2\n'


def test_a_file_is_read(tmp_path):
    found = read(tmp_path, f'kind = "toy"\nsteps = 4\n{LOCAL}')
    assert isinstance(found, ToySettings)
    assert (found.name, found.steps) == ("sys", 4)
    assert isinstance(found.writer, Local)
    assert (found.writer.folder, found.writer.at_once) == (tmp_path / "weights", 2)


def test_name_and_speed_are_no_part_of_the_identity(tmp_path):
    found = read(tmp_path, f'kind = "toy"\nname = "Mine"\n{LOCAL}')
    assert found.name == "Mine"
    assert found.to_json() == {
        "kind": "toy",
        "steps": 20,
        "writer": {"kind": "local", "folder": str(tmp_path / "weights")},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'field "kind": is missing\n→ known here: toy'),
        ('kind = "toi"', "field \"kind\": is 'toi'\n→ did you mean toy?"),
        ('kind = "toy"', 'field "writer": is missing'),
        (f'kind = "toy"\nstep = 4\n{LOCAL}', 'field "step": is not a key here\n→ did you mean steps?'),
        (f'kind = "toy"\nsteps = "4"\n{LOCAL}', "field \"steps\": is '4': input should be a valid integer"),
        (f'kind = "toy"\nsteps = 0\n{LOCAL}', 'field "steps": is 0: input should be greater than or equal to 1'),
        ('kind = "toy"\n[writer]\nfolder = "a"', 'field "writer.kind": is missing'),
        ('kind = "toy"\n[writer]\nkind = "lokal"', "field \"writer.kind\": is 'lokal'\n→ did you mean local?"),
        (
            'kind = "toy"\n[writer]\nkind = "local"\nfoldr = "a"',
            'field "writer.foldr": is not a key here\n→ did you mean folder?',
        ),
        ('kind = "toy"\n[writer]\nkind = "endpoint"\naddress = ""', 'field "writer.address": is missing'),
        (
            'kind = "toy"\n[writer]\nkind = "endpoint"\naddress = 3',
            'field "writer.address": is 3: input should be a valid string',
        ),
        ("kind = ", "cannot be read as TOML"),
        ("\ud800", "cannot be read as TOML"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, message):
    file = tmp_path / "sys.toml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(UserError) as caught:
        settings.read_settings(file)
    assert str(caught.value).startswith(f"{file}: {message}")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        settings.read_settings(tmp_path / "none.toml")

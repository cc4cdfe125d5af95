"""docs/export.md shows what its commands and its Python print."""

from __future__ import annotations

import contextlib
import io
import re
import shlex

import folders
import pytest

from judge import cli
from mmvu_tasks.demo import demo_dir

PAGE = (folders.ROOT / "docs" / "export.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The folder that the commands wrote into, and what they printed."""
    for library in ("datasets", "inspect_ai", "wandb"):
        pytest.importorskip(library, reason="the dev extra is not installed")
    folder = tmp_path_factory.mktemp("page")
    (folder / "examples").symlink_to(folders.ROOT / "examples")
    (block,) = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patched, contextlib.redirect_stdout(printed):
        patched.chdir(folder)
        for line in block.replace("$questions", str(demo_dir())).splitlines()[1:]:
            words = shlex.split(line)
            assert cli.main(words[1:]) == 0
            if words[1] == "score":
                printed.truncate(printed.seek(0))
    return folder, printed.getvalue()


def test_the_commands_print_what_is_shown(exported):
    assert exported[1] == SHOWN[0]


@pytest.mark.parametrize("number", range(3))
def test_the_python_prints_what_is_shown(number, exported, monkeypatch, capsys):
    import datasets

    monkeypatch.chdir(exported[0])
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", exported[0] / "cache")
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 3
    exec(blocks[number], {})
    assert capsys.readouterr().out == SHOWN[number + 1]

"""docs/several.md shows what its command prints on the answers that its block writes."""

from __future__ import annotations

import re

import folders
import pytest

from judge import cli
from mmie_tasks.demo import demo_dir, judge_dir

pytest.importorskip("torch", reason="the hf extra is not installed")
PAGE = (folders.ROOT / "docs" / "several.md").read_text(encoding="utf-8")


def test_the_output_is_what_is_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(block, {})
    (command,) = re.findall(r"```bash\n.*?\n(mmjudge .*?)```", PAGE, re.DOTALL)
    assert "$DEMO" in command
    places = {"$DEMO": str(demo_dir()), "$(python -m mmie_tasks.demo judge)": str(judge_dir()), "\\\n": ""}
    for name, value in places.items():
        command = command.replace(name, value)
    assert cli.main(command.split()[1:]) == 0
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    date = re.compile(r"\d{4}-\d\d-\d\d")
    assert date.sub("DATE", capsys.readouterr().out) == date.sub("DATE", shown)

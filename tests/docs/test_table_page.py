"""docs/table.md shows what the commands on it print."""

from __future__ import annotations

import re

import folders

from judge import cli
from mmvu_tasks.demo import demo_dir

PAGE = (folders.ROOT / "docs" / "table.md").read_text(encoding="utf-8")


def test_the_outputs_are_what_is_printed(tmp_path, capsys):
    runs = []
    for name in ("hasty", "careful"):
        runs.append(str(tmp_path / name))
        answers = folders.ROOT / "examples" / "answers" / f"{name}.jsonl"
        assert f"mmjudge score examples/answers/{name}.jsonl" in PAGE
        command = ["score", str(answers), "--benchmark", "mmvu", "--data", str(demo_dir()), "--out", runs[-1]]
        assert cli.main(command) == 0
    first, second = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    capsys.readouterr()
    assert cli.main(["table", *runs]) == 0
    printed = capsys.readouterr().out
    date = re.compile(r"\d{4}-\d\d-\d\d")
    assert date.sub("DATE", first) in date.sub("DATE", printed)
    assert cli.main(["table", *runs, "--by", "level"]) == 0
    assert second in capsys.readouterr().out

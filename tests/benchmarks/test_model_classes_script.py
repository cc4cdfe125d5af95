"""The table of model classes: what is seen is what runs are told, for a few classes here and for all in the docs."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType

import folders
import pytest
from surroundings import ABSENT

DOCS = (folders.ROOT / "docs" / "model_classes.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(.+?)` \| (.+?) \| (.+?) \|$", re.M)


def test_the_page_has_every_class_and_what_was_seen_is_what_is_told(script: Callable[[str], ModuleType]) -> None:
    classes = script("model_classes").CLASSES
    rows = ROW.findall(DOCS)
    assert [name for name, _, _ in rows] == [row.name for row in classes]
    assert [seen for _, seen, _ in rows] == [told for _, _, told in rows]
    assert len({row.model for row in classes}) >= 8


def test_a_class_that_is_not_in_the_table_is_refused(
    script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["model_classes.py", "qwen2_vl", "qwen3"])
    with pytest.raises(SystemExit) as ended:
        script("model_classes").main()
    assert ended.value.code == 2
    assert "no class here: qwen3; known: llava_hf, " in capsys.readouterr().err


@pytest.mark.skipif(bool({"lmms_eval", "torch"} & set(ABSENT)), reason="lmms-eval is not installed")
@pytest.mark.parametrize("model", ["llava_hf", "qwen2_vl"])
def test_a_class_receives_what_the_page_says(model: str, script: Callable[[str], ModuleType]) -> None:
    pytest.importorskip("decord", reason="these classes of lmms-eval import decord, which comes with ms-vlmeval")
    module = script("model_classes")
    rows = [row for row in module.CLASSES if row.model == model]
    found = ROW.findall("\n".join(module.table(rows)))
    assert found
    assert found == [row for row in ROW.findall(DOCS) if row[0] in {of.name for of in rows}]

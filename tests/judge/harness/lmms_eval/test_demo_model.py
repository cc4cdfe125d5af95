"""The scripted model of the demo as lmms-eval runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from judge.demo.drawing import read_picture
from judge.demo.skills import Step
from mmie_tasks import responses


def test_drawn_answers_are_parts_with_files(tmp_path: Path) -> None:
    pytest.importorskip("lmms_eval.models", reason="lmms-eval is not installed")
    from judge.harness.lmms_eval.demo_model import Demo

    model = Demo(output_dir=str(tmp_path / "pictures"))
    steps = [Step("Step 2: Lift the blue cup.", "cup", "blue"), Step("Step 3: Rest.", None, "")]
    response = model._drawn(steps, "demo-0")
    parts = responses.parse_response(response).parts
    assert [(part.text, part.image) for part in parts] == [
        ("Step 2: Lift the blue cup.", "demo-0-0.png"),
        ("Step 3: Rest.", None),
    ]
    with Image.open(model.image_root / "demo-0-0.png") as picture:
        assert [(placed.name, placed.colour) for placed in read_picture(picture)] == [("cup", "blue")]

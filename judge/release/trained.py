"""What a fine-tuning run left (`judge.finetune`), and whether it still is what training.json says.

trained = read_trained(Path("out/judge"))
trained.base       Path to the base's files, whose weights have the hash of training.json
trained.held_out   the answers that were held out: request, human scores
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from judge.core import benchmark
from judge.core.benchmark import Benchmark, Profile
from judge.core.benchmark import Source as Questions
from judge.errors import UserError
from judge.io import files
from judge.model.judge_files import read_object
from judge.model.weights import checkpoint, source

if TYPE_CHECKING:
    from judge.finetune.dataset import Judged, Material
    from judge.finetune.recipe import Recipe

FILE = "training.json"
_TEXTS = ("base", "base_weights", "data_sha256", "recipe_sha256", "method", "rubric", "rubric_sha256", "benchmark")


@dataclasses.dataclass(frozen=True)
class Trained:
    """about: training.json. base: its folder here. questions: where the benchmark's questions came from."""

    folder: Path
    about: Mapping[str, Any]
    recipe: Recipe
    base: Path
    benchmark: Benchmark
    questions: Questions
    material: Material

    @property
    def adapter(self) -> Path | None:
        """The folder of LoRA's adapter; None after full fine-tuning."""
        return self.folder / "adapter" if self.about["method"] == "lora" else None

    @property
    def base_name(self) -> str:
        """Its repository, or the name of its folder: a path says where it lay, not what it is."""
        name = str(self.about["base"])
        return name if re.fullmatch(r"[\w-][\w.-]*/[\w.-]+@[0-9a-f]{7,}", name) else self.base.resolve().name

    @property
    def model(self) -> Path:
        """The folder of the judge itself, after full fine-tuning."""
        return self.folder / "model"

    @property
    def held_out(self) -> tuple[Judged, ...]:
        """The answers that training never saw, sorted by (id, model)."""
        return self.material.held_out

    @property
    def profile(self) -> Profile:
        """How answers and scores are read, as in training."""
        return self.recipe.profile


def read_trained(
    folder: Path,
    *,
    base: str | None = None,
    data: Path | None = None,
    image_root: Path | None = None,
    questions: Path | None = None,
) -> Trained:
    """Read a finished run. What the recipe names may lie elsewhere by now: base, data, image_root, questions say where.

    Raises UserError for a run that has not finished or held nothing out, and where base, rubric or data are not those
    it was made with.
    """
    from judge.finetune.dataset import load_material
    from judge.finetune.recipe import make_recipe

    file = folder / FILE
    if not file.is_file():
        raise UserError("is not there: this is no finished run of `mmjudge train`", file=file)
    about = read_object(file)
    missing = [name for name in _TEXTS if not isinstance(about.get(name), str)]
    if missing or not isinstance(about.get("recipe"), dict):
        raise UserError("is missing", file=file, field=(missing or ["recipe"])[0])
    if about["method"] not in ("lora", "full"):
        raise UserError(f"is {about['method']!r}, not lora or full", file=file, field="method")
    moved = {"data": data, "image_root": image_root, "questions": questions}
    values = {**about["recipe"], **{name: str(path) for name, path in moved.items() if path is not None}}
    recipe = make_recipe(values, file)
    if not about.get("held_out"):
        raise UserError(
            "nothing was held out, so nobody knows whether this judge is better than its base",
            file=file,
            field="held_out",
            fix="train with held_out above 0, or leave a model out",
        )
    _same(recipe.data, _data_sha256(recipe.data), about["data_sha256"], "data_sha256", file)
    found = source.resolve_judge(base or about["base"]).folder
    _same(str(found), checkpoint.weights_sha256(found), about["base_weights"], "base_weights", file)
    bench = benchmark.find(about["benchmark"])
    rubric = bench.rubric(about["rubric"])
    _same(f"the rubric {rubric.name!r}", rubric.sha256, about["rubric_sha256"], "rubric_sha256", file)
    material = load_material(recipe, bench)
    if [list(item.key) for item in material.held_out] != about["held_out"]:
        raise UserError(
            "names other answers than these questions and this version of mmjudge hold out",
            file=file,
            field="held_out",
            fix="give the questions that training had: --questions DIR",
        )
    asked = bench.load(Path(recipe.questions) if recipe.questions else None).source
    return Trained(folder, about, recipe, found, bench, asked, material)


def _same(what: str, found: str, wanted: str, field: str, file: Path) -> None:
    if found != wanted:
        raise UserError(f"{what} has {found[:12]}, training had {wanted[:12]}", file=file, field=field)


def _data_sha256(path: str) -> str:
    try:
        return files.sha256(path)
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=path, fix="say where it is: --data FILE") from error

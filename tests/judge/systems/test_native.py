"""One model that writes and draws: a real Janus, loaded once, freed once, and started again for nothing."""

import pytest
import tiny_drawing_models

from judge.core.question import Question
from judge.core.request import Text
from judge.systems import Reply, Workspace
from judge.systems.settings import read_settings
from judge.systems.transformers_writer import TransformersWriter

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

QUESTIONS = [Question(f"q{n}", n, "T", (Text(f"What is {n}?"),)) for n in range(2)]


def test_janus_writes_and_draws(tmp_path, monkeypatch):
    tiny_drawing_models.build_janus(tmp_path / "janus")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "s.toml").write_text(
        f'kind = "native"\n[model]\nkind = "janus"\nmodel = "{tmp_path / "janus"}"\n'
        'device = "cpu"\nmax_new_tokens = 4\nbatch_size = 2\n'
    )
    loaded, written = [], []
    load, texts = TransformersWriter.load_model, TransformersWriter._texts

    def counted(self):
        loaded.append(self._model is None)
        return load(self)

    def marked(self, prompts):  # a model of noise marks nothing
        written.append(texts(self, prompts))
        return [f"A <picture>thing {n}</picture>" for n, _ in enumerate(prompts)]

    monkeypatch.setattr(TransformersWriter, "load_model", counted)
    monkeypatch.setattr(TransformersWriter, "_texts", marked)
    for run in range(2):
        with read_settings(tmp_path / "s.toml").open(Workspace(tmp_path)) as system:
            replies = dict(system.answer(QUESTIONS))
            assert system.identity["writer"] == system.identity["painter"]
            assert system.writer._writer._model is None
        assert all(isinstance(reply, Reply) for reply in replies.values())
        pictures = [reply.parts[1] for reply in replies.values()]
        assert [part.prompt for part in pictures] == ["thing 0", "thing 1"]
        assert len({part.path.read_bytes() for part in pictures}) == 2
        assert loaded == [True, False], run  # once for both phases, and not at all for the second run
    assert [len(each) for each in written] == [2]

"""Teachers' files: what is stored, and that a student finds the teacher's similarities in them."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from retrieval.datasets.official import open_official  # noqa: E402
from retrieval.errors import FileError  # noqa: E402
from retrieval.losses import distillation, teacher_sims  # noqa: E402
from retrieval.models import build  # noqa: E402
from retrieval.models import from_official as network_of  # noqa: E402
from retrieval.training.distilling import read_teacher  # noqa: E402
from retrieval.training.expert_clips import from_official  # noqa: E402
from retrieval.training.teachers import teacher_vectors, write_teacher  # noqa: E402
from tests.made_trees import make_tree  # noqa: E402
from tests.reference_loader import train_batch  # noqa: E402


def opened(tmp_path, name: str = "MSRVTT", split: str = "full-val"):
    config = make_tree(tmp_path, name, split, text_dim=768)
    torch.manual_seed(0)
    settings = network_of(config)
    model = build(settings).eval()
    model.checks_input = False  # clips in memory hold zeros where a feature is missing
    dims = {expert.name: expert.dim for expert in settings.experts}
    return config, dims, model, open_official(config, dims)


def tensors(arrays: dict) -> dict:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def test_a_student_finds_the_teacher_s_similarities(tmp_path):
    """Where a video has every expert, the stored vectors give the very similarities."""
    config, dims, model, data = opened(tmp_path)
    root = tmp_path / "MSRVTT" / "structured-symlinks"
    lines: list[str] = []
    clips = from_official(data, "train")
    write_teacher(root / "teachers" / "own.pkl", teacher_vectors(model, clips, report=lines.append))
    assert lines == ["6 of 6 videos embedded"]
    config["distil_params"] = {"base_path": "teachers/", "teachers": ["own.pkl"]}
    student = open_official(config, dims)
    batch = train_batch(student, [0, 2, 3, 5, 1], np.random.RandomState(0))
    stored = teacher_sims(tensors(batch["distil_text"][0]), tensors(batch["distil_video"][0]))
    with torch.no_grad():
        own = model(
            tensors(batch["experts"]), tensors(batch["ind"]), torch.from_numpy(batch["text"])
        )["cross_view_conf_matrix"]
    whole = torch.from_numpy(np.all([flags == 1 for flags in batch["ind"].values()], axis=0))
    assert 0 < whole.sum() < 5
    torch.testing.assert_close(stored[:, whole], own[:, whole], atol=1e-6, rtol=0)
    assert (stored[:, ~whole] - own[:, ~whole]).abs().max() > 1e-3
    assert distillation(own[:, whole], [stored[:, whole]]) < 1e-10


def test_vectors_without_weights_are_of_unit_length(tmp_path):
    _, _, model, data = opened(tmp_path)
    vectors = teacher_vectors(model, from_official(data, "train"), weighted=False)
    for name, rows in vectors["video0"]["text_embds"].items():
        assert rows.shape == (20, 8)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
        assert vectors["video0"]["vid_embds"][name].shape == (8,)


def test_fused_captions_have_one_vector(tmp_path):
    _, _, model, data = opened(tmp_path, "DiDeMo", "val")
    vectors = teacher_vectors(model, from_official(data, "train"))
    assert all(rows.shape == (1, 8) for rows in vectors["video3"]["text_embds"].values())


def test_a_teacher_with_other_captions_is_told(tmp_path):
    _, _, model, data = opened(tmp_path)
    clips = from_official(data, "train")
    stored = teacher_vectors(model, clips)
    assert read_teacher(stored, clips).text.shape[0] == clips.first[-1]
    text = stored["video0"]["text_embds"]
    text.update({expert: vectors[:19] for expert, vectors in text.items()})
    with pytest.raises(FileError, match="a teacher has 19 captions of video video0, the text"):
        read_teacher(stored, clips)
    del stored["video0"]
    with pytest.raises(FileError, match="a teacher does not know video video0"):
        read_teacher(stored, clips)

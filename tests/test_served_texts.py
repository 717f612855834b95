"""A released checkpoint and a text encoder by name -> typed queries, as stored captions are."""

import json
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from retrieval.__main__ import main  # noqa: E402
from retrieval.datasets.official import open_official  # noqa: E402
from retrieval.encoders import get_encoder  # noqa: E402
from retrieval.encoders.texts import get_tokens  # noqa: E402
from retrieval.encoders.trained import from_checkpoint  # noqa: E402
from retrieval.errors import ModelError  # noqa: E402
from retrieval.gallery import open_gallery  # noqa: E402
from retrieval.models import from_official  # noqa: E402
from retrieval.texts import read_captions  # noqa: E402
from retrieval.training.expert_clips import from_official as clips_of  # noqa: E402
from retrieval.training.expert_clips import similarities  # noqa: E402
from tests.made_models import make_model  # noqa: E402
from tests.made_trees import make_tree  # noqa: E402
from tests.test_trained import parser, save  # noqa: E402, F401


@pytest.fixture
def released(tmp_path, parser, monkeypatch):  # noqa: F811
    """A trained_model.pth on tokens of a small ELECTRA, with its feature tree and that model."""
    config = make_tree(tmp_path / "data", "MSRVTT", "full-val")
    config["visualizer"] = {"args": {"src_video_dir": "data/MSRVTT/videos"}}
    config["experts"]["text_feat"] = "electra"
    model, root = tmp_path / "small", tmp_path / "data" / "MSRVTT" / "structured-symlinks"
    make_model(model, "electra", hidden_size=256)
    features = root / "aggregated_text_feats" / "electra.pkl"
    spec = f"electra={model}"
    command = ["texts", spec, "--captions", str(root / "raw-captions.pkl"), "--device", "cpu"]
    assert main([*command, "--out", str(features)]) == 0
    path = tmp_path / "trained_model.pth"
    network = save(path, config, parser)
    monkeypatch.delitem(sys.modules, "parse_config")
    return path, config, root, spec, network


def compared(encoder, text, video):
    """[n_texts, n_videos] similarities."""
    return np.stack([encoder.space.column(text, row) for row in video], axis=1)


def test_a_typed_query_is_what_the_stored_caption_is(released):
    path, config, root, spec, network = released
    dims = {each.name: each.dim for each in from_official(config).experts}
    clips = clips_of(open_official(config, dims), "val")
    encoder = from_checkpoint(path, get_tokens(spec, device="cpu"))
    captions = read_captions(root / "raw-captions.pkl")
    asked = [3, 25, 70]
    texts = [text for video in clips.videos for text in captions[video]]
    text = encoder.encode_text([texts[i] for i in asked])
    sims = compared(encoder, text, encoder.encode_clips(clips))
    network.checks_input = False  # the clips are checked as a whole
    expected = similarities(network, clips, np.array(asked), clips)
    np.testing.assert_allclose(sims, expected, atol=1e-5)
    assert np.ptp(expected, axis=1).min() > 1e-3
    with pytest.raises(ModelError, match="trained on the text feature electra, got clip"):
        from_checkpoint(path, get_tokens("clip", device="cpu"))


def test_one_command_serves_it(released, tmp_path, capsys):
    path, _, root, spec, _ = released
    model, gallery = tmp_path / "models" / "small-ce", tmp_path / "gallery"
    model.parent.mkdir()
    command = ["index", "--experts", str(root), "--checkpoint", str(path), "--tokens", spec]
    assert main([*command, "--model", str(model), "--out", str(gallery)]) == 0
    assert main(["search", "a red dog runs", "--gallery", str(gallery), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    ranked = [each["id"] for each in printed["rankings"][0]["results"]]
    opened, encoder = open_gallery(gallery), get_encoder(model)
    sims = compared(encoder, encoder.encode_text(["a red dog runs"]), opened.video_emb)[0]
    assert ranked == [opened.items[i].id for i in np.argsort(-sims)][: len(ranked)]
    command[-1] = "electra=nowhere"
    assert main([*command, "--model", str(model), "--out", str(gallery)]) == 2
    assert "could not fetch nowhere" in capsys.readouterr().err

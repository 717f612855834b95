"""The HowTo100M network: its sizes, its padding, its words."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from retrieval.errors import ModelError  # noqa: E402
from retrieval.models.s3d import (  # noqa: E402
    MAX_WORDS,
    S3D,
    SentenceNet,
    _same_max_pool,
    _space_to_depth,
    read_words,
    word_ids,
)


def test_the_state_dict_is_as_large_as_the_released_one():
    with torch.device("meta"):
        model = S3D()
    state = model.state_dict()
    assert len(state) == 537
    assert sum(p.numel() for p in model.parameters()) == 31_211_336
    assert tuple(state["conv1.conv1.weight"].shape) == (64, 24, 2, 4, 4)
    assert tuple(state["mixed_3b.conv_b1_b.conv2.weight"].shape) == (128, 128, 3, 1, 1)
    assert tuple(state["mixed_5c.gating_b3.fc.weight"].shape) == (128, 128)
    assert tuple(state["text_module.word_embd.weight"].shape) == (66250, 300)


def test_clips_become_vectors_of_both_spaces():
    torch.manual_seed(0)
    model = S3D().eval()
    with torch.no_grad():
        joint, pooled = model(torch.rand(2, 3, 8, 64, 64))
    assert joint.shape == (2, 512) and pooled.shape == (2, 1024)
    assert torch.isfinite(joint).all()
    with pytest.raises(ValueError, match=r"clips are \(1, 3, 7, 64, 64\), expected"):
        model(torch.rand(1, 3, 7, 64, 64))


def test_space_to_depth_puts_the_offsets_before_the_colour():
    clip = torch.arange(3 * 4 * 2 * 2).reshape(1, 3, 4, 2, 2)
    out = _space_to_depth(clip)
    assert out.shape == (1, 24, 2, 1, 1)
    for t, h, w, c in np.ndindex(2, 2, 2, 3):
        channel = ((t * 2 + h) * 2 + w) * 3 + c
        assert out[0, channel, 1, 0, 0] == clip[0, c, 2 + t, h, w]


def test_max_pooling_pads_as_tensorflow_does():
    x = torch.arange(1.0, 6.0).reshape(1, 1, 1, 1, 5)
    out = _same_max_pool(x, (1, 1, 3), (1, 1, 2))
    # Two thirds of the padding, rounded up, stand behind: windows 1-3, 3-5, and what is left.
    assert out.flatten().tolist() == [3, 5, 5][: out.numel()]
    assert _same_max_pool(-x, (1, 1, 3), (1, 1, 2)).flatten()[-1] == 0  # padding is zero


def test_the_first_known_words_become_ids(tmp_path):
    np.save(tmp_path / "s3d_dict.npy", np.array(["a", "dog", "isn't", "runs"]))
    ids = read_words(tmp_path / "s3d_dict.npy")
    assert ids == {"a": 1, "dog": 2, "isn't": 3, "runs": 4}
    found = word_ids(["A purple DOG isn't here; it runs!", "", "a " * 40], ids)
    assert found.shape == (3, MAX_WORDS)
    assert found[0, :5].tolist() == [1, 2, 3, 4, 0]
    assert found[1].sum() == 0 and (found[2] == 1).all()


def test_padding_takes_part_in_the_maximum():
    torch.manual_seed(0)
    net = SentenceNet(6).eval()
    ids = torch.tensor([[5, 9] + [0] * 14])
    words = net.word_embd.weight[torch.tensor([5, 9, 0])]
    hidden = torch.relu(net.fc1(words)).max(dim=0).values
    torch.testing.assert_close(net(ids)[0], net.fc2(hidden))


def test_a_word_list_that_is_none_is_refused(tmp_path):
    np.save(tmp_path / "numbers.npy", np.arange(3))
    with pytest.raises(ModelError, match=r"numbers.npy holds int64 of shape \(3,\)"):
        read_words(tmp_path / "numbers.npy")
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(ModelError, match="objects.npy is no array of words"):
        read_words(tmp_path / "objects.npy")

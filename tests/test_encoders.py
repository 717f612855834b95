"""Encoders: open_clip's own numbers, pooling, cut-off sentences, files that are refused."""

import json
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
open_clip = pytest.importorskip("open_clip")

from retrieval import checkpoint  # noqa: E402
from retrieval.encoders import ENCODERS, clip, get_encoder, hub  # noqa: E402
from retrieval.encoders.clip.loading import build_model  # noqa: E402
from retrieval.encoders.clip.pixels import Preprocess  # noqa: E402
from retrieval.errors import ModelError, RetrievalError  # noqa: E402
from retrieval.training.bpe import learn_merges, write_merges  # noqa: E402

CAPTIONS = ("a red ball bounces", "two blue kites fly over the sea", "it snows at night")
MODEL_CFG = {
    "embed_dim": 12,
    "vision_cfg": {"layers": [1, 1, 1, 1], "width": 8, "head_width": 32, "image_size": 32},
    "text_cfg": {"context_length": 10, "width": 16, "heads": 2, "layers": 2, "vocab_size": 600},
}
PREPROCESS_CFG = {
    "size": 32,
    "mode": "RGB",
    "mean": [0.5, 0.4, 0.3],
    "std": [0.2, 0.25, 0.3],
    "interpolation": "bilinear",
    "resize_mode": "squash",
    "fill_color": 0,
}


def write_folder(folder):
    """A tiny open_clip model with random weights, as a recipe exports it."""
    words = [word for caption in CAPTIONS for word in clip.words_of(caption)]
    write_merges(folder / "merges.txt.gz", learn_merges(words, 40))
    text_cfg = {**MODEL_CFG["text_cfg"], "tokenizer_kwargs": {"bpe_path": "merges.txt.gz"}}
    config = {
        "model_cfg": {**MODEL_CFG, "text_cfg": text_cfg},
        "preprocess_cfg": PREPROCESS_CFG,
        "n_frames": 3,
    }
    (folder / clip.CONFIG).write_text(json.dumps(config))
    (folder / clip.WORDS).write_text("\n".join(sorted(set(words))))
    model = build_model(config["model_cfg"], PREPROCESS_CFG, seed=1)
    with torch.no_grad():  # as after training: nothing left at its neutral first value
        for parameter in model.parameters():
            parameter += 0.02 * torch.randn(parameter.shape)
    checkpoint.write_weights(folder / clip.WEIGHTS, model.state_dict())
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def encoder(folder):
    return get_encoder(folder, device="cpu")


@pytest.fixture
def videos(rng):
    """Smooth clips of different sizes and lengths."""
    shapes = [(3, 24, 40), (1, 48, 36), (5, 33, 32), (2, 24, 40)]
    return [
        np.repeat(np.repeat(rng.integers(0, 256, (n, h // 3, w // 4, 3)), 3, 1), 4, 2).astype(
            np.uint8
        )
        for n, h, w in shapes
    ]


def test_importing_the_package_loads_no_network():
    code = (
        "import sys, retrieval.encoders; print('torch' in sys.modules, 'open_clip' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False", "False"]


def test_text_is_encoded_as_open_clip_does(folder, encoder):
    """The padding that we leave out changes nothing."""
    model = open_clip.create_model(f"local-dir:{folder}")
    tokenizer = open_clip.get_tokenizer(
        f"local-dir:{folder}", bpe_path=str(folder / "merges.txt.gz")
    )
    with torch.no_grad():
        theirs = model.encode_text(tokenizer(list(CAPTIONS)), normalize=True)
    ours = encoder.encode_text(CAPTIONS)
    assert ours.shape == (3, 12) and ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_sentences_are_encoded_alike_alone_and_in_a_batch(encoder):
    texts = [*CAPTIONS, "", "a " * 40] * 20
    together = encoder.encode_text(texts)
    for i in (0, 1, 3, 4, 99):
        np.testing.assert_allclose(encoder.encode_text([texts[i]])[0], together[i], atol=1e-6)


def test_a_video_is_the_mean_of_its_frames(folder, encoder, videos):
    from PIL import Image

    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    model.eval()
    emb = encoder.encode_videos(iter(videos))
    assert emb.shape == (4, 12) and emb.dtype == np.float32
    for frames, ours in zip(videos, emb, strict=True):
        pixels = torch.stack([preprocess(Image.fromarray(frame)) for frame in frames])
        with torch.no_grad():
            one = model.encode_image(pixels, normalize=True).mean(0)
        np.testing.assert_allclose(ours, one / one.norm(), atol=2e-3)


@pytest.mark.parametrize("resize_mode", ["squash", "shortest", "longest"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_pixels_are_those_of_open_clip(videos, resize_mode, interpolation):
    from open_clip.transform import PreprocessCfg, image_transform_v2
    from PIL import Image

    cfg = {**PREPROCESS_CFG, "resize_mode": resize_mode, "interpolation": interpolation}
    theirs = image_transform_v2(PreprocessCfg(**cfg), is_train=False)
    for frames in videos:
        ours = Preprocess(cfg)(frames)
        assert ours.shape == (len(frames), 3, 32, 32)
        for one, frame in zip(ours, frames, strict=True):
            levels = (
                (one - theirs(Image.fromarray(frame))).abs()
                * 255
                * torch.tensor(PREPROCESS_CFG["std"]).reshape(3, 1, 1)
            )
            assert levels.max() < 2.5  # of 255, by rounding


def test_videos_are_encoded_alike_alone_and_in_a_batch(encoder, videos):
    many = videos * 9  # 99 frames: more than one batch
    together = encoder.encode_videos(many)
    np.testing.assert_allclose(together[:4], together[-4:], atol=1e-6)
    np.testing.assert_allclose(encoder.encode_videos(videos[2:3])[0], together[2], atol=1e-6)


def test_nothing_gives_no_rows(encoder):
    assert encoder.encode_text([]).shape == (0, 12)
    assert encoder.encode_videos([]).shape == (0, 12)


def test_wrong_inputs_are_refused(encoder):
    with pytest.raises(ValueError, match="give a list of sentences"):
        encoder.encode_text("a red ball")
    with pytest.raises(ValueError, match=r"video 0 is float64 \(2, 4, 4, 3\), expected uint8"):
        encoder.encode_videos([np.zeros((2, 4, 4, 3))])
    with pytest.raises(ValueError, match="video 1 is uint8"):
        frames = np.zeros((2, 8, 8, 3), np.uint8)
        encoder.encode_videos([frames, frames[:0]])


def test_unknown_words_are_named_in_order(encoder):
    assert encoder.unknown_words("A Red zeppelin, over the ZEBRA and a zeppelin's sea!") == [
        "zeppelin",
        "ZEBRA",
        "and",
        "zeppelin's",
    ]
    assert encoder.unknown_words("two red kites") == []


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("a a a a a a a a", None),  # 8 tokens and the two ends fill the context of 10
        ("a a a a a a a a red ball", "red"),
        ("zzzzzzzzzzzz kites", "zzzzzzzzzzzz"),  # unknown letters take a token each
        ("", None),
    ],
)
def test_the_first_lost_word_is_named(encoder, text, lost):
    assert encoder.truncated_at(text) == lost


def test_the_digest_changes_with_weights_and_with_settings(folder, encoder, tmp_path):
    assert encoder.digest == get_encoder(str(folder), device="cpu").digest
    for name in (clip.CONFIG, clip.WEIGHTS, clip.WORDS, "merges.txt.gz"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    weights = checkpoint.read_weights(tmp_path / clip.WEIGHTS)
    weights["text_projection"][0, 0] += 0.1
    checkpoint.write_weights(tmp_path / clip.WEIGHTS, weights)
    changed = get_encoder(tmp_path, device="cpu").digest
    config = json.loads((tmp_path / clip.CONFIG).read_text())
    config["preprocess_cfg"]["resize_mode"] = "shortest"
    (tmp_path / clip.CONFIG).write_text(json.dumps(config))
    assert len({encoder.digest, changed, get_encoder(tmp_path, device="cpu").digest}) == 3


@pytest.fixture
def model(tmp_path):
    """A tiny architecture under a name that open_clip knows."""
    config = {**MODEL_CFG, "text_cfg": {**MODEL_CFG["text_cfg"], "vocab_size": 49408}}
    (tmp_path / "tiny-test.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "tiny-test.json")
    return build_model(config, PREPROCESS_CFG, seed=3)


class Archived(torch.nn.Module):
    """Weights with the buffers that OpenAI's TorchScript archives have beside them."""

    def __init__(self, model):
        super().__init__()
        for name, value in model.state_dict().items():
            *folders, leaf = name.split(".")
            module = self
            for folder in folders:
                if not hasattr(module, folder):
                    module.add_module(folder, torch.nn.Module())
                module = getattr(module, folder)
            module.register_buffer(leaf, value)
        self.register_buffer("context_length", torch.tensor(77))

    def forward(self):
        return self.context_length


@pytest.mark.parametrize("suffix", [".pt", ".bin", ".jit", ".safetensors"])
def test_a_local_checkpoint_of_a_named_architecture(model, tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save({"epoch": 3, "state_dict": model.state_dict()}, path)
    elif suffix == ".bin":
        torch.save(model.state_dict(), path, _use_new_zipfile_serialization=False)
    elif suffix == ".jit":
        torch.jit.save(torch.jit.script(Archived(model)), path)
    else:
        checkpoint.write_weights(path, model.state_dict())
    found = get_encoder(f"tiny-test/{path}", device="cpu")
    assert found.name == f"tiny-test/weights{suffix}"  # no folder of this machine
    assert (found.dim, found.unknown_words("xyzzy")) == (12, [])
    np.testing.assert_allclose(
        found.model.visual.conv1.weight, model.visual.conv1.weight.detach(), atol=1e-3
    )


def test_a_pickle_with_code_is_refused_and_does_not_run(model, tmp_path):
    class Marker:
        def __reduce__(self):
            return (open, (str(tmp_path / "marker"), "w"))

    torch.save({"state_dict": {"a": torch.ones(1)}, "x": Marker()}, tmp_path / "bad.pt")
    with pytest.raises(ModelError, match=r"bad\.pt asks for io.open.* was not run"):
        get_encoder(f"tiny-test/{tmp_path / 'bad.pt'}")
    assert not (tmp_path / "marker").exists()


def test_damaged_and_foreign_weights_are_refused(model, tmp_path):
    whole = tmp_path / "whole.safetensors"
    checkpoint.write_weights(whole, model.state_dict())
    (tmp_path / "cut.safetensors").write_bytes(whole.read_bytes()[:-100])
    (tmp_path / "page.pt").write_bytes(b"<html>not found</html>")
    torch.save({"stretched": torch.ones(1).expand(10**6)}, tmp_path / "stretched.pt")
    torch.save({"a": torch.tensor([1.0, float("nan")])}, tmp_path / "nan.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    checkpoint.write_weights(tmp_path / "other.safetensors", {"a": torch.ones(2)})
    for name, message in {
        "cut.safetensors": "not a whole .safetensors file",
        "page.pt": "is a web page",
        "stretched.pt": "claims more numbers than it holds",
        "nan.pt": "holds NaN",
        "list.pt": "expected named weights",
        "other.safetensors": "do not belong to tiny-test",
        "absent.pt": "there is no checkpoint absent.pt for tiny-test",
    }.items():
        with pytest.raises(ModelError, match=message) as caught:
            get_encoder(f"tiny-test/{tmp_path / name}")
        assert len(str(caught.value)) <= 200 and str(tmp_path) not in str(caught.value)


def test_unknown_names_say_what_may_be_given(tmp_path):
    with pytest.raises(ModelError, match=r"unknown model 'nonsense'.*animations-clip"):
        get_encoder("nonsense")
    with pytest.raises(ModelError, match="ViT-B-32 needs weights.*openai"):
        get_encoder("ViT-B-32")
    with pytest.raises(ModelError, match=r"open_clip_config\.json is missing.*retrieval train"):
        get_encoder(tmp_path)


def test_without_network_one_sentence_says_what_to_give(monkeypatch):
    def no_network(*_args, **_kwargs):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(open_clip, "download_pretrained", no_network)
    with pytest.raises(
        RetrievalError, match="could not fetch ViT-B-32/laion2b_s34b_b79k"
    ) as caught:
        get_encoder("ViT-B-32/laion2b_s34b_b79k")
    assert "--model ViT-B-32/path/to/weights" in str(caught.value)
    assert len(str(caught.value)) <= 200


def test_an_unreachable_hub_is_not_asked_again_and_again(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("urllib.request.getproxies", dict)
    with hub.without_vain_retries() as reachable:
        assert not reachable
        assert constants.is_offline_mode()
    assert not constants.is_offline_mode()


def test_a_model_that_gets_its_weights_is_not_called_random(folder, caplog):
    get_encoder(str(folder), device="cpu")
    assert not [record for record in caplog.records if "randomly" in record.getMessage()]


def test_the_demo_model_is_small_and_knows_its_words():
    folder = ENCODERS["animations-clip"]
    if not (folder / "manifest.json").exists():
        pytest.skip("needs precomputed/models/animations-clip; run the train command")
    assert sum(path.stat().st_size for path in folder.iterdir()) < 10_000_000
    found = get_encoder("animations-clip", device="cpu")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["encoder"] == {"name": found.name, "digest": found.digest, "dim": found.dim}
    assert found.unknown_words("a red ball and a tyrannosaurus") == ["tyrannosaurus"]

"""A checkpoint and a feature tree -> an encoder, a gallery and a querybank that are served."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from made_trees import WORDS, make_film_tree, make_tree  # noqa: E402

from retrieval import checkpoint  # noqa: E402
from retrieval.__main__ import main  # noqa: E402
from retrieval.answers import Settings  # noqa: E402
from retrieval.datasets.official import open_official  # noqa: E402
from retrieval.encoders import ENCODERS, get_encoder  # noqa: E402
from retrieval.encoders.tokens import WordVectors, load_tokens  # noqa: E402
from retrieval.encoders.trained import (  # noqa: E402
    SETTINGS,
    TrainedExperts,
    from_checkpoint,
    pack,
)
from retrieval.engine import open_engine  # noqa: E402
from retrieval.errors import ModelError  # noqa: E402
from retrieval.gallery import EncoderId, open_gallery, write_gallery  # noqa: E402
from retrieval.models import CEConfig, build, from_official  # noqa: E402
from retrieval.querybank import open_querybank  # noqa: E402
from retrieval.training.expert_clips import from_official as clips_of  # noqa: E402
from retrieval.training.expert_recipes import get_expert_recipe  # noqa: E402
from retrieval.training.experts_trainer import seeded, trained  # noqa: E402
from retrieval.training.feature_library import FeatureLibrary  # noqa: E402
from tests.fakes import FakeEncoder  # noqa: E402

torch.set_num_threads(1)


def network(config: CEConfig) -> torch.nn.Module:
    """As after training: batch norms have seen something."""
    model = seeded(config, 0)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2.0)
    return model.eval()


def save(path: Path, model: torch.nn.Module, config: dict) -> Path:
    """A checkpoint as training leaves it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {"arch": "CENet", "epoch": 1, "state_dict": model.state_dict(), "config": config}
    checkpoint.save_state(path, state)
    return path


def save_words(folder: Path, dim: int, name: str = "words") -> Path:
    """A live encoder of the made captions' words, all but the last."""
    vectors = np.random.default_rng(1).standard_normal((len(WORDS) - 1, dim))
    WordVectors(WORDS[:-1], vectors, name).save(folder / name)
    return folder / name


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> FeatureLibrary:
    """A made tree in the layout of the film library, with a live encoder of its words."""
    folder = tmp_path_factory.mktemp("tree")
    root = make_film_tree(folder, n_train=3, n_val=9)
    save_words(root / "text_encoders", 7)
    return FeatureLibrary(root)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, library) -> dict[str, Path]:
    """Checkpoints of three recipes."""
    folder, found = tmp_path_factory.mktemp("runs"), {}
    for name in ("animations-ce", "animations-moee", "animations-audio"):
        config = library.model(get_expert_recipe(name))
        plain = json.loads(json.dumps({"recipe": name, "model": asdict(config)}))
        found[name] = save(folder / f"{name}.pth", network(config), plain)
    return found


@pytest.fixture
def shown(tmp_path, library):
    """A gallery of the tree's test clips, in another order, by another encoder."""
    videos = (library.root / "test_list_full.txt").read_text().split()[::-1]
    items = [{"id": video, "caption": f"a film of {WORDS[0]}"} for video in videos]
    queries = [
        {"id": f"q-{video}", "text": f"{WORDS[n % 7]} {WORDS[n % 5]}", "video_id": video}
        for n, video in enumerate(videos)
    ]
    emb = np.random.default_rng(0).standard_normal((2, len(videos), 4))
    write_gallery(tmp_path / "films", emb[0], items, EncoderId.external(4), queries, emb[1])
    captions = tmp_path / "captions.txt"
    captions.write_text("".join(f"{one} {two}\n" for one in WORDS[:-1] for two in WORDS[1:-1]))
    return open_gallery(tmp_path / "films")


def by_network(
    model: torch.nn.Module, clips, tokens: WordVectors, texts: list[str], longest: int = 24
) -> np.ndarray:
    """[n, n_videos] of the network's own forward pass, a caption padded with zeros."""
    text = torch.zeros(len(texts), 1, longest, tokens.dim)
    for n, one in enumerate(texts):
        rows = tokens.encode(one)[:longest]
        text[n, 0, : len(rows)] = torch.from_numpy(rows)
    experts, ind = clips.batch(torch.arange(len(clips)))
    with torch.no_grad():
        return model(experts, ind, text)["cross_view_conf_matrix"].numpy()


@pytest.mark.parametrize("name", ["animations-ce", "animations-moee"])
def test_what_is_served_has_the_networks_own_similarities(tmp_path, library, runs, shown, name):
    models, out = tmp_path / "models" / "mine", tmp_path / name
    command = ["index", "--experts", str(library.root), "--checkpoint", str(runs[name])]
    command += ["--model", str(models), "--gallery", str(shown.path), "--out", str(out)]
    assert main(command) == 0
    assert sorted(each.name for each in models.parent.iterdir()) == ["mine", "tokens-words"]
    bank = ["bank", str(tmp_path / "captions.txt"), "--gallery", str(out)]
    assert main([*bank, "--out", str(tmp_path / f"{name}-bank")]) == 0
    assert len(list((out / "biases").glob("*.npz"))) == 4

    engine = open_engine(out)
    encoder = engine.load_encoder()
    assert isinstance(encoder, TrainedExperts) and encoder.name == "mine"
    assert get_encoder(models) is encoder  # loaded once
    clips = library.clips(get_expert_recipe(name), "test")
    texts = ["dog", f"{WORDS[0]} {WORDS[3]} {WORDS[2]}"]
    model = encoder.model
    expected = by_network(model, clips, encoder.tokens, texts)
    full = by_network(trained(runs[name]), clips, encoder.tokens, texts)
    np.testing.assert_allclose(expected, full, atol=5e-3)  # weights in half precision
    for n, text in enumerate(texts):
        answer = engine.rank(text, settings=Settings(top=9)).rankings[0].results
        assert len(answer) == 9
        for each in answer:  # embeddings of videos are stored in half precision
            row = clips.videos.index(each.id)
            assert each.score == pytest.approx(float(expected[n, row]), abs=1e-3)
            told = engine.explain(each.id, query=text)
            there = {m: bool(flags[row]) for m, flags in clips.available.items()}
            assert {share.name: not share.missing for share in told.experts} == there
            assert sum(share.contribution for share in told.experts) == pytest.approx(
                told.sim, abs=1e-5
            )
    changes = engine.changes()
    assert [row.text for row in changes.rows] == list(shown.queries.texts)


def test_a_gallery_of_sounds_has_the_clips_that_sound(tmp_path, library, runs, shown, caplog):
    caplog.set_level("INFO")
    out = tmp_path / "sounds"
    command = ["index", "--experts", str(library.root), "--gallery", str(shown.path)]
    command += ["--checkpoint", str(runs["animations-audio"]), "--out", str(out)]
    assert main([*command, "--model", str(tmp_path / "models" / "sounds")]) == 0
    opened = open_gallery(out)
    sounding = library.clips(get_expert_recipe("animations-audio"), "test").videos
    assert {item.id for item in opened.items} == set(sounding)
    assert opened.media == "audio" and len(opened) < len(shown)
    assert f"left out {len(shown) - len(opened)} videos that have no expert" in caplog.text
    assert {item.id for item in opened.items} == {
        opened.items[row].id for row in opened.queries.correct
    }


def test_somebodys_own_tree_is_indexed_with_its_captions(tmp_path):
    """From a run of an official config, as `train CONFIG.json` leaves it."""
    config = make_tree(tmp_path / "data", "MSRVTT", "full-val", n_train=2, n_val=8, text_dim=768)
    root = tmp_path / "data" / "MSRVTT" / "structured-symlinks"
    tokens = save_words(tmp_path, 768, config["experts"]["text_feat"])
    run = save(tmp_path / "run" / "trained_model.pth", network(from_official(config)), config)
    models, out = tmp_path / "models" / "own", tmp_path / "own"
    command = ["index", "--experts", str(root), "--checkpoint", str(run), "--tokens", str(tokens)]
    command += ["--model", str(models), "--queries-as", "captions", "--out", str(out)]
    assert main(command) == 0
    opened, encoder = open_gallery(out), get_encoder(models)
    assert encoder.reads.dataset == "MSRVTT"
    assert opened.manifest["n_queries"] == len(opened) == 8 and opened.items[1].captions
    dims = {each.name: each.dim for each in encoder.model.config.experts}
    clips = clips_of(open_official(config, dims), "val")
    assert [item.id for item in opened.items] == list(clips.videos)
    texts, space = list(opened.queries.texts), encoder.space
    sims = space.rows(opened.queries.text_emb, space.items(opened.video_emb)).read_rows(0, 8)
    expected = by_network(encoder.model, clips, encoder.tokens, texts, encoder.n_words)
    np.testing.assert_allclose(sims, expected, atol=1e-5)
    bank = ["bank", "--gallery", str(out), "--out", str(tmp_path / "own-bank")]
    (tmp_path / "words.txt").write_text("\n".join(WORDS))
    assert main([*bank, str(tmp_path / "words.txt")]) == 0
    assert open_querybank(tmp_path / "own-bank").text_emb.shape == (len(WORDS), encoder.dim)


# ---- what a typed sentence meets -----------------------------------------------------------------


@pytest.fixture
def encoder(library, runs) -> TrainedExperts:
    tokens = save_words(library.root / "text_encoders", 7)
    return from_checkpoint(runs["animations-moee"], load_tokens(tokens))


def test_words_without_a_vector_and_words_beyond_the_last_token_are_named(encoder):
    assert encoder.unknown_words("A zeppelin, a dog and a zeppelin") == ["zeppelin", "and"]
    assert encoder.truncated_at("a dog runs") is None
    assert encoder.truncated_at(" ".join(["dog"] * 24)) is None
    assert encoder.truncated_at(" ".join(["dog", "zeppelin"] * 24 + ["runs", "red"])) == "runs"
    many = encoder.encode_text(["dog runs"] * 700)  # more than one batch
    np.testing.assert_allclose(
        many, np.repeat(encoder.encode_text(["dog runs"]), 700, 0), atol=1e-6
    )
    assert encoder.encode_text([]).shape == (0, encoder.dim)
    with pytest.raises(ValueError, match="give a list of sentences"):
        encoder.encode_text("a dog")


def test_an_encoder_is_another_one_if_its_tokens_are(tmp_path, library, runs):
    given = library.root / "text_encoders" / "words"
    first = pack(runs["animations-moee"], given, tmp_path / "models" / "one")
    again = pack(runs["animations-moee"], given, tmp_path / "models" / "two")
    assert first.digest == again.digest
    shutil.copytree(given, tmp_path / "words")
    (tmp_path / "words" / "words.txt").write_text("\n".join(reversed(WORDS[:-1])))
    other = pack(runs["animations-moee"], tmp_path / "words", tmp_path / "models" / "three")
    assert other.digest != first.digest
    assert (tmp_path / "models" / "three" / "tokens").is_dir()  # the shared place was taken
    assert not (tmp_path / "models" / "two" / "tokens").exists()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ({"model": {}}, "describes no network of experts"),
        ({"tokens": "../../tokens-words"}, "names tokens outside"),
        ({"reads": {"dataset": 1}}, "describes no network of experts"),
        ({"tokens": "gone"}, "there is no text encoder gone"),
    ],
)
def test_odd_folders_are_refused(tmp_path, library, runs, spoil, message):
    folder = tmp_path / "models" / "one"
    pack(runs["animations-moee"], library.root / "text_encoders" / "words", folder)
    about = json.loads((folder / SETTINGS).read_text())
    (folder / SETTINGS).write_text(json.dumps({**about, **spoil}))
    with pytest.raises(ModelError, match=message):
        get_encoder(folder)


def test_networks_that_are_compared_otherwise_are_refused(library, runs, encoder):
    config = replace(encoder.model.config, keep_missing_modalities=True)
    with pytest.raises(ModelError, match="sums over experts that a video lacks"):
        TrainedExperts(build(config), encoder.tokens, "x", 24, encoder.reads, {})


def test_wrong_options_are_told_in_a_sentence(tmp_path, library, runs, capsys, monkeypatch):
    monkeypatch.setattr("retrieval.encoders.get_encoder", lambda spec: FakeEncoder(spec))
    tree, out = ["--experts", str(library.root)], ["--out", str(tmp_path / "g")]
    for options, message in (
        ([*tree], "--experts needs --model"),
        (["films", *tree], "give either a folder of videos, --experts FEATURES or"),
        (["films", "--checkpoint", "x"], "--checkpoint belongs to --experts"),
        ([*tree, "--model", "animations-clip"], "takes videos, not expert features"),
        ([*tree, "--model", "x", "--queries-as", "q.npy"], "--queries-as is 'captions'"),
    ):
        assert main(["index", *options, *out]) == 2
        assert message in capsys.readouterr().err
    monkeypatch.undo()
    films = tmp_path / "films"
    films.mkdir()
    (films / "a.mp4").touch()
    folder = tmp_path / "models" / "one"
    pack(runs["animations-moee"], library.root / "text_encoders" / "words", folder)
    assert main(["index", str(films), "--model", str(folder), *out]) == 2
    assert "one takes features that are not computed here" in capsys.readouterr().err
    assert main(["bank", "c.txt", "--captions-of", "b", *out]) == 2
    assert "--captions-of brings all captions" in capsys.readouterr().err


# ---- what the project brings ---------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in ENCODERS if name != "animations-clip"])
def test_networks_of_the_film_library_are_ready(name):
    gallery = Path(__file__).resolve().parents[1] / "precomputed" / name
    engine = open_engine(gallery)
    for settings in (Settings(), Settings(beta=20), Settings(right="inverted_softmax")):
        engine.resolved_beta(settings)  # is kept with the gallery
    assert engine.gallery.queries.emb._emb is None and engine.bank.emb._emb is None
    answer = engine.rank("a red ball bounces on the floor")
    assert answer.unknown_words == () and answer.n_bank >= 2500
    assert engine.bank.emb._emb is None
    told = engine.explain(answer.rankings[0].results[0].id, query="a red ball bounces")
    assert sum(share.contribution for share in told.experts) == pytest.approx(told.sim, abs=1e-5)
    assert engine.gallery.media == ("audio" if name == "animations-audio" else "video")

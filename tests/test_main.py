"""The command line on made and on real data: what it prints, and how it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import retrieval.encoders
from retrieval.__main__ import COMMANDS, main
from retrieval.advice.choosing import choose
from retrieval.answers import Settings
from retrieval.engine import Engine
from retrieval.gallery import open_gallery
from retrieval.querybank import open_querybank
from retrieval.similarity import SimTiles
from tests.fakes import FakeEncoder, make_bank, make_gallery, sentences

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def folder(tmp_path):
    """A gallery of 30 and its bank of 50, made by the fake encoder."""
    make_gallery(tmp_path)
    make_bank(tmp_path)
    return tmp_path


@pytest.fixture
def fake_encoder(monkeypatch):
    encoder = FakeEncoder()
    monkeypatch.setattr(retrieval.encoders, "get_encoder", lambda spec: encoder)
    return encoder


def refused(capsys, *argv):
    """Run a command that must be refused; returns its one line."""
    assert main([str(arg) for arg in argv]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1, err
    assert len(err) < 300 and "Traceback" not in err
    return err


# ---- help


def test_help_is_instant_and_lists_every_command():
    code = (
        "import sys\nfrom retrieval.__main__ import main\nmain(['--help'])\n"
        "heavy = {'numpy', 'torch', 'gradio', 'faiss', 'open_clip'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in COMMANDS:
        assert f"  {name} " in done.stdout


@pytest.mark.parametrize("command", ["search", "index", "bank", "evaluate", "fetch"])
def test_every_commands_help_works_without_heavy_imports(command):
    code = (
        "import sys\nfrom retrieval.__main__ import main\n"
        f"try:\n    main([{command!r}, '--help'])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "heavy = {'numpy', 'torch', 'gradio', 'faiss', 'open_clip'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"usage: python -m retrieval {command}" in done.stdout


def test_every_command_has_its_module():
    for name in COMMANDS:
        assert (ROOT / "retrieval" / "commands" / f"{name}.py").exists(), name


# ---- search


def test_search_prints_both_rankings_side_by_side(folder, fake_encoder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    assert main(["search", "red dog", "--gallery", f"{folder}/gallery", "--top", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    answer = Engine(
        open_gallery(folder / "gallery"), open_querybank(folder / "gallery-bank"), fake_encoder
    ).rank("red dog")
    assert lines[0] == '"red dog"' and lines[1] == answer.reason
    assert "Raw similarity" in lines[-4] and "QB-Norm" in lines[-4]
    for line, left, right in zip(
        lines[-3:], answer.rankings[0].results, answer.rankings[1].results, strict=False
    ):
        for half, result in zip(line.split(" | "), (left, right), strict=True):
            rank, score, other, known = half.split()[:4]
            assert (int(rank), int(other), known) == (result.rank, result.other_rank, result.id)
            assert float(score) == pytest.approx(result.score, abs=5e-4)


def test_search_json_is_the_engines_answer(folder, capsys):
    gallery = f"{folder}/gallery"
    argv = ["search", "--query-id", "q4", "--gallery", gallery, "--json", "--beta", "20"]
    assert main([*argv, "--k", "2", "--top", "4", "--normaliser", "inverted_softmax"]) == 0
    engine = Engine(open_gallery(gallery), open_querybank(f"{gallery}-bank"))
    settings = Settings(right="inverted_softmax", beta=20.0, k=2, top=4)
    expected = engine.rank(query_id="q4", settings=settings).to_dict()
    assert json.loads(capsys.readouterr().out) == expected


def test_search_uses_what_it_chooses_whatever_the_settings_say(folder, capsys):
    gallery = f"{folder}/gallery"
    argv = ["search", "--query-id", "q4", "--gallery", gallery, "--choose", "--beta", "20"]
    engine = Engine(open_gallery(gallery), open_querybank(f"{gallery}-bank"))
    choice = choose(SimTiles(engine.bank.text_emb, engine.gallery.video_emb))
    assert main([*argv, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer.pop("choice")["sentence"] == choice.sentence
    settings = Settings(right=choice.spec)
    assert answer == engine.rank(query_id="q4", settings=settings).to_dict()
    assert main(argv) == 0
    assert capsys.readouterr().out.startswith(choice.sentence)
    assert "not allowed with" in refused(capsys, *argv, "--normaliser", "csls")


def test_search_without_a_bank_shows_raw_and_says_so(tmp_path, capsys):
    make_gallery(tmp_path)
    assert main(["search", "--query-id", "q0", "--gallery", f"{tmp_path}/gallery"]) == 0
    assert "No querybank is loaded" in capsys.readouterr().out
    argv = ["search", "--query-id", "q0", "--gallery", f"{tmp_path}/gallery", "--choose"]
    assert "--choose needs a querybank" in refused(capsys, *argv)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["search", ""], "query is empty"),
        (["search"], "query is empty"),
        (["search", "x " * 200], "limit is 300"),
        (["search", "a\0b"], "null byte"),
        (["search", "dog", "--beta", "0"], "beta must be above 0"),
        (["search", "dog", "--beta", "nan"], "beta must be a finite number"),
        (["search", "dog", "--beta", "1e9"], "at most 1,000,000"),
        (["search", "dog", "--beta", "warm"], "argument --beta: invalid float"),
        (["search", "dog", "--k", "0"], "k must be a whole number"),
        (["search", "dog", "--k", "31"], "1..30 (the gallery size)"),
        (["search", "dog", "--bank-size", "51"], "1..50"),
        (["search", "dog", "--top", "101"], "top must be"),
        (["search", "dog", "--strength", "2"], "strength must be"),
        (["search", "dog", "--normaliser", "csls!"], "unknown normaliser 'csls!'"),
        (["search", "dog", "--query-id", "zzz"], "no stored query 'zzz'"),
        (["search", "dog", "--colour"], "unrecognized arguments: --colour"),
        (["dance"], "unknown command 'dance'; available: search, index"),
    ],
)
def test_bad_words_and_settings_are_one_line(folder, fake_encoder, capsys, argv, sentence):
    if argv[0] == "search":
        argv = [*argv, "--gallery", str(folder / "gallery")]
    assert sentence in refused(capsys, *argv)


def test_bad_galleries_and_banks_are_one_line(folder, fake_encoder, capsys):
    assert "there is no gallery" in refused(capsys, "search", "dog", "--gallery", folder / "none")
    assert "is not a gallery" in refused(
        capsys, "search", "d", "--gallery", f"{folder}/gallery-bank"
    )
    assert "there is no querybank" in refused(
        capsys, "search", "dog", "--gallery", folder / "gallery", "--bank", folder / "none"
    )
    make_bank(folder / "other", encoder=FakeEncoder("other"))
    assert "rebuild the bank" in refused(
        *(capsys, "search", "dog", "--gallery", folder / "gallery"),
        *("--bank", folder / "other" / "gallery-bank"),
    )
    emb = folder / "gallery" / "video_emb.npy"
    emb.write_bytes(emb.read_bytes()[:-4])
    assert "video_emb.npy is damaged" in refused(
        capsys, "search", "dog", "--gallery", folder / "gallery"
    )
    emb.write_bytes(b"")
    assert "0 bytes" in refused(capsys, "search", "dog", "--gallery", folder / "gallery")


# ---- index and bank


def test_embeddings_with_their_model_can_be_searched_by_typing(tmp_path, fake_encoder, capsys):
    captions = sentences(6)
    np.save(tmp_path / "x.npy", fake_encoder.encode_text(captions))
    rows = [json.dumps({"id": f"v{row}", "caption": text}) for row, text in enumerate(captions)]
    (tmp_path / "i.jsonl").write_text("\n".join(rows))
    argv = ["index", "--embeddings", f"{tmp_path}/x.npy", "--items", f"{tmp_path}/i.jsonl"]
    argv += ["--model", "fake", "--queries-as", "captions", "--out", f"{tmp_path}/g"]
    assert main(argv) == 0
    opened = open_gallery(tmp_path / "g")
    np.testing.assert_allclose(opened.queries.text_emb, opened.video_emb, atol=1e-6)
    capsys.readouterr()
    assert main(["search", captions[3], "--gallery", f"{tmp_path}/g", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["query_id"] is None  # typed
    assert answer["rankings"][0]["results"][0]["id"] == "v3"


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda emb: emb[:, :0], "expected [n, dim]"),
        (lambda emb: emb[None], "name one slice"),
        (lambda emb: np.where(np.arange(5)[:, None] == 3, np.nan, emb), "row 3 of the video"),
        (
            lambda emb: emb * (np.arange(5)[:, None] != 2),
            "row 2 of the video embeddings is all zero",
        ),
        (lambda emb: emb[:4], "4 embeddings and 5 items"),
        (lambda emb: emb.astype(str), "expected plain numbers"),
    ],
)
def test_bad_embeddings_are_one_line_and_nothing_is_left(tmp_path, capsys, rng, damage, sentence):
    np.save(tmp_path / "x.npy", damage(rng.standard_normal((5, 3))))
    (tmp_path / "items.txt").write_text("\n".join("abcde"))
    line = refused(
        *(capsys, "index", "--embeddings", tmp_path / "x.npy"),
        *("--items", tmp_path / "items.txt", "--out", tmp_path / "g"),
    )
    assert sentence in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["items.txt", "x.npy"]


def test_bad_lists_are_one_line(tmp_path, capsys, rng):
    np.save(tmp_path / "x.npy", rng.standard_normal((3, 4)))
    (tmp_path / "twice.txt").write_text("a\nb\na")
    index = (capsys, "index", "--embeddings", tmp_path / "x.npy", "--out", tmp_path / "g")
    assert "rows 0 and 2 have the same id 'a'" in refused(*index, "--items", tmp_path / "twice.txt")
    assert "there is no file" in refused(*index, "--items", tmp_path / "none.txt")
    assert "needs --model" in refused(*index, "--queries-as", "captions")
    np.save(tmp_path / "q.npy", rng.standard_normal((3, 5)))
    assert "query embeddings have shape (3, 5)" in refused(
        *index, "--queries-as", tmp_path / "q.npy"
    )
    assert "say where the gallery goes" in refused(capsys, "index", tmp_path)
    assert "give either a folder of videos, --experts FEATURES or --embeddings FILE" in refused(
        capsys, "index", "--out", "g"
    )
    assert "holds no video files" in refused(capsys, "index", tmp_path, "--out", tmp_path / "g")
    assert "is not a folder" in refused(capsys, "index", tmp_path / "no", "--out", tmp_path / "g")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    line = refused(
        *(capsys, "index", "--embeddings", tmp_path / "x.npy", "--out", tmp_path / "mine")
    )
    assert "was not made by this command" in line
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_bad_banks_are_one_line(tmp_path, capsys, rng):
    out = ("--out", tmp_path / "b")
    np.save(tmp_path / "x.npy", rng.standard_normal((3, 4)))
    (tmp_path / "two.txt").write_text("a\nb")
    (tmp_path / "empty.txt").write_text("\n")
    assert "3 bank embeddings and 2 captions" in refused(
        *(capsys, "bank", "--embeddings", tmp_path / "x.npy", "--captions", tmp_path / "two.txt"),
        *out,
    )
    assert "0 rows" in refused(capsys, "bank", tmp_path / "empty.txt", *out)
    assert "give CAPTIONS" in refused(capsys, "bank", *out)
    assert "--limit must be" in refused(capsys, "bank", tmp_path / "two.txt", "--limit", "0", *out)
    assert "required: --out" in refused(capsys, "bank", tmp_path / "two.txt")


def test_bank_embeds_captions_for_a_gallery_and_keeps_its_biases(folder, fake_encoder, capsys):
    captions = sentences(60, seed=8)
    (folder / "c.txt").write_text("\n".join(captions))
    bank = folder / "gallery-bank"
    argv = ["bank", f"{folder}/c.txt", "--gallery", f"{folder}/gallery", "--out", str(bank)]
    assert main([*argv, "--limit", "45"]) == 0
    opened = open_querybank(bank, verify=True)
    assert len(opened) == 45 and set(opened.captions) < set(captions)
    np.testing.assert_allclose(
        opened.text_emb, fake_encoder.encode_text(list(opened.captions)), atol=1e-6
    )
    assert opened.manifest["command"].startswith("python -m retrieval bank ")
    assert len(list((folder / "gallery" / "biases").glob("*.npz"))) == 4
    assert main(["search", "red dog", "--gallery", f"{folder}/gallery"]) == 0
    assert "of 45 bank captions" in capsys.readouterr().out


def test_verify_finds_damage_that_open_does_not_look_for(folder, capsys):
    gallery = folder / "gallery"
    assert main(["index", "--verify", str(gallery)]) == 0
    assert "is whole: 30 items of dim 12, 30 queries" in capsys.readouterr().out
    text = (gallery / "items.jsonl").read_text()
    (gallery / "items.jsonl").write_text(text.replace("dog", "cat", 1))
    assert "items.jsonl is damaged" in refused(capsys, "index", "--verify", gallery)


def test_ctrl_c_and_a_full_disk_are_one_line(folder, capsys, monkeypatch):
    def stop(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Engine, "rank", stop)
    assert main(["search", "--query-id", "q0", "--gallery", f"{folder}/gallery"]) == 130
    assert capsys.readouterr().err == "stopped\n"

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Engine, "rank", full)
    line = refused(capsys, "search", "--query-id", "q0", "--gallery", folder / "gallery")
    assert line == "error: No space left on device\n"


# ---- real data


@pytest.mark.parametrize(
    ("name", "file", "n", "dim"),
    [
        ("coco500_clip_vitb16", "features_clip.npy", 500, 512),
        ("msrvtt100_videoclip", "features_videoclip.npy", 100, 768),
    ],
)
def test_real_embeddings_go_through_every_command(
    shared_data, tmp_path, capsys, monkeypatch, name, file, n, dim
):
    monkeypatch.chdir(tmp_path)
    path = shared_data(name) / file
    pairs = path.parent / "pairs500.json"
    items = ["--items", str(pairs)] if pairs.exists() else []
    argv = ["index", "--embeddings", f"{path}[0]", *items, "--queries-as", f"{path}[1]"]
    assert main([*argv, "--out", "g"]) == 0
    np.save("bank.npy", np.load(path)[1][::2])
    assert main(["bank", "--embeddings", "bank.npy", "--gallery", "g", "--out", "g-bank"]) == 0
    capsys.readouterr()

    assert main(["search", "#12", "--gallery", "g", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["n_gallery"] == n and answer["n_bank"] == n // 2
    raw = np.load(path).astype(float)
    raw /= np.linalg.norm(raw, axis=-1, keepdims=True)
    sims = raw[1] @ raw[0].T
    opened = open_gallery("g")
    assert opened.video_emb.shape == (n, dim)
    order = np.argsort(-sims[12], kind="stable")
    shown = [result["id"] for result in answer["rankings"][0]["results"][:10]]
    assert shown == [opened.items[row].id for row in order[:10]]
    assert main(["search", answer["query"], "--gallery", "g", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == answer

    assert main(["evaluate", "--gallery", "g", "--json", "r.json", "--beta", "20"]) == 0
    assert "bank overlaps the test" in capsys.readouterr().out
    report = json.loads(Path("r.json").read_text())
    ranks = 1 + (sims > np.diag(sims)[:, None]).sum(axis=1)
    assert report["rows"][0]["metrics"]["R@1"] == pytest.approx(100 * np.mean(ranks == 1))
    bank_sims = raw[1][::2] @ raw[0].T
    bias = np.log(np.exp(20 * bank_sims).sum(axis=0)) / 20
    active = np.isin(sims.argmax(axis=1), bank_sims.argmax(axis=1))
    scores = sims - active[:, None] * bias
    ranks = 1 + (scores > np.diag(scores)[:, None]).sum(axis=1)
    qbnorm = next(row for row in report["rows"] if row["normaliser"] == "qbnorm")
    assert qbnorm["metrics"]["R@1"] == pytest.approx(100 * np.mean(ranks == 1))
    assert main(["evaluate", "--gallery", "g", "--direction", "v2t"]) == 0
    assert "video-to-text: " in capsys.readouterr().out
    np.save("videos.npy", np.load(path)[0][::2])
    bank = ["bank", "--embeddings", "videos.npy", "--gallery", "g", "--side", "video"]
    assert main([*bank, "--out", "videos"]) == 0
    v2t = ["evaluate", "--gallery", "g", "--direction", "v2t", "--bank", "videos"]
    assert main([*v2t, "--normaliser", "inverted_softmax", "--beta", "20", "--json", "v.json"]) == 0
    rows = json.loads(Path("v.json").read_text())["rows"]
    scores = sims.T - np.log(np.exp(20 * sims.T[::2]).sum(axis=0)) / 20
    ranks = 1 + (scores > np.diag(scores)[:, None]).sum(axis=1)
    assert rows[1]["metrics"]["R@1"] == pytest.approx(100 * np.mean(ranks == 1))


def test_an_official_3d_file_is_refused_with_the_way_to_name_a_slice(shared_data, tmp_path, capsys):
    path = shared_data("coco500_clip_vitb16") / "features_clip.npy"
    line = refused(capsys, "index", "--embeddings", path, "--out", tmp_path / "g")
    assert "(2, 500, 512)" in line and "features_clip.npy[0]" in line


def test_a_bank_of_another_space_is_refused(shared_data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    coco = shared_data("coco500_clip_vitb16") / "features_clip.npy"
    prompts = shared_data("imagenet_prompts_clip_vitb32")
    assert (
        main(["index", "--embeddings", f"{coco}[0]", "--queries-as", f"{coco}[1]", "--out", "g"])
        == 0
    )
    argv = ["bank", "--embeddings", str(prompts / "text_features2.npy"), "--encoder-id", "ViT-B/32"]
    argv += ["--captions", str(prompts / "prompts_for_text_features2.json"), "--out", "b"]
    assert main(argv) == 0  # not of unit length: scaled
    capsys.readouterr()
    line = refused(capsys, "search", "#1", "--gallery", "g", "--bank", "b")
    assert "rebuild the bank with the gallery's" in line

"""Bias files: the same numbers in every format, and enough beside them to know what they are."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import faiss
import numpy as np
import pytest

from retrieval.__main__ import main
from retrieval.advice.choosing import choice_lines, choose
from retrieval.commands.bias import SUFFIXES
from retrieval.folding import Folding
from retrieval.gallery import open_gallery
from retrieval.normalisers import Evidence, get_normaliser, parse_spec
from retrieval.querybank import open_querybank, write_querybank
from retrieval.similarity import SimTiles, unit_rows
from tests.fakes import make_bank, make_gallery

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("serving")
    make_gallery(path)
    make_bank(path)
    return path


@pytest.fixture
def expected(folder):
    gallery, bank = open_gallery(folder / "gallery"), open_querybank(folder / "gallery-bank")
    sims = bank.text_emb @ gallery.video_emb.T
    return gallery, bank, get_normaliser("qbnorm", beta=20.0).fit(sims)


def run(folder, *argv):
    assert main(["bias", "--gallery", str(folder / "gallery"), *map(str, argv)]) == 0


def read(path):
    """ids, bias, active and about of a file, read as a stranger would."""
    beside = path.with_name(f"{path.name}.about.json")
    if path.suffix == ".npy":
        return None, np.load(path), None, json.loads(beside.read_text())
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            about = json.loads(arrays["about"].tobytes())
            return arrays["id"].tolist(), arrays["bias"], arrays["active"], about
    if path.suffix == ".json":
        whole = json.loads(path.read_text())
        return whole["id"], np.float32(whole["bias"]), np.array(whole["active"]), whole["about"]
    if path.suffix == ".csv":
        rows = list(csv.DictReader(path.open()))
        ids = [row["id"] for row in rows]
        bias = np.float32([row["bias"] for row in rows])
        active = np.array([row["active"] == "True" for row in rows])
        return ids, bias, active, json.loads(beside.read_text())
    import fastparquet

    file = fastparquet.ParquetFile(path)
    table = file.to_pandas()
    about = json.loads(file.key_value_metadata["hublens"])
    return table["id"].tolist(), table["bias"].to_numpy(), table["active"].to_numpy(), about


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_back_the_same_numbers(folder, expected, tmp_path, suffix):
    gallery, bank, bias = expected
    out = tmp_path / f"bias{suffix}"
    run(folder, "--beta", 20, "--out", out)
    ids, values, active, about = read(out)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, bias.centred, atol=1e-6)
    if suffix != ".npy":
        assert ids == [item.id for item in gallery.items]
        np.testing.assert_array_equal(active, bias.active)
    assert about["fitted_on"]["gallery"] == gallery.digest
    assert about["fitted_on"]["bank"] == bank.digest
    assert about["fitted_on"]["encoder"] == gallery.encoder.digest
    assert (about["normaliser"], about["beta"], about["k"]) == ("qbnorm:beta=20", 20.0, 1)
    assert (about["n_items"], about["dim"], about["n_bank"]) == (30, 12, 50)
    assert about["gated"] and about["command"].startswith("python -m retrieval bias --gallery")
    folding = Folding(bias, 12)
    assert about["c"] == folding.c and about["length"] == pytest.approx(folding.length, abs=1e-6)
    np.testing.assert_allclose(values + about["mean"], bias.values, atol=1e-6)


def test_parquet_is_read_by_other_readers(folder, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    run(folder, "--out", tmp_path / "bias.parquet")
    table = parquet.read_table(tmp_path / "bias.parquet")
    assert [str(field.type) for field in table.schema] == ["string", "float", "bool"]
    assert table.schema.metadata[b"hublens"].startswith(b"{")
    assert table["id"].to_pylist()[:2] == ["v0", "v1"]


def test_a_normaliser_without_a_gate_has_no_column_for_it(folder, tmp_path):
    run(folder, "--normaliser", "inverted_softmax", "--out", tmp_path / "bias.csv")
    assert (tmp_path / "bias.csv").read_text().startswith("id,bias\nv0,")
    assert not json.loads((tmp_path / "bias.csv.about.json").read_text())["gated"]


def test_knobs_may_stand_in_the_word(folder, tmp_path, expected):
    gallery, bank, _ = expected
    run(folder, "--normaliser", "nnn:alpha=0.5:neighbours=8", "--out", tmp_path / "bias.npy")
    about = json.loads((tmp_path / "bias.npy.about.json").read_text())
    assert about["normaliser"] == "nnn:alpha=0.5:neighbours=8" and about["beta"] is None
    nearest = -np.sort(-(bank.text_emb @ gallery.video_emb.T), axis=0)[:8].mean(axis=0) / 2
    np.testing.assert_allclose(np.load(tmp_path / "bias.npy"), nearest - nearest.mean(), atol=1e-6)


def test_the_chosen_normaliser_is_fitted_as_it_is_spelt(folder, expected, tmp_path, capsys):
    gallery, bank, _ = expected
    choice = choose(SimTiles(bank.text_emb, gallery.video_emb))
    run(folder, "--choose", "--beta", "99", "--out", tmp_path / "bias.npy")
    assert capsys.readouterr().out.splitlines() == choice_lines(choice)
    bias = parse_spec(choice.spec).fit(bank.text_emb @ gallery.video_emb.T)
    np.testing.assert_allclose(np.load(tmp_path / "bias.npy"), bias.centred, atol=1e-6)
    about = json.loads((tmp_path / "bias.npy.about.json").read_text())
    assert about["normaliser"] == choice.spec


def test_the_faiss_file_holds_the_gallery_and_the_bias(folder, expected, tmp_path, caplog):
    gallery, _, bias = expected
    with caplog.at_level("INFO"):
        run(folder, "--beta", 20, "--faiss", tmp_path / "out.index")
    assert re.search(r"on 16 bank captions .* within \de-0[78] of the definition", caplog.text)
    index = faiss.read_index(str(tmp_path / "out.index"))
    vectors = index.reconstruct_n(0, 30)
    np.testing.assert_array_equal(vectors[:, :12], gallery.video_emb)
    np.testing.assert_allclose(vectors[:, 12], -Folding(bias, 12).c * bias.centred, atol=1e-6)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "say where it goes: --out bias.parquet"),
        (["--out", "bias.xlsx"], "the suffix chooses the format: .parquet, .csv"),
        (["--out", "bias.csv", "--normaliser", "magic"], "unknown normaliser 'magic'"),
        (["--out", "bias.csv", "--beta", "0"], "beta must be a positive number, got 0"),
        (["--out", "bias.csv", "--k", "31"], "k must be a whole number in 1..30"),
        (["--out", "bias.csv", "--bank-size", "51"], "the bank has 50 captions, cannot take 51"),
    ],
)
def test_a_bad_option_is_one_sentence(folder, tmp_path, monkeypatch, capsys, argv, message):
    monkeypatch.chdir(tmp_path)
    assert main(["bias", "--gallery", str(folder / "gallery"), *argv]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_gallery_without_a_bank_says_how_to_make_one(tmp_path, capsys):
    make_gallery(tmp_path)
    argv = ["bias", "--gallery", str(tmp_path / "gallery"), "--out", str(tmp_path / "b.csv")]
    assert main(argv) == 2
    assert "made by `python -m retrieval bank`" in capsys.readouterr().err


def test_a_bank_of_videos_is_refused(folder, tmp_path, capsys):
    gallery = open_gallery(folder / "gallery")
    write_querybank(tmp_path / "b", gallery.video_emb, None, gallery.encoder, side="video")
    out = tmp_path / "bias.csv"
    argv = ["bias", "--gallery", str(folder / "gallery"), "--bank", str(tmp_path / "b")]
    assert main([*argv, "--out", str(out)]) == 2
    assert "querybank b is of videos, expected one of captions" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("name", ["dualis", "dbsn"])
def test_a_bank_of_other_videos_is_taken_where_one_is_needed(
    folder, expected, tmp_path, capsys, name
):
    gallery, bank, _ = expected
    others = unit_rows(gallery.video_emb[::-1] + 0.3 * np.roll(gallery.video_emb, 3, axis=1))
    write_querybank(tmp_path / "videos", others, None, gallery.encoder, side="video")
    others = open_querybank(tmp_path / "videos")
    out = tmp_path / "bias.npz"
    argv = ["--normaliser", name, "--out", out]
    assert main(["bias", "--gallery", str(folder / "gallery"), *map(str, argv)]) == 2
    assert "needs a bank of other videos; give one with --gallery-bank" in capsys.readouterr().err
    run(folder, *argv, "--gallery-bank", tmp_path / "videos")
    with np.load(out) as arrays:
        values, about = arrays["bias"], json.loads(arrays["about"].tobytes())
    evidence = Evidence(
        bank.text_emb @ gallery.video_emb.T,
        others.text_emb @ gallery.video_emb.T,
        bank.text_emb @ others.text_emb.T,
    )
    np.testing.assert_allclose(values, get_normaliser(name).fit(evidence).centred, atol=1e-5)
    assert about["fitted_on"]["gallery_bank"] == others.digest


def test_what_one_number_cannot_hold_is_refused(folder, expected, tmp_path, capsys):
    gallery = expected[0]
    write_querybank(tmp_path / "videos", gallery.video_emb, None, gallery.encoder, side="video")
    options = ["--gallery-bank", str(tmp_path / "videos"), "--out", str(tmp_path / "bias.csv")]
    for name, why in (("dualdis", "one for each state of its gates"), ("gc", "no number per")):
        argv = ["bias", "--gallery", str(folder / "gallery"), "--normaliser", name, *options]
        assert main(argv) == 2
        assert why in capsys.readouterr().err


def test_parquet_is_imported_only_where_it_is_asked_for(folder, tmp_path):
    code = (
        "import sys\nfrom retrieval.__main__ import main\n"
        f"main(['bias', '--gallery', {str(folder / 'gallery')!r}, '--out', "
        f"{str(tmp_path / 'bias.npz')!r}])\n"
        "sys.exit(bool({'fastparquet', 'pandas', 'torch', 'faiss'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0

"""watching.py: features of a file are those that the library's command writes of the same film."""

import json
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from test_films import grey, write_lossless  # noqa: E402

from retrieval import video, watching  # noqa: E402
from retrieval.__main__ import main  # noqa: E402
from retrieval.datasets.animations import render  # noqa: E402
from retrieval.datasets.animations.library import split  # noqa: E402
from retrieval.encoders import get_encoder  # noqa: E402
from retrieval.errors import ModelError, VideoError  # noqa: E402
from retrieval.experts import EXPERTS  # noqa: E402
from retrieval.gallery import FILM_LIBRARY, open_gallery  # noqa: E402
from retrieval.video import films  # noqa: E402

torch.set_num_threads(1)
MODELS = ("animations-ce", "animations-moee", "animations-teachtext-ce-plus", "animations-audio")


@pytest.fixture(scope="module")
def clips():
    """One that sounds and signals, one that shows a word, one that is silent."""
    some = split("test")
    sounding = next(c for c in some if c.scene_name == "drawbridge")
    written = next(c for c in some if c.scene_name == "neon_sign")
    silent = next(c for c in some if render.sound(c) is None and c.scene_name == "lava_lamp")
    return sounding, written, silent


@pytest.fixture(scope="module")
def lossless(tmp_path_factory, clips):
    """Files of these clips that hold what was drawn, to the last bit."""
    folder = tmp_path_factory.mktemp("films")
    return [
        write_lossless(
            folder / f"{clip.id}.mkv",
            render.draw_frames(clip, render.all_times()),
            render.FPS,
            render.sound(clip),
        )
        for clip in clips
    ]


def test_features_of_a_file_are_those_that_the_command_writes(clips, lossless):
    words = watching._words()
    for clip, path in zip(clips, lossless, strict=True):
        written = watching._looking().of(clip)
        expected = {
            name: value[None] if EXPERTS[name].kind == "fixed" else value
            for name, value in written.items()
            if name not in ("ocr", "speech") and value is not None
        }
        for name in ("ocr", "speech"):
            if written[name]:
                expected[name] = words.look_up(written[name][: EXPERTS[name].max_tokens])
        found = watching.features_of(films.read_film(path))
        assert set(found) == set(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(
                found[name], value.astype(np.float16), rtol=0, atol=1e-6, err_msg=name
            )
    assert set(EXPERTS) - set(found) == {"audio", "ocr", "speech"}  # of the silent one


@pytest.mark.parametrize("name", MODELS)
def test_the_row_of_a_file_is_its_clips_row_in_the_gallery(clips, lossless, name):
    gallery = open_gallery(FILM_LIBRARY.with_name(name))
    watcher = watching.watcher_of(get_encoder(name))
    taken = [
        (clip, path)
        for clip, path in zip(clips, lossless, strict=True)
        if name != "animations-audio" or render.sound(clip) is not None
    ]
    emb = watcher.embed([watcher.watch(path) for _, path in taken])
    stored = gallery.video_emb[[gallery.rows[clip.id] for clip, _ in taken]]
    # The gallery is kept in half precision.
    np.testing.assert_allclose(gallery.space.checked(emb, "x"), stored, atol=1e-3)


def test_the_shipped_file_of_a_clip_comes_near_it():
    gallery = open_gallery(FILM_LIBRARY.with_name("animations-ce"))
    watcher = watching.watcher_of(get_encoder("animations-ce"))
    rows = range(0, 60, 20)
    emb = watcher.embed([watcher.watch(gallery.items[row].clip) for row in rows])
    space = gallery.space
    sims = space.rows(space.checked(emb, "x"), space.items(gallery.video_emb)).read_rows(0, 3)
    np.testing.assert_array_equal(sims.argmax(axis=1), list(rows))


def test_frames_of_a_file_are_those_that_the_command_takes(lossless):
    class Four:
        n_frames = 4

    child = video.Child()
    watcher = watching.watcher_of(Four())
    np.testing.assert_array_equal(watcher.watch(lossless[0]), watcher.watch(lossless[0], child))
    child.stop()


def test_a_silent_film_is_nothing_to_a_network_that_listens(lossless):
    watcher = watching.watcher_of(get_encoder("animations-audio"))
    with pytest.raises(VideoError, match="has no sound, and animations-audio compares nothing"):
        watcher.watch(lossless[2])


def test_sound_of_any_length_has_at_most_the_tokens_that_are_taken():
    rng = np.random.default_rng(0)
    for seconds, n in ((0.3, 1), (3.0, 5), (20.0, 5)):
        track = rng.uniform(-0.5, 0.5, round(seconds * films.RATE)).astype(np.float32)
        found = watching.features_of(films.Film(np.zeros(0), track), ("audio",))
        assert found["audio"].shape == (n, 128)


def test_a_network_of_other_experts_is_told_that_it_wants_features():
    encoder = get_encoder("animations-moee")

    class Other:
        name, model = "theirs", encoder.model
        reads = type("Reads", (), {"dataset": "MSRVTT"})

    with pytest.raises(ModelError, match="of MSRVTT.*give them with --experts"):
        watching.watcher_of(Other())


def test_a_film_without_motion_or_colour_is_taken_too(tmp_path):
    watcher = watching.watcher_of(get_encoder("animations-ce"))
    found = watcher.watch(write_lossless(tmp_path / "a.mkv", np.zeros_like(grey(9, 64, 48)), 30))
    assert set(found) == {"motion.flow.0", "rgb.clip.0", "scene.layout.0"}
    assert np.isfinite(watcher.embed([found, found])).all()


def test_a_folder_is_indexed_by_a_network_of_experts(tmp_path, lossless, clips, capsys, caplog):
    folder, captions = tmp_path / "films", tmp_path / "captions.txt"
    folder.mkdir()
    for path in (*lossless, write_lossless(tmp_path / "tall.mkv", grey(70, 40, 90), 25)):
        shutil.copy(path, folder)
    (folder / "bad.mp4").write_bytes(b"nothing that plays")
    captions.write_text("a bell rings at the drawbridge\na neon sign\na lava lamp\n")
    asked = ["index", str(folder), "--model", "animations-ce", "--out", str(tmp_path / "g")]
    assert main([*asked, "--bank", str(tmp_path / "none.txt")]) == 2
    assert not (tmp_path / "g").exists()
    capsys.readouterr()
    assert main([*asked, "--bank", str(captions)]) == 0
    assert "trained on small drawn films" in caplog.text and "skipped bad.mp4" in caplog.text
    gallery = open_gallery(tmp_path / "g", verify=True)
    assert len(gallery) == 4 and gallery.media == "video"
    whole = open_gallery(FILM_LIBRARY.with_name("animations-ce"))
    for clip in clips:
        own = gallery.video_emb[gallery.rows[f"{clip.id}.mkv"]]
        np.testing.assert_allclose(own, whole.video_emb[whole.rows[clip.id]], atol=1e-3)
    assert main(["search", "a neon sign", "--gallery", str(tmp_path / "g"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_bank"] == 3


def test_a_folder_without_sound_is_no_gallery_of_sounds(tmp_path, lossless, caplog):
    folder = tmp_path / "films"
    folder.mkdir()
    shutil.copy(lossless[2], folder)
    asked = ["index", str(folder), "--model", "animations-audio", "--out", str(tmp_path / "g")]
    assert main(asked) == 2 and "has no sound" in caplog.text
    shutil.copy(lossless[0], folder)
    assert main(asked) == 0
    assert open_gallery(tmp_path / "g").media == "audio"

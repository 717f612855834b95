"""Clips of the film library -> a tree of expert and text features, as the official sets have it.

Films are drawn and their sound is made once for all experts, a few dozen clips at a time, in
parallel; finished dozens are kept in a folder of their own, so a broken-off run goes on from there.
"""

import hashlib
import json
import logging
import multiprocessing
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from retrieval.datasets import animations
from retrieval.datasets.animations.library import SPLITS, Clip, split
from retrieval.datasets.animations.render import FPS, N_FRAMES, draw_frames, sound
from retrieval.datasets.animations.sounds import RATE
from retrieval.encoders import ENCODERS, get_encoder
from retrieval.encoders.clip import WEIGHTS, words_of
from retrieval.encoders.tokens import (
    ClipTokens,
    LetterVectors,
    TokenEncoder,
    WordVectors,
    load_tokens,
)
from retrieval.errors import SettingsError
from retrieval.experts import EXPERTS, TEXTS, hearing, layout, motion, signals
from retrieval.experts.reading import Reader
from retrieval.experts.words import word_vectors
from retrieval.files import read_json, replacing, sha256_file, write_json, write_npz, write_pickle

logger = logging.getLogger(__name__)

ENCODER = "animations-clip"
MANIFEST = "experts.json"
PARTS = "parts"  # finished dozens; the tree is whole without them
TEXT_ENCODERS = "text_encoders"  # live ones, for typed queries
_PART = 25  # clips in one file
_CAPTIONS = 512  # encoded together
_FIXED = ("rgb.clip.0", "motion.flow.0", "scene.layout.0")
_SMALL = 4  # film pixels to one of motion and scene
_GREY = np.array([0.3, 0.59, 0.11], np.float32)


def write_experts(
    out: Path,
    names: Sequence[str] = tuple(SPLITS),
    *,
    limit: int | None = None,
    workers: int | None = None,
    texts: bool = True,
    train_clips: Sequence[Clip] | None = None,
) -> dict[str, Any]:
    """Write the feature tree, or what is missing of it.

    Args:
        out: root of the tree; other splits that are in it already stay.
        names: splits to take.
        limit: only the first so many clips of each.
        workers: processes that draw; None is one for each core, 1 works here.
        texts: write the text features too.
        train_clips: whose captions the word vectors are learned from; None is the train split.

    Returns:
        the manifest: version, clips of each split, text features, experts with the part of clips
        that lack them.

    Raises:
        SettingsError: the tree holds splits of another version.
    """
    out.mkdir(parents=True, exist_ok=True)
    train_clips = split("train") if train_clips is None else train_clips
    version = _version(train_clips)
    plan = _plan(out, version, {name: len(split(name)[:limit]) for name in names})
    words = _words(out, version, train_clips)
    _make_parts(out / PARTS / version, plan, words.words, workers)
    clips = [clip for name, n in plan.items() for clip in split(name)[:n]]
    for name, n in plan.items():
        ids = "".join(f"{clip.id}\n" for clip in split(name)[:n])
        with replacing(out / f"{name}_list_full.txt") as file:
            file.write(ids.encode())
    _dump(out / "raw-captions.pkl", {clip.id: [c.split() for c in clip.captions] for clip in clips})
    gaps = {}
    for name, features in _merged(out / PARTS / version, plan, words).items():
        _dump(out / EXPERTS[name].path, features)
        lacking = sum(isinstance(value, float) for value in features.values())
        gaps[name] = lacking / len(features)
    done = _texts_done(out, version, plan)
    for encoder in _text_encoders(out, words) if texts else ():
        folder = out / TEXT_ENCODERS / encoder.name
        encoder.save(folder)
        if encoder.name not in done:
            features = _text_features(encoder, folder, clips, workers)
            _dump(out / TEXTS[encoder.name].path, features)
            done.append(encoder.name)
    manifest = {
        "dataset": "Animations",
        "version": version,
        "splits": plan,
        "experts": {name: {**asdict(e), "missing": gaps[name]} for name, e in EXPERTS.items()},
        "texts": {name: asdict(TEXTS[name]) for name in TEXTS if name in done},
    }
    write_json(out / MANIFEST, manifest)
    for old in (out / PARTS).iterdir():
        if old.name != version:
            shutil.rmtree(old)
    return manifest


# ---- one clip ------------------------------------------------------------------------------------


class Experts:
    """All that looks at and listens to one clip."""

    def __init__(self, words: Sequence[str]) -> None:
        """`words` are those that can be read from the screen."""
        self.encoder = get_encoder(ENCODER, device="cpu")
        self.reader = Reader(words)

    def of(self, clip: Clip) -> dict[str, Any]:
        """Features of one clip: arrays, lists of words, or None where there is nothing."""
        first = np.arange(1, N_FRAMES, N_FRAMES // motion.N_PAIRS)
        frames = draw_frames(clip, np.sort([*first, *first + 1]) / FPS)
        small = _reduced(frames)
        grey = small @ _GREY
        track = sound(clip)
        shown = frames[::2]
        found: dict[str, Any] = {
            "rgb.clip.0": self.encoder.encode_videos([shown])[0],
            "motion.flow.0": motion.statistics(grey[::2], grey[1::2]),
            "scene.layout.0": layout.statistics(np.rint(small[::2]).astype(np.uint8)),
            "audio": None if hearing.is_silent(track) else hearing.mel_tokens(track, RATE),
            "ocr": self.reader.read(shown[1::2]),
            "speech": [
                word for name in signals.signals(track, RATE) for word in signals.WORDS[name]
            ],
        }
        return found


def _reduced(frames: np.ndarray) -> np.ndarray:
    """Means of squares of pixels: [n, height / 4, width / 4, 3] float32."""
    rows = sum(frames[:, i::_SMALL].astype(np.uint16) for i in range(_SMALL))
    total = sum(rows[:, :, i::_SMALL] for i in range(_SMALL))
    return total.astype(np.float32) / _SMALL**2


# ---- all clips, in parts -------------------------------------------------------------------------

_experts: Experts  # of a worker
_text_encoder: TokenEncoder  # of another


def _start(words: Sequence[str]) -> None:
    global _experts
    torch.set_num_threads(1)
    _experts = Experts(words)


def _make_parts(
    folder: Path, plan: dict[str, int], words: Sequence[str], workers: int | None
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [job for job in _jobs(plan) if not (folder / _part_name(job)).is_file()]
    work = partial(_make_part, folder)
    bar = tqdm(total=sum(stop - start for _, start, stop in jobs), desc="experts", unit="clip")
    workers = min(workers or os.cpu_count() or 1, len(jobs))
    with bar:
        if workers <= 1:
            n_threads = torch.get_num_threads()
            if jobs:
                _start(words)
            for n in map(work, jobs):
                bar.update(n)
            torch.set_num_threads(n_threads)
            return
        # Fresh interpreters: a forked one would inherit PyTorch's threads in an unknown state.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, context, _start, (words,)) as pool:
            waiting = [pool.submit(work, job) for job in jobs]
            try:
                for done in as_completed(waiting):
                    bar.update(done.result())
            finally:
                pool.shutdown(cancel_futures=True)


def _jobs(plan: dict[str, int]) -> list[tuple[str, int, int]]:
    return [
        (name, start, min(start + _PART, n))
        for name, n in plan.items()
        for start in range(0, n, _PART)
    ]


def _part_name(job: tuple[str, int, int]) -> str:
    name, start, stop = job
    return f"{name}-{start:05d}-{stop:05d}.npz"


def _make_part(folder: Path, job: tuple[str, int, int]) -> int:
    """Compute some clips and keep them; returns how many."""
    name, start, stop = job
    rows = []
    for clip in split(name)[start:stop]:
        try:
            rows.append(_experts.of(clip))
        except Exception as error:  # whatever a scene raises, say which one it was
            raise RuntimeError(f"{clip.id}, scene {clip.scene_name}, has no features") from error
    arrays = {key: np.stack([row[key] for row in rows]).astype(np.float16) for key in _FIXED}
    heard = [row["audio"] for row in rows if row["audio"] is not None]
    n_tokens = [0 if row["audio"] is None else len(row["audio"]) for row in rows]
    together = np.concatenate(heard) if heard else np.zeros((0, hearing.DIM))
    arrays["audio"], arrays["audio_tokens"] = together.astype(np.float16), np.array(n_tokens)
    for key in ("ocr", "speech"):
        arrays[key] = np.array([" ".join(row[key][: EXPERTS[key].max_tokens]) for row in rows])
    write_npz(folder / _part_name(job), arrays)
    return stop - start


def _merged(
    folder: Path, plan: dict[str, int], words: WordVectors
) -> dict[str, dict[str, np.ndarray | float]]:
    """All parts together: expert -> video -> array, NaN where there is none."""
    merged: dict[str, dict[str, np.ndarray | float]] = {name: {} for name in EXPERTS}
    for job in _jobs(plan):
        name, start, stop = job
        ids = [clip.id for clip in split(name)[start:stop]]
        with np.load(folder / _part_name(job)) as part:
            for key in _FIXED:
                merged[key].update(zip(ids, part[key][:, None].copy(), strict=True))
            ends = part["audio_tokens"].cumsum()
            merged["audio"].update(zip(ids, np.split(part["audio"], ends[:-1]), strict=True))
            for key in ("ocr", "speech"):
                tokens = [words.look_up(text.split()).astype(np.float16) for text in part[key]]
                merged[key].update(zip(ids, tokens, strict=True))
    return {
        name: {video: value if len(value) else float("nan") for video, value in features.items()}
        for name, features in merged.items()
    }


# ---- captions ------------------------------------------------------------------------------------


def _words(out: Path, version: str, train_clips: Sequence[Clip]) -> WordVectors:
    """The word vectors of this version, learned where they are not there yet."""
    folder = out / PARTS / version / "words"
    if not (folder / "encoder.json").is_file():  # written last
        logger.info("learning word vectors from the captions of %d clips", len(train_clips))
        captions = [words_of(text) for clip in train_clips for text in clip.captions]
        WordVectors(*word_vectors(captions, TEXTS["words"].dim)).save(folder)
    return load_tokens(folder)


def _text_encoders(out: Path, words: WordVectors) -> Iterator[TokenEncoder]:
    yield LetterVectors(TEXTS["letters"].dim)
    yield words
    yield ClipTokens(ENCODER)


def _text_features(
    encoder: TokenEncoder, folder: Path, clips: Sequence[Clip], workers: int | None
) -> dict[str, list[np.ndarray]]:
    """Tokens of every caption; captions that are the same share one array.

    Args:
        encoder: what encodes.
        folder: where it was saved, for the workers to load it from.
        clips: whose captions.
        workers: processes.
    """
    texts = list(dict.fromkeys(text for clip in clips for text in clip.captions))
    chunks = [texts[i : i + _CAPTIONS] for i in range(0, len(texts), _CAPTIONS)]
    workers = min(workers or os.cpu_count() or 1, len(chunks))
    of_caption: dict[str, np.ndarray] = {}
    with tqdm(total=len(texts), desc=f"text {encoder.name}", unit="caption") as bar:
        for chunk, (rows, ends) in zip(
            chunks, _encoded(encoder, folder, chunks, workers), strict=True
        ):
            of_caption.update(zip(chunk, np.split(rows, ends[:-1]), strict=True))
            bar.update(len(chunk))
    return {clip.id: [of_caption[text] for text in clip.captions] for clip in clips}


def _encoded(
    encoder: TokenEncoder, folder: Path, chunks: Sequence[Sequence[str]], workers: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each chunk's tokens one below the other, and where each caption's end, in order."""
    if workers <= 1 or isinstance(encoder, LetterVectors | WordVectors):  # done before a start
        for chunk in chunks:
            yield _encode(encoder, chunk)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_text, (folder,)) as pool:
        yield from pool.map(_encode_there, chunks)


def _start_text(folder: Path) -> None:
    global _text_encoder
    torch.set_num_threads(1)
    _text_encoder = load_tokens(folder)


def _encode_there(chunk: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    return _encode(_text_encoder, chunk)


def _encode(encoder: TokenEncoder, chunk: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    tokens = encoder.encode_all(chunk)
    return np.concatenate(tokens).astype(np.float16), np.cumsum([len(one) for one in tokens])


# ---- files ---------------------------------------------------------------------------------------


def _version(train_clips: Sequence[Clip]) -> str:
    """Digest of all that decides the features: scenes, procedures, encoder, captions."""
    packages = (Path(animations.__file__).parent, Path(__file__).parent)
    files = [path for folder in packages for path in sorted(folder.rglob("*.py"))]
    parts = [path.read_bytes() for path in files]
    parts.append(sha256_file(ENCODERS[ENCODER] / WEIGHTS).encode())
    parts.append(json.dumps([len(train_clips), train_clips[0].id]).encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def _plan(out: Path, version: str, wanted: dict[str, int]) -> dict[str, int]:
    """Clips of each split that the tree will hold, in the order of the splits."""
    found = read_json(out / MANIFEST) if (out / MANIFEST).is_file() else {}
    there = found.get("splits", {})
    if found and found["version"] != version:
        others = sorted(set(there) - set(wanted))
        if others:
            raise SettingsError(
                f"{out.name} holds the split{'s' * (len(others) > 1)} {', '.join(others)} of "
                "another version of scenes or procedures; give --split all, or another folder"
            )
        there = {}
    most = {name: max(there.get(name, 0), wanted.get(name, 0)) for name in SPLITS}
    return {name: n for name, n in most.items() if n}


def _texts_done(out: Path, version: str, plan: dict[str, int]) -> list[str]:
    """Text features that are there for just these clips."""
    found = read_json(out / MANIFEST) if (out / MANIFEST).is_file() else {}
    if found.get("version") != version or found["splits"] != plan:
        return []
    return [name for name in found["texts"] if (out / TEXTS[name].path).is_file()]


def _dump(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_pickle(path, value)

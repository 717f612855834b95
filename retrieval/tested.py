"""A network and clips -> similarities of a test split and of its two querybanks, and their reports.

The training captions stand behind text-to-video, the training videos behind video-to-text. Every
matrix is made some captions at a time, and goes into a file where it is to be kept or is large:
those of MSR-VTT's whole split are 3.8 GB together.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from tqdm import tqdm

from retrieval.evaluation import evaluate_matrices
from retrieval.files import growing_npy, write_npy
from retrieval.formats import StoredArray, open_matrix
from retrieval.models import CENet, MNNet
from retrieval.normalisers import Normaliser
from retrieval.reports.report import Report
from retrieval.training.expert_clips import CHUNK, ExpertClips, Ranked, compare, embed_videos

# As `python -m retrieval normalise` takes them; the last has videos on rows, for --direction v2t.
SIMS, MASK, BANK, VIDEO_BANK = "sims.npy", "mask.npy", "bank_sims.npy", "v2t_bank_sims.npy"
NORMALISERS = ("qbnorm",)
HELD_BYTES = 2**30  # of a matrix that is not to be kept: held in memory up to this size
Matrix = np.ndarray | StoredArray


@dataclass(frozen=True, eq=False)
class TrainingSide:
    """Training videos and their captions, of which some are in memory at a time."""

    counts: np.ndarray  # [n_train] captions of each video
    read: Callable[[slice], ExpertClips]  # some of the videos
    n_captions: int = 0  # first captions of each video that are in it; 0 for all

    @classmethod
    def of(cls, clips: ExpertClips, n_captions: int = 0) -> "TrainingSide":
        """Clips that are in memory anyway."""
        places = np.arange(len(clips))

        def read(some: slice) -> ExpertClips:
            return clips.only((some.start <= places) & (places < some.stop))

        return cls(np.diff(clips.first), read, n_captions)

    def __len__(self) -> int:
        counts = np.minimum(self.counts, self.n_captions) if self.n_captions else self.counts
        return int(counts.sum())

    def parts(self) -> Iterator[tuple[ExpertClips, np.ndarray]]:
        """Some of the videos, and the places of their captions that are in the bank."""
        ends = np.cumsum(self.counts)
        start = 0
        while start < len(ends):  # whole videos, with as many captions as are embedded at once
            before = ends[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + CHUNK, side="right")))
            clips = self.read(slice(start, stop))
            places, there = clips.asked(self.n_captions)
            yield clips, places[there]
            start = stop


@dataclass(frozen=True, eq=False)
class Tested:
    """Similarities of a test split, and of what normalises it in either direction."""

    sims: Matrix  # [n_videos * n_captions, n_videos], captions video by video
    there: np.ndarray  # [n_videos, n_captions] whether there is such a caption
    bank: Matrix | None = None  # [n_bank, n_videos] of the training captions
    videos: Matrix | None = None  # [n_train, n_videos * n_captions] of the training videos

    @property
    def correct(self) -> np.ndarray:
        """[n_videos * n_captions] column of each caption's video."""
        return np.repeat(np.arange(len(self.there)), self.there.shape[1])

    def reports(
        self,
        name: str,
        normalisers: Sequence[str | Normaliser] = NORMALISERS,
        medium: str = "video",
    ) -> dict[str, Report]:
        """Text-to-video and video-to-text, raw and normalised, as everything is evaluated.

        Args:
            name: of what is ranked.
            normalisers: specs, or normalisers.
            medium: "video", or "audio" where the videos are only heard.
        """
        alike = {
            "correct": self.correct,
            "mask": None if self.there.all() else self.there,
            "normalisers": normalisers,
            "name": name,
            "medium": medium,
        }
        return {
            "t2v": evaluate_matrices(
                self.sims,
                _tiles(self.bank),
                bank_name=None if self.bank is None else "training captions",
                **alike,
            ),
            "v2t": evaluate_matrices(
                _by_videos(self.sims),
                _tiles(self.videos),
                direction="v2t",
                bank_name=None if self.videos is None else "training videos",
                **alike,
            ),
        }


def compare_all(
    model: CENet | MNNet,
    clips: ExpertClips,
    n_captions: int,
    bank: TrainingSide | None = None,
    folder: Path | None = None,
    both: bool = True,
) -> Tested:
    """Compare test captions, test videos, and their querybanks.

    Args:
        model: trained, on the clips' device.
        clips: of the test split.
        n_captions: first captions of each that are asked; 0 for all.
        bank: training videos and captions; None leaves all raw.
        folder: gets SIMS, MASK, BANK and VIDEO_BANK; None keeps nothing.
        both: whether the training videos are compared too, for video-to-text.
    """
    captions, there = clips.asked(n_captions)
    ranked = [Ranked.of(model, clips)]
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_npy(folder / MASK, there)
    bank_sims = None
    total = captions.size + (0 if bank is None else len(bank))
    with tqdm(total=total, desc="comparing", unit="caption", leave=False, disable=None) as bar:
        if bank is not None:
            embedded: list[Any] = []

            def of_bank() -> Iterator[tuple[np.ndarray]]:
                for part, places in bank.parts():
                    if both:
                        embedded.append(embed_videos(model, part))
                    yield from compare(part, places, ranked[0])

            made = _Made((len(bank), len(clips)), folder and folder / BANK)
            (bank_sims,) = _gathered(of_bank(), [made], bar)
            if both:
                ranked.append(Ranked(model, embedded))
        made = [_Made((captions.size, len(clips)), folder and folder / SIMS)]
        if len(ranked) > 1:
            shape = captions.size, len(ranked[1])
            made.append(_Made(shape, folder and folder / VIDEO_BANK, transposed=True))
        found = _gathered(compare(clips, captions.ravel(), *ranked), made, bar)
    return Tested(found[0], there, bank_sims, found[1] if len(found) > 1 else None)


# ---- matrices that grow by rows ------------------------------------------------------------------


@dataclass(frozen=True)
class _Made:
    """A matrix to be made."""

    shape: tuple[int, int]  # rows come one after the other
    file: Path | None  # None: it is not kept
    transposed: bool = False  # whether its transpose is what is wanted

    @property
    def is_held(self) -> bool:
        return self.file is None and 4 * self.shape[0] * self.shape[1] <= HELD_BYTES


def _gathered(
    parts: Iterable[tuple[np.ndarray, ...]], made: Sequence[_Made], bar: tqdm
) -> list[Matrix]:
    """Rows of several matrices, some of each at a time -> the matrices."""
    with TemporaryDirectory(prefix="hublens-") as spare:  # an open file outlives its folder
        files = [each.file or Path(spare, f"{n}.npy") for n, each in enumerate(made)]
        held = [np.empty(each.shape, np.float32) if each.is_held else None for each in made]
        with ExitStack() as stack:
            grow = [
                None if each.is_held else
                stack.enter_context(growing_npy(file, each.shape, each.transposed))
                for each, file in zip(made, files, strict=True)
            ]  # fmt: skip
            start = 0
            for several in parts:
                stop = start + len(several[0])
                for rows, whole, write in zip(several, held, grow, strict=True):
                    if write is None:
                        whole[start:stop] = rows
                    else:
                        write(rows)
                bar.update(stop - start)
                start = stop
        return [
            open_matrix(file) if whole is None else whole.T if each.transposed else whole
            for each, file, whole in zip(made, files, held, strict=True)
        ]


def _tiles(matrix: Matrix | None) -> Any:
    return matrix.tiles() if isinstance(matrix, StoredArray) else matrix


def _by_videos(sims: Matrix) -> Matrix:
    """The same with videos on rows."""
    return sims.T if isinstance(sims, StoredArray) else np.ascontiguousarray(sims.T)

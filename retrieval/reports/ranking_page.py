"""An evaluation -> the ranking page: some of its queries, each with the videos that came first.

What it shows is read off the few sampled rows of the similarities; ranks and metrics are those of
the evaluation's own report.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np

from retrieval import export, hubness
from retrieval.answers import GroundTruth, Ranking, Result, SearchResult, Settings
from retrieval.cards import Media
from retrieval.datasets.trees import get_tree
from retrieval.errors import FileError, SettingsError
from retrieval.files import replacing
from retrieval.places import best_of, places_of
from retrieval.reports.report import Report, Row
from retrieval.streaming.rows import Rows
from retrieval.streaming.sampling import read_some

TOP = 5  # videos of a ranking
N_SAMPLES = 50  # queries, where a config says nothing
TIME = "%Y-%m-%d_%H-%M-%S"  # in the names of folders
BANDS = (1, 5, 10, 50)  # last ranks of the bands that the chart counts
FILMS = Path(__file__).resolve().parents[2] / "assets" / "animations"


@dataclass(frozen=True)
class PageSettings:
    """Where the page goes and what is on it."""

    folder: Path  # gets index.html, and links to the clips
    experiment: str
    n_samples: int = N_SAMPLES  # queries shown; all where there are fewer
    every: int | None = None  # epochs between pages while training; None: at the end alone, 0: none
    hide_truth: bool = False  # leaves out all that tells which video is correct
    seed: int = 0  # of the sample
    clips: Path | None = None  # folder that stands behind `videos`; None where there is none
    posters: Path | None = None  # folder of ID.jpg
    clip_path: str = "videos/{}.mp4"  # of a clip, from an id

    @classmethod
    def from_official(
        cls, config: Mapping[str, Any], folder: Path, experiment: str, data: Path | None = None
    ) -> "PageSettings":
        """What a resolved official config says of the page.

        Args:
            config: its "visualizer" section may be missing.
            folder: of the page.
            experiment: its name.
            data: folder of the data set, instead of the config's `data_dir`.

        Raises:
            SettingsError: a number is none.
        """
        given = (config.get("visualizer") or {}).get("args") or {}
        every, n_samples = given.get("vis_vid_freq"), given.get("num_samples")
        for name, value in (("vis_vid_freq", every), ("num_samples", n_samples)):
            whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
            if value is not None and not whole:
                raise SettingsError(f"{name} must be a whole number from 0, got {value!r}")
        args = config["data_loader"]["args"]
        tree = get_tree(args["dataset_name"])
        own = Path(args["data_dir"] if data is None else data) / tree.video_folder
        places = [own]
        if given.get("src_video_dir"):
            places.insert(0, source_folder(given["src_video_dir"], args["dataset_name"]))
        return cls(
            folder,
            experiment,
            n_samples=N_SAMPLES if n_samples is None else n_samples,
            every=0 if n_samples == 0 else every,
            hide_truth=bool(given.get("hide_gt", False)),
            clips=next((place for place in places if place.is_dir()), None),
            clip_path=tree.video_path,
        )

    @classmethod
    def of_films(cls, folder: Path, experiment: str) -> "PageSettings":
        """A page of the film library's clips, which come along."""
        clips, posters = FILMS / "clips", FILMS / "posters"
        return cls(folder, experiment, clips=clips, posters=posters)


def source_folder(named: str, dataset: str) -> Path:
    """Folder of a data set's videos, as the released code finds it from `src_video_dir`.

    A path that does not name the data set is one of another data set: what is below its first
    folder is replaced by the data set's own.
    """
    tree = get_tree(dataset)
    path = Path(named)
    if tree.folder in str(path):
        return path
    first = Path(*path.parts[:2]) if path.is_absolute() else Path(*path.parts[:1])
    return first / tree.folder / tree.video_folder


def page_folder(save_dir: Path, experiment: str) -> Path:
    """`SAVE_DIR/web/EXPERIMENT/TIME`, as the released code lays its runs out."""
    return save_dir / "web" / experiment / time.strftime(TIME)


def log_folder(save_dir: Path, experiment: str) -> Path:
    """`SAVE_DIR/log/EXPERIMENT/TIME`, likewise."""
    return save_dir / "log" / experiment / time.strftime(TIME)


@dataclass(frozen=True)
class Shown:
    """One sampled query."""

    result: SearchResult  # both rankings, without the correct video where it is below
    truth: Result | None  # the correct video, as it stands on the left; None where it is hidden
    sentences: tuple[str, ...]  # what was asked; several where captions are fused
    others: tuple[str, ...]  # other captions of the same video


@dataclass(frozen=True)
class Spread:
    """How many queries have their video in each band of ranks."""

    title: str
    counts: tuple[int, ...]  # up to each of BANDS, then the rest


@dataclass(frozen=True)
class RankingPage:
    """All that the page says."""

    experiment: str
    where: str  # data set and split
    epoch: int | None
    figures: Mapping[str, Mapping[str, float]]  # title -> metrics, from metrics.summarise
    spreads: tuple[Spread, ...]  # raw first
    n_queries: int
    n_items: int
    medium: str  # "video" or "audio"
    banks: tuple[str, ...]  # what stands behind each direction, in words
    seed: int
    hide_truth: bool
    shown: tuple[Shown, ...]  # in the order in which they were drawn


class Asked(NamedTuple):
    """What is asked by each row of similarities."""

    video: np.ndarray  # [n_queries] column of its video
    column: np.ndarray  # [n_queries] which of the captions asked of that video


class Evaluated(NamedTuple):
    """What an evaluation found, and what writes its ranking page."""

    reports: Mapping[str, Report]  # "t2v" and "v2t"
    write_page: Callable[[PageSettings], Path | None]  # as `write_page` below


def write_page(
    settings: PageSettings,
    reports: Mapping[str, Report],
    sims: np.ndarray | Rows,
    videos: Sequence[str],
    captions: Callable[[str], Sequence[Sequence[str]]],
    where: str,
    epoch: int | None = None,
    *,
    asked: Asked | None = None,
    media: Media | None = None,
) -> Path | None:
    """Write the page of an evaluation.

    Args:
        settings: where it goes.
        reports: "t2v", and "v2t" if there is one.
        sims: [n_videos * n_columns, n_videos] that they are of, captions video by video; or with
            `asked` [n_queries, n_videos].
        videos: names of the columns.
        captions: video -> for each caption that is asked of it its sentences; several where they
            were fused to one query.
        where: data set and split.
        epoch: whose weights were evaluated.
        asked: of each row of `sims`, where the order does not tell.
        media: where stills and clips lie; None takes the folders of the settings.

    Returns:
        the file; None where the settings turn the page off.

    Raises:
        FileError: it cannot be written there.
    """
    if settings.every == 0:
        return None
    page = sample(settings, reports, sims, videos, captions, where, epoch, asked)
    path = settings.folder / "index.html"
    try:
        settings.folder.mkdir(parents=True, exist_ok=True)
        media = media or Media(
            poster=_addresses(settings.folder, "posters", settings.posters, "posters/{}.jpg"),
            clip=_addresses(settings.folder, "videos", settings.clips, settings.clip_path),
            scripted=False,
            heard=reports["t2v"].medium == "audio",
        )
        with replacing(path) as file:
            file.write(export.rankings_html(page, media).encode())
    except OSError as error:
        raise FileError(
            f"the ranking page cannot be written to {path}: {error.strerror}; give another folder "
            "with --out, or --no-page"
        ) from error
    return path


def sample(
    settings: PageSettings,
    reports: Mapping[str, Report],
    sims: np.ndarray | Rows,
    videos: Sequence[str],
    captions: Callable[[str], Sequence[Sequence[str]]],
    where: str = "",
    epoch: int | None = None,
    asked: Asked | None = None,
) -> RankingPage:
    """Draw queries by a generator of its own and rank their rows; see `write_page`."""
    report = reports["t2v"]
    raw = report.rows[0]
    biased = [row for row in report.rows[1:] if row.bias is not None]
    # Of several the one that all else here is compared by, wherever it stands in the table.
    second = min(biased, key=lambda row: row.normaliser != "qbnorm", default=None)
    n = min(settings.n_samples, report.n_queries)
    drawn = np.random.default_rng(settings.seed).choice(report.n_queries, n, replace=False)
    in_order = np.argsort(drawn)
    rows = np.empty((n, len(videos)), dtype=sims.dtype)
    rows[in_order] = read_some(sims, report.queries[drawn[in_order]])
    ranker = _Ranker(raw, second, videos, captions, settings.hide_truth)
    if asked is None:
        owner, column = np.divmod(np.arange(sims.shape[0]), sims.shape[0] // len(videos))
        asked = Asked(owner, column)
    shown = []
    for place, scores in zip(drawn.tolist(), rows, strict=True):
        row = report.queries[place]
        video, column = int(asked.video[row]), int(asked.column[row])
        shown.append(ranker.shown(place, scores, video, column))
    figures = {}
    for each in reports.values():
        for row in each.rows:
            beta = "" if row.beta is None else f", beta {row.beta:.4g}"
            how = "" if row.spec == "none" else f", {row.title}{beta}"
            figures[each.task.replace("-", " ").capitalize() + how] = row.metrics
    return RankingPage(
        experiment=settings.experiment,
        where=where,
        epoch=epoch,
        figures=figures,
        spreads=tuple(
            Spread("Raw similarity" if row is raw else row.title, _bands(row.ranks))
            for row in (raw, second)
            if row is not None
        ),
        n_queries=report.n_queries,
        n_items=report.n_items,
        medium=report.medium,
        banks=tuple(
            f"{each.task.capitalize()} is normalised with {each.bank or 'a bank'}, "
            f"{each.n_bank:,} rows."
            for each in reports.values()
            if each.n_bank
        ),
        seed=settings.seed,
        hide_truth=settings.hide_truth,
        shown=tuple(shown),
    )


class _Ranker:
    """Rows of similarities -> rankings, raw and with one bias."""

    def __init__(
        self,
        raw: Row,
        second: Row | None,
        videos: Sequence[str],
        captions: Callable[[str], Sequence[Sequence[str]]],
        hide_truth: bool,
    ) -> None:
        self.raw, self.second, self.videos, self.captions = raw, second, videos, captions
        self.hide_truth = hide_truth
        self.is_hub = np.zeros(len(videos), dtype=bool)
        if second is not None:
            bias = second.bias
            self.is_hub[hubness.hubs(bias.k_occurrence, bias.n_bank, bias.k)] = True

    def shown(self, place: int, sims: np.ndarray, truth: int, column: int) -> Shown:
        """One query.

        Args:
            place: among the queries of the report.
            sims: [n_videos] its row.
            truth: its video.
            column: which caption of the video it is.
        """
        second, name = self.second, self.videos[truth]
        told = self.captions(name)
        sentences = tuple(told[column]) if column < len(told) else ()
        sentences = sentences or (f"caption {column} of {name}",)
        others = () if self.hide_truth else (each for i, each in enumerate(told) if i != column)
        bias = None if second is None else second.bias
        scores = (sims, sims if bias is None else bias.apply(sims[None])[0])
        left, right = (
            self._results(scores, side, best_of(scores[side], min(TOP, len(sims))), truth)
            for side in (0, 1)
        )
        (own,) = self._results(scores, 0, np.array([truth]), truth)
        after = self.raw if second is None else second
        ranks = (float(row.ranks[place]) for row in (self.raw, after))
        active = second is not None and bool(second.active[place])
        rankings = (
            Ranking("none", "Raw similarity", left),
            Ranking(after.normaliser, after.title, right),
        )
        result = SearchResult(
            query=" ".join(sentences),
            query_id=None,
            settings=Settings(right=after.normaliser, top=TOP),
            active=active,
            reason=_reason(second, active, int(sims.argmax())),
            rankings=rankings,
            ground_truth=None if self.hide_truth else GroundTruth(name, *ranks),
            unknown_words=(),
            cut_at=None,
            warning=None,
            n_gallery=len(sims),
            n_bank=0 if bias is None else bias.n_bank,
            beta_used=after.beta,
            leads=(),
            versions={},
            timings_ms={},
        )
        return Shown(
            result,
            truth=None if self.hide_truth else own,
            sentences=sentences,
            others=tuple(text for each in others for text in each),
        )

    def _results(
        self, scores: tuple[np.ndarray, np.ndarray], side: int, columns: np.ndarray, truth: int
    ) -> tuple[Result, ...]:
        places, n_tied = places_of(scores[side], columns)
        other_places, _ = places_of(scores[1 - side], columns)
        bias = None if self.second is None else self.second.bias
        found = []
        for i, column in enumerate(columns.tolist()):
            told = (text for each in self.captions(self.videos[column]) for text in each)
            found.append(
                Result(
                    rank=int(places[i]),
                    id=self.videos[column],
                    score=float(scores[side][column]),
                    other_rank=int(other_places[i]),
                    bias=0.0 if bias is None else float(bias.centred[column]),
                    k_occurrence=0 if bias is None else int(bias.k_occurrence[column]),
                    is_hub=bool(self.is_hub[column]),
                    # Where the correct video is to be guessed, its captions would tell.
                    is_ground_truth=column == truth and not self.hide_truth,
                    caption=None if self.hide_truth else next(told, None),
                    tied_with=int(n_tied[i]) - 1,
                    takes_over_at=None,
                )
            )
        return tuple(found)


def _reason(second: Row | None, active: bool, best: int) -> str:
    """Whether the second ranking differs, and why."""
    if second is None:
        return "Raw similarity; no querybank was at hand."
    bias = second.bias
    if bias.active is None:
        return f"{second.title} corrects every query."
    count = f"{int(bias.k_occurrence[best]):,} of {bias.n_bank:,} bank captions"
    if not active:
        return f"{second.title} rested: the raw top video is not a hub ({count})."
    return f"{second.title} stepped in: the raw top video answers {count}."


def _bands(ranks: np.ndarray) -> tuple[int, ...]:
    """Queries up to each rank, as R@k counts them, and those beyond."""
    up_to = [int((ranks == 1).sum()), *(int((ranks < k + 1).sum()) for k in BANDS[1:]), len(ranks)]
    return tuple(int(n) for n in np.diff([0, *up_to]))


def _addresses(
    folder: Path, name: str, source: Path | None, pattern: str
) -> Callable[[str], str | None]:
    """Item id -> address of its file from the page; a link `name` in the page's folder leads there.

    Where no link can be made, addresses lead from the page to the source itself.
    """
    if source is None or not source.is_dir():
        return lambda item_id: None
    link = folder / name
    start = name
    try:
        if link.is_symlink():
            link.unlink()
        link.symlink_to(os.path.relpath(source.resolve(), folder.resolve()))
    except OSError:
        start = Path(os.path.relpath(source.resolve(), folder.resolve())).as_posix()

    def address(item_id: str) -> str | None:
        below = PurePosixPath(pattern.format(item_id).removeprefix(f"{name}/"))
        if below.is_absolute() or ".." in below.parts:
            return None
        try:
            is_there = (source / below).is_file()
        except (OSError, ValueError):  # no name that a file can have
            return None
        return f"{quote(start)}/{quote(str(below))}" if is_there else None

    return address

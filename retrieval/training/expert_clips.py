"""Features and captions of a split -> tensors in memory, and batches of them by index.

Everything lies on the device that trains, so a batch costs a few look-ups there and nothing is
copied to it. Tokens lie one after the other and are padded when a batch is made.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from retrieval.datasets.features import Features
from retrieval.datasets.official import OfficialSet
from retrieval.errors import FileError
from retrieval.models import CENet, MNNet

CHUNK = 2048  # captions, and videos, that are embedded at once


@dataclass(frozen=True, eq=False)
class Tokens:
    """Sequences of tokens of any length, one after the other."""

    rows: torch.Tensor  # [n_rows, dim]
    starts: torch.Tensor  # [n + 1] int64, where each sequence begins
    longest: int  # tokens that are taken of each

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, index: torch.Tensor) -> torch.Tensor:
        """Some sequences, their first tokens, padded with zeros: [n, longest, dim] float32."""
        if not len(self.rows):
            return self.rows.new_zeros((len(index), self.longest, self.rows.shape[1])).float()
        start = self.starts[index, None]
        at = start + torch.arange(self.longest, device=start.device)
        outside = at >= self.starts[index + 1, None]
        taken = self.rows[at.clamp_(max=len(self.rows) - 1)].float()
        return taken.masked_fill_(outside[..., None], 0)

    def first_not_finite(self) -> int | None:
        """The first sequence with NaN or infinity in it; None where there is none."""
        as_taken = self.rows.float() if self.rows.dtype == torch.float64 else self.rows
        wrong = ~as_taken.isfinite().all(dim=1)
        if not wrong.any():
            return None
        row = wrong.nonzero()[0]
        return int(torch.searchsorted(self.starts, row, right=True)) - 1

    def thinned(self, index: np.ndarray, kept: np.ndarray) -> "Tokens":
        """Some sequences without some of their tokens.

        Args:
            index: [n] places of sequences.
            kept: bool, which tokens stay, all of the first sequence, then all of the second, ...
        """
        starts = self.starts.cpu().numpy()
        counts = np.diff(starts)[index]
        begin = np.cumsum(counts) - counts
        rows = np.repeat(starts[index] - begin, counts) + np.arange(counts.sum())
        owner = np.repeat(np.arange(len(index)), counts)[kept]
        ends = np.cumsum(np.bincount(owner, minlength=len(index)))
        device = self.rows.device
        return Tokens(
            self.rows[torch.from_numpy(rows[kept]).to(device)],
            torch.from_numpy(np.concatenate([[0], ends])).to(device),
            self.longest,
        )

    def to(self, device: torch.device | str) -> "Tokens":
        """The same on another device."""
        return replace(self, rows=self.rows.to(device), starts=self.starts.to(device))


@dataclass(frozen=True, eq=False)
class ExpertClips:
    """Videos with their experts and captions."""

    videos: tuple[str, ...]
    experts: Mapping[str, "torch.Tensor | Tokens"]  # [n, dim], or tokens; any value where missing
    available: Mapping[str, torch.Tensor]  # expert -> [n] of 0 and 1
    captions: Tokens  # of all videos, video by video
    first: np.ndarray  # [n + 1] int64, where each video's captions begin

    def checked(self) -> "ExpertClips":
        """These clips, looked at once, so that no batch of them needs to be.

        Raises:
            FileError: a video has no caption, none of the experts, or numbers that are not finite.
        """
        counts = np.diff(self.first)
        if not (counts > 0).all():
            video = self.videos[int(np.argmin(counts))]
            raise FileError(f"video {video} has no caption; leave it out of the list")
        bare = ~np.any([flags.cpu().numpy() > 0 for flags in self.available.values()], axis=0)
        if bare.any():
            raise FileError(
                f"video {self.videos[int(np.argmax(bare))]} has none of the experts "
                f"{', '.join(self.experts)}; leave it out of the list"
            )
        for name, x in self.experts.items():
            there = self.available[name] > 0
            if isinstance(x, Tokens):
                row = x.first_not_finite()
            else:
                wrong = there & ~x.isfinite().all(dim=1)
                row = int(wrong.nonzero()[0]) if wrong.any() else None
            if row is not None:
                raise FileError(
                    f"{name} of video {self.videos[row]} is not finite; extract it again, or "
                    "store NaN alone where the feature is missing"
                )
        row = self.captions.first_not_finite()
        if row is not None:
            video = int(np.searchsorted(self.first, row, side="right")) - 1
            raise FileError(
                f"the text features of video {self.videos[video]} are not finite; embed its "
                "captions again"
            )
        return self

    def __len__(self) -> int:
        return len(self.videos)

    @property
    def device(self) -> torch.device:
        """Where everything lies."""
        return self.captions.rows.device

    def to(self, device: torch.device | str) -> "ExpertClips":
        """The same on another device."""
        return replace(
            self,
            experts={name: x.to(device) for name, x in self.experts.items()},
            available={name: x.to(device) for name, x in self.available.items()},
            captions=self.captions.to(device),
        )

    def batch(self, index: torch.Tensor) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Features and availability of some videos, as the models take them."""
        experts = {
            name: x.take(index) if isinstance(x, Tokens) else x[index].float()
            for name, x in self.experts.items()
        }
        return experts, {name: flags[index] for name, flags in self.available.items()}

    def text(self, index: torch.Tensor) -> torch.Tensor:
        """Tokens of some captions, by their place in `captions`: [n, 1, n_words, dim]."""
        return self.captions.take(index)[:, None]

    def asked(self, n_captions: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """The first captions of every video, in a grid.

        Args:
            n_captions: columns; 0 for as many as the video with most has.

        Returns:
            [n, n_captions] places in `captions`, and whether there is such a caption.
        """
        counts = np.diff(self.first)
        column = np.arange(n_captions or counts.max())
        there = column < counts[:, None]
        return np.where(there, self.first[:-1, None] + column, 0), there

    def only(self, keep: Sequence[bool] | np.ndarray) -> "ExpertClips":
        """Some of the videos."""
        rows = np.flatnonzero(np.asarray(keep))
        at = torch.from_numpy(rows).to(self.device)
        picked = np.concatenate([np.arange(self.first[i], self.first[i + 1]) for i in rows])
        return ExpertClips(
            videos=tuple(self.videos[i] for i in rows),
            experts={
                name: _some(x, rows) if isinstance(x, Tokens) else x[at]
                for name, x in self.experts.items()
            },
            available={name: flags[at] for name, flags in self.available.items()},
            captions=_some(self.captions, picked),
            first=np.concatenate([[0], np.cumsum(np.diff(self.first)[rows])]),
        )


def _some(tokens: Tokens, index: np.ndarray) -> Tokens:
    starts = tokens.starts.cpu().numpy()
    counts = np.diff(starts)[index]
    ends = np.cumsum(counts)
    shift = np.repeat(starts[index] - (ends - counts), counts)
    rows = torch.from_numpy(np.arange(counts.sum()) + shift)
    return Tokens(
        tokens.rows[rows.to(tokens.rows.device)],
        torch.from_numpy(np.concatenate([[0], ends])).to(tokens.starts.device),
        tokens.longest,
    )


def from_official(data: OfficialSet, part: str, some: slice = slice(None)) -> ExpertClips:
    """The training or the evaluated videos of an opened data set.

    Args:
        data: from `open_official`.
        part: "train" or "val"; of "val" every expert is checked for gaps, of "train" the flaky
            ones are, as in the released loader.
        some: which of its videos; all where nothing is said.

    Raises:
        FileError: a training video lacks an expert that is not flaky, an asked caption has no
            token, or numbers are not finite.
    """
    videos = (data.train if part == "train" else data.val)[some]
    text_of = data.training_text if part == "train" else data.asked_text
    experts, available = {}, {}
    for name, features in data.experts.items():
        longest = data.reading.max_tokens[name] if name in data.reading.variable else 0
        experts[name], available[name] = expert_tensors(features, videos, longest)
        if part == "train" and name not in data.reading.flaky and not available[name].all():
            row = int(available[name].argmin())
            raise FileError(
                f"training video {videos[row]} lacks {name}, which is not marked as flaky; mark "
                "it in feat_aggregation, or leave the video out"
            )
        if name in data.reading.binarised:
            experts[name] = _marks(experts[name], available[name])
    texts = [text_of(video) for video in videos]
    first = np.concatenate([[0], np.cumsum([len(each) for each in texts])])
    arrays = [tokens for each in texts for tokens in each]
    if part != "train":
        for video, each in zip(videos, texts, strict=True):
            if not all(len(tokens) for tokens in each):
                raise FileError(f"a caption of video {video} has no token; embed it again")
    # Dropout draws among all tokens, and the first of those left are taken.
    whole = part == "train" and data.reading.text_dropout > 0
    captions = caption_tokens(arrays, data.reading.max_tokens["text"], whole)
    return ExpertClips(tuple(videos), experts, available, captions, first).checked()


def _marks(x: "torch.Tensor | Tokens", there: torch.Tensor) -> "torch.Tensor | Tokens":
    """Ones for an expert that a video has: only that it is there is told."""
    if isinstance(x, torch.Tensor):
        return there[:, None].expand(x.shape).clone()
    counts = (there > 0).long() * x.longest
    starts = torch.cat([torch.zeros(1, dtype=torch.long), counts.cumsum(0)])
    return Tokens(torch.ones(int(starts[-1]), x.rows.shape[1]), starts, x.longest)


def caption_tokens(arrays: Sequence[np.ndarray], longest: int, whole: bool = False) -> Tokens:
    """One array [n_tokens, dim] a caption -> the first tokens of each.

    Args:
        arrays: a caption without tokens is one of zeros alone.
        longest: tokens that are taken of each.
        whole: keeps the others too, so that some can be left out first.
    """
    kept = list(arrays) if whole else [tokens[:longest] for tokens in arrays]
    counts = np.array([len(tokens) for tokens in kept])
    starts = torch.from_numpy(np.concatenate([[0], np.cumsum(counts)]))
    return Tokens(torch.from_numpy(np.concatenate(kept)), starts, longest)


def expert_tensors(
    features: Features, videos: Sequence[str], longest: int = 0
) -> tuple["torch.Tensor | Tokens", torch.Tensor]:
    """One expert of some videos, and which have it.

    Args:
        features: as read.
        videos: in the order that is wanted.
        longest: tokens that are kept of each; 0 for experts of one vector.

    Returns:
        [n, dim], zero where missing, or tokens; and [n] float32 of 0 and 1.
    """
    place = np.array([features.index(video) for video in videos])
    there = torch.from_numpy(features.present[place].astype(np.float32))
    start = np.where(features.present[place], features.starts[place], 0)
    counts = np.where(features.present[place], features.starts[place + 1] - start, 0)
    if not longest:
        if not ((counts == 1) | ~features.present[place]).all():
            row = int(np.argmax((counts != 1) & features.present[place]))
            raise FileError(
                f"{features.name} of video {videos[row]} has {counts[row]} vectors, expected one; "
                "aggregate it over time"
            )
        out = np.zeros((len(videos), features.dim), dtype=np.float32)
        out[features.present[place]] = features.rows[start[features.present[place]]]
        return torch.from_numpy(out), there
    counts = np.minimum(counts, longest)
    ends = np.cumsum(counts)
    rows = np.repeat(start - (ends - counts), counts) + np.arange(counts.sum())
    starts = torch.from_numpy(np.concatenate([[0], ends]))
    kept = np.ascontiguousarray(features.rows[rows]).reshape(len(rows), features.dim)
    return Tokens(torch.from_numpy(kept), starts, longest), there


def slices(n: int, size: int) -> Iterator[slice]:
    """0..n in pieces."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


class Ranked:
    """Videos that captions are compared with, embedded once."""

    def __init__(
        self,
        model: CENet | MNNet,
        embedded: Sequence[tuple[Mapping[str, torch.Tensor], torch.Tensor]],
    ) -> None:
        """Take what `embed_videos` gave of some videos, and of others."""
        self.model = model.eval()
        names = embedded[0][0]
        self.video = {name: torch.cat([video[name] for video, _ in embedded]) for name in names}
        self.available = torch.cat([available for _, available in embedded])

    @classmethod
    def of(cls, model: CENet | MNNet, videos: ExpertClips, chunk: int = CHUNK) -> "Ranked":
        """Embed videos, `chunk` at once; the model is on their device."""
        return cls(model, [embed_videos(model, videos, chunk)])

    def __len__(self) -> int:
        return len(self.available)

    @torch.no_grad()
    def sims(self, text: Mapping[str, torch.Tensor], weights: torch.Tensor) -> np.ndarray:
        """[n_captions, n_videos] float32, of captions as the model's `embed_text` gave them."""
        return self.model.sims(text, weights, self.video, self.available).cpu().numpy()


@torch.no_grad()
def compare(
    asking: ExpertClips, captions: np.ndarray, *ranked: Ranked, chunk: int = CHUNK
) -> Iterator[tuple[np.ndarray, ...]]:
    """Compare captions with one set of videos or several, embedding each caption once.

    Args:
        asking: whose captions are asked.
        captions: [n] places in `asking.captions`.
        ranked: the sets, embedded by one model.
        chunk: captions at once.

    Yields:
        of some captions, in order, their similarities to each set, [n_some, n_videos] float32.
    """
    ids = torch.from_numpy(captions).to(asking.device)
    for part in slices(len(ids), chunk):
        text, weights = ranked[0].model.embed_text(asking.text(ids[part]))
        yield tuple(each.sims(text, weights) for each in ranked)


def similarities(
    model: CENet | MNNet,
    asking: ExpertClips,
    captions: np.ndarray,
    videos: ExpertClips,
    chunk: int = CHUNK,
) -> np.ndarray:
    """[n_captions, n_videos] float32 of some captions and videos; see `compare`."""
    ranked = Ranked.of(model, videos, chunk)
    out = np.empty((len(captions), len(videos)), dtype=np.float32)
    found = compare(asking, captions, ranked, chunk=chunk)
    for part, (rows,) in zip(slices(len(captions), chunk), found, strict=True):
        out[part] = rows
    return out


@torch.no_grad()
def embed_videos(
    model: CENet | MNNet, videos: ExpertClips, chunk: int = CHUNK
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Expert -> [n, dim] of all videos, and [n, n_experts] availability, as evaluation has them."""
    model.eval()
    parts, flags = [], []
    for part in slices(len(videos), chunk):
        index = torch.arange(part.start, part.stop, device=videos.device)
        experts, ind = videos.batch(index)
        parts.append(model.embed_videos(experts, ind))
        flags.append(model.availability(ind))
    return {m: torch.cat([p[m] for p in parts]) for m in parts[0]}, torch.cat(flags)

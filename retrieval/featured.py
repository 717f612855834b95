"""Expert features of videos, laid out as in official sets -> a gallery of a network of experts."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from retrieval.datasets.features import Features, read_features, read_sentences
from retrieval.datasets.official import read_list
from retrieval.datasets.trees import expert_files, first_of, get_tree, split_lists
from retrieval.encoders.trained import Reads, TrainedExperts
from retrieval.errors import GalleryError
from retrieval.gallery import EncoderId, Gallery, write_gallery, write_showing
from retrieval.training.expert_clips import ExpertClips, Tokens, expert_tensors
from retrieval.watching import media_of

logger = logging.getLogger(__name__)


def read_clips(features: Path, reads: Reads, videos: Sequence[str]) -> ExpertClips:
    """The features that a network takes of some videos, without captions.

    Args:
        features: root of the tree.
        reads: which files, and how many tokens.
        videos: in the order that is wanted.

    Raises:
        FileNotFoundError: a file is not there.
        FileError: a file is damaged, lacks a video, or has vectors of another length.
    """
    found = {}
    for name, how in reads.experts.items():
        files = expert_files(features, reads.dataset, reads.split, name, how)
        found[name] = read_features(name, files, videos, axis=how.get("aggregate-axis", 1))
    return clips_of(found, reads, videos)


def clips_of(found: Mapping[str, Features], reads: Reads, videos: Sequence[str]) -> ExpertClips:
    """The same of features that are there: expert -> its features, of all that a network takes."""
    experts, available = {}, {}
    for name in reads.experts:
        longest = reads.tokens.get(name, 0)
        experts[name], available[name] = expert_tensors(found[name], videos, longest)
    nothing = Tokens(torch.zeros(0, 1), torch.zeros(1, dtype=torch.int64), 1)
    return ExpertClips(tuple(videos), experts, available, nothing, np.zeros(len(videos) + 1, int))


def items_of_tree(features: Path, reads: Reads) -> list[dict[str, Any]]:
    """The evaluated videos of a tree as items, with their captions where the tree has them."""
    tree = get_tree(reads.dataset)
    _, listed = split_lists(reads.dataset, reads.split)
    videos = read_list(features / listed, tree.bare_ids)
    file = first_of(features, tree.captions)
    said = read_sentences(file, videos) if file.is_file() else {}
    items = []
    for video in videos:
        captions = said.get(video, [])
        items.append({"id": video, **({"captions": captions} if captions else {})})
        if captions:
            items[-1]["caption"] = captions[0]
    return items


def index_experts(
    features: Path,
    out: str | Path,
    encoder: TrainedExperts,
    spec: str,
    command: str,
    shown: Gallery | None = None,
    items: list[dict[str, Any]] | None = None,
    queries: list[dict[str, Any]] | None = None,
) -> int:
    """Embed videos by their features into a gallery; those without any expert are left out.

    Args:
        features: root of the tree.
        out: the gallery to make.
        encoder: embeds them.
        spec: its name for `get_encoder`.
        command: the command line, for the manifest.
        shown: a gallery beside `out` whose items and labelled queries are shown.
        items: the videos' ids, captions and extras where none is shown.
        queries: labelled queries where none are shown.

    Returns:
        how many videos were embedded.

    Raises:
        GalleryError: no video can be used.
    """
    rows = [{"id": each.id} for each in shown.items] if shown is not None else list(items or ())
    emb = encoder.encode_clips(read_clips(features, encoder.reads, [row["id"] for row in rows]))
    there = emb[:, encoder.space.head :].any(axis=1)
    if not there.any():
        raise GalleryError(
            f"none of the {len(rows):,} videos has {' or '.join(encoder.space.experts)}; index "
            "videos that do"
        )
    if not there.all():
        logger.info("left out %d videos that have no expert of %s", (~there).sum(), encoder.name)
    emb, rows = emb[there], [row for row, kept in zip(rows, there, strict=True) if kept]
    about = EncoderId.of(encoder, spec)
    media = media_of(encoder)
    if shown is not None:
        write_showing(out, shown, [row["id"] for row in rows], emb, about, command, media)
        return len(rows)
    kept = {row["id"] for row in rows}
    asked = [query for query in queries or () if query["video_id"] in kept]
    query_emb = encoder.encode_text([query["text"] for query in asked]) if asked else None
    write_gallery(out, emb, rows, about, asked or None, query_emb, command, media=media)
    return len(rows)

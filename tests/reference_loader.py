"""Batches collated one by one, as the released loader collates them, from an opened data set.

Training takes clips by index (`retrieval.training.expert_clips`); what it takes is compared with
these.
"""

import numpy as np


def train_batch(data, indices, rng) -> dict:
    """Training videos, each with one caption drawn by lot.

    Args:
        data: an `OfficialSet`.
        indices: into `data.train`.
        rng: `numpy.random.RandomState`: for each video, in this order, one `choice` of a caption,
            unless they are fused, and one `random` for the dropout.

    Returns:
        "experts": expert -> [n, dim], or [n, max_tokens, dim] padded with zeros, float32, NaN
        where missing; "ind": expert -> [n] float64 of 0 and 1; "text": [n, 1, n_words, dim];
        "text_token_mask": [n, 1] token counts; with teachers "distil_video" and "distil_text":
        for each a dict expert -> [n, dim] and [n, 1, dim].
    """
    videos = [data.train[i] for i in indices]
    text = np.zeros((len(videos), 1, data.reading.max_tokens["text"], data.text.dim), "f4")
    counts = np.zeros((len(videos), 1))
    picks = []
    for row, video in enumerate(videos):
        tokens, pick = _draw(data, video, rng)
        kept = tokens[: text.shape[2]]
        text[row, 0, : len(kept)] = kept
        counts[row, 0] = len(kept)
        picks.append(pick)
    experts, ind = experts_of(data, videos, data.reading.flaky)
    batch = {"experts": experts, "ind": ind, "text": text, "text_token_mask": counts}
    if data.teachers:
        batch["distil_video"] = [_taught(t, videos, "vid_embds") for t in data.teachers]
        batch["distil_text"] = [
            _taught(each, videos, "text_embds", picks) for each in data.teachers
        ]
    return batch


def retrieval_experts(data) -> tuple[dict, dict]:
    """Features and availability of all evaluated videos, every expert checked for gaps."""
    experts, ind = experts_of(data, data.val, frozenset(data.experts))
    return experts, {name: flags.astype(np.float32) for name, flags in ind.items()}


def retrieval_text(data) -> np.ndarray:
    """[n_val, num_test_captions, n_words, dim] float32."""
    n_words = data.reading.max_tokens["text"]
    shape = (len(data.val), data.reading.num_test_captions, n_words, data.text.dim)
    out = np.zeros(shape, dtype=np.float32)
    for row, video in enumerate(data.val):
        for column, tokens in enumerate(data.asked_text(video)):
            kept = tokens[:n_words]
            out[row, column, : len(kept)] = kept
    return out


def experts_of(data, videos, checked) -> tuple[dict, dict]:
    """Arrays and availability of some videos; experts outside of `checked` count as there."""
    fill = 0 if data.reading.zeros_for_missing else np.nan
    arrays, ind = {}, {}
    for name, features in data.experts.items():
        n_tokens = data.reading.max_tokens[name] if name in data.reading.variable else None
        inner = (features.dim,) if n_tokens is None else (n_tokens, features.dim)
        out, there = np.zeros((len(videos), *inner), dtype=np.float32), np.ones(len(videos))
        for row, video in enumerate(videos):
            found = features.get(video)
            if found is None:
                out[row] = fill
                there[row] = 0 if name in checked else 1
            elif n_tokens is None:
                out[row] = found.reshape(features.dim)
            else:
                kept = found[:n_tokens]
                out[row, : len(kept)] = kept
            if found is not None and name in data.reading.binarised:
                out[row] = 1
        arrays[name], ind[name] = out, there
    return arrays, ind


def _draw(data, video, rng) -> tuple:
    """Tokens of a training caption, and which one it is; None of fused ones."""
    captions, pick = data.training_text(video), None
    if data.reading.restrict_train_captions:
        captions = captions[: data.reading.restrict_train_captions]
    if not data.reading.fuse_captions:
        chances = None
        if data.masks is not None:
            mask = np.asarray(data.masks[video], dtype=float)[: len(captions)]
            chances = mask / mask.sum()
        pick = int(rng.choice(len(captions), size=1, p=chances)[0])
    tokens = captions[pick or 0]
    if rng.random() < data.reading.text_dropout:
        tokens = tokens[rng.random(len(tokens)) > 0.5]
    return tokens, pick


def _taught(teacher, videos, what, picks=None) -> dict:
    """A teacher's stored vectors: [n, dim] of videos, [n, 1, dim] of the captions drawn."""
    out = {}
    for row, video in enumerate(videos):
        for name, stored in teacher[video][what].items():
            vector = np.asarray(stored, dtype=np.float32)
            if picks is None:
                vector = vector.reshape(-1)
            else:
                vector = (vector if picks[row] is None else vector[picks[row]]).reshape(1, -1)
            out.setdefault(name, []).append(vector)
    return {name: np.stack(vectors) for name, vectors in out.items()}

"""RGB clips and sentences -> embeddings of the joint space learned on HowTo100M.

The network reads the released checkpoint `s3d_howto100m.pth` and its word list `s3d_dict.npy`.

Source: Miech et al., "End-to-End Learning of Visual Representations from Uncurated Instructional
Videos", CVPR 2020; Xie et al., "Rethinking Spatiotemporal Feature Learning", ECCV 2018.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from retrieval.errors import ModelError

N_WORDS = 66250  # rows of the word embedding, padding included
MAX_WORDS = 16  # of a sentence; the rest is not read

# Widths of the Inception blocks: b0, b1 (reduced, out), b2 (reduced, out), b3.
BLOCKS = {
    "3b": (64, 96, 128, 16, 32, 32),
    "3c": (128, 128, 192, 32, 96, 64),
    "4b": (192, 96, 208, 16, 48, 64),
    "4c": (160, 112, 224, 24, 64, 64),
    "4d": (128, 128, 256, 24, 64, 64),
    "4e": (112, 144, 288, 32, 64, 64),
    "4f": (256, 160, 320, 32, 128, 128),
    "5b": (256, 160, 320, 32, 128, 128),
    "5c": (384, 192, 384, 48, 128, 128),
}


class _Conv(nn.Module):
    """Convolution, batch norm, ReLU; where separable, once over space and once over time."""

    def __init__(
        self,
        n_in: int,
        n_out: int,
        kernel: tuple[int, int, int] = (1, 1, 1),
        padding: tuple[int, int, int] = (0, 0, 0),
        separable: bool = False,
    ) -> None:
        super().__init__()
        (t, h, w), (pt, ph, pw) = kernel, padding
        if separable:
            self.conv1 = nn.Conv3d(n_in, n_out, (1, h, w), padding=(0, ph, pw), bias=False)
        else:
            self.conv1 = nn.Conv3d(n_in, n_out, kernel, padding=padding, bias=False)
        self.bn1 = nn.BatchNorm3d(n_out)
        self.separable = separable
        if separable:
            self.conv2 = nn.Conv3d(n_out, n_out, (t, 1, 1), padding=(pt, 0, 0), bias=False)
            self.bn2 = nn.BatchNorm3d(n_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.bn1(self.conv1(x)).relu()
        return self.bn2(self.conv2(x)).relu() if self.separable else x


class _Gating(nn.Module):
    """Each channel, times what all channels' means say of it."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc = nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.fc(x.mean(dim=(2, 3, 4))).sigmoid()[:, :, None, None, None]


class _Inception(nn.Module):
    def __init__(self, n_in: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        b0, b1_a, b1_b, b2_a, b2_b, b3 = widths
        cube, pad = (3, 3, 3), (1, 1, 1)
        self.conv_b0 = _Conv(n_in, b0)
        self.conv_b1_a = _Conv(n_in, b1_a)
        self.conv_b1_b = _Conv(b1_a, b1_b, cube, pad, separable=True)
        self.conv_b2_a = _Conv(n_in, b2_a)
        self.conv_b2_b = _Conv(b2_a, b2_b, cube, pad, separable=True)
        self.conv_b3_b = _Conv(n_in, b3)
        self.gating_b0 = _Gating(b0)
        self.gating_b1 = _Gating(b1_b)
        self.gating_b2 = _Gating(b2_b)
        self.gating_b3 = _Gating(b3)
        self.n_out = b0 + b1_b + b2_b + b3

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b0 = self.gating_b0(self.conv_b0(x))
        b1 = self.gating_b1(self.conv_b1_b(self.conv_b1_a(x)))
        b2 = self.gating_b2(self.conv_b2_b(self.conv_b2_a(x)))
        b3 = self.gating_b3(self.conv_b3_b(F.max_pool3d(x, 3, stride=1, padding=1)))
        return torch.cat([b0, b1, b2, b3], dim=1)


class SentenceNet(nn.Module):
    """Word ids -> embedding: the maximum over all places of a sentence, padding included."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.word_embd = nn.Embedding(N_WORDS, 300)
        self.fc1 = nn.Linear(300, 2048)
        self.fc2 = nn.Linear(2048, dim)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """[n, MAX_WORDS] int64, 0 for padding -> [n, dim]."""
        return self.fc2(self.fc1(self.word_embd(ids)).relu().amax(dim=1))


class S3D(nn.Module):
    """Separable, gated 3-D convolutions over clips, and a bag of words over sentences."""

    def __init__(self, dim: int = 512) -> None:
        super().__init__()
        self.conv1 = _Conv(24, 64, (2, 4, 4), (1, 2, 2))
        self.conv_2b = _Conv(64, 64)
        self.conv_2c = _Conv(64, 192, (3, 3, 3), (1, 1, 1), separable=True)
        self.gating = _Gating(192)
        n = 192
        for name, widths in BLOCKS.items():
            block = _Inception(n, widths)
            setattr(self, f"mixed_{name}", block)
            n = block.n_out
        self.fc = nn.Linear(n, dim)
        self.text_module = SentenceNet(dim)

    def forward(self, clips: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embed clips.

        Args:
            clips: [n, 3, n_frames, height, width] in 0..1, the last three even.

        Returns:
            [n, dim] of the joint space, and [n, 1024] of the last block; neither of unit length.
        """
        if clips.ndim != 5 or clips.shape[1] != 3 or any(s % 2 or s == 0 for s in clips.shape[2:]):
            raise ValueError(
                f"clips are {tuple(clips.shape)}, expected [n, 3, n_frames, height, width] with "
                "even sizes; leave out the odd frame, row or column"
            )
        # One row more is padded in front than TensorFlow would, and is cut off again.
        x = self.conv1(_space_to_depth(clips))[:, :, 1:, 1:, 1:]
        x = _same_max_pool(x, (1, 3, 3), (1, 2, 2))
        x = self.gating(self.conv_2c(self.conv_2b(x)))
        x = _same_max_pool(x, (1, 3, 3), (1, 2, 2))
        x = self.mixed_3c(self.mixed_3b(x))
        x = _same_max_pool(x, (3, 3, 3), (2, 2, 2))
        for name in ("4b", "4c", "4d", "4e", "4f"):
            x = getattr(self, f"mixed_{name}")(x)
        x = _same_max_pool(x, (2, 2, 2), (2, 2, 2))
        pooled = self.mixed_5c(self.mixed_5b(x)).mean(dim=(2, 3, 4))
        return self.fc(pooled), pooled

    def embed_text(self, ids: torch.Tensor) -> torch.Tensor:
        """[n, MAX_WORDS] ids of `word_ids` -> [n, dim]."""
        return self.text_module(ids)


def read_words(path: Path) -> dict[str, int]:
    """Read the word list: word -> id, from 1 on."""
    try:
        words = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ModelError(f"{Path(path).name} is no array of words; fetch s3d_dict.npy") from error
    if words.ndim != 1 or words.dtype.kind != "U" or len(words) >= N_WORDS:
        raise ModelError(
            f"{Path(path).name} holds {words.dtype} of shape {words.shape}, expected fewer than "
            f"{N_WORDS} words; fetch s3d_dict.npy"
        )
    return {str(word): i for i, word in enumerate(words, start=1)}


def word_ids(sentences: Sequence[str], ids: dict[str, int]) -> torch.Tensor:
    """[n, MAX_WORDS] int64: the first known words of each sentence, then 0."""
    out = torch.zeros(len(sentences), MAX_WORDS, dtype=torch.int64)
    for row, sentence in zip(out, sentences, strict=True):
        known = [ids[word] for word in re.findall(r"[\w']+", sentence.lower()) if word in ids]
        row[: len(known[:MAX_WORDS])] = torch.tensor(known[:MAX_WORDS], dtype=torch.int64)
    return out


def _space_to_depth(clips: torch.Tensor) -> torch.Tensor:
    """[n, c, t, h, w] -> [n, 8 c, t/2, h/2, w/2]: offsets in t, h, w, then the colour."""
    n, c, t, h, w = clips.shape
    x = clips.reshape(n, c, t // 2, 2, h // 2, 2, w // 2, 2)
    return x.permute(0, 3, 5, 7, 1, 2, 4, 6).reshape(n, 8 * c, t // 2, h // 2, w // 2)


def _same_max_pool(
    x: torch.Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]
) -> torch.Tensor:
    """Max pooling with TensorFlow's SAME padding: zeros, the smaller half in front."""
    pad: list[int] = []
    for k, s in zip(reversed(kernel), reversed(stride), strict=True):  # F.pad starts at the back
        pad += [(k - s) // 2, (k - s) - (k - s) // 2]
    return F.max_pool3d(F.pad(x, pad), kernel, stride, ceil_mode=True)

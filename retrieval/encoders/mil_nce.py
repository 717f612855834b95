"""The HowTo100M network's text half -> one vector for a sentence."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from retrieval import checkpoint
from retrieval.encoders.tokens import SavedBySpec
from retrieval.errors import ModelError
from retrieval.models.s3d import SentenceNet, read_words, word_ids

CHECKPOINT, DICTIONARY = "s3d_howto100m.pth", "s3d_dict.npy"
DIM = 512


class SentenceVectors(SavedBySpec):
    """Embeds a sentence by its first 16 known words, regardless of their order."""

    dim = DIM

    def __init__(self, folder: str | Path, name: str = "howto100m_mil_nce") -> None:
        """Load it, on the CPU.

        Args:
            folder: with the released checkpoint and its dictionary.
            name: of the text feature.

        Raises:
            ModelError: a file is not there, or is another.
        """
        folder = Path(folder)
        for file in (CHECKPOINT, DICTIONARY):
            if not (folder / file).is_file():
                raise ModelError(
                    f"{folder.name} has no {file}; give {name}=FOLDER with {CHECKPOINT} and "
                    f"{DICTIONARY} of the HowTo100M S3D release"
                )
        self.name, self.spec = name, f"{name}={folder.absolute()}"
        self.ids = read_words(folder / DICTIONARY)
        prefix = "text_module."
        weights = {
            key.removeprefix("module.").removeprefix(prefix): value
            for key, value in checkpoint.read_weights(folder / CHECKPOINT).items()
            if prefix in key
        }
        with torch.device("meta"):
            self.net = SentenceNet(DIM)
        try:
            self.net.load_state_dict(weights, assign=True)
        except RuntimeError as error:
            raise ModelError(
                f"{CHECKPOINT} holds no text network of the HowTo100M S3D release; fetch it again"
            ) from error
        self.net.float().eval().requires_grad_(False)

    def encode(self, caption: str) -> np.ndarray:
        """[1, 512] float32."""
        return self.encode_all([caption])[0]

    @torch.inference_mode()
    def encode_all(self, captions: Sequence[str]) -> list[np.ndarray]:
        """The same for many at once."""
        if not len(captions):
            return []
        found: list[np.ndarray] = []
        for part in word_ids(list(captions), self.ids).split(256):
            found += list(self.net(part).numpy()[:, None])
        return found

    def n_tokens(self, text: str) -> int:
        """One for all words."""
        return 1

    def unknown_words(self, text: str) -> list[str]:
        """Words that are not in the dictionary, in their order."""
        words = dict.fromkeys(text.lower().split())
        return [word for word in words if not word_ids([word], self.ids).any()]

"""A waveform -> log-mel statistics, one token for each second or so, as VGGish gives.

Where VGGish has a network over each window of 0.96 s, this has mean and deviation of its 64 bands.
"""

from functools import lru_cache

import numpy as np

N_BANDS = 64
LOW_HZ, HIGH_HZ = 125.0, 7500.0
WINDOW_S, HOP_S = 0.025, 0.010
_N_FFT = 1024  # samples; the window is padded
FRAMES = 96  # of 10 ms in a token: 0.96 s
STEP = 48  # frames between tokens
DIM = 2 * N_BANDS
QUIET = 1e-3  # of full scale: below, a track is silent


def is_silent(track: np.ndarray | None) -> bool:
    """Whether there is no track, or nothing to hear on it."""
    return track is None or not len(track) or float(np.abs(track).max()) < QUIET


def mel_tokens(track: np.ndarray, rate: int) -> np.ndarray:
    """Describe what a film sounds like.

    Args:
        track: mono samples in -1..1, of 0.98 s or more.
        rate: samples a second.

    Returns:
        [n_tokens, DIM] float32: of each window of 0.96 s, half of which overlaps with the next,
        the mean of each of 64 bands of log(mel + 0.01), then its deviation.

    Source: Hershey et al., "CNN Architectures for Large-Scale Audio Classification", ICASSP 2017,
    section 3.1, and the released VGGish for bands and offset.
    """
    bands = log_mel(track, rate)
    if len(bands) < FRAMES:
        raise ValueError(f"expected a track of 0.98 s or more, got {len(track) / rate:.2f} s")
    starts = range(0, len(bands) - FRAMES + 1, STEP)
    windows = np.stack([bands[start : start + FRAMES] for start in starts])
    both = [windows.mean(axis=1), windows.std(axis=1)]
    return np.concatenate(both, axis=1).astype(np.float32)


def log_mel(track: np.ndarray, rate: int) -> np.ndarray:
    """log(mel + 0.01) of the magnitudes of every 10 ms: [n_frames, N_BANDS]."""
    magnitudes = spectrogram(track, round(WINDOW_S * rate), round(HOP_S * rate), _N_FFT)
    return np.log(magnitudes @ mel_bands(rate) + 0.01)


def spectrogram(track: np.ndarray, window: int, hop: int, n_fft: int) -> np.ndarray:
    """Magnitudes under a Hann window: [n_frames, n_fft // 2 + 1]; only whole windows are taken."""
    pieces = np.lib.stride_tricks.sliding_window_view(track.astype(np.float64), window)[::hop]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    return np.abs(np.fft.rfft(pieces * hann, n_fft, axis=1))


@lru_cache(maxsize=2)
def mel_bands(rate: int) -> np.ndarray:
    """Triangles of equal width on the mel scale: [n_fft // 2 + 1, N_BANDS] weights."""
    edges = np.linspace(_mel(LOW_HZ), _mel(HIGH_HZ), N_BANDS + 2)
    place = _mel(np.arange(_N_FFT // 2 + 1) * rate / _N_FFT)[:, None]
    rising = (place - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - place) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling))


def _mel(hz: float | np.ndarray) -> np.ndarray:
    return 1127 * np.log1p(np.asarray(hz) / 700)

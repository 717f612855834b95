"""Sounds made by arithmetic: seconds and pitches in, a mono waveform in -1..1 out.

A scene's sound function takes the clip's look and its own generator, calls one or more of these,
and may place short sounds at chosen seconds with `at`.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

RATE = 22050  # samples a second
LENGTH_S = 3.0
N = round(RATE * LENGTH_S)


def seconds(length_s: float = LENGTH_S) -> np.ndarray:
    """The time of each sample, in seconds."""
    return np.arange(round(RATE * length_s)) / RATE


def hiss(
    rng: np.random.Generator, low_hz: float, high_hz: float, length_s: float = LENGTH_S
) -> np.ndarray:
    """Noise between two frequencies, peak near one."""
    n = round(RATE * length_s)
    spectrum = np.fft.rfft(rng.standard_normal(n))
    hz = np.fft.rfftfreq(n, 1 / RATE)
    keep = 1 / (1 + (low_hz / np.maximum(hz, 1)) ** 4) / (1 + (hz / high_hz) ** 4)
    sound = np.fft.irfft(spectrum * keep, n)
    return sound / max(np.abs(sound).max(), 1e-9)


def tone(
    hz: float, length_s: float, decay_s: float | None = None, overtones: tuple[float, ...] = (1.0,)
) -> np.ndarray:
    """A pitch with its overtones' strengths, fading with that decay time (None: held)."""
    t = seconds(length_s)
    sound = sum(a * np.sin(2 * np.pi * hz * (i + 1) * t) for i, a in enumerate(overtones))
    edge = np.minimum(1, np.minimum(t, length_s - t) / 0.008)
    return sound / sum(overtones) * edge * (np.exp(-t / decay_s) if decay_s else 1)


def glide(from_hz: float, to_hz: float, length_s: float) -> np.ndarray:
    """A pitch that slides, with soft ends."""
    t = seconds(length_s)
    phase = 2 * np.pi * (from_hz * t + (to_hz - from_hz) * t**2 / (2 * length_s))
    return np.sin(phase) * np.sin(np.pi * np.clip(t / length_s, 0, 1)) ** 0.5


def at(times_s: Iterable[float], sound: np.ndarray, volume: float = 1.0) -> np.ndarray:
    """A short sound repeated at those seconds of a silent film-long track."""
    track = np.zeros(N)
    for time in times_s:
        start = round(time * RATE)
        if 0 <= start < N:
            piece = sound[: N - start]
            track[start : start + len(piece)] += volume * piece
    return track


def together(*tracks: np.ndarray) -> np.ndarray:
    """The sum of film-long tracks, brought below one."""
    total = np.sum(tracks, axis=0)
    return total / max(1.0, np.abs(total).max())


def rain(rng: np.random.Generator, strength: float = 0.6) -> np.ndarray:
    """Steady rain with single drops."""
    drops = at(rng.random(round(60 * strength)) * LENGTH_S, tone(1800, 0.03, 0.008), 0.25)
    return together(0.4 * strength * hiss(rng, 900, 7000), drops)


def wind(rng: np.random.Generator, strength: float = 0.6) -> np.ndarray:
    """Wind that swells and drops."""
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * (seconds() / 2.4 + rng.random()))
    return strength * swell * hiss(rng, 120, 700)


def surf(rng: np.random.Generator, period_s: float = 1.5) -> np.ndarray:
    """Waves that roll in with that period."""
    return 0.7 * (0.25 + 0.75 * np.sin(np.pi * seconds() / period_s) ** 4) * hiss(rng, 200, 3500)


def thunder(rng: np.random.Generator, start_s: float = 0.6) -> np.ndarray:
    """One roll of thunder."""
    t = seconds(2.2)
    return at([start_s], hiss(rng, 30, 180, 2.2) * np.minimum(1, t / 0.05) * np.exp(-t / 0.7))


def crackle(rng: np.random.Generator) -> np.ndarray:
    """A fire."""
    snaps = at(
        rng.random(45) * LENGTH_S, hiss(rng, 1200, 6000, 0.02) * np.exp(-seconds(0.02) / 0.005), 0.6
    )
    return together(0.25 * hiss(rng, 80, 500), snaps)


def ticking(per_s: float = 2.0) -> np.ndarray:
    """A clock, tick and tock in turn."""
    times = np.arange(0.1, LENGTH_S, 1 / per_s)
    return together(
        at(times[::2], tone(2400, 0.04, 0.01), 0.7), at(times[1::2], tone(1800, 0.04, 0.01), 0.7)
    )


def bell(hz: float = 880.0) -> np.ndarray:
    """One stroke of a small bell, one second long."""
    return 0.7 * tone(hz, 1.0, 0.35, (1.0, 0.0, 0.5, 0.0, 0.3))


def knock(hz: float = 180.0) -> np.ndarray:
    """A dull short blow: a bounce, a footstep, a drum."""
    return tone(hz, 0.16, 0.045, (1.0, 0.4, 0.2))


def engine(hz: float = 70.0, to_hz: float | None = None) -> np.ndarray:
    """A motor that holds its pitch or slides to another."""
    t = seconds()
    phase = 2 * np.pi * (hz * t + ((to_hz or hz) - hz) * t**2 / (2 * LENGTH_S))
    return 0.4 * (np.sign(np.sin(phase)) * 0.4 + np.sin(phase) + 0.5 * np.sin(2.01 * phase)) / 1.9


def chirp(rng: np.random.Generator, n: int = 6) -> np.ndarray:
    """Small birds."""
    tracks = [
        at([s], glide(2600 + 900 * rng.random(), 3600 + 900 * rng.random(), 0.09), 0.35)
        for s in rng.random(n) * 2.8
    ]
    return together(*tracks)


def bubbling(rng: np.random.Generator, n: int = 26) -> np.ndarray:
    """Rising bubbles."""
    tracks = [
        at([s], glide(300 + 500 * rng.random(), 900 + 700 * rng.random(), 0.07), 0.4)
        for s in rng.random(n) * 2.9
    ]
    return together(*tracks)


def melody(rng: np.random.Generator, notes: int = 8) -> np.ndarray:
    """A little tune on a five-note scale."""
    scale = 261.6 * 2 ** (np.array([0, 2, 4, 7, 9, 12]) / 12)
    step = LENGTH_S / notes
    return together(
        *(
            at([i * step], tone(float(rng.choice(scale)), 0.6, 0.25, (1, 0.4, 0.2)), 0.5)
            for i in range(notes)
        )
    )


def beat(per_s: float = 2.0) -> np.ndarray:
    """A drum beat, low and high in turn."""
    times = np.arange(0.0, LENGTH_S, 1 / per_s)
    return together(at(times[::2], knock(90)), at(times[1::2], knock(220), 0.7))

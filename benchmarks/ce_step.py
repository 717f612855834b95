"""How much faster one training step of full CE is than a straightforward implementation of it.

    python benchmarks/ce_step.py

Both train the same network at the dimensions of MSR-VTT (nine experts, a shared space of 768,
28 text clusters; random features) from the same weights with max-margin loss and Ranger; the
straightforward one is `plain_ce.py`. Each has a process of its own and they take turns, step by
step, so that what else the machine does befalls both; ours keeps freed memory, as the trainer does,
the other one leaves memory as Python finds it. The first six steps are not counted; those
that are make whole rounds of Lookahead, whose every sixth step costs more. Prints the median of
each part, the median ratio of a pair of steps with its quartiles, by the clock and in processor
time, the arithmetic of the matrix products of a step, and how far the two are apart at the end.

What can be gained is bounded. Pooled captions go through nine layers of 21,504 x 768: 114 billion
operations with their gradients, which every order of calculation needs. The 81 pairs of experts
take 147 billion one by one, and 53 where nothing is calculated twice (each half of the first layer
once for every vector, the last layer on means). All products of a step, counted in the first one,
are 286 and 192 billion operations, 1.49 x. The optimiser visits 183 million parameters, gradients
and moments 20 times operation by operation, and 7 times at the least. Two cores of the machine at
hand do 230 to 250 billion operations a second in the products of captions and 250 to 270 in those
of the pairs, and move 40 GB a second, so that our products take 0.8 s and our optimiser 0.13 s. In
single precision nothing takes these away; together they are a third of the straightforward step, so
3 x is where everything else is free. It is not: 0.3 to 0.4 s go into several thousand operations on
128 x 768 numbers, batch norm and Mish of the pairs above all, with their gradients. They are so
small that two cores share them badly, and larger ones leave the cache and take as long. Products in
bfloat16 would go further and change numbers, and summed up from parts so that they do not, they are
no faster than these.

Needs 10 GB of memory.
"""

import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from benchmarks.common import parser_of
from benchmarks.plain_ce import PlainCE, PlainRanger
from retrieval.losses import max_margin_ranking
from retrieval.models import CEConfig, Expert, build
from retrieval.training.memory import keep_freed_memory
from retrieval.training.optimisers import Ranger

# Name, length of a vector or token, NetVLAD clusters, tokens.
EXPERTS = [
    ("audio", 128, 8, 29),
    ("face", 512, 0, 0),
    ("i3d.i3d.0", 1024, 0, 0),
    ("imagenet.resnext101_32x48d.0", 2048, 0, 0),
    ("imagenet.senet154.0", 2048, 0, 0),
    ("ocr", 300, 43, 49),
    ("r2p1d.r2p1d-ig65m.0", 512, 0, 0),
    ("scene.densenet161.0", 2208, 0, 0),
    ("speech", 300, 19, 32),
]
FLAKY = ("audio", "face", "ocr", "speech")  # missing for a third of the videos
TEXT_DIM, N_WORDS, MARGIN, LR, DECAY = 768, 37, 0.0938, 0.1, 1e-3
ROUND = 6  # steps of Lookahead; the first ones are not rectified, and allocate


def settings() -> CEConfig:
    """Full CE on MSR-VTT."""
    experts = tuple(Expert(name, dim, clusters) for name, dim, clusters, _ in EXPERTS)
    return CEConfig(experts, TEXT_DIM, text_clusters=28, text_ghosts=1)


def random_batch(n: int, seed: int) -> tuple[dict, dict, torch.Tensor]:
    """Features with gaps, availability, tokens."""
    rng = torch.Generator().manual_seed(seed)
    experts, ind = {}, {}
    for name, dim, _, n_tokens in EXPERTS:
        shape = (n, n_tokens, dim) if n_tokens else (n, dim)
        experts[name] = torch.randn(shape, generator=rng)
        missing = torch.rand(n, generator=rng) < (1 / 3 if name in FLAKY else 0)
        experts[name][missing] = torch.nan
        ind[name] = (~missing).double()
    return experts, ind, torch.randn(n, 1, N_WORDS, TEXT_DIM, generator=rng)


class Laps:
    """Seconds of each part of a step, by the clock and of the processor."""

    def __init__(self) -> None:
        self.spent: dict[str, tuple[float, float]] = {}
        self.last = self._now()

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    def lap(self, name: str) -> None:
        now = self._now()
        self.spent[name] = (now[0] - self.last[0], now[1] - self.last[1])
        self.last = now


def plain_step(model: PlainCE, optimiser: PlainRanger, batch: tuple) -> Laps:
    """One step of the straightforward implementation."""
    experts, ind, text = batch
    laps = Laps()
    optimiser.zero_grad()
    text_emb, weights = model.texts(text)
    laps.lap("text")
    video = model.videos(experts, ind)
    laps.lap("videos")
    loss = max_margin_ranking(model.sims(text_emb, weights, video, ind), MARGIN)
    laps.lap("loss")
    loss.backward()
    laps.lap("backward")
    optimiser.step()
    laps.lap("optimiser")
    return laps


def own_step(model: torch.nn.Module, optimiser: Ranger, batch: tuple) -> Laps:
    """One step of the project."""
    experts, ind, text = batch
    laps = Laps()
    optimiser.zero_grad()
    text_emb, weights = model.embed_text(text)
    laps.lap("text")
    video = model.embed_videos(experts, ind)
    laps.lap("videos")
    sims = model.sims(text_emb, weights, video, model.availability(ind))
    loss = max_margin_ranking(sims, MARGIN)
    laps.lap("loss")
    loss.backward()
    laps.lap("backward")
    optimiser.step()
    laps.lap("optimiser")
    return laps


def of_product(into: tuple, one: tuple, other: tuple, *_: object, **further: object) -> int:
    """Operations of a product added in place, of which torch keeps no count, by its shapes."""
    return 2 * one[0] * one[1] * other[1]


def work(pipe: Connection, plain: bool, n: int, n_threads: int) -> None:
    """Take a step for every number that comes; at the end, a path to which the weights go."""
    torch.set_num_threads(n_threads)
    if not plain:
        keep_freed_memory()
    torch.manual_seed(0)
    model = build(settings())
    step: Callable[..., Laps] = own_step
    kind: type = Ranger
    if plain:
        weights, model = model.state_dict(), PlainCE(settings())
        model.load_state_dict(weights)
        step, kind = plain_step, PlainRanger
    model.train()
    optimiser = kind(model.parameters(), lr=LR, weight_decay=DECAY)
    while isinstance(asked := pipe.recv(), int):
        batch = random_batch(n, seed=asked)
        if asked == 0:
            counter = FlopCounterMode(
                display=False, custom_mapping={torch.ops.aten.addmm_: of_product}
            )
            with counter:
                step(model, optimiser, batch)
            pipe.send(counter.get_total_flops())
        else:
            pipe.send(step(model, optimiser, batch).spent)
    torch.save(model.state_dict(), asked)
    pipe.send(None)


def apart(paths: list[str]) -> float:
    """Largest difference of a tensor in two state dicts, relative to one plus its largest entry."""
    one, other = (torch.load(path, weights_only=True, mmap=True) for path in paths)
    return max(
        float((a.double() - other[name].double()).abs().max() / (1 + a.double().abs().max()))
        for name, a in one.items()
    )


def quartiles(values: list[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--batch", type=int, default=128, help="videos a step")
    parser.add_argument("--rounds", type=int, default=3, help="of six counted steps each")
    parser.add_argument("--threads", type=int, default=2, help="processor cores")
    args = parser.parse_args()

    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for plain in (True, False):
        pipe, theirs = context.Pipe()
        process = context.Process(
            target=work, args=(theirs, plain, args.batch, args.threads), daemon=True
        )
        process.start()
        theirs.close()
        pipes.append(pipe)
        processes.append(process)

    def ask(asked: int | str) -> list:
        """One after the other, never at the same time."""
        answers = []
        for pipe in pipes:
            pipe.send(asked)
            answers.append(pipe.recv())
        return answers

    n_steps = ROUND * (1 + args.rounds)
    operations = ask(0)
    pairs = [ask(i) for i in range(1, n_steps)][ROUND - 1 :]
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/plain.pt", f"{folder}/ours.pt"]
        for pipe, path in zip(pipes, paths, strict=True):
            pipe.send(path)
            pipe.recv()
        difference = apart(paths)
    for process in processes:
        process.join()

    print(f"{'':12s} {'plain, s':>9s} {'ours, s':>9s} {'ratio':>6s}   in processor time")
    for name in pairs[0][0]:
        clock, processor = (
            [statistics.median(pair[who][name][place] for pair in pairs) for who in (0, 1)]
            for place in (0, 1)
        )
        print(
            f"{name:12s} {clock[0]:9.3f} {clock[1]:9.3f} {clock[0] / clock[1]:6.2f}   "
            f"{processor[0]:9.3f} {processor[1]:9.3f} {processor[0] / processor[1]:6.2f}"
        )
    for place, what in enumerate(("the clock", "processor time")):
        sums = [[sum(part[place] for part in each.values()) for each in pair] for pair in pairs]
        print(f"a step by {what}: {quartiles([a / b for a, b in sums])} times as fast")
    print(
        f"matrix products of a step: {operations[0] / 1e9:.0f} and {operations[1] / 1e9:.0f} "
        f"billion operations, {operations[0] / operations[1]:.2f} x"
    )
    print(f"largest difference of a tensor after {n_steps} steps, relative: {difference:.1e}")


if __name__ == "__main__":
    main()

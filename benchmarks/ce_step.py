"""How much faster one training step of full CE is than a straightforward implementation of it.

    python benchmarks/ce_step.py

Both train the same network at the dimensions of MSR-VTT (nine experts, a shared space of 768,
28 text clusters; random features) from the same weights with max-margin loss and Ranger. The
straightforward one goes pair by pair through the reasoning network, as the definition reads,
weighs every text-video-expert triple, moves parameters operation by operation, and leaves memory as
it is. Each has a process of its own. Prints seconds of a step of each (best of several), of its
parts, the ratio, and how far the two are apart after all steps.
"""

import argparse
import math
import multiprocessing
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import torch

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from retrieval.losses import max_margin_ranking
from retrieval.models import CEConfig, CENet, Expert, build
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


def plain_videos(model: CENet, experts: dict, ind: dict) -> dict[str, torch.Tensor]:
    """Collaborative gating as the definition reads: one call for every pair."""
    names, ce = model.config.names, model.ce
    emb = {}
    for expert, reduce in zip(model.config.experts, ce.video_dim_reduce, strict=True):
        x = experts[expert.name].clone()
        x[ind[expert.name] == 0] = 0
        emb[expert.name] = reduce(model.pooling[expert.name](x) if expert.clusters else x)
    for c, unit in zip(names, ce.video_GU, strict=True):
        total, count = 0, 0
        for m in names:
            h = ce.g_reason_shared(ce.g_reason_1(torch.cat([emb[c], emb[m]], dim=1)))
            there = ind[c].float() * ind[m].float()
            total, count = total + h * there[:, None], count + there
        emb[c] = unit(emb[c], total / (count + 1e-11)[:, None])
    return emb


def plain_step(model: CENet, optimiser: "PlainRanger", batch: tuple) -> dict[str, float]:
    """One step, part by part, in seconds."""
    experts, ind, text = batch
    spent, last = {}, time.perf_counter()

    def lap(name: str) -> None:
        nonlocal last
        now = time.perf_counter()
        spent[name], last = now - last, now

    optimiser.zero_grad()
    text_emb, weights = model.embed_text(text)
    lap("text")
    video = plain_videos(model, experts, ind)
    lap("video")
    names = model.config.names
    available = torch.stack([ind[name].float() for name in names], dim=1)
    shares = weights[:, 0, None] * available[None]  # [n, n, n_experts]
    shares = shares / shares.sum(dim=2, keepdim=True)
    sims = 0
    for m, name in enumerate(names):
        sims = sims + shares[:, :, m] * (text_emb[name][:, 0] @ video[name].T)
    max_margin_ranking(sims, MARGIN).backward()
    lap("loss, backward")
    optimiser.step()
    lap("optimiser")
    return spent


def step(model: CENet, optimiser: Ranger, batch: tuple) -> dict[str, float]:
    """One step of the project, part by part, in seconds."""
    experts, ind, text = batch
    began = time.perf_counter()
    optimiser.zero_grad()
    text_emb, weights = model.embed_text(text)
    text_done = time.perf_counter()
    video = model.embed_videos(experts, ind)
    video_done = time.perf_counter()
    sims = model.sims(text_emb, weights, video, model.availability(ind))
    max_margin_ranking(sims, MARGIN).backward()
    backward_done = time.perf_counter()
    optimiser.step()
    return {
        "text": text_done - began,
        "video": video_done - text_done,
        "loss, backward": backward_done - video_done,
        "optimiser": time.perf_counter() - backward_done,
    }


class PlainRanger(torch.optim.Optimizer):
    """RAdam with Lookahead, parameter by parameter, operation by operation."""

    def __init__(self, params: list, lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        b1, b2, eps, alpha, k = 0.95, 0.999, 1e-5, 0.5, 6
        for group in self.param_groups:
            lr, decay = group["lr"], group["weight_decay"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                s = self.state[p]
                if not s:
                    s.update(t=0, m=torch.zeros_like(p), v=torch.zeros_like(p), slow=p.clone())
                s["t"] += 1
                s["v"].mul_(b2).addcmul_(p.grad, p.grad, value=1 - b2)
                s["m"].mul_(b1).add_(p.grad, alpha=1 - b1)
                t, rho_inf = s["t"], 2 / (1 - b2) - 1
                rho = rho_inf - 2 * t * b2**t / (1 - b2**t)
                p.add_(p, alpha=-lr * decay)
                if rho > 5:
                    r = (rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)
                    size = math.sqrt((1 - b2**t) * r) / (1 - b1**t)
                    p.addcdiv_(s["m"], s["v"].sqrt().add_(eps), value=-lr * size)
                else:
                    p.add_(s["m"], alpha=-lr / (1 - b1**t))
                if t % k == 0:
                    s["slow"].add_(p - s["slow"], alpha=alpha)
                    p.copy_(s["slow"])


def timed(kind: str, n: int, n_steps: int, n_threads: int, state: str) -> dict[str, float]:
    """Best seconds of each part over the later steps; the state dict at the end goes to a file."""
    torch.set_num_threads(n_threads)
    plain = kind == "plain"
    if not plain:
        keep_freed_memory()
    torch.manual_seed(0)
    model = build(settings()).train()
    optimiser = (PlainRanger if plain else Ranger)(model.parameters(), lr=LR, weight_decay=DECAY)
    spent = defaultdict(list)
    for i in range(n_steps):
        parts = (plain_step if plain else step)(model, optimiser, random_batch(n, seed=i))
        if i >= min(6, n_steps - 1):  # the first steps are not rectified, and allocate
            parts["step"] = sum(parts.values())
            for name, seconds in parts.items():
                spent[name].append(seconds)
    torch.save(model.state_dict(), state)
    return {name: min(each) for name, each in spent.items()}


def apart(paths: list[str]) -> float:
    """Largest difference of a tensor in two state dicts, relative to one plus its largest entry."""
    one, other = (torch.load(path, weights_only=True, mmap=True) for path in paths)
    return max(
        float((a.double() - other[name].double()).abs().max() / (1 + a.double().abs().max()))
        for name, a in one.items()
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=128, help="videos a step")
    parser.add_argument("--steps", type=int, default=10, help="steps of each, 7 or more")
    parser.add_argument("--threads", type=int, default=2, help="processor cores")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{kind}.pt" for kind in ("plain", "ours")]
        found = []
        for kind, path in zip(("plain", "ours"), paths, strict=True):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                found.append(pool.apply(timed, (kind, args.batch, args.steps, args.threads, path)))
        difference = apart(paths)
    plain, ours = found
    print(f"{'':16s} {'plain, s':>9s} {'ours, s':>9s} {'ratio':>6s}")
    for name in plain:
        ratio = plain[name] / ours[name]
        print(f"{name:16s} {plain[name]:9.3f} {ours[name]:9.3f} {ratio:6.2f}")
    print(f"largest difference of a tensor after {args.steps} steps, relative: {difference:.1e}")


if __name__ == "__main__":
    main()

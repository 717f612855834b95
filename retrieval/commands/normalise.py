"""python -m retrieval normalise: any similarity matrix -> every normaliser's numbers."""

import argparse
import logging
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.commands import add_choose_argument
from retrieval.commands.progress import progress
from retrieval.commands.seeds import SEED, seeds_of
from retrieval.errors import SettingsError

if TYPE_CHECKING:
    from retrieval.normalisers import Evidence
    from retrieval.reports.report import Report

logger = logging.getLogger(__name__)

EVIDENCE = ("gallery_bank_sims", "bank_gallery_bank_sims", "gallery_sims")
MATRICES = ("sims", "bank_sims", "masks", "targets", *EVIDENCE)  # options that name files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = (
        "A matrix is .npy, .npz, .safetensors, .csv, .pkl or .pt, told by its content; no pickle "
        "is run. FILE[name] takes one of several arrays, FILE[0] one slice of a 3-D array, "
        "FILE[T] the matrix transposed."
    )
    parser.add_argument(
        "--sims",
        metavar="S",
        help="matrix to normalise. t2v: one row a test caption, one column a video. v2t: one row "
        "a test video, one column a caption; a video's best caption counts",
    )
    parser.add_argument(
        "--bank-sims",
        metavar="B",
        help="the querybank against the same columns, in the same order. t2v: one row a training "
        "caption; v2t: one row a training video",
    )
    parser.add_argument(
        "--masks",
        metavar="M",
        help="one number per caption in the order of S, of any shape: 1 for a real caption, 0 for "
        "padding, which is left out",
    )
    parser.add_argument(
        "--targets",
        metavar="T",
        help="what is correct, one whole number per caption, from 0: the column of its video "
        "(t2v) or the row of its video (v2t). Default: by order, with an equal number of captions "
        "per video one after another",
    )
    parser.add_argument(
        "--direction",
        choices=("t2v", "v2t"),
        default="t2v",
        help="text-to-video (default) or video-to-text, for which S and B have videos on rows",
    )
    parser.add_argument(
        "--normaliser",
        action="append",
        metavar="NAMES",
        help="separated by commas, a knob after a colon (qbnorm,nnn:alpha=0.5), or all "
        "(default: qbnorm)",
    )
    parser.add_argument(
        "--beta",
        type=float,
        help="inverse temperature per unit of the similarities in S and B: cosines and logits "
        "(cosines times about 100) need betas a hundred times apart. Default: scale-free, 1 / std "
        "of B; with the published script's flags 20, as there",
    )
    parser.add_argument(
        "--k", type=int, default=1, help="items of each bank row that count (default: 1)"
    )
    parser.add_argument(
        "--gallery-bank-sims",
        metavar="FILE",
        help="other items against the columns of S, for normalisers with a second bank",
    )
    parser.add_argument(
        "--bank-gallery-bank-sims",
        metavar="FILE",
        help="the querybank against those other items, one column each",
    )
    parser.add_argument(
        "--gallery-sims", metavar="FILE", help="the columns of S against one another"
    )
    parser.add_argument(
        "--seeds",
        nargs="+",
        metavar="SEED",
        help="seeds such as 0,1,2, put in for {seed} in the names of files; with a pattern such "
        "as 'S-seed{seed}.npy' alone, the seeds that are there. Gives mean (std)",
    )
    parser.add_argument(
        "--brief",
        action="store_true",
        help="metrics alone, fastest: no intervals, no verdict, no hubness, and no look at what "
        "may be wrong with the matrices",
    )
    parser.add_argument("--json", metavar="OUT", help="write the report, nothing rounded")
    parser.add_argument("--ranks", metavar="OUT.csv", help="write each query's ranks")
    parser.add_argument(
        "--run",
        metavar="OUT.trec",
        help="write TREC run files for trec_eval and ranx, OUT.NAME.trec for each normaliser and "
        "none, and OUT.qrels",
    )
    parser.add_argument(
        "--out-scores", metavar="OUT.npz", help="write the normalised matrices, float32"
    )
    add_choose_argument(parser, "takes the place of --normaliser where that is left out")
    parser.add_argument(
        "--tune",
        nargs=2,
        metavar=("VAL_SIMS", "VAL_BANK"),
        help="pick the knobs of --normaliser on these validation matrices, correct items by order, "
        "never on the test queries",
    )
    parser.add_argument(
        "--sweep",
        action="append",
        metavar="KNOB=FROM:TO",
        help="also rank at many values of one knob, of the first --normaliser, or of the bank's "
        "size: beta=1:200, k=1:10, bank=10:5000, alpha=0:1:11, beta=5,20,80; prints a table",
    )
    parser.add_argument(
        "--plot",
        metavar="BASE",
        help="where the curves of --sweep go, BASE-KNOB.png and BASE-KNOB.html (default: sweep)",
    )
    published = parser.add_argument_group(
        "the published script's flags", "print its four lines, digit by digit, and then ours"
    )
    published.add_argument("--sims_test_path", metavar="S", help="as --sims")
    published.add_argument("--sims_train_test_path", metavar="B", help="as --bank-sims")
    published.add_argument("--test_query_masks_path", metavar="M", help="as --masks")


def run(args: argparse.Namespace) -> int:
    """Evaluate and print."""
    args.published = _take_over_published_flags(args)
    seeds = seeds_of(args, MATRICES)
    if args.sims is None:
        raise SettingsError("say which matrix to normalise with --sims FILE")
    for option in ("json", "ranks", "run", "out_scores", "plot"):
        out = getattr(args, option)
        if out is not None and not Path(out).parent.is_dir():
            raise SettingsError(f"there is no folder {Path(out).parent} to write {out} to; make it")
    if seeds is not None:
        if args.brief:
            raise SettingsError("--brief is of one seed; leave it out, or --seeds")
        return _run_seeds(args, seeds)
    report = _evaluate(args)
    from retrieval.reports.tables import report_lines

    print("\n".join(report_lines(report)))
    return 0


def _take_over_published_flags(args: argparse.Namespace) -> bool:
    """Put the published script's flags where ours are; whether it was called with them."""
    pairs = {
        "sims": "sims_test_path",
        "bank_sims": "sims_train_test_path",
        "masks": "test_query_masks_path",
    }
    given = [theirs for theirs in pairs.values() if getattr(args, theirs) is not None]
    for ours, theirs in pairs.items():
        if theirs in given:
            if getattr(args, ours) is not None:
                raise SettingsError(
                    f"--{ours.replace('_', '-')} and --{theirs} are the same; give one of them"
                )
            setattr(args, ours, getattr(args, theirs))
    if not given:
        return False
    if args.bank_sims is None or args.sims is None or args.direction != "t2v":
        raise SettingsError(
            "the published script's flags go together: --sims_train_test_path B and "
            "--sims_test_path S, text-to-video"
        )
    from retrieval.reports.published_script import BETA

    args.beta = BETA if args.beta is None else args.beta
    return True


# ---- one pair of matrices ------------------------------------------------------------------------


def _evaluate(args: argparse.Namespace) -> "Report":
    """Evaluate one pair of matrices, print the published lines, write what is asked for."""
    from retrieval.evaluation import evaluate_matrices
    from retrieval.formats import only_array, open_matrix, whole_numbers
    from retrieval.normalisers import NORMALISERS, Evidence
    from retrieval.streaming.rows import WatchedTiles

    names = [name for each in args.normaliser or ["qbnorm"] for name in each.split(",")]
    if "all" in names:
        names = [name for name in NORMALISERS if name != "none"]
    sims = open_matrix(args.sims)
    bank = None if args.bank_sims is None else open_matrix(args.bank_sims, "bank_sims")
    if bank is None and (args.choose or args.sweep):
        raise SettingsError("--choose and --sweep need a querybank; give it with --bank-sims")
    correct = None if args.targets is None else whole_numbers(args.targets)
    mask = None if args.masks is None else only_array(args.masks).read().ravel()
    also: dict[str, Any] = {}  # of the JSON file
    swept = names[0]  # as asked for, whatever is tuned or chosen
    if args.tune is not None:
        names = _tune(args, names, also)
    if args.choose:
        names = _choose(args, names, bank, mask, also)
    given = {name: getattr(args, name) for name in EVIDENCE if getattr(args, name) is not None}
    beside = _beside(args, sims, bank, correct, mask) if args.published else None
    tiles = None if bank is None else bank.tiles() if beside is None else beside.tiles
    with progress() as (read, ranked):
        evidence = Evidence(
            bank_sims=None if bank is None else WatchedTiles(tiles, read),
            **{name: open_matrix(path, name).tiles() for name, path in given.items()},
        )
        report = evaluate_matrices(
            sims if beside is None else beside.rows,
            evidence,
            correct=correct,
            mask=mask,
            normalisers=names if not args.published else ["qbnorm", *names],
            beta=args.beta,
            k=min(args.k, sims.shape[1]) if args.published else args.k,  # a slice, there
            direction=args.direction,
            name=Path(args.sims).name,
            bank_name=None if args.bank_sims is None else Path(args.bank_sims).name,
            keep_top=_kept_places(args),
            progress=ranked,
            **({"n_resamples": 0, "hubness_at": (), "check": False} if args.brief else {}),
        )
    if args.published:
        _print_published(args, report, beside)
    if args.sweep:
        _sweep(args, swept, sims, evidence, correct, mask, also)
    _write(args, report, sims, evidence, also)
    return report


def _tune(args: argparse.Namespace, names: list[str], also: dict[str, Any]) -> list[Any]:
    """The same normalisers with the knobs that were best on validation matrices."""
    from retrieval.advice.sweeps import tune
    from retrieval.formats import open_matrix
    from retrieval.normalisers import parse_spec

    sims, bank = (open_matrix(path, "validation sims") for path in args.tune)
    tuned = tune(sims, bank.tiles(), names, direction=args.direction)
    also["tuned"] = [asdict(each) for each in tuned]
    print("\n".join(each.sentence for each in tuned), end="\n\n")
    return [parse_spec(each.spec) for each in tuned]  # whatever --beta says


def _choose(
    args: argparse.Namespace, names: list[Any], bank: Any, mask: Any, also: dict[str, Any]
) -> list[Any]:
    """What a choice by the bank alone comes to, first of what is evaluated."""
    import numpy as np

    from retrieval.advice.choosing import choice_lines, choose
    from retrieval.normalisers import parse_spec
    from retrieval.streaming.rows import KeptColumns

    tiles = bank.tiles()
    if args.direction == "v2t" and mask is not None:
        tiles = KeptColumns(tiles, np.flatnonzero(mask))
    choice = choose(tiles)
    also["choice"] = asdict(choice)
    print("\n".join(choice_lines(choice)), end="\n\n")
    others = names if args.normaliser else []
    return [parse_spec(choice.proposed), *others]  # whatever --beta says


def _sweep(
    args: argparse.Namespace,
    normaliser: Any,
    sims: Any,
    evidence: "Evidence",
    correct: Any,
    mask: Any,
    also: dict[str, Any],
) -> None:
    """Print each sweep's table, write its curve."""
    from retrieval.advice.sweeps import sweep
    from retrieval.figures import sweep_figure, write_html
    from retrieval.reports.plots import write_png

    also["sweeps"] = []
    for what in args.sweep:
        found = sweep(
            *(sims, evidence, what),
            normaliser=normaliser,
            correct=correct,
            mask=mask,
            direction=args.direction,
        )
        also["sweeps"].append(asdict(found))
        base = f"{args.plot or 'sweep'}-{found.knob}"
        write_png(f"{base}.png", found)
        write_html(sweep_figure(found), f"{base}.html")
        print("\n".join(found.lines()), f"Curve: {base}.png and {base}.html", sep="\n", end="\n\n")


def _beside(args: argparse.Namespace, sims: Any, bank: Any, correct: Any, mask: Any) -> Any:
    """What works out the published script's ratios; None where it is not made for the numbers."""
    from retrieval.advice.checks import check_shapes
    from retrieval.reports.published_script import Beside
    from retrieval.streaming.scoring import Truth

    n_correct, n_mask = (None if each is None else each.size for each in (correct, mask))
    check_shapes(sims.shape, bank.shape, n_correct, n_mask)
    if not {sims.dtype.str[1:], bank.dtype.str[1:]} <= {"f4", "f8"}:
        return None
    return Beside(bank.tiles(), sims, Truth.of_videos(sims.shape, correct, mask), args.beta)


def _print_published(args: argparse.Namespace, report: "Report", beside: Any) -> None:
    """The four lines of the published script."""
    from retrieval.reports.published_script import printed

    raw, qbnorm = report["none"].ranks, report["qbnorm"]
    ranks = None if beside is None else beside.ranks(raw, qbnorm.bias.active)
    if ranks is None:
        logger.warning(
            "the published script %s; its lines are computed in log space",
            "is made for float32 and float64"
            if beside is None
            else f"overflows at beta {args.beta:g} in the unit of these similarities",
        )
        ranks = qbnorm.ranks
    print("\n".join(printed(raw, ranks, args.masks is not None)), end="\n\n")


def _write(
    args: argparse.Namespace,
    report: "Report",
    sims: Any,
    evidence: "Evidence",
    also: dict[str, Any],
) -> None:
    """Write the files that are asked for."""
    if args.json is not None:
        from retrieval.files import write_json

        write_json(args.json, {**report.to_dict(), **also})
    if not (args.ranks or args.run or args.out_scores):
        return
    from retrieval.reports import runs

    if args.ranks is not None:
        runs.write_ranks(args.ranks, report)
    if args.run is not None:
        stem = Path(args.run).with_suffix("")
        for row in report.rows:
            name = re.sub(r"[^\w.=-]", "-", row.spec)
            runs.write_run(stem.with_name(f"{stem.name}.{name}.trec"), report, row)
        runs.write_qrels(stem.with_name(f"{stem.name}.qrels"), report)
    if args.out_scores is not None:
        runs.write_scores(args.out_scores, report, sims, evidence)


def _kept_places(args: argparse.Namespace) -> int:
    """Places of each ranking that the report has to keep."""
    if args.run is None:
        return 0 if args.brief else 1
    from retrieval.reports.runs import RUN_DEPTH

    return RUN_DEPTH


# ---- seeds ---------------------------------------------------------------------------------------


def _run_seeds(args: argparse.Namespace, seeds: list[str]) -> int:
    """Evaluate each seed's matrices, print the means."""
    from retrieval.files import write_json
    from retrieval.reports.seeds import over_seeds
    from retrieval.reports.tables import seeds_lines

    if args.ranks or args.run or args.out_scores:
        raise SettingsError("--ranks, --run and --out-scores are of one seed; leave --seeds out")
    reports = []
    for seed in seeds:
        chosen = argparse.Namespace(**vars(args))
        chosen.json = None
        for name in MATRICES:
            path = getattr(args, name)
            setattr(chosen, name, None if path is None else path.replace(SEED, seed))
        if args.published:
            print(f"Seed {seed}")
        reports.append(_evaluate(chosen))
    report = over_seeds(seeds, reports)
    if args.json is not None:
        write_json(args.json, report.to_dict())
    print("\n".join(seeds_lines(report)))
    return 0

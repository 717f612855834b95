"""What the authors of the papers offer for download: where, how large, and with which sum.

    ARCHIVES         feature and similarity archives, one row each
    experiments.csv  trained models: which run of an experiment was released

Sums and sizes are those of the published README files; a row without a sum has none there.
"""

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from retrieval.errors import SettingsError

CE = "http://www.robots.ox.ac.uk/~vgg/research/collaborative-experts/data"
FIRST = "http://www.robots.ox.ac.uk/~vgg/research/collaborative-experts/data-deprecated"
TEACHTEXT = "http://www.robots.ox.ac.uk/~vgg/research/teachtext/data-hq"
QB_NORM = "https://www.robots.ox.ac.uk/~vgg/research/teachtext/QB-Norm"

WHAT = {  # what is fetched -> what it is
    "experts": "features of the Collaborative Experts paper",
    "features-hq": "features, text features and teachers of TeachText",
    "sims": "similarity matrices of QB-Norm",
    "models": "one trained model and its config",
    "challenge-1": "features of the Video Pentathlon, for training",
    "challenge-2": "features of the Video Pentathlon, of the test set",
    "experts-first": "features of the first release, which later configs cannot use",
}
MODEL_FILES = ("config.json", "trained_model.pth")


@dataclass(frozen=True)
class Archive:
    """One archive."""

    dataset: str  # its folder below the folder of all data
    what: str
    root: str  # address that a mirror replaces
    paths: tuple[str, ...]  # below the root; several where sources spell it differently
    sha1: tuple[str, ...] = ()  # any of them; README files disagree on one
    gib: float | None = None  # size as published, rounded
    needs_code: bool = False  # LSMDC is given to those who signed its agreement

    @property
    def name(self) -> str:
        """The file's name here; also where the server's carries a code."""
        return self.paths[0].rsplit("/", 1)[-1]

    @property
    def folder(self) -> Path:
        """Where it is unpacked, below the folder of all data."""
        if self.what == "sims":
            return Path("sims") / self.name.removesuffix("-sims.tar.gz")
        return Path(self.dataset)

    @property
    def dropped(self) -> tuple[str, ...]:
        """First folders of its members that `folder` stands for already."""
        return () if self.what == "sims" else ("data", self.dataset)

    def urls(self, root: str | None = None, access_code: str | None = None) -> list[str]:
        """Where it may be, best guess first."""
        if self.needs_code and not access_code:
            raise SettingsError(
                f"{self.dataset} needs --access-code; whoever signs the data set's agreement "
                "is sent one"
            )
        prefix = code_prefix(access_code) if self.needs_code and access_code else ""
        found = []
        for path in self.paths:
            folder, _, name = path.rpartition("/")
            found.append("/".join(filter(None, [root or self.root, folder, prefix + name])))
        return found


def code_prefix(access_code: str) -> str:
    """What an access code puts before the name of a file on the server."""
    return hashlib.sha256(access_code.encode()).hexdigest()[:10] + "-"


def _experts(dataset: str, sha1: str = "", gib: float | None = None, *others: str) -> Archive:
    paths = tuple(f"features-v2/{name}-experts.tar.gz" for name in (dataset, *others))
    sums = (sha1,) if sha1 else ()
    return Archive(dataset, "experts", CE, paths, sums, gib, dataset == "LSMDC")


def _high_quality(dataset: str, *sha1: str) -> Archive:
    paths = (f"high-quality/high-quality-{dataset}-experts.tar.gz",)
    return Archive(dataset, "features-hq", TEACHTEXT, paths, sha1, None, dataset == "LSMDC")


def _first(dataset: str, sha1: str, gib: float, *others: str) -> Archive:
    paths = tuple(f"features/{name}-experts.tar.gz" for name in (dataset, *others))
    return Archive(dataset, "experts-first", FIRST, paths, (sha1,), gib, dataset == "LSMDC")


def _challenge(dataset: str, number: int) -> Archive:
    release = f"challenge-release-{number}"
    paths = (f"{release}/{release}-{dataset}-experts.tar.gz",)
    return Archive(dataset, f"challenge-{number}", CE, paths, needs_code=dataset == "LSMDC")


def _sims(dataset: str, name: str) -> Archive:
    return Archive(dataset, "sims", QB_NORM, (f"{name}-sims.tar.gz",))


ARCHIVES = (
    _experts("MSRVTT", "9018a9bf215e174c982b997fd4ee140eb0865040"),
    _experts("MSVD", "999ef6e34c9d9ffe15363ade90400741bae5cb34", 1.3),
    _experts("DiDeMo", "19dfa1272e5db57191446a0c4fca59d298cb8663", 1.2, "didemo"),
    _experts("activity-net", "2901046fa6a3d6f6393ee0047818e960fcfabd69", 3.7),
    _experts("LSMDC", "43c9c6090cb34fbbeebebe033e08ae019b11c64f", 2.1),
    _experts("QuerYD"),
    _experts("QuerYDSegments"),
    _high_quality(
        "MSRVTT",
        "734650c3b98509996da75cdedc12101836624917",
        "311529eeb17527a728a1b930f64415dc15a11298",
    ),
    _high_quality("MSVD", "c8eba8c5291dd6bb501757ed0cc327cd22217965"),
    _high_quality("DiDeMo", "8e128309f12cf3260fe538f82578b5ad91a46bd0"),
    _high_quality("activity-net", "2f3c7c2fe86bd6d0c6230464a940c429291a4012"),
    _high_quality("LSMDC"),
    _sims("MSRVTT", "msrvtt"),
    _sims("MSRVTT-1kA", "msrvtt-1ka-clip2video"),
    _sims("MSVD", "msvd"),
    _sims("DiDeMo", "didemo"),
    _sims("LSMDC", "lsmdc"),
    *(
        _challenge(dataset, 1)
        for dataset in ("MSRVTT", "MSVD", "DiDeMo", "YouCook2", "activity-net", "LSMDC")
    ),
    *(
        _challenge(dataset, 2)
        for dataset in ("MSRVTT", "MSVD", "DiDeMo", "YouCook2", "activity-net")
    ),
    _first("MSRVTT", "959bda588793ef05f348d16de26da84200c5a469", 19.6),
    _first("MSVD", "6071827257c14de455b3a13fe1e885c2a7887c9e", 2.1),
    _first("DiDeMo", "6fd4bcc68c1611052de2499fd8ab3f488c7c195b", 2.3, "didemo"),
    _first("activity-net", "b16685576c97cdec2783fb89ea30ca7d17abb021", 3.8),
    _first("LSMDC", "7ce018e981752db9e793e449c2ba5bc88217373d", 6.1),
)
DATASETS = tuple(dict.fromkeys(archive.dataset for archive in ARCHIVES))
_ALSO = {"activitynet": "activity-net"}  # as configs call it


def dataset_named(name: str) -> str:
    """A data set's folder name, from its name in any case."""
    known = {dataset.lower(): dataset for dataset in DATASETS} | _ALSO
    if name.lower() not in known:
        raise SettingsError(f"unknown data set {name[:40]!r}; available: {', '.join(DATASETS)}")
    return known[name.lower()]


def find_archive(dataset: str, what: str) -> Archive:
    """The archive of a data set."""
    dataset = dataset_named(dataset)
    offered = {archive.what: archive for archive in ARCHIVES if archive.dataset == dataset}
    if what not in offered:
        raise SettingsError(
            f"no {what} were released for {dataset}; there are: {', '.join(offered)}"
        )
    return offered[what]


# ---- models --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Experiment:
    """A training run that was released."""

    root: str  # address that a mirror replaces
    name: str
    group: str
    timestamp: str

    def path(self, seed: int, file: str) -> str:
        """Where a file of it is, below the root and below the folder of saved runs."""
        return f"models/{self.name}/{self.group}/seed-{seed}/{self.timestamp}/{file}"


@cache
def experiments() -> tuple[Experiment, ...]:
    """Every released run, from experiments.csv."""
    roots = {"collaborative-experts": CE, "teachtext": TEACHTEXT}
    with open(Path(__file__).with_name("experiments.csv"), newline="") as file:
        return tuple(
            Experiment(roots[row["release"]], row["experiment"], row["group"], row["timestamp"])
            for row in csv.DictReader(file)
        )


def experiments_of(dataset: str) -> list[Experiment]:
    """The released runs on a data set."""
    prefix = f"{dataset_named(dataset).lower()}-train-"
    return [run for run in experiments() if run.name.startswith(prefix)]


def find_experiment(
    dataset: str, name: str, group: str | None = None, timestamp: str | None = None
) -> Experiment:
    """A released run by name; the group decides where a name was released twice.

    With group and timestamp it need not be one that is listed.
    """
    runs = experiments_of(dataset)
    named = [run for run in runs if run.name == name]
    for run in named:
        if group == run.group and timestamp in (None, run.timestamp):
            return run
    if group and timestamp:
        for part in (name, group, timestamp):
            if not part or not all(c.isalnum() or c in "-_." for c in part) or part[0] == ".":
                raise SettingsError(f"{part[:40]!r} cannot be part of a released run's address")
        return Experiment(named[0].root if named else CE, name, group, timestamp)
    if not named:
        raise SettingsError(
            f"no experiment {name[:60]!r} was released for {dataset_named(dataset)}; "
            f"`fetch {dataset_named(dataset)} --what models --list` lists them"
        )
    if group is None and len(named) == 1:
        return named[0]
    raise SettingsError(
        f"{name} was released as group {_either(named)}; choose one with --group"
        + ("" if group is None else f", got {group[:40]!r} (another one needs --timestamp too)")
    )


def _either(runs: Sequence[Experiment]) -> str:
    releases = {CE: "Collaborative Experts", TEACHTEXT: "TeachText"}
    return " or ".join(f"{run.group} ({releases[run.root]})" for run in runs)

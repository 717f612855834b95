"""The house's two rules: imports only go down, and each heavy library has one owner."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Floor of every module, by the longest name that fits.
FLOORS = {
    "retrieval": 0,
    "retrieval.errors": 0,
    "retrieval.similarity": 0,
    "retrieval.streaming": 0,
    "retrieval.streaming.rows": 1,
    "retrieval.streaming.sampling": 1,
    "retrieval.streaming.scoring": 1,
    "retrieval.metrics": 0,
    "retrieval.hubness": 0,
    "retrieval.statistics": 0,
    "retrieval.normalisers": 0,
    "retrieval.folding": 0,
    "retrieval.places": 0,
    "retrieval.strength": 0,
    "retrieval.published": 0,
    "retrieval.files": 1,
    "retrieval.formats": 1,
    "retrieval.manifests": 1,
    "retrieval.spaces": 1,
    "retrieval.building": 1,
    "retrieval.video": 1,
    "retrieval.fetching": 1,
    "retrieval.datasets": 1,
    "retrieval.experts": 1,
    "retrieval.experts.library": 3,
    "retrieval.advice": 1,
    "retrieval.advice.runnable": 5,
    "retrieval.advice.sweeps": 5,
    "retrieval.advice.verdicts": 5,
    "retrieval.official": 1,
    "retrieval.official.runs": 6,
    "retrieval.checkpoint": 2,
    "retrieval.losses": 2,
    "retrieval.models": 2,
    "retrieval.encoders": 3,
    "retrieval.training": 3,
    "retrieval.index": 4,
    "retrieval.live": 4,
    "retrieval.featured": 4,
    "retrieval.watching": 4,
    "retrieval.arrival": 4,
    "retrieval.gallery": 4,
    "retrieval.indexing": 4,
    "retrieval.querybank": 4,
    "retrieval.texts": 4,
    "retrieval.serving": 4,
    "retrieval.answers": 5,
    "retrieval.overview": 5,
    "retrieval.engine": 5,
    "retrieval.evaluation": 5,
    "retrieval.reports": 5,
    "retrieval.reports.gallery_page": 6,
    "retrieval.reports.plots": 6,
    "retrieval.reports.ranking_page": 6,
    "retrieval.reports.runs": 6,
    "retrieval.reports.tables": 6,
    "retrieval.experiments": 6,
    "retrieval.teaching": 6,
    "retrieval.tested": 6,
    "retrieval.matrices": 6,
    "retrieval.figures": 6,
    "retrieval.cards": 6,
    "retrieval.why": 6,
    "retrieval.export": 6,
    "retrieval.commands": 7,
    "retrieval.tabs": 7,
    "retrieval.__main__": 8,
    "app": 8,
}

OWNERS = {
    "gradio": ("retrieval.tabs", "app"),
    "plotly": ("retrieval.figures",),
    "decord": ("retrieval.video",),
    "av": ("retrieval.video",),
    "faiss": ("retrieval.index",),
    "open_clip": ("retrieval.encoders.clip",),
    "transformers": ("retrieval.encoders.pretrained",),
    "huggingface_hub": ("retrieval.encoders.hub",),
    "fastparquet": ("retrieval.serving",),
    "h5py": ("retrieval.formats.hickle",),
    "tensorboardX": ("retrieval.training.events",),
}


def modules() -> dict[str, Path]:
    """Every module of the project by its dotted name."""
    found = {"app": ROOT / "app.py"}
    for path in (ROOT / "retrieval").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path) -> set[str]:
    """Every module named in an import statement, wherever it stands in the file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports are absolute"
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def belongs(name: str, owner: str) -> bool:
    return name == owner or name.startswith(owner + ".")


def floor(name: str) -> int:
    fits = [known for known in FLOORS if known == name or name.startswith(known + ".")]
    assert fits not in ([], ["retrieval"]) or name == "retrieval", f"add {name} to FLOORS"
    return FLOORS[max(fits, key=len)]


@pytest.mark.parametrize("name", sorted(modules()))
def test_imports_only_go_down(name):
    for imported in imports(modules()[name]):
        if imported in modules():
            assert floor(imported) <= floor(name), f"{name} imports {imported} from a higher floor"


@pytest.mark.parametrize("name", sorted(modules()))
def test_each_heavy_library_has_one_owner(name):
    for imported in imports(modules()[name]):
        library = imported.split(".")[0]
        if library in OWNERS:
            assert any(belongs(name, owner) for owner in OWNERS[library]), (
                f"{name} imports {library}, which belongs to {' and '.join(OWNERS[library])}"
            )


@pytest.mark.parametrize("name", sorted(n for n in modules() if floor(n) == 0))
def test_the_bottom_floor_needs_numpy_only(name):
    import sys

    for imported in imports(modules()[name]):
        library = imported.split(".")[0]
        assert library in {"numpy", "retrieval", "__future__"} | sys.stdlib_module_names, (
            f"{name} imports {library}"
        )

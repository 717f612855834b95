"""README.md and docs/: what they tell people to type exists, and runs on made arrays."""

import argparse
import importlib
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from retrieval.__main__ import COMMANDS, main
from retrieval.files import write_jsonl
from retrieval.similarity import unit_rows

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {"README.md": README}
PAGES |= {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}
N_ITEMS, N_BANK, DIM = 40, 60, 12


def typed(text: str) -> list[str]:
    """Every command of this project that a page shows, in a block or in a line."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", text, re.M | re.S)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`([^`\n]+)`", text)
    parts = [part for line in lines for part in re.sub(r"\s+#.*", "", line).split(" && ")]
    return [line for line in parts if line.startswith("python ")]


SHOWN = [(name, line) for name, text in PAGES.items() for line in typed(text)]


def test_pages_show_commands_of_every_kind():
    kinds = {" ".join(line.split()[:3]) for _, line in SHOWN}
    assert {"python -m retrieval", "python app.py --gallery"} <= kinds
    assert any(line.startswith("python benchmarks/") for _, line in SHOWN)


@pytest.mark.parametrize(("page", "line"), SHOWN)
def test_what_is_to_be_typed_is_understood(page, line):
    words = shlex.split(line)
    if words[1:3] != ["-m", "retrieval"]:
        assert (ROOT / words[1]).is_file()
        source = (ROOT / words[1]).read_text(encoding="utf-8")
        for option in (word for word in words[2:] if word.startswith("--")):
            assert f'"{option}"' in source, f"{words[1]} has no {option}"
        return
    if words[3:] in ([], ["--help"]):
        return
    assert words[3] in COMMANDS
    parser = argparse.ArgumentParser(exit_on_error=False)
    importlib.import_module(f"retrieval.commands.{words[3]}").add_arguments(parser)
    options = [word for word in words[4:] if word.startswith("--")]
    assert set(options) <= set(parser._option_string_actions), line
    if options:
        parser.parse_args(words[4:])


def test_the_commands_for_ones_own_embeddings_run_as_they_stand(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    video = unit_rows(rng.standard_normal((N_ITEMS, DIM)))
    np.save("video.npy", video)
    np.save("text.npy", unit_rows(video + 0.3 * rng.standard_normal(video.shape)))
    np.save("train_text.npy", unit_rows(rng.standard_normal((N_BANK, DIM))))
    write_jsonl(Path("items.jsonl"), ({"id": f"clip {n}"} for n in range(N_ITEMS)))
    Path("train.txt").write_text("".join(f"caption {n}\n" for n in range(N_BANK)))
    (block,) = [each for each in README.split("```bash\n") if "--queries-as text.npy" in each]
    for line in block.split("```")[0].splitlines():
        assert main(shlex.split(line)[3:]) == 0, line
    assert "clip 12" in capsys.readouterr().out
    assert Path("report.json").is_file()


def test_the_commands_for_any_matrix_run_as_they_stand(tmp_path, monkeypatch, capsys, rng):
    monkeypatch.chdir(tmp_path)
    sims, bank_sims = (rng.uniform(-1, 1, (n, N_ITEMS)) for n in (N_ITEMS, N_BANK))
    np.save("S.npy", sims)
    np.save("B.npy", bank_sims)
    (line,) = [line for _, line in SHOWN if "--sims S.npy" in line]
    assert main(shlex.split(line)[3:]) == 0
    assert "Nearest neighbour normalisation" in capsys.readouterr().out
    (code,) = [
        each.split("```")[0] for each in README.split("```python\n") if "evaluate_matrices" in each
    ]
    exec(compile(code, "README.md", "exec"), {"sims": sims, "bank_sims": bank_sims})
    assert "R@1" in capsys.readouterr().out


def test_the_tree_names_what_is_there():
    tree = README.split("## What is where")[1].split("```")[1]
    named: dict[Path, set[str]] = {}  # of a folder whose parts have lines of their own
    folders = [ROOT]
    for line in tree.strip("\n").splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        for name in re.split(r"\s{2,}", line.strip())[0].split(", "):
            known = folders[depth] / name
            assert known.exists(), f"{name} is in the README's tree, but not there"
            named.setdefault(folders[depth], set()).add(known.name)
        folders[depth + 1 :] = [known]
    hidden = {"__init__.py", "__pycache__"}
    hidden |= {"__main__.py", "datasets", "results"}  # told of elsewhere, or by their parts
    for folder in named.keys() - {ROOT}:
        missing = {path.name for path in folder.iterdir() if path.suffix != ".csv"}
        missing -= named[folder] | hidden
        assert not missing, f"not in the README's tree below {folder.name}: {missing}"

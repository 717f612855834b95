"""Page About: what QB-Norm does, when it hurts, licences, and how to cite."""

from __future__ import annotations

import re
from pathlib import Path

import gradio as gr

from retrieval.tabs.charts import html
from retrieval.tabs.context import Context, Library
from retrieval.tabs.models import is_film_library, made_text

TEXT = """
# About

## What QB-Norm does

Some videos are near the top for far too many sentences; they are called hubs, and they push the
right answers down. QB-Norm takes a bank of captions that are not your query and asks how
strongly each video attracts them: that is the video's bias, a soft maximum of its similarities
to the bank. It takes the bias off the video's similarity to your sentence. It steps in only
when the video that would be first is one that some bank caption also ranks first; otherwise the
ranking stays as it was. Nothing is trained, no label is used, and no other test query is looked
at.
"""

REST = """
## When it hurts

- **A bank from elsewhere.** Captions of another domain meet other hubs; the corrections then
  hit the wrong videos.
- **A small bank.** Below about 500 captions the estimate is noisy; the page warns then.
- **A wrong beta.** Beta multiplies the similarities, so its right size depends on their scale.
  The scale-free default divides by their spread; the published value, 20, belongs to cosines.
- **A video that deserves its popularity.** The correction cannot know it.

The tab Queries shows the queries that were hurt with the same weight as those that were helped.

It is not re-ranking: no second model looks at the results, and each video's bias is fixed
before any query comes in.

## What you see here

{galleries}

## Privacy

What you type is not stored: no run history, no analytics, and this page asks no other server for
anything. Matrices that you bring, and the reports made of them, are deleted within the hour; nobody
else can see them.

## How to cite QB-Norm
"""

OWN_FILMS = """
The clips of the film library, their sounds and their captions are drawn and written by this
project's own code, from one seed, under its MIT licence. They are shaped like the MSR-VTT
benchmark. What was trained on them knows no words but those of its training captions; the page
names those that it never saw.
"""

MODELS = """
### Its models

Each is trained on the film library's training clips alone, and answers for the same test clips
(text to audio for those that sound). What is served of each, and how it was made:
"""

OTHERS = """
Open here: {names}. These galleries are not part of this project; their videos and captions belong
to those who made them, under their terms.
"""

CITATION = """@inproceedings{bogolin2022qbnorm,
  title     = {Cross Modal Retrieval with Querybank Normalisation},
  author    = {Bogolin, Simion-Vlad and Croitoru, Ioana and Jin, Hailin and Liu, Yang and
               Albanie, Samuel},
  booktitle = {CVPR},
  year      = {2022}
}"""

FIGURE = Path(__file__).resolve().parents[2] / "assets" / "qbnorm.svg"


def galleries_text(library: Library) -> str:
    """Where the open galleries come from and who may use them."""
    others = [
        f"{name} ({library.n_items(name):,} items)"
        for name, manifest in library.manifests.items()
        if not is_film_library(manifest)
    ]
    films = {n: each for n, each in library.manifests.items() if is_film_library(each)}
    parts = [OWN_FILMS] if films else []
    if library.is_of_models:
        parts.append(MODELS)
        parts += [
            made_text(library.titles[name], manifest, library.bank_manifests(name))
            for name, manifest in films.items()
        ]
    if others:
        names = re.sub(r"([\\`*_{}\[\]<>#+!|&~$-])", r"\\\1", ", ".join(others))  # as plain text
        parts.append(OTHERS.format(names=names))
    return "\n".join(parts)


def build(context: Context) -> None:
    """Build the page inside the route that is open."""
    gr.Navbar(main_page_name="Search")
    gr.Markdown(TEXT, elem_id="about-text")
    figure = FIGURE.read_text(encoding="utf-8")
    html(
        f'<figure class="hl-figure">{figure}<figcaption>Dashed: the bias, which is what the bank '
        "already gives each video, whatever you ask.</figcaption></figure>",
        "about-figure",
    )
    gr.Markdown(REST.format(galleries=galleries_text(context.library)), elem_id="about-rest")
    gr.Code(CITATION, language=None, label="Citation", interactive=False, elem_id="citation")

"""Front door: serve the page with both rankings.

python app.py                                 the film library that comes with the project
python app.py --gallery G [G2 ...] --bank B   galleries made by `python -m retrieval index`
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware

from retrieval.errors import RetrievalError
from retrieval.gallery import FILM_LIBRARY
from retrieval.tabs import about, compare, hubness, matrices, queries, results, upload
from retrieval.tabs.api import publish
from retrieval.tabs.assets import Assets
from retrieval.tabs.downloads import download_route
from retrieval.tabs.guard import Guard
from retrieval.tabs.kept_clips import Clips, clips_route
from retrieval.tabs.kept_reports import Reports, reports_route
from retrieval.tabs.library import Library
from retrieval.tabs.media import media_route
from retrieval.tabs.models import film_galleries
from retrieval.tabs.uploads import Uploads

ROOT = Path(__file__).resolve().parent
STYLE = ROOT / "assets" / "style.css"
SCRIPT = ROOT / "assets" / "page.js"
MAX_WAITING = 256  # events that may wait; beyond, a visitor is told that the page is busy
ENCODERS_AFTER_S = 10.0  # with no visitor; else a moment after the first page is shown
TITLE = "Text-video retrieval, with and without QB-Norm"


def build_page(library: Library) -> gr.Blocks:
    """The whole page: query box and settings, the tabs, the pages Results and About."""
    # Gradio sums up all past events after each one, though nobody here reads that.
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000000")
    os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "100")
    reports = Reports(Uploads.open())  # before Gradio asks where uploads go
    library.clips = Clips(reports.uploads)
    with gr.Blocks(
        title=TITLE, fill_width=True, analytics_enabled=False, delete_cache=(300, 3600)
    ) as page:
        gr.Navbar(main_page_name="Search")
        context = compare.build_top(library, TITLE)
        tabs = {}
        with gr.Tabs(elem_id="tabs") as context.tabs:
            with gr.Tab("Compare", id="compare") as tabs["compare"]:
                parts = compare.build(context)
            with gr.Tab("Queries", id="queries") as tabs["queries"]:
                queries.build(context)
            with gr.Tab("Hubness", id="hubness") as tabs["hubness"]:
                hubness.build(context)
            with gr.Tab("Upload", id="upload") as tabs["upload"]:
                upload.build(context, library.clips, tabs["upload"])
            with gr.Tab("Matrices", id="matrices") as tabs["matrices"]:
                matrices.build(context, reports, tabs["matrices"])
        compare.wire(context, parts, page, tabs)
        publish(library)
    with page.route("Results", "results"):
        results.build(page, library)
    with page.route("About", "about"):
        about.build(context)
    page.reports = reports  # for the routes that `launch` adds
    page.queue(max_size=MAX_WAITING, default_concurrency_limit=4, api_open=False)
    return page


def theme() -> gr.Theme:
    """Calm colours with enough contrast, and fonts that every machine has."""
    return gr.themes.Base(
        primary_hue="indigo",
        neutral_hue="slate",
        font=("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"),
        font_mono=("ui-monospace", "Consolas", "monospace"),
        radius_size="md",
    ).set(
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        block_label_text_color="*neutral_700",
        block_title_text_color="*neutral_700",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        slider_color="*primary_600",
    )


def launch(page: gr.Blocks, library: Library, **server) -> tuple:
    """Serve the page; `server` goes to Gradio's launch (server_name, server_port, ...).

    Returns:
        The ASGI app, the local address, the public address (none).
    """
    uploads = page.reports.uploads
    routes = [
        media_route(list(library.names), library.gallery),
        results.results_route(),
        reports_route(page.reports),
        clips_route(library.clips),
        download_route(library),
    ]
    # In the head, not as css=: Gradio rewrites that and drops container queries. Every visitor gets
    # it with the page, so comments and indents stay here.
    style = re.sub(r"/\*.*?\*/|^\s+", "", STYLE.read_text(encoding="utf-8"), flags=re.S | re.M)
    head = f"<style>{style}</style><script>{SCRIPT.read_text(encoding='utf-8')}</script>"
    started = page.launch(
        theme=theme(),
        head=head,
        ssr_mode=False,
        run_history=False,
        footer_links=["api", "settings"],
        show_error=False,
        share=False,
        pwa=False,
        enable_monitoring=False,
        strict_cors=True,
        state_session_capacity=1000,
        max_file_size=uploads.limits.file_bytes,
        app_kwargs={
            "routes": routes,
            "middleware": [Guard.middleware(uploads), Middleware(Assets)],
            "openapi_url": None,
        },
        **server,
    )
    uploads.keep_clean()
    library.load_encoders(ENCODERS_AFTER_S)
    return started


def main(argv: list[str] | None = None) -> int:
    """Read the command line, serve until interrupted."""
    parser = argparse.ArgumentParser(description="Serve the page with both rankings.")
    parser.add_argument(
        "--gallery",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="gallery folders; default: the film library, under each of its models",
    )
    parser.add_argument(
        "--bank",
        nargs="+",
        type=Path,
        metavar="DIR",
        default=[],
        help="querybank folders; default: GALLERY-bank beside each gallery",
    )
    parser.add_argument(
        "--model",
        metavar="M",
        help="encoder of typed queries; default: the one that made the gallery",
    )
    parser.add_argument("--host", default=None, help="address to listen on; default 127.0.0.1")
    parser.add_argument(
        "--port", type=int, default=None, help="port; default: the first free one from 7860"
    )
    parser.add_argument(
        "--root-path", metavar="PATH", help="path below which a proxy serves the page, e.g. /films"
    )
    args = parser.parse_args(argv)
    try:
        if args.gallery or args.bank or args.model:
            library = Library.open(args.gallery or [FILM_LIBRARY], args.bank, args.model)
        else:
            library = Library.open([FILM_LIBRARY], later=film_galleries())
    except (RetrievalError, ValueError, FileNotFoundError) as error:
        print(f"app: {error}", file=sys.stderr)
        return 2
    page = build_page(library)
    _, url, _ = launch(
        page,
        library,
        server_name=args.host,
        server_port=args.port,
        root_path=args.root_path,
        prevent_thread_lock=True,
        quiet=True,
    )
    print(f"The page is at {url} (Ctrl+C stops it)", flush=True)
    page.block_thread()
    return 0


if __name__ == "__main__":
    sys.exit(main())

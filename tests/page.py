"""A small page in a real server, and a browser to look at it: what the page's tests share."""

import contextlib
import re
import shutil
import threading
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from retrieval import files, video
from retrieval.building import Build
from retrieval.gallery import FILM_LIBRARY, EncoderId, Gallery, open_gallery, write_gallery
from retrieval.querybank import open_querybank, write_querybank
from tests.fakes import FakeEncoder, FakeExperts, sentences

CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
CARD = "#results .hl-card"
EVIL = "<img src=x onerror=document.title='owned'> ${document.title='owned'} {{7*7}} `x`"
N_ITEMS = 40
N_BANK = 30


def chromium_or_skip() -> str:
    """Path of the browser; the test is skipped where it or playwright is missing."""
    pytest.importorskip("playwright", reason="needs playwright (requirements-dev.txt)")
    for path in CHROMIUM:
        if Path(path).exists():
            return path
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("needs a chromium, which is not here")
    return found


@contextlib.contextmanager
def open_browser() -> Iterator:
    """A headless browser."""
    path = chromium_or_skip()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextlib.contextmanager
def served(library, prefix: str = "") -> Iterator[str]:
    """The page of a library in a server of its own; gives its address, which ends in a slash.

    Args:
        library: what the page shows.
        prefix: serve it below this path, behind a proxy that takes the prefix off.
    """
    import app

    page = app.build_page(library)
    _, address, _ = app.launch(
        page,
        library,
        prevent_thread_lock=True,
        quiet=True,
        server_name="127.0.0.1",
        root_path=prefix,
    )
    try:
        if prefix:
            with _proxy(prefix, address) as outside:
                yield outside
        else:
            yield address
    finally:
        page.close(verbose=False)


@contextlib.contextmanager
def _proxy(prefix: str, address: str) -> Iterator[str]:
    """A reverse proxy that serves `address` below `prefix` on another port."""
    import httpx
    import uvicorn
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    client = httpx.AsyncClient(base_url=address, timeout=None)

    async def forward(request):
        path = request.url.path.removeprefix(prefix)
        outgoing = client.build_request(
            request.method,
            f"{path}?{request.url.query}",
            headers=request.headers.raw,
            content=await request.body(),
        )
        answer = await client.send(outgoing, stream=True)
        return StreamingResponse(
            answer.aiter_raw(),
            answer.status_code,
            dict(answer.headers),
            background=BackgroundTask(answer.aclose),
        )

    everything = Route(prefix + "/{path:path}", forward, methods=["GET", "POST", "HEAD"])
    proxy = Starlette(routes=[everything])
    server = uvicorn.Server(uvicorn.Config(proxy, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}{prefix}/"
    server.should_exit = True
    thread.join(5)


@cache
def _clip_bytes(folder: Path) -> bytes:
    frames = np.zeros((12, 48, 64, 3), dtype=np.uint8)
    frames[:, :, :, 0] = np.linspace(40, 220, 12, dtype=np.uint8)[:, None, None]
    video.write_mp4(folder / "one.mp4", frames, fps=6)
    return (folder / "one.mp4").read_bytes()


def film_gallery(folder: Path, encoder: FakeEncoder) -> Gallery:
    """Forty playable items: the first three are hubs, the last two are twins, one is hostile.

    Item v5 has a caption that tries to run; the clip of v6 is not a video.
    """
    rng = np.random.default_rng(7)
    captions = sentences(N_ITEMS, seed=1)
    text_emb = encoder.encode_text(captions)
    video_emb = text_emb + 0.45 * rng.standard_normal(text_emb.shape)
    video_emb[:3] = 3 * text_emb.mean(axis=0) + 0.15 * video_emb[:3]
    video_emb[-1] = video_emb[-2]
    clip = _clip_bytes(folder)
    path = folder / "films"
    with Build(path, "make films") as build:
        media = build.folder / "media"
        media.mkdir()
        items = []
        for row, caption in enumerate(captions):
            colour = tuple(int(c) for c in rng.integers(30, 220, 3))
            Image.new("RGB", (64, 48), colour).save(media / f"v{row}.jpg")
            (media / f"v{row}.mp4").write_bytes(b"not a video" if row == 6 else clip)
            items.append(
                {
                    "id": f"v{row}",
                    "caption": EVIL if row == 5 else caption,
                    "clip": f"media/v{row}.mp4",
                    "poster": f"media/v{row}.jpg",
                }
            )
        queries = [
            {"id": f"q{row}", "text": caption, "video_id": f"v{row}"}
            for row, caption in enumerate(captions)
        ]
        write_gallery(path, video_emb, items, EncoderId.of(encoder), queries, text_emb, build=build)
    return open_gallery(path)


def bare_gallery(folder: Path, encoder: FakeEncoder) -> Gallery:
    """Embeddings computed elsewhere: no media, no encoder, no querybank; one query is hostile."""
    rng = np.random.default_rng(8)
    captions = sentences(12, seed=5)
    captions[1] = EVIL
    video_emb = rng.standard_normal((12, 9))
    items = [{"id": f"b{row}", "caption": text} for row, text in enumerate(captions)]
    queries = [
        {"id": f"s{row}", "text": text, "video_id": f"b{row}"} for row, text in enumerate(captions)
    ]
    noisy = video_emb + rng.standard_normal(video_emb.shape)
    path = folder / "bare"
    write_gallery(path, video_emb, items, EncoderId.external(9), queries, noisy)
    return open_gallery(path)


def film_library(folder: Path, encoder: FakeEncoder | None = None, load=None):
    """Both galleries and a bank, as the page opens them.

    Args:
        folder: where they are written.
        encoder: answers typed queries on the films.
        load: builds the encoder in its place, to watch it load.
    """
    from retrieval.tabs.library import EncoderSlot, Library

    encoder = encoder or FakeEncoder()
    films = film_gallery(folder, encoder)
    captions = sentences(N_BANK, seed=3)
    emb = encoder.encode_text(captions)
    write_querybank(folder / "films-bank", emb, captions, EncoderId.of(encoder))
    bank = open_querybank(folder / "films-bank")
    slot = EncoderSlot(load or (lambda: encoder))
    return Library([films, bare_gallery(folder, encoder)], [bank], {"films": slot})


class Visitors:
    """Fresh browsers on one server, which may ask nobody else and meet no error."""

    def __init__(self, browser, home: str):
        self.browser, self.home = browser, home
        self.contexts, self.asked, self.thrown = [], [], []

    def __call__(self, **options):
        """A page in a context of its own."""
        options = {"viewport": {"width": 1280, "height": 900}, **options}
        context = self.browser.new_context(reduced_motion="reduce", **options)
        self.contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(90_000)
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.thrown.append(str(error)))
        return page

    def leave(self) -> None:
        """Close all, and check what they asked and met."""
        for context in self.contexts:
            context.close()
        assert self.thrown == []
        assert {urlsplit(url).netloc for url in self.asked} <= {urlsplit(self.home).netloc, ""}


def wait_results(page, part: str) -> None:
    """Until the results are those of a link that holds `part`."""
    page.wait_for_selector(f"#results a[download][href*='{part}']")


def ids(page, column: int = 1) -> list[str]:
    """Ids in a column, in order."""
    cards = page.query_selector_all(f".hl-column:nth-child({column}) .hl-card")
    return [card.get_attribute("data-id") for card in cards]


def type_query(page, text: str) -> None:
    """Type and ask."""
    page.fill("#query textarea, #query input", text)
    page.keyboard.press("Enter")


def axe_findings(page, known: dict[str, list[str]]) -> dict[str, list[str]]:
    """What axe-core finds on a page, without what is known of Gradio's own parts."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-core")
    found: dict[str, list[str]] = {}
    for violation in axe.Axe().run(page).response["violations"]:
        for node in violation["nodes"]:
            target = " ".join(str(part) for part in node["target"])
            if not any(re.search(pattern, target) for pattern in known.get(violation["id"], ())):
                found.setdefault(violation["id"], []).append(target)
    return found


MODELS = ("animations", "animations-ce", "animations-moee", "animations-audio")


def write_models(folder: Path) -> dict[str, FakeEncoder | FakeExperts]:
    """Real clips under four made models, each with a querybank; gives spec -> encoder.

    The experts miss something of every second clip; MoEE's array is damaged; the last hears only,
    and has the clips that sound.
    """
    heard = (("audio", 9),)
    encoders = {
        "animations": FakeEncoder("animations-clip"),
        "animations-ce": FakeExperts("animations-ce"),
        "animations-moee": FakeExperts("animations-moee"),
        "animations-audio": FakeExperts("animations-audio", experts=heard),
    }
    clips = files.read_table(FILM_LIBRARY / "items.jsonl")[:40]
    captions = sentences(N_BANK, seed=3)
    for name, encoder in encoders.items():
        is_heard = getattr(encoder, "experts", ()) == heard
        shown = [clip for clip in clips if clip["has_audio"] or not is_heard]
        texts = [clip["caption"] for clip in shown]
        text_emb = encoder.encode_text(texts)
        video_emb = text_emb + 0.3 * np.random.default_rng(5).standard_normal(text_emb.shape)
        if isinstance(encoder, FakeExperts):
            weights = np.ones((len(shown), len(encoder.experts)))
            if not is_heard:
                weights[::2, 0] = 0  # silent
                weights[::4, 1] = 0  # and without words
            video_emb[:, encoder.space.head :] = weights
        queries = [{"id": c["id"], "text": c["caption"], "video_id": c["id"]} for c in shown]
        about = EncoderId.of(encoder)
        media = {"media_root": "assets:animations", "media": "audio" if is_heard else "video"}
        media["command"] = f"python -m retrieval index ... --out {name}"
        write_gallery(folder / name, video_emb, shown, about, queries, text_emb, **media)
        write_querybank(folder / f"{name}-bank", encoder.encode_text(captions), captions, about)
    array = folder / "animations-moee" / "video_emb.npy"
    array.write_bytes(array.read_bytes()[:-8] + b"damaged!")
    return {encoder.name: encoder for encoder in encoders.values()}

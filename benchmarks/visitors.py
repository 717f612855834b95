"""What many visitors wait for: 32 typing at once for 30 s, through the real server.

    python benchmarks/visitors.py [--gallery DIR ...] [--visitors 32] [--seconds 30]

Each visitor sends what the page sends for a typed query and reads the event stream to its end,
then types the next one, without a pause; the clock runs from when all of them have come. Every
sentence is new, so no answer comes from a cache.
Loopback only. Prints errors, p50 and p95, and beside them the same for one visitor alone.
"""

import asyncio
import json
import random
import secrets
import statistics
import subprocess
import sys
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.common import parser_of
from benchmarks.page_load import free_port, wait_for

SUBJECTS = ("a candle", "two dogs", "a red kite", "the clock", "a small boat", "snow", "rain")
VERBS = ("moves slowly", "falls", "turns", "flies away", "burns", "waits", "runs quickly")
PLACES = ("at night", "over the sea", "in the city", "under a tree", "by the road", "on a roof")


class Page:
    """What a visitor's page knows: the number of the search event and its inputs' first values."""

    def __init__(self, url: str):
        config = httpx.get(f"{url}config").json()
        values = {part["id"]: part["props"].get("value") for part in config["components"]}
        ids = {part["props"].get("elem_id"): part["id"] for part in config["components"]}
        search = next(
            event
            for event in config["dependencies"]
            if [ids["query"], "submit"] in [list(target) for target in event["targets"]]
        )
        self.url = url
        self.fn_index = search["id"]
        self.inputs = [values[part] for part in search["inputs"]]
        self.results = search["outputs"].index(ids["results"])


def sentence(rng: random.Random) -> str:
    """A sentence that nobody has typed before."""
    parts = (rng.choice(SUBJECTS), rng.choice(VERBS), rng.choice(PLACES))
    return f"{' '.join(parts)} {rng.randrange(10**9)}"


async def search(client: httpx.AsyncClient, page: Page, session: str, text: str) -> bool:
    """One typed query; True when the ranking that came back is the one for `text`."""
    body = {
        "data": [text, *page.inputs[1:]],
        "fn_index": page.fn_index,
        "session_hash": session,
        "trigger_id": None,
        "event_data": None,
    }
    joined = await client.post("gradio_api/queue/join", json=body)
    if joined.status_code != 200:
        return False
    found = False
    stream = client.stream("GET", "gradio_api/queue/data", params={"session_hash": session})
    async with stream as answer:
        async for line in answer.aiter_lines():
            if not line.startswith("data:"):
                continue
            message = json.loads(line[5:])
            if message["msg"] in ("process_generating", "process_completed"):
                if not message["success"]:
                    return False
                found = found or text.split()[-1] in line
            if message["msg"] == "process_completed":
                return found
            if message["msg"] in ("close_stream", "unexpected_error"):
                return found
    return found


async def visitor(
    page: Page, session: str, rng: random.Random, until_s: float, times: list, errors: list
) -> None:
    """Type, wait for the answer, type again."""
    async with httpx.AsyncClient(base_url=page.url, timeout=60) as client:
        while time.perf_counter() < until_s:
            begun = time.perf_counter()
            try:
                fine = await search(client, page, session, sentence(rng))
            except httpx.HTTPError as error:
                fine = False
                errors.append(repr(error))
            if fine:
                times.append(time.perf_counter() - begun)
            else:
                errors.append("no ranking")


async def crowd(page: Page, n_visitors: int, seconds: float) -> tuple[list[float], list[str]]:
    """Times of all answers, and what went wrong."""
    times: list[float] = []
    errors: list[str] = []
    sessions = {secrets.token_hex(6): random.Random(n) for n in range(n_visitors)}  # as browsers
    async with httpx.AsyncClient(base_url=page.url, timeout=60) as client:
        for session, rng in sessions.items():  # they come one after another
            await search(client, page, session, sentence(rng))
    until_s = time.perf_counter() + seconds
    await asyncio.gather(
        *(visitor(page, *each, until_s, times, errors) for each in sessions.items())
    )
    return times, errors


def report(name: str, times: list[float], errors: list[str], seconds: float) -> None:
    p95 = statistics.quantiles(times, n=20)[-1] if len(times) > 1 else float("nan")
    print(
        f"{name:14} {len(times):5} answers, {len(errors)} errors, "
        f"p50 {1000 * statistics.median(times):6.0f} ms, p95 {1000 * p95:6.0f} ms, "
        f"{len(times) / seconds:5.1f} a second"
    )
    for error in sorted(set(errors))[:5]:
        print("   ", error)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--gallery", nargs="+", default=[], help="folders; default: film library")
    parser.add_argument("--visitors", type=int, default=32, help="visitors at once")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long they type")
    args = parser.parse_args()
    port = free_port()
    command = [sys.executable, "app.py", "--port", str(port)]
    command += ["--gallery", *args.gallery] if args.gallery else []
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/"
    try:
        wait_for(url, time.perf_counter() + 120)
        page = Page(url)
        asyncio.run(crowd(page, 1, 3))  # loads the encoder
        alone = asyncio.run(crowd(page, 1, 5))
        report("1 visitor", *alone, 5)
        many = asyncio.run(crowd(page, args.visitors, args.seconds))
        report(f"{args.visitors} visitors", *many, args.seconds)
    finally:
        server.terminate()
        server.wait(20)


if __name__ == "__main__":
    main()

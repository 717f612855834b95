"""How soon the page is there: process start to first page, first ranking, first typed ranking.

    python benchmarks/page_load.py [--gallery DIR ...] [--typed "a candle in the dark"] [--again 5]

Starts the server, opens the page in a headless browser, and prints each time beside its budget,
and the bytes and requests of the first view. The first navigation meets a server that has just
started; those of `--again` a settled one, each with a browser that has kept nothing. Loopback only.
The server's processor seconds tell its own work from what busy neighbours took.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.page import open_browser

SLOW_LINE = {
    "offline": False,
    "latency": 150,  # ms a round trip
    "downloadThroughput": 200_000,  # bytes a second
    "uploadThroughput": 100_000,
}
CARD = "#results .hl-card"
BUDGET = {
    "process start to first answered page, s": 15.0,
    "process start to first typed ranking, s": 20.0,
    "navigation to first ranking, s": 3.0,
    "navigation to a settled server, median s": 3.0,
    "typed query again, browser to browser, s": 1.0,
    "bytes of the first view": 1_500_000,
    "bytes of clips before play": 0,
}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_for(url: str, until_s: float) -> None:
    """Ask until the page answers."""
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                answer.read()
                return
        except OSError:
            if time.perf_counter() > until_s:
                raise
            time.sleep(0.02)


def processor_s(server: subprocess.Popen) -> float:
    """Processor seconds that the server has used; NaN where /proc does not tell."""
    try:
        fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def typed(page, text: str) -> float:
    """Seconds from Enter to a ranking for `text`."""
    page.fill("#query textarea, #query input", text)
    begun = time.perf_counter()
    page.keyboard.press("Enter")
    words = text.replace(" ", "+")
    page.wait_for_selector(f"#results a[download][href*='{words}']", timeout=120_000)
    return time.perf_counter() - begun


def navigation(page, url: str) -> float:
    """Seconds until the first ranking is seen."""
    opened = time.perf_counter()
    page.goto(url)
    page.wait_for_selector(CARD, timeout=120_000)
    return time.perf_counter() - opened


def measure(gallery: list[str], text: str, again: int = 0) -> dict[str, float]:
    """Start the server, look at it once and `again` times more, stop it."""
    port = free_port()
    command = [sys.executable, "app.py", "--port", str(port)]
    command += ["--gallery", *gallery] if gallery else []
    begun = time.perf_counter()
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/"
    try:
        wait_for(url, begun + 120)
        found = {"process start to first answered page, s": time.perf_counter() - begun}
        found["processor seconds until then"] = processor_s(server)
        with open_browser() as browser:
            page = browser.new_page()
            session = page.context.new_cdp_session(page)
            session.send("Network.enable")
            sizes, clips, asked = [], [], {}
            session.on(
                "Network.requestWillBeSent",
                lambda event: asked.update({event["requestId"]: event["request"]["url"]}),
            )

            def finished(event):
                sizes.append(event["encodedDataLength"])
                if "/clip/" in asked.get(event["requestId"], ""):
                    clips.append(event["encodedDataLength"])

            session.on("Network.loadingFinished", finished)
            found["navigation to first ranking, s"] = navigation(page, url)
            if text:
                typed(page, text)
                found["process start to first typed ranking, s"] = time.perf_counter() - begun
                found["processor seconds until the typed ranking"] = processor_s(server)
            page.wait_for_timeout(1500)
            found["bytes of the first view"] = sum(sizes)
            found["requests of the first view"] = len(sizes)
            found["bytes of clips before play"] = sum(clips)
            if text:
                found["typed query again, browser to browser, s"] = typed(page, f"{text} again")
            page.context.close()
            times = []
            for _ in range(again):
                context = browser.new_context()
                times.append(navigation(context.new_page(), url))
                context.close()
            for visit in ("first", "second") if again else ():  # the second knows the scripts
                if visit == "first":
                    page = browser.new_context().new_page()
                    session = page.context.new_cdp_session(page)
                    session.send("Network.enable")
                    session.send("Network.emulateNetworkConditions", SLOW_LINE)
                found[f"{visit} visit on a line of 200 kB/s, s"] = navigation(page, url)
                page.wait_for_timeout(1500)
            if times:
                found["navigation to a settled server, median s"] = statistics.median(times)
        return found
    finally:
        server.terminate()
        server.wait(20)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gallery", nargs="+", default=[], help="folders; default: film library")
    parser.add_argument(
        "--typed",
        default="a candle in the dark",
        help="query to type; '' where there is no encoder",
    )
    parser.add_argument("--again", type=int, default=5, help="navigations to a settled server")
    args = parser.parse_args()
    for name, value in measure(args.gallery, args.typed, args.again).items():
        verdict = ""
        if name in BUDGET:
            verdict = f"   {'within' if value <= BUDGET[name] else 'OVER'} {BUDGET[name]:,}"
        print(f"{name:45} {value:12,.2f}{verdict}")


if __name__ == "__main__":
    main()

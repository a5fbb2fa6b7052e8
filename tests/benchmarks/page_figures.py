"""How long each page takes to its first byte and how large it is, over `recsys serve`.

    python tests/benchmarks/page_figures.py --home HOME [--calls 50] [--json]
    python tests/benchmarks/page_figures.py --home HOME --screenshots DIR

HOME keeps a server with something published. Each call asks for another movie or person; one
client, warm, posters not counted. With --screenshots, pictures of the pages are taken instead, in
light and dark, 1280 and 390 pixels wide, with 256 colours and without posters, which are others'.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import numpy as np
from PIL import Image

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
SIZES = {1280: 900, 390: 844}
TARGET_MS, TARGET_HOME_BYTES = 50, 100_000
WARM = 5
BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])
DITHER = 10  # of 255 levels
STYLE = Path(__file__).resolve().parents[2] / "recsys/web/static/site.css"
SEED = 7


@contextmanager
def serving(home: Path) -> Iterator[int]:
    """Serve a home on a port of its own while in the block."""
    command = [sys.executable, "-m", "recsys", "serve", "--port", "0"]
    environment = {**os.environ, "RECSYS_HOME": str(home)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stderr is not None
        said = server.stderr.readline()
        place = re.search(r":(\d+) ", said)
        if place is None:
            raise SystemExit(said + server.stderr.read())
        try:
            yield int(place[1])
        finally:
            server.terminate()


def ask(port: int, path: str, accept: str = "text/html") -> tuple[float, int, bytes]:
    """Return milliseconds to the first byte, status and body."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    began = time.perf_counter()
    connection.request("GET", path, headers={"Accept": accept})
    answer = connection.getresponse()
    took = (time.perf_counter() - began) * 1000
    body = answer.read() if answer.status != 303 else (answer.getheader("Location") or "").encode()
    connection.close()
    return took, answer.status, body


def addresses(port: int, calls: int) -> dict[str, list[str]]:
    """Return the requests of each page: movies with many and few ratings, any users."""
    draw = random.Random(SEED)
    chart = json.loads(ask(port, "/charts/top_rated?n=100", "application/json")[2])
    movies = [entry["movie_id"] for entry in chart]
    people = [ask(port, "/person/random")[2].decode() for _ in range(calls)]

    def rated() -> str:
        return "&".join(f"m{movie}={draw.randint(1, 5)}" for movie in draw.sample(movies, 5))

    return {
        "home": ["/"] * calls,
        "chart": ["/top?genre=Drama"] * calls,
        "search": [f"/search?q={quote(draw.choice(chart)['title'])}" for _ in range(calls)],
        "movie": [f"/movie/{draw.choice(movies)}" for _ in range(calls)],
        "people": ["/person"] * calls,
        "person": people,
        "try it": [f"/try?{rated()}" for _ in range(calls)],
        "list of try it": [f"/try/list?{rated()}" for _ in range(calls)],
        "runs": ["/published"] * calls,
    }


def measure(port: int, calls: int) -> dict[str, dict[str, float]]:
    figures = {}
    for name, paths in addresses(port, calls + WARM).items():
        answers = [ask(port, path) for path in paths][WARM:]
        failed = {status for _, status, _ in answers} - {200}
        if failed:
            raise SystemExit(f"{name} answers {failed}: {answers[0][2].decode()[-800:]}")
        times = sorted(took for took, _, _ in answers)
        figures[name] = {
            "median_ms": round(statistics.median(times), 1),
            "p95_ms": round(times[int(len(times) * 0.95)], 1),
            "bytes": round(statistics.median(len(body) for _, _, body in answers)),
        }
    return figures


def show(figures: dict[str, dict[str, float]]) -> None:
    for name, each in figures.items():
        late = each["median_ms"] > TARGET_MS
        large = name == "home" and each["bytes"] > TARGET_HOME_BYTES
        missed = "  misses its target" if late or large else ""
        times = f"{each['median_ms']:6.1f} ms  p95 {each['p95_ms']:6.1f} ms"
        print(f"{name:16} {times}  {each['bytes']:8,.0f} bytes{missed}")  # noqa: T201


def few_colours(png: bytes) -> Image.Image:
    """Return a picture of 256 colours; dithered in a pattern, which PNG packs well."""
    picture = Image.open(BytesIO(png)).convert("RGB")
    pixels = np.asarray(picture, dtype=np.float64)
    height, width, _ = pixels.shape
    pattern = np.tile(BAYER / BAYER.size - 0.47, (height // 4 + 1, width // 4 + 1))
    # Areas of one colour stay so.
    varies = np.any([pixels != np.roll(pixels, 8, axis) for axis in (0, 1)], axis=(0, 3))
    moved = pixels + (DITHER * varies * pattern[:height, :width])[:, :, np.newaxis]
    dithered = Image.fromarray(np.clip(moved, 0, 255).astype(np.uint8))
    return dithered.quantize(palette=_palette(picture), dither=Image.Dither.NONE)


def _palette(picture: Image.Image) -> Image.Image:
    """Return 256 colours: those of the style, and the nearest for all others."""
    named = [*sorted(set(re.findall("#([0-9a-f]{6})", STYLE.read_text()))), "ffffff"]
    others = picture.quantize(256 - len(named)).getpalette() or []
    holder = Image.new("P", (1, 1))
    holder.putpalette([*bytes.fromhex("".join(named)), *others[: 3 * (256 - len(named))]])
    return holder


def photograph(port: int, folder: Path) -> None:
    """Take every page in every size, light and dark."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    program = os.environ.get("RECSYS_CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM)))
    pages = {
        "home": "/",
        "movie": "/movie/2",
        "person": "/person/1",
        "why": "/person/1/why/50",
        "try": "/try?m260=5&m1196=5&m541=4&m1240=5&m2028=2",
        "runs": "/published",
        "chart": "/top?genre=Sci-Fi",
        "search": "/search?q=star+wars",
        "people": "/person",
        "problem": "/movie/0",
    }
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            for width, height in SIZES.items():
                tab = browser.new_page(
                    viewport={"width": width, "height": height}, color_scheme=scheme
                )
                tab.route("https://image.tmdb.org/**", lambda route: route.abort())
                for name, path in pages.items():
                    tab.goto(f"http://127.0.0.1:{port}{path}")
                    tab.wait_for_load_state("networkidle")
                    few = few_colours(tab.screenshot())
                    few.save(folder / f"{name}-{scheme}-{width}.png", optimize=True)
                tab.close()
        browser.close()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--screenshots", type=Path, metavar="DIR")
    asked = parser.parse_args(arguments)
    with serving(asked.home) as port:
        if asked.screenshots:
            photograph(port, asked.screenshots)
            return
        figures = measure(port, asked.calls)
    if asked.json:
        print(json.dumps(figures, indent=2))  # noqa: T201
    else:
        show(figures)


if __name__ == "__main__":
    main()

"""How fast the browser app answers when one scrubs, and what memory its sessions take.

    python Testing/Benchmarks/bench_view.py RESULT [--changes 500] [--sessions 10]

RESULT is a folder that ``cineheart run`` wrote. A Chromium without a window on the same computer moves the slider and
waits for the images: the first new one (the short axis), those of all four slice views, and the mesh's too. Memory is
the resident set of each session's process, in MB; of all together, what they share counts once.
"""

import argparse
import asyncio
import contextlib
import os
import re
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Testing" / "Python")]

import chromium  # noqa: E402

SCRUB = """(async () => {
    const images = [...document.querySelectorAll('#views img')], last = window.trame.state.get('last_frame');
    const found = [];
    for (let n = 0; n < CHANGES; n++) {
        const before = performance.now();
        const seen = images.map(image => new Promise(done => {
            const stop = setTimeout(() => done(null), 5000);
            image.addEventListener('load', () => { clearTimeout(stop); done(performance.now() - before); },
                                   {once: true});
        }));
        window.trame.state.set('frame', (window.trame.state.get('frame') + 7) % (last + 1));
        found.push(await Promise.all(seen));
        await new Promise(done => setTimeout(done, GAP_MS));
    }
    return found;
})()"""
"""Milliseconds until each image was loaded anew."""
OPEN = """[...document.querySelectorAll('.open-entry')].find(e => e.dataset.path === 'NAME').click()"""


@contextlib.contextmanager
def served(folder: Path, sessions: int) -> Iterator[tuple[str, subprocess.Popen]]:
    """Address and process of the app on a folder."""
    command = [sys.executable, "-m", "cineheart", "view", str(folder), "--port", "0", "--sessions", str(sessions)]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    try:
        yield re.search(r"http://\S+", server.stdout.readline())[0], server
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def sizes_mb(server: subprocess.Popen, kind: str = "Rss") -> list[float]:
    """Memory of each session's process, the oldest first: ``Rss``, or ``Pss``, in which shared libraries are shared."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    texts = [Path(f"/proc/{child}/smaps_rollup").read_text() for child in children]
    return [int(re.search(rf"^{kind}:\s+(\d+)", text, re.MULTILINE)[1]) / 1024 for text in texts]


async def opened(tab: chromium.Tab, address: str, name: str) -> None:
    """Open a result in a page."""
    await tab.open(address)
    await tab.until("document.querySelectorAll('.open-entry').length", 60)
    await tab.value(OPEN.replace("NAME", name))
    await tab.until(f"window.trame.state.get('name') === '{name}'", 120)
    await asyncio.sleep(3)


def say_latency(title: str, found: list[list[float]]) -> None:
    """Print median and ninetieth percentile."""
    kinds = {
        "first image": [min(times) for times in found],
        "four slice views": [max(times[:4]) for times in found],
        "all with the mesh": [max(times) for times in found],
    }
    for kind, times in kinds.items():
        tenth = statistics.quantiles(times, n=10)[-1]
        print(f"{title:24s} {kind:18s} median {statistics.median(times):5.0f} ms, 90 % {tenth:5.0f} ms")


async def measure(address: str, server: subprocess.Popen, name: str, options: argparse.Namespace) -> None:
    """Scrub, count memory, then open more sessions."""
    async with chromium.chromium() as tab, contextlib.AsyncExitStack() as stack:
        await opened(tab, address, name)
        print(f"memory after opening: {sizes_mb(server)[0]:.0f} MB")
        for title, gap in (("scrubbing", 0), ("a step now and then", 1000)):
            script = SCRUB.replace("GAP_MS", str(gap))
            say_latency(title, await tab.value(script.replace("CHANGES", "24")))
        for _ in range(5):
            await tab.value(SCRUB.replace("GAP_MS", "0").replace("CHANGES", str(options.changes // 5)))
            print(f"memory after {options.changes // 5} more frame changes: {sizes_mb(server)[0]:.0f} MB")
        for _ in range(options.sessions - 1):
            await opened(await stack.enter_async_context(tab.another()), address, name)
        sizes = sizes_mb(server)
        together = sum(sizes_mb(server, "Pss"))
        print(f"{len(sizes)} sessions: {min(sizes):.0f} to {max(sizes):.0f} MB each, {together:.0f} MB together")


def main() -> None:
    """Print latency and memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path)
    parser.add_argument("--changes", type=int, default=500)
    parser.add_argument("--sessions", type=int, default=10)
    options = parser.parse_args()
    result = options.result.resolve()
    with served(result.parent, options.sessions) as (address, server):
        asyncio.run(measure(address, server, result.name, options))


if __name__ == "__main__":
    main()

"""The browser app in Chromium: it lists, opens, plays and segments a study, and ends with its server."""

import asyncio
import os
import re
import signal
import subprocess
import sys

import pytest

pytest.importorskip("slicer")
pytest.importorskip("trame_slicer")
chromium = pytest.importorskip("chromium")

from CardiacLib.writers.images import write_cine  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.skipif(chromium.PROGRAM is None, reason="no Chromium")]


@pytest.fixture
def address(tmp_path, little_heart):
    """Of the app on a folder with one study and a file that is none."""
    (tmp_path / "studies" / "anna").mkdir(parents=True)
    write_cine(tmp_path / "studies" / "anna" / "sax.nii.gz", little_heart.cines["sax"])
    (tmp_path / "studies" / "read me.txt").write_text("no study")
    command = [sys.executable, "-m", "cineheart", "view", str(tmp_path / "studies"), "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    try:
        yield re.search(r"http://\S+", server.stdout.readline())[0]
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) in (0, 1)


def test_a_study_is_opened_played_and_segmented(address, tmp_path):
    text = "(document.querySelector('{}') || {{innerText: ''}}).innerText"

    async def use() -> None:
        async with chromium.chromium() as tab:
            await tab.open(address)
            await tab.click(".open-entry")
            assert await tab.until(text.format("#name"), 60) == "anna"
            first = await tab.until(text.format("#shown-frame"))
            assert first.endswith("/ 2")
            await tab.click("#play")
            await tab.until(f"{text.format('#shown-frame')} !== {first!r}")
            await tab.click("#play")
            await tab.click("#segment")
            table = await tab.until(f"/LV volume/.test({text.format('#measurements')})", 120)
            assert table
            await tab.picture(tmp_path / "app.png")
            if folder := os.environ.get("CINEHEART_PICTURES"):
                await tab.picture(__import__("pathlib").Path(folder) / "app.png")

    asyncio.run(use())

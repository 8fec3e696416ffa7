"""The system's Chromium without a window, told what to do by the DevTools protocol; never downloaded."""

import asyncio
import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

PROGRAM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --remote-debugging-port=0 --window-size=1400,900"
)


class Tab:
    """One page."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, client: aiohttp.ClientSession, browser: str):
        self._socket, self._client, self._browser, self._number = socket, client, browser, 0

    @contextlib.asynccontextmanager
    async def another(self) -> AsyncIterator["Tab"]:
        """A second page in the same browser."""
        async with self._client.put(f"{self._browser}/json/new?about:blank") as answer:
            page = await answer.json()
        async with self._client.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            yield Tab(socket, self._client, self._browser)

    async def send(self, method: str, **parameters) -> dict:
        """The answer to a command of the protocol."""
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while True:
            answer = json.loads((await self._socket.receive()).data)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    async def value(self, script: str):
        """What JavaScript gives, promises waited for."""
        answer = await self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, script: str, seconds: float = 30.0):
        """What JavaScript gives as soon as it is true."""
        end = asyncio.get_running_loop().time() + seconds
        while not (found := await self.value(script)):
            assert asyncio.get_running_loop().time() < end, f"never true: {script}: {await self.value(_SEEN)}"
            await asyncio.sleep(0.05)
        return found

    async def fetch(self, url: str) -> bytes:
        """What is at an address, asked for beside the page: quicker for large files."""
        async with self._client.get(url) as answer:
            assert answer.status == 200, (url, answer.status)
            return await answer.read()

    async def open(self, url: str) -> None:
        """Go to an address."""
        await self.send("Page.navigate", url=url)

    async def click(self, selector: str) -> None:
        """Click an element, once it is there and enabled."""
        await self.until(f"(e => e && !e.disabled)(document.querySelector({selector!r}))")
        await self.value(f"document.querySelector({selector!r}).click()")

    async def drag(self, *places: tuple[float, float]) -> None:
        """Press the mouse at the first place, move it over the others and let it go; in pixels of the page."""
        (x, y), *others = places
        await self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        await asyncio.sleep(0.2)  # the page tells the server of moves a few times a second only
        await self.send("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", clickCount=1)
        for x, y in others:
            await asyncio.sleep(0.05)
            await self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, button="left", buttons=1)
        await asyncio.sleep(0.05)
        await self.send("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, button="left", clickCount=1)

    async def place(self, selector: str) -> tuple[float, float, float, float]:
        """Left, top, width and height of an element on the page."""
        rectangle = (
            f"(r => [r.x, r.y, r.width, r.height])(document.querySelector({selector!r}).getBoundingClientRect())"
        )
        return tuple(await self.value(rectangle))

    async def as_phone(self, width: int = 390, height: int = 844) -> None:
        """Let pages be laid out as on a telephone with a touch screen, smaller than a window can be."""
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2, mobile=True
        )
        await self.send("Emulation.setTouchEmulationEnabled", enabled=True)

    async def picture(self, path: Path, whole: bool = False) -> None:
        """Write the page as PNG: what is in the window, or all of it."""
        answer = await self.send("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))


_SEEN = "document.body.innerText.slice(0, 600)"


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Tab]:
    """A browser with one empty page."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [PROGRAM, *_FLAGS.split(), f"--user-data-dir={folder}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            said = Path(folder, "DevToolsActivePort")
            for _ in range(400):
                if said.is_file() and said.read_text().strip():
                    break
                await asyncio.sleep(0.05)
            browser = f"http://127.0.0.1:{said.read_text().split()[0]}"
            async with aiohttp.ClientSession() as client:
                async with client.get(f"{browser}/json") as answer:
                    page = next(tab for tab in await answer.json() if tab["type"] == "page")
                async with client.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    yield Tab(socket, client, browser)
        finally:
            process.terminate()
            process.wait(20)

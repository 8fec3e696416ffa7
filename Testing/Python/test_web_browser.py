"""The browser app in Chromium: what each control does to labels, points, mesh, tables and files, by their content."""

import asyncio
import base64
import io
import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("slicer")
pytest.importorskip("trame_slicer")
chromium = pytest.importorskip("chromium")

from CardiacLib.readers import read_labels  # noqa: E402
from CardiacLib.types.labels import LV  # noqa: E402
from CardiacLib.writers.images import write_cine  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.skipif(chromium.PROGRAM is None, reason="no Chromium")]
TEXT = "(document.querySelector('{}') || {{innerText: ''}}).innerText"


@pytest.fixture
def address(tmp_path, little_heart):
    """Of the app on a folder with one study and a file that is none."""
    (tmp_path / "studies" / "anna").mkdir(parents=True)
    for view, cine in little_heart.cines.items():
        write_cine(tmp_path / "studies" / "anna" / f"{view}.nii.gz", cine)
    (tmp_path / "studies" / "read me.txt").write_text("no study")
    command = [sys.executable, "-m", "cineheart", "view", str(tmp_path / "studies"), "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    try:
        yield re.search(r"http://\S+", server.stdout.readline())[0]
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) in (0, 1)


class Page:
    """The page of the app in a tab."""

    def __init__(self, tab, cines, folder: Path):
        self.tab, self._cines, self._folder = tab, cines, folder

    async def state(self, name: str):
        return await self.tab.value(f"window.trame.state.get('{name}')")

    async def until_not(self, name: str, seconds: float = 120.0) -> None:
        await asyncio.sleep(0.3)
        await self.tab.until(f"!window.trame.state.get('{name}')", seconds)
        assert not await self.state("problem")

    async def table(self, title: str) -> list[list[str]]:
        return next(table["rows"] for table in await self.state("tables") if table["title"].endswith(title))

    async def lv_ml(self) -> list[float]:
        return [float(row[1]) for row in await self.table(" volumes")]

    async def on_page(self, view: str, place: np.ndarray) -> np.ndarray:
        """Where (column, row) of the images of a view is on the page: they fill their view, and lie in its middle."""
        views = ("sax", "3ch", "2ch", "4ch")  # column by column
        await self.tab.value("document.querySelectorAll('#views img').forEach((e, n) => e.id = 'view' + n)")
        left, top, width, height = await self.tab.place(f"#view{views.index(view)}")
        shape = np.array(self._cines[view].frames.shape[:1:-1])
        middle = np.array([left + width / 2, top + height / 2])
        return middle + (place - (shape - 1) / 2) * min(width / shape[0], height / shape[1])

    async def show(self, frame: int) -> None:
        await self.tab.value(f"window.trame.state.set('frame', {frame})")
        await asyncio.sleep(1)  # images at rest are fine

    async def coloured(self) -> int:
        """Pixels of the slice views in the colours of valve points: blue or yellow, which images and labels are not."""
        return await self.tab.value("""[...document.querySelectorAll('#views img')].slice(0, 4).map(image => {
            const canvas = document.createElement('canvas'), draw = canvas.getContext('2d');
            [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
            draw.drawImage(image, 0, 0);
            const p = draw.getImageData(0, 0, canvas.width, canvas.height).data;
            let n = 0;
            for (let i = 0; i < p.length; i += 4)
                n += p[i + 2] > p[i] + 40 || (p[i + 1] > 150 && p[i + 2] < 110);
            return n; }).reduce((a, b) => a + b)""")

    async def files(self) -> dict[str, bytes]:
        """What can be downloaded now, by name."""
        await self.tab.until("!window.trame.state.get('downloads').length")  # an edit has taken the earlier ones away
        await self.tab.click("#prepare")
        await self.tab.until("!!document.querySelector('.download')")
        script = """(async () => { const found = {}; for (const a of document.querySelectorAll('.download')) {
            const bytes = new Uint8Array(await (await fetch(a.href)).arrayBuffer()); let text = '';
            for (let n = 0; n < bytes.length; n += 8192) text += String.fromCharCode(...bytes.subarray(n, n + 8192));
            found[a.innerText] = btoa(text); } return found; })()"""
        return {name: base64.b64decode(text) for name, text in (await self.tab.value(script)).items()}

    async def labels(self) -> np.ndarray:
        path = self._folder / "labels.nii.gz"
        path.write_bytes((await self.files())["labels.nii.gz"])
        return read_labels(path).labels

    async def picture(self, name: str) -> None:
        folder = os.environ.get("CINEHEART_PICTURES")
        await self.tab.picture(Path(folder or self._folder) / name)


def points_of(packed: bytes, frame: int) -> dict[str, np.ndarray]:
    """LPS mm of the points of a frame in ``points.zip``."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert len(archive.namelist()) == 2
        document = json.loads(archive.read(f"frame_{frame:03d}.mrk.json"))
    known = [point for point in document["markups"][0]["controlPoints"] if point["positionStatus"] == "defined"]
    return {point["label"]: np.array(point["position"]) for point in known}


async def play(page: Page) -> None:
    first = await page.tab.until(TEXT.format("#shown-frame"))
    assert first.endswith("/ 2")
    await page.tab.click("#play")
    await page.tab.until(f"{TEXT.format('#shown-frame')} !== {first!r}")
    await page.tab.click("#play")


async def paint(page: Page, voxel_ml: float) -> None:
    """A stroke changes the labels of its frame where it was drawn, and the tables; undo and redo do so too."""
    before, labels = await page.lv_ml(), await page.labels()
    frame = await page.state("frame")
    await page.tab.click("#tool-paint")
    places = [await page.on_page("sax", np.array([column, 8.0])) for column in (8, 12, 16, 20)]
    await page.tab.drag(*places)
    await page.tab.until("window.trame.state.get('can_undo')")
    await page.picture("painted.png")
    await page.until_not("measuring")
    painted = await page.labels()
    changed = painted != labels
    slices = np.unique(np.nonzero(changed)[1])
    assert len(slices) == 1 and (painted[changed] == LV).all() and not changed[1 - frame].any()
    assert changed[frame, slices[0], 8, 8:21].all() and changed.sum() < 20 * 13
    after = await page.lv_ml()
    assert after[frame] - before[frame] == pytest.approx(changed.sum() * voxel_ml, abs=0.01)
    assert after[1 - frame] == before[1 - frame]
    await page.tab.click("#undo")
    await page.until_not("measuring")
    assert await page.lv_ml() == before
    await page.tab.click("#redo")
    await page.until_not("measuring")
    assert await page.lv_ml() == after
    await page.tab.click("#undo")
    assert (await page.labels() == labels).all()


async def drag(page: Page, cine) -> None:
    """A point that is dragged in the four-chamber view moves in the files as far as on the page; measures follow."""

    async def mapse_mm() -> float:
        return next(float(row[1]) for row in await page.table("annulus measures") if row[0] == "mapse_lateral_mm")

    frame, name = await page.state("frame"), "mitral free wall 4CH"
    await page.tab.click("#tool-points")
    await page.show(frame)
    seen = await page.coloured()
    await page.show(1 - frame)
    await page.show(frame)
    assert seen > 50 and await page.coloured() > 0.8 * seen  # the labels of a new frame do not cover the points
    before = points_of((await page.files())["points.zip"], frame)
    mapse = await mapse_mm()
    start = (np.linalg.inv(cine.ijk_to_lps) @ [*before[name], 1])[:2]
    steps = [start + [0, 0], start + [2, 1], start + [4, 2], start + [6, 4]]
    await page.tab.drag(*[await page.on_page("4ch", step) for step in steps])
    await page.tab.until("window.trame.state.get('can_undo')")
    await page.until_not("measuring")
    assert abs(await mapse_mm() - mapse) > 1.0
    after = points_of((await page.files())["points.zip"], frame)
    moved = {label for label in before if (before[label] != after[label]).any()}
    assert moved == {name}
    np.testing.assert_allclose(after[name] - before[name], cine.ijk_to_lps[:3, :2] @ [6, 4], atol=1.0)
    await page.tab.click("#undo")
    back = points_of((await page.files())["points.zip"], frame)
    np.testing.assert_allclose(back[name], before[name], atol=1e-3)


async def check_another(page: Page, address: str) -> None:
    """A second page has nothing of the first one, and what goes wrong there is not said here."""
    async with page.tab.another() as tab:
        other = Page(tab, {}, Path())
        await tab.open(address)
        await tab.until("document.querySelectorAll('.open-entry').length === 2", 60)
        assert not await other.state("name") and not await other.state("tables")
        await tab.value("document.querySelectorAll('.open-entry')[1].click()")
        assert "read me.txt" in await tab.until("window.trame.state.get('problem')", 60)
        assert not await page.state("problem") and await page.state("name") == "anna"


def check_files(files: dict[str, bytes], folder: Path) -> None:
    """The mesh is one, the scene holds all, and the zip holds what can be had one by one."""
    vtk = pytest.importorskip("vtk")
    (folder / "mesh.vtu").write_bytes(files["mesh.vtu"])
    reader = vtk.vtkXMLUnstructuredGridReader()
    reader.SetFileName(str(folder / "mesh.vtu"))
    reader.Update()
    assert reader.GetOutput().GetNumberOfCells() > 5000
    with zipfile.ZipFile(io.BytesIO(files["results.zip"])) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            name: content for name, content in files.items() if name != "results.zip"
        }
    with zipfile.ZipFile(io.BytesIO(files["scene.mrb"])) as archive:
        scene = archive.read(next(name for name in archive.namelist() if name.endswith(".mrml"))).decode()
    for kind in ("Segmentation", "MarkupsFiducial", "Model", "Table"):
        assert f"<{kind}" in scene
    assert "LV ejection fraction" in files["measurements.csv"].decode()


def test_every_control_does_what_it_says(address, tmp_path, little_heart):
    cines = little_heart.cines
    matrix = cines["sax"].ijk_to_lps

    async def use() -> None:
        async with chromium.chromium() as tab:
            page = Page(tab, cines, tmp_path)
            await tab.open(address)
            await tab.click(".open-entry")
            assert await tab.until(TEXT.format("#name"), 60) == "anna"
            await play(page)
            await tab.click("#segment")
            assert await tab.until(f"/LV end-diastolic volume/.test({TEXT.format('#measurements')})", 120)
            await paint(page, abs(np.linalg.det(matrix[:3, :3])) / 1000)
            await tab.click("#points")
            await page.until_not("busy")
            assert await page.table("annulus measures")
            await drag(page, cines["4ch"])
            await tab.click("#coarse")
            await tab.click("#mesh")
            await page.until_not("busy")
            assert {"surfaces", "fibres", "aha"} <= set(await page.state("mesh_views"))
            check_files(await page.files(), tmp_path)
            await page.picture("app.png")
            await check_another(page, address)  # last: a page behind another one is slow

    asyncio.run(use())

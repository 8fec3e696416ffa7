"""The browser app in Chromium: what each control does to labels, points, mesh, tables and files, by their content."""

import asyncio
import io
import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from yarl import URL

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
        """Wait until something that was asked for has begun and ended."""
        await self.tab.until(f"window.trame.state.get('{name}')")
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
        """Show another frame, and wait for its image in every slice view."""
        await self.tab.value(f"""(() => {{
            const images = [...document.querySelectorAll('#views img')].slice(0, 4);
            const seen = images.map(e => new Promise(done => e.addEventListener('load', done, {{once: true}})));
            window.trame.state.set('frame', {frame});
            return Promise.all(seen).then(() => true); }})()""")

    async def coloured(self, least: float = 50) -> int:
        """Pixels of the slice views in the colours of valve points: blue or yellow, which images and labels are not.

        Waits for the fine images, which follow the rough ones and have at least so many.
        """
        return await self.tab.until(f"""(() => {{
            const n = [...document.querySelectorAll('#views img')].slice(0, 4).map(image => {{
                const canvas = document.createElement('canvas'), draw = canvas.getContext('2d');
                [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
                draw.drawImage(image, 0, 0);
                const p = draw.getImageData(0, 0, canvas.width, canvas.height).data;
                let n = 0;
                for (let i = 0; i < p.length; i += 4)
                    n += p[i + 2] > p[i] + 40 || (p[i + 1] > 150 && p[i + 2] < 110);
                return n; }}).reduce((a, b) => a + b);
            return n > {least} ? n : null; }})()""")

    async def mesh_pixels(self, wanted: str) -> dict[str, int]:
        """Pixels of the mesh's image by colour, once JavaScript says of them (``c``) what is wanted."""
        return await self.tab.until(f"""(() => {{
            const image = document.querySelectorAll('#views img')[4], canvas = document.createElement('canvas');
            [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
            const draw = canvas.getContext('2d');
            draw.drawImage(image, 0, 0);
            const p = draw.getImageData(0, 0, canvas.width, canvas.height).data;
            const c = {{red: 0, green: 0, blue: 0, pale: 0}};
            for (let i = 0; i < p.length; i += 4) {{
                const [r, g, b] = [p[i], p[i + 1], p[i + 2]], least = Math.min(r, g, b), most = Math.max(r, g, b);
                if (most - least > 0.25 * most && most > 60)
                    c[most === r ? 'red' : most === g ? 'green' : 'blue']++;
                else if (most > 120) c.pale++;
            }}
            return {wanted} ? c : null; }})()""")

    async def files(self, *names: str) -> dict[str, bytes]:
        """What can be downloaded now, by name: the files of these names, or all."""
        await self.tab.until("!window.trame.state.get('downloads').length")  # an edit has taken the earlier ones away
        await self.tab.click("#prepare")
        await self.tab.until("!!document.querySelector('.download')")
        script = "Object.fromEntries([...document.querySelectorAll('.download')].map(a => [a.innerText, a.href]))"
        links = await self.tab.value(script)
        return {name: await self.tab.fetch(link) for name, link in links.items() if not names or name in names}

    def labels_in(self, files: dict[str, bytes]) -> np.ndarray:
        path = self._folder / "labels.nii.gz"
        path.write_bytes(files["labels.nii.gz"])
        return read_labels(path).labels

    async def picture(self, name: str) -> None:
        if folder := os.environ.get("CINEHEART_PICTURES"):
            await self.tab.picture(Path(folder) / name)


def points_in(files: dict[str, bytes], frame: int) -> dict[str, np.ndarray]:
    """LPS mm of the valve points of a frame, by name."""
    with zipfile.ZipFile(io.BytesIO(files["points.zip"])) as archive:
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


async def paint(page: Page, voxel_ml: float) -> np.ndarray:
    """A stroke changes the labels of its frame where it was drawn, and the tables; undo and redo do so too.

    Returns the labels as they were before, and should be again.
    """
    before, labels = await page.lv_ml(), page.labels_in(await page.files("labels.nii.gz"))
    frame = await page.state("frame")
    await page.tab.click("#tool-paint")
    places = [await page.on_page("sax", np.array([column, 8.0])) for column in (8, 12, 16, 20)]
    await page.tab.drag(*places)
    await page.tab.until("window.trame.state.get('can_undo')")
    await page.picture("painted.png")
    await page.until_not("measuring")
    painted = page.labels_in(await page.files("labels.nii.gz"))
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
    return labels


async def drag(page: Page, cine, labels: np.ndarray) -> dict[str, np.ndarray]:
    """A point that is dragged in the four-chamber view moves in the files as far as on the page; measures follow.

    Returns the points of the frame as they were before, and should be again.
    """

    async def mapse_mm() -> float:
        return next(float(row[1]) for row in await page.table("annulus measures") if row[0] == "mapse_lateral_mm")

    frame, name = await page.state("frame"), "mitral free wall 4CH"
    await page.tab.click("#tool-points")
    seen = await page.coloured()
    await page.show(1 - frame)
    await page.show(frame)
    assert await page.coloured(0.8 * seen)  # the labels of a new frame do not cover the points
    files = await page.files("labels.nii.gz", "points.zip")
    assert (page.labels_in(files) == labels).all()  # the stroke is undone
    before = points_in(files, frame)
    mapse = await mapse_mm()
    start = (np.linalg.inv(cine.ijk_to_lps) @ [*before[name], 1])[:2]
    steps = [start + [0, 0], start + [2, 1], start + [4, 2], start + [6, 4]]
    await page.tab.drag(*[await page.on_page("4ch", step) for step in steps])
    await page.tab.until("window.trame.state.get('can_undo')")
    await page.until_not("measuring")
    assert abs(await mapse_mm() - mapse) > 1.0
    after = points_in(await page.files("points.zip"), frame)
    moved = {label for label in before if (before[label] != after[label]).any()}
    assert moved == {name}
    np.testing.assert_allclose(after[name] - before[name], cine.ijk_to_lps[:3, :2] @ [6, 4], atol=1.0)
    await page.tab.click("#undo")
    return before


async def colour(page: Page) -> None:
    """The mesh in each colour: a hue for each AHA segment, fibres that fall outside, no strain at end-diastole."""
    diastole = await page.state("frame")
    for view, wanted in (
        ("aha", "c.pale > 3000 && Math.max(c.red, c.green, c.blue) > 1000"),
        ("helix", "c.blue > 1000 && c.blue > 3 * (c.red + c.green)"),
        ("strain", "c.pale > 1000 && c.pale > 20 * (c.red + c.green + c.blue)"),
    ):
        await page.tab.value(f"window.trame.state.set('mesh_view', '{view}')")
        await page.mesh_pixels(wanted)
        await page.picture(f"mesh_{view}.png")
        assert ("%" in await page.tab.value(TEXT.format("#mesh-scale"))) == (view == "strain")
    await page.tab.value(f"window.trame.state.set('frame', {1 - diastole})")
    await page.mesh_pixels("c.red + c.blue > 0.5 * c.pale && c.red + c.blue > 1000")
    await page.picture("mesh_strain_systole.png")
    assert not await page.state("problem")


async def new_session(address: str) -> str:
    """The address of the page of a new session."""
    async with aiohttp.ClientSession() as client, client.get(address, allow_redirects=False) as answer:
        assert answer.status == 302
        return str(answer.url.join(URL(answer.headers["Location"])))


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
        first = asyncio.create_task(new_session(address))  # it starts together with the browser
        async with chromium.chromium() as tab:
            page = Page(tab, cines, tmp_path)
            await tab.open(await first)
            await tab.click(".open-entry")
            assert await tab.until(TEXT.format("#name"), 60) == "anna"
            await play(page)
            await tab.click("#segment")
            assert await tab.until(f"/LV end-diastolic volume/.test({TEXT.format('#measurements')})", 120)
            labels = await paint(page, abs(np.linalg.det(matrix[:3, :3])) / 1000)
            await tab.click("#points")
            await page.until_not("busy")
            assert await page.table("annulus measures")
            frame, points = await page.state("frame"), await drag(page, cines["4ch"], labels)
            await tab.click("#coarse")
            await tab.click("#mesh")
            another = asyncio.create_task(new_session(address))  # it starts meanwhile
            await page.until_not("busy")
            assert {"surfaces", "fibres", "aha", "helix", "strain"} <= set(await page.state("mesh_views"))
            await colour(page)
            files = await page.files()
            for name, place in points_in(files, frame).items():  # the drag is undone
                np.testing.assert_allclose(place, points[name], atol=1e-3)
            check_files(files, tmp_path)
            await page.picture("app.png")
            await check_another(page, await another)  # last: a page behind another one is slow

    asyncio.run(use())

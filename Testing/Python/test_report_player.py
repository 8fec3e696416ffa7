"""The report's player: every frame of every slice with its contours, valve points on their way, and that it plays."""

import base64
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from made_study import make_result

from cineheart.report import write_report
from cineheart.report.player import player_content
from cineheart.report.player.outlines import outlines

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync")
QUIET += ("--disable-background-networking", "--disable-component-update", "--virtual-time-budget=3000")


@pytest.fixture(scope="module")
def result():
    return make_result()


@pytest.fixture(scope="module")
def document(result):
    return json.loads(player_content(result)["data"])


def area(outline: list[int]) -> float:
    """Pixels within an outline."""
    x, y = np.reshape(outline, (-1, 2)).T / 10
    return abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2


def test_an_outline_lies_half_way_between_pixels():
    inside = np.zeros((12, 10), bool)
    inside[3:7, 2:8] = True
    inside[4:6, 4:6] = False
    outer, hole = sorted(outlines(inside), key=area, reverse=True)
    x, y = np.reshape(outer, (-1, 2)).T / 10
    assert (x.min(), x.max(), y.min(), y.max()) == (1.5, 7.5, 2.5, 6.5)
    assert area(outer) - area(hole) == pytest.approx(20, abs=1.1)  # corners are cut off
    assert outlines(np.zeros((4, 4), bool)) == []


def test_every_frame_of_every_slice_is_there(result, document):
    from PIL import Image

    cine, labels = result.study.cines["sax"], result.labels.labels
    tiles = document["tiles"][: cine.n_slices]
    assert [tile["title"] for tile in tiles] == [f"Slice {k + 1}" for k in range(cine.n_slices)]
    for k, tile in enumerate(tiles):
        assert tile["of"] == list(range(cine.n_frames)) and len(tile["lines"]) == cine.n_frames
        strip = Image.open(io.BytesIO(base64.b64decode(tile["strip"].partition(",")[2])))
        assert strip.size == (tile["size"][0] * cine.n_frames, tile["size"][1])
        for t, lines in enumerate(tile["lines"]):
            pool = sum(area(line) for colour, *line in lines if colour == "#ff4d4d")
            assert pool == pytest.approx((labels[t, k] == 1).sum(), rel=0.05, abs=3)
    assert document["curves"][0]["values"] == pytest.approx(result.function.lv.volume_ml, abs=0.01)
    assert (document["ed"], document["es"]) == (result.function.ed, result.function.es)


def test_frames_of_large_images_are_made_coarser(result):
    cine = result.study.cines["sax"]
    labels = np.repeat(np.repeat(result.labels.labels, 8, 2), 8, 3)
    frames = np.repeat(np.repeat(cine.frames, 8, 2), 8, 3)
    matrix = cine.ijk_to_lps @ np.diag([1 / 8, 1 / 8, 1, 1])
    large = cine.with_changes(frames=frames, ijk_to_lps=matrix)
    found = replace(result.segmented.segmentation, labels=replace(result.labels, labels=labels, ijk_to_lps=matrix))
    study = replace(result.study, cines={"sax": large})
    made = replace(result, study=study, segmented=replace(result.segmented, segmentation=found))
    assert len(player_content(made)["data"]) < 3e6


def test_one_frame_has_no_player():
    assert player_content(make_result(n_frames=1)) is None


def test_texts_of_a_study_cannot_end_the_script(result, monkeypatch):
    monkeypatch.setattr("cineheart.report.player.content._short_axis_tiles", lambda *_: [{"title": "</script>"}])
    assert "<" not in player_content(result)["data"]


@pytest.mark.skipif(BROWSER is None, reason="no Chromium")
def test_it_plays_in_a_browser(result, tmp_path):
    """Arrow keys step, the slider scrubs, an image grows; what the page then says is read from its document."""
    write_report(result, tmp_path / "report.html")
    actions = """<script>
    const part = (id) => document.getElementById("player-" + id);
    const key = (name) => part("section").dispatchEvent(new KeyboardEvent("keydown", {key: name, bubbles: true}));
    const said = [part("text").textContent];
    key("ArrowRight"); said.push(part("text").textContent);
    part("frame").value = 3; part("frame").dispatchEvent(new Event("input")); said.push(part("text").textContent);
    part("tiles").firstChild.click(); said.push(part("tiles").firstChild.className);
    key(" "); said.push(part("play").textContent); key(" ");
    document.title = JSON.stringify(said);
    </script>"""
    page = tmp_path / "acted.html"
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page.write_text(text.replace("</body>", f"{actions}</body>"), encoding="utf-8")
    command = [BROWSER, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    said = json.loads(re.search(r"<title>(.*?)</title>", shown)[1].replace("&quot;", '"'))
    count, ed = result.study.cines["sax"].n_frames, result.function.ed
    assert said[0].startswith(f"Frame {ed + 1} of {count}") and "end-diastole" in said[0]
    assert said[1].startswith(f"Frame {(ed + 1) % count + 1} of {count}")
    assert said[2].startswith(f"Frame 4 of {count}") and said[3:] == ["large", "Pause"]

"""The report in a browser: its player steps, scrubs, enlarges and plays; on a telephone nothing is cut off."""

import asyncio
from dataclasses import replace

import pytest
from made_study import make_result

from CardiacLib.types.measures.ranges import NormalRange, NormalRanges
from CardiacLib.types.patient import Patient
from cineheart.report import write_report

chromium = pytest.importorskip("chromium")

pytestmark = pytest.mark.skipif(chromium.PROGRAM is None, reason="no Chromium")
ACTIONS = """(() => {
const root = document.getElementById("player"), part = (name) => root.querySelector(`[name=${name}]`);
const key = (name) => root.querySelector("canvas").dispatchEvent(new KeyboardEvent("keydown", {key: name}));
const said = [part("where").textContent, part("which").textContent];
key("ArrowRight"); said.push(root.dataset.frame);
part("frame").value = 4; part("frame").dispatchEvent(new Event("input")); said.push(part("where").textContent);
key("ArrowDown"); said.push(part("which").textContent);
key("v"); said.push(root.querySelector("[aria-pressed=true]").textContent);
key(" "); said.push(part("play").textContent); key(" ");
const touch = () => said.push(getComputedStyle(root.querySelector("canvas")).touchAction);
touch(); key("+"); touch(); key("0");
return said;
})()"""
CUT_OFF = """[...document.querySelectorAll("main *")].filter((element) => {
const box = element.getBoundingClientRect();
return box.width && (box.right > innerWidth + 1 || box.left < -1) && !element.closest(".scroll, .wide");
}).map((element) => element.outerHTML.slice(0, 80))"""
SMALLEST = """Math.min(...[...document.querySelectorAll("main svg text")].map((text) =>
parseFloat(getComputedStyle(text).fontSize) * text.ownerSVGElement.getScreenCTM().a))"""
TOUCHED = """Math.min(...[...document.querySelectorAll("#player button, #player select, #player label")]
.map((control) => control.getBoundingClientRect().height))"""


@pytest.mark.slow
def test_the_player_steps_scrubs_and_plays_and_fits_a_telephone(tmp_path):
    made = make_result(patient=Patient(sex="F", age="061Y", height_m=1.6, weight_kg=55.0))
    small = {
        f"{side}_{name}": NormalRange(10.0, 11.0) for side in ("lv", "rv") for name in ("edv_ml", "esv_ml", "sv_ml")
    }
    ranges = NormalRanges(limits=small, group="nobody", sources=("this test",))
    result = replace(made, segmented=replace(made.segmented, ranges=ranges))
    write_report(result, tmp_path / "report.html")

    async def use():
        async with chromium.chromium() as tab:
            await tab.open((tmp_path / "report.html").as_uri())
            await tab.until("document.querySelector('html.live') !== null")
            said = await tab.value(ACTIONS)
            await tab.as_phone()
            await tab.until("innerWidth === 390")
            return said, await tab.value(CUT_OFF), await tab.value(SMALLEST), await tab.value(TOUCHED)

    said, cut_off, letters_px, control_px = asyncio.run(use())
    count, ed = result.study.cines["sax"].n_frames, result.function.ed
    assert said[0].startswith(f"frame {ed + 1} of {count}") and said[0].endswith("ED") and said[1] == "all slices"
    assert said[2] == str((ed + 1) % count) and said[3].startswith(f"frame 4 of {count}")
    assert said[4:] == ["slice 1", "2-chamber", "Pause", "pan-y", "none"]
    assert cut_off == [] and letters_px > 8.5 and control_px >= 36

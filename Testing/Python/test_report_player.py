"""The report in a browser: its player steps, scrubs, enlarges and plays."""

import json
import re
import shutil
import subprocess

import pytest
from made_study import make_result

from cineheart.report import write_report

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync")
QUIET += ("--disable-background-networking", "--disable-component-update", "--virtual-time-budget=3000")
ACTIONS = """<script>
const root = document.getElementById("player"), part = (name) => root.querySelector(`[name=${name}]`);
const key = (name) => root.querySelector("canvas").dispatchEvent(new KeyboardEvent("keydown", {key: name}));
const said = [part("where").textContent, part("which").textContent];
key("ArrowRight"); said.push(root.dataset.frame);
part("frame").value = 4; part("frame").dispatchEvent(new Event("input")); said.push(part("where").textContent);
key("ArrowDown"); said.push(part("which").textContent);
key("v"); said.push(root.querySelector("[aria-pressed=true]").textContent);
key(" "); said.push(part("play").textContent); key(" ");
document.title = JSON.stringify(said);
</script>"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium")
def test_the_player_steps_scrubs_and_plays(tmp_path):
    result = make_result()
    write_report(result, tmp_path / "report.html")
    page = tmp_path / "acted.html"
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page.write_text(text.replace("</body>", f"{ACTIONS}</body>"), encoding="utf-8")
    command = [BROWSER, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    said = json.loads(re.search(r"<title>(.*?)</title>", shown)[1].replace("&quot;", '"'))
    count, ed = result.study.cines["sax"].n_frames, result.function.ed
    assert said[0].startswith(f"frame {ed + 1} of {count}") and said[0].endswith("ED") and said[1] == "all slices"
    assert said[2] == str((ed + 1) % count) and said[3].startswith(f"frame 4 of {count}")
    assert said[4:] == ["slice 1", "2-chamber", "Pause"]

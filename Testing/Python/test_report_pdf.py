"""The report on paper: white pages with every slice at ED and ES, no player, or one sentence why there is no PDF."""

import sys

import numpy as np
import pytest
from made_study import make_mesh, make_result

from CardiacLib.errors import InputError
from cineheart.cli import main
from cineheart.report import paper, pictures, write_report
from cineheart.report.paper import browser


@pytest.fixture
def no_browser(monkeypatch):
    monkeypatch.delenv(browser.BROWSER_VARIABLE, raising=False)
    monkeypatch.setattr(browser, "PROGRAMS", ("no-such-browser",))
    monkeypatch.setattr(browser, "_places", list)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of a report whose name no address can hold as it is."""
    folder = tmp_path_factory.mktemp("a report #1 %")
    write_report(make_result(mesh=make_mesh()), folder / "report.html")
    return folder


@pytest.mark.slow
def test_the_pages_show_every_slice_and_no_player(folder, capsys):
    pdfium = pytest.importorskip("pypdfium2")
    try:
        paper.require_browser()
    except InputError as error:
        pytest.skip(str(error))
    assert main(["pdf", str(folder), "--json"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.pdf"]
    document = pdfium.PdfDocument(folder / "report.pdf")
    width, height = document[0].get_size()
    assert (width, height) == pytest.approx((595, 842), abs=2)  # A4
    texts = [page.get_textpage().get_text_range() for page in document]
    whole = "\n".join(texts)
    for text in ("Measurements", "Short-axis contours", "End-systole", "Long-axis views", "Mesh", "MADE-UP-01"):
        assert text in whole
    assert "Every frame of every slice" not in whole and "Front" not in whole
    assert all(f"{number} / {len(texts)}" in text for number, text in enumerate(texts, 1))
    shown = [np.asarray(page.render(scale=1.0).to_pil().convert("RGB")).astype(int) for page in document]
    for page in shown:
        assert (page[:8] == 255).all() and (page[:, :8] == 255).all()  # white margins, whatever the theme
        assert (page.min(-1) > 200).mean() > 0.4
    sheet = shown[next(n for n, text in enumerate(texts) if "Short-axis contours" in text)]
    for _, _, colour in pictures.CONTOURS:
        wanted = np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)])
        assert (np.abs(sheet - wanted).max(-1) < 60).sum() > 100
    capsys.readouterr()


def test_without_a_browser_run_refuses_before_the_work(no_browser, tmp_path, capsys):
    for command in ("run", "batch"):
        words = [command, str(tmp_path / "study"), "-o", str(tmp_path / "out"), "--no-scene", "--pdf"]
        assert main(words) == 2
        said = capsys.readouterr().err
        assert "Chromium, Google Chrome or Microsoft Edge" in said and browser.BROWSER_VARIABLE in said
    assert not (tmp_path / "out").exists()


def test_a_browser_that_prints_nothing_is_one_sentence(folder, tmp_path, monkeypatch):
    monkeypatch.setenv(browser.BROWSER_VARIABLE, str(tmp_path / "none"))
    with pytest.raises(InputError, match="is no program"):
        paper.require_browser()
    monkeypatch.setenv(browser.BROWSER_VARIABLE, sys.executable)  # ends with an error: it knows no such option
    with pytest.raises(InputError, match=r"did not print report.html \(.+\); try another browser"):
        paper.write_pdf(folder / "report.html", tmp_path / "out.pdf")
    assert not list(tmp_path.iterdir())


def test_what_is_no_report_cannot_be_printed(folder, tmp_path, capsys):
    assert main(["pdf", str(tmp_path)]) == 2 and "holds no report.html" in capsys.readouterr().err
    words = ["pdf", str(folder / "report.html"), "-o", str(tmp_path / "r.html")]
    assert main(words) == 2 and "is no PDF" in capsys.readouterr().err

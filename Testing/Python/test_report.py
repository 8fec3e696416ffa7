"""report.html: what it says, that it needs nothing else, and that its pictures show the right thing."""

import base64
import dataclasses
import io
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from made_study import CENTRE, contractions, grid_points, labels_at, make_mesh, make_result

from BiVMeshLib.check.quality import measure as measure_mesh
from CardiacLib import __version__
from CardiacLib.types.bivmesh import PATCHES, REGIONS, BiVMesh
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.patient import Patient
from CardiacSegLib.long_axis import LongAxisMeasures, LongAxisResult
from cineheart.provenance import Network, Provenance
from cineheart.report import facts, mesh_view, pictures, slices, write_report
from cineheart.report.outlines import PlaneCut

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Texts of cells, pictures, and every address that a browser would fetch; complains of unbalanced tags."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.rows, self.images, self.addresses, self.tags = [], [], [], [], set()
        self.scripts: dict[str, str] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "script":
            assert "src" not in attributes
            self.script = attributes.get("id", "")
            self.scripts.setdefault(self.script, "")
        if tag == "img":
            self.images.append((attributes["alt"], attributes["src"]))
        self.addresses += [attributes[name] for name in ("src", "href", "xlink:href") if name in attributes]

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[self.script] += data
        if self.rows and self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def pixels(source: str) -> np.ndarray:
    """(rows, columns, 3) int of a PNG data URI."""
    from PIL import Image

    picture = Image.open(io.BytesIO(base64.b64decode(source.removeprefix("data:image/png;base64,"))))
    return np.asarray(picture.convert("RGB")).astype(int)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    mesh = make_mesh()
    mesh = dataclasses.replace(mesh, quality=measure_mesh(mesh), notes=("A mesh note.",))
    made = make_result(mesh=mesh)
    segmentation = dataclasses.replace(made.segmented.segmentation, notes=("A slice was added.",))
    segmented = dataclasses.replace(made.segmented, segmentation=segmentation)
    result = dataclasses.replace(made, segmented=segmented, long_axis=four_chamber(made), bundle="cineheart_sax")
    result = dataclasses.replace(result, provenance=Provenance(networks=(Network("some", "0.1", "ab12"),)))
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(result, path)
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    text = path.read_text(encoding="utf-8")
    return result, text, Page(text)


def four_chamber(made) -> LongAxisResult:
    """A pool of 100 ml at ED, 40 ml at ES by area and length, and labels on the view's cine."""
    cine = made.study.cines["4ch"]
    labels = np.zeros(cine.frames.shape, np.uint8)
    labels[..., 10:25, 12:20] = 1
    curve, nothing = np.linspace(100.0, 40.0, cine.n_frames), np.full((cine.n_frames, 2, 2), np.nan)
    measures = LongAxisMeasures(curve, curve, curve, curve, nothing, nothing[..., 0], ed=0, es=cine.n_frames - 1)
    return LongAxisResult(LabelMap.of(labels, cine), measures, "cineheart_lax_labels")


@pytest.mark.slow
def test_area_length_is_a_row_of_the_table_of_volumes(written):
    _, _, page = written
    (row,) = (row for row in page.rows if any("four-chamber view, area-length" in cell for cell in row))
    assert row[2:5] == ["100", "40", "60"] and "taken to be round" in row[5]


def test_the_page_needs_nothing_else(written):
    _, text, page = written
    assert "link" not in page.tags
    assert page.addresses
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    styles = text.replace("url(#", "")
    assert "url(" not in styles and "@import" not in styles
    assert len(text) < 5e6


def test_measurements_and_facts_stand_in_the_tables(written):
    result, _, page = written
    function = result.function
    rows = {row[0]: row[1:] for row in page.rows}
    assert rows["End-diastolic volume"] == [f"{function.lv.edv_ml:.0f}", f"{function.rv.edv_ml:.0f}", "ml"]
    assert rows["Ejection fraction"] == [f"{function.lv.ef_percent:.0f}", f"{function.rv.ef_percent:.0f}", "%"]
    assert rows["Myocardial mass (end-diastole)"] == [f"{function.myocardium.mass_g:.0f}", "", "g"]
    assert rows["Short axis"] == ["8", "64 x 60", "1.90 x 2.10 mm", "11.0 mm", "6", "820 ms (136.7 ms per frame)"]
    assert rows["4-chamber"][4:] == ["6", "790 ms (131.7 ms per frame)"]
    assert rows["ID"] == ["MADE-UP-01"] and rows["Heart rate"] == ["73 /min"]
    assert "Name" not in rows
    assert rows["Segment"] == ["12.3 s"] and rows["Total"] == ["12.7 s"]
    assert rows["Bundle"] == ["cineheart_sax"] and "CC BY-NC-SA 4.0" in rows["Licence"][0]
    assert rows["CineHeart"] == [__version__] and rows["Weights of some"] == ["0.1, SHA-256 ab12"]
    assert rows["Tetrahedra"] == ["1"] and rows["Open edges"] == ["0"]


def test_every_row_of_the_mesh_table_is_in_the_quality_report():
    rows = facts.mesh_rows(measure_mesh(make_mesh()), {})
    assert len(rows) == len(facts.MESH_ROWS) + 1 and rows[-1].name == "Beyond a quality line"


def test_the_player_has_every_frame_with_its_contours(written):
    """Grey values, outlines and frames of the views are those of the study, at the pixels of the strips."""
    from PIL import Image, ImageDraw

    result, _, page = written
    played = json.loads(page.scripts["player-data"])
    cines, labels = result.study.cines, result.labels.labels
    assert [view["name"] for view in played["views"]] == ["Short axis", "2-chamber", "4-chamber"]
    assert played["frames"] == len(labels) and played["marks"] == [["ED", 0], ["ES", 3]]
    view, frame, k = played["views"][0], 3, 4
    assert [s["number"] for s in view["slices"]] == list(range(1, cines["sax"].n_slices + 1))
    strip = np.asarray(Image.open(io.BytesIO(base64.b64decode(view["slices"][k]["strip"].partition(",")[2]))))
    line, column = divmod(frame, view["columns"])
    size = view["height"], view["width"]
    shown = strip[line * size[0] : (line + 1) * size[0], column * size[1] : (column + 1) * size[1]]
    rows, columns = pictures.crop_box((labels > 0).any((0, 1)), cines["sax"].spacing, 35.0)
    assert np.corrcoef(shown.ravel(), cines["sax"].frames[frame, k, rows, columns].ravel())[0, 1] > 0.98
    for (_, values, _), lines in zip(pictures.CONTOURS, view["slices"][k]["outlines"][frame], strict=True):
        filled = Image.new("1", size[::-1])
        for numbers in lines:
            ImageDraw.Draw(filled).polygon([number / played["steps"] for number in numbers], fill=1)
        wanted = np.isin(labels[frame, k, rows, columns], values)
        got = np.asarray(filled)
        assert 2 * (wanted & got).sum() / (wanted.sum() + got.sum()) > 0.93
    assert played["views"][2]["shown"] == list(range(6))


def test_warnings_and_what_was_left_out_are_told(written):
    result, text, _ = written
    assert "A note &lt;of&gt; the run." in text and "<of>" not in text
    for line in (*result.study.notes, *result.study.left_out, "A mesh note."):
        assert line in text
    titles = ("To check", "Notes")
    to_check, notes = (text.partition(f"<h2>{t}</h2>")[2].partition("</section>")[0] for t in titles)
    assert "A slice was added." in notes and "A slice was added." not in to_check
    assert "For research only, not for diagnosis." in text


def test_pictures_show_images_and_contours(written):
    _, _, page = written
    alts = [alt for alt, _ in page.images]
    assert alts == [
        "End-diastole: 8 short-axis slices with contours",
        "End-systole: 8 short-axis slices with contours",
        "Long-axis views (2CH, 4CH) with the short-axis labels that they cut",
        "The biventricular mesh from the front, into its base, and cut open",
    ]
    for _, source in page.images[:3]:
        shown = pixels(source)
        for _, _, colour in pictures.CONTOURS:
            wanted = np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)])
            assert (np.abs(shown - wanted).max(-1) < 12).sum() > 50
        assert ((np.ptp(shown, axis=-1) < 4) & (shown[..., 0] > 150)).sum() > 1000  # bright blood
    ed, es = (pixels(source) for _, source in page.images[:2])
    assert not np.array_equal(ed, es)


def test_without_mesh_long_axis_or_cine(tmp_path):
    result = make_result(n_frames=1, patient=Patient())
    source = tmp_path / "ward 3" / "anna"
    study = dataclasses.replace(result.study, cines={"sax": result.study.cines["sax"]}, source=str(source))
    notes = ("No mesh: the stack has one slice.", f"{source / 'sax.nii.gz'}: has no times.")
    write_report(dataclasses.replace(result, study=study, notes=notes), tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    page = Page(text)
    assert "No mesh: the stack has one slice." in text
    assert ["Source", "anna"] in page.rows and f"{Path('anna') / 'sax.nii.gz'}: has no times." in text
    assert "ward 3" not in text  # the folder that a study lies in is nobody's business
    assert "There is no mesh of this study" in text
    assert "The study has no long-axis view." in text
    assert "one frame, so there is no curve" in text
    assert [alt for alt, _ in page.images] == ["The only frame: 8 short-axis slices with contours"]
    assert next(row for row in page.rows if row[0] == "Ejection fraction") == ["Ejection fraction", "-", "-", "%"]


@pytest.mark.parametrize("view", ["2ch", "4ch"])
@pytest.mark.parametrize("frame", [0, 3])
def test_long_axis_outlines_agree_with_the_anatomy(view, frame):
    """The short axis is oblique and left-handed; its labels must land on the same structures in the other planes."""
    result = make_result()
    cine = result.study.cines[view]
    truth = labels_at(grid_points(cine.ijk_to_lps, cine.frames.shape[1:])[0], contractions(6)[frame])
    for (_, values, _), amount in zip(pictures.CONTOURS, PlaneCut(cine, result.labels).amounts(frame), strict=True):
        wanted, got = np.isin(truth, values), amount > 0.5
        if not wanted.any():
            assert not got.any()  # the 2CH plane does not meet the RV
            continue
        assert 2 * (wanted & got).sum() / (wanted.sum() + got.sum()) > 0.88


def test_same_phase():
    assert [slices.same_phase(f, 25, 25) for f in (0, 9, 24)] == [0, 9, 24]
    assert [slices.same_phase(f, 20, 30) for f in (0, 10, 19)] == [0, 15, 28]
    assert slices.same_phase(10, 25, 1) == 0


def test_crop_box_counts_in_millimetres():
    inside = np.zeros((100, 80), bool)
    inside[40:50, 30:35] = True
    rows, columns = pictures.crop_box(inside, (2.0, 1.0, 8.0), margin_mm=10)
    assert (rows.start, rows.stop, columns.start, columns.stop) == (30, 60, 25, 40)
    everything = pictures.crop_box(np.zeros((7, 9), bool), (1, 1, 1), 5)
    assert everything == (slice(0, 7), slice(0, 9))


def block_mesh(n: int = 3) -> BiVMesh:
    """A cube of 6 n^3 tetrahedra (Kuhn) around the made-up heart's centre, its boundary all EPI but the top BASE."""
    from itertools import permutations

    corner = np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), -1).reshape(-1, 3)
    steps = [
        np.cumsum([np.zeros(3, int), *np.eye(3, dtype=int)[list(order)]], axis=0) for order in permutations(range(3))
    ]
    cells = (corner[:, None, None] + np.array(steps)[None]).reshape(-1, 4, 3)
    tets = np.ravel_multi_index(np.moveaxis(cells, -1, 0), (n + 1,) * 3)
    nodes = np.stack(np.meshgrid(*[np.arange(n + 1.0)] * 3, indexing="ij"), -1).reshape(-1, 3) * 10 + CENTRE
    edges = nodes[tets[:, 1:]] - nodes[tets[:, :1]]
    flipped = np.linalg.det(edges) < 0
    tets[flipped] = tets[flipped][:, [0, 2, 1, 3]]
    faces = tets[:, mesh_view._TET_FACES].reshape(-1, 3)
    _, first, count = np.unique(np.sort(faces, 1), axis=0, return_index=True, return_counts=True)
    triangles = faces[first[count == 1]]
    top = (nodes[triangles][..., 2] == nodes[:, 2].max()).all(1)
    patches = np.where(top, PATCHES["BASE"], PATCHES["EPI"]).astype(np.int32)
    return BiVMesh(nodes, tets, np.full(len(tets), REGIONS["LV_MYO"], np.int32), triangles, patches)


def test_a_cut_mesh_is_closed_and_keeps_its_colours():
    mesh = block_mesh()
    triangles, colours = mesh_view.cut_open(mesh, np.array([0.0, -1.0, 0.0]))
    directed = {tuple(edge) for t in triangles for edge in (t[[0, 1]], t[[1, 2]], t[[2, 0]])}
    assert len(directed) == 3 * len(triangles)
    assert all(edge[::-1] in directed for edge in directed)  # closed and oriented alike
    corners = mesh.nodes[triangles]
    inside = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    kept = mesh.nodes[mesh.tets].mean(1)[:, 1] > mesh.nodes[:, 1].mean()
    assert abs(inside) == pytest.approx(kept.sum() * 1000 / 6)
    found = {tuple(c) for c in np.round(colours, 3)}
    assert found == {mesh_view.ALL_PATCH_RGB["EPI"], mesh_view.ALL_PATCH_RGB["BASE"], mesh_view.REGION_RGB["LV_MYO"]}


def test_the_heart_is_shown_base_up_and_lv_right():
    mesh = make_mesh()
    right, front, up = mesh_view.heart_frame(mesh)
    assert np.allclose(np.cross(right, up), front)
    centre = {name: mesh.nodes[np.unique(mesh.patch(name))].mean(0) for name in PATCHES}
    assert right @ (centre["ENDO_LV"] - centre["ENDO_RV"]) > 0
    assert up @ (centre["BASE"] - centre["EPI"]) > 0
    for name in PATCHES:  # a mesh without an RV or a base is drawn too
        keep = mesh.patches != PATCHES[name]
        part = dataclasses.replace(mesh, triangles=mesh.triangles[keep], patches=mesh.patches[keep])
        assert mesh_view.mesh_views(part).source.startswith("data:image/png;base64,")

"""Cines, labels, meshes and tables as MRML nodes and back, on the MRML of the slicer-core wheel."""

import numpy as np
import pytest

pytest.importorskip("slicer")

from scipy.spatial.transform import Rotation

from BiVMeshLib.mrml import models
from CardiacLib import Cine, InputError, LabelMap
from CardiacLib.mrml.nodes import cines, frames, host, segmentations, sequences
from CardiacLib.resources import resource_path
from CardiacLib.types.bivmesh import PATCHES, REGIONS, BiVMesh, ValveRing
from CardiacLib.types.labels import TERMINOLOGY_CONTEXT, structures
from CardiacLib.types.measures.ranges import NormalRange, NormalRanges
from CardiacSegLib.mrml import tables as function_tables

SHAPE = (4, 18, 16)  # K, J, I: no two axes alike


def matrix(kind: str) -> np.ndarray:
    """Index-to-LPS matrices as scanners make them."""
    axes = Rotation.from_euler("xyz", [35, -50, 20], degrees=True).as_matrix()
    if kind == "apex first":
        axes = axes @ np.diag([1, -1, -1])
    if kind == "left-handed":
        axes = axes @ np.diag([1, 1, -1])
    if kind == "axial":
        axes = np.eye(3)
    result = np.eye(4)
    result[:3, :3] = axes * [1.40625, 1.5, 8.8]
    result[:3, 3] = [-120.5, 33.25, 71.125]
    return result


KINDS = ("axial", "oblique", "apex first", "left-handed")


def make_cine(kind="oblique", n_frames=5, view="sax", step=40.0, scale=1.0) -> Cine:
    values = np.random.default_rng(3).integers(0, 900, (n_frames, *SHAPE)).astype(np.float32) * scale
    return Cine(values, matrix(kind), 7.5 + step * np.arange(n_frames), view, source="made up")


def make_labels(cine: Cine) -> LabelMap:
    labels = np.zeros(cine.frames.shape, np.uint8)
    labels[:, 1:3, 3:12, 2:12] = 2
    labels[:, 1:3, 5:10, 4:10] = 1
    labels[2:, 1:3, 4:9, 12:15] = 3  # no RV in the first frames
    labels[:, 2, 16, 5] = 1  # one voxel, to see any shift
    return LabelMap(labels, cine.ijk_to_lps, cine.times_ms, "made up")


@pytest.fixture
def scene():
    with host.private_scene() as private:
        yield private


def names(scene, class_name):
    return sorted(node.GetName() for node in _nodes(scene, class_name))


def _nodes(scene, class_name):
    return [scene.GetNthNodeByClass(n, class_name) for n in range(scene.GetNumberOfNodesByClass(class_name))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1.0, 0.37])
def test_cine_round_trip(scene, kind, scale):
    cine = make_cine(kind, scale=scale)
    browser, volume = cines.cine_to_scene(cine, "study sax")
    sequences.select_frame(browser, 3)
    back = cines.cine_from_node(volume)
    assert np.array_equal(back.frames, cine.frames)
    assert np.allclose(back.ijk_to_lps, cine.ijk_to_lps, atol=1e-9)
    assert np.array_equal(back.times_ms, cine.times_ms)
    assert back.view == "sax"
    assert np.array_equal(frames.from_vtk_image(volume.GetImageData()), cine.frames[3])


@pytest.mark.parametrize("kind", KINDS)
def test_a_voxel_lands_at_its_ras_position(scene, kind):
    cine = make_cine(kind, n_frames=1)
    browser, volume = cines.cine_to_scene(cine, "one frame")
    assert browser is None
    position = np.zeros(4)
    import vtk

    ijk_to_ras = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(ijk_to_ras)
    ijk_to_ras.MultiplyPoint([5, 7, 2, 1], position)
    lps = cine.ijk_to_lps @ [5, 7, 2, 1]
    assert np.allclose(position[:3], [-lps[0], -lps[1], lps[2]], atol=1e-9)


def test_all_views_stand_in_one_browser(scene):
    sax = make_cine(n_frames=5)
    same = make_cine("left-handed", n_frames=5, view="2ch", step=37.0)
    other = make_cine("apex first", n_frames=8, view="4ch", step=26.0)
    browser, _ = cines.cine_to_scene(sax, "study sax")
    joined, two = cines.cine_to_scene(same, "study 2ch", browser)
    _, four = cines.cine_to_scene(other, "study 4ch", browser)
    segmentation = segmentations.labels_to_scene(make_labels(sax), "study labels", browser)
    assert joined is browser
    assert scene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode") == 1
    assert browser.GetNumberOfSynchronizedSequenceNodes(True) == 4
    assert names(scene, "vtkMRMLScalarVolumeNode") == ["study 2ch", "study 4ch", "study sax"]  # nothing left behind
    for item in range(browser.GetNumberOfItems()):
        sequences.select_frame(browser, item)
        assert np.array_equal(frames.from_vtk_image(two.GetImageData()), same.frames[item])
    assert np.array_equal(cines.cine_from_node(two).times_ms, same.times_ms)
    back = cines.cine_from_node(four)  # browsing must not have added frames to it
    assert np.array_equal(back.frames, other.frames) and np.array_equal(back.times_ms, other.times_ms)
    master = browser.GetMasterSequenceNode()
    assert (master.GetIndexName(), master.GetIndexUnit()) == ("time", "ms")
    assert master.GetNthIndexValue(1) == "47.5"
    for node in (two, segmentation):
        assert browser.GetSaveChanges(browser.GetSequenceNode(node))
        assert not browser.GetRecording(browser.GetSequenceNode(node))
    assert not browser.GetSaveChanges(browser.GetSequenceNode(four))


def test_frames_without_times_keep_their_order(scene):
    cine = make_cine(n_frames=4).with_changes(times_ms=np.zeros(4))
    _, volume = cines.cine_to_scene(cine, "untimed")
    back = cines.cine_from_node(volume)
    assert np.array_equal(back.frames, cine.frames) and np.array_equal(back.times_ms, cine.times_ms)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("with_volume", [True, False])
def test_labels_round_trip(scene, kind, with_volume):
    cine = make_cine(kind)
    labelmap = make_labels(cine)
    browser, volume = cines.cine_to_scene(cine, "sax")
    node = segmentations.labels_to_scene(labelmap, "labels", browser, volume if with_volume else None)
    sequences.select_frame(browser, 4)
    back = segmentations.labels_from_node(node, volume if with_volume else None)
    assert np.array_equal(back.labels, labelmap.labels)
    assert np.allclose(back.ijk_to_lps, labelmap.ijk_to_lps, atol=1e-6)
    assert np.array_equal(back.times_ms, labelmap.times_ms)


def test_segments_carry_name_colour_and_code_in_every_frame(scene):
    import slicer
    import vtk

    labelmap = make_labels(make_cine())
    browser, _ = cines.cine_to_scene(make_cine(), "sax")
    node = segmentations.labels_to_scene(labelmap, "labels", browser)
    for item in range(5):
        sequences.select_frame(browser, item)
        segmentation = node.GetSegmentation()
        found = [segmentation.GetNthSegment(n) for n in range(segmentation.GetNumberOfSegments())]
        assert [s.GetName() for s in found] == ["LV blood pool", "LV myocardium", "RV blood pool"]
        for segment, label in zip(found, (1, 2, 3), strict=True):
            structure = structures()[label]
            assert np.allclose(np.array(segment.GetColor()) * 255, structure.rgb, atol=0.5)
            tag = vtk.reference("")
            assert segment.GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), tag)
            assert f"~{'^'.join(structure.type)}~" in str(tag)


def test_an_edited_frame_is_kept(scene):
    import slicer

    cine = make_cine()
    labelmap = make_labels(cine)
    browser, volume = cines.cine_to_scene(cine, "sax")
    node = segmentations.labels_to_scene(labelmap, "labels", browser, volume)
    sequences.select_frame(browser, 1)
    edited = np.zeros(SHAPE, np.uint8)
    edited[1, 4:8, 12:15] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(edited, node, "RV_blood_pool", volume)
    host.logic("sequences").UpdateSequencesFromProxyNodes(browser, node)
    sequences.select_frame(browser, 3)
    back = segmentations.labels_from_node(node, volume)
    assert (back.labels[1] == 3).sum() == edited.sum() and (back.labels[1][edited > 0] == 3).all()
    assert np.array_equal(np.delete(back.labels, 1, axis=0), np.delete(labelmap.labels, 1, axis=0))


def test_a_transformed_segmentation_moves_with_its_volume(scene):
    cine = make_cine(n_frames=1)
    labelmap = make_labels(make_cine())
    labelmap = LabelMap(labelmap.labels[3:4], labelmap.ijk_to_lps, [0.0])
    _, volume = cines.cine_to_scene(cine, "sax")
    node = segmentations.labels_to_scene(labelmap, "labels", None, volume)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    moved = np.eye(4)
    moved[:3, :3] = Rotation.from_euler("z", 30, degrees=True).as_matrix()
    moved[:3, 3] = [3, -9, 14]
    transform.SetMatrixTransformToParent(frames.to_vtk_matrix(moved))
    for item in (volume, node):
        item.SetAndObserveTransformNodeID(transform.GetID())
    expected = frames.LPS_TO_RAS @ moved @ frames.LPS_TO_RAS @ cine.ijk_to_lps
    assert np.allclose(cines.cine_from_node(volume).ijk_to_lps, expected)
    for reference in (volume, None):
        back = segmentations.labels_from_node(node, reference)
        assert np.allclose(back.ijk_to_lps, expected, atol=1e-6)
        assert np.array_equal(back.labels, labelmap.labels)


def test_the_segmentation_file_of_the_library_opens(scene, tmp_path):
    import slicer

    from CardiacLib.writers.images import write_segmentation_nrrd

    labelmap = make_labels(make_cine("left-handed"))
    one = LabelMap(labelmap.labels[4:], labelmap.ijk_to_lps, labelmap.times_ms[4:])
    write_segmentation_nrrd(tmp_path / "one.seg.nrrd", one)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "read")
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(tmp_path / "one.seg.nrrd"))
    assert storage.ReadData(node)
    back = segmentations.labels_from_node(node)
    assert np.array_equal(back.labels, one.labels)
    assert np.allclose(back.ijk_to_lps, one.ijk_to_lps, atol=1e-5)


def test_unknown_segments_and_empty_nodes_are_refused(scene):
    _, volume = cines.cine_to_scene(make_cine(n_frames=1), "sax")
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn")
    with pytest.raises(InputError, match="no segments"):
        segmentations.labels_from_node(node, volume)
    node.GetSegmentation().AddEmptySegment("a", "Segment_1")
    with pytest.raises(InputError, match="'Segment_1' of 'drawn' is none of: LV blood pool"):
        segmentations.labels_from_node(node, volume)
    with pytest.raises(InputError, match="'empty' has no image data"):
        cines.cine_from_node(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"))


def tetrahedron() -> BiVMesh:
    """One tetrahedron, each face another patch; outward triangles."""
    nodes = np.array([[10.0, 20, 30], [14, 20, 30], [10, 25, 30], [10, 20, 36]])
    triangles = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    patches = np.array(list(PATCHES.values()), np.int32)
    regions = np.array([REGIONS["SEPTUM"]], np.int32)
    return BiVMesh(nodes, np.array([[0, 1, 2, 3]]), regions, triangles, patches)


def rings() -> tuple[ValveRing, ...]:
    """Two circles of different numbers of points."""
    made = []
    for name, count, cap in (("MITRAL", 12, 700.0), ("AORTIC", 9, 300.0)):
        turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
        circle = np.stack([10 + 5 * np.cos(turn), 20 + 5 * np.sin(turn), np.full(count, 36.0)], axis=1)
        made.append(ValveRing(name, circle, ("a", "b"), rms_mm=0.5, cap_mm2=cap, cap_perimeter_mm=90.0))
    return tuple(made)


def test_rings_move_with_the_mesh_and_are_missing_where_a_frame_has_none(scene):
    from dataclasses import replace

    from BiVMeshLib.mrml.motion import motion_to_scene
    from CardiacLib.types.bivmesh import MovingMesh

    cine = make_cine()
    browser, _ = cines.cine_to_scene(cine, "study sax")
    mesh, still = replace(tetrahedron(), rings=rings()), np.zeros((5, 4, 3), np.float32)
    frames_of = tuple(
        tuple(replace(ring, points=ring.points + t) for ring in rings() if (ring.name, t) != ("AORTIC", 3))
        for t in range(5)
    )
    made = models.mesh_to_scene(mesh, "heart")
    motion_to_scene(MovingMesh(mesh, 0, still, cine.times_ms, rings=frames_of), made, browser)
    for t in (2, 3, 4):
        sequences.select_frame(browser, t)
        lines = [made[name].GetPolyData() for name in ("MITRAL", "AORTIC")]
        assert [line.GetNumberOfLines() for line in lines] == [1, int(t != 3)]
        assert lines[0].GetPoint(0)[2] == pytest.approx(36.0 + t)
    assert [ring.points[0, 2] for ring in models.mesh_from_node(made["VOLUME"]).rings] == [36.0, 36.0]


def test_mesh_nodes_are_ras_and_keep_their_orientation(scene):
    import vtk

    nodes = models.mesh_to_scene(tetrahedron(), "heart")
    assert list(nodes) == ["EPI", "ENDO_LV", "ENDO_RV", "BASE", "VOLUME"]
    grid = nodes["VOLUME"].GetUnstructuredGrid()
    assert grid.GetPoint(3) == (-10.0, -20.0, 36.0)
    assert grid.GetCellData().GetArray("region").GetValue(0) == REGIONS["SEPTUM"]
    size = vtk.vtkTetra.ComputeVolume(*(grid.GetPoint(n) for n in range(4)))
    assert size == pytest.approx(4 * 5 * 6 / 6)
    face = nodes["BASE"].GetPolyData()
    normal = [0.0, 0.0, 0.0]
    vtk.vtkTriangle.ComputeNormal(*(face.GetPoint(face.GetCell(0).GetPointId(n)) for n in range(3)), normal)
    assert normal[0] < 0 and normal[1] < 0 and normal[2] > 0  # away from the first node, in RAS


def test_a_mesh_comes_back_from_its_node_also_after_saving(scene, tmp_path):
    from dataclasses import replace

    from BiVMeshLib.check.quality import measure
    from CardiacLib.mrml.nodes.scenes import load_scene, save_scene
    from CardiacLib.types.mesh_quality import MeshBase, MeshFibres

    fibre = np.array([[0.0, 0.6, 0.8]])
    mesh = replace(
        tetrahedron(),
        quality=replace(measure(tetrahedron()), base=MeshBase(), fibres=MeshFibres(1e-15, 0)),
        notes=("A note.",),
        cell_fields={"fibre": fibre, "aha": np.array([7], np.int32)},
        point_fields={"transmural": np.array([0.0, 0.2, 0.5, 1.0])},
        rings=rings(),
    )
    volume = models.mesh_to_scene(mesh, "heart")["VOLUME"]
    assert models.mesh_views(volume) == ["surfaces", "fibres", "helix", "region", "aha", "transmural"]
    save_scene(tmp_path / "scene.mrb")
    scene.Clear(0)
    load_scene(tmp_path / "scene.mrb")
    found = models.mesh_from_node(scene.GetFirstNodeByName("heart tetrahedra"))
    for name in ("nodes", "tets", "regions", "triangles", "patches"):
        np.testing.assert_allclose(getattr(found, name), getattr(mesh, name), atol=1e-5)
    np.testing.assert_allclose(found.cell_fields["fibre"], fibre, atol=1e-6)
    assert found.cell_fields["aha"].tolist() == [7] and found.quality == mesh.quality and found.notes == mesh.notes
    assert [ring.to_dict() for ring in found.rings] == [ring.to_dict() for ring in mesh.rings]
    line = scene.GetFirstNodeByName("heart AORTIC ring")
    assert line.GetPolyData().GetNumberOfLines() == 1 and line.GetDisplayVisibility()
    np.testing.assert_allclose(line.GetPolyData().GetPoint(1), mesh.rings[1].points[1] * (-1, -1, 1), atol=1e-5)
    models.show_mesh(scene.GetFirstNodeByName("heart tetrahedra"), "transmural")
    assert not scene.GetFirstNodeByName("heart EPI").GetDisplayVisibility() and not line.GetDisplayVisibility()
    with pytest.raises(InputError, match="no rotational"):
        models.show_mesh(scene.GetFirstNodeByName("heart tetrahedra"), "rotational")
    with pytest.raises(InputError, match="no mesh of"):
        models.mesh_from_node(scene.GetFirstNodeByName("heart EPI"))


def test_helix_angle_is_positive_for_a_fibre_that_rises_counter_clockwise():
    from dataclasses import replace

    from BiVMeshLib.mrml.fibres import helix_angle_deg

    mesh = tetrahedron()

    base = mesh.nodes[mesh.patch("BASE")[0]]
    up = np.cross(base[1] - base[0], base[2] - base[0])
    up /= np.linalg.norm(up)
    outward = np.cross(up, [1.0, 0.0, 0.0])
    outward /= np.linalg.norm(outward)
    transmural = mesh.nodes @ outward
    around = np.cross(up, outward)
    for angle in (-50.0, 30.0):
        fibre = np.cos(np.radians(angle)) * around + np.sin(np.radians(angle)) * up
        for sign in (1.0, -1.0):  # a fibre has no direction of its own
            made = replace(mesh, cell_fields={"fibre": sign * fibre[None]}, point_fields={"transmural": transmural})
            assert helix_angle_deg(made)[0] == pytest.approx(angle, abs=1e-6)


FUNCTION = {
    "times_ms": [0.0, 40.0, 80.0], "lv_ml": [120.0, 60.0, 100.0], "rv_ml": [130.0, 70.0, 110.0],
    "myo_ml": [100.0, 98.0, 99.0], "ed": 0, "es": 1, "lv_edv_ml": 120.0, "lv_esv_ml": 60.0, "lv_sv_ml": 60.0,
    "lv_ef_percent": 50.0, "rv_edv_ml": 130.0, "rv_esv_ml": 70.0, "rv_sv_ml": 60.0, "rv_ef_percent": None,
    "lv_mass_g": 105.0, "lv_rate_ml_per_s": [-900.0, 0.0, 900.0], "rv_rate_ml_per_s": None,
    "circumferential_endo_percent": [0.0, -30.0, None], "circumferential_mid_percent": [0.0, -20.0, None],
    "circumferential_epi_percent": [0.0, -10.0, None], "radial_percent": [0.0, 45.0, None],
    "segments": [
        {"number": 1, "name": "basal anterior", "thickness_ed_mm": 8.04, "thickness_es_mm": None,
         "thickening_percent": None, "circumferential_endo_percent": None, "circumferential_mid_percent": None,
         "circumferential_epi_percent": None, "reason": "Why."},
    ],
}  # fmt: skip
FUNCTION |= {key: None for key, _, _ in function_tables.MEASUREMENTS if key not in FUNCTION}


def test_function_tables_and_chart(scene):
    nodes = function_tables.function_to_scene(FUNCTION, "study")
    table = nodes["volumes"].GetTable()
    assert [table.GetColumnName(c) for c in range(3)] == ["Time (ms)", "LV volume (ml)", "RV volume (ml)"]
    assert table.GetValue(1, 1).ToDouble() == 60.0
    some = function_tables.function_to_scene(FUNCTION | {"lv_ml": [None, *FUNCTION["lv_ml"][1:]]}, "part")
    assert np.isnan(some["volumes"].GetTable().GetValue(0, 1).ToDouble())  # a frame in which it is not drawn
    rows = nodes["measurements"].GetTable()
    shown = {rows.GetValue(r, 0).ToString(): rows.GetValue(r, 1).ToString() for r in range(rows.GetNumberOfRows())}
    assert shown["LV ejection fraction"] == "50.0" and shown["RV ejection fraction"] == ""
    chart = nodes["chart"]
    series = [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
    assert [s.GetYColumnName() for s in series] == ["LV volume (ml)", "RV volume (ml)"]
    assert all(s.GetTableNode() is nodes["volumes"] for s in series)
    rates = nodes["rates"]
    assert rates.GetNumberOfPlotSeriesNodes() == 1  # no RV rate
    assert rates.GetNthPlotSeriesNode(0).GetYColumnName() == "LV filling rate (ml/s)"


def test_normal_ranges_stand_in_the_table_of_measurements(scene):
    limits = {"lv_ef_percent": NormalRange(55.0, 70.0), "rv_ef_percent": NormalRange(55.0, 70.0)}
    ranges = NormalRanges(limits=limits, group="women of 40 to 49 years")
    table = function_tables.function_to_scene(FUNCTION, "study", None, ranges)["measurements"].GetTable()
    names = [table.GetColumnName(c) for c in range(table.GetNumberOfColumns())]
    assert names[-2:] == ["Normal (women of 40 to 49 years)", "Position"]
    rows = [[table.GetValue(r, c).ToString() for c in range(len(names))] for r in range(table.GetNumberOfRows())]
    shown = {row[0]: row[-2:] for row in rows}
    assert shown["LV ejection fraction"] == ["55 to 70", "below"] and shown["RV ejection fraction"] == ["", ""]


def test_segments_and_strain_stand_in_tables(scene):
    nodes = function_tables.function_to_scene(FUNCTION, "study")
    segments = nodes["segments"].GetTable()
    row = [segments.GetValue(0, c).ToString() for c in range(segments.GetNumberOfColumns())]
    assert row == ["1", "basal anterior", "8.0", "", "", "", "", "", "Why."]
    strain = nodes["strain"].GetTable()
    assert strain.GetNumberOfRows() == 2  # the last frame has none
    names = [strain.GetColumnName(c) for c in range(strain.GetNumberOfColumns())]
    assert names[0] == "Time (ms)" and names[4] == "Radial strain (%)" and strain.GetValue(1, 4).ToDouble() == 45.0
    assert nodes["strain chart"].GetNumberOfPlotSeriesNodes() == 4
    colours = {nodes["strain chart"].GetNthPlotSeriesNode(n).GetColor() for n in range(4)}
    assert len(colours) == 4


def test_what_could_not_be_had_makes_no_nodes(scene):
    without = FUNCTION | {key: None for key in FUNCTION if key.endswith("_percent") or key.endswith("_per_s")}
    nodes = function_tables.function_to_scene(without | {"segments": None}, "study")
    assert set(nodes) == {"volumes", "measurements", "chart"}


def test_colour_table_and_terminology_load_in_slicer(scene):
    import slicer

    node = slicer.vtkMRMLColorTableNode()
    storage = slicer.vtkMRMLColorTableStorageNode()
    storage.SetFileName(str(resource_path("CineHeartColors.csv")))
    assert storage.ReadData(node)
    logic = host.logic("terminologies")
    context = logic.LoadTerminologyFromFile(str(resource_path("CineHeart.term.json")))
    assert context == TERMINOLOGY_CONTEXT
    for label, structure in structures().items():
        assert node.GetColorName(label) == structure.name
        if label == 0:
            continue
        codes = f"~{'^'.join(structure.category)}~{'^'.join(structure.type)}~"
        assert codes in node.GetTerminologyAsString(label) + "~"
        entry = slicer.vtkSlicerTerminologyEntry()
        tag = structure.terminology
        assert logic.DeserializeTerminologyEntry(tag, entry)
        meaning = structure.type[2]
        assert (structure.category[2], meaning) in _offered(logic, context)
        assert entry.GetTypeObject().GetCodeMeaning() == meaning


def _offered(logic, context) -> list[tuple[str, str]]:
    """(category, type) meanings that a terminology offers for picking."""
    import slicer

    found = []
    for c in range(logic.GetNumberOfCategoriesInTerminology(context)):
        category = slicer.vtkSlicerTerminologyCategory()
        logic.GetNthCategoryInTerminology(context, c, category)
        for t in range(logic.GetNumberOfTypesInTerminologyCategory(context, category)):
            kind = slicer.vtkSlicerTerminologyType()
            logic.GetNthTypeInTerminologyCategory(context, category, t, kind)
            found.append((category.GetCodeMeaning(), kind.GetCodeMeaning()))
    return found


def test_slicers_own_scene_is_used_only_when_it_is_empty(scene, monkeypatch):
    """Inside the application (here: a stand-in) there is one scene, and what is in it belongs to the user."""
    import slicer

    monkeypatch.setattr(slicer, "app", object(), raising=False)
    with host.private_scene() as private:
        assert private is scene
        cines.cine_to_scene(make_cine("axial"), "ours")
    assert not names(scene, "vtkMRMLScalarVolumeNode") and not names(scene, "vtkMRMLSequenceNode")
    cines.cine_to_scene(make_cine("axial"), "the user's")
    with pytest.raises(InputError, match="holds data"), host.private_scene():
        pass
    assert names(scene, "vtkMRMLScalarVolumeNode") == ["the user's"]

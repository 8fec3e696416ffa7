"""scene.mrb and .seq.mrb: written, then opened again by another process."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("slicer")

from made_study import make_mesh, make_result

from CardiacLib import InputError, LabelMap
from CardiacLib.mrml.nodes.segmentations import save_segmentation_sequence
from CardiacLib.types.labels import structures
from CardiacLib.types.patient import Patient
from cineheart.scene import fill_scene, write_scene

READ_SCENE = """
import json, sys
import numpy as np
import slicer, vtk
from CardiacLib.mrml.nodes import cines, host, scenes, segmentations, sequences
from CardiacLib.mrml.panel.results import result_of

host.plain_host()
scenes.load_scene(sys.argv[1])
scene = slicer.mrmlScene

def nodes(kind):
    count = scene.GetNumberOfNodesByClass(kind)
    return [scene.GetNthNodeByClass(n, kind) for n in range(count)]

browser = nodes("vtkMRMLSequenceBrowserNode")[0]
facts = {"selected": browser.GetSelectedItemNumber(), "items": browser.GetNumberOfItems()}
facts["nodes"] = {kind: sorted(n.GetName() for n in nodes("vtkMRML" + kind + "Node")) for kind in (
    "ScalarVolume", "Segmentation", "Sequence", "SequenceBrowser", "Model", "Table", "PlotChart", "PlotSeries")}
facts["synchronised"] = browser.GetNumberOfSynchronizedSequenceNodes(True)
arrays = {}
for volume in nodes("vtkMRMLScalarVolumeNode"):
    cine = cines.cine_from_node(volume)
    key = "cine_" + cine.view
    arrays |= {key: cine.frames, key + "_matrix": cine.ijk_to_lps, key + "_times": cine.times_ms}
node = nodes("vtkMRMLSegmentationNode")[0]
facts["labels kept"] = [sorted(result_of(node).nodes), result_of(node).facts["ed"], result_of(node).facts["species"]]
tetrahedra = next((model for model in nodes("vtkMRMLModelNode") if model.GetName().endswith(" tetrahedra")), None)
facts["mesh kept"] = sorted(result_of(tetrahedra).nodes)
sax = next(v for v in nodes("vtkMRMLScalarVolumeNode") if "short axis" in v.GetName())
facts["reference is the short axis"] = node.GetNodeReference("referenceImageGeometryRef") is sax
facts["segments"] = []
for item in range(browser.GetNumberOfItems()):
    sequences.select_frame(browser, item)
    segments = [node.GetSegmentation().GetNthSegment(n) for n in range(node.GetSegmentation().GetNumberOfSegments())]
    shown = []
    for segment in segments:
        tag = vtk.reference("")
        segment.GetTag(segment.GetTerminologyEntryTagName(), tag)
        shown.append([segment.GetName(), [round(255 * c) for c in segment.GetColor()], str(tag)])
    facts["segments"].append(shown)
labelmap = segmentations.labels_from_node(node)
arrays |= {"labels": labelmap.labels, "labels_matrix": labelmap.ijk_to_lps, "labels_times": labelmap.times_ms}
for model in nodes("vtkMRMLModelNode"):
    mesh = model.GetMesh()
    if mesh is not None and "mesh" in model.GetName():
        kind = model.GetName().rsplit(" ", 1)[1]
        arrays["points_" + kind] = np.array([mesh.GetPoint(n) for n in range(mesh.GetNumberOfPoints())])
tables = {t.GetName(): t.GetTable() for t in nodes("vtkMRMLTableNode")}
volumes = next(t for name, t in tables.items() if name.endswith("volumes"))
arrays["lv_ml"] = np.array([volumes.GetValue(r, 1).ToDouble() for r in range(volumes.GetNumberOfRows())])
tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
study = tree.GetItemParent(tree.GetItemByDataNode(sax))
facts["study"] = [tree.GetItemName(study), tree.GetItemLevel(study), tree.GetItemName(tree.GetItemParent(study))]
np.savez(sys.argv[2], **arrays)
print(json.dumps(facts))
"""


def reopened(path: Path, tmp_path: Path) -> tuple[dict, dict]:
    """Facts and arrays of a scene file, read in a fresh process."""
    root = Path(__file__).parents[2]
    paths = [str(root / name) for name in ("CardiacSeg", "BiVMesh", ".")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    arrays = tmp_path / "arrays.npz"
    command = [sys.executable, "-c", READ_SCENE, str(path), str(arrays)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1]), dict(np.load(arrays))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    result = make_result(mesh=make_mesh())
    write_scene(result, folder / "scene.mrb")
    return result, *reopened(folder / "scene.mrb", folder), folder


@pytest.mark.slow
def test_only_the_scene_is_written(written):
    *_, folder = written
    assert sorted(p.name for p in folder.iterdir()) == ["arrays.npz", "scene.mrb"]


def test_the_scene_holds_each_thing_once(written):
    result, facts, _, _ = written
    name = "MADE-UP-01"
    volumes = [f"{name} 2CH", f"{name} 4CH", f"{name} short axis"]
    layers = [f"Circumferential strain, {layer}" for layer in ("endocardial", "mid-wall", "epicardial")]
    strains = [f"{name} strain {curve}" for curve in (*layers, "Radial strain")]
    assert facts["nodes"] == {
        "ScalarVolume": volumes,
        "Segmentation": [f"{name} segmentation"],
        "Sequence": sorted(f"{n} sequence" for n in [*volumes, f"{name} segmentation"]),
        "SequenceBrowser": [f"{name} browser"],
        "Model": sorted(f"{name} mesh {p}" for p in ("EPI", "ENDO_LV", "ENDO_RV", "BASE", "tetrahedra")),
        "Table": [f"{name} {table}" for table in ("measurements", "segments", "strain", "table of volumes", "volumes")],
        "PlotChart": [f"{name} strain curves", f"{name} volume-time curves"],
        "PlotSeries": sorted([*strains, f"{name} volumes LV", f"{name} volumes RV"]),
    }
    assert facts["synchronised"] == 4
    assert facts["items"] == len(result.labels.labels)
    assert facts["selected"] == result.function.ed
    assert facts["study"] == [name, "Study", name]


def test_labels_and_mesh_are_results_that_can_be_updated(written):
    result, facts, _, _ = written
    tables = ["chart", "measurements", "segments", "strain", "strain chart", "table of volumes", "volumes"]
    assert facts["labels kept"] == [sorted(["segmentation", *tables]), result.function.ed, "human"]
    assert facts["mesh kept"] == ["BASE", "ENDO_LV", "ENDO_RV", "EPI", "VOLUME"]


@pytest.mark.parametrize("view", ["sax", "2ch", "4ch"])
def test_cines_come_back_whole(written, view):
    result, _, arrays, _ = written
    cine = result.study.cines[view]
    frames, matrix = arrays[f"cine_{view}"], arrays[f"cine_{view}_matrix"]
    if np.linalg.det(matrix[:3, :3]) * np.linalg.det(cine.ijk_to_lps[:3, :3]) < 0:
        # Slicer 5.12 and later reverses the slices of a left-handed stack when it reads one.
        matrix = matrix @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, frames.shape[1] - 1], [0, 0, 0, 1]])
        frames = frames[:, ::-1]
    assert np.array_equal(frames, cine.frames)
    assert np.allclose(matrix, cine.ijk_to_lps, atol=1e-4)
    assert np.array_equal(arrays[f"cine_{view}_times"], cine.times_ms)


def test_labels_come_back_whole(written):
    result, facts, arrays, _ = written
    assert np.array_equal(arrays["labels"], result.labels.labels)
    assert np.allclose(arrays["labels_matrix"], result.labels.ijk_to_lps, atol=1e-4)
    assert np.array_equal(arrays["labels_times"], result.labels.times_ms)
    assert facts["reference is the short axis"]


def test_every_frame_has_names_colours_and_codes(written):
    _, facts, _, _ = written
    for shown in facts["segments"]:
        assert [name for name, _, _ in shown] == ["LV blood pool", "LV myocardium", "RV blood pool"]
        for (_, colour, tag), label in zip(shown, (1, 2, 3), strict=True):
            assert tuple(colour) == structures()[label].rgb
            assert f"~{'^'.join(structures()[label].type)}~" in tag


def test_mesh_and_table_come_back(written):
    result, _, arrays, _ = written
    ras = result.mesh.nodes * [-1, -1, 1]
    assert np.allclose(arrays["points_tetrahedra"], ras, atol=1e-3)
    face = result.mesh.nodes[np.unique(result.mesh.patch("BASE"))] * [-1, -1, 1]
    assert np.allclose(np.sort(arrays["points_BASE"], axis=0), np.sort(face, axis=0), atol=1e-3)
    assert np.allclose(arrays["lv_ml"], result.function.lv.volume_ml, rtol=1e-5)


def test_one_frame_without_mesh(tmp_path):
    from CardiacLib.mrml.nodes.host import private_scene
    from CardiacLib.mrml.nodes.scenes import load_scene

    write_scene(make_result(n_frames=1, patient=Patient()), tmp_path / "still.mrb")
    with private_scene() as scene:
        load_scene(tmp_path / "still.mrb")
        assert scene.GetNumberOfNodesByClass("vtkMRMLSequenceNode") == 0
        assert scene.GetFirstNodeByName("made-up segmentation").GetSegmentation().GetNumberOfSegments() == 3


def test_segmentation_sequence_file(tmp_path):
    from CardiacLib.mrml.nodes.host import logic, private_scene
    from CardiacLib.mrml.nodes.segmentations import labels_from_node

    labelmap = make_result(n_frames=3).labels
    path = tmp_path / "segmentation.seq.mrb"
    save_segmentation_sequence(labelmap, path)
    with private_scene() as scene:
        sequence = logic("sequences").AddSequence(str(path))
        assert (sequence.GetIndexName(), sequence.GetIndexUnit()) == ("time", "ms")
        assert [float(sequence.GetNthIndexValue(n)) for n in range(3)] == pytest.approx(labelmap.times_ms, abs=1e-5)
        for frame in range(3):
            node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "copy")
            node.CopyContent(sequence.GetNthDataNode(frame))
            back = labels_from_node(node)
            assert np.array_equal(back.labels[0], labelmap.labels[frame])
            assert np.allclose(back.ijk_to_lps, labelmap.ijk_to_lps, atol=1e-4)


def test_wrong_names_are_refused(tmp_path):
    labelmap = make_result(n_frames=2).labels
    with pytest.raises(InputError, match=r"must be named \.seq\.mrb"):
        save_segmentation_sequence(labelmap, tmp_path / "labels.nrrd")
    one = LabelMap(labelmap.labels[:1], labelmap.ijk_to_lps, labelmap.times_ms[:1])
    with pytest.raises(InputError, match="one frame is no sequence"):
        save_segmentation_sequence(one, tmp_path / "one.seq.mrb")
    assert not list(tmp_path.iterdir())


def test_a_broken_scene_file_is_one_sentence(tmp_path):
    from CardiacLib.mrml.nodes.host import private_scene
    from CardiacLib.mrml.nodes.scenes import load_scene

    (tmp_path / "broken.mrb").write_bytes(b"PK no scene")
    folder = Path.cwd()
    with private_scene(), pytest.raises(InputError, match=r"broken\.mrb: not a readable MRML scene bundle"):
        load_scene(tmp_path / "broken.mrb")
    assert Path.cwd() == folder
    with pytest.raises(InputError, match="no such file"):
        load_scene(tmp_path / "none.mrb")


def test_volumes_of_an_animal_have_its_unit():
    from CardiacLib.mrml.nodes.host import private_scene

    result = make_result(n_frames=2, patient=Patient())
    mouse = replace(result.segmented, function=replace(result.function, species="mouse"))
    with private_scene():
        table = fill_scene(replace(result, segmented=mouse), "mouse")["table of volumes"].GetTable()
        titles = [table.GetColumnName(n) for n in range(table.GetNumberOfColumns())]
    assert "EDV (µl)" in titles and "EDV (ml)" not in titles

"""The base of slice propagation at the valve points of a frame, and labels of one frame beside a cine of several."""

import json
from dataclasses import replace

import numpy as np
import pytest

from BiVMeshLib.propagation import PropagationOptions, SlicePropagation
from BiVMeshLib.propagation.base_slice import base_at_valves
from BiVMeshLib.propagation.isotropic import SPACING
from CardiacLib import geometry
from CardiacLib.errors import InputError
from CardiacLib.phantom import PhantomOptions, make_phantom
from CardiacLib.readers import read_labels
from CardiacLib.types.choices import RunsOn
from CardiacLib.types.landmarks import LANDMARK_NAMES, LANDMARK_VIEWS
from CardiacLib.writers.images import write_cine, write_labels
from cineheart.cli import main


@pytest.fixture(scope="module")
def phantom():
    """The little heart in four frames, so that there are labels of one, of three and of all."""
    return make_phantom(PhantomOptions.small(n_frames=4, sax_size=72, lv_edv_ml=75.0, rv_edv_ml=80.0, wall_mm=8.0))


@pytest.fixture(scope="module")
def networks():
    return SlicePropagation(RunsOn("cpu"))


def true_place(phantom, frame: int, matrix: np.ndarray) -> float:
    """Slice, with fractions, of the phantom's LV axis in its own valve plane."""
    axis = [0.0, 0.0, phantom.motion.shapes[frame].base[0]]
    return float(geometry.index_of(matrix, geometry.apply(phantom.heart_to_lps, axis))[2])


def turned(stack, matrix):
    """Slices (..., K, J, I) in the other order, and their matrix."""
    other = matrix.copy()
    other[:3, 3] += matrix[:3, 2] * (stack.shape[-3] - 1)
    other[:3, 2] *= -1
    return np.ascontiguousarray(stack[..., ::-1, :, :]), other


@pytest.mark.parametrize("phase", ["ed", "es"])
def test_the_base_is_where_the_phantoms_labels_stop(phantom, phase):
    frame = getattr(phantom, phase)
    labels, matrix = phantom.labels.labels[frame], phantom.labels.ijk_to_lps
    points = phantom.landmarks.points[frame]
    found = base_at_valves(labels, matrix, points)
    assert found.apex_first and found.base_slice == int(found.place)
    gap = geometry.spacing_of(matrix)[2]
    assert abs(found.place - true_place(phantom, frame, matrix)) * gap < 2.5  # mm
    assert labels[found.base_slice].any()
    other, its_matrix = turned(labels, matrix)
    back = base_at_valves(other, its_matrix, points)
    assert not back.apex_first and back.base_slice == len(labels) - 1 - found.base_slice
    assert back.place == pytest.approx(found.place)


def test_labels_without_a_closed_ring_or_with_too_many_slices_do_not_matter(phantom):
    """Neither walls that are open nor labels that go on over the valves move the base."""
    labels, matrix = phantom.labels.labels[phantom.ed], phantom.labels.ijk_to_lps
    points = phantom.landmarks.points[phantom.ed]
    place = base_at_valves(labels, matrix, points).place
    over = labels.copy()
    last = int(np.flatnonzero((labels == 1).any((1, 2)))[-1])
    over[last + 1 :] = np.roll(over[last], (4, -6), (0, 1))  # an atrium
    assert abs(base_at_valves(over, matrix, points).place - place) < 0.3
    open_ = np.where((labels == 2) & (np.arange(labels.shape[2]) > 48), 0, labels).astype(np.uint8)
    assert abs(base_at_valves(open_, matrix, points).place - place) < 0.3


ELSEWHERE = {
    "one point": (lambda p: np.where(np.arange(10)[:, None] == 4, p, np.nan), "has 1"),
    "no point": (lambda p: p * np.nan, "has 0"),
    "other place": (lambda p: p + (90.0, 70.0, 60.0), "do not lie at the base of these labels"),
}


@pytest.mark.parametrize("case", ELSEWHERE)
def test_points_of_another_heart_are_one_sentence(phantom, case):
    change, message = ELSEWHERE[case]
    points = change(phantom.landmarks.points[phantom.ed])
    with pytest.raises(InputError, match=message):
        base_at_valves(phantom.labels.labels[phantom.ed], phantom.labels.ijk_to_lps, points)


def test_a_stack_that_ends_below_the_valves_says_so(phantom):
    frame, matrix = phantom.ed, phantom.labels.ijk_to_lps
    whole = base_at_valves(phantom.labels.labels[frame], matrix, phantom.landmarks.points[frame])
    short = phantom.labels.labels[frame, : whole.base_slice + 1]
    found = base_at_valves(short, matrix, phantom.landmarks.points[frame])
    assert found.base_slice == len(short) - 1 and "nothing is labelled above it" in found.note
    assert "nothing" not in whole.note


@pytest.mark.slow
@pytest.mark.parametrize("source", ["labels", "network"])
def test_propagation_ends_at_the_valves(phantom, networks, source):
    """To a slice of 1.25 mm and, with the networks' own labels, 2 more; the chosen base wins."""
    cine, frame = phantom.cines["sax"], phantom.ed
    labels = phantom.labels if source == "labels" else None
    points = phantom.landmarks.points[frame]
    found = networks(cine, frame, labels, valves=points)
    true = true_place(phantom, frame, found.labels.ijk_to_lps)
    assert abs(found.base - true) * SPACING < 3.0
    held = np.flatnonzero((found.labels.labels[0] == 1).any((1, 2)))
    assert held[-1] == found.base
    assert any("plane of 8 valve points" in note for note in found.notes)
    if source == "labels":
        chosen = networks(cine, frame, labels, PropagationOptions(base_slice=found.base_slice - 2), valves=points)
        assert chosen.base_slice == found.base_slice - 2 and chosen.base < found.base - 5
        assert not any("valve points" in note for note in chosen.notes)


@pytest.mark.slow
def test_a_turned_stack_ends_there_too(phantom, networks):
    cine, labels, frame = phantom.cines["sax"], phantom.labels, phantom.ed
    frames, matrix = turned(cine.frames, cine.ijk_to_lps)
    other = cine.with_changes(frames=frames, ijk_to_lps=matrix)
    drawn = replace(labels, labels=turned(labels.labels, matrix)[0], ijk_to_lps=matrix)
    points = phantom.landmarks.points[frame]
    one, two = networks(cine, frame, labels, valves=points), networks(other, frame, drawn, valves=points)
    np.testing.assert_array_equal(one.labels.labels, two.labels.labels[:, ::-1])
    assert one.base == one.labels.labels.shape[1] - 1 - two.base


def test_confidence_is_of_images(phantom, networks):
    """None beyond the last apical image, where labels come of shape, nor where there is no myocardium."""
    cine, labels = phantom.cines["sax"], phantom.labels
    first = int(np.flatnonzero((labels.labels[phantom.ed] == 1).any((1, 2)))[0]) + 1
    matrix = cine.ijk_to_lps.copy()
    matrix[:3, 3] += matrix[:3, 2] * first
    short = cine.with_changes(frames=cine.frames[:, first:], ijk_to_lps=matrix)
    drawn = replace(labels, labels=labels.labels[:, first:], ijk_to_lps=matrix)
    found = networks.on_grid(short, phantom.ed, drawn)
    muscle = np.isin(found.labels, (2, 4)).any((1, 2))
    beyond = found.grid.stack_slices() < -1e-6
    assert (muscle & beyond).any()
    np.testing.assert_array_equal(np.isfinite(found.confidence), muscle & ~beyond)


# On the command line


@pytest.fixture(scope="module")
def files(phantom, tmp_path_factory):
    """The phantom's short axis, labels of all frames, of ES alone and of three frames, and its valve points."""
    folder, labels = tmp_path_factory.mktemp("files"), phantom.labels
    write_cine(folder / "sax.nii.gz", phantom.cines["sax"])
    write_labels(folder / "labels.nii.gz", labels)
    for name, frames in (("es", slice(phantom.es, phantom.es + 1)), ("three", slice(0, 3))):
        part = replace(labels, labels=labels.labels[frames], times_ms=labels.times_ms[frames])
        write_labels(folder / f"{name}.nii.gz", part)
    for name, points in (("landmarks", phantom.landmarks.points), ("two", phantom.landmarks.points[:2])):
        write_landmarks(folder / f"{name}.json", points)
    return folder


def write_landmarks(path, points):
    """A ``landmarks.json`` of (T, 10, 3) points."""
    frames = []
    for t, frame in enumerate(points):
        entries = {
            name: {"lps_mm": p.tolist(), "view": view, "confidence": 1.0}
            for name, view, p in zip(LANDMARK_NAMES, LANDMARK_VIEWS, frame, strict=True)
        }
        frames.append({"time_ms": 40.0 * t, "points": entries})
    path.write_text(json.dumps({"space": "LPS", "frames": frames}), encoding="utf-8")


@pytest.mark.slow
def test_labels_of_one_frame_are_those_of_the_frame_that_is_named(files, phantom, tmp_path, read_json):
    words = ["propagate", str(files / "sax.nii.gz"), "--landmarks", str(files / "landmarks.json")]
    for name, frame in (("labels", "es"), ("es", str(phantom.es))):
        given = ["--labels", str(files / f"{name}.nii.gz"), "--frame", frame, "-o", str(tmp_path / name)]
        assert main([*words, *given]) == 0
    one, two = (read_labels(tmp_path / name / "labels.nii.gz") for name in ("labels", "es"))
    np.testing.assert_array_equal(one.labels, two.labels)
    stated = read_json(tmp_path / "es" / "propagation.json")
    assert stated["frame_index"] == phantom.es and any("8 valve points" in note for note in stated["notes"])


def test_what_does_not_belong_together_is_one_sentence(files, tmp_path, capsys):
    sax, out = str(files / "sax.nii.gz"), ["-o", str(tmp_path / "out")]
    es, three, all_ = (["--labels", str(files / f"{name}.nii.gz")] for name in ("es", "three", "labels"))
    two = ["--landmarks", str(files / "two.json")]
    which = "say with --frame 0 to 3 which of them is labelled"
    for words, sentence in (
        (["propagate", sax, *out, *es], which),
        (["propagate", sax, *out, *es, "--frame", "es"], which),
        (["mesh", es[1], *out, "--propagate", sax], which),
        (["propagate", sax, *out, *three, "--frame", "2"], "has 3 frames"),
        (["propagate", sax, *out, "--frame", "²"], "neither a phase"),
        (["propagate", sax, *out, "--frame", "-1"], "frames 0 to 3"),
        (["propagate", sax, *out, *all_, *two], "valve points of 2 frames"),
        (["mesh", str(files), *out, "--start-slice", "3"], "--propagate IMAGE, which is missing"),
        (["mesh", str(files), *out, "--propagate", sax], "belongs to one label map"),
    ):
        assert main(words) == 2, words
        said = capsys.readouterr().err.strip()
        assert sentence in said and len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_mesh_of_one_labelled_frame_up_to_its_valves(files, phantom, rough_meshes, tmp_path, read_json):
    words = ["mesh", str(files / "es.nii.gz"), "-o", str(tmp_path / "out"), "--propagate", str(files / "sax.nii.gz")]
    words += ["--frame", str(phantom.es), "--landmarks", str(files / "landmarks.json")]
    assert main([*words, "--no-fibres", "--no-coordinates", "--edge-length", "4"]) == 0
    quality = read_json(tmp_path / "out" / "quality.json")
    assert quality["base_from"] == "valve points"
    truth = float(phantom.volumes["lv"][phantom.es])
    assert quality["lv_pool_ml"] == pytest.approx(truth, rel=0.1)

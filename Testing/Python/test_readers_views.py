"""Views from geometry: synthetic hearts in many poses, in any acquisition frame, and the real study."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from dicom_factory import write_planes

from CardiacLib import Cine, InputError
from CardiacLib.readers import read_study
from CardiacLib.readers.view.heart import find_heart
from CardiacLib.readers.view.views import LongAxisPlane, decide_views, named_view
from CardiacLib.writers.images import write_cine

DATA = Path(os.environ.get("CINEHEART_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
SIX_SLICES = 6


@dataclass
class SyntheticHeart:
    """A heart of simple shapes: where its axis, its roll and its planes are is known by construction."""

    center: np.ndarray
    apex: np.ndarray
    septal: np.ndarray
    """Unit vector from the LV centre to the middle of the septum."""

    def around(self, degrees: float) -> np.ndarray:
        """Unit vector in the short-axis plane, turned from the septal direction about the apex direction."""
        angle = np.radians(degrees)
        return np.cos(angle) * self.septal + np.sin(angle) * np.cross(self.apex, self.septal)

    def plane(self, view: str, jitter: float = 0.0, shift_mm: float = 0.0, hint: str = "") -> LongAxisPlane:
        """AHA model: seen from the apex 4CH cuts the septum 30 degrees to its inferior side, 3CH to its anterior."""
        inferior = self.around(90) if self.around(90)[2] < 0 else self.around(-90)
        sense = 1.0 if inferior @ self.around(90) > 0 else -1.0
        turn = {"4ch": 30.0, "3ch": -30.0, "2ch": 90.0, "rv2ch": 85.0, "rvot": 70.0}[view]
        line = self.around(sense * turn + jitter)
        along = self.apex + (0.35 * line if view == "rvot" else 0.0)
        normal = np.cross(line, along) if view != "rvot" else np.cross(line, self.apex) + 0.4 * self.apex
        normal /= np.linalg.norm(normal)
        offset = {"rv2ch": 42.0, "rvot": 30.0}.get(view, 0.0)
        return LongAxisPlane(self.center + offset * self.septal + shift_mm * normal, normal, hint)


def pose(tilt=(0.0, 0.0), roll=0.0) -> SyntheticHeart:
    """A heart turned from a typical one: axis by tilt degrees in two directions, septum by roll degrees."""
    apex = np.array([0.6, -0.55, -0.58])
    apex = apex / np.linalg.norm(apex)
    side = np.cross(apex, [0, 0, 1.0])
    side /= np.linalg.norm(side)
    apex = apex + np.tan(np.radians(tilt[0])) * side + np.tan(np.radians(tilt[1])) * np.cross(apex, side)
    apex /= np.linalg.norm(apex)
    right = np.array([-1.0, 0, 0]) + apex[0] * apex
    right /= np.linalg.norm(right)
    heart = SyntheticHeart(np.array([15.0, 8.0, -50.0]), apex, right)
    # The septum looks to the right and somewhat to the front.
    front = 25.0 if heart.around(25)[1] < heart.around(-25)[1] else -25.0
    heart.septal = heart.around(front + roll)
    return heart


def short_axis(heart: SyntheticHeart, spin: float = 0.0, left_handed: bool = False, seed: int = 0) -> Cine:
    """Short-axis cine (12, 6, 96, 96): LV disc in a dark wall, RV crescent, still body around, noise."""
    across = heart.around(spin)
    down = np.cross(heart.apex, across)
    spacing, gap, n = 2.2, 10.0, 96
    matrix = np.eye(4)
    sign = -1.0 if left_handed else 1.0
    matrix[:3, :3] = np.column_stack([across * spacing, down * spacing, -sign * heart.apex * gap])
    matrix[:3, 3] = heart.center - matrix[:3, :3] @ [(n - 1) / 2 + 5, (n - 1) / 2 - 7, 2.5]
    j, i = np.mgrid[:n, :n]
    points = np.einsum("ab,bji->jia", matrix[:3, :2], np.stack([i, j])) + matrix[:3, 3] - heart.center
    x, y = points @ heart.septal, points @ np.cross(heart.apex, heart.septal)
    rng = np.random.default_rng(seed)
    body = 60 + 40 * np.sin(x / 17.0 + 1) * np.cos(y / 23.0)
    frames = np.empty((12, SIX_SLICES, n, n), np.float32)
    for t in range(12):
        squeeze = 0.5 - 0.5 * np.cos(2 * np.pi * t / 12)
        for k in range(SIX_SLICES):
            size = 1.0 - 0.07 * abs(k - 3)
            r = np.hypot(x, y)
            image = body.copy()
            rv = (np.hypot(x - 22, y) < (40 - 6 * squeeze) * size) & (x > 5)
            image[rv] = 230
            image[r < (33 - 1.5 * squeeze) * size] = 45
            image[r < (24 - 7 * squeeze) * size] = 250
            frames[t, k] = image + rng.normal(0, 8, image.shape)
    return Cine(frames, matrix, np.arange(12) * 75.0, "sax")


POSES = [((0, 0), 0), ((15, -12), 15), ((-18, 10), -18), ((10, 18), 20), ((-12, -15), -10)]


@pytest.mark.parametrize(("tilt", "roll"), POSES)
@pytest.mark.parametrize(("spin", "left_handed"), [(0.0, False), (140.0, False), (250.0, True)])
def test_synthetic_hearts_in_many_poses(tilt, roll, spin, left_handed):
    heart = pose(tilt, roll)
    cine = short_axis(heart, spin, left_handed, seed=int(spin))
    poses = find_heart(cine)
    found = poses[0]
    assert np.linalg.norm(np.cross(found.lv_center - heart.center, heart.apex)) < 5.0
    assert found.apex_direction @ heart.apex > 0.99
    assert found.rv_direction @ heart.septal > 0.85
    wanted = ["rv2ch", "4ch", "rvot", "2ch", "3ch"]
    jitter = np.random.default_rng(int(spin)).uniform(-8, 8, len(wanted))
    planes = [heart.plane(view, j, shift_mm=0.5 * j) for view, j in zip(wanted, jitter, strict=True)]
    decided = [d.view for d in decide_views(planes, poses)]
    assert decided == ["other", "4ch", "other", "2ch", "3ch"]


@pytest.mark.parametrize("missing", ["2ch", "3ch", "4ch"])
def test_a_missing_view_does_not_move_the_others(missing):
    heart = pose((5, -5), 8)
    found = find_heart(short_axis(heart, 30.0))
    views = [view for view in ("2ch", "3ch", "4ch") if view != missing]
    decided = [d.view for d in decide_views([heart.plane(v) for v in views] + [heart.plane("rv2ch")], found)]
    assert decided == [*views, "other"]


def test_wrong_names_do_not_win_and_names_decide_between_equals():
    heart = pose()
    found = find_heart(short_axis(heart))
    planes = [
        heart.plane("4ch", shift_mm=1.0, hint="cine 4CH"),
        heart.plane("3ch", hint="cine 4CH"),
        heart.plane("rv2ch", hint="cine 2CH"),
        heart.plane("4ch", shift_mm=-1.0, hint="cine"),
    ]
    assert [d.view for d in decide_views(planes, found)] == ["4ch", "3ch", "other", "other"]


@pytest.mark.parametrize(
    ("name", "view"),
    [
        ("cine_trufi_4CH", "4ch"),
        ("lax_2ch", "2ch"),
        ("CINE 3 chamber", "3ch"),
        ("four chamber", "4ch"),
        ("sax_cine", "sax"),
        ("cine_RVOT", "other"),
        ("RV 2ch", "other"),
        ("t1_localizer", None),
        ("2ch and 4ch", None),
    ],
)
def test_names(name, view):
    assert named_view(name) == view


def write_image_study(folder, heart, names):
    """Short axis and noise planes of the given views as NIfTI, named as asked."""
    folder.mkdir(parents=True)
    write_cine(folder / "sax_cine.nii.gz", short_axis(heart))
    frames = np.random.default_rng(1).integers(0, 500, (12, 1, 40, 40)).astype(np.float32)
    for name, view in names.items():
        plane = heart.plane(view)
        matrix = np.eye(4)
        along = np.cross(plane.normal, heart.apex)
        along /= np.linalg.norm(along)
        matrix[:3, 0], matrix[:3, 1] = 3.0 * along, 3.0 * np.cross(plane.normal, along)
        matrix[:3, 2] = 6.0 * plane.normal
        matrix[:3, 3] = plane.point - matrix[:3, :2] @ [19.5, 19.5]
        write_cine(folder / name, Cine(frames, matrix, np.arange(12) * 75.0))


def test_image_folder_views_by_geometry_notes_and_overrides(tmp_path):
    heart = pose((6, 4), -5)
    names = {"lax_4ch.nii.gz": "3ch", "a.nii.gz": "4ch", "b.nii.gz": "2ch", "rv.nii.gz": "rv2ch"}
    write_image_study(tmp_path / "study", heart, names)
    study = read_study(tmp_path / "study")
    sources = {view: Path(cine.source).name for view, cine in study.cines.items() if view != "sax"}
    assert sources == {"3ch": "lax_4ch.nii.gz", "4ch": "a.nii.gz", "2ch": "b.nii.gz"}
    assert any("rv.nii.gz" in reason for reason in study.left_out)
    assert any("named 4ch, but its plane is 3ch" in note for note in study.notes)
    forced = read_study(tmp_path / "study", views={"rv.nii.gz": "2ch", "a": "other"})
    assert Path(forced.cines["2ch"].source).name == "rv.nii.gz"
    assert "4ch" not in forced.cines or Path(forced.cines["4ch"].source).name != "a.nii.gz"
    with pytest.raises(InputError, match="no series or file is called so"):
        read_study(tmp_path / "study", views={"nothing": "2ch"})
    with pytest.raises(InputError, match="'5ch' is no view"):
        read_study(tmp_path / "study", views={"a": "5ch"})


def test_an_axial_stack_is_not_taken_for_the_short_axis(tmp_path):
    heart = pose()
    cine = short_axis(heart)
    write_planes(tmp_path / "sax", cine.frames, cine.ijk_to_lps, cine.times_ms, number=1)
    axial = np.diag([2.2, 2.2, 8.0, 1.0])
    axial[:3, 3] = heart.center - axial[:3, :3] @ [47.5, 47.5, 4.5]
    frames = np.random.default_rng(0).integers(0, 500, (12, 10, 96, 96)).astype(np.float32)
    write_planes(tmp_path / "axial", frames, axial, cine.times_ms, number=2)
    study = read_study(tmp_path)
    assert study.cines["sax"].n_slices == SIX_SLICES
    assert any("(axial)" in reason for reason in study.left_out)


real_study = pytest.mark.skipif(not (DATA / "study").is_dir(), reason="development data not there")


@pytest.mark.slow
@real_study
def test_real_study_from_dicom_and_nifti_agree_exactly():
    dicom, nifti = read_study(DATA / "study" / "dicom"), read_study(DATA / "study" / "nifti")
    assert set(dicom.cines) == set(nifti.cines) == {"sax", "2ch", "3ch", "4ch"}
    assert dicom.cines["sax"].frames.shape[:2] == (25, SIX_SLICES)
    for view, truth in nifti.cines.items():
        assert view in truth.source
        np.testing.assert_array_equal(dicom.cines[view].frames, truth.frames)
        np.testing.assert_allclose(dicom.cines[view].ijk_to_lps, truth.ijk_to_lps, atol=1e-3)
        np.testing.assert_allclose(dicom.cines[view].times_ms, truth.times_ms, atol=0.01)
    assert any("named 4ch, but its plane is 3ch" in note for note in dicom.notes)
    assert sum("RVOT" in r or "2CH" in r for r in dicom.left_out) == len(dicom.left_out) == 2

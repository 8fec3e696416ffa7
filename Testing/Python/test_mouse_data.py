"""Animals in HDF5: the published layout, its transposed variants, and files that do not fit."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

from CardiacLib.datasets.mouse.hdf5 import Animal, animal_files, read_animal, write_animal
from CardiacLib.datasets.mouse.phantoms import MiceOptions, write_mice
from CardiacLib.errors import InputError
from CardiacLib.phantom.mouse import MouseOptions, make_mouse
from CardiacLib.readers.cases import read_one_image
from CardiacLib.types.labels import LV, MYO


def arrays(slices=9, frames=20, size=48):
    """Images and masks in the published order: (row, column, slice, frame)."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 900, (size, size, slices, frames)).astype(np.uint16)
    masks = np.zeros_like(images)
    masks[10:30, 12:30, 2:7, [0, 8]] = 1
    masks[15:25, 16:26, 2:7, [0, 8]] = 2
    return images, masks


def write(path, images, masks=None, drawn=None, axes=(0, 1, 2, 3)):
    with h5py.File(path, "w") as file:
        file["Images"] = images.transpose(axes)
        if masks is not None:
            file["Masks"] = masks.transpose(axes)
        if drawn is not None:
            file["Frames_with_ROI"] = np.asarray(drawn)
    return path


@pytest.mark.parametrize(
    "axes", [(0, 1, 2, 3), (0, 1, 3, 2), (3, 2, 1, 0), (2, 3, 0, 1), (2, 0, 1, 3)], ids=lambda a: "".join(map(str, a))
)
def test_transposed_variants_are_told_by_shape(tmp_path, axes):
    images, masks = arrays()
    found = read_animal(write(tmp_path / "m.h5", images, masks, [0, 8], axes))
    assert np.array_equal(found.cine.frames, images.transpose(3, 2, 0, 1))
    assert found.drawn == (0, 8) and found.cine.spacing.round(6).tolist() == [0.1, 0.1, 1.0]
    assert np.array_equal(found.labels.labels == LV, masks.transpose(3, 2, 0, 1) == 2)
    assert np.array_equal(found.labels.labels == MYO, masks.transpose(3, 2, 0, 1) == 1)
    assert any("voxel size" in note for note in found.cine.notes)


@pytest.mark.parametrize("drawn", [[0, 8], [1, 9], np.isin(np.arange(20), [0, 8]), None])
def test_frames_are_counted_from_0_or_1_or_marked(tmp_path, drawn):
    assert read_animal(write(tmp_path / "m.h5", *arrays(), drawn)).drawn == (0, 8)


def test_written_is_read(tmp_path):
    mouse = make_mouse(MouseOptions(n_frames=4, n_slices=3, size=48, pixel_mm=0.25))
    animal = Animal("a", mouse.cine, mouse.labels, (mouse.ed, mouse.es), "healthy", synthetic=True)
    write_animal(tmp_path / "a.h5", animal)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["Images"].shape == file["Masks"].shape == (48, 48, 3, 4) and file["Images"].dtype == np.uint16
        assert set(np.unique(file["Masks"])) == {0, 1, 2}
    found = read_animal(tmp_path / "a.h5")
    assert np.array_equal(found.cine.frames, mouse.cine.frames) and found.group == "healthy"
    assert np.allclose(found.cine.spacing, mouse.cine.spacing) and np.allclose(found.cine.times_ms, mouse.cine.times_ms)
    assert np.array_equal(found.labels.labels[mouse.es], mouse.labels.labels[mouse.es])
    assert found.cine.patient.heart_rate_bpm == 480.0 and found.cine.notes == () and found.synthetic
    write_animal(tmp_path / "b.h5", replace(animal, cine=mouse.cine.only([0, 2]), labels=None))
    assert read_one_image(tmp_path / "b.h5").patient.heart_rate_bpm == 480.0  # not as if two frames were a beat


IMAGES, MASKS = arrays()
WRONG = {
    "no such array": (lambda p: h5py.File(p, "w").create_dataset("Bilder", data=IMAGES), "no array 'Images'"),
    "no HDF5": (lambda p: p.write_text("Images"), "no readable HDF5"),
    "three axes": (lambda p: write(p, IMAGES[..., 0], axes=(0, 1, 2)), "row x column x slice x frame"),
    "no square image": (lambda p: write(p, IMAGES[:40]), "does not tell which axes"),
    "masks of another shape": (lambda p: write(p, IMAGES, MASKS[..., :5]), "not that of 'Images'"),
    "other labels": (lambda p: write(p, IMAGES, MASKS + 3 * (MASKS == 2)), "holds the value 5"),
    "drawn frames without masks": (lambda p: write(p, IMAGES, MASKS, [3, 5]), "names the frames 3, 5"),
    "text": (lambda p: write(p, np.full((9, 9, 2, 2), b"x")), "not numbers"),
    "not finite": (lambda p: write(p, np.where(MASKS == 2, np.nan, 1.0)), "no finite numbers"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_files_are_refused_in_one_sentence(tmp_path, kind):
    make, message = WRONG[kind]
    made = make(tmp_path / "m.h5")
    if isinstance(made, h5py.Dataset):
        made.file.close()
    with pytest.raises(InputError, match=message) as refused:
        read_animal(tmp_path / "m.h5")
    assert str(refused.value).startswith(str(tmp_path)) and str(refused.value).count("\n") == 0


def test_folder_without_animals(tmp_path):
    with pytest.raises(InputError, match="holds no HDF5 files"):
        animal_files(tmp_path)


def test_mice_of_the_same_seed_are_the_same(tmp_path, monkeypatch):
    small = {"size": 48, "pixel_mm": 0.25, "n_slices": 4}
    drawn = MouseOptions.drawn
    monkeypatch.setattr(MouseOptions, "drawn", classmethod(lambda cls, seed, **k: drawn(seed, **(small | k))))
    options = MiceOptions(count=1, seed=3, labelled_only=True)
    paths = [write_mice(tmp_path / name, options)[0] for name in ("a", "b")]
    first, second = (read_animal(path) for path in paths)
    assert np.array_equal(first.cine.frames, second.cine.frames) and first.cine.n_frames == 2


@pytest.mark.slow
def test_infarct_thins_the_wall_and_lowers_the_ejection_fraction():
    options = {"n_frames": 2, "size": 72, "pixel_mm": 0.2, "n_slices": 8, "breathing": 0.0, "flow": 0.0}
    healthy, infarct = (make_mouse(MouseOptions(infarct_deg=angle, **options)) for angle in (0.0, 120.0))
    for mouse in (healthy, infarct):  # the labels hold what the shapes do
        voxels = (mouse.labels.labels == LV).sum((1, 2, 3)) * mouse.labels.voxel_ml * 1000
        assert np.allclose(voxels, mouse.lv_ul, rtol=0.06, atol=1.5)
    assert healthy.summary()["lv_ef_percent"] == pytest.approx(60.0, abs=0.1)
    assert infarct.summary()["lv_ef_percent"] < 54.0
    assert infarct.myo_ul[0] < healthy.myo_ul[0]

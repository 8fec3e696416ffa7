"""Training images of the long-axis network: cut-out hearts, clutter, and real and synthetic hearts mixed."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, gaussian_filter

from CardiacLandmarksLib.train.clutter import clutter, rough
from CardiacLandmarksLib.train.data import LongAxisData
from CardiacLandmarksLib.train.examples import ABSENT, CANVAS, PRESENT, UNKNOWN_VIEW, VIEWS, Cutouts
from CardiacLandmarksLib.train.four_chamber import MITRAL, read_cutouts, read_four_chamber
from CardiacLandmarksLib.train.mixing import RECIPES, SIDES, VIEW_SHARES, Around, Mixer, some_widened
from CardiacLandmarksLib.train.synthesis import synthetic_corpus, synthetic_hearts
from CardiacLandmarksLib.train.trainer import landmark_sources
from CardiacLib.errors import InputError
from CardiacLib.types.landmarks import LANDMARK_NAMES, LANDMARK_VIEWS


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A folder with one synthetic heart."""
    folder = tmp_path_factory.mktemp("corpus")
    synthetic_corpus(folder, 1)
    return folder


@pytest.fixture(scope="module")
def drawn() -> Cutouts:
    return synthetic_hearts(5)


@pytest.fixture(scope="module")
def real() -> Cutouts:
    """Stands for real frames: a four-chamber heart of the phantom, with an LV cavity drawn by hand."""
    frames = synthetic_hearts(9)
    frames = frames.where(frames.examples.view == VIEWS.index("4ch"))
    cover = np.zeros_like(frames.cover)
    rows, columns = np.mgrid[:CANVAS, :CANVAS]
    for n, (apex, points) in enumerate(zip(frames.apex, frames.examples.points, strict=True)):
        middle, width = points[list(MITRAL)].mean(0), np.linalg.norm(np.diff(points[list(MITRAL)], axis=0)) / 2
        axis = (middle - apex) / np.linalg.norm(middle - apex)
        height = (rows - middle[0]) * axis[0] + (columns - middle[1]) * axis[1]
        side = (rows - middle[0]) * axis[1] - (columns - middle[1]) * axis[0]
        length = np.linalg.norm(middle - apex)
        cover[n] = 255 * ((height < 0) & (np.hypot(height / length, side / width) < 1.0))
    state = np.where(np.isfinite(frames.examples.points[..., 0]), PRESENT, 0).astype(np.uint8)
    view = np.full(len(frames), UNKNOWN_VIEW, np.uint8)
    doubt = np.where(state == PRESENT, 0.3, 0.0).astype(np.float32)
    return Cutouts(replace(frames.examples, state=state, view=view, doubt=doubt), frames.apex, cover)


def at(images: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Pixels (N,) of images (N, H, W) nearest to points (N, 2)."""
    rows, columns = np.rint(points).astype(int).T
    return images[np.arange(len(images)), rows, columns]


@pytest.mark.slow
def test_the_cover_is_the_heart(drawn):
    for view in VIEWS[:-1]:
        own = drawn.where(drawn.examples.view == VIEWS.index(view))
        points = own.examples.points[:, [v == view for v in LANDMARK_VIEWS]]
        middle = points.mean(1)
        for share in (0.1, 0.5, 0.9):  # all the way from the apex to the base is left ventricle
            assert (at(own.cover, own.apex + share * (middle - own.apex)) > 200).all()
        assert (at(own.cover, own.apex - 0.6 * (middle - own.apex)) < 50).all()
        share = (own.cover > 128).sum((1, 2)) * own.examples.pixel_mm**2
        assert ((share > 2500) & (share < 25000)).all()  # mm2: the heart, not the body
    assert np.isnan(drawn.apex[drawn.examples.view == VIEWS.index("other")]).all()


@pytest.mark.slow
def test_a_corpus_is_made_once(corpus, monkeypatch):
    from CardiacLandmarksLib.train import synthesis

    made = synthetic_hearts(0)
    monkeypatch.setattr(synthesis, "synthetic_hearts", None)
    again = synthetic_corpus(corpus, 1)
    for name, values in made.examples.to_dict().items():
        assert np.array_equal(values, again.examples.to_dict()[name], equal_nan=values.dtype.kind == "f")
    assert np.array_equal(made.cover, again.cover) and np.array_equal(made.apex, again.apex, equal_nan=True)


def test_clutter_leaves_the_heart_where_it_is():
    rows, columns = np.mgrid[:120, :120]
    heart = np.clip(30.5 - np.hypot(rows - 60, columns - 60), 0, 1)
    image = 20 + 180 * heart
    for seed in range(6):
        made = clutter(image, heart, np.array([85.0, 60.0]), np.array([40.0, 60.0]), 1.4, np.random.default_rng(seed))
        again = clutter(image, heart, np.array([85.0, 60.0]), np.array([40.0, 60.0]), 1.4, np.random.default_rng(seed))
        assert np.array_equal(made, again) and np.isfinite(made).all() and made.min() >= 0
        assert np.median(made[heart > 0.9]) == pytest.approx(200, rel=0.25)
    grain = rough((80, 80), 3.0, np.random.default_rng(1))
    assert grain.mean() == pytest.approx(0, abs=1e-9) and grain.std() == pytest.approx(1)


@pytest.mark.slow
def test_mixed_images_say_what_they_show(drawn, real):
    first, again, other = (Mixer(drawn, real, seed).draw(8).images for seed in (3, 3, 4))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    made = Mixer(drawn, real, 3).draw(60)
    assert set(np.unique(made.view)) == set(range(len(VIEWS)))
    for n, view in enumerate(VIEWS):
        own = np.array([v == view for v in LANDMARK_VIEWS])
        chosen = made.view == n
        assert (made.state[chosen][:, ~own] == ABSENT).all() and np.isnan(made.points[chosen][:, ~own]).all()
        assert (made.state[chosen][:, own] == PRESENT).all() and np.isfinite(made.points[chosen][:, own]).all()
    assert (np.ptp(made.images, (1, 2)) > 100).all()
    assert sum(VIEW_SHARES.values()) == pytest.approx(1) and set(VIEW_SHARES) == set(VIEWS)
    assert all(sum(ways.values()) == pytest.approx(1) for ways in RECIPES.values())


@pytest.mark.parametrize("view", list(SIDES))
def test_a_real_left_heart_lies_on_the_points_of_the_phantom(drawn, real, view):
    """Bright dots on the real mitral points must come to lie where the mixed image says its points are."""
    dots = np.zeros(real.examples.images.shape)
    for n, points in enumerate(real.examples.points):
        for row, column in np.rint(points[list(MITRAL)]).astype(int):
            dots[n, row, column] = 1
    dots = gaussian_filter(dots, (0, 1.5, 1.5))
    marked = replace(real.examples, images=(255 * dots / dots.max()).astype(np.uint8))
    black = replace(drawn, examples=replace(drawn.examples, images=np.zeros_like(drawn.examples.images)))
    mixer = Mixer(black, replace(real, examples=marked), 0)
    names = [LANDMARK_NAMES.index(name) for name in SIDES[view]]
    for _ in range(4):
        made = mixer._real_part(view, "real left heart")
        assert made.view[0] == VIEWS.index(view)
        assert made.doubt[0, names] == pytest.approx([0.3, 0.3])
        bright = np.argwhere(made.images[0] > 0.6 * made.images[0].max())
        nearest = np.linalg.norm(bright[:, None] - made.points[0, names], axis=-1)
        assert nearest.min(0).max() < 2.0 and nearest.min(1).max() < 5.0


def test_only_the_right_heart_is_replaced(drawn, real):
    mixer = Mixer(drawn, real, 1)
    for _ in range(4):
        chosen = mixer._real()
        made = mixer._on_collage(chosen, whole=False)
        around = Around.of(chosen)
        size = chosen.examples.size[0]
        inside = np.zeros((CANVAS, CANVAS), bool)
        inside[: size[0], : size[1]] = True
        same = made.images[0] == chosen.examples.images[0]
        assert same[inside & (around.side < -6.0) & (around.height < 50.0)].all()  # the free wall's side
        assert same[inside & (around.distance < 4.0) & (around.height < 0) & (around.side < around.septal)].all()
        beyond = inside & (around.distance > 16.0) & (around.side > around.septal + 25.0)
        assert same[beyond].mean() < 0.3
        assert made.view[0] == VIEWS.index("2ch")
        anterior, posterior = made.points[0, :2]
        assert np.array_equal([posterior, anterior], chosen.examples.points[0, list(MITRAL)])


def test_a_whole_real_heart_keeps_its_points(drawn, real):
    chosen = Mixer(drawn, real, 1)._real()
    made = Mixer(drawn, real, 1)._on_collage(chosen, whole=True)
    known = chosen.examples.state == PRESENT
    assert np.array_equal(made.points[known], chosen.examples.points[known])
    deep = distance_transform_edt(Around.of(chosen).whole_heart(np.random.default_rng(0)) > 0.99) > 12
    assert np.array_equal(made.images[0][deep], chosen.examples.images[0][deep])


def test_frames_without_mitral_points_are_not_mixed(drawn, real):
    state = np.zeros_like(real.examples.state)
    with pytest.raises(InputError, match="mitral points"):
        Mixer(drawn, replace(real, examples=replace(real.examples, state=state)))


def write_frames(folder, real: Cutouts, apex: bool = True) -> None:
    """The made frames as files, patients 2, 3, ...; all looked at but the first."""
    from PIL import Image

    for name in ("images", "lv_masks"):
        (folder / name).mkdir(parents=True)
    mitral, read = [], []
    for n in range(len(real)):
        name = f"ch4_{n + 2}_0001.jpg"
        rows, columns = np.minimum(real.examples.size[n], 246)
        Image.fromarray(real.examples.images[n, :rows, :columns]).save(folder / "images" / name)
        Image.fromarray(255 - real.cover[n, :rows, :columns]).save(folder / "lv_masks" / name)
        (sr, sc), (fr, fc) = real.examples.points[n, list(MITRAL)]
        row = {"file": name, "septal_x": sc, "septal_y": sr, "lateral_x": fc, "lateral_y": fr}
        row |= {"apex_x": real.apex[n, 1], "apex_y": real.apex[n, 0]} if apex else {}
        mitral.append(row | {"perp": 0.9, "far": 1.5, "side_conf": 0.5})
        if n:
            (sr, sc), (fr, fc) = real.examples.points[n, 8:]
            read.append({"file": name, "ts_x": sc, "ts_y": sr, "tf_x": fc, "tf_y": fr, "conf": 2, "mitral_ok": 1})
    for name, rows in (("points", mitral), ("tricuspid_points", read)):
        with open(folder / f"{name}.csv", "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


@pytest.mark.slow
def test_sources_of_training_are_those_asked_for(real, corpus, tmp_path):
    write_frames(tmp_path / "frames", real)
    frames = read_four_chamber(tmp_path / "frames", False)
    cut = read_cutouts(tmp_path / "frames", frames)
    assert np.allclose(cut.apex, real.apex, atol=1e-3)
    assert ((cut.cover > 128) == (real.cover > 128)).mean() > 0.999
    shares = {"checked": 0.5, "mixed": 0.5}

    def wanted(shares):
        return LongAxisData(1.25, 160, hearts=1, mixed=6, shares=shares, synthetic_dir=str(corpus))

    sources = landmark_sources(tmp_path / "frames", wanted(shares))
    assert list(sources) == ["checked", "mixed"]
    assert len(sources["checked"]) == len(real) - 1 and len(sources["mixed"]) == 6
    with pytest.raises(InputError, match="mitral points"):
        landmark_sources(tmp_path / "frames", wanted({"2ch": 0.5, "mixed": 0.5}))
    with pytest.raises(InputError, match="sax"):
        landmark_sources(tmp_path / "frames", wanted({"sax": 1.0}))


def test_frames_without_apex_or_mask_cannot_be_cut_out(real, tmp_path):
    write_frames(tmp_path / "frames", real, apex=False)
    with pytest.raises(InputError, match="apex_y"):
        read_cutouts(tmp_path / "frames", read_four_chamber(tmp_path / "frames", False))
    write_frames(tmp_path / "more", real)
    next((tmp_path / "more" / "lv_masks").iterdir()).unlink()
    with pytest.raises(InputError, match="no such image"):
        read_cutouts(tmp_path / "more", read_four_chamber(tmp_path / "more", False))


@pytest.mark.slow
def test_training_begins_with_the_weights_given(corpus):
    import torch

    from CardiacLib.networks.bundles import bundle_path, read_config

    folder = bundle_path("cineheart_lax_landmarks")
    small = {"hearts": 1, "shares": {"2ch": 1.0}, "synthetic_dir": str(corpus), "device": "$torch.device('cpu')"}
    weights = folder / "models" / "model.pt"
    trainer = read_config(folder, "train", start_from=str(weights), **small).get_parsed_content("trainer")
    saved = torch.load(weights, map_location="cpu", weights_only=True)
    for name, value in trainer.network.state_dict().items():
        assert torch.equal(value, saved[name].to(value.dtype))


def test_a_widened_root_takes_its_points_along(drawn):
    """Dots painted on the points of a 3CH image must lie on the points of the widened one."""
    three = drawn.where(drawn.examples.view == VIEWS.index("3ch"))
    own = [n for n, view in enumerate(LANDMARK_VIEWS) if view == "3ch"]
    dots = np.zeros(three.examples.images.shape)
    for n, points in enumerate(three.examples.points):
        for row, column in np.rint(points[own]).astype(int):
            dots[n, row, column] = 1
    dots = gaussian_filter(dots, (0, 1.2, 1.2))
    marked = replace(three, examples=replace(three.examples, images=(255 * dots / dots.max()).astype(np.uint8)))
    wide, known = 0, [LANDMARK_NAMES.index(name) for name in ("aortic septal", "aortic free wall")]
    for seed in range(4):
        made = some_widened(marked, seed)
        for n in range(len(made)):
            bright = np.argwhere(made.examples.images[n] > 0.5 * made.examples.images[n].max())
            nearest = np.linalg.norm(bright[:, None] - made.examples.points[n, own], axis=-1)
            assert nearest.min(0).max() < 1.5 and nearest.min(1).max() < 5.0
            width, before = (np.linalg.norm(np.diff(of.examples.points[n, known], axis=0)) for of in (made, three))
            assert before - 1e-3 <= width < 2.1 * before
            wide += width > 1.15 * before
    assert 2 <= wide <= 11

"""The default landmark network: heat maps, partial labels, synthetic images, training, evaluation, shipped weights."""

import csv
import json
import shutil
from functools import cache

import numpy as np
import pytest
import torch
from training_options import training_options

from CardiacLandmarksLib.detect.decode import CHANNELS, POINTS, STRIDE, decode, log_probabilities, mean_outputs
from CardiacLandmarksLib.detect.heatmaps import FOUND, HeatmapDetector, Place, cut_windows, mean_views, of_view
from CardiacLandmarksLib.evaluation import CHANGES, FoundFrame, error_table, evaluate_frames, sure_frames
from CardiacLandmarksLib.train.data import LandmarkBatches, LongAxisData, locate
from CardiacLandmarksLib.train.examples import ABSENT, CANVAS, PRESENT, UNKNOWN, UNKNOWN_VIEW, VIEWS, Examples, to_bytes
from CardiacLandmarksLib.train.four_chamber import MITRAL, TRICUSPID, is_validation, read_four_chamber
from CardiacLandmarksLib.train.loss import Target, encode, landmark_loss
from CardiacLandmarksLib.train.loss import log_probabilities as log_probabilities_of_tensors
from CardiacLandmarksLib.train.synthesis import FRAMES, synthetic_hearts
from CardiacLib.errors import InputError
from CardiacLib.networks.bundles import bundle_path, read_config
from CardiacLib.training.augment import Augmentation, random_maps, sampling_grid
from CardiacLib.training.engine import Trainer
from CardiacLib.types.choices import NetworkChoice, RunsOn
from CardiacLib.types.landmarks import LANDMARK_NAMES, LANDMARK_VIEWS
from cineheart.cli import main

BUNDLE = "cineheart_lax_landmarks"
CELLS = 48
hearts = cache(synthetic_hearts)


def outputs_of(places: torch.Tensor, cells: int = CELLS) -> torch.Tensor:
    """Network outputs whose probabilities are ``places`` (B, 10, cells * cells + 1)."""
    logs = (places + 1e-12).log()
    whole = torch.cat([logs[..., -1], torch.zeros(len(logs), len(VIEWS))], 1)[:, :, None, None]
    return torch.cat([logs[..., :-1].unflatten(-1, (cells, cells)), whole.expand(-1, -1, cells, cells)], 1)


def target_of(points, state=PRESENT, doubt=0.02, view=2) -> Target:
    count = len(points)
    full = torch.full((count, POINTS), state, dtype=torch.uint8)
    return Target(points, full, torch.full((count, POINTS), doubt), torch.full((count,), view))


def test_points_go_into_maps_and_come_back():
    points = torch.rand(50, POINTS, 2, generator=torch.Generator().manual_seed(1)) * (STRIDE * CELLS - 24) + 12
    rows = STRIDE * CELLS - 24  # the points of a valve lie apart
    points[:, 1::2, 0] = (points[:, 0::2, 0] - 12 + rows / 2) % rows + 12
    state = torch.full((50, POINTS), PRESENT)
    found, confidence = decode(outputs_of(encode(points, state, CELLS)).numpy())
    assert np.abs(found - points.numpy()).max() < 0.1
    assert confidence.min() > 0.97
    state[:, 3] = ABSENT
    _, confidence = decode(outputs_of(encode(points, state, CELLS)).numpy())
    assert confidence[:, 3].max() < 1e-3 and confidence[:, 4].min() > 0.97


def test_the_mean_of_two_answers_is_that_of_their_probabilities():
    state = torch.full((2, POINTS), PRESENT)
    places = [encode(torch.full((2, POINTS, 2), at), state, CELLS) for at in (30.0, 66.0)]
    mean = mean_outputs([outputs_of(place).numpy() for place in places])
    found, _ = log_probabilities(mean)
    assert mean.shape == (2, CHANNELS, CELLS, CELLS)
    assert np.allclose(np.exp(found), sum(places) / 2, atol=1e-5)
    one = np.random.default_rng(2).normal(0, 1, (2, CHANNELS, CELLS, CELLS)).astype(np.float32)
    trained = log_probabilities_of_tensors(torch.from_numpy(one))
    for alone, averaged, other in zip(
        log_probabilities(one), log_probabilities(mean_outputs([one])), trained, strict=True
    ):
        assert np.allclose(alone, averaged, atol=1e-5) and np.allclose(alone, other, atol=1e-5)


def test_two_points_of_a_valve_are_not_found_at_one_place():
    here, there = torch.full((2, POINTS, 2), 30.0), torch.full((2, POINTS, 2), 66.0)
    state = torch.full((2, POINTS), PRESENT)
    first, second = encode(here, state, CELLS), encode(there, state, CELLS)
    places = first.clone()
    places[0, 1::2] = 0.6 * first[0, 1::2] + 0.4 * second[0, 1::2]
    places[1, 0::2] = 0.6 * first[1, 0::2] + 0.4 * second[1, 0::2]
    found, confidence = decode(outputs_of(places).numpy())
    for n in range(2):
        sure, weak = slice(n, None, 2), slice(1 - n, None, 2)
        assert np.abs(found[n, sure] - 30.0).max() < 0.1 and np.abs(found[n, weak] - 66.0).max() < 0.1
        assert confidence[n, sure].min() > 0.97
        assert confidence[n, weak] == pytest.approx(0.4, abs=0.02)


def test_unknown_points_and_views_teach_nothing():
    points = torch.full((2, POINTS, 2), 40.0)
    points[:, 5] = float("nan")
    target = target_of(points)
    target.state[:, [5, 8]] = UNKNOWN
    target.state[:, 0] = ABSENT
    target.view[1] = UNKNOWN_VIEW
    outputs = torch.randn(2, CHANNELS, CELLS, CELLS, generator=torch.Generator().manual_seed(0)).requires_grad_()
    landmark_loss(outputs, target).backward()
    size = outputs.grad.abs().amax((-1, -2))
    assert not size[:, [5, 8, POINTS + 5, POINTS + 8]].any()
    assert (size[:, [0, 1, 9, POINTS + 0, POINTS + 1]] > 0).all()
    assert (size[0, 2 * POINTS :] > 0).all() and not size[1, 2 * POINTS :].any()


def test_a_doubtful_label_pulls_less_the_farther_it_is():
    place = encode(torch.full((1, POINTS, 2), 40.0), torch.full((1, POINTS), PRESENT), CELLS)
    pulls = {}
    for doubt in (0.02, 0.3):
        for away in (4.0, 30.0):
            outputs = outputs_of(place * 0.98 + 0.02 / place.shape[-1]).requires_grad_()
            landmark_loss(outputs, target_of(torch.full((1, POINTS, 2), 40.0 + away), doubt=doubt)).backward()
            pulls[doubt, away] = float(outputs.grad[:, :POINTS].abs().sum())
    assert pulls[0.3, 30.0] < 0.5 * pulls[0.02, 30.0]
    assert pulls[0.3, 30.0] < pulls[0.3, 4.0]


def test_points_are_located_in_random_windows():
    generator = torch.Generator().manual_seed(2)
    centres = torch.tensor([[60.0, 70.0], [80.0, 50.0]])
    where = random_maps(centres, 64, Augmentation(scale=0.3, elastic=0.03), generator, torch.tensor([0.8, 1.6]))
    points = torch.stack([where[:, 20, 30], where[:, 50, 11], torch.full((2, 2), -500.0)], 1)
    found, inside = locate(where, points)
    assert (found[:, :2] - torch.tensor([[20.0, 30.0], [50.0, 11.0]])).abs().max() < 1e-3
    assert inside.tolist() == [[True, True, False]] * 2
    image = torch.zeros(2, 1, 160, 160)
    for n, (row, column) in enumerate(points[:, 0].round().long().tolist()):
        image[n, 0, row - 1 : row + 2, column - 1 : column + 2] = 1
    cut = torch.nn.functional.grid_sample(image, sampling_grid(where, (160, 160)), align_corners=True)
    brightest = cut.flatten(1).argmax(1)
    seen = torch.stack([brightest // 64, brightest % 64], -1)
    assert (seen - found[:, 0]).norm(dim=-1).max() < 2.5


def windows_of(shares, window, pixel_mm=2.0) -> LongAxisData:
    return LongAxisData(pixel_mm, window, hearts=0, mixed=0, shares=shares, synthetic_dir="")


def batches_of(sources, shares, window, **changes) -> LandmarkBatches:
    return LandmarkBatches(sources, windows_of(shares, window), training_options(**changes))


@pytest.fixture(scope="module")
def heart() -> Examples:
    return hearts(5).examples


@pytest.mark.slow
def test_synthetic_hearts_show_every_point_once(heart):
    assert heart.images.shape[1:] == (CANVAS, CANVAS)
    assert (heart.images[heart.view == 0] != hearts(6).examples.images[heart.view == 0]).any()
    for n, view in enumerate(LANDMARK_VIEWS):
        own = heart.view == VIEWS.index(view)
        assert own.sum() == FRAMES
        assert (heart.state[own, n] == PRESENT).all() and (heart.state[~own, n] == ABSENT).all()
        assert np.isfinite(heart.points[own, n]).all() and np.isnan(heart.points[~own, n]).all()


def test_windows_show_the_points_where_they_are_said_to_be(heart):
    batches, repeated = (batches_of({"a": heart}, {"a": 1.0}, 96, batch_size=4, batches=3) for _ in range(2))
    for (images, target), (same, _) in zip(batches, repeated, strict=True):
        assert torch.equal(images, same) and images.shape == (4, 1, 96, 96)
        inside = ((target.points > -0.5) & (target.points < 95.5)).all(-1)
        assert (inside[target.state == PRESENT]).all()
    sources = {"2ch": heart.where(heart.view == 0), "4ch": heart.where(heart.view == 2)}
    only = batches_of(sources, {"2ch": 0.0, "4ch": 1.0}, 64, batch_size=8, batches=1)
    assert all((target.view == 2).all() for _, target in only)


@pytest.fixture(scope="module")
def tiny():
    """A narrow network trained for a short time on one synthetic heart, and the loss of its epochs."""
    torch.manual_seed(0)
    return read_config(bundle_path(BUNDLE), "train", **{"network_def#channels": [8, 8, 8, 8, 8]})


@pytest.mark.slow
def test_a_short_training_learns(heart, tiny, tmp_path):
    network = tiny.get_parsed_content("network_def")
    plain = heart.where(heart.view != VIEWS.index("other"))
    options = training_options(output_dir=tmp_path, epochs=4, learning_rate=5e-3, batch_size=4, batches=12)
    batches = LandmarkBatches({"a": plain}, windows_of({"a": 1.0}, 64, 3.0), options)
    Trainer(network, batches, landmark_loss, options).run()
    with open(tmp_path / "log.csv", newline="", encoding="utf-8") as stream:
        losses = [float(row["loss"]) for row in csv.DictReader(stream)]
    assert losses[-1] < 0.75 * losses[0]


def test_the_network_takes_any_size_of_window(tiny):
    network = tiny.get_parsed_content("network_def").eval()
    for side in (64, 96):
        outputs = network(torch.rand(2, 1, side, side))
        assert outputs.shape == (2, CHANNELS, side // STRIDE, side // STRIDE)
        places, views = log_probabilities_of_tensors(outputs)
        assert torch.allclose(places.exp().sum(-1), torch.ones(2, POINTS), atol=1e-4)
        assert torch.allclose(views.exp().sum(-1), torch.ones(2), atol=1e-4)


def write_frames(folder, count=6) -> None:
    """Made four-chamber frames in the form of the real ones: patients 1..count, points known, two not checked."""
    from PIL import Image

    for name in ("images", "lv_masks"):
        (folder / name).mkdir(parents=True)
    heart = hearts(6)
    heart = heart.where(heart.examples.view == VIEWS.index("4ch"))
    image, points = heart.examples.images[0][:246, :246], heart.examples.points[0]
    middle = (heart.apex[0] + points[list(MITRAL)].mean(0)) / 2
    cavity = np.linalg.norm(np.stack(np.mgrid[:246, :246], -1) - middle, axis=-1) < 12
    mitral, read = [], []
    for patient in range(1, count + 1):
        name = f"ch4_{patient}_0001.jpg"
        Image.fromarray(image).save(folder / "images" / name)
        Image.fromarray(np.where(cavity, 0, 255).astype(np.uint8)).save(folder / "lv_masks" / name)
        (sr, sc), (fr, fc) = points[list(MITRAL)]
        mitral.append({"file": name, "septal_x": sc, "septal_y": sr, "lateral_x": fc, "lateral_y": fr})
        mitral[-1] |= {"apex_x": heart.apex[0, 1], "apex_y": heart.apex[0, 0]}
        mitral[-1] |= {"perp": 0.9, "far": 1.5, "side_conf": 0.1 if patient == 2 else 0.5}
        (sr, sc), (fr, fc) = points[list(TRICUSPID)]
        row = {"file": name, "ts_x": sc, "ts_y": sr, "tf_x": fc, "tf_y": fr, "conf": 0 if patient == 3 else 2}
        if patient not in (2, 4):
            read.append(row | {"mitral_ok": int(patient != 5)})
    for name, rows in (("points", mitral), ("tricuspid_points", read)):
        with open(folder / f"{name}.csv", "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp("four_chamber")
    write_frames(folder)
    return folder


def test_real_frames_say_only_what_is_known(frames):
    train, held_out = (read_four_chamber(frames, validation) for validation in (False, True))
    assert [int(f.split("_")[1]) for f in train.files] == [2, 3, 4, 5]
    assert [int(f.split("_")[1]) for f in held_out.files] == [1, 6] and is_validation("ch4_11_0001.jpg")
    assert train.read.tolist() == [False, True, False, True]
    known = train.examples.state == PRESENT
    assert known[:, MITRAL[0]].tolist() == [True, True, True, False]
    assert known[:, TRICUSPID[0]].tolist() == [False, False, False, True]
    assert train.examples.doubt[[0, 2, 1], MITRAL[1]].tolist() == pytest.approx([0.6, 0.3, 0.02])
    others = [n for n in range(POINTS) if n not in (*MITRAL, *TRICUSPID)]
    assert (train.examples.state[:, others] == UNKNOWN).all() and (train.examples.view == UNKNOWN_VIEW).all()
    assert len(sure_frames(held_out).files) == 2 and not sure_frames(train).files
    with pytest.raises(InputError, match=r"points\.csv"):
        read_four_chamber(frames / "images", False)


class Shifted:
    """A detector that finds the true points of the made frames, moved by a known distance, one of them not at all."""

    bundle, said = "shifted", "The points are shifted"

    def __init__(self, held_out, change):
        self.points = [change(None if change is None else image, points)[1] for image, points in held_out]
        self.calls = 0

    def detect(self, frames, spacing_mm, view=None, progress=None):
        from CardiacLandmarksLib.detect.detector import Detection

        points = self.points[self.calls][None] + [3.0, 4.0]
        self.calls += 1
        points[0, TRICUSPID[1]] = np.nan
        return Detection(points, np.where(np.isfinite(points[..., 0]), 0.9, 0.1), [0.0, 0.0, 1.0])


def test_evaluation_counts_as_it_says(frames):
    held_out = read_four_chamber(frames, True)
    images = [
        (image[:246, :246].astype(float), points.astype(float))
        for image, points in zip(held_out.examples.images, held_out.examples.points, strict=True)
    ]
    for name, change in CHANGES.items():
        factor = 2.0 if name.startswith("2 x") else 1.0
        found = evaluate_frames(held_out, Shifted(images, change), change)
        rows = {row["point"]: row for row in error_table(found)}
        assert rows["all mitral"]["median_px"] == pytest.approx(5.0 * factor, abs=1e-4)
        assert rows["tricuspid free wall"]["missed"] == 2 and rows["tricuspid free wall"]["median_px"] is None
        assert rows["all tricuspid"]["near_percent"] == (50.0 if factor == 1.0 else 0.0)


def test_percentiles_are_those_of_numpy():
    random = np.random.default_rng(0)
    true = np.zeros((40, POINTS, 2))
    found = true + random.normal(0, 3, true.shape)
    made = [
        FoundFrame("a", np.zeros((4, 4)), t, f, np.ones(POINTS), np.ones(3)) for t, f in zip(true, found, strict=True)
    ]
    errors = np.hypot(*(found[:, list(MITRAL)] - true[:, list(MITRAL)]).reshape(-1, 2).T)
    row = next(r for r in error_table(made) if r["point"] == "all mitral")
    assert row["n"] == 80 and row["missed"] == 0
    assert row["median_px"] == pytest.approx(np.median(errors)) and row["p95_px"] == pytest.approx(
        np.percentile(errors, 95)
    )
    assert row["near_percent"] == pytest.approx(100 * np.mean(errors <= 8.0))


@pytest.mark.parametrize("name", ["turned by 90 degrees", "turned by 180 degrees", "flipped"])
def test_changes_move_points_with_the_image(name):
    image = np.zeros((30, 40))
    image[7, 31] = 1
    changed, points, _ = CHANGES[name](image, np.array([[7.0, 31.0]]))
    assert changed[tuple(points[0].astype(int))] == 1


def test_windows_are_cut_where_asked():
    images = np.random.default_rng(0).random((2, 50, 60)).astype(np.float32)
    cut = cut_windows(images, Place(np.array([24.5, 30.5]), np.array([1.0, 1.0]), 32))[:, 0]
    assert np.allclose(cut, images[:, 9:41, 15:47], atol=1e-4)
    assert not cut_windows(images, Place(np.array([-100.0, 0.0]), np.array([1.0, 1.0]), 32)).any()


def test_the_view_of_a_cine_is_the_mean_of_its_frames():
    frames = np.log([[0.7, 0.1, 0.1, 0.1], [0.1, 0.7, 0.1, 0.1]])
    assert mean_views(frames) == pytest.approx([0.3626, 0.3626, 0.1374, 0.1374], abs=1e-3)


def test_a_given_view_is_a_condition_and_an_impossible_one_is_not_believed():
    confidence = np.full((2, POINTS), 0.15)
    own = {view: np.array([v == view for v in LANDMARK_VIEWS]) for view in VIEWS[:-1]}
    views = np.array([0.2, 0.6, 0.19, 0.01])
    for view, expected in (("2ch", 0.75), ("3ch", 0.25), (None, 0.15)):
        found = of_view(confidence, views, view)
        chosen = own[view or "3ch"]
        assert found[:, chosen] == pytest.approx(expected) and not found[:, ~chosen].any()
    assert of_view(confidence, np.array([0.1, 0.9, 0.0, 0.0]), "2ch")[0, 0] == 1.0
    assert of_view(confidence, np.array([0.002, 0.998, 0.0, 0.0]), "2ch")[0, 0] == pytest.approx(0.03)
    assert not of_view(confidence, np.array([0.0, 1.0, 0.0, 0.0]), "2ch").any()


def narrow_bundle(folder):
    """The bundle with few channels and small windows, so that training takes seconds."""
    for part in ("configs", "docs"):
        shutil.copytree(bundle_path(BUNDLE) / part, folder / part)
    small = {"batches": 2, "batch_size": 2, "window": 64, "pixel_mm": 3.0, "hearts": 1, "mixed": 4}
    for name in ("train", "inference"):
        path = folder / "configs" / f"{name}.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        config |= {key: value for key, value in small.items() if key in config}
        config["network_def"]["channels"] = [8, 8, 8, 8, 8]
        path.write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.mark.slow
def test_train_and_evaluate_as_a_user_does(frames, tmp_path, capsys, monkeypatch):
    from CardiacLandmarksLib import evaluation
    from CardiacLib.phantom import PhantomOptions

    few = (PhantomOptions.small(n_frames=2, seed=1),)
    monkeypatch.setattr(evaluation, "PHANTOMS", few)
    bundle = narrow_bundle(tmp_path / BUNDLE)
    train = [
        "train",
        str(bundle),
        "--trust",
        "--data",
        str(frames),
        "-o",
        str(tmp_path / "runs"),
        "--device",
        "cpu",
        "--json",
    ]
    assert main([*train, "--epochs", "1"]) == 0
    trained = tmp_path / "runs" / BUNDLE
    assert (trained / "models" / "model.pt").is_file()
    out = tmp_path / "evaluation"
    evaluate = [
        "evaluate",
        str(trained),
        "--data",
        str(frames),
        "-o",
        str(out),
        "--device",
        "cpu",
        "--backend",
        "torch",
        "--trust",
    ]
    unasked = (trained / "docs" / "README.md").read_text(encoding="utf-8")
    assert "No accuracy is known" in unasked
    assert main([*evaluate, "--update-card", "--json"]) == 0
    for name in ("evaluation.csv", "evaluation.json", "evaluation.md", "worst.png"):
        assert (out / name).is_file()
    result = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    assert result["frames"] == 2 and [row["change"] for row in result["changes"]] == list(CHANGES)
    card = (trained / "docs" / "README.md").read_text(encoding="utf-8")
    assert "| mitral septal 4CH | 2 |" in card and "2 x coarser pixels" in card
    capsys.readouterr()


@pytest.fixture(scope="module")
def shipped() -> HeatmapDetector:
    return HeatmapDetector(NetworkChoice(BUNDLE, RunsOn("cpu")))


def test_the_shipped_bundle_is_small(shipped):
    weights = bundle_path(BUNDLE) / "models" / "model.pt"
    assert weights.stat().st_size < 10e6
    assert (shipped.window, shipped.pixel_mm) == (160, 1.25)


@pytest.mark.slow
def test_the_shipped_network_finds_the_phantoms_points(shipped):
    from CardiacLandmarksLib.evaluation import evaluate_phantoms
    from CardiacLib.phantom import PhantomOptions

    found = evaluate_phantoms(shipped, told=True, phantoms=(PhantomOptions(n_frames=3, seed=77),))
    errors = np.array([frame.errors for frame in found])
    assert np.mean(errors[np.isfinite(errors)]) < 1.5
    assert np.isinf(errors).sum() <= 2


def test_a_mirrored_window_has_mirrored_points(shipped, heart):
    """Where the network sees a window both ways, its answer is the same but for rounding; else it is not."""
    images = heart.images[heart.view == VIEWS.index("4ch")].astype(np.float32) / 255
    middle = Place((np.array(images.shape[1:]) - 1) / 2, np.ones(2), shipped.window)
    (_, (here, sure, _)), (_, (there, again, _)) = (
        shipped._look(shown, middle, "4ch", sure=1.1) for shown in (images, images[..., ::-1].copy())
    )
    there[..., 1] = images.shape[-1] - 1 - there[..., 1]
    found = sure > FOUND
    assert found.sum() >= 8 and np.abs(here - there)[found].max() < 0.05 and np.abs(sure - again).max() < 0.01
    _, (alone, _, _) = shipped._look(images, middle, "4ch", sure=0.0)
    assert np.abs(here - alone)[found].max() > 0.1


def test_frames_and_views_are_checked(shipped):
    with pytest.raises(InputError, match="shape"):
        shipped.detect(np.zeros((10, 10), np.float32), (1.0, 1.0))
    with pytest.raises(InputError, match="sax"):
        shipped.detect(np.zeros((1, 64, 64), np.float32), (1.0, 1.0), view="sax")
    empty = shipped.detect(np.zeros((2, 64, 64), np.float32), (2.0, 2.0))
    assert np.isnan(empty.points).all()


@pytest.mark.slow
def test_real_frames_are_found_within_the_stated_error(shipped, data):
    frames = sure_frames(read_four_chamber(data / "lax_4ch_mitral", True))
    rows = {row["point"]: row for row in error_table(evaluate_frames(frames, shipped))}
    assert rows["all mitral"]["median_px"] <= 3.0 and rows["all tricuspid"]["median_px"] <= 4.0


def test_bytes_span_the_percentiles():
    image = np.linspace(0.0, 500.0, 100 * 80).reshape(100, 80)
    made = to_bytes(image)
    assert made.shape == (CANVAS, CANVAS) and made[0, 0] == 0 and made[99, 79] == 255
    assert not made[100:].any() and not made[:, 80:].any()
    assert len(LANDMARK_NAMES) == POINTS

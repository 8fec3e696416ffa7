"""Slice propagation: isotropic stacks, windows and training on phantoms, both directions, evidence, evaluation."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from training_options import training_options

from BiVMeshLib.prepare.labels_check import check_labels
from BiVMeshLib.propagation import PropagationOptions, SlicePropagation
from BiVMeshLib.propagation.evaluation import CHANGES, METHODS, OF_SEGMENTATION, compare, spoilt
from BiVMeshLib.propagation.isotropic import SPACING, IsotropicGrid, apex_first, heart_centre
from BiVMeshLib.propagation.loss import PropagationLoss
from BiVMeshLib.propagation.networks import STEP, InitializationNet, PropagationNet
from BiVMeshLib.propagation.propagate import Evidence, Initializer, Propagator, decided, joint, outlines_apart
from BiVMeshLib.propagation.training import check_windows, window_dice
from BiVMeshLib.propagation.training_data import (
    InitializationBatches,
    PropagationBatches,
    SliceData,
    hardened,
    make_heart,
)
from CardiacLib import geometry
from CardiacLib.datasets.splits import CaseChoice
from CardiacLib.errors import InputError
from CardiacLib.networks.bundles import bundle_path, read_config
from CardiacLib.networks.intensity import normalise
from CardiacLib.networks.onnx_export import export_bundle
from CardiacLib.readers import read_labels
from CardiacLib.training.augment import Augmentation
from CardiacLib.training.engine import Trainer
from CardiacLib.types.choices import NetworkChoice, RunsOn
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap
from CardiacLib.writers.images import write_cine, write_labels
from cineheart.cli import main
from cineheart.evaluate.labelled import LabelledEvaluation
from cineheart.evaluate.propagation import EvaluationOptions, evaluate_propagation, methods_of

TINY = {"biv_propagation": [[8, 12], [6, 8]], "biv_initialization": [[6, 8], [6, 8], [6, 8]]}
NETS = {"biv_propagation": PropagationNet, "biv_initialization": InitializationNet}
ON_TORCH = RunsOn("cpu", "torch")
DATA = SliceData(window=64, rv_wall_mm=3.0)


def opened(propagation, initialization) -> SlicePropagation:
    return SlicePropagation(ON_TORCH, propagation=propagation, initialization=initialization, trust=True)


@pytest.fixture(scope="module")
def phantom(little_heart):
    return little_heart


@pytest.fixture(scope="module")
def hearts(phantom):
    """ED and ES of the little heart as isotropic hearts."""
    frames, labels = phantom.cines["sax"].frames, phantom.labels
    return [
        make_heart(normalise(frames)[t], labels.labels[t], labels.ijk_to_lps, 3.0, bool(n))
        for n, t in enumerate((phantom.ed, phantom.es))
    ]


@pytest.fixture(scope="module")
def random_bundles(tmp_path_factory):
    """Both bundles with tiny networks of random weights."""
    folders = []
    for name, widths in TINY.items():
        folder = tmp_path_factory.mktemp("bundles") / name
        shutil.copytree(bundle_path(name) / "configs", folder / "configs")
        for file in ("inference", "train"):
            path = folder / "configs" / f"{file}.json"
            config = json.loads(path.read_text())
            config["network_def"]["widths"] = widths
            path.write_text(json.dumps(config))
        torch.manual_seed(5)
        network = NETS[name](4, widths)
        (folder / "models").mkdir()
        torch.save(network.state_dict(), folder / "models" / "model.pt")
        export_bundle(folder, trust=True)
        folders.append(str(folder))
    return folders


# Isotropic stacks


def test_the_grid_keeps_places_and_intensities():
    matrix = geometry.matrix_from((10, -20, 5), np.eye(3), (1.5, 1.7, 8.0))
    k, j, i = np.mgrid[:6, :100, :120].astype(float)
    x, y, z = np.moveaxis(geometry.apply(matrix, np.stack([i, j, k], -1)), -1, 0)
    grid = IsotropicGrid.round_heart(matrix, (6, 100, 120), (50.0, 60.0), side=64)
    found = grid.images((0.3 * x - 0.2 * y + 0.5 * z).astype(np.float32))
    inside = grid.stack_slices() >= 0
    iz, iy, ix = np.mgrid[: grid.depth, :64, :64].astype(float)
    x, y, z = np.moveaxis(geometry.apply(grid.ijk_to_lps, np.stack([ix, iy, iz], -1)), -1, 0)
    np.testing.assert_allclose(found[inside], (0.3 * x - 0.2 * y + 0.5 * z)[inside], atol=1e-3)
    assert np.array_equal(found[0], found[~inside][-1])  # beyond the apical end the last slice goes on
    for k in range(6):
        assert abs(grid.stack_slices()[grid.slice_at(k)] - k) * 8.0 <= SPACING / 2 + 1e-6


def test_isotropic_labels_keep_volumes_and_have_a_wall(phantom):
    labels = phantom.labels
    stack = check_labels(labels.labels[phantom.ed], labels.ijk_to_lps)
    _, matrix, _ = apex_first(labels.labels[phantom.ed], labels.ijk_to_lps, stack)
    grid = IsotropicGrid.round_heart(matrix, stack.lv.shape, heart_centre(stack))
    made = grid.labels(stack, 3.0)
    assert set(np.unique(made)) == {0, 1, 2, 3, 4}
    inside = grid.slice_at(stack.base)
    heights = np.clip(0.5 + stack.base - np.arange(len(stack.lv)), 0, 1)  # a slice at the base counts by half
    voxel = labels.voxel_ml
    for value, masks in ((1, stack.lv), (3, stack.rv)):
        slabs = float((masks.sum((1, 2)) * heights).sum()) * voxel
        found = (made[:inside] == value).sum() * SPACING**3 / 1000
        assert found == pytest.approx(slabs, rel=0.06), value
    thickness = (made[inside // 2] == 4).sum() * SPACING**2
    assert thickness > 0 and not (made[inside // 2][made[inside // 2] == 4] == 2).any()


# Training windows


@pytest.mark.parametrize("kind", [InitializationBatches, PropagationBatches])
def test_windows_repeat_and_fit(hearts, kind):
    def made():
        return kind(hearts, 4, DATA, training_options(batches=4, augmentation=Augmentation(), seed=11))

    batches, again = made(), made()
    first = list(batches)
    for (x, y), (x2, y2) in zip(first, again, strict=True):
        assert torch.equal(x, x2) and torch.equal(y, y2)
        assert y.shape == (2, y.shape[1], 64, 64) and int(y.max()) <= 4
        if kind is PropagationBatches:
            assert y.shape[1] == STEP and (x.shape[1] - 5) % STEP == 0
            assert set(x[:, -4:].unique().tolist()) <= {0.0, 1.0}
    state = batches.generator.get_state()
    after = next(iter(batches))
    again.generator.set_state(state)
    assert torch.equal(next(iter(again))[0], after[0])
    if kind is PropagationBatches:
        assert len({x.shape[1] for x, _ in first}) > 1  # one to three steps


def test_one_class_windows_have_the_muscle_of_both_ventricles(hearts):
    data, options = SliceData(96, 3.0, moving=0.0, spoilt=0.0), training_options(seed=2)
    four, one = (PropagationBatches(hearts[:1], n, data, options) for n in (4, 1))
    (x4, y4), (x1, y1) = (b.place(hearts[0], 0.5, True) for b in (four, one))
    assert torch.equal(y1, ((y4 == 2) | (y4 == 4)).long())
    assert torch.equal(x1[-1], x4[-3] + x4[-1]) and x1.shape[0] == 1 + STEP + 1


def test_hardened_shares_are_the_likeliest():
    soft = torch.rand(3, 4, 8, 8, generator=torch.Generator().manual_seed(0)) / 4
    whole = torch.cat([1 - soft.sum(1, keepdim=True), soft], 1)
    assert torch.equal(hardened(soft), whole.argmax(1))


class Stop(Exception):
    pass


def tiny_trainer(hearts, output, epochs=2) -> Trainer:
    torch.manual_seed(0)
    network = PropagationNet(4, TINY["biv_propagation"])
    options = training_options(
        output_dir=output, epochs=epochs, learning_rate=0.01, batches=6, augmentation=Augmentation(), seed=3
    )
    batches = PropagationBatches(hearts, 4, DATA, options)
    checks = check_windows(PropagationBatches, hearts, 4, DATA, options)
    return Trainer(network, batches, PropagationLoss(4), options, validate=lambda net: window_dice(net, checks))


@pytest.mark.slow
def test_an_interrupted_training_ends_at_the_same_weights(hearts, tmp_path):
    whole = tiny_trainer(hearts, tmp_path / "whole").run()

    def stop_at_half(fraction, message):
        if fraction >= 0.5:
            raise Stop

    with pytest.raises(Stop):
        tiny_trainer(hearts, tmp_path / "parts").run(stop_at_half)
    resumed = tiny_trainer(hearts, tmp_path / "parts").run()
    for name, a in whole.state_dict().items():
        assert torch.equal(a, resumed.state_dict()[name]), name


@pytest.mark.slow
def test_a_tiny_training_learns(hearts, tmp_path):
    tiny_trainer(hearts, tmp_path, epochs=8).run()
    lines = (tmp_path / "log.csv").read_text().splitlines()[1:]
    losses = [float(line.split(",")[1]) for line in lines]
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])
    assert "rv_wall" in lines[-1]


# Inference


def test_both_directions_are_alike(random_bundles):
    propagator = Propagator(NetworkChoice(random_bundles[0], ON_TORCH, trust=True))
    rng = np.random.default_rng(0)
    images = rng.random((23, 32, 32), np.float32)
    mask = np.zeros((32, 32), np.uint8)
    mask[8:24, 8:24], mask[12:20, 12:20] = 2, 1
    up = propagator(images, mask, 9, 22)
    down = propagator(images[::-1], mask, 13, 22)
    assert up.labels.any((1, 2)).all()  # nothing ended early
    np.testing.assert_array_equal(up.labels, down.labels[::-1])
    np.testing.assert_allclose(up.confidence, down.confidence[::-1], atol=1e-6)


def test_propagation_ends_at_the_base_and_keeps_the_start(random_bundles):
    propagator = Propagator(NetworkChoice(random_bundles[0], ON_TORCH, trust=True))
    images = np.random.default_rng(1).random((20, 32, 32), np.float32)
    mask = np.full((32, 32), 2, np.uint8)
    found = propagator(images, mask, 8, 13)
    assert np.array_equal(found.labels[8], mask) and not found.labels[14:].any()
    assert np.isnan(found.confidence[14:]).all() and found.confidence[8] == 1
    with pytest.raises(InputError, match="no myocardium"):
        propagator(images, np.ones((32, 32), np.uint8), 8, 13)
    with pytest.raises(InputError, match="between the apex and the base"):
        propagator(images, mask, 14, 13)


def test_confidence_is_the_expected_dice():
    p = np.zeros((5, 2, 2), np.float32)
    p[2] = [[0.9, 0.8], [0.1, 0.0]]
    p[0] = 1 - p[2]
    labels, confidence = decided(p)
    assert labels.tolist() == [[2, 2], [0, 0]]
    assert confidence == pytest.approx(2 * 1.7 / (1.8 + 2))
    assert np.isnan(decided(np.eye(5, dtype=np.float32)[0][:, None, None])[1])


def disc_of(radius, row=24, value=2, sure=0.9) -> np.ndarray:
    """Probabilities (5, 48, 48) of a disc of one label."""
    rows, columns = np.mgrid[:48, :48]
    inside = np.hypot(rows - row, columns - 24) < radius
    p = np.full((5, 48, 48), (1 - sure) / 4, np.float32)
    p[value][inside], p[0][~inside] = sure, sure
    return p


def test_distance_of_outlines():
    small, large = (disc_of(radius).argmax(0) > 0 for radius in (10, 14))
    assert outlines_apart(small, large) == pytest.approx(4 * SPACING, rel=0.2)
    assert outlines_apart(small, small) == 0 == outlines_apart(small & False, small & False)


def test_near_evidence_corrects_and_far_evidence_is_left_out():
    own, near, far = disc_of(12, sure=0.6), disc_of(13), disc_of(12, row=36)

    def found(other):
        return joint(own, Evidence(other[None], 0.7), 0)

    assert joint(own, None, 0) is own
    assert np.array_equal(found(near).argmax(0), near.argmax(0))
    np.testing.assert_allclose(found(near).sum(0), 1, rtol=1e-5)
    assert found(far) is own  # a displaced slice goes by the propagation


@pytest.mark.slow
def test_evidence_is_the_labels_unless_a_start_slice_was_chosen(phantom, random_bundles, monkeypatch):
    networks = opened(*random_bundles)
    cine, labels = cine_of(phantom)
    seen, middle = [], cine.n_slices // 2

    class Enough(Exception):
        """What is carried from slice to slice is not looked at here."""

    def listening(self, *given, evidence, progress):
        seen.append(evidence and evidence.share)
        raise Enough

    monkeypatch.setattr(Propagator, "__call__", listening)
    for options in (
        PropagationOptions(),
        PropagationOptions(start_slice=middle),
        PropagationOptions(start_slice=middle, evidence="labels"),
        PropagationOptions(evidence="none"),
    ):
        with pytest.raises(Enough):
            networks(cine, phantom.ed, labels, options)
    assert seen == [0.7, 0.5, 0.7, None]
    with pytest.raises(InputError, match="No evidence 'all'"):
        PropagationOptions(evidence="all")


def cine_of(phantom, turned=False) -> tuple[Cine, LabelMap]:
    cine, labels = phantom.cines["sax"], phantom.labels
    if not turned:
        return cine, labels
    matrix = cine.ijk_to_lps.copy()
    matrix[:3, 3] += matrix[:3, 2] * (cine.n_slices - 1)
    matrix[:3, 2] *= -1
    frames = np.ascontiguousarray(cine.frames[:, ::-1])
    made = LabelMap(np.ascontiguousarray(labels.labels[:, ::-1]), matrix, labels.times_ms)
    return cine.with_changes(frames=frames, ijk_to_lps=matrix), made


@pytest.mark.slow
def test_slice_order_of_the_stack_does_not_matter(phantom, random_bundles):
    networks = opened(*random_bundles)
    one, two = (networks(*pair[:1], phantom.ed, pair[1]) for pair in (cine_of(phantom), cine_of(phantom, True)))
    np.testing.assert_array_equal(one.labels.labels, two.labels.labels[:, ::-1])
    count = phantom.cines["sax"].n_slices
    assert (one.start_slice, one.base_slice) == (count - 1 - two.start_slice, count - 1 - two.base_slice)
    depth = one.labels.labels.shape[1]
    np.testing.assert_allclose(
        geometry.apply(one.labels.ijk_to_lps, [3.0, 4.0, 0.0]),
        geometry.apply(two.labels.ijk_to_lps, [3.0, 4.0, depth - 1.0]),
        atol=1e-6,
    )


def test_unusable_slices_and_labels_are_one_sentence(phantom, random_bundles):
    networks = opened(*random_bundles)
    cine, labels = cine_of(phantom)
    with pytest.raises(InputError, match=r"start, slice 1 \(index 0\), has no"):
        networks(cine, phantom.ed, labels, PropagationOptions(start_slice=0))
    with pytest.raises(InputError, match=r"no base slice 100 \(index 99\)"):
        networks(cine, phantom.ed, labels, PropagationOptions(base_slice=99))
    with pytest.raises(InputError, match="not on the grid"):
        moved = LabelMap(labels.labels, labels.ijk_to_lps + np.eye(4), labels.times_ms)
        networks(cine, phantom.ed, moved)
    with pytest.raises(InputError, match="finds no heart"):
        opened(random_bundles[0], _silent(random_bundles[1]))(cine, phantom.ed)


def _silent(folder: str) -> str:
    """The initialization bundle with a network that sees background everywhere."""
    weights = Path(folder) / "models" / "model.pt"
    state = torch.load(weights)
    silent = Path(folder).parent / "silent"
    shutil.copytree(folder, silent, dirs_exist_ok=True)
    last = "nets.2.answer"
    state[f"{last}.weight"] = torch.zeros_like(state[f"{last}.weight"])
    state[f"{last}.bias"] = torch.tensor([9.0, 0, 0, 0, 0])
    torch.save(state, silent / "models" / "model.pt")
    return str(silent)


def test_slices_of_any_size(random_bundles):
    found = Initializer(NetworkChoice(random_bundles[1], ON_TORCH, trust=True))(np.full((3, 45, 70), 0.5, np.float32))
    assert found.labels.shape == (3, 45, 70) and found.confidence.shape == (3,)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "name"), [(0, "sax_propagated"), (1, "sax_slices")])
def test_what_monais_bundle_run_does(phantom, random_bundles, tmp_path, number, name, monkeypatch):
    cine = phantom.cines["sax"]
    one = cine.with_changes(frames=cine.frames[:1], times_ms=cine.times_ms[:1])
    (tmp_path / "in").mkdir()
    write_cine(tmp_path / "in" / "sax.nii.gz", one)
    ring = phantom.labels.labels[phantom.ed]
    monkeypatch.setattr("BiVMeshLib.propagation.stacks.label_slices", lambda *given: ring)
    monkeypatch.setattr("BiVMeshLib.propagation.bundle_inference.label_slices", lambda *given: ring)
    folders = {"dataset_dir": str(tmp_path / "in"), "output_dir": str(tmp_path / "out"), "device": "cpu"}
    read_config(Path(random_bundles[number]), "inference", True, **folders).get_parsed_content("run")
    made = read_labels(tmp_path / "out" / f"{name}.nii.gz")
    assert made.labels.shape[0] == 1 and (made.labels == 2).any()
    folders["dataset_dir"] = str(tmp_path)
    with pytest.raises(RuntimeError) as failed:
        read_config(Path(random_bundles[number]), "inference", True, **folders).get_parsed_content("run")
    assert "There is no image to label" in str(failed.value.__cause__ or failed.value)


# Evaluation


def test_comparison_counts_up_to_the_base():
    truth = np.zeros((6, 16, 16), np.uint8)
    truth[1:, 4:12, 4:12], truth[1:, 6:10, 6:10] = 2, 1
    matrix = np.diag([SPACING, SPACING, SPACING, 1.0])
    grid = IsotropicGrid.round_heart(matrix, (6, 16, 16), (8, 8), 16)
    found = truth.copy()
    found[5] = 2  # over the base: not counted
    found[1] = 0
    result = compare(found, truth, 4, grid)
    assert result.dice == pytest.approx(2 * 3 / (3 + 4)) and result.structures[0] == result.dice
    assert result.positions.tolist() == [1, 2 / 3, 1 / 3, 0] and result.slices.tolist() == [0, 1, 1, 1]


def test_spoilt_slices(phantom):
    cine = phantom.cines["sax"]
    for change, test in (
        ("noise", lambda a, b: a.std() > 0),
        ("missing", lambda a, b: not a.any()),
        ("shifted 5 mm", lambda a, b: np.allclose(a[:, 8:, 8:].mean(), b[:, :-8, :-8].mean(), rtol=0.2)),
    ):
        found = spoilt(cine, 3, change)
        assert not np.array_equal(found.frames[:, 3], cine.frames[:, 3]), change
        assert test(found.frames[:, 3], cine.frames[:, 3]), change
        assert np.array_equal(np.delete(found.frames, 3, 1), np.delete(cine.frames, 3, 1))


# Commands


@pytest.fixture(scope="module")
def patients(phantom, tmp_path_factory):
    """The phantom as ACDC's patient 5, which is held out."""
    folder = tmp_path_factory.mktemp("acdc") / "patient005"
    folder.mkdir()
    cine, labels = phantom.cines["sax"], phantom.labels
    to_acdc = np.array([0, 3, 2, 1], np.uint8)
    for number, t in ((1, phantom.ed), (2, phantom.es)):
        one = slice(t, t + 1)
        write_cine(
            folder / f"patient005_frame0{number}.nii.gz", cine.with_changes(frames=cine.frames[one], times_ms=[0])
        )
        acdc = LabelMap(to_acdc[labels.labels[one]], labels.ijk_to_lps, np.zeros(1))
        write_labels(folder / f"patient005_frame0{number}_gt.nii.gz", acdc)
    (folder / "Info.cfg").write_text("ED: 1\nES: 2\nGroup: NOR\nHeight: 180\nWeight: 80\n")
    return folder.parent


@pytest.mark.slow
def test_evaluate_writes_every_method_and_the_cards(
    patients, random_bundles, rough_meshes, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("cineheart.evaluate.propagation.CHANGES", CHANGES[1:2])  # each of them is tried above
    together = tmp_path / "bundles"
    words = ["evaluate", copied(random_bundles, together), "--data", str(patients), "-o", str(tmp_path / "out")]
    assert main([*words, "--robustness", "--update-card", "--trust", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert set(METHODS) <= set(facts) and facts["segmentation, interpolated"] > 0.7
    with open(tmp_path / "out" / "evaluation.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 * len(METHODS) and {row["phase"] for row in rows} == {"ED", "ES"}
    mean = np.mean([float(row["myocardium"]) for row in rows if row["method"] == "segmentation, interpolated"])
    assert facts["segmentation, interpolated"] == pytest.approx(mean, abs=1e-4)
    stated = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert set(stated["spoilt"]) == set(CHANGES[1:2]) and stated["volumes"] == 2
    assert (tmp_path / "out" / "dice_by_slice.png").stat().st_size > 5000
    for name in TINY:
        card = (together / name / "docs" / "README.md").read_text()
        assert "2 volumes of patients" in card and "missing" in card


@pytest.mark.slow
def test_pairs_without_the_network_that_may_have_seen_them(
    patients, random_bundles, rough_meshes, tmp_path, monkeypatch, read_json
):
    monkeypatch.setattr("cineheart.evaluate.propagation.CHANGES", ("noise",))
    for file in (patients / "patient005").glob("*.nii.gz"):
        place = tmp_path / "pairs" / ("labels" if "_gt" in file.name else "images")
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place / f"anna_{'ED' if 'frame01' in file.name else 'ES'}.nii.gz")

    def refused(*given):
        raise AssertionError("cineheart_sax was trained on this patient")

    monkeypatch.setattr("cineheart.evaluate.propagation.open_segmenter", refused)
    out = tmp_path / "out"
    bundle = copied(random_bundles, tmp_path / "bundles")
    labelled = LabelledEvaluation(CaseChoice("acdc"))
    options = EvaluationOptions(labelled=labelled, robustness=True, trust=True, segmentation=False)
    facts = evaluate_propagation(bundle, tmp_path / "pairs", out, options).facts
    assert set(facts) == set(methods_of(False)) == set(METHODS) - set(OF_SEGMENTATION) and methods_of(True) == METHODS
    stated = read_json(out / "evaluation.json")
    assert stated["volumes"] == 2 and all(method["ed"] is not None for method in stated["methods"].values())
    assert set(stated["methods"]) == set(facts) and set(stated["spoilt"]["noise"]) == set(methods_of(False)[1:])
    assert (out / "dice_by_slice.png").stat().st_size > 5000
    assert "cineheart_sax" not in (out / "evaluation.md").read_text()


def copied(folders, together) -> str:
    """Copies of both bundles beside each other, as an evaluation writes into their cards; that of propagation."""
    for folder in folders:
        shutil.copytree(folder, together / Path(folder).name)
    return str(together / "biv_propagation")


def test_evidence_of_labels_needs_labels(phantom, random_bundles):
    networks = opened(*random_bundles)
    with pytest.raises(InputError, match="no labels to take as evidence"):
        networks(phantom.cines["sax"], 0, options=PropagationOptions(evidence="labels"))

"""Networks of whole slices: preprocessing and its inverse, styles, adversarial training, and both bundles as a user
trains them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.losses import DiceCELoss
from test_datasets import make_mnms2
from training_options import STILL, training_options

from CardiacLib.datasets.records import UNKNOWN
from CardiacLib.datasets.splits import CaseChoice
from CardiacLib.errors import InputError
from CardiacLib.metrics import dice
from CardiacLib.networks.backends.onnxruntime_backend import OnnxRuntimePredictor
from CardiacLib.networks.bundles import bundle_path, load_network, read_config
from CardiacLib.networks.onnx_files import onnx_problem
from CardiacLib.training.adversarial import Adversarial, AdversarialNetwork, deepest_layer
from CardiacLib.training.options import POLY
from CardiacLib.training.start import begin_with_any
from CardiacLib.training.style import StyleOptions, with_amplitude_of, with_histogram_of, with_quantiles_of
from CardiacSegLib.segment.whole_slice import SliceWindow, filled_box
from CardiacSegLib.train.loss import HeartDiceCELoss, partial_loss
from CardiacSegLib.train.whole_slices import (
    ScalesLoss,
    SlicePool,
    WholeSliceBatches,
    WholeSliceData,
    whole_slice_trainer,
)
from cineheart.cli import main

BUNDLES = ("mnms2_short_axis", "mnms2_long_axis")
VIEWS = dict(zip(BUNDLES, ("sax", "4ch"), strict=True))


def one_hot(labels):
    return (labels[:, None] == np.arange(4)[:, None, None]).astype(np.float32)


@pytest.mark.parametrize(
    ("shape", "spacing", "pixel_mm", "least"),
    [
        ((5, 90, 71), (1.4, 1.4, 9.0), 1.4, 1.0),
        ((3, 101, 63), (0.9, 0.9, 8.0), 1.3, 0.93),
        ((4, 61, 80), (2.1, 1.2, 10.0), 1.25, 0.93),
    ],
    ids=["same pixels", "odd sizes", "anisotropic"],
)
def test_the_inverse_undoes_the_preprocessing(shape, spacing, pixel_mm, least):
    rows, columns = np.mgrid[: shape[1], : shape[2]]
    distance = np.hypot((rows - 0.45 * shape[1]) * spacing[1], (columns - 0.55 * shape[2]) * spacing[0])
    section = np.select([distance < 16, distance < 26, distance < 34], [1, 2, 3])
    labels = np.broadcast_to(section, shape).astype(np.uint8)
    frame = (50.0 + 40.0 * labels).astype(np.float32)
    frame[0], frame[:, :4], frame[:, :, -3:] = 0, 0, 0  # borders that no scanner measured
    window = SliceWindow.of(frame, np.array(spacing), pixel_mm, 128)
    assert window.box == (slice(1, shape[0]), slice(4, shape[1]), slice(0, shape[2] - 3))
    images, seen = window.images(frame), window.labels(labels)
    assert images.shape == seen.shape == (shape[0] - 1, 128, 128)
    medians = [np.median(images[seen == label]) for label in (1, 2, 3)]
    assert medians == sorted(medians)
    back = window.inverse(one_hot(seen))
    assert back.shape == labels.shape and not back[0].any() and not back[:, :, -3:].any()
    for label in (1, 2, 3):
        assert dice(back[1:] == label, labels[1:] == label) >= least


def test_a_large_image_is_cropped_and_comes_back_in_its_place():
    labels = np.zeros((1, 300, 280), np.uint8)
    labels[0, 140:170, 120:150] = 1
    window = SliceWindow.of(np.ones(labels.shape, np.float32), np.array([1.0, 1.0, 8.0]), 1.0, 256)
    assert np.array_equal(window.inverse(one_hot(window.labels(labels))), labels)
    assert not window.images(np.full(labels.shape, 7.0, np.float32)).any()
    assert filled_box(np.zeros((2, 3, 4))) == (slice(0, 2), slice(0, 3), slice(0, 4))


def test_z_scores_are_those_of_the_volume():
    frame = np.random.default_rng(0).normal(300, 40, (3, 64, 64)).astype(np.float32)
    images = SliceWindow.of(frame, np.array([1.0, 1.0, 8.0]), 1.0, 64).images(frame)
    assert abs(images.mean()) < 1e-4 and images.std() == pytest.approx(1.0, abs=1e-4)


def test_grey_values_of_another_image_leave_what_is_no_image():
    drawn = torch.Generator().manual_seed(1)
    images, other = torch.rand(6, 40, 50, generator=drawn), 0.2 + 0.3 * torch.rand(1, 40, 50, generator=drawn) ** 2
    images[:, :10] = 0
    found = with_quantiles_of(images, other)
    assert (found[:, :10] == 0).all()
    at = torch.tensor([0.05, 0.5, 0.95])
    assert torch.quantile(found[:, 10:], at).tolist() == pytest.approx(torch.quantile(other, at).tolist(), abs=0.01)
    assert (found[:, 10:].flatten().argsort() == images[:, 10:].flatten().argsort()).float().mean() > 0.99
    assert with_quantiles_of(torch.zeros(6, 8, 8), other).abs().sum() == 0


def test_styles_of_another_image():
    draw = np.random.default_rng(1)
    image = torch.from_numpy(draw.normal(size=(40, 40)).astype(np.float32))
    other = torch.from_numpy(draw.gamma(2.0, 3.0, (40, 40)).astype(np.float32))
    matched = with_histogram_of(image, other)
    torch.testing.assert_close(matched.sort().values.mean(), other.mean(), atol=1e-3, rtol=0)
    assert torch.equal(matched.flatten().argsort(), image.flatten().argsort())
    styled = with_amplitude_of(image, other)
    assert styled.mean() == pytest.approx(float(other.mean()), abs=1e-3)  # the lowest frequency is the mean
    torch.testing.assert_close(with_amplitude_of(image, image), image, atol=1e-4, rtol=0)


def made_pool(count=8, side=64) -> SlicePool:
    rows, columns = np.mgrid[:side, :side]
    labels = np.stack([np.hypot(rows - 30, columns - 30 - n) < 12 for n in range(count)]).astype(np.uint8)
    images = torch.from_numpy(labels * 2.0 - 0.5).half()
    domain = torch.arange(count) % 2
    return SlicePool(images, torch.from_numpy(labels), torch.ones(count, 3, dtype=torch.bool), domain)


def test_batches_show_every_slice_and_keep_what_is_unknown():
    pool = made_pool(5)
    pool.labels[3] = UNKNOWN
    data = WholeSliceData(64, style=StyleOptions(0.5, 0.5))
    batches = WholeSliceBatches(pool, data, training_options(batch_size=2))
    shown = list(batches)
    assert [len(images) for images, _ in shown] == [2, 2, 2] and len(batches) == 3
    assert all(images.shape[1:] == (1, 64, 64) for images, _ in shown)
    images, (labels, drawn, domain) = batches.make(torch.tensor([3, 0]))
    assert (labels[0] == UNKNOWN).float().mean() > 0.8 and not (labels[1] == UNKNOWN).any()
    assert drawn.shape == (2, 3) and domain.tolist() == [1, 0] and torch.isfinite(images).all()
    still = replace(STILL, turn=0.0)
    plain = WholeSliceBatches(pool, WholeSliceData(64), training_options(augmentation=still))
    images, (labels, *_) = plain.make(torch.tensor([0, 1]))
    assert images[labels[:, None] == 1].median() > 1.0 > images[labels[:, None] == 0].median()


def test_the_loss_of_all_scales():
    torch.manual_seed(0)
    outputs, labels = torch.randn(2, 3, 4, 8, 8), torch.randint(0, 4, (2, 8, 8))
    peer = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True, batch=True)
    first, second = (peer(outputs[:, n], labels[:, None]) for n in range(2))
    found = ScalesLoss(HeartDiceCELoss())(outputs, (labels, torch.ones(2, 3)))
    torch.testing.assert_close(found, (first + 0.5 * second) / 1.5)


def test_partial_labels_count_only_what_is_drawn():
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 4, 16, 16, requires_grad=True), torch.randint(0, 4, (2, 16, 16))
    whole = partial_loss(logits, labels, torch.ones(2, 3))
    peer = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True, batch=True)(logits, labels[:, None])
    torch.testing.assert_close(whole, peer)
    # Of the first slice the LV alone is drawn, of the second nothing is known.
    weights = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    labels = torch.where(labels == 1, 1, 0)
    labels[1] = UNKNOWN
    loss = HeartDiceCELoss()(logits, (labels, weights))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert not gradient[1].any()
    # Only the sum of background, myocardium and RV counts: moving probability among them changes nothing.
    moved = logits.detach().clone()
    moved[0, [0, 2, 3]] = moved[0, [3, 0, 2]]
    torch.testing.assert_close(HeartDiceCELoss()(moved, (labels, weights)), loss.detach())
    assert float(HeartDiceCELoss()(moved, (torch.full_like(labels, UNKNOWN), weights))) == pytest.approx(0.0, abs=1e-4)


class Toy(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.down = torch.nn.Conv2d(1, 6, 3, 2, 1)
        self.up = torch.nn.Conv2d(6, 4, 1)

    def forward(self, images):
        return torch.nn.functional.interpolate(self.up(self.down(images)), scale_factor=2.0)


def test_the_gradient_of_the_vendor_is_reversed():
    torch.manual_seed(0)
    images, vendor = torch.randn(4, 1, 16, 16), torch.tensor([0, 1, 0, 1])
    assert deepest_layer(Toy(), images[:1]) == ("up", 4)
    network = AdversarialNetwork(Toy(), images[:1], 2, 100, Adversarial(weight=0.5)).train()
    assert network.strength == 0.0
    network.steps_done += 100
    network.steps = 101
    _, logits = network(images)
    features = network.segmenter(images).mean((2, 3))
    plain = torch.autograd.grad(
        torch.nn.functional.cross_entropy(network.classifier(features), vendor), network.segmenter.down.weight
    )[0]
    turned = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, vendor), network.segmenter.down.weight)[0]
    torch.testing.assert_close(turned, -network.strength * plain, rtol=1e-3, atol=1e-6)
    assert network.strength == pytest.approx(0.5, abs=1e-3)
    torch.testing.assert_close(network.eval()(images), network.segmenter(images))


def test_weights_that_fit_in_part():
    small, large = torch.nn.Linear(3, 2), torch.nn.Linear(3, 4)
    large.bias = torch.nn.Parameter(torch.zeros(2))
    (note,) = begin_with_any(large, small.state_dict())
    assert "Of 2 tensors 1 begin with the given weights" in note and torch.equal(large.bias, small.bias)
    assert begin_with_any(torch.nn.Linear(3, 2), small.state_dict()) == []
    with pytest.raises(InputError, match="none of their tensors fits"):
        begin_with_any(torch.nn.Linear(5, 5), small.state_dict())


@pytest.mark.parametrize("name", BUNDLES)
def test_the_network_is_the_generic_unet(name):
    with torch.device("meta"):
        networks = [
            read_config(bundle_path(name), part).get_parsed_content("network_def") for part in ("train", "inference")
        ]
    shapes = [{key: value.shape for key, value in network.state_dict().items()} for network in networks]
    assert shapes[0] == shapes[1]
    assert sum(parameter.numel() for parameter in networks[0].parameters()) == pytest.approx(29.97e6, rel=1e-3)


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    """A folder in the layout of M&Ms-2 with five subjects."""
    from conftest import make_ring_labels

    draw = np.random.default_rng(3)
    hearts = {}
    for n in range(5):
        labels = np.stack([make_ring_labels()[2:5]] * 2)
        hearts[f"{n + 1:03d}"] = (60 * labels + draw.integers(1, 20, labels.shape)).astype(np.float32), labels
    folder = tmp_path_factory.mktemp("mnms2")
    make_mnms2(folder, hearts)
    table = folder / "dataset_information.csv"
    table.write_text(
        table.read_text().replace("1;LV;GE MEDICAL", "1;LV;Siemens").replace("2;LV;GE MEDICAL", "2;LV;Siemens")
    )
    return folder


def narrow(name: str, folder):
    """The bundle with few features and small windows."""
    folder = folder / f"narrow_{name}"
    shutil.copytree(bundle_path(name), folder)
    for document in ("train", "inference"):
        path = folder / "configs" / f"{document}.json"
        config = json.loads(path.read_text(encoding="utf-8")) | {"side": 64}
        config["network_def"]["filters"] = [4, 6, 8, 8, 8, 8, 8]
        if document == "train":
            config |= {"batch_size": 4, "learning_rate": 0.02}
        path.write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def narrow_bundles(tmp_path_factory):
    root = tmp_path_factory.mktemp("narrow")
    return {name: narrow(name, root) for name in BUNDLES}


def same_by_onnx(bundle):
    """What the training wrote for use without PyTorch answers as the network does: one map, no deep supervision."""
    images = np.random.default_rng(5).normal(size=(3, 1, 64, 64)).astype(np.float32)
    found = OnnxRuntimePredictor((bundle / "models" / "model.onnx").read_bytes())(images)
    network = load_network(bundle, read_config(bundle, "inference", True), torch.device("cpu"))
    assert onnx_problem(bundle) == "" and found.shape == (3, 4, 64, 64)
    np.testing.assert_allclose(found, network(torch.from_numpy(images)).numpy(), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", BUNDLES)
def test_both_bundles_train_and_are_evaluated(name, data_set, narrow_bundles, tmp_path, capsys):
    common = ["--data", str(data_set), "--device", "cpu", "--trust", "--json"]
    run = ["train", str(narrow_bundles[name]), "-o", str(tmp_path), "--epochs", "3", "--folds", "5", *common]
    assert main([*run, "--adversarial", "0.1"] if name == BUNDLES[0] else run) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (
        "Trained on 8 cases of 4 subjects, held out 2 cases of 1 subject" in facts["notes"][0]
        and "Pixels of 1.500 mm" in facts["notes"][0]
    )
    trained = tmp_path / f"narrow_{name}"
    log = (trained / "training" / "log.csv").read_text().splitlines()
    losses = [float(line.split(",")[1]) for line in log[1:]]
    assert len(losses) == 3 and losses[-1] < losses[0]
    for file in ("learning_curve.png", "preprocessing.png", "best.pt"):
        assert (trained / "training" / file).is_file()
    same_by_onnx(trained)
    evaluate = ["evaluate", str(trained), "-o", str(tmp_path / "e"), *common, "--view", VIEWS[name]]
    evaluate += ["--backend", "onnxruntime"]
    assert main(evaluate) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["subjects"] == 1 and facts["volumes"] == 2 and set(facts["structures"]) == {"LV", "MYO", "RV"}
    assert "8 cases that the network was trained on are left out." in facts["notes"]
    rows = (tmp_path / "e" / "evaluation.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * 3 and (tmp_path / "e" / "worst_1.png").is_file()


def test_an_interrupted_training_goes_on_to_the_same_weights(data_set, tmp_path):
    def trainer(folder):
        torch.manual_seed(1)
        options = training_options(
            dataset_dir=str(data_set),
            output_dir=str(tmp_path / folder),
            epochs=3,
            batch_size=4,
            cases=CaseChoice(view="4ch", folds=5),
            schedule=POLY,
            adversarial=Adversarial(),
        )
        data = WholeSliceData(64, style=StyleOptions(0.3, 0.3))
        return whole_slice_trainer(Toy(), ScalesLoss(HeartDiceCELoss()), data, str(tmp_path / folder), options)

    def stop(fraction, message):
        if message.startswith("epoch 2"):
            raise KeyboardInterrupt

    whole = trainer("whole").run()
    with pytest.raises(KeyboardInterrupt):
        trainer("twice").run(stop)
    told = []
    again = trainer("twice").run(lambda fraction, message: told.append(message))
    assert told[0] == "going on after epoch 2 of 3."
    for one, two in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two)


def test_one_vendor_cannot_be_trained_against(data_set, narrow_bundles, tmp_path, capsys):
    run = ["train", str(narrow_bundles[BUNDLES[1]]), "-o", str(tmp_path), "--trust", "--device", "cpu", "--data"]
    (data_set / "dataset_information.csv").rename(tmp_path / "table.csv")
    try:
        assert main([*run, str(data_set), "--adversarial", "0.1"]) == 2
    finally:
        (tmp_path / "table.csv").rename(data_set / "dataset_information.csv")
    assert "two vendors or centres at least" in capsys.readouterr().err
    assert main([*run, str(data_set), "--hold-out", "Canon"]) == 2
    assert "No case is of 'canon'; there are ge medical, siemens" in capsys.readouterr().err


def test_every_vendor_is_left_out(data_set, tmp_path, capsys, monkeypatch):
    trained = []

    def train(bundle, data, folder, options, *, progress):
        trained.append(options.hold_out)
        return folder / bundle

    def judge(network, data, folder, options, *, progress):
        assert Path(network.bundle) / "training" / "cases.csv" == data and options.every
        folder.mkdir(parents=True)
        dice = 0.5 + 0.1 * len(trained)
        text = f"subject,view,phase,structure,dice\n{len(trained)},4ch,ED,LV,{dice}\n{len(trained)},4ch,ES,LV,{dice}\n"
        (folder / "evaluation.csv").write_text(text, encoding="utf-8")

    monkeypatch.setattr("cineheart.commands.networks.rounds.train_bundle", train)
    monkeypatch.setattr("cineheart.commands.networks.rounds.evaluate_on_cases", judge)
    command = ["crossvalidate", BUNDLES[1], "--data", str(data_set), "-o", str(tmp_path), "--by", "vendor", "--json"]
    assert main(command) == 0
    facts = json.loads(capsys.readouterr().out)
    assert trained == ["GE MEDICAL", "Siemens"] and facts["volumes"] == 4
    assert facts["Siemens"] == {"LV": "0.7000 +- 0.0000"} and facts["all"]["LV"].startswith("0.6500 +- 0.0577")
    assert (tmp_path / "crossvalidation.csv").read_text().splitlines()[1] == "GE MEDICAL,1,4ch,ED,LV,0.6"
    assert main(command) == 0 and len(trained) == 2  # nothing is trained again
    assert main([*command, "--by", "fold", "--folds", "3"]) == 0 and len(trained) == 5

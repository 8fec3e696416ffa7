"""Training of mouse networks: whole animals are held out, an end when nothing is gained, the bundle's own recipe."""

import numpy as np
import pytest
import torch
from training_options import training_options

from CardiacLib.datasets.mouse.hdf5 import Animal, write_animal
from CardiacLib.errors import InputError
from CardiacLib.networks.bundles import bundle_path, read_config
from CardiacLib.training.engine import Trainer
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LV, MYO, LabelMap
from CardiacSegLib.mouse.slices import LabelledSlices
from CardiacSegLib.mouse.split import MouseData, split_files
from CardiacSegLib.mouse.trainer import settle_statistics


@pytest.fixture
def folder(tmp_path):
    """Four animals with a ring in noise, 48 x 48."""
    rows, columns = np.mgrid[:48, :48]
    for number in range(4):
        labels = np.zeros((2, 3, 48, 48), np.uint8)
        away = np.hypot(rows - 22 - number, columns - 24)
        labels[..., away < 12] = MYO
        labels[..., away < 7] = LV
        frames = (
            np.random.default_rng(number).normal(100, 10, labels.shape) + 60 * (labels == MYO) + 200 * (labels == LV)
        )
        cine = Cine(frames, np.diag([0.1, 0.1, 1.0, 1.0]), np.array([0.0, 60.0]), "sax")
        write_animal(tmp_path / f"m{number}.h5", Animal(f"m{number}", cine, LabelMap.of(labels, cine), (0, 1)))
    return tmp_path


def test_whole_animals_are_held_out(folder):
    learned, held = split_files(folder, MouseData(held_out=0.25))
    assert len(learned) == 3 and len(held) == 1 and not set(learned) & set(held)
    assert split_files(folder, MouseData(held_out=0.25)) == (learned, held)
    slices = LabelledSlices.of_files(learned)
    assert slices.images.shape == (18, 48, 48) and set(np.unique(slices.classes)) == {0, 1, 2}
    assert (slices.classes[0] == 2).sum() < (slices.classes[0] == 1).sum()  # 1 is the wall, as in the masks
    for path in learned:
        path.unlink()
    with pytest.raises(InputError, match="holds one animal"):
        split_files(folder, MouseData())


@pytest.mark.parametrize(
    ("bundle", "changes"),
    [("mouse_short_axis_small", {"window": [32, 32]}), ("mouse_short_axis", {"patience": 1, "shift_pixels": [3, 3]})],
)
def test_the_recipe_of_a_bundle(folder, tmp_path, bundle, changes):
    small = {
        "_target_": "CardiacSegLib.mouse.networks.fast_skips.FastUNet3Plus",
        "filters": [2, 3, 4, 5, 6],
    }
    overrides = {"dataset_dir": str(folder), "output_dir": str(tmp_path / "out"), "epochs": 1, "batches": 2}
    config = read_config(
        bundle_path(bundle),
        "train",
        batch_size=2,
        network_def=small,
        device=torch.device("cpu"),
        **overrides,
        **changes,
    )
    trainer = config.get_parsed_content("trainer")
    network = trainer.run()
    log = (tmp_path / "out" / "log.csv").read_text()
    assert "val_loss" in log and "dice_blood" in log
    assert network(torch.rand(1, 1, 48, 48)).shape == (1, 3, 48, 48)
    first = [images for images, _ in trainer.batches.batches]
    assert first[0].shape[0] == 2 and all(float(images.min()) > -1 for images in first)


def test_statistics_are_settled_for_the_final_weights():
    draw = torch.Generator().manual_seed(0)
    batches = [(torch.randn(4, 1, 8, 8, generator=draw) + 3.0, None) for _ in range(3)]
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2))
    settle_statistics(network, batches)
    with torch.no_grad():
        wanted = torch.stack([network[0](images).mean((0, 2, 3)) for images, _ in batches]).mean(0)
    assert torch.allclose(network[1].running_mean, wanted, atol=1e-5) and network[1].momentum == 0.1


class Numbers:
    """One batch of a line to fit."""

    generator = None

    def __len__(self):
        return 1

    def __iter__(self):
        yield torch.ones(4, 1), torch.full((4, 1), 3.0)


def test_training_ends_when_nothing_is_gained(tmp_path):
    losses = iter([0.9, 0.5, 0.7, 0.6, 0.8, 0.1])
    kept = []

    def validate(network):
        kept.append(network.weight.detach().clone())
        return {"val_loss": next(losses)}

    options = training_options(output_dir=str(tmp_path), epochs=20, patience=2, schedule="constant", weight_decay=0.0)
    line = torch.nn.Linear(1, 1)
    loss = torch.nn.functional.mse_loss
    found = Trainer(line, Numbers(), loss, options, validate, validate_every=1).run()
    assert len(kept) == 4 and torch.equal(found.weight, kept[1])
    # Run again, it stays ended: nothing more is learned.
    again = Trainer(torch.nn.Linear(1, 1), Numbers(), loss, options, validate, validate_every=1).run()
    assert len(kept) == 4 and torch.equal(again.weight, kept[1])

"""``cineheart train``: train a copy of a bundle."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.networks.bundles import bundle_path, config_value, read_config
from CardiacLib.networks.device import import_torch
from CardiacLib.progress import Progress, silent
from CardiacLib.types.choices import AUTO
from CardiacSegLib.quality import confidence
from cineheart.evaluate.card import write_trained_card


@dataclass(frozen=True)
class TrainOptions:
    """What a training can be told; None leaves it as the bundle states it.

    Attributes:
        epochs: passes over the data.
        device: ``auto`` or a torch device name.
        fold: which fifth of the patients is held out.
        trust: let the configuration of a foreign bundle run code.
    """

    epochs: int | None = None
    device: str = AUTO
    fold: int | None = None
    trust: bool = False


def train_bundle(
    bundle: str, data: Path, output: Path, options: TrainOptions | None = None, *, progress: Progress = silent
) -> Path:
    """``cineheart train``: train a copy of the bundle in ``output`` and return the copy's folder.

    Does what ``python -m monai.bundle run`` on the bundle's train.json does, with progress. The shipped bundle stays
    as it is; the copy can be used wherever a bundle is asked for.
    """
    import_torch("networks are trained with it")
    import monai

    from CardiacLib.networks.device import choose_device
    from CardiacLib.training.engine import train
    from cineheart.evaluate.learning_curve import draw_learning_curve

    options = options or TrainOptions()
    source = bundle_path(bundle)
    folder = output / source.name
    overrides = {
        "bundle_root": str(folder),
        "dataset_dir": str(data),
        "output_dir": str(folder / "training"),
        "device": choose_device(options.device),
    }
    overrides |= {
        name: value for name, value in (("epochs", options.epochs), ("fold", options.fold)) if value is not None
    }
    parser = read_config(source, "train", options.trust, **overrides)
    monai.utils.set_determinism(config_value(source, parser, "seed"))
    try:
        trainer = parser.get_parsed_content("trainer")
    except KeyError as error:
        raise InputError(f"{source}: its configs/train.json has no 'trainer'.") from error
    except RuntimeError as error:  # MONAI wraps what the component itself raised
        if isinstance(error.__cause__, InputError):
            raise error.__cause__ from None
        if isinstance(error.__cause__, FileNotFoundError):
            raise InputError(f"{error.__cause__.filename}: there are no such training data.") from error
        raise
    if "training" in parser:
        from CardiacLib.training.monai_engine import MonaiTraining

        trainer = MonaiTraining(trainer, parser.get_parsed_content("validator"), folder / "training")
    shutil.copytree(
        source / "configs", folder / "configs", ignore=shutil.ignore_patterns(confidence.FILE), dirs_exist_ok=True
    )
    (folder / "docs").mkdir(parents=True, exist_ok=True)
    write_trained_card(folder / "docs" / "README.md", source)
    train(trainer, folder, progress)
    progress(1.0, _write_onnx(folder, options.trust))
    draw_learning_curve(folder / "training" / "log.csv", folder / "training" / "learning_curve.png")
    return folder


def _write_onnx(folder: Path, trust: bool) -> str:
    """Make ``model.onnx`` of the trained weights; what was done, or why PyTorch alone can run them."""
    from CardiacLib.networks.onnx_export import export_bundle

    try:
        return f"wrote {export_bundle(folder, trust=trust).file}"
    except InputError as error:
        return f"No model.onnx was written, PyTorch runs this network: {error}"

"""``cineheart train``: train a copy of a bundle."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from CardiacLib.datasets.layouts.manifest import write_manifest
from CardiacLib.datasets.records import CaseRecord
from CardiacLib.datasets.splits import CaseChoice
from CardiacLib.errors import InputError
from CardiacLib.networks.bundles import bundle_document, bundle_path, config_value, read_config, require_weights
from CardiacLib.networks.device import import_torch
from CardiacLib.progress import Progress, part, silent
from CardiacLib.types.choices import AUTO
from CardiacSegLib.quality import confidence
from CardiacSegLib.segment.whole_slice import PREPROCESSING, stated_pixel_mm
from cineheart.commands.networks.slices import Slices, make_slices
from cineheart.console import Answer
from cineheart.evaluate.card import write_trained_card

SLICES = "allimages3label.npz'"
"""End of the expression for the data file of a bundle that trains on slices of three labels."""
CASES = "cases.csv"
"""Manifest of the cases that a copy was trained on and that were held out, in its folder ``training``."""
SPLITTING = ("fold", "folds", "label_order", "split_file", "hold_out")
PREPARED = 0.1
"""Part of the progress that the preparation of the data takes."""


@dataclass(frozen=True)
class TrainOptions:
    """What a training can be told; None leaves it as the bundle states it.

    Attributes:
        epochs: passes over the data.
        device: ``auto`` or a torch device name.
        fold: which part of the subjects is held out.
        folds: in how many parts they are split, where the data set states none.
        trust: let the configuration of a foreign bundle run code.
        start_from: bundle or weights file to begin with.
        learning_rate: greatest rate of the schedule.
        label_order: of the label values of the data.
        split_file: which subjects are held out, as of :class:`CardiacLib.datasets.splits.CaseChoice`.
        hold_out: vendors or centres that are held out.
        phantoms: number of synthetic hearts among the data.
        adversarial: weight of a classifier of vendors to train against.
        teachers: bundles whose mean answer over flips is learned too.
        soft_weight: of the teachers in the loss, 0..1.
        unlabelled: studies or files of which only the teachers say what is what.
    """

    epochs: int | None = None
    device: str = AUTO
    fold: int | None = None
    folds: int | None = None
    trust: bool = False
    start_from: str | None = None
    learning_rate: float | None = None
    label_order: str | None = None
    split_file: str | None = None
    hold_out: str | None = None
    phantoms: int | None = None
    adversarial: float | None = None
    teachers: tuple[str, ...] = ()
    soft_weight: float | None = None
    unlabelled: tuple[str, ...] = ()

    def overrides(self) -> dict[str, object]:
        """Top-level values of ``train.json`` that are given."""
        names = ("epochs", "fold", "folds", "learning_rate", "label_order", "split_file", "hold_out", "phantoms")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if self.start_from is not None:
            given["start_from"] = str(weights_of(self.start_from))
        if self.adversarial is not None:
            kind = "CardiacLib.training.adversarial.Adversarial"
            given["adversarial"] = {"_target_": kind, "weight": self.adversarial, "held_out_images": True}
        if self.teachers:
            given["distillation"] = {
                "_target_": "CardiacSegLib.train.distillation.Distillation",
                "teachers": list(self.teachers),
                "unlabelled": list(self.unlabelled),
                "trust": self.trust,
            } | ({} if self.soft_weight is None else {"weight": self.soft_weight})
        elif self.soft_weight is not None or self.unlabelled:
            raise InputError("Soft labels need a network that gives them: name its bundle with --teacher.")
        return given


class _Reported:
    """A progress callback that a configuration may hold: it is not copied with it."""

    def __init__(self, progress: Progress):
        self.progress = progress

    def __call__(self, fraction: float, message: str) -> None:
        self.progress(fraction, message)

    def __deepcopy__(self, _: object) -> "_Reported":
        return self


def weights_of(name: str) -> Path:
    """Weights file of a bundle, by its name or folder, or the file itself.

    Raises:
        InputError: there is no such file or bundle, or the bundle has no weights.
    """
    path = Path(name)
    return path if path.is_file() else require_weights(bundle_path(name))


def train_bundle(
    bundle: str, data: Path, output: Path, options: TrainOptions | None = None, *, progress: Progress = silent
) -> Path:
    """``cineheart train``: train a copy of the bundle in ``output`` and return the copy's folder."""
    return Path(str(train_with_notes(bundle, data, output, options, progress=progress).facts["bundle"]))


def train_with_notes(
    bundle: str, data: Path, output: Path, options: TrainOptions | None = None, *, progress: Progress = silent
) -> Answer:
    """The same, and what is to be told of it.

    Does what ``python -m monai.bundle run`` on the bundle's train.json does, with progress. The shipped bundle stays
    as it is; the copy can be used wherever a bundle is asked for.
    """
    import_torch("networks are trained with it")
    import monai

    from CardiacLib.training.engine import train

    options = options or TrainOptions()
    source = bundle_path(bundle)
    folder = output / source.name
    log = folder / "training" / "log.csv"
    slices = _slices(source, data, folder, options, part(progress, 0.0, PREPARED))
    parser = _configured(source, data, folder, options, part(progress, 0.0, PREPARED))
    if slices is not None:
        parser["dataset_file"], parser["split"] = str(slices.file), list(slices.parts)
        parser.parse()
    monai.utils.set_determinism(config_value(source, parser, "seed"))
    trainer = _trainer(source, parser)
    if "training" in parser:
        from CardiacLib.training.monai_engine import MonaiTraining

        split = None if slices is None else slices.split
        notes = () if slices is None else (slices.split.told,)
        trainer = MonaiTraining(
            trainer, parser.get_parsed_content("validator"), folder / "training", notes=notes, split=split
        )
    trainer.on_epoch = lambda: _draw_curve(log)
    _copy(source, folder)
    if getattr(trainer, "split", None):
        write_manifest(folder / "training" / CASES, trainer.split.stated)
    if (folder / "configs" / f"{PREPROCESSING}.json").is_file():
        _draw_preprocessing(folder, trainer.split.training, int(parser["side"]))
    for note in getattr(trainer, "notes", ()):
        progress(PREPARED, note)
    train(trainer, folder, part(progress, PREPARED, 1.0))
    _draw_curve(log)
    progress(1.0, _write_onnx(folder, options.trust))
    return Answer({"bundle": str(folder)}, tuple(getattr(trainer, "notes", ())))


def _slices(source: Path, data: Path, folder: Path, options: TrainOptions, progress: Progress) -> Slices | None:
    """The data of a bundle that trains on an NPZ, where ``data`` is not the folder with its own one."""
    stated = str(bundle_document(source, "train").get("dataset_file", ""))
    own = [name for name in re.findall(r"[\w.-]+\.npz", stated) if (data / name).is_file()]
    if not stated or own or not stated.endswith(SLICES):
        return None
    given = {"fold": options.fold, "folds": options.folds, "order": options.label_order}
    given |= {"split_file": options.split_file, "hold_out": options.hold_out}
    choice = CaseChoice(**{name: value for name, value in given.items() if value is not None})
    return make_slices(data, choice, folder / "training", progress)


def _configured(source: Path, data: Path, folder: Path, options: TrainOptions, progress: Progress) -> Any:
    """The bundle's training configuration with what was asked for."""
    from CardiacLib.networks.device import choose_device

    given = options.overrides()
    parser = read_config(source, "train", options.trust)
    if str(bundle_document(source, "train").get("dataset_file", "")).endswith(SLICES):  # its slices are split already
        given = {name: value for name, value in given.items() if name not in SPLITTING}
    if unknown := [name for name in given if name not in parser]:
        raise InputError(f"{source.name}: its training cannot be told '{unknown[0].replace('_', ' ')}'.")
    fixed = {
        "bundle_root": str(folder),
        "dataset_dir": str(data),
        "output_dir": str(folder / "training"),
        "device": choose_device(options.device),
    }
    for name, value in (fixed | given).items():
        parser[name] = value
    if "options" in parser:
        parser["options"]["progress"] = _Reported(progress)
    parser.parse()
    return parser


def _trainer(source: Path, parser: Any) -> Any:
    try:
        return parser.get_parsed_content("trainer")
    except KeyError as error:
        raise InputError(f"{source}: its configs/train.json has no 'trainer'.") from error
    except RuntimeError as error:  # MONAI wraps what the component itself raised
        cause = error.__cause__
        while cause is not None and not isinstance(cause, (InputError, FileNotFoundError)):
            cause = cause.__cause__
        if isinstance(cause, InputError):
            raise cause from None
        if isinstance(cause, FileNotFoundError):
            raise InputError(f"{cause.filename}: there are no such training data.") from error
        raise


def _copy(source: Path, folder: Path) -> None:
    """Configuration and card of the bundle that is being trained."""
    if source == folder.resolve():
        return
    # Neither a confidence nor a pixel size of other weights belongs to the copy, which may have one of its own by now.
    ignored = shutil.ignore_patterns(confidence.FILE, f"{PREPROCESSING}.json")
    shutil.copytree(source / "configs", folder / "configs", ignore=ignored, dirs_exist_ok=True)
    (folder / "docs").mkdir(parents=True, exist_ok=True)
    write_trained_card(folder / "docs" / "README.md", source)


def _draw_preprocessing(folder: Path, cases: Sequence[CaseRecord], side: int) -> None:
    from cineheart.evaluate.preprocessing_picture import draw_preprocessing

    draw_preprocessing(cases, stated_pixel_mm(folder), side, folder / "training" / "preprocessing.png")


def _draw_curve(log: Path) -> None:
    from cineheart.evaluate.learning_curve import draw_learning_curve

    draw_learning_curve(log, log.with_name("learning_curve.png"))


def _write_onnx(folder: Path, trust: bool) -> str:
    """Make ``model.onnx`` of the trained weights; what was done, or why PyTorch alone can run them."""
    from CardiacLib.networks.onnx_export import export_bundle

    try:
        return f"wrote {export_bundle(folder, trust=trust).file}"
    except InputError as error:
        return f"No model.onnx was written, PyTorch runs this network: {error}"

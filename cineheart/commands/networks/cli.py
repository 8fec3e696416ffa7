"""Command line: ``cineheart train | evaluate | crossvalidate | calibrate``."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from CardiacLib.errors import InputError
from CardiacLib.types.choices import AUTO, NetworkChoice, RunsOn
from cineheart.cli_options import (
    Backend,
    Device,
    EvaluateOutput,
    FoldsOutput,
    LabelOrder,
    Quality,
    QualityOption,
    TrainOutput,
    Trust,
    UpdateCard,
)
from cineheart.console import Console, Json


class By(str, Enum):
    """What a cross-validation holds out in turn."""

    fold = "fold"
    vendor = "vendor"


WHOLE_SLICES = "CardiacSegLib.segment.whole_slice.WholeSliceSegmenter"
"""Runner of bundles of several views, which are judged case by case."""
View = Annotated[str | None, typer.Option(help="Only cases of this view: sax, 2ch, 3ch, 4ch.")]
External = Annotated[
    bool, typer.Option("--external", help="By data set and phase: Dice, offset of the border, slices at the ends.")
]
Robustness = Annotated[
    bool, typer.Option("--robustness", help="Also after turns, changes of contrast, resolution, field (ACDC).")
]
Meshes = Annotated[
    bool, typer.Option("--meshes", help="Of slice propagation: also mesh the labels and count what passes.")
]
Lights = Annotated[
    bool, typer.Option("--lights", help="Precision and recall of the red light, also of hearts damaged on purpose.")
]
Every = Annotated[bool, typer.Option("--every", help="All cases, not only those held out.")]
Fold = Annotated[int | None, typer.Option(help="Which fold of the subjects is held out, from 0.")]
Folds = Annotated[int | None, typer.Option(min=2, help="Number of folds, where the data state none.")]
SplitFile = Annotated[Path | None, typer.Option(help="CSV (subject, split) or JSON of who is held out.")]
HoldOut = Annotated[str | None, typer.Option(help="Vendors or centres to hold out, separated by commas.")]
AdversarialWeight = Annotated[
    float | None, typer.Option(help="Train against a classifier of vendors, by this weight (0.1), to tell them less.")
]
Teacher = Annotated[
    list[str] | None,
    typer.Option(help="Bundle whose answer, mean over flips, is learned too (short axis); also several times."),
]
SoftWeight = Annotated[float | None, typer.Option(min=0, max=1, help="Of the teachers in the loss (0.5).")]
Unlabelled = Annotated[
    list[Path] | None, typer.Option(help="Study or cine that only teachers label; also several times.")
]


def train(
    bundle: Annotated[str, typer.Argument(help="Bundle to train.")],
    data: Annotated[Path, typer.Option(help="Training data: folder, manifest, MONAI data list or NPZ.")],
    output: TrainOutput = Path("runs"),
    epochs: Annotated[int | None, typer.Option(help="Instead of the bundle's own number.")] = None,
    start_from: Annotated[str | None, typer.Option(help="Bundle, or weights file, to begin with.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Instead of the bundle's own; less to fine-tune.")] = None,
    label_order: LabelOrder = "auto",
    fold: Fold = None,
    folds: Folds = None,
    split: SplitFile = None,
    hold_out: HoldOut = None,
    phantoms: Annotated[int | None, typer.Option(min=0, help="Synthetic hearts among the data.")] = None,
    adversarial: AdversarialWeight = None,
    teacher: Teacher = None,
    soft_weight: SoftWeight = None,
    unlabelled: Unlabelled = None,
    device: Device = AUTO,
    trust: Trust = False,
    as_json: Json = False,
) -> int:
    """Train a bundle's network; an interrupted run goes on from its last checkpoint."""
    from cineheart.commands.networks.train import TrainOptions, train_with_notes

    options = TrainOptions(
        epochs=epochs,
        device=device,
        fold=fold,
        folds=folds,
        trust=trust,
        start_from=start_from,
        learning_rate=learning_rate,
        label_order=None if label_order == AUTO else label_order,
        split_file=None if split is None else str(split),
        hold_out=hold_out,
        phantoms=phantoms,
        adversarial=adversarial,
        teachers=tuple(teacher or ()),
        soft_weight=soft_weight,
        unlabelled=tuple(str(path) for path in unlabelled or ()),
    )
    with Console("cineheart train", as_json, lines=True) as console:
        console.finish(train_with_notes(bundle, data, output, options, progress=console.progress))
    return 0


def evaluate(
    bundle: Annotated[str, typer.Argument(help="Bundle to evaluate.")],
    data: Annotated[
        Path,
        typer.Option(help="Labelled cases of any layout, or 4CH frames; of what states who is held out only those."),
    ],
    output: EvaluateOutput = Path("runs/evaluation"),
    robustness: Robustness = False,
    meshes: Meshes = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes, of slice propagation.")] = 1,
    label_order: LabelOrder = AUTO,
    split: SplitFile = None,
    hold_out: HoldOut = None,
    view: View = None,
    every: Every = False,
    external: External = False,
    lights: Lights = False,
    update_card: UpdateCard = False,
    quality: QualityOption = Quality.fast,
    device: Device = AUTO,
    backend: Backend = AUTO,
    trust: Trust = False,
    as_json: Json = False,
) -> int:
    """Accuracy on labelled cases, per structure, phase, view, vendor and disease; in the card with --update-card."""
    from CardiacLib.datasets.splits import CaseChoice
    from cineheart.evaluate import EvaluationChoice, evaluate_bundle
    from cineheart.evaluate.labelled import LabelledEvaluation
    from cineheart.evaluate.landmarks import evaluate_landmark_bundle, finds_landmarks
    from cineheart.evaluate.phantom import phantom_section
    from cineheart.evaluate.propagation import EvaluationOptions, evaluate_propagation, propagates
    from cineheart.evaluate.quality import quality_section

    choice = CaseChoice(label_order, split_file=None if split is None else str(split), hold_out=hold_out, view=view)
    with Console("cineheart evaluate", as_json, lines=True) as console:
        runs_on, progress = RunsOn(device, backend), console.progress
        network = NetworkChoice(bundle, runs_on, quality.value, trust=trust)
        labelled = LabelledEvaluation(choice, every, update_card)
        chosen = every or choice != CaseChoice()
        if quality is not Quality.fast:
            require_quality(bundle, update_card)
        require_own_way(bundle, external or lights or view is not None, chosen)
        if finds_landmarks(bundle):
            answer = evaluate_landmark_bundle(network, data, output, update_card=update_card, progress=progress)
        elif propagates(bundle):
            options = EvaluationOptions(runs_on, labelled, robustness, meshes, workers, trust)
            answer = evaluate_propagation(bundle, data, output, options, progress=progress)
        elif not (external or lights or chosen) and is_acdc_validation(bundle, data):
            parts = (quality_section, lambda _: phantom_section(network))
            answer = evaluate_bundle(
                network, data, output, EvaluationChoice(robustness, parts, update_card), progress=progress
            )
        elif robustness:
            raise InputError("--robustness is measured on ACDC's validation patients; give their folder and no choice.")
        else:
            answer = _judge(external, lights)(network, data, output, labelled, progress=progress)
        console.finish(answer)
    return 0


def require_own_way(bundle: str, of_slices: bool, chosen: bool) -> None:
    """Check that a bundle that is judged in a way of its own is not asked to be judged in another one.

    Args:
        bundle: any.
        of_slices: a view, or the tables of external data or of lights, were asked for.
        chosen: cases were chosen.

    Raises:
        InputError: it is a landmark or slice network, and cannot be.
    """
    from cineheart.evaluate.landmarks import finds_landmarks
    from cineheart.evaluate.propagation import propagates

    if (of_slices or chosen) and finds_landmarks(bundle):
        raise InputError(f"{bundle}: is judged by its own data; leave out what says which labelled cases to take.")
    if of_slices and propagates(bundle):
        raise InputError(f"{bundle}: is judged on whole short-axis stacks; leave out --external, --lights and --view.")


def require_quality(bundle: str, update_card: bool) -> None:
    """Check that a bundle can be judged at another quality than the default.

    Raises:
        InputError: it is a landmark or slice network, or its card, which tells of the default, would be written.
    """
    from cineheart.evaluate.landmarks import finds_landmarks
    from cineheart.evaluate.propagation import propagates

    if finds_landmarks(bundle) or propagates(bundle):
        raise InputError(f"{bundle}: has no other quality; leave out --quality.")
    if update_card:
        raise InputError("The model card has the numbers of --quality fast; leave out --quality or --update-card.")


def _judge(external: bool, lights: bool):
    """What judges labelled cases: the table of hospitals, the red light, or accuracy."""
    from cineheart.evaluate.external import evaluate_external
    from cineheart.evaluate.labelled import evaluate_on_cases
    from cineheart.evaluate.quality import evaluate_lights

    if external and lights:
        raise InputError("--external and --lights are two evaluations; run one after the other.")
    return evaluate_lights if lights else evaluate_external if external else evaluate_on_cases


def is_acdc_validation(bundle: str, data: Path) -> bool:
    """Whether data are ACDC's patients, and the bundle one that was not trained on those that are held out of them."""
    from CardiacLib.datasets.acdc import acdc_cases, acdc_folders
    from CardiacLib.networks.bundles import bundle_metadata, bundle_path
    from cineheart.evaluate.labelled import trained_on

    runner = str(bundle_metadata(bundle_path(bundle)).get("runner", ""))
    if not data.is_dir() or not acdc_folders(data) or runner == WHOLE_SLICES:
        return False
    seen = {image for image, _ in trained_on(bundle_path(bundle))}
    held_out = [case.image.resolve() for case in acdc_cases(data)[0] if case.fold == 0]
    return bool(held_out) and seen.isdisjoint(held_out)


def crossvalidate(
    bundle: Annotated[str, typer.Argument(help="Bundle; of biv_propagation and biv_initialization both are trained.")],
    data: Annotated[Path, typer.Option(help="Labelled cases of any layout; all of them are used.")],
    output: FoldsOutput = Path("runs/folds"),
    by: Annotated[By, typer.Option(help="What is held out in turn: folds of the subjects, or vendors.")] = By.fold,
    epochs: Annotated[int | None, typer.Option(help="Instead of the bundle's own number.")] = None,
    folds: Folds = None,
    label_order: LabelOrder = AUTO,
    adversarial: AdversarialWeight = None,
    device: Device = AUTO,
    trust: Trust = False,
    as_json: Json = False,
) -> int:
    """Train and evaluate with every fold, or every vendor, held out once; an interrupted run goes on."""
    from cineheart.commands.networks.crossvalidate import crossvalidate_propagation
    from cineheart.commands.networks.rounds import crossvalidate_bundle
    from cineheart.commands.networks.train import TrainOptions
    from cineheart.evaluate.propagation import propagates

    order = None if label_order == AUTO else label_order
    options = TrainOptions(
        epochs=epochs, device=device, folds=folds, trust=trust, label_order=order, adversarial=adversarial
    )
    with Console("cineheart crossvalidate", as_json, lines=True) as console:
        if propagates(bundle):
            answer = crossvalidate_propagation(bundle, data, output, options, progress=console.progress)
        else:
            leave_vendor = by is By.vendor
            answer = crossvalidate_bundle(bundle, data, output, options, leave_vendor, progress=console.progress)
        console.finish(answer)
    return 0


def calibrate(
    bundle: Annotated[str, typer.Argument(help="Bundle whose confidence to calibrate.")],
    data: Annotated[
        Path, typer.Option(help="Labelled cases of any layout; of what states who is held out only those.")
    ],
    appearance: Annotated[
        bool, typer.Option(help="Learn what the training cases of any data set look like, to warn of others.")
    ] = False,
    label_order: LabelOrder = AUTO,
    split: SplitFile = None,
    hold_out: HoldOut = None,
    every: Every = False,
    device: Device = AUTO,
    trust: Trust = False,
    as_json: Json = False,
) -> int:
    """Fit the confidence of quality control to the true Dice on held-out patients; kept in the bundle."""
    from CardiacLib.datasets.splits import CaseChoice
    from cineheart.commands.networks.calibrate import calibrate_bundle, describe_training_images
    from cineheart.evaluate.labelled import LabelledEvaluation

    choice = CaseChoice(label_order, split_file=None if split is None else str(split), hold_out=hold_out, view="sax")
    options = LabelledEvaluation(choice, every)
    with Console("cineheart calibrate", as_json) as console:
        network = NetworkChoice(bundle, RunsOn(device), trust=trust)
        if appearance:
            answer = describe_training_images(network, data, options, progress=console.progress)
        else:
            answer = calibrate_bundle(network, data, options, progress=console.progress)
        console.finish(answer)
    return 0


LEARNING = (train, evaluate, crossvalidate, calibrate)
"""Commands that learn from labelled data, or judge by them."""

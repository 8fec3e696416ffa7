"""Command line of training and judging networks: ``cineheart train | evaluate | crossvalidate | calibrate``."""

from pathlib import Path
from typing import Annotated

import typer

from CardiacLib.types.choices import AUTO, NetworkChoice, RunsOn
from cineheart.cli_options import Backend, Device, EvaluateOutput, FoldsOutput, TrainOutput, Trust, UpdateCard
from cineheart.console import Answer, Console, Json


def train(
    bundle: Annotated[str, typer.Argument(help="Bundle to train.")],
    data: Annotated[Path, typer.Option(help="Folder with the training data.")],
    output: TrainOutput = Path("runs"),
    epochs: Annotated[int | None, typer.Option(help="Instead of the bundle's own number.")] = None,
    device: Device = AUTO,
    trust: Trust = False,
    as_json: Json = False,
) -> int:
    """Train a bundle's network; an interrupted run goes on from its last checkpoint."""
    from cineheart.commands.networks.train import TrainOptions, train_bundle

    with Console("cineheart train", as_json) as console:
        folder = train_bundle(
            bundle, data, output, TrainOptions(epochs, device, trust=trust), progress=console.progress
        )
        console.finish(Answer({"bundle": str(folder)}))
    return 0


def evaluate(
    bundle: Annotated[str, typer.Argument(help="Bundle to evaluate.")],
    data: Annotated[
        Path,
        typer.Option(help="Folder with the ACDC patients or the 4CH frames; only the validation split is used."),
    ],
    output: EvaluateOutput = Path("runs/evaluation"),
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Also after turns, changes of contrast, resolution, field.")
    ] = False,
    meshes: Annotated[
        bool, typer.Option("--meshes", help="Of slice propagation: also mesh the labels and count what passes.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes, of slice propagation.")] = 1,
    update_card: UpdateCard = False,
    device: Device = AUTO,
    backend: Backend = AUTO,
    trust: Trust = False,
    as_json: Json = False,
) -> int:
    """Accuracy on held-out patients, per structure, phase and disease; into the model card only with --update-card."""
    from cineheart.evaluate import EvaluationChoice, evaluate_bundle
    from cineheart.evaluate.landmarks import evaluate_landmark_bundle, finds_landmarks
    from cineheart.evaluate.phantom import phantom_section
    from cineheart.evaluate.propagation import EvaluationOptions, evaluate_propagation, propagates
    from cineheart.evaluate.quality import quality_section

    with Console("cineheart evaluate", as_json) as console:
        runs_on, progress = RunsOn(device, backend), console.progress
        network = NetworkChoice(bundle, runs_on, trust=trust)
        if finds_landmarks(bundle):
            answer = evaluate_landmark_bundle(network, data, output, update_card=update_card, progress=progress)
        elif propagates(bundle):
            options = EvaluationOptions(runs_on, robustness, meshes, workers, trust, update_card)
            answer = evaluate_propagation(bundle, data, output, options, progress=progress)
        else:
            parts = (quality_section, lambda _: phantom_section(network))
            choice = EvaluationChoice(robustness, parts, update_card)
            answer = evaluate_bundle(network, data, output, choice, progress=progress)
        console.finish(answer)
    return 0


def crossvalidate(
    bundle: Annotated[str, typer.Argument(help="biv_propagation or biv_initialization: both networks are trained.")],
    data: Annotated[Path, typer.Option(help="Folder with the ACDC patients, all of which are used.")],
    output: FoldsOutput = Path("runs/folds"),
    epochs: Annotated[int | None, typer.Option(help="Instead of the bundles' own numbers.")] = None,
    device: Device = AUTO,
    trust: Trust = False,
    as_json: Json = False,
) -> int:
    """Five-fold cross-validation of slice propagation over all patients; an interrupted run goes on."""
    from cineheart.commands.networks.crossvalidate import crossvalidate_propagation
    from cineheart.commands.networks.train import TrainOptions

    with Console("cineheart crossvalidate", as_json) as console:
        options = TrainOptions(epochs, device, trust=trust)
        console.finish(crossvalidate_propagation(bundle, data, output, options, progress=console.progress))
    return 0


def calibrate(
    bundle: Annotated[str, typer.Argument(help="Bundle whose confidence to calibrate.")],
    data: Annotated[Path, typer.Option(help="Folder with the ACDC patients; only the validation split is used.")],
    device: Device = AUTO,
    trust: Trust = False,
    as_json: Json = False,
) -> int:
    """Fit the confidence of quality control to the true Dice on held-out patients; kept in the bundle."""
    from cineheart.commands.networks.calibrate import calibrate_bundle

    with Console("cineheart calibrate", as_json) as console:
        network = NetworkChoice(bundle, RunsOn(device), trust=trust)
        console.finish(calibrate_bundle(network, data, progress=console.progress))
    return 0

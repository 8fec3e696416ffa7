"""Command line: ``cineheart run | segment | landmarks | mesh | propagate | surfaces | phantom | train | evaluate |
crossvalidate | calibrate | bundles``.

Exit codes: 0 everything asked for was written, 1 something failed on the way, 2 input that cannot be used.
"""

import sys
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from CardiacLib.errors import Cancelled, InputError
from cineheart.commands.bundle_cli import bundles
from cineheart.commands.choices import chosen_views, fibre_options, mesh_options, propagate_choices

from .console import Console, Json
from .workers import terminated_as_interrupted

app = typer.Typer(
    name="cineheart",
    help="From a cine cardiac MR study to a simulation-ready heart. Research use only.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(bundles, name="bundles")


class Papillary(str, Enum):
    """Where volumes and mass count the papillary muscles."""

    cavity = "cavity"
    myocardium = "myocardium"


class Quality(str, Enum):
    """How much time the network may take."""

    fast = "fast"
    best = "best"


INTERRUPTED = 130
"""What typer makes of an interrupt (Ctrl+C or SIGTERM) as an exit code."""
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")]
Bundle = Annotated[str, typer.Option(help="Network: name of a shipped bundle or folder of a MONAI bundle.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Backend = Annotated[str, typer.Option(help="auto, torch or openvino: what runs the network.")]
QualityOption = Annotated[Quality, typer.Option(help="best: mean over four flips of the images, four times slower.")]
EdgeLength = Annotated[
    float | None, typer.Option(help="Mean edge of the tetrahedra in mm; without it 1.8, less where the wall is thin.")
]
Formats = Annotated[
    str,
    typer.Option(
        "--format", help="Separated by commas: vtu, vtp, simvascular, msh, xdmf, carp, feb, inp, stl, ply, obj, pools."
    ),
]
Fibres = Annotated[bool, typer.Option(help="Fibre, sheet and normal direction of every tetrahedron.")]
FibreAngles = Annotated[
    str | None, typer.Option(metavar="ENDO,EPI", help="Helix angles of the fibres in degrees, by default 60,-60.")
]
AlignViews = Annotated[
    bool,
    typer.Option("--align-views", help="Move views of different breath-hold positions together along the LV axis."),
]
LandmarkBundle = Annotated[str, typer.Option(help="Network for the valve points, as --bundle.")]
Motion = Annotated[bool, typer.Option("--motion", help="Carry the mesh over the cardiac cycle.")]
CutAtValves = Annotated[
    bool, typer.Option("--cut-at-valves", help="End the ventricles at the valve planes of the long-axis views.")
]
TwoChamber, ThreeChamber, FourChamber = (
    Annotated[Path | None, typer.Option(f"--{n}ch", help=f"{n}CH cine: NIfTI, NRRD, .seq.nrrd or DICOM.")]
    for n in (2, 3, 4)
)
LabelOrder = Annotated[
    str,
    typer.Option(help="auto, cineheart (1 LV, 2 myocardium, 3 RV), or acdc (1 RV, 2 myocardium, 3 LV)."),
]
PapillaryOption = Annotated[Papillary, typer.Option(help="Where volumes and mass count the papillary muscles.")]
MesherOption = Annotated[
    str, typer.Option(help="stuffing, or with 'cineheart[meshers]' ftetwild or mmg, which keep to the same gate.")
]
DicomSeg = Annotated[
    bool, typer.Option("--dicom-seg", help="Also DICOM segmentations of the DICOM images (needs highdicom).")
]
AlignSlices = Annotated[
    bool, typer.Option("--align-slices", help="Move slices that breath-holds displaced back into line.")
]
StartSlice = Annotated[int | None, typer.Option(help="Slice (k) to propagate from, by default the middle of the LV.")]
BaseSlice = Annotated[
    int | None, typer.Option(help="Slice (k) at the base, by default told from valve points or the labels.")
]
BaseLandmarks = Annotated[
    Path | None, typer.Option(help="landmarks.json of the same frames: the base is the plane of their valve points.")
]
Scene = Annotated[bool, typer.Option(help="Write Slicer scenes (needs slicer-core outside Slicer).")]


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code; ``argv`` without the program's name, by default that of the process."""
    command = typer.main.get_command(app)
    try:
        with terminated_as_interrupted():
            code = command.main(args=argv, prog_name="cineheart", standalone_mode=False)
    except InputError as error:
        return _fail(str(error), 2)
    except Cancelled:
        return _fail("Cancelled before the results were complete.", 1)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return _fail(error.format_message(), 2)
    if code == INTERRUPTED:
        return _fail("Interrupted before the results were complete; run the same command again.", 1)
    return code if isinstance(code, int) else 0


def _fail(sentence: str, code: int) -> int:
    print(f"cineheart: {sentence}", file=sys.stderr)
    return code


@app.command()
def run(
    study: Annotated[Path, typer.Argument(help="DICOM folder, or folder of images.")],
    output: Output,
    bundle: Bundle = "cineheart_sax",
    device: Device = "auto",
    backend: Backend = "auto",
    quality: QualityOption = Quality.fast,
    view: Annotated[
        list[str] | None, typer.Option(help="NAME=VIEW: set the view of a series or file (sax, 2ch, 3ch, 4ch, other).")
    ] = None,
    edge_length: EdgeLength = None,
    papillary: PapillaryOption = Papillary.cavity,
    landmark_bundle: LandmarkBundle = "cineheart_lax_landmarks",
    align: AlignViews = False,
    cut_at_valves: CutAtValves = False,
    motion: Motion = False,
    dicom_seg: DicomSeg = False,
    scene: Scene = True,
    as_json: Json = False,
) -> int:
    """One study, from images to labels, measurements, valve points, mesh, report and scene."""
    from cineheart.commands.landmarks import LandmarkOptions

    from .network import NetworkOptions
    from .pipeline import RunOptions, run_study

    mesh = mesh_options(edge_length)
    network = NetworkOptions(bundle, device, backend, quality.value)
    valves = LandmarkOptions(landmark_bundle, device, backend, align)
    options = RunOptions(
        network, chosen_views(view), mesh, scene, papillary.value, valves, cut_at_valves, motion, dicom_seg
    )
    with Console("cineheart run", as_json) as console:
        result = run_study(study, output, options, console.progress)
        notes = (*result.study.notes, *result.notes, *(result.quality.reasons if result.quality else ()))
        console.finish(_study_facts(result) | {"output": str(output)}, notes)
    return 0 if result.mesh is not None else 1


@app.command()
def segment(
    image: Annotated[Path, typer.Argument(help="Short-axis NIfTI, NRRD, .seq.nrrd, or DICOM folder of one stack.")],
    output: Output,
    bundle: Bundle = "cineheart_sax",
    device: Device = "auto",
    backend: Backend = "auto",
    quality: QualityOption = Quality.fast,
    frames: Annotated[str, typer.Option(help="all; ed, es or ed,es; or one frame number from 0.")] = "all",
    landmarks: Annotated[
        Path | None,
        typer.Option(help="landmarks.json of the same frames: end the ventricles at the planes of their valves."),
    ] = None,
    papillary: PapillaryOption = Papillary.cavity,
    dicom_seg: DicomSeg = False,
    scene: Scene = True,
    as_json: Json = False,
) -> int:
    """Label LV blood pool, LV myocardium and RV blood pool, and measure."""
    from cineheart.commands.segment_mesh_train import segment_image

    from .network import NetworkOptions

    with Console("cineheart segment", as_json) as console:
        network = NetworkOptions(bundle, device, backend, quality.value)
        choices = (network, frames, papillary.value, scene, console.progress, landmarks, dicom_seg)
        facts = segment_image(image, output, *choices)
        reasons = facts.pop("quality_reasons")
        console.finish(facts | {"output": str(output)}, tuple(reasons))
    return 0


@app.command()
def landmarks(
    output: Output,
    two_chamber: TwoChamber = None,
    three_chamber: ThreeChamber = None,
    four_chamber: FourChamber = None,
    bundle: Bundle = "cineheart_lax_landmarks",
    device: Device = "auto",
    backend: Backend = "auto",
    align: AlignViews = False,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Draw the points of every frame: valves_<view>.png and .gif.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Ten valve points of every frame of the long-axis cines, and the motion of the annuli."""
    from cineheart.commands.landmarks import LandmarkOptions, landmark_command

    given = {"2ch": two_chamber, "3ch": three_chamber, "4ch": four_chamber}
    files = {view: path for view, path in given.items() if path is not None}
    with Console("cineheart landmarks", as_json) as console:
        options = LandmarkOptions(bundle, device, backend, align, pictures)
        facts, notes = landmark_command(files, output, options, console.progress)
        console.finish(facts | {"output": str(output)}, notes)
    return 0


@app.command()
def mesh(
    labels: Annotated[
        list[Path], typer.Argument(help="Label map (NIfTI, NRRD or .seg.nrrd), or several, or a folder of them.")
    ],
    output: Output,
    frame: Annotated[str, typer.Option(help="ed, es, a number from 0, or all: ED carried over the cycle.")] = "ed",
    edge_length: EdgeLength = None,
    formats: Formats = "vtu,vtp",
    fibres: Fibres = True,
    fibre_angles: FibreAngles = None,
    coordinates: Annotated[bool, typer.Option(help="Ventricular coordinates and AHA segments.")] = True,
    label_order: LabelOrder = "auto",
    align_slices: AlignSlices = False,
    landmarks: BaseLandmarks = None,
    propagate: Annotated[
        Path | None,
        typer.Option(help="The labels' image: carry one slice through it by the propagation networks, and mesh that."),
    ] = None,
    start_slice: StartSlice = None,
    base_slice: BaseSlice = None,
    mesher: MesherOption = "stuffing",
    min_dihedral: Annotated[float | None, typer.Option(help="Least dihedral angle that passes, by default 18.")] = None,
    min_jacobian: Annotated[
        float | None, typer.Option(help="Least scaled Jacobian that passes, by default 0.30.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes, for several label maps.")] = 1,
    as_json: Json = False,
) -> int:
    """Tagged tetrahedral mesh of both ventricles from labels; from several label maps one folder each and a table."""
    given = {"min_dihedral_deg": min_dihedral, "min_scaled_jacobian": min_jacobian}
    given = {name: value for name, value in given.items() if value is not None} | {"mesher": mesher}
    options = replace(mesh_options(edge_length), fibres=fibres, coordinates=coordinates, **given)
    options = replace(options, fibre_angles=fibre_options(fibre_angles), align_slices=align_slices)
    choices = {"frame": frame, "order": label_order, "options": options, "formats": formats}
    propagation = propagate_choices(propagate, start_slice, base_slice, align_slices, landmarks)
    with Console("cineheart mesh", as_json) as console:
        if len(labels) > 1 or labels[0].is_dir():
            from cineheart.commands.mesh_batch import mesh_batch

            for name, path in (("landmarks", landmarks), ("propagate", propagate)):
                if path is not None:
                    raise InputError(f"--{name} {path}: belongs to one label map; give that map alone.")
            facts = mesh_batch(labels, output, choices, workers, console.progress)
            console.finish(facts | {"output": str(output)})
            return 1 if facts["failed"] else 0
        from cineheart.commands.segment_mesh_train import mesh_labels

        choices |= {"landmarks": landmarks, "propagate": propagation}
        facts, notes = mesh_labels(labels[0], output, choices, console.progress)
        console.finish(facts | {"output": str(output)}, notes)
    return 0


@app.command()
def propagate(
    image: Annotated[Path, typer.Argument(help="Short-axis NIfTI, NRRD or .seq.nrrd.")],
    output: Output,
    labels: Annotated[
        Path | None,
        typer.Option(help="Label map on the image's grid that the start slice is taken from; else the network's."),
    ] = None,
    frame: Annotated[
        str | None,
        typer.Option(help="ed or es, as the labels tell, or a number, by default 0; labels of one frame need it."),
    ] = None,
    start_slice: StartSlice = None,
    base_slice: BaseSlice = None,
    evidence: Annotated[
        str, typer.Option(help="What is asked in the other slices: labels, network, none (as published), or auto.")
    ] = "auto",
    align_slices: AlignSlices = False,
    landmarks: BaseLandmarks = None,
    label_order: LabelOrder = "auto",
    device: Device = "auto",
    backend: Backend = "auto",
    as_json: Json = False,
) -> int:
    """3-D consistent labels at 1.25 mm: one labelled slice carried to base and apex by the propagation networks."""
    from cineheart.commands.propagation import propagate_image

    with Console("cineheart propagate", as_json) as console:
        choices = propagate_choices(image, start_slice, base_slice, align_slices, landmarks, evidence, device, backend)
        facts, notes = propagate_image(choices, labels, label_order, frame, output, console.progress)
        console.finish(facts | {"output": str(output)}, notes)
    return 0


@app.command()
def surfaces(
    labels: Annotated[Path, typer.Argument(help="Label map: NIfTI, NRRD or .seg.nrrd.")],
    output: Output,
    frame: Annotated[str, typer.Option(help="ed, es, or a frame number from 0.")] = "ed",
    label_order: LabelOrder = "auto",
    as_json: Json = False,
) -> int:
    """Plain closed surfaces of the labelled structures by marching cubes, voxel steps and all; no mesh."""
    from cineheart.commands.label_surfaces import surfaces_of_labels

    with Console("cineheart surfaces", as_json) as console:
        console.finish(surfaces_of_labels(labels, output, frame, label_order) | {"output": str(output)})
    return 0


@app.command()
def phantom(
    output: Output,
    seed: Annotated[int, typer.Option(help="Of noise and shifts.")] = 0,
    small: Annotated[bool, typer.Option("--small", help="Few frames and coarse pixels, for quick trials.")] = False,
    breath_hold_shift: Annotated[float, typer.Option(help="Random in-plane shift of each slice, mm.")] = 0.0,
    dicom: Annotated[bool, typer.Option("--dicom", help="DICOM, one series per slice, instead of NIfTI.")] = False,
    as_json: Json = False,
) -> int:
    """A synthetic beating heart with exact truth: images, labels, volumes, valve points, surfaces."""
    from cineheart.commands.segment_mesh_train import make_phantom_study

    choices = {"seed": seed, "breath_hold_shift_mm": breath_hold_shift}
    with Console("cineheart phantom", as_json) as console:
        facts = make_phantom_study(output, choices, small, dicom, console.progress)
        console.finish(facts | {"output": str(output)})
    return 0


@app.command()
def train(
    bundle: Annotated[str, typer.Argument(help="Bundle to train.")],
    data: Annotated[Path, typer.Option(help="Folder with the training data.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="For the trained bundle, checkpoints and log.")] = Path(
        "runs"
    ),
    epochs: Annotated[int | None, typer.Option(help="Instead of the bundle's own number.")] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> int:
    """Train a bundle's network; an interrupted run goes on from its last checkpoint."""
    from cineheart.commands.segment_mesh_train import train_bundle

    with Console("cineheart train", as_json) as console:
        folder = train_bundle(bundle, data, output, epochs, device, console.progress)
        console.finish({"bundle": str(folder)})
    return 0


@app.command()
def evaluate(
    bundle: Annotated[str, typer.Argument(help="Bundle to evaluate.")],
    data: Annotated[
        Path,
        typer.Option(help="Folder with the ACDC patients or the 4CH frames; only the validation split is used."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Tables and pictures.")] = Path("runs/evaluation"),
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Also after turns, changes of contrast, resolution, field.")
    ] = False,
    meshes: Annotated[
        bool, typer.Option("--meshes", help="Of slice propagation: also mesh the labels and count what passes.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes, of slice propagation.")] = 1,
    device: Device = "auto",
    backend: Backend = "auto",
    as_json: Json = False,
) -> int:
    """Accuracy on held-out patients, per structure, phase and disease; the numbers go into the bundle's model card."""
    from cineheart.evaluate.landmarks import evaluate_landmark_bundle, finds_landmarks
    from cineheart.evaluate.phantom import phantom_section
    from cineheart.evaluate.propagation import evaluate_propagation, propagates
    from cineheart.evaluate.quality import quality_section

    from .evaluate import evaluate_bundle
    from .network import NetworkOptions

    with Console("cineheart evaluate", as_json) as console:
        if finds_landmarks(bundle):
            console.finish(evaluate_landmark_bundle(bundle, data, output, device, backend, console.progress))
            return 0
        if propagates(bundle):
            runs_on = (device, backend, robustness, meshes, workers)
            console.finish(evaluate_propagation(bundle, data, output, console.progress, *runs_on))
            return 0
        network = NetworkOptions(bundle, device, backend)
        sections = (quality_section, lambda _: phantom_section(network))
        console.finish(evaluate_bundle(network, data, output, console.progress, robustness, sections))
    return 0


@app.command()
def crossvalidate(
    bundle: Annotated[str, typer.Argument(help="biv_propagation or biv_initialization: both networks are trained.")],
    data: Annotated[Path, typer.Option(help="Folder with the ACDC patients, all of which are used.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Networks and tables of every fold.")] = Path(
        "runs/folds"
    ),
    epochs: Annotated[int | None, typer.Option(help="Instead of the bundles' own numbers.")] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> int:
    """Five-fold cross-validation of slice propagation over all patients; an interrupted run goes on."""
    from cineheart.commands.crossvalidate import crossvalidate_propagation

    with Console("cineheart crossvalidate", as_json) as console:
        console.finish(crossvalidate_propagation(bundle, data, output, epochs, device, console.progress))
    return 0


@app.command()
def calibrate(
    bundle: Annotated[str, typer.Argument(help="Bundle whose confidence to calibrate.")],
    data: Annotated[Path, typer.Option(help="Folder with the ACDC patients; only the validation split is used.")],
    device: Device = "auto",
    as_json: Json = False,
) -> int:
    """Fit the confidence of quality control to the true Dice on held-out patients; kept in the bundle."""
    from cineheart.commands.calibrate import calibrate_bundle

    from .network import NetworkOptions

    with Console("cineheart calibrate", as_json) as console:
        console.finish(calibrate_bundle(NetworkOptions(bundle, device), data, console.progress))
    return 0


def _study_facts(result) -> dict[str, object]:
    from cineheart.commands.segment_mesh_train import rounded

    function = result.function
    names = ("lv_edv_ml", "lv_esv_ml", "lv_ef_percent", "lv_mass_g", "rv_edv_ml", "rv_esv_ml", "rv_ef_percent")
    facts = {"views": list(result.study.cines), "ed": function.ed, "es": function.es}
    facts |= {name: rounded(getattr(function, name)) for name in names}
    if result.annulus is not None:
        values = result.annulus.values()
        facts |= {name: rounded(values[name]) for name in ("mapse_mm", "tapse_mm") if name in values}
    if result.quality is not None:
        facts["quality"] = result.quality.light
    if result.mesh is not None:
        facts["tetrahedra"] = len(result.mesh.tets)
    return facts | {"seconds": {k: round(v, 1) for k, v in result.seconds.items()}}


if __name__ == "__main__":
    sys.exit(main())

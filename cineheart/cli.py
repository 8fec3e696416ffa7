"""Command line: ``cineheart run | batch | segment | measure | landmarks | mesh | convert | unload | propagate |
surfaces | phantom | data | train | evaluate | crossvalidate | calibrate | gif | pdf | view | bundles``.

Exit codes: 0 everything asked for was written, 1 something failed on the way, 2 input that cannot be used.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from CardiacLib import __version__
from CardiacLib.errors import Cancelled, InputError
from CardiacLib.files import disk_problem
from CardiacLib.networks.bundles import bundle_of_species
from CardiacLib.types.choices import AUTO, LANDMARK_BUNDLE, LandmarkChoice, NetworkChoice, RunsOn
from cineheart.commands.animals.cli import mice
from cineheart.commands.choices import (
    Stated,
    chosen_views,
    fibre_options,
    only_given,
    propagation_of,
    refuse_for_several,
    stated_patient,
)
from cineheart.commands.cohorts.cli import batch
from cineheart.commands.data.cli import data
from cineheart.commands.networks.bundle_cli import bundles
from cineheart.commands.networks.cli import LEARNING
from cineheart.commands.pictures.cli import gif, pdf
from cineheart.commands.view import view

from .cli_options import (
    AddSlices,
    Age,
    AlignSlices,
    AlignViews,
    AlignWhereBetter,
    Anonymise,
    Backend,
    BaseLandmarks,
    BaseSlice,
    Bundle,
    CorrectedLabels,
    CorrectedPoints,
    CutAtValves,
    Device,
    DicomSeg,
    DicomSr,
    EdFrame,
    EdgeLength,
    EndAtValves,
    EsFrame,
    FibreAngles,
    Fibres,
    Formats,
    FourChamber,
    HeartRate,
    Height,
    LabelOrder,
    LandmarkBundle,
    LeaveOut,
    MesherOption,
    MinDihedral,
    MinJacobian,
    Motion,
    Order,
    Output,
    Papillary,
    PapillaryOption,
    Pdf,
    PhaseOption,
    PropagateImage,
    Quality,
    QualityOption,
    ReferenceRanges,
    Scene,
    SexOption,
    SpeciesName,
    SpeciesOption,
    StartFrame,
    StartLabels,
    StartSlice,
    Tets,
    ThreeChamber,
    Trust,
    TwoChamber,
    ValvePictures,
    ValveRings,
    Views,
    Weight,
)
from .console import Console, Json
from .fem.cli import fem
from .provenance import remembered
from .workers import terminated_as_interrupted

app = typer.Typer(
    name="cineheart",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(bundles, name="bundles")
app.add_typer(data, name="data")
app.add_typer(mice, name="mice")
app.add_typer(fem)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"cineheart {__version__}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """From a cine cardiac MR study to a simulation-ready heart. Research use only."""


INTERRUPTED = 130
"""What typer makes of an interrupt (Ctrl+C or SIGTERM) as an exit code."""


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code; ``argv`` without the program's name, by default that of the process."""
    command = typer.main.get_command(app)
    given = sys.argv[1:] if argv is None else argv
    try:
        with terminated_as_interrupted(), remembered(given):
            code = command.main(args=given, prog_name="cineheart", standalone_mode=False)
    except InputError as error:
        return _fail(str(error), 2)
    except Cancelled:
        return _fail("Cancelled before the results were complete.", 1)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:
        if problem := disk_problem(error):
            return _fail(problem, 1)
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
    bundle: Bundle = None,
    species: SpeciesOption = SpeciesName.human,
    device: Device = AUTO,
    backend: Backend = AUTO,
    quality: QualityOption = Quality.fast,
    view: Views = None,
    study_uid: Annotated[str, typer.Option(help="StudyInstanceUID, where the folder holds several studies.")] = "",
    mesh: Annotated[bool, typer.Option(help="Mesh end-diastole.")] = True,
    edge_length: EdgeLength = None,
    formats: Formats = "vtu,vtp",
    fibre_angles: FibreAngles = None,
    papillary: PapillaryOption = Papillary.cavity,
    landmark_bundle: LandmarkBundle = LANDMARK_BUNDLE,
    align: AlignViews = False,
    cut_at_valves: CutAtValves = False,
    motion: Motion = False,
    valve_rings: ValveRings = False,
    labels: CorrectedLabels = None,
    landmarks: CorrectedPoints = None,
    label_order: LabelOrder = "auto",
    ed_frame: EdFrame = None,
    es_frame: EsFrame = None,
    leave_out: LeaveOut = None,
    add_slices: AddSlices = None,
    height: Height = None,
    weight: Weight = None,
    heart_rate: HeartRate = None,
    sex: SexOption = None,
    age: Age = None,
    reference_ranges: ReferenceRanges = None,
    anonymise: Anonymise = False,
    dicom_seg: DicomSeg = False,
    dicom_sr: DicomSr = False,
    pdf: Pdf = False,
    scene: Scene = True,
    trust: Trust = False,
    as_json: Json = False,
) -> int:
    """One study, from images to labels, measurements, valve points, mesh, report and scene."""
    from cineheart.commands import study as of_study

    stated = Stated(ed_frame=ed_frame, es_frame=es_frame, leave_out=leave_out, add=add_slices)
    network = NetworkChoice(bundle or bundle_of_species(species.value), RunsOn(device, backend), quality.value, trust)
    options = of_study.RunOptions(
        segment=stated.segment_choice(network, papillary.value, species.value, reference_ranges),
        landmarks=LandmarkChoice(NetworkChoice(landmark_bundle, network.runs_on, trust=trust), align),
        mesh=of_study.mesh_choice(species.value, mesh, motion, valve_rings, edge=edge_length, angles=fibre_angles),
        formats=of_study.choose_formats(formats),
        views=chosen_views(view),
        study_uid=study_uid,
        corrected=of_study.CorrectedFiles(labels=labels, order=label_order, landmarks=landmarks),
        patient=stated_patient(height, weight, heart_rate, sex and sex.value, age),
        anonymise=anonymise,
        cut_at_valves=cut_at_valves,
        files=of_study.FurtherFiles(scene, dicom_seg, dicom_sr, pdf),
    )
    return of_study.run_study_folder(study, output, options, as_json)


@app.command()
def segment(
    image: Annotated[Path, typer.Argument(help="Short-axis NIfTI, NRRD, .seq.nrrd, or DICOM folder of one stack.")],
    output: Output,
    bundle: Bundle = None,
    species: SpeciesOption = SpeciesName.human,
    device: Device = AUTO,
    backend: Backend = AUTO,
    quality: QualityOption = Quality.fast,
    frames: Annotated[str, typer.Option(help="all; ed, es or ed,es; or one frame number from 0.")] = "all",
    landmarks: EndAtValves = None,
    papillary: PapillaryOption = Papillary.cavity,
    phase: PhaseOption = None,
    ed_frame: EdFrame = None,
    es_frame: EsFrame = None,
    leave_out: LeaveOut = None,
    add_slices: AddSlices = None,
    height: Height = None,
    weight: Weight = None,
    heart_rate: HeartRate = None,
    sex: SexOption = None,
    age: Age = None,
    reference_ranges: ReferenceRanges = None,
    dicom_seg: DicomSeg = False,
    dicom_sr: DicomSr = False,
    scene: Scene = True,
    trust: Trust = False,
    as_json: Json = False,
) -> int:
    """Label LV blood pool, LV myocardium and RV blood pool, and measure."""
    from cineheart.commands.segment import SegmentOptions, segment_image

    used = bundle or bundle_of_species(species.value)
    network = NetworkChoice(used, RunsOn(device, backend), quality.value, trust)
    stated = Stated(
        phase=phase.value if phase else "", ed_frame=ed_frame, es_frame=es_frame, leave_out=leave_out, add=add_slices
    )
    options = SegmentOptions(
        segment=stated.segment_choice(network, papillary.value, species.value, reference_ranges),
        patient=stated_patient(height, weight, heart_rate, sex and sex.value, age),
        frames=frames,
        landmarks=landmarks,
        scene=scene,
        dicom_seg=dicom_seg,
        dicom_sr=dicom_sr,
    )
    with Console("cineheart segment", as_json) as console:
        answer = segment_image(image, output, options, progress=console.progress)
        console.finish(answer.with_facts(output=str(output)))
    return 0


@app.command()
def measure(
    labels: Annotated[Path, typer.Argument(help="Label map of one frame or all: NIfTI, NRRD, .seg.nrrd or DICOM SEG.")],
    output: Output,
    image: Annotated[Path | None, typer.Option(help="The labels' image, on the same grid.")] = None,
    species: SpeciesOption = SpeciesName.human,
    landmarks: EndAtValves = None,
    label_order: LabelOrder = "auto",
    papillary: PapillaryOption = Papillary.cavity,
    phase: PhaseOption = None,
    ed_frame: EdFrame = None,
    es_frame: EsFrame = None,
    leave_out: LeaveOut = None,
    add_slices: AddSlices = None,
    height: Height = None,
    weight: Weight = None,
    heart_rate: HeartRate = None,
    sex: SexOption = None,
    age: Age = None,
    reference_ranges: ReferenceRanges = None,
    as_json: Json = False,
) -> int:
    """Measure labels that are there already, drawn or corrected by a person: volumes, EF, mass, thickness, strain."""
    from cineheart.commands.measure import MeasureOptions, measure_labels

    stated = Stated(
        phase=phase.value if phase else "", ed_frame=ed_frame, es_frame=es_frame, leave_out=leave_out, add=add_slices
    )
    options = MeasureOptions(
        choice=stated.segment_choice(NetworkChoice(), papillary.value, species.value, reference_ranges),
        order=label_order,
        image=image,
        landmarks=landmarks,
        patient=stated_patient(height, weight, heart_rate, sex and sex.value, age),
    )
    with Console("cineheart measure", as_json) as console:
        answer = measure_labels(labels, output, options, progress=console.progress)
        console.finish(answer.with_facts(output=str(output)))
    return 0


@app.command()
def landmarks(
    output: Output,
    two_chamber: TwoChamber = None,
    three_chamber: ThreeChamber = None,
    four_chamber: FourChamber = None,
    bundle: LandmarkBundle = LANDMARK_BUNDLE,
    device: Device = AUTO,
    backend: Backend = AUTO,
    align: AlignViews = False,
    pictures: ValvePictures = False,
    trust: Trust = False,
    as_json: Json = False,
) -> int:
    """Ten valve points of every frame of the long-axis cines, and the motion of the annuli."""
    from cineheart.commands.landmarks import find_in_files

    given = {"2ch": two_chamber, "3ch": three_chamber, "4ch": four_chamber}
    files = {view: path for view, path in given.items() if path is not None}
    choice = LandmarkChoice(NetworkChoice(bundle, RunsOn(device, backend), trust=trust), align)
    with Console("cineheart landmarks", as_json) as console:
        answer = find_in_files(files, output, choice, pictures=pictures, progress=console.progress)
        console.finish(answer.with_facts(output=str(output)))
    return 0


@app.command()
def mesh(
    labels: Annotated[
        list[Path], typer.Argument(help="Label map (NIfTI, NRRD or .seg.nrrd), or several, or a folder of them.")
    ],
    output: Output,
    frame: Annotated[str, typer.Option(help="ed, es, a number from 0, or all: ED carried over the cycle.")] = "ed",
    species: SpeciesOption = SpeciesName.human,
    edge_length: EdgeLength = None,
    tets: Tets = None,
    order: Order = 1,
    formats: Formats = "vtu,vtp",
    fibres: Fibres = True,
    fibre_angles: FibreAngles = None,
    coordinates: Annotated[bool, typer.Option(help="Ventricular coordinates and AHA segments.")] = True,
    label_order: LabelOrder = "auto",
    align_slices: AlignWhereBetter = None,
    landmarks: BaseLandmarks = None,
    valve_rings: ValveRings = False,
    propagate: PropagateImage = None,
    start_slice: StartSlice = None,
    base_slice: BaseSlice = None,
    mesher: MesherOption = "stuffing",
    min_dihedral: MinDihedral = None,
    min_jacobian: MinJacobian = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes, for several label maps.")] = 1,
    as_json: Json = False,
) -> int:
    """Tagged tetrahedral mesh of both ventricles from labels; from several label maps one folder each and a table."""
    from BiVMeshLib import MeshOptions
    from BiVMeshLib.exporters import choose_formats
    from cineheart.commands.mesh import MeshFile, mesh_choice, mesh_labels
    from cineheart.commands.mesh_batch import mesh_batch

    mesher_options = MeshOptions(
        edge_length_mm=edge_length,
        tets=tets,
        order=order,
        align_slices=align_slices,
        mesher=mesher,
        fibres=fibres,
        fibre_angles=fibre_options(fibre_angles),
        coordinates=coordinates,
        species=species.value,
        **only_given(min_dihedral_deg=min_dihedral, min_scaled_jacobian=min_jacobian),
    )
    options = MeshFile(
        mesh=mesh_choice(frame, mesher_options, valve_rings=valve_rings),
        order=label_order,
        formats=choose_formats(formats),
        landmarks=landmarks,
        propagate=propagation_of(propagate, start_slice, base_slice, bool(align_slices), landmarks),
    )
    with Console("cineheart mesh", as_json) as console:
        if len(labels) > 1 or labels[0].is_dir():
            refuse_for_several(landmarks=landmarks, propagate=propagate)
            answer = mesh_batch(labels, output, options, workers=workers, progress=console.progress)
        else:
            answer = mesh_labels(labels[0], output, options, progress=console.progress)
        console.finish(answer.with_facts(output=str(output)))
    return 1 if answer.facts.get("failed") else 0


@app.command()
def propagate(
    image: Annotated[Path, typer.Argument(help="Short-axis NIfTI, NRRD or .seq.nrrd.")],
    output: Output,
    labels: StartLabels = None,
    frame: StartFrame = None,
    start_slice: StartSlice = None,
    base_slice: BaseSlice = None,
    evidence: Annotated[
        str, typer.Option(help="What is asked in the other slices: labels, network, none (as published), or auto.")
    ] = "auto",
    align_slices: AlignSlices = False,
    landmarks: BaseLandmarks = None,
    label_order: LabelOrder = "auto",
    device: Device = AUTO,
    backend: Backend = AUTO,
    as_json: Json = False,
) -> int:
    """3-D consistent labels at 1.25 mm: one labelled slice carried to base and apex by the propagation networks."""
    from BiVMeshLib.propagation import PropagationOptions
    from BiVMeshLib.result import PropagateChoice
    from cineheart.commands.propagation import LabelFile, PropagateFile, propagate_image

    slices = PropagationOptions(start_slice, base_slice, evidence, align_slices=align_slices)
    source = PropagateFile(image, PropagateChoice(slices, RunsOn(device, backend)), landmarks)
    with Console("cineheart propagate", as_json) as console:
        given = LabelFile(labels, label_order, frame)
        answer = propagate_image(source, given, output, progress=console.progress)
        console.finish(answer.with_facts(output=str(output)))
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
    from CardiacLib.phantom import PhantomOptions
    from cineheart.commands.phantom import make_phantom_study

    make = PhantomOptions.small if small else PhantomOptions
    options = make(seed=seed, breath_hold_shift_mm=breath_hold_shift)
    with Console("cineheart phantom", as_json) as console:
        answer = make_phantom_study(output, options, dicom=dicom, progress=console.progress)
        console.finish(answer.with_facts(output=str(output)))
    return 0


for command in (batch, *LEARNING, gif, pdf, view):
    app.command()(command)


if __name__ == "__main__":
    sys.exit(main())

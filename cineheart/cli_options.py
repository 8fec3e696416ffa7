"""Options that several commands of the command line share."""

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from CardiacLib.files import require_output


class Papillary(str, Enum):
    """Where volumes and mass count the papillary muscles."""

    cavity = "cavity"
    myocardium = "myocardium"


class Quality(str, Enum):
    """How much time the network may take."""

    fast = "fast"
    best = "best"


class SpeciesName(str, Enum):
    """Whose heart it is."""

    human = "human"
    rat = "rat"
    mouse = "mouse"


SpeciesOption = Annotated[
    SpeciesName, typer.Option(help="Whose heart: network, units, limits and mesh size follow from it.")
]


class Sex(str, Enum):
    """Of the patient."""

    male = "male"
    female = "female"


class Phase(str, Enum):
    """What labels of one frame show."""

    ed = "ed"
    es = "es"


def checked_output(path: Path) -> Path:
    """The folder of the results, once something can be written there: every command checks it before the work."""
    require_output(path)
    return path


def output_option(text: str) -> Any:
    """``--output`` of any command."""
    return Annotated[Path, typer.Option("--output", "-o", help=text, callback=checked_output)]


Output = output_option("Folder for the results.")
TrainOutput = output_option("For the trained bundle, checkpoints and log.")
EvaluateOutput = output_option("Tables and pictures.")
FoldsOutput = output_option("Networks and tables of every fold.")
Trust = Annotated[bool, typer.Option("--trust", help="Let a foreign bundle's configuration, or TorchScript, run code.")]
Height = Annotated[float | None, typer.Option(help="Of the patient, in cm (or m), instead of what the files say.")]
Weight = Annotated[float | None, typer.Option(help="Of the patient, in kg, instead of what the files say.")]
SexOption = Annotated[Sex | None, typer.Option("--sex", help="Of the patient, instead of what the files say.")]
Age = Annotated[
    int | None, typer.Option(min=0, max=120, help="Of the patient, in completed years, instead of what the files say.")
]
ReferenceRanges = Annotated[
    Path | None, typer.Option("--reference-ranges", help="CSV of normal ranges by sex and age, instead of the shipped.")
]
HeartRate = Annotated[float | None, typer.Option(help="Beats per minute, instead of what the files say.")]
Anonymise = Annotated[bool, typer.Option("--anonymise", help="No name, ID or file name of the patient in any result.")]
UpdateCard = Annotated[bool, typer.Option("--update-card", help="Write the numbers into the bundle's model card too.")]
Bundle = Annotated[
    str | None,
    typer.Option(help="Network: name of a shipped bundle or folder of a MONAI bundle; without it the species' own."),
]
Device = Annotated[str, typer.Option(help="auto, cpu; cuda, cuda:1, mps of PyTorch; gpu of OpenVINO (Intel).")]
Backend = Annotated[str, typer.Option(help="auto, openvino, onnxruntime or torch: what runs the network.")]
QualityOption = Annotated[Quality, typer.Option(help="best: mean over four flips of the images, four times slower.")]
EdgeLength = Annotated[
    float | None, typer.Option(help="Mean edge of the tetrahedra in mm; without it 1.8, less where the wall is thin.")
]
Tets = Annotated[int | None, typer.Option(min=5000, help="Wanted number of tetrahedra, instead of --edge-length.")]
Order = Annotated[
    int, typer.Option(min=1, max=2, help="Of the elements: 1, or 2 for ten-node tetrahedra along the smooth surface.")
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
    typer.Option(help="auto, cineheart (1 LV, 2 MYO, 3 RV), acdc (1 RV, 2 MYO, 3 LV), or 1=MYO,2=LV,3=RV."),
]
PapillaryOption = Annotated[Papillary, typer.Option(help="Where volumes and mass count the papillary muscles.")]
MesherOption = Annotated[
    str, typer.Option(help="stuffing, or with 'cineheart[meshers]' ftetwild or mmg, which keep to the same gate.")
]
DicomSeg = Annotated[
    bool, typer.Option("--dicom-seg", help="Also DICOM segmentations of the DICOM images (needs highdicom).")
]
DicomSr = Annotated[
    bool, typer.Option("--dicom-sr", help="Also the measurements as a DICOM report (TID 1500; needs highdicom).")
]
Pdf = Annotated[bool, typer.Option("--pdf", help="Also the report as PDF, printed by Chromium, Chrome or Edge.")]
AlignSlices = Annotated[
    bool, typer.Option("--align-slices", help="Move slices that breath-holds displaced back into line.")
]
AlignWhereBetter = Annotated[
    bool | None,
    typer.Option(
        "--align-slices/--no-align-slices",
        help="Move displaced slices back into line, or never; without it where the mesh is truer to its labels then.",
    ),
]
StartSlice = Annotated[int | None, typer.Option(help="Slice (k) to propagate from, by default the middle of the LV.")]
BaseSlice = Annotated[
    int | None, typer.Option(help="Slice (k) at the base, by default told from valve points or the labels.")
]
BaseLandmarks = Annotated[
    Path | None, typer.Option(help="landmarks.json of the same frames: the base is the plane of their valve points.")
]
ValveRings = Annotated[
    bool, typer.Option("--valve-rings", help="Annuli of the valve points as rings: base split, cavities capped.")
]
Scene = Annotated[bool, typer.Option(help="Write Slicer scenes (needs slicer-core outside Slicer).")]
MinDihedral = Annotated[float | None, typer.Option(help="Least dihedral angle that passes, by default 18.")]
MinJacobian = Annotated[float | None, typer.Option(help="Least scaled Jacobian that passes, by default 0.30.")]
Views = Annotated[
    list[str] | None, typer.Option(help="NAME=VIEW: set the view of a series or file (sax, 2ch, 3ch, 4ch, other).")
]
EndAtValves = Annotated[
    Path | None,
    typer.Option(help="landmarks.json of the same frames: end the ventricles at the planes of their valves."),
]
PropagateImage = Annotated[
    Path | None,
    typer.Option(help="The labels' image: carry one slice through it by the propagation networks, and mesh that."),
]
StartLabels = Annotated[
    Path | None,
    typer.Option(help="Label map on the image's grid that the start slice is taken from; else the network's."),
]
StartFrame = Annotated[
    str | None,
    typer.Option(help="ed or es, as the labels tell, or a number, by default 0; labels of one frame need it."),
]
ValvePictures = Annotated[
    bool, typer.Option("--pictures", help="Draw the points of every frame: valves_<view>.png and .gif.")
]
PhaseOption = Annotated[Phase | None, typer.Option(help="What one frame alone shows; without it no phase is claimed.")]
EdFrame = Annotated[
    int | None, typer.Option(min=1, help="Frame of end-diastole, counted from 1, instead of the largest LV volume.")
]
EsFrame = Annotated[
    int | None, typer.Option(min=1, help="Frame of end-systole, counted from 1, instead of the smallest LV volume.")
]
SLICES = "VENTRICLE=SLICES[@PHASE]"
LeaveOut = Annotated[
    list[str] | None,
    typer.Option(
        "--leave-out-slices",
        metavar=SLICES,
        help="Slices that do not count, from 1 at the base of the stack: lv=1 in all frames, rv=1,2@es at end-systole.",
    ),
]
AddSlices = Annotated[
    list[str] | None,
    typer.Option(
        "--add-slices",
        metavar=SLICES,
        help="Slices in which a ventricle is drawn, where it is not, as in the next slice towards the apex.",
    ),
]
CorrectedLabels = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        help="Corrected labels of the short axis instead of the network's: NIfTI, NRRD, or a folder of DICOM SEG.",
    ),
]
CorrectedPoints = Annotated[
    Path | None,
    typer.Option(
        "--landmarks",
        help="Corrected valve points instead of the network's: landmarks.json, or a folder of .mrk.json, one a frame.",
    ),
]

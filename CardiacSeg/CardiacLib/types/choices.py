"""What a user may choose about networks and measurements; the only place where names and defaults of choices stand."""

import re
from dataclasses import dataclass, field, fields

from CardiacLib.errors import InputError

from .measures.ranges import ReferenceRow
from .patient import Patient
from .values import job_value

SHORT_AXIS_BUNDLE = "cineheart_sax"
LANDMARK_BUNDLE = "cineheart_lax_landmarks"
LONG_AXIS_BUNDLE = "cineheart_lax_labels"
PROPAGATION_BUNDLE, INITIALIZATION_BUNDLE = "biv_propagation", "biv_initialization"
SHORT_AXIS_BUNDLES = (SHORT_AXIS_BUNDLE, "ventricular_short_axis_3label")
LANDMARK_BUNDLES = (LANDMARK_BUNDLE, "valve_landmarks")
"""As a panel offers them: the shipped one and the published one."""
AUTO = "auto"
OPENVINO_GPU = "gpu"
"""OpenVINO's name for a graphics processor of Intel."""
DEVICES = (AUTO, "cpu", "cuda", "mps", OPENVINO_GPU)
"""As a panel offers them: ``cuda`` and ``mps`` are PyTorch's, which knows more names, as ``cuda:1``."""
BACKENDS = (AUTO, "openvino", "onnxruntime", "torch")
QUALITIES = ("fast", "best")
PAPILLARY = ("cavity", "myocardium")
SPECIES_NAMES = ("human", "rat", "mouse")


PHASES = ("ed", "es")
"""End-diastole and end-systole, as commands and files name them."""
VENTRICLES = ("lv", "rv")


def require_choice(value: str, choices: tuple[str, ...], what: str) -> None:
    """Raise InputError where ``value`` is none of ``choices``."""
    if value not in choices:
        raise InputError(f"No {what} '{value}'; choose one of {', '.join(choices)}.")


@job_value
@dataclass(frozen=True)
class RunsOn:
    """What runs networks.

    Attributes:
        device: one of DEVICES, or another torch device name.
        backend: one of BACKENDS; ``auto`` is PyTorch where it is installed and can use a GPU, else OpenVINO, ONNX
            Runtime or PyTorch, the first that is installed.

    Raises:
        InputError: there is no such backend.
    """

    device: str = AUTO
    backend: str = AUTO

    def __post_init__(self) -> None:
        require_choice(self.backend, BACKENDS, "backend")


@job_value
@dataclass(frozen=True)
class NetworkChoice:
    """A network and what runs it.

    Attributes:
        bundle: name or folder of its MONAI bundle.
        runs_on: device and backend.
        quality: one of QUALITIES; ``best`` is the mean over four flips of the images, at four times the cost.
        trust: let the configuration of a foreign bundle run code.

    Raises:
        InputError: there is no such quality.
    """

    bundle: str = SHORT_AXIS_BUNDLE
    runs_on: RunsOn = RunsOn()
    quality: str = QUALITIES[0]
    trust: bool = False

    def __post_init__(self) -> None:
        require_choice(self.quality, QUALITIES, "quality")


@job_value
@dataclass(frozen=True)
class Body:
    """What the study or the user says of the patient; None where nobody does.

    Attributes:
        heart_rate_bpm: beats per minute.
        height_m, weight_kg: for values per body surface area.
        sex: as DICOM writes it.
        age_years: completed; with the sex for normal ranges.
    """

    heart_rate_bpm: float | None = None
    height_m: float | None = None
    weight_kg: float | None = None
    sex: str | None = None
    age_years: int | None = None

    @classmethod
    def of(cls, patient: Patient) -> "Body":
        """What ``Cine.patient`` or ``Study.patient`` says."""
        return cls(**{field.name: getattr(patient, field.name) for field in fields(cls)})


@job_value
@dataclass(frozen=True)
class BasalSlices:
    """Slices of one ventricle that a person leaves out or adds.

    Attributes:
        ventricle: one of VENTRICLES; ``lv`` is the pool with its myocardium.
        slices: counted from 0 at the basal end of the stack, empty slices included.
        phase: one of PHASES, in whose frame alone this holds; empty for all frames.

    Raises:
        InputError: no such ventricle or phase, or a slice before the first.
    """

    ventricle: str
    slices: tuple[int, ...]
    phase: str = ""

    def __post_init__(self) -> None:
        require_choice(self.ventricle, VENTRICLES, "ventricle")
        require_choice(self.phase, ("", *PHASES), "phase")
        if not self.slices or min(self.slices) < 0:
            raise InputError(f"Slices of the {self.ventricle.upper()} are counted from 1 at the base.")

    def __str__(self) -> str:
        """As the command line takes it, counted from 1: ``rv=1,2@es``."""
        numbers = ",".join(str(number + 1) for number in self.slices)
        return f"{self.ventricle}={numbers}" + (f"@{self.phase}" if self.phase else "")


def basal_slices(text: str) -> tuple[BasalSlices, ...]:
    """Slices as people write them, counted from 1 at the base of the stack: ``lv=1``, ``rv=1,2@es``, ``lv=1,rv=1-3``.

    Raises:
        InputError: says how to write it.

    Example:
        >>> [str(edit) for edit in basal_slices("lv=1, rv=1-3@es")]
        ['lv=1', 'rv=1,2,3@es']
    """
    found = []
    for group in filter(None, re.split(r"[,;\s]+(?=[a-z]|$)", text.strip().lower())):
        match = re.fullmatch(r"([a-z]+)=(\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*)(?:@([a-z]+))?", group)
        if match is None:
            raise InputError(
                f"{text}: write VENTRICLE=SLICES, counted from 1 at the base of the stack, for one phase with @ed or "
                "@es: 'lv=1', 'rv=1,2@es'."
            )
        ventricle, numbers, phase = match.groups()
        ranges = [part.partition("-") for part in numbers.split(",")]
        slices = {n - 1 for first, _, last in ranges for n in range(int(first), int(last or first) + 1)}
        found.append(BasalSlices(ventricle, tuple(sorted(slices)), phase or ""))
    return tuple(found)


@job_value
@dataclass(frozen=True, kw_only=True)
class ByHand:
    """What a person says of labels and frames; it goes before what the volumes say.

    Attributes:
        phase: one of PHASES, that of labels of a single frame; empty where nobody says.
        ed_frame, es_frame: end-diastole and end-systole, counted from 0; None leaves them to the volumes.
        left_out: slices that do not count.
        added: slices that get the section of their neighbour towards the apex where the ventricle is not drawn.

    Raises:
        InputError: there is no such phase.
    """

    phase: str = ""
    ed_frame: int | None = None
    es_frame: int | None = None
    left_out: tuple[BasalSlices, ...] = ()
    added: tuple[BasalSlices, ...] = ()

    def __post_init__(self) -> None:
        require_choice(self.phase, ("", *PHASES), "phase")

    def to_dict(self) -> dict[str, str | int | list[str]]:
        """What was set, ready for JSON: frames counted from 0, slices as the command line takes them."""
        edits = {"left_out_slices": self.left_out, "added_slices": self.added}
        frames = {"phase": self.phase or None, "ed_frame_index": self.ed_frame, "es_frame_index": self.es_frame}
        known = {name: value for name, value in frames.items() if value is not None}
        return known | {name: [str(edit) for edit in made] for name, made in edits.items() if made}


@job_value
@dataclass(frozen=True)
class SegmentChoice:
    """How a short-axis cine is segmented and measured.

    Attributes:
        network: that labels it.
        papillary: one of PAPILLARY, where volumes and mass count the papillary muscles.
        body: of the patient.
        species: whose heart it is, as of :mod:`CardiacLib.species`.
        by_hand: what a person says of frames and basal slices.
        reference: a user's table of normal ranges; empty for the shipped one.

    Raises:
        InputError: ``papillary`` is neither, or there is no such species.
    """

    network: NetworkChoice = field(default_factory=NetworkChoice)
    papillary: str = PAPILLARY[0]
    body: Body = Body()
    species: str = SPECIES_NAMES[0]
    by_hand: ByHand = ByHand()
    reference: tuple[ReferenceRow, ...] = ()

    def __post_init__(self) -> None:
        require_choice(self.papillary, PAPILLARY, "place for the papillary muscles")
        require_choice(self.species, SPECIES_NAMES, "species")


@job_value
@dataclass(frozen=True)
class LandmarkChoice:
    """How valve points are found.

    Attributes:
        network: that finds them.
        align: move views that were taken in different breath-hold positions together along the LV axis.
    """

    network: NetworkChoice = field(default_factory=lambda: NetworkChoice(LANDMARK_BUNDLE))
    align: bool = False

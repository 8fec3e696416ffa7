"""What a user may choose about networks and measurements; the only place where names and defaults of choices stand."""

from dataclasses import dataclass, field, fields

from CardiacLib.errors import InputError

from .patient import Patient
from .values import job_value

SHORT_AXIS_BUNDLE = "cineheart_sax"
LANDMARK_BUNDLE = "cineheart_lax_landmarks"
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
    """

    heart_rate_bpm: float | None = None
    height_m: float | None = None
    weight_kg: float | None = None

    @classmethod
    def of(cls, patient: Patient) -> "Body":
        """What ``Cine.patient`` or ``Study.patient`` says."""
        return cls(**{field.name: getattr(patient, field.name) for field in fields(cls)})


@job_value
@dataclass(frozen=True)
class SegmentChoice:
    """How a short-axis cine is segmented and measured.

    Attributes:
        network: that labels it.
        papillary: one of PAPILLARY, where volumes and mass count the papillary muscles.
        body: of the patient.

    Raises:
        InputError: ``papillary`` is neither.
    """

    network: NetworkChoice = field(default_factory=NetworkChoice)
    papillary: str = PAPILLARY[0]
    body: Body = Body()

    def __post_init__(self) -> None:
        require_choice(self.papillary, PAPILLARY, "place for the papillary muscles")


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

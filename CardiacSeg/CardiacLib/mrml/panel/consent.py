"""What a user of Slicer is asked, once: to install packages, with their size and reason, and to accept a licence."""

from collections.abc import Sequence

from CardiacLib.errors import Cancelled, InputError
from CardiacLib.mrml.nodes.host import in_slicer
from CardiacLib.mrml.translation import _
from CardiacLib.networks.bundles import bundle_metadata, bundle_path

SIZES_MB = {
    "openvino": 59, "onnxruntime": 17, "scikit-image": 14, "nibabel": 3, "monai": 2, "onnx": 9, "highdicom": 1,
    "matplotlib": 9, "torch": 900,
}  # fmt: skip
"""Of the files that pip downloads, on Linux; of PyTorch as for a graphics processor. Others are below 1 MB."""
SETTING = "CineHeart/acceptedLicences/"
"""Name of the application's settings that remember which licence of a network's weights was accepted: its text."""


def reasons() -> dict[str, str]:
    """What each package is for."""
    return {
        "openvino": _("runs the networks"),
        "onnxruntime": _("runs the networks"),
        "torch": _("runs networks on graphics processors, opens published weights"),
        "monai": _("parts of networks"),
        "onnx": _("converts published networks"),
        "scikit-image": _("shapes and distances in label maps"),
        "nibabel": _("NIfTI files"),
        "pynrrd": _("NRRD files"),
        "platformdirs": _("finds the folder for weights"),
        "highdicom": _("DICOM segmentations"),
        "matplotlib": _("pictures of the report"),
        "jinja2": _("page of the report"),
        "typer": _("command line"),
        "rich": _("command line"),
    }


def packages_question(requirements: Sequence[str], requester: str) -> str:
    """The one question before packages are installed: each with its size and reason, and the sum."""
    from packaging.requirements import Requirement

    names = [Requirement(line).name for line in requirements]
    sizes = [SIZES_MB.get(name, 1) for name in names]
    known = reasons()
    row, other = _("- {name} (about {size} MB): {reason}"), _("needed by the others")
    rows = [
        row.format(name=name, size=size, reason=known.get(name, other)) for name, size in zip(names, sizes, strict=True)
    ]
    head = _("{requester} needs Python packages that Slicer does not bring:").format(requester=requester)
    end = _("About {size} MB are downloaded, into Slicer alone. Install them now?").format(size=sum(sizes))
    return "\n".join([head, *rows, end])


def ask_for_packages(requirements: Sequence[str], requester: str) -> None:
    """Ask once for all of them.

    Raises:
        Cancelled: the user said no.
    """
    import slicer

    title = _("{requester}: install Python packages").format(requester=requester)
    if not slicer.util.confirmOkCancelDisplay(packages_question(requirements, requester), title):
        raise Cancelled(_("Python packages were not installed."))


def licence_of(name: str) -> str:
    """What a bundle says of its licence."""
    return bundle_metadata(bundle_path(name))["copyright"]


def is_non_commercial(name: str) -> bool:
    """Whether the weights of a bundle may not be used commercially."""
    stated = licence_of(name)
    return "BY-NC" in stated or "research use only" in stated


def ask_for_licence(name: str) -> None:
    """In a panel: let the user accept the licence of a non-commercial network before its first use; remembered.

    Raises:
        Cancelled: the user said no.
    """
    import qt
    import slicer

    if not is_non_commercial(name) or _accepted(name) or slicer.app.testingEnabled():  # in a test nobody would answer
        return

    text = _("The weights of this network may not be used commercially, and for research only.")
    question = _("Do you accept this licence? You are asked once.")
    title = _("Licence of {name}").format(name=name)
    if not slicer.util.confirmOkCancelDisplay(f"{text}\n\n{licence_of(name)}\n\n{question}", title):
        raise Cancelled(_("The licence of {name} was not accepted.").format(name=name))
    qt.QSettings().setValue(SETTING + name, licence_of(name))


def require_licence(name: str, accepted: bool) -> None:
    """In a script inside Slicer: as :func:`ask_for_licence` where there is a window; else the script has to accept.

    Outside Slicer nothing is asked: the command line prints the licence.

    Raises:
        InputError: nobody has accepted the licence of a non-commercial network.
        Cancelled: the user said no.
    """
    if not in_slicer() or accepted or not is_non_commercial(name) or _accepted(name):
        return
    import slicer

    if slicer.util.mainWindow() is None or slicer.app.testingEnabled():
        raise InputError(
            f"{name}: {licence_of(name)} Accept this licence by acceptLicence=True, or once in Slicer's window."
        )
    ask_for_licence(name)


def _accepted(name: str) -> bool:
    """Whether this very licence was accepted before."""
    import qt

    return qt.QSettings().value(SETTING + name) == licence_of(name)

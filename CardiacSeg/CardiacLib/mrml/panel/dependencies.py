"""Python packages that Slicer does not bring: found without importing them, installed only with consent.

One requirements file and one constraints file serve all modules. PyTorch, for GPUs and for published weights, comes
through the PyTorch extension, which picks the build for the machine; everything else through ``slicer.packaging``
(Slicer 5.12) or ``slicer.util`` (Slicer 5.10). Packages that Slicer or the PyTorch extension has installed are held at
their version by constraints. Without a network everything, PyTorch too, comes from a folder of wheels. Nothing here
runs at import.
"""

import importlib.metadata
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from CardiacLib.errors import Cancelled, InputError
from CardiacLib.mrml.nodes.host import in_slicer
from CardiacLib.resources import resource_path
from CardiacLib.types.choices import AUTO, OPENVINO_GPU, RunsOn

from .consent import ask_for_packages

REQUIREMENTS_FILE = "CineHeartRequirements.txt"
COMMAND_LINE_REQUIREMENTS_FILE = "CineHeartCommandLineRequirements.txt"
"""What the command line needs besides; the panels do without."""
CONSTRAINTS_FILE = "CineHeartConstraints.txt"
WHEELS_VARIABLE = "CINEHEART_WHEELS"
"""Environment variable that names a folder of wheels to install from, without a network."""
TORCH_REQUIREMENT = "torch>=2.4.1"
TORCH_REQUIREMENTS = (TORCH_REQUIREMENT, "monai>=1.5.2")
"""For networks that PyTorch runs."""
WEIGHTS_REQUIREMENTS = (*TORCH_REQUIREMENTS, "onnx>=1.17")
"""To check published weights and to convert them for OpenVINO."""
HELD_PACKAGES = ("torch", "torchvision", "numpy", "scipy", "SimpleITK", "pydicom", "vtk", "requests")


def requirements() -> list[str]:
    """Requirements that apply to this machine and Python, one string each."""
    from packaging.requirements import Requirement

    lines = resource_path(REQUIREMENTS_FILE).read_text(encoding="utf-8").splitlines()
    stated = [line.partition("#")[0].strip() for line in lines]
    parsed = [Requirement(line) for line in stated if line]
    return [f"{found.name}{found.specifier}" for found in parsed if found.marker is None or found.marker.evaluate()]


def torch_requirements(runs_on: RunsOn) -> tuple[str, ...]:
    """What is needed beside the others to run networks as chosen: PyTorch, where it or one of its devices is."""
    asked = runs_on.backend == "torch" or runs_on.device not in (AUTO, "cpu", OPENVINO_GPU)
    return TORCH_REQUIREMENTS if asked else ()


def command_line_requirements() -> list[str]:
    """What the command line, and so the script that runs it inside Slicer, needs beside the panels."""
    lines = resource_path(COMMAND_LINE_REQUIREMENTS_FILE).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def missing_requirements(optional: Sequence[str] = ()) -> list[str]:
    """Requirements, and ``optional`` ones besides, that are not met; from package metadata, so nothing is imported."""
    from packaging.requirements import Requirement

    missing = []
    for line in (*requirements(), *optional):
        requirement = Requirement(line)
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            version = None
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            missing.append(line)
    return missing


def ensure_dependencies(
    requester: str,
    install: bool | None = None,
    wheels: str | Path | None = None,
    optional: Sequence[str] = (),
) -> None:
    """Make sure that a worker that uses a network can run; asks the user before anything is installed.

    Args:
        requester: name of the module, shown in the question.
        install: True installs without a question (headless use), False never installs, None asks in the main
            window and does not install where there is none (a question without a window would wait for ever).
        wheels: folder of wheels to install from instead of the network; None takes CINEHEART_WHEELS, if it is set.
        optional: requirements of this worker that others do without.

    Raises:
        InputError: packages are missing and may not be installed, there is no such folder, or the PyTorch extension
            is not there.
        Cancelled: the user said no.
        subprocess.CalledProcessError: pip failed; it has shown its log.
    """
    missing = missing_requirements(optional)
    if not missing:
        return
    if not in_slicer():
        raise InputError(f"Python packages are missing: {', '.join(missing)}; install them with pip.")
    import slicer

    can_ask = slicer.util.mainWindow() is not None and not slicer.app.testingEnabled()
    if install is False or (install is None and not can_ask):
        raise InputError(
            f"Python packages are missing: {', '.join(missing)}; open the {requester} module once in Slicer's "
            "window to install them, or call ensure_dependencies(install=True)."
        )
    if install is None:
        ask_for_packages(missing, requester)
    ask = install is None
    wheels = wheels or os.environ.get(WHEELS_VARIABLE)
    if wheels:
        _install_by_util(missing, _offline(Path(wheels)))
        return
    if TORCH_REQUIREMENT in missing:
        _install_torch()
    _install_packages([line for line in missing_requirements(optional) if line != TORCH_REQUIREMENT], requester, ask)


def _install_torch() -> None:
    try:
        from PyTorchUtils import PyTorchUtilsLogic
    except ImportError as error:
        raise InputError(
            "PyTorch is missing: install the PyTorch extension in the Extensions Manager and restart Slicer."
        ) from error
    specifier = TORCH_REQUIREMENT.removeprefix("torch")
    if PyTorchUtilsLogic().installTorch(askConfirmation=False, torchVersionRequirement=specifier) is None:
        raise Cancelled("PyTorch was not installed.")


def _install_packages(missing: list[str], requester: str, ask: bool) -> None:
    if not missing:
        return
    try:
        import slicer.packaging as packaging
    except ImportError:  # Slicer 5.10
        _install_by_util(missing)
        return
    with _constraints() as path:
        try:
            packaging.pip_ensure(
                missing,
                constraints=path,
                prompt_install=False,  # the user has been asked for all of them
                prompt_restart=ask,
                requester=requester,
                skip_in_testing=False,
            )
        except RuntimeError as error:
            raise Cancelled(str(error)) from error


def _offline(wheels: Path) -> list[str]:
    if not wheels.is_dir():
        raise InputError(f"{wheels}: there is no such folder of wheels.")
    return ["--no-index", "--find-links", str(wheels)]


def _install_by_util(missing: list[str], options: Sequence[str] = ()) -> None:
    import slicer

    with _constraints() as path:
        slicer.util.pip_install(["-c", str(path), *options, *missing])


@contextmanager
def _constraints() -> Iterator[Path]:
    """A constraints file: the project's own bounds, and the installed version of every held package."""
    bounds = resource_path(CONSTRAINTS_FILE).read_text(encoding="utf-8").splitlines()
    with tempfile.TemporaryDirectory(prefix="cineheart-pip-") as folder:
        path = Path(folder) / CONSTRAINTS_FILE
        path.write_text("\n".join([*bounds, *_held_versions()]) + "\n", encoding="utf-8")
        yield path


def _held_versions() -> list[str]:
    held = []
    for name in HELD_PACKAGES:
        try:
            held.append(f"{name}=={importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return held

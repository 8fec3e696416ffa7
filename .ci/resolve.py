"""Whether pip finds wheels of the light installation for every system beside the NumPy that Slicer brings.

    python .ci/resolve.py

Asks an index, so it is no test. Exit code 1 if a system is left out.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SLICER_NUMPY = {"5.10": "2.0.2", "5.12": "2.4.6"}
"""Version of NumPy by that of Slicer."""
PYTHON = "3.12"
SYSTEMS = {
    "Windows": ("win32", "AMD64", ["win_amd64"]),
    "Linux": ("linux", "x86_64", ["manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"]),
    "macOS Intel": ("darwin", "x86_64", [f"macosx_{n}_0_x86_64" for n in (14, 13, 12, 11)] + ["macosx_10_13_x86_64"]),
    "macOS Arm": ("darwin", "arm64", [f"macosx_{n}_0_arm64" for n in (14, 13, 12, 11)]),
}
"""``sys_platform``, ``platform_machine`` and platform tags by system; Slicer for macOS is an Intel build."""


def light_requirements(system: str) -> list[str]:
    """Requirements of Slicer's file that apply to a system, without their markers: pip asks those of this machine."""
    from packaging.requirements import Requirement

    platform, machine, _ = SYSTEMS[system]
    place = {"sys_platform": platform, "platform_machine": machine}
    lines = (ROOT / "Resources" / "CineHeartRequirements.txt").read_text(encoding="utf-8").splitlines()
    parsed = [Requirement(line) for line in lines if line and not line.startswith("#")]
    chosen = [found for found in parsed if found.marker is None or found.marker.evaluate(place)]
    return [f"{found.name}{found.specifier}" for found in chosen]


def resolved(system: str, numpy: str) -> dict[str, str] | str:
    """Version of every package that pip would install, by name; or why it would not."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        command += ["--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp", "--target", folder]
        command += [word for tag in SYSTEMS[system][2] for word in ("--platform", tag)]
        command += ["--report", str(report), "--constraint", str(ROOT / "Resources" / "CineHeartConstraints.txt")]
        ended = subprocess.run(
            [*command, f"numpy=={numpy}", *light_requirements(system)], capture_output=True, text=True, check=False
        )
        if ended.returncode:
            return ended.stderr.strip().splitlines()[-1]
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
        return {entry["metadata"]["name"]: entry["metadata"]["version"] for entry in found}


def main() -> int:
    """Print a line for each system and Slicer; 1 if one cannot be served."""
    failed = 0
    for slicer, numpy in SLICER_NUMPY.items():
        for system in SYSTEMS:
            found = resolved(system, numpy)
            if isinstance(found, str):
                failed, said = 1, f"NOT RESOLVED: {found}"
            else:
                backend = next(name for name in ("openvino", "onnxruntime") if name in found)
                said = f"{backend} {found[backend]}, {len(found)} packages"
            print(f"Slicer {slicer} (NumPy {numpy}), {system}: {said}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())

"""CineHeart: from a cine cardiac MR study to a simulation-ready heart. Command line and applications."""

from pathlib import Path

_LIBRARIES = ("CardiacSeg", "CardiacLandmarks", "BiVMesh")


def _use_source_tree() -> None:
    """Make the libraries importable when this package runs from a source tree, where they are not installed."""
    import importlib.util
    import sys

    root = Path(__file__).resolve().parents[1]
    if importlib.util.find_spec("CardiacLib") is None:
        sys.path[:0] = [str(root / name) for name in _LIBRARIES if (root / name).is_dir()]


_use_source_tree()


def __getattr__(name: str) -> str:
    """``__version__``, read when it is asked for: the program sets its threads before NumPy is loaded."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from CardiacLib import __version__

    return __version__


def load_heart(path: str | Path, units: str = "mm", frame: str = "LPS"):
    """Load a mesh that CineHeart wrote, for numpy, meshio, pyvista, scikit-fem or DOLFINx.

    As :func:`BiVMeshLib.heart.load_heart`, whose page says more; imported here only when it is called.

    Args:
        path: ``.vtu``, ``.msh``, ``.xdmf``, ``.inp``, ``.feb``, ``.pts``, or the folder of results.
        units: mm, cm, m or um. frame: LPS, RAS or HEART.

    Raises:
        InputError: the file is missing, cannot be read or is no heart.
    """
    from BiVMeshLib.heart import load_heart

    return load_heart(path, units, frame)

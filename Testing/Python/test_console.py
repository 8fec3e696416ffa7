"""The recipes of Docs/Console.md, run as they stand there in the panel host, with real workers."""

import re
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer")
pytest.importorskip("highdicom")
try:
    import PySide6.QtWidgets  # noqa: F401
except ImportError as error:
    pytest.skip(f"PySide6-Essentials or a system library of it is missing: {error}", allow_module_level=True)

from CardiacLib.mrml.nodes.sequences import sequence_of  # noqa: E402
from CardiacLib.phantom import PhantomOptions, make_phantom  # noqa: E402
from CardiacLib.phantom.dicom import write_dicom  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
EDGE, QUICKLY_MESHED = "edgeLength=3.0", "edgeLength=4.0, rvWallThickness=8.0"
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "Docs" / "Console.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
def test_the_recipes_do_what_they_say(host, scene, tmp_path):
    heart = {"sax_size": 72, "lv_edv_ml": 75.0, "rv_edv_ml": 80.0, "wall_mm": 8.0}
    phantom = make_phantom(PhantomOptions.small(n_frames=4, **heart))
    study, output = tmp_path / "study", tmp_path / "output"
    write_dicom(phantom, study)
    output.mkdir()
    names: dict[str, object] = {}
    assert EDGE in "".join(BLOCKS)
    for block in BLOCKS:
        code = block.replace(EDGE, QUICKLY_MESHED)
        code = code.replace("path/to/study", study.as_posix()).replace("path/to/output", output.as_posix())
        exec(compile(code, "Docs/Console.md", "exec"), names)
    assert set(names["volumes"]) == {"sax", "2ch", "3ch", "4ch"}
    assert names["browser"] is sequence_of(names["volumes"]["4ch"])[0]
    assert names["browser"].GetSelectedItemNumber() == names["result"].function.es
    true_ef = 100 * (1 - phantom.volumes["lv"].min() / phantom.volumes["lv"].max())
    assert abs(names["result"].function.lv.ef_percent - true_ef) < 10
    assert names["edited"].lv.ef_percent == pytest.approx(names["result"].function.lv.ef_percent)
    assert names["labels"].labels.shape == phantom.labels.labels.shape
    assert names["points"].shape == (4, 10, 3) and np.isfinite(names["points"]).any()
    assert {"mesh.vtu", "mesh.msh", "quality.json"} <= {path.name for path in (output / "mesh").iterdir()}
    assert len(names["mesh"].tets) == models_cells(names["models"])
    assert len(names["files"]) == phantom.options.n_frames and all(path.is_file() for path in names["files"])
    assert (output / "scene.mrb").stat().st_size > 100_000


def models_cells(models) -> int:
    """Number of tetrahedra that the volume model shows."""
    return models["VOLUME"].GetMesh().GetNumberOfCells()

"""The texts of panels and scene in another language: by Slicer's function inside Slicer, as they are elsewhere."""

import subprocess
import sys

import pytest

IN_SLICER = """
import inspect, sys, types
slicer, i18n = types.ModuleType("slicer"), types.ModuleType("slicer.i18n")
i18n.tr = lambda text: inspect.currentframe().f_back.f_globals["__name__"] + ": " + text[::-1]
slicer.i18n = i18n
sys.modules |= {"slicer": slicer, "slicer.i18n": i18n}
"""
SAY = """
from CardiacLib.mrml.panel.summaries import notes_text
print(notes_text(("One.",)).splitlines()[0])
"""


@pytest.mark.parametrize(
    ("start", "expected"),
    [(IN_SLICER, "CardiacLib.mrml.panel.summaries: :setoN"), ("", "Notes:")],
    ids=["inside", "outside"],
)
def test_texts_are_translated_where_they_stand(start, expected):
    """Slicer's function tells by its caller which translations it looks into."""
    ended = subprocess.run([sys.executable, "-c", start + SAY], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == expected

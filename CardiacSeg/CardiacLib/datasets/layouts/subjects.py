"""Subject and phase in the names of files: ``patient001_frame01``, ``SC-HF-I-01_ED``, ``case_07_es_0``."""

import re

PHASE = re.compile(r"(?P<subject>.+?)[-_ .](?P<phase>ED|ES)(?P<rest>$|[-_ .].*)", re.IGNORECASE)
FRAME = re.compile(r"(?P<subject>.+?)[-_ .](frame|phase|t|f)[-_ ]?(?P<frame>\d+)$", re.IGNORECASE)


def subject_and_phase(stem: str) -> tuple[str, str]:
    """Subject and phase (ED, ES or empty) that a file's name without its suffix says; frames count as no phase."""
    if found := PHASE.match(stem):
        return found["subject"], found["phase"].upper()
    if found := FRAME.match(stem):
        return found["subject"], ""
    return stem, ""

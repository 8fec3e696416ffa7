"""``_``, which the libraries' texts go through: Slicer's translation inside Slicer, elsewhere the text itself.

Slicer looks a text up under the name of the file that calls its function, and its extraction tool finds ``_("...")``
there. So ``_`` is that function itself, and a text stands as a literal where it is shown.
"""

import sys


def _as_it_is(text: str) -> str:
    """The translation where there is none."""
    return text


if "slicer" in sys.modules:  # the application has loaded it before any module; elsewhere it would take seconds
    try:
        from slicer.i18n import tr as _
    except ImportError:  # the package slicer-core
        _ = _as_it_is
else:
    _ = _as_it_is

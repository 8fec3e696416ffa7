"""What pydicom warns of goes to the log, each sentence once per reading, and not to the terminal."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

LOG = logging.getLogger(__name__)
LOG.addHandler(logging.NullHandler())


@contextmanager
def warnings_to_log(source) -> Iterator[None]:
    """Log the warnings that are given within, with the name of what is read."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for sentence in dict.fromkeys(str(warning.message) for warning in caught):
        LOG.warning("%s: %s", source, sentence)

"""Which network labels the short axis, and how it is run: what several commands are told alike."""

from dataclasses import dataclass

from CardiacSegLib import open_segmenter


@dataclass(frozen=True)
class NetworkOptions:
    """A network and how to run it.

    Attributes:
        bundle: name or folder of its MONAI bundle.
        device: ``auto`` or a torch device name.
        backend: what runs it, one of ``CardiacLib.networks.backends.BACKENDS``.
        quality: ``fast``, or ``best`` for the mean over four flips of the images, at four times the cost.
    """

    bundle: str = "cineheart_sax"
    device: str = "auto"
    backend: str = "auto"
    quality: str = "fast"

    def open(self):
        """The segmenter; raises InputError if any of the four cannot be used."""
        return open_segmenter(self.bundle, self.device, self.backend, self.quality)

"""What ``python -m monai.bundle run evaluating`` of the bundle ``valve_landmarks`` needs beside MONAI itself."""

from pathlib import Path

import numpy as np
import torch
from monai.data import FolderLayout
from monai.inferers import Inferer
from monai.transforms import MapTransform


class FrameInferer(Inferer):
    """Cines (B, 1, I, J, T) to points (B, T, 2, P) by a network for images; every frame by itself.

    Args:
        batch: frames that the network is given at a time.
    """

    def __init__(self, batch: int = 8):
        super().__init__()
        self.batch = batch

    def __call__(self, inputs: torch.Tensor, network, *args, **kwargs) -> torch.Tensor:
        frames = torch.movedim(inputs, -1, 1)
        found = [network(some, *args, **kwargs) for some in frames.flatten(0, 1).split(self.batch)]
        return torch.cat(found).unflatten(0, frames.shape[:2])


class SavePointsd(MapTransform):
    """Save the points of each image as ``<output_dir>/<image>_key-<key>.npy``.

    Args:
        keys: of points (1, T, 2, P) that know their image's file; what is saved is (T, 2, P).
        output_dir: folder for the files.
        data_root_dir: folder of the images, whose structure the output keeps.
    """

    def __init__(self, keys, output_dir: str, data_root_dir: str):
        super().__init__(keys)
        self.layout = FolderLayout(output_dir, extension=".npy", data_root_dir=data_root_dir, makedirs=True)

    def __call__(self, data: dict) -> dict:
        for key in self.key_iterator(data):
            file = data[key].meta["filename_or_obj"]
            target = self.layout.filename(file if isinstance(file, (str, Path)) else file[0], key=key)
            np.save(target, data[key].cpu().numpy()[0])
        return data

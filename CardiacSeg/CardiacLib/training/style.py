"""Images in the style of another scanner: histogram matching, and exchange of the lowest frequencies' amplitude."""

from dataclasses import dataclass

import numpy as np
import torch

BAND = 0.06
"""Half width of the exchanged band of frequencies, as part of the image's side (one percent of all)."""


@dataclass(frozen=True)
class StyleOptions:
    """How often an image gets another's style; the other is of another vendor where there are several.

    Attributes:
        matched: probability that its histogram is matched.
        synthesised: probability that its low frequencies' amplitude is the other's.
    """

    matched: float = 0.0
    synthesised: float = 0.0


def with_histogram_of(image: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """An image (H, W) whose values are distributed as those of another."""
    from skimage.exposure import match_histograms

    matched = match_histograms(image.cpu().numpy(), other.cpu().numpy())
    return torch.from_numpy(np.asarray(matched, np.float32)).to(image.device)


QUANTILES = 33
"""At which the grey values of two images are made equal."""


def with_quantiles_of(images: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Images (C, H, W) whose values above zero are distributed as those of others (C', H', W'); zeros are no image.

    Piecewise linear between quantiles, one map for all of them, as histogram matching without its steps.
    """
    own, style = images[images > 0], other[other > 0]
    if len(own) < QUANTILES or len(style) < QUANTILES:
        return images
    at = torch.linspace(0, 1, QUANTILES, device=images.device)
    knots, values = (torch.quantile(part[:: len(part) // 10_000 + 1], at) for part in (own, style))
    knots = knots + torch.arange(QUANTILES, device=images.device) * 1e-6  # equal ones are told apart
    right = torch.searchsorted(knots, images.contiguous()).clamp(1, QUANTILES - 1)
    share = ((images - knots[right - 1]) / (knots[right] - knots[right - 1])).clamp(0, 1)
    return torch.where(images > 0, torch.lerp(values[right - 1], values[right], share), images)


def with_amplitude_of(image: torch.Tensor, other: torch.Tensor, band: float = BAND) -> torch.Tensor:
    """An image (H, W) with its own phase, and the amplitude of another of the same shape at the lowest frequencies.

    Yang and Soatto, FDA: Fourier Domain Adaptation, CVPR 2020, doi 10.1109/CVPR42600.2020.00414.
    """
    # Without their means, whose sign is the phase of the lowest frequency: images here have negative values too.
    own, style = (torch.fft.fftshift(torch.fft.fft2(a - a.mean())) for a in (image, other))
    amplitude, phase = own.abs(), own.angle()
    rows, columns = (slice(n // 2 - round(band * n), n // 2 + round(band * n) + 1) for n in image.shape)
    amplitude[rows, columns] = style.abs()[rows, columns]
    return torch.fft.ifft2(torch.fft.ifftshift(torch.polar(amplitude, phase))).real + other.mean()

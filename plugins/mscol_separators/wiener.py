"""The multichannel Wiener filter of Open-Unmix, in closed form.

Sources are local Gaussians: in a bin f and a frame t, source j has power v_j(f, t) and a spatial
covariance R_j(f) between the channels. One iteration estimates both from the current estimates y_j
and filters the mixture x again,

    v_j = mean over channels of |y_j|^2,    R_j = sum_t y_j y_j^H / (eps + sum_t v_j),
    y_j = v_j R_j (sqrt(eps) I + sum_k v_k R_k)^-1 x,

after the mixture was scaled to at most 10. With two channels the inverse has a closed form, and its
product with x is the same for all sources. With one channel, or two equal ones, everything is real:
the mixture is multiplied by a gain per source.

Nugraha, Liutkus, Vincent: Multichannel Audio Source Separation with Deep Neural Networks, IEEE/ACM
TASLP 24(9), 2016; Stöter, Uhlich, Liutkus, Mitsufuji: Open-Unmix, JOSS 4(41), 2019.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

EPS = 1e-10
_LARGEST = 10.0
_BLOCK = 64


def filter_equal_channels(masks: Tensor, mixture: Tensor, iterations: int) -> Tensor:
    """Compute gains for a mixture with one channel or two equal channels.

    Args:
        masks: (sources, channels, frames, bins) masks of the networks, which may differ between
            channels.
        mixture: Complex (frames, bins), one of the channels.
        iterations: Number of iterations.

    Returns:
        (sources, channels, frames, bins) gains.
    """
    power = _scaled_power(mixture)
    for _ in range(iterations):
        masks = _filter_gains(masks, power)
    return masks


def filter_stereo(masks: Tensor, mixture: Tensor, iterations: int) -> Tensor:
    """Estimate the sources of a stereo mixture.

    Args:
        masks: (sources, 2, frames, bins) masks of the networks.
        mixture: Complex (2, frames, bins).
        iterations: Number of iterations, at least one.

    Returns:
        Complex (sources, 2, frames, bins).
    """
    # Real and imaginary parts are separate: torch is slow at products of complex and real numbers.
    parts = torch.stack([mixture.real, mixture.imag], dim=1)
    scale = _scale(mixture.abs().max())
    products = _products(parts) * scale
    estimates = mixture.new_empty(len(masks), *mixture.shape)
    filtered = torch.view_as_real(estimates).movedim(-1, 2)
    model = _Model.fit(_masked(products, mask) for mask in masks)
    model.filter(parts, filtered)
    for _ in range(iterations - 1):
        model = _Model.fit(_products(estimate) * scale for estimate in filtered)
        model.filter(parts, filtered)
    return estimates


def _products(pair: Tensor) -> Tensor:
    """Products of two channels (2, real and imaginary, frames, bins) for their covariance.

    Returns:
        (4, frames, bins): both squares, and real and imaginary part of the first channel times the
        conjugate of the second.
    """
    (left, left_i), (right, right_i) = pair
    return torch.stack(
        [
            (left * left).addcmul_(left_i, left_i),
            (right * right).addcmul_(right_i, right_i),
            (left * right).addcmul_(left_i, right_i),
            (left_i * right).addcmul_(left, right_i, value=-1),
        ]
    )


def _masked(products: Tensor, mask: Tensor) -> Tensor:
    """`_products` of a mixture whose channels are multiplied by real masks (2, frames, bins)."""
    cross = mask[0] * mask[1]
    return torch.stack([mask[0].square(), mask[1].square(), cross, cross]).mul_(products)


@dataclass(frozen=True)
class _Model:
    """Powers of the sources and, in each bin, their spatial covariances.

    Covariances are stored in the principal axes of their sum. If the channels are nearly equal, as
    is common in music, the second axis is small and keeps its precision; in the channels' axes it
    would be a difference of large numbers.

    Attributes:
        powers: v, (sources, frames, bins).
        axes: Complex (2, 2, bins), from channels to axes.
        covariances: R in those axes, (sources, 4, bins): the diagonal, then real and imaginary
            part of the first axis with the second.
        gains: From a whitened mixture in those axes to the channels, complex
            (sources, 2, 2, bins).
    """

    powers: Tensor
    axes: Tensor
    covariances: Tensor
    gains: Tensor

    @staticmethod
    def fit(products: Iterable[Tensor]) -> _Model:
        """Fit the model to scaled `_products` of each source."""
        powers, covariances = [], []
        for product in products:
            sums = product.sum(dim=1, dtype=torch.float64)
            powers.append((product[0] + product[1]).mul_(0.5))
            covariances.append(_hermitian(sums / (EPS + 0.5 * (sums[0] + sums[1]))))
        spatial = torch.stack(covariances)
        axes = _principal_axes(spatial.sum(dim=0))
        turned = torch.einsum("abf,jbcf,dcf->jadf", axes, spatial, axes.conj())
        parts = (turned[:, 0, 0].real, turned[:, 1, 1].real, *_parts(turned[:, 0, 1]))
        return _Model(
            torch.stack(powers),
            axes.to(torch.complex64),
            torch.stack(parts, dim=1).float(),
            torch.einsum("baf,jbcf->jacf", axes.conj(), turned).to(torch.complex64),
        )

    def filter(self, mixture: Tensor, filtered: Tensor) -> None:
        """Estimate the sources.

        Args:
            mixture: (2, real and imaginary, frames, bins).
            filtered: (sources, 2, real and imaginary, frames, bins), the output.
        """
        # Blocks of few frames fit in the cache of a CPU; a GPU needs few large kernels.
        size = _BLOCK if mixture.device.type == "cpu" else mixture.shape[2]
        for start in range(0, mixture.shape[2], size):
            part = slice(start, start + size)
            powers = self.powers[:, part]
            whitened = self._whiten(powers, _turned(self.axes, _pair(mixture[:, :, part])))
            for power, gain, output in zip(powers, self.gains, filtered[..., part, :], strict=True):
                for channel, estimate in zip(output, _turned(gain, whitened), strict=True):
                    torch.mul(estimate[0], power, out=channel[0])
                    torch.mul(estimate[1], power, out=channel[1])

    def _whiten(self, powers: Tensor, mixture: _Pair) -> _Pair:
        """The mixture multiplied by the inverse of its modelled covariance."""
        first, second, real, imaginary = (
            _weighted(powers, self.covariances[:, number]) for number in range(4)
        )
        first, second = first.add_(EPS**0.5), second.add_(EPS**0.5)
        inverse = torch.reciprocal(first * second - (real.square() + imaginary.square()))
        first, second, real, imaginary = (
            part.mul_(inverse) for part in (first, second, real, imaginary)
        )
        (x, x_i), (y, y_i) = mixture
        return (
            (
                _sum((second, x), (real, y, -1), (imaginary, y_i)),
                _sum((second, x_i), (real, y_i, -1), (imaginary, y, -1)),
            ),
            (
                _sum((first, y), (real, x, -1), (imaginary, x_i, -1)),
                _sum((first, y_i), (real, x_i, -1), (imaginary, x)),
            ),
        )


def _hermitian(products: Tensor) -> Tensor:
    """Convert (4, bins) in the order of `_products` to complex (2, 2, bins)."""
    left, right, real, imaginary = products
    cross, zero = torch.complex(real, imaginary), torch.zeros_like(left)
    diagonal = torch.complex(left, zero), torch.complex(right, zero)
    return torch.stack([diagonal[0], cross, cross.conj(), diagonal[1]]).view(2, 2, -1)


def _principal_axes(matrix: Tensor) -> Tensor:
    """Conjugate eigenvectors as rows, largest first, of Hermitian (2, 2, bins)."""
    cross = matrix[0, 1]
    angle = 0.5 * torch.atan2(2 * cross.abs(), (matrix[0, 0] - matrix[1, 1]).real)
    cosine = torch.complex(torch.cos(angle), torch.zeros_like(angle))
    sine = torch.polar(torch.sin(angle), cross.angle())
    return torch.stack([cosine, sine, -sine.conj(), cosine]).view(2, 2, -1)


_Complex = tuple[Tensor, Tensor]
_Pair = tuple[_Complex, _Complex]


def _pair(mixture: Tensor) -> _Pair:
    (x, x_i), (y, y_i) = mixture
    return (x, x_i), (y, y_i)


def _turned(matrix: Tensor, pair: _Pair) -> _Pair:
    """Multiply complex (2, 2, bins) with two channels, as real and imaginary parts."""
    (x, x_i), (y, y_i) = pair
    rows = []
    for first, second in matrix:
        (a, a_i), (b, b_i) = _parts(first), _parts(second)
        rows.append(
            (
                _sum((x, a), (x_i, a_i, -1), (y, b), (y_i, b_i, -1)),
                _sum((x_i, a), (x, a_i), (y_i, b), (y, b_i)),
            )
        )
    return rows[0], rows[1]


def _parts(number: Tensor) -> tuple[Tensor, Tensor]:
    return number.real.contiguous(), number.imag.contiguous()


def _weighted(powers: Tensor, covariance: Tensor) -> Tensor:
    """Sum of (sources, frames, bins) times (sources, bins) over sources."""
    return _sum(*zip(powers, covariance, strict=True))


def _sum(*products: tuple[Tensor, Tensor] | tuple[Tensor, Tensor, int]) -> Tensor:
    """Sum of products of two tensors; a third item -1 subtracts a product."""
    total = products[0][0] * products[0][1]
    for product in products[1:]:
        total.addcmul_(product[0], product[1], value=product[2] if len(product) == 3 else 1)
    return total


def _filter_gains(masks: Tensor, power: Tensor) -> Tensor:
    """One iteration for equal channels, where everything is real."""
    mean = (masks.square() * power).mean(dim=1)
    weight = EPS + mean.sum(dim=1)
    if masks.shape[1] == 1:
        target = mean * (mean.sum(dim=1) / weight)[:, None]
        gain: Tensor = target / (EPS**0.5 + target.sum(dim=0))
        return gain[:, None]
    first, second = masks.unbind(dim=1)
    cross = (first * second * power).sum(dim=1) / weight
    # R is nearly singular if both estimates are similar. The excess of its diagonal over the cross
    # term is summed separately, so that the determinant is not a difference of large numbers.
    difference = first - second
    left = (first * difference * power).sum(dim=1) / weight
    right = -(second * difference * power).sum(dim=1) / weight
    both = _weighted(mean, cross)
    beyond_left = _weighted(mean, left) + EPS**0.5
    beyond_right = _weighted(mean, right) + EPS**0.5
    determinant = both * (beyond_left + beyond_right) + beyond_left * beyond_right
    to_left, to_right = beyond_right / determinant, beyond_left / determinant
    shared = to_left + to_right
    gains = torch.empty_like(masks)
    for number, power_of in enumerate(mean):
        gains[number, 0] = power_of * (cross[number] * shared + left[number] * to_left)
        gains[number, 1] = power_of * (cross[number] * shared + right[number] * to_right)
    return gains


def _scaled_power(mixture: Tensor) -> Tensor:
    power = mixture.real.square() + mixture.imag.square()
    return power * _scale(power.max().sqrt())


def _scale(magnitude: Tensor) -> Tensor:
    """Factor that scales powers so that the largest magnitude is at most 10."""
    scale: Tensor = (magnitude.max() / _LARGEST).clamp_min(1.0).square().reciprocal()
    return scale

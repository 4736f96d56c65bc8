"""The multichannel Wiener filter of Open-Unmix, in closed form.

Sources are local Gaussians: in a bin f and a frame t, source j has power v_j(f, t) and a spatial
covariance R_j(f) between the channels. One iteration estimates both from the current estimates y_j
and filters the mixture x anew,

    v_j = mean over channels of |y_j|^2,    R_j = sum_t y_j y_j^H / (eps + sum_t v_j),
    y_j = v_j R_j (sqrt(eps) I + sum_k v_k R_k)^-1 x,

after the mixture was scaled down to at most 10. With two channels the inverse has a closed form,
and the product with x is the same for every source. With one channel, and with two that are equal,
all of it is real: a gain for each source by which the mixture is multiplied.

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
    """Gains of a mixture whose channels are one and the same.

    Args:
        masks: (sources, channels, frames, bins), what the networks multiply the mixture by; the
            estimates of the channels may differ. One channel or two.
        mixture: One of the channels, complex (frames, bins).
        iterations: Of the filter.

    Returns:
        (sources, channels, frames, bins), what to multiply the mixture by.
    """
    power = _scaled_power(mixture)
    for _ in range(iterations):
        masks = _filter_gains(masks, power)
    return masks


def filter_stereo(masks: Tensor, mixture: Tensor, iterations: int) -> Tensor:
    """Estimates of the sources of a stereo mixture.

    Args:
        masks: (sources, 2, frames, bins), what the networks multiply the mixture by.
        mixture: Complex (2, frames, bins).
        iterations: Of the filter, at least one.

    Returns:
        Complex (sources, 2, frames, bins).
    """
    # Real and imaginary parts lie apart: torch is slow at products of complex and real numbers.
    heard = torch.stack([mixture.real, mixture.imag], dim=1)
    scale = _scale(mixture.abs().max())
    products = _products(heard) * scale
    estimates = mixture.new_empty(len(masks), *mixture.shape)
    filtered = torch.view_as_real(estimates).movedim(-1, 2)
    model = _Model.fit(_masked(products, mask) for mask in masks)
    model.filter(heard, filtered)
    for _ in range(iterations - 1):
        model = _Model.fit(_products(estimate) * scale for estimate in filtered)
        model.filter(heard, filtered)
    return estimates


def _products(pair: Tensor) -> Tensor:
    """Of two channels, (2, real and imaginary, frames, bins), what makes their covariance: squares
    of both, and real and imaginary part of the first times the second's conjugate: (4, ...)."""
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
    """The same of a mixture whose channels are multiplied by real masks, (2, frames, bins)."""
    cross = mask[0] * mask[1]
    return torch.stack([mask[0].square(), mask[1].square(), cross, cross]).mul_(products)


@dataclass(frozen=True)
class _Model:
    """Powers of the sources and, in each bin, their spatial covariances.

    The covariances are held in the axes of their sum: the first is what the channels have in
    common. Where the channels are nearly the same, which music often is, the second is small and
    is known to its own precision; in the channels' axes it would be a difference of large numbers.

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
        """From what `_products` gives of each source, scaled."""
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
            filtered: (sources, 2, real and imaginary, frames, bins), to be filled.
        """
        # Few frames at a time stay in the cache of a processor.
        for start in range(0, mixture.shape[2], _BLOCK):
            part = slice(start, start + _BLOCK)
            powers = self.powers[:, part]
            whitened = self._whiten(powers, _turned(self.axes, _pair(mixture[:, :, part])))
            for power, gain, place in zip(powers, self.gains, filtered[..., part, :], strict=True):
                for channel, estimate in zip(place, _turned(gain, whitened), strict=True):
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
    """(4, bins) as `_products` has them to complex (2, 2, bins)."""
    left, right, real, imaginary = products
    cross, zero = torch.complex(real, imaginary), torch.zeros_like(left)
    diagonal = torch.complex(left, zero), torch.complex(right, zero)
    return torch.stack([diagonal[0], cross, cross.conj(), diagonal[1]]).view(2, 2, -1)


def _principal_axes(matrix: Tensor) -> Tensor:
    """Rows are the conjugate eigenvectors, largest first, of Hermitian (2, 2, bins)."""
    cross = matrix[0, 1]
    angle = 0.5 * torch.atan2(2 * cross.abs(), (matrix[0, 0] - matrix[1, 1]).real)
    own = torch.complex(torch.cos(angle), torch.zeros_like(angle))
    other = torch.polar(torch.sin(angle), cross.angle())
    return torch.stack([own, other, -other.conj(), own]).view(2, 2, -1)


_Complex = tuple[Tensor, Tensor]
_Pair = tuple[_Complex, _Complex]


def _pair(mixture: Tensor) -> _Pair:
    (x, x_i), (y, y_i) = mixture
    return (x, x_i), (y, y_i)


def _turned(matrix: Tensor, pair: _Pair) -> _Pair:
    """Complex (2, 2, bins) times two channels, real and imaginary part of each apart."""
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
    """Sum over sources: (sources, frames, bins) times (sources, bins)."""
    return _sum(*zip(powers, covariance, strict=True))


def _sum(*products: tuple[Tensor, Tensor] | tuple[Tensor, Tensor, int]) -> Tensor:
    """Sum of products of two; -1 as a third subtracts one."""
    total = products[0][0] * products[0][1]
    for product in products[1:]:
        total.addcmul_(product[0], product[1], value=product[2] if len(product) == 3 else 1)
    return total


def _filter_gains(masks: Tensor, power: Tensor) -> Tensor:
    """One iteration where everything is real."""
    mean = (masks.square() * power).mean(dim=1)
    weight = EPS + mean.sum(dim=1)
    if masks.shape[1] == 1:
        wanted = mean * (mean.sum(dim=1) / weight)[:, None]
        gain: Tensor = wanted / (EPS**0.5 + wanted.sum(dim=0))
        return gain[:, None]
    first, second = masks.unbind(dim=1)
    cross = (first * second * power).sum(dim=1) / weight
    # R is nearly singular where both estimates are alike. What its diagonal has beyond the rest is
    # summed by itself, so that the determinant is not a difference of large numbers.
    apart = first - second
    left = (first * apart * power).sum(dim=1) / weight
    right = -(second * apart * power).sum(dim=1) / weight
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
    """The factor that brings powers down to where the largest magnitude is at most 10."""
    scale: Tensor = (magnitude.max() / _LARGEST).clamp_min(1.0).square().reciprocal()
    return scale

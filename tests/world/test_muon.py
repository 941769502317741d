"""The optimizer's one promise: what it steps along has singular values near 1."""

import torch

from activation_oracles.world.muon import Muon, orthogonal


def test_directions_have_singular_values_near_one():
    matrices = torch.randn(3, 24, 64, generator=torch.Generator().manual_seed(0))
    for shape in (matrices, matrices.mT):
        values = torch.linalg.svdvals(orthogonal(shape))
        assert values.min() > 0.5
        assert values.max() < 1.5


def test_matrices_of_one_shape_move_as_if_they_were_alone():
    torch.manual_seed(0)
    start = [torch.randn(8, 8) for _ in range(2)]
    gradients = [torch.randn(8, 8) for _ in range(2)]

    def moved(indices):
        weights = [torch.nn.Parameter(start[index].clone()) for index in indices]
        for weight, index in zip(weights, indices, strict=True):
            weight.grad = gradients[index]
        Muon(weights, rate=0.1, momentum=0.9, weight_decay=0.0).step()
        return [weight.detach() for weight in weights]

    together = moved([0, 1])
    alone = [moved([0])[0], moved([1])[0]]
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other)

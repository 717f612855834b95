"""The fused operations of a training step against the plain ones that they stand for."""

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402

from retrieval.models import wide  # noqa: E402
from retrieval.models.collaboration import through  # noqa: E402
from retrieval.models.fused import normed_mish  # noqa: E402


def normal(*shape: int, scale: float = 1.0) -> torch.Tensor:
    return (torch.randn(*shape, dtype=torch.float64) * scale).requires_grad_()


@pytest.mark.parametrize("scale", [0.01, 1, 40])
def test_normed_mish_is_a_batch_norm_and_mish_of_every_group(scale):
    torch.manual_seed(0)
    x, weight, bias = normal(3, 7, 5, scale=scale), normal(5, scale=scale), normal(5, scale=scale)
    out, mean, var = normed_mish(x, weight, bias, 1e-5)
    one_by_one = torch.stack(
        [F.mish(F.batch_norm(g, None, None, weight, bias, training=True)) for g in x]
    )
    torch.testing.assert_close(out, one_by_one)
    torch.testing.assert_close(mean, x.mean(dim=1))
    torch.testing.assert_close(var, x.var(dim=1, correction=0))
    along = torch.randn_like(out)
    found = torch.autograd.grad(out, (x, weight, bias), along)
    expected = torch.autograd.grad(one_by_one, (x, weight, bias), along)
    torch.testing.assert_close(found, expected)


def test_gradients_of_normed_mish_are_its_slopes():
    torch.manual_seed(1)
    given = (normal(2, 4, 3), normal(3), normal(3))
    assert torch.autograd.gradcheck(lambda *g: normed_mish(*g, 1e-5)[0], given)


def test_mish_far_from_zero_is_the_line_and_zero():
    """Batch norm of two rows is plus and minus one, so weight and bias place it."""
    x = torch.tensor([[[1.0], [-1.0]]])
    weight, bias = torch.tensor([150.0]), torch.tensor([0.0])
    out = normed_mish(x.requires_grad_(), weight, bias, 0.0)[0]
    torch.testing.assert_close(out.detach(), torch.tensor([[[150.0], [0.0]]]))
    out.sum().backward()
    assert x.grad.isfinite().all()


def test_layers_fused_leave_the_running_statistics_of_calls_one_by_one():
    torch.manual_seed(2)
    made = [torch.nn.BatchNorm1d(3), torch.nn.Mish(), torch.nn.Linear(3, 3)]
    stack = torch.nn.Sequential(*made).double().train()
    x = normal(4, 5, 3)
    before = {name: value.clone() for name, value in stack.state_dict().items()}
    out, left = through(stack, x), {k: v.clone() for k, v in stack.state_dict().items()}
    stack.load_state_dict(before)
    torch.testing.assert_close(out, torch.stack([stack(group) for group in x]))
    torch.testing.assert_close(left, dict(stack.state_dict()))


@pytest.mark.parametrize(("n_threads", "tile"), [(1, (128, 2048)), (1, (2, 3)), (2, (2, 3))])
def test_products_with_several_layers_are_those_of_each(monkeypatch, n_threads, tile):
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    monkeypatch.setattr(wide, "TILE_ROWS", tile[0])
    monkeypatch.setattr(wide, "TILE_COLUMNS", tile[1])
    torch.manual_seed(3)
    x, layers = normal(4, 7), [torch.nn.Linear(7, out).double() for out in (5, 2)]
    parameters = [p for layer in layers for p in layer.parameters()]
    found, expected = wide.linears(x, layers), [layer(x) for layer in layers]
    torch.testing.assert_close(found, expected)
    along = [torch.randn_like(y) for y in found]
    torch.testing.assert_close(
        torch.autograd.grad(found, [x, *parameters], along),
        torch.autograd.grad(expected, [x, *parameters], along),
    )


def test_weights_that_are_not_used_have_no_gradient():
    """An optimiser skips them; a gradient of zero would let them decay."""
    layers = [torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)]
    x = torch.randn(4, 3)
    wide.linears(x, layers)[0].sum().backward()
    assert layers[0].weight.grad is not None and layers[1].weight.grad is None

"""What several scripts that make goldens share."""
import torch


def fill(model, seed=11):
    """Every weight away from its usual start, so that a forgotten one shows."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in sorted(model.named_parameters()):
        noise = torch.randn(value.shape, generator=generator) * 0.25
        norm = value.dim() == 1 and name.endswith("weight")
        with torch.no_grad():
            value.copy_(noise + (value if norm else 0))


def probes(grad):
    """Norm and two fixed projections: enough to see any wrong or swapped element."""
    flat = grad.double().flatten()
    k = torch.arange(flat.numel(), dtype=torch.float64)
    return [float(flat.norm()), float((flat * torch.cos(k * 0.7 + 0.3)).sum()), float((flat * torch.sin(k * 1.9)).sum())]

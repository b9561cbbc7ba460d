"""How the learning rate moves: a linear rise, then half a cosine down to zero."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def warm_up_then_fall(optimizer: Optimizer, steps: int, *, warm_up: int) -> LambdaLR:
    """The schedule over `steps` steps, of which the first `warm_up` rise."""

    def factor(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        progress = (step - warm_up) / max(steps - warm_up, 1)
        return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))

    return LambdaLR(optimizer, factor)

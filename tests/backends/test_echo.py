"""The echo paints exactly what the request says."""

from typing import Any

import numpy as np

from app.backends.echo import EchoBackend, draw_card


def test_the_request_alone_decides_the_pixels(request_of: Any) -> None:
    lower, two = request_of(width=64, height=48, seed=1), request_of(width=64, height=48, seed=2)
    first, second = EchoBackend().generate([lower, two])
    assert first.pixels.shape == (48, 64, 4)
    assert np.array_equal(first.pixels, draw_card(lower))
    assert not np.array_equal(first.pixels, second.pixels)


def test_the_card_stands_free_of_the_border(request_of: Any) -> None:
    alpha = draw_card(request_of(width=64, height=64))[:, :, 3]
    ring = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    assert ring.max() == 0
    assert alpha[32, 32] == 255

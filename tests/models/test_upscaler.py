"""The upscaler: what holds for any weights, then what the weights that ship promise."""

from pathlib import Path

import numpy as np
import pytest
import torch

from app.digest import digest_file
from app.errors import ModelNotFound
from app.models.bundled import FOLDERS, weights_digest
from app.models.upscaler import (
    CONFIG_FILE,
    SCALE,
    WEIGHTS_FILE,
    Pixels,
    Upscaler,
    UpscalerConfig,
    UpscalerNetwork,
    load_upscaler,
)
from jobs.train.starter.drawings import Label, draw
from jobs.train.upscaler.baselines import bicubic, lanczos
from jobs.train.upscaler.likeness import likeness
from jobs.train.upscaler.pairs import draw_large
from jobs.train.upscaler.publish import save_network

SHIPPED = FOLDERS["starter"].parent / "polish"
TINY = UpscalerConfig(channels=8, deep=8, blocks=1, fine=4)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def random_network() -> UpscalerNetwork:
    """A network whose every weight matters and fits into half precision."""
    torch.manual_seed(0)
    network = UpscalerNetwork(TINY)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1).copy_(parameter.half())
    return network


def island(height: int = 16, width: int = 20) -> Pixels:
    """A noisy rectangle in a clear picture whose hidden colour is noise too."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (height, width, 4)).astype(np.uint8)
    pixels[..., 3] = 0
    pixels[6:10, 7:13, 3] = rng.integers(1, 256, (4, 6))
    return pixels


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (16, 20), (9, 64)])
def test_every_size_comes_back_four_times_as_large(height: int, width: int) -> None:
    pixels = np.full((height, width, 4), 200, np.uint8)
    enlarged = Upscaler(random_network()).upscale(pixels)
    assert enlarged.shape == (4 * height, 4 * width, 4)
    assert enlarged.dtype == np.uint8


def test_the_same_picture_gives_the_same_bytes_whatever_came_between() -> None:
    upscaler = Upscaler(random_network())
    first = upscaler.upscale(island())
    upscaler.upscale(island(40, 24))
    assert np.array_equal(upscaler.upscale(island()), first)


@pytest.mark.parametrize("tile", [8, 22, 64])
@pytest.mark.parametrize(("height", "width"), [(90, 64), (23, 131)])
def test_pieces_have_no_seams(height: int, width: int, tile: int) -> None:
    """Noise in colour and alpha: the worst there is. Sums in another order may turn a rounding."""
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 4)).astype(np.uint8)
    pixels[:20, :30, 3] = 0
    network = random_network()
    whole = Upscaler(network).upscale(pixels).astype(int)
    pieces = Upscaler(network, tile=tile).upscale(pixels)
    assert np.abs(whole - pieces).max() <= 1
    assert (whole != pieces).mean() < 1e-4


def test_no_pixel_is_felt_beyond_the_reach() -> None:
    network = random_network()
    reach, side = network.reach, 2 * network.reach + 41
    pixels = np.random.default_rng(2).integers(1, 256, (side, side, 4)).astype(np.uint8)
    for middle in (side // 2, side // 2 + 1):
        other = pixels.copy()
        other[middle, middle] = 255 - other[middle, middle]
        felt = np.nonzero(
            (Upscaler(network).upscale(pixels) != Upscaler(network).upscale(other)).any(axis=2)
        )
        for places in felt:
            assert len(places)
            assert middle - places.min() // SCALE <= reach
            assert places.max() // SCALE - middle <= reach


def test_what_ships_is_drawn_in_pieces_as_it_is_at_once() -> None:
    upscaler = load_upscaler(SHIPPED, device="cpu")
    small = draw(Label("potion", "red", "shaded"), 90_000_000)
    network = upscaler._network
    assert np.array_equal(Upscaler(network, tile=24).upscale(small), upscaler.upscale(small))


def test_a_picture_that_may_not_be_written_to_is_enlarged_all_the_same() -> None:
    pixels = island()
    pixels.flags.writeable = False
    assert Upscaler(random_network()).upscale(pixels)[..., 3].any()


def test_clear_regions_stay_clear_and_hold_no_colour() -> None:
    enlarged = Upscaler(random_network()).upscale(island())
    allowed = np.zeros((16, 20), bool)
    allowed[5:11, 6:14] = True
    outside = ~allowed.repeat(4, axis=0).repeat(4, axis=1)
    assert enlarged[..., 3].any()
    assert not enlarged[outside].any()
    assert not enlarged[enlarged[..., 3] == 0].any()


def test_a_clear_picture_stays_clear_twice_over() -> None:
    upscaler = Upscaler(random_network())
    clear = np.array([90, 120, 30, 0], np.uint8) * np.ones((8, 8, 1), np.uint8)
    assert not upscaler.upscale(upscaler.upscale(clear)).any()


def test_what_nobody_sees_changes_nothing() -> None:
    other = island()
    other[other[..., 3] == 0] = (0, 255, 0, 0)
    upscaler = Upscaler(random_network())
    assert np.array_equal(upscaler.upscale(other), upscaler.upscale(island()))


def test_the_colour_of_a_fresh_network_reaches_all_it_learns_with() -> None:
    network = UpscalerNetwork(TINY)
    torch.autograd.backward(network(torch.rand(1, 4, 8, 8))[:, :3].sum())
    assert all(value.grad is not None and value.grad.any() for value in network.parameters())


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 4), np.float32), np.zeros((8, 8), np.uint8)],
)
def test_other_shapes_and_types_are_refused(pixels: Pixels) -> None:
    with pytest.raises(ValueError, match="uint8 RGBA"):
        Upscaler(random_network()).upscale(pixels)


def test_a_saved_network_gives_the_same_pixels(tmp_path: Path) -> None:
    network = random_network()
    save_network(network, TINY, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {CONFIG_FILE, WEIGHTS_FILE}
    loaded = load_upscaler(tmp_path, device="cpu")
    assert np.array_equal(loaded.upscale(island()), Upscaler(network).upscale(island()))


def test_a_folder_with_pickles_is_refused(tmp_path: Path) -> None:
    save_network(random_network(), TINY, tmp_path)
    torch.save({}, tmp_path / "upscaler.pt")
    with pytest.raises(ModelNotFound, match=r"upscaler\.pt"):
        load_upscaler(tmp_path)


@pytest.mark.parametrize("name", [CONFIG_FILE, WEIGHTS_FILE])
@pytest.mark.parametrize("content", [None, b"{}", b"nonsense"])
def test_a_folder_that_is_not_whole_is_refused(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    save_network(random_network(), TINY, tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelNotFound, match="train-upscaler"):
        load_upscaler(tmp_path)


def test_what_ships_is_small_and_its_card_speaks_of_it() -> None:
    weights = SHIPPED / WEIGHTS_FILE
    card = (SHIPPED / "README.md").read_text("utf-8")
    assert weights.stat().st_size < 4_000_000
    assert digest_file(weights) in card
    assert weights_digest(FOLDERS["starter"]) in card
    assert "Nobody has described" not in card


@pytest.mark.parametrize("style", ["flat", "cartoon", "shaded"])
@pytest.mark.parametrize(("kind", "colour"), [("key", "red"), ("crown", "white"), ("bow", "cyan")])
def test_what_ships_is_nearer_to_the_true_drawing_than_plain_enlarging(
    kind: str, colour: str, style: str
) -> None:
    label, seed = Label(kind, colour, style), 90_000_000
    small, true = draw(label, seed), draw_large(label, seed)
    ours = likeness([load_upscaler(SHIPPED, device="cpu").upscale(small)], [true])
    for plain in (lanczos, bicubic):
        theirs = likeness([plain(small)], [true])
        assert ours.psnr > theirs.psnr + 1
        assert ours.ssim > theirs.ssim
        assert ours.alpha_error < theirs.alpha_error


@pytest.mark.parametrize("kind", ["potion", "scroll", "coin", "crown"])
def test_what_ships_draws_inner_edges_anew_too(kind: str) -> None:
    label, seed = Label(kind, "green", "cartoon"), 90_000_000
    small, true = draw(label, seed), draw_large(label, seed)
    inside = true[..., 3] == 255
    ours, theirs = (
        np.abs(made.astype(int) - true)[inside].mean()
        for made in (load_upscaler(SHIPPED, device="cpu").upscale(small), bicubic(small))
    )
    assert ours < 0.9 * theirs

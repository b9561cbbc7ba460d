"""The autoencoder: 4 x 64 x 64 drawings to 16 x 8 x 8 latents and back; alpha is a channel.

It is initialised as an image pyramid (mean down, smooth up) instead of noise, so that colour is
right from the first step: with the default initialisation it learns shapes and loses colour.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.models import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor, nn

from jobs.train.loop import LoopSettings, RunOptions, TrainingLoop
from jobs.train.starter.drawings import Pixels

_PAIRED = 4
_CONSTANT = 4.0
_LOG_VARIANCE = -6.0


@dataclass(frozen=True, slots=True)
class VaeSettings:
    """Everything that decides the trained autoencoder, besides its drawings."""

    channels: tuple[int, ...] = (16, 16, 32, 64)
    samples: int = 36_000
    batch: int = 16
    learning_rate: float = 2e-3
    kl_weight: float = 5e-4
    seed: int = 1


def to_tensor(pixels: Pixels) -> Tensor:
    """Converts uint8 RGBA [n, h, w, 4] to float [n, 4, h, w] from -1 to 1."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_pixels(images: Tensor) -> Pixels:
    """Converts float [n, 4, h, w] from -1 to 1 to uint8 RGBA [n, h, w, 4]."""
    scaled = (images.float().clamp(-1, 1) + 1) * 127.5
    return cast(Pixels, scaled.round().byte().permute(0, 2, 3, 1).cpu().numpy())


def build_vae(settings: VaeSettings) -> AutoencoderKL:
    """Returns an untrained autoencoder that already reproduces an 8 x 8 thumbnail of its input."""
    torch.manual_seed(settings.seed)
    levels = len(settings.channels)
    vae = AutoencoderKL(
        in_channels=4,
        out_channels=4,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=settings.channels,
        layers_per_block=1,
        latent_channels=16,
        norm_num_groups=1,
        sample_size=64,
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
    )
    _start_as_pyramid(vae)
    return vae


@torch.no_grad()
def _start_as_pyramid(vae: AutoencoderKL) -> None:
    """Sets the weights to carry +x, -x and two constants through every layer unchanged.

    silu(x) - silu(-x) = x, so a pair survives the last activation; the large constants fix the
    group norm's scale; zeroed second convolutions make every residual block the identity.
    """
    for name, module in vae.named_modules():
        if not isinstance(module, nn.Conv2d):
            continue
        if name.endswith("conv2"):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(cast(Tensor, module.bias))
        elif "downsamplers" in name:
            _pass_through(module, torch.full((2, 2), 0.25), 0)
        elif "upsamplers" in name:
            hat = torch.tensor([0.25, 0.5, 0.25])
            _pass_through(module, hat[:, None] * hat, 0)
        elif name.endswith("conv_shortcut"):
            _pass_through(module, torch.ones(1, 1), 0)
    for half in (vae.encoder, vae.decoder):
        _write_pairs(half.conv_in)
        _read_pairs(half.conv_out)
    logvar = slice(vae.config.latent_channels, None)
    nn.init.zeros_(vae.encoder.conv_out.weight[logvar])
    vae.encoder.conv_out.bias[logvar] = _LOG_VARIANCE


def _pass_through(conv: nn.Conv2d, kernel: Tensor, corner: int) -> None:
    shared = min(conv.out_channels, conv.in_channels)
    height, width = kernel.shape
    conv.weight[:shared] = 0
    cast(Tensor, conv.bias)[:shared] = 0
    for channel in range(shared):
        conv.weight[channel, channel, corner : corner + height, corner : corner + width] = kernel


def _write_pairs(conv: nn.Conv2d) -> None:
    bias = cast(Tensor, conv.bias)
    conv.weight[: 2 * _PAIRED + 2] = 0
    bias[: 2 * _PAIRED + 2] = 0
    for channel in range(_PAIRED):
        conv.weight[channel, channel, 1, 1] = 1
        conv.weight[_PAIRED + channel, channel, 1, 1] = -1
    bias[2 * _PAIRED], bias[2 * _PAIRED + 1] = _CONSTANT, -_CONSTANT


def _read_pairs(conv: nn.Conv2d) -> None:
    scale = (2 * _CONSTANT**2 / conv.in_channels) ** 0.5
    conv.weight[:_PAIRED] = 0
    cast(Tensor, conv.bias)[:_PAIRED] = 0
    for channel in range(_PAIRED):
        conv.weight[channel, channel, 1, 1] = scale
        conv.weight[channel, _PAIRED + channel, 1, 1] = -scale


def _premultiplied(images: Tensor) -> Tensor:
    """Returns the visible values: RGB times alpha, and alpha, each from 0 to 1."""
    unit = (images + 1) / 2
    return torch.cat([unit[:, :3] * unit[:, 3:], unit[:, 3:]], dim=1)


def reconstruction_loss(output: Tensor, true: Tensor) -> Tensor:
    """Returns the loss over visible colour and alpha, and their edges.

    The hidden colour counts lightly; block means keep the colour right.
    """
    a, b = _premultiplied(output), _premultiplied(true)
    edges = sum(F.l1_loss(a.diff(dim=d), b.diff(dim=d)) for d in (2, 3))
    hidden = F.l1_loss(output[:, :3], true[:, :3])
    blocks = F.mse_loss(F.avg_pool2d(output, 4), F.avg_pool2d(true, 4))
    return F.l1_loss(a, b) * 2 + F.mse_loss(a, b) * 4 + edges + hidden * 0.1 + blocks


def psnr(output: Pixels, true: Pixels) -> float:
    """Returns the peak signal-to-noise ratio in dB of premultiplied colour and alpha."""
    a, b = (_premultiplied(to_tensor(pixels)) for pixels in (output, true))
    return float(-10 * torch.log10(F.mse_loss(a, b)))


def train_vae(
    vae: AutoencoderKL, pixels: Pixels, settings: VaeSettings, options: RunOptions
) -> None:
    """Trains the whole autoencoder in place; the same seed and device give the same weights."""
    generator, device = torch.Generator().manual_seed(settings.seed), options.device
    vae.to(device, memory_format=torch.channels_last).train()

    def loss(_: int) -> Tensor:
        chosen = torch.randint(len(pixels), (settings.batch,), generator=generator).numpy()
        true = to_tensor(pixels[chosen]).to(device, memory_format=torch.channels_last)
        posterior = vae.encode(true).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=generator).to(device)
        output = vae.decode(posterior.mean + posterior.std * noise).sample
        kl: Tensor = posterior.kl().mean() / posterior.mean[0].numel()
        return reconstruction_loss(output, true) + settings.kl_weight * kl

    loop_settings = LoopSettings(
        samples=settings.samples,
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        weight_decay=1e-3,
        betas=(0.9, 0.999),
        warm_up=60,
    )
    TrainingLoop(vae, loop_settings, options).run(loss)
    vae.to(memory_format=torch.contiguous_format).eval()


@torch.no_grad()
def normalise_latents(vae: AutoencoderKL, pixels: Pixels, device: torch.device) -> None:
    """Scales every latent channel to unit spread, inside the weights; the mean goes to the config.

    A channel is scaled where the encoder writes it and scaled back where the decoder reads it, so
    reconstructions stay the same.
    """
    latents = encode(vae, pixels, device, raw=True)
    spread = torch.from_numpy(latents.std(axis=(0, 2, 3))).to(device).clamp(min=1e-3)
    channels = vae.config.latent_channels
    vae.encoder.conv_out.weight[:channels] /= spread[:, None, None, None]
    vae.encoder.conv_out.bias[:channels] /= spread
    vae.encoder.conv_out.bias[channels:] -= 2 * spread.log()
    vae.decoder.conv_in.weight *= spread[None, :, None, None]
    scaled = latents / spread.cpu().numpy()[:, None, None]
    vae.register_to_config(
        scaling_factor=round(float(1 / scaled.std()), 5),
        shift_factor=round(float(scaled.mean()), 5),
    )


@torch.no_grad()
def encode(
    vae: AutoencoderKL, pixels: Pixels, device: torch.device, *, raw: bool = False
) -> NDArray[np.float32]:
    """Returns posterior means [n, 16, 8, 8], in the transformer's scale unless `raw`."""
    batches = []
    for start in range(0, len(pixels), 64):
        images = to_tensor(pixels[start : start + 64]).to(device)
        batches.append(vae.encode(images).latent_dist.mean.float().cpu())
    latents = torch.cat(batches)
    if not raw:
        latents = (latents - vae.config.shift_factor) * vae.config.scaling_factor
    return cast(NDArray[np.float32], latents.numpy())


@torch.no_grad()
def decode(vae: AutoencoderKL, latents: NDArray[np.float32], device: torch.device) -> Pixels:
    """Returns uint8 RGBA [n, 64, 64, 4] from latents in the transformer's scale."""
    batches = []
    for start in range(0, len(latents), 64):
        batch = torch.from_numpy(latents[start : start + 64]).to(device)
        raw = batch / vae.config.scaling_factor + vae.config.shift_factor
        batches.append(to_pixels(vae.decode(raw).sample))
    return np.concatenate(batches)


def soften(vae: AutoencoderKL, pixels: Pixels, noise: float, rng: np.random.Generator) -> Pixels:
    """Returns the images after the autoencoder, with noise added to their latents.

    Each image has its own amount of noise, of a spread up to `noise`.
    """
    latents = encode(vae, pixels, vae.device)
    level = rng.uniform(0, noise, (len(latents), 1, 1, 1)).astype(np.float32)
    noised = latents + level * rng.standard_normal(latents.shape, dtype=np.float32)
    return decode(vae, noised, vae.device)


@dataclass(frozen=True, slots=True)
class TuningSettings:
    """Everything that decides the decoder's further training on fixed latents."""

    samples: int = 24_000
    batch: int = 16
    learning_rate: float = 1e-3
    noise: float = 0.12
    """Largest spread of the noise added to latents, because generated latents are slightly noisy.
    """
    seed: int = 2


def tune_decoder(
    vae: AutoencoderKL,
    pixels: Pixels,
    latents: NDArray[np.float32],
    settings: TuningSettings,
    options: RunOptions,
) -> None:
    """Trains the decoder alone, in place; latents stay valid for training the transformer."""
    generator, device = torch.Generator().manual_seed(settings.seed), options.device
    vae.to(device, memory_format=torch.channels_last).train()

    def loss(_: int) -> Tensor:
        chosen = torch.randint(len(pixels), (settings.batch,), generator=generator).numpy()
        true = to_tensor(pixels[chosen]).to(device, memory_format=torch.channels_last)
        clean = torch.from_numpy(latents[chosen])
        level = torch.rand(len(clean), 1, 1, 1, generator=generator) * settings.noise
        noisy = clean + level * torch.randn(clean.shape, generator=generator)
        raw = noisy / vae.config.scaling_factor + vae.config.shift_factor
        return reconstruction_loss(vae.decoder(raw.to(device)), true)

    loop_settings = LoopSettings(
        samples=settings.samples,
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        weight_decay=0,
        betas=(0.9, 0.999),
    )
    TrainingLoop(vae.decoder, loop_settings, options).run(loss)
    vae.to(memory_format=torch.contiguous_format).eval()

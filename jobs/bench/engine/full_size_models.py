"""SD3.5 Medium and Large at their published sizes, without their weights.

Built on the meta device, where shapes, parameters and FLOPs can be counted at no cost, and filled
with random numbers where speed is measured. T5 is left out, as the pipeline allows; the transformer
takes zeros of the same shape in its place.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from app.engine.pipeline import Rows
from app.models.random_weights import letters_tokenizer

TOKENS, TOKEN_WIDTH, POOLED_WIDTH = 333, 4096, 2048
"""77 of CLIP and 256 of T5; the pooled ones are of CLIP alone."""
MAX_SEQUENCE_LENGTH = 256
LATENT_SCALE = 8
STD = 0.02


@dataclass(frozen=True, slots=True)
class FullSize:
    """The sizes in which the two models differ, and those that tests may shrink."""

    name: str
    layers: int
    heads: int
    dual_attention_layers: tuple[int, ...]
    pos_embed_max_size: int
    text_layers: tuple[int, int] = (12, 32)
    vae_widths: tuple[int, ...] = (128, 256, 512, 512)


MEDIUM = FullSize("sd3.5-medium", 24, 24, tuple(range(13)), 384)
LARGE = FullSize("sd3.5-large", 38, 38, (), 192)


def on_meta(size: FullSize) -> Any:
    """Returns a `StableDiffusion3Pipeline` whose parts have shapes and no numbers."""
    from diffusers import FlowMatchEulerDiscreteScheduler, StableDiffusion3Pipeline

    tokenizer = letters_tokenizer(77)
    first, second = size.text_layers
    with torch.device("meta"):
        stock = StableDiffusion3Pipeline(
            transformer=_transformer(size),
            vae=_vae(size),
            scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
            text_encoder=_clip(width=768, layers=first, heads=12, activation="quick_gelu"),
            tokenizer=tokenizer,
            text_encoder_2=_clip(width=1280, layers=second, heads=20, activation="gelu"),
            tokenizer_2=tokenizer,
            text_encoder_3=None,
            tokenizer_3=None,
        )
    stock.set_progress_bar_config(disable=True)
    return stock


@torch.no_grad()
def materialise(stock: Any, device: str, dtype: torch.dtype, *, seed: int = 0) -> Any:
    """Fills a pipeline from the meta device with random numbers; returns the same pipeline.

    Matrices are normal, norms and biases leave their input as it is, so that a pass through all
    layers stays finite in bf16.
    """
    generator = torch.Generator(device).manual_seed(seed)
    for part in (stock.transformer, stock.vae, stock.text_encoder, stock.text_encoder_2):
        torch.nn.Module.to(part, dtype).to_empty(device=device).eval()
        for name, parameter in part.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=STD, generator=generator)
            else:
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)
        for buffer in part.buffers():
            if buffer.is_floating_point():
                buffer.normal_(std=STD, generator=generator)
            else:
                buffer.copy_(torch.arange(buffer.numel()).view(buffer.shape))  # position ids
    return stock


def forward_flops(stock: Any, side: int) -> int:
    """Returns the floating point operations of one row's forward pass at `side` x `side` pixels."""
    rows = meta_rows(stock, side, 1)
    return _counted(
        stock.transformer,
        hidden_states=rows.latents,
        timestep=rows.timesteps,
        encoder_hidden_states=rows.tokens,
        pooled_projections=rows.pooled,
    )


def decode_flops(stock: Any, side: int) -> int:
    """Returns the floating point operations of decoding one image of `side` x `side` pixels."""
    return _counted(stock.vae.decode, meta_rows(stock, side, 1).latents)


def meta_rows(stock: Any, side: int, count: int) -> Rows:
    """Returns a batch for the model as shapes alone."""
    channels, latent = stock.transformer.config.in_channels, side // LATENT_SCALE
    with torch.device("meta"):
        return Rows(
            latents=torch.empty(count, channels, latent, latent),
            timesteps=torch.empty(count),
            tokens=torch.empty(count, TOKENS, TOKEN_WIDTH),
            pooled=torch.empty(count, POOLED_WIDTH),
        )


@torch.inference_mode()
def _counted(function: Any, *inputs: Any, **named: Any) -> int:
    with FlopCounterMode(display=False) as counter:
        function(*inputs, **named)
    return int(counter.get_total_flops())


def _transformer(size: FullSize) -> Any:
    from diffusers import SD3Transformer2DModel

    return SD3Transformer2DModel(
        sample_size=128,
        patch_size=2,
        in_channels=16,
        out_channels=16,
        num_layers=size.layers,
        dual_attention_layers=size.dual_attention_layers,
        num_attention_heads=size.heads,
        attention_head_dim=64,
        caption_projection_dim=64 * size.heads,
        joint_attention_dim=TOKEN_WIDTH,
        pooled_projection_dim=POOLED_WIDTH,
        pos_embed_max_size=size.pos_embed_max_size,
        qk_norm="rms_norm",
    )


def _vae(size: FullSize) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        block_out_channels=size.vae_widths,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=16,
        norm_num_groups=32,
        sample_size=1024,
        scaling_factor=1.5305,
        shift_factor=0.0609,
        force_upcast=True,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )


def _clip(*, width: int, layers: int, heads: int, activation: str) -> Any:
    """Returns OpenAI's CLIP-L or OpenCLIP's bigG, text side, with the tokenizer's token ids."""
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    return CLIPTextModelWithProjection(
        CLIPTextConfig(
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
            vocab_size=49408,
            hidden_size=width,
            intermediate_size=4 * width,
            num_attention_heads=heads,
            num_hidden_layers=layers,
            projection_dim=width,
            hidden_act=activation,
        )
    )

"""An SD3 pipeline of any size with random weights: the real parts, for benchmarks and tests."""

from dataclasses import dataclass
from typing import Any

import torch

TEXT_WIDTH = 64
LETTERS = [chr(code) for code in range(33, 127)]


@dataclass(frozen=True, slots=True)
class Sd3Shape:
    """The sizes of the parts; the defaults are the smallest that have every part of SD3.5.

    `text_tokens` is the length of the CLIP encoders' output; it is followed by as many zeros as the
    pipeline's `max_sequence_length` in place of T5, which is left out.
    """

    layers: int = 3
    dual_attention_layers: tuple[int, ...] = (0, 1)
    heads: int = 4
    head_width: int = 8
    latent_channels: int = 4
    text_tokens: int = 77


OVERHEAD_BOUND = Sd3Shape(
    layers=8,
    dual_attention_layers=(),
    heads=2,
    head_width=64,
    latent_channels=16,
    text_tokens=16,
)
"""Width 128; at 32 x 32 pixels and 16 more text tokens, 64 image and 32 text tokens a row."""
COMPUTE_BOUND = Sd3Shape(
    layers=3, dual_attention_layers=(), heads=1, head_width=64, latent_channels=16
)
"""Width 64; at 64 x 64 pixels and 256 more text tokens, 256 image and 333 text tokens a row."""


def random_sd3(shape: Sd3Shape, *, seed: int = 0) -> Any:
    """Returns a `StableDiffusion3Pipeline` on the CPU in fp32; the seed decides the weights."""
    from diffusers import FlowMatchEulerDiscreteScheduler, StableDiffusion3Pipeline

    tokenizer = letters_tokenizer(shape.text_tokens)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        stock = StableDiffusion3Pipeline(
            transformer=_transformer(shape),
            vae=_vae(shape),
            scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
            text_encoder=_text_encoder(shape),
            tokenizer=tokenizer,
            text_encoder_2=_text_encoder(shape),
            tokenizer_2=tokenizer,
            text_encoder_3=None,
            tokenizer_3=None,
        )
        for part in (stock.transformer, stock.vae):
            for parameter in part.parameters():
                torch.nn.init.normal_(parameter, std=0.1)
    stock.set_progress_bar_config(disable=True)
    return stock


def letters_tokenizer(length: int) -> Any:
    """Returns a CLIP tokenizer over single letters that pads to `length`; reads no files."""
    from transformers import CLIPTokenizer

    words = ["<|startoftext|>", "<|endoftext|>", *LETTERS, *(f"{letter}</w>" for letter in LETTERS)]
    vocabulary = {word: index for index, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=length)


def _transformer(shape: Sd3Shape) -> Any:
    from diffusers import SD3Transformer2DModel

    return SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=shape.latent_channels,
        out_channels=shape.latent_channels,
        num_layers=shape.layers,
        dual_attention_layers=shape.dual_attention_layers,
        num_attention_heads=shape.heads,
        attention_head_dim=shape.head_width,
        caption_projection_dim=shape.heads * shape.head_width,
        joint_attention_dim=TEXT_WIDTH,
        pooled_projection_dim=TEXT_WIDTH,
        qk_norm="rms_norm",
        pos_embed_max_size=16,
    )


def _vae(shape: Sd3Shape) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        block_out_channels=(8, 8),
        norm_num_groups=2,
        layers_per_block=1,
        latent_channels=shape.latent_channels,
        sample_size=16,
        use_quant_conv=False,
        use_post_quant_conv=False,
        shift_factor=0.06,
        scaling_factor=1.5,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    )


def _text_encoder(shape: Sd3Shape) -> Any:
    """Returns one of two equal encoders, each half as wide as the transformer's text input."""
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    width = TEXT_WIDTH // 2
    return CLIPTextModelWithProjection(
        CLIPTextConfig(
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
            vocab_size=2 + 2 * len(LETTERS),
            hidden_size=width,
            intermediate_size=width + 5,
            num_attention_heads=4,
            num_hidden_layers=3,
            projection_dim=width,
            max_position_embeddings=shape.text_tokens,
        )
    )

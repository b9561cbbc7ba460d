"""A real SD3 pipeline at tiny size with random weights: the shape of SD3.5, milliseconds a step."""

import json
from pathlib import Path
from typing import Any

import torch


def tokenizer_folder(folder: Path) -> Path:
    """A CLIP tokenizer over single letters, written as its own files."""
    letters = [chr(code) for code in range(33, 127)]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return folder


def tiny_sd3(
    folder: Path, *, vae_channels: int = 3, latent_channels: int = 4, seed: int = 0
) -> Any:
    """Every part of StableDiffusion3Pipeline from a config, with dual attention as SD3.5 Medium."""
    from diffusers import (
        AutoencoderKL,
        FlowMatchEulerDiscreteScheduler,
        SD3Transformer2DModel,
        StableDiffusion3Pipeline,
    )
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

    torch.manual_seed(seed)
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_folder(folder / "tokens"))
    tokenizer.model_max_length = 77
    text = CLIPTextConfig(
        bos_token_id=0, eos_token_id=1, pad_token_id=1, vocab_size=len(tokenizer),
        hidden_size=32, intermediate_size=37, num_attention_heads=4, num_hidden_layers=3,
        projection_dim=32,
    )  # fmt: skip
    transformer = SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=latent_channels, num_layers=3, attention_head_dim=8,
        num_attention_heads=4, joint_attention_dim=64, caption_projection_dim=32,
        pooled_projection_dim=64, out_channels=latent_channels, qk_norm="rms_norm",
        dual_attention_layers=(0, 1), pos_embed_max_size=16,
    )  # fmt: skip
    vae = AutoencoderKL(
        in_channels=vae_channels, out_channels=vae_channels, block_out_channels=(8, 8),
        norm_num_groups=2, layers_per_block=1, latent_channels=latent_channels, sample_size=16,
        use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.06, scaling_factor=1.5,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )  # fmt: skip
    for part in (transformer, vae):
        for parameter in part.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    stock = StableDiffusion3Pipeline(
        transformer=transformer, vae=vae,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        text_encoder=CLIPTextModelWithProjection(text), tokenizer=tokenizer,
        text_encoder_2=CLIPTextModelWithProjection(text), tokenizer_2=tokenizer,
        text_encoder_3=None, tokenizer_3=None,
    )  # fmt: skip
    stock.set_progress_bar_config(disable=True)
    return stock

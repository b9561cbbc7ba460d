"""The generator: a small SD3 transformer, its two text encoders, and how they condition it."""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models import SD3Transformer2DModel
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

from jobs.train.starter.tokenizer import MAX_LENGTH


@dataclass(frozen=True, slots=True)
class TransformerSettings:
    """The shape of the generator."""

    layers: int = 5
    heads: int = 6
    head_width: int = 32
    text_widths: tuple[int, int] = (64, 32)
    text_layers: tuple[int, int] = (2, 1)
    latent_channels: int = 16
    latent_size: int = 8
    seed: int = 3


class Generator(nn.Module):
    """The trained parts that are saved side by side: transformer, text_encoder, text_encoder_2."""

    def __init__(self, settings: TransformerSettings, tokenizer: CLIPTokenizer) -> None:
        super().__init__()
        torch.manual_seed(settings.seed)
        first, second = zip(settings.text_widths, settings.text_layers, strict=True)
        self.text_encoder = _text_encoder(*first, tokenizer)
        self.text_encoder_2 = _text_encoder(*second, tokenizer)
        self.transformer = _transformer(settings)

    def condition(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Returns prompt embeddings [n, tokens + 1, joint] and pooled ones [n, joint].

        They equal the pipeline's. The last token is the single zero that stands for the absent
        third text encoder.
        """
        outputs = [
            encoder(ids, output_hidden_states=True)
            for encoder in (self.text_encoder, self.text_encoder_2)
        ]
        hidden = torch.cat([output.hidden_states[-2] for output in outputs], dim=-1)
        pooled = torch.cat([output.text_embeds for output in outputs], dim=-1)
        return F.pad(hidden, (0, 0, 0, 1)), pooled

    def forward(self, latents: Tensor, times: Tensor, ids: Tensor, *, null_weight: float) -> Tensor:
        """Returns the predicted velocity for latents [n, c, h, w].

        Times are from 0 (clean) to 1 (noise). `null_weight` is how many equal zero tokens the
        single one stands for.
        """
        for processor in self.transformer.attn_processors.values():
            processor.null_weight = null_weight
        embeddings, pooled = self.condition(ids)
        velocity: Tensor = self.transformer(
            hidden_states=latents,
            encoder_hidden_states=embeddings,
            pooled_projections=pooled,
            timestep=times * 1000,
            return_dict=False,
        )[0]
        return velocity


class WeightedNullAttention:
    """Joint attention in which the last text token counts as several equal ones.

    n equal tokens weigh as much as one with log(n) added to its attention logit. The pipeline pads
    an absent third text encoder with up to 256 zero tokens; this trains for that at the cost of
    one.
    """

    def __init__(self) -> None:
        self.null_weight = 1.0

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        **_: Any,
    ) -> tuple[Tensor, Tensor]:
        """Returns image and text tokens after attention, like diffusers' own joint processor."""

        def split(x: Tensor) -> Tensor:
            return x.reshape(*x.shape[:2], attn.heads, -1).transpose(1, 2)

        def joined(image: nn.Module, text: nn.Module) -> tuple[Tensor, Tensor]:
            return split(image(hidden_states)), split(text(encoder_hidden_states))

        q, text_q = joined(attn.to_q, attn.add_q_proj)
        k, text_k = joined(attn.to_k, attn.add_k_proj)
        v, text_v = joined(attn.to_v, attn.add_v_proj)
        query = torch.cat([attn.norm_q(q), attn.norm_added_q(text_q)], dim=2)
        key = torch.cat([attn.norm_k(k), attn.norm_added_k(text_k)], dim=2)
        value = torch.cat([v, text_v], dim=2)
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=self._mask(key))
        merged = out.transpose(1, 2).flatten(2)
        image, text = merged[:, : q.shape[2]], merged[:, q.shape[2] :]
        return attn.to_out[0](image), text if attn.context_pre_only else attn.to_add_out(text)

    def _mask(self, key: Tensor) -> Tensor | None:
        if self.null_weight == 1:
            return None
        mask = key.new_zeros(1, 1, 1, key.shape[2])
        mask[..., -1] = math.log(self.null_weight)
        return mask


def _text_encoder(width: int, layers: int, tokenizer: CLIPTokenizer) -> CLIPTextModelWithProjection:
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=width * 4,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 16,
        max_position_embeddings=MAX_LENGTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModelWithProjection(config)


def _transformer(settings: TransformerSettings) -> SD3Transformer2DModel:
    joint = sum(settings.text_widths)
    transformer = SD3Transformer2DModel(
        sample_size=settings.latent_size,
        patch_size=2,
        in_channels=settings.latent_channels,
        out_channels=settings.latent_channels,
        num_layers=settings.layers,
        num_attention_heads=settings.heads,
        attention_head_dim=settings.head_width,
        joint_attention_dim=joint,
        pooled_projection_dim=joint,
        caption_projection_dim=settings.heads * settings.head_width,
        pos_embed_max_size=settings.latent_size // 2,
        qk_norm="rms_norm",
    )
    _initialise(transformer)
    transformer.set_attn_processor(WeightedNullAttention())
    return transformer


def _initialise(transformer: SD3Transformer2DModel) -> None:
    """Initialises with Xavier, but modulations and output with zero: blocks start as identity.

    Source: Peebles and Xie 2023, "Scalable diffusion models with transformers".
    """
    for name, module in transformer.named_modules():
        if not isinstance(module, nn.Linear):
            continue
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
        if name == "proj_out" or name.endswith(
            (".norm1.linear", ".norm1_context.linear", "norm_out.linear")
        ):
            nn.init.zeros_(module.weight)

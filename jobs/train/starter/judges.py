"""Trains, calibrates and writes the critic and the classifier."""

import json
from pathlib import Path

import numpy as np
import torch
from diffusers.models import AutoencoderKL
from safetensors.torch import load_file

from app.check.agreement import CONFIG_FILE, WEIGHTS_FILE, Critic, CriticConfig
from jobs.train.loop import RunOptions
from jobs.train.stages import ProgressLog
from jobs.train.starter import vae as vaes
from jobs.train.starter.captions import NEUTRAL, caption, vocabulary
from jobs.train.starter.classifier import Classifier
from jobs.train.starter.critic_training import JudgeSettings, train_classifier, train_critic
from jobs.train.starter.data import Drawings
from jobs.train.starter.score import PERCENTILE
from jobs.train.weights import save_half

CLASSIFIER_FILE = "classifier.safetensors"


def _softened(drawings: Drawings, vae: AutoencoderKL, settings: JudgeSettings) -> Drawings:
    """Returns the first drawings after the autoencoder, with noise added to their latents."""
    rng = np.random.default_rng(settings.seed)
    first = slice(settings.softened)
    pixels = vaes.soften(vae, drawings.pixels[first], settings.soft_noise, rng)
    return Drawings(pixels, drawings.labels[first])


def make_classifier(
    folder: Path,
    training: Drawings,
    vae: AutoencoderKL,
    settings: JudgeSettings,
    device: torch.device,
) -> None:
    """Trains the classifier and writes its weights into the folder."""
    soft = _softened(training, vae.to(device), settings)
    options = RunOptions(device, ProgressLog("classifier"))
    classifier = train_classifier(training, soft, settings, options)
    save_half(classifier, folder / CLASSIFIER_FILE)


def make_critic(
    folder: Path,
    training: Drawings,
    calibration: Drawings,
    vae: AutoencoderKL,
    settings: JudgeSettings,
    device: torch.device,
) -> None:
    """Trains the critic and writes it, in the form that ships, into `critic/` in the folder."""
    soft = _softened(training, vae.to(device), settings)
    critic = train_critic(training, soft, settings, RunOptions(device, ProgressLog("critic")))
    (folder / "critic").mkdir(exist_ok=True)
    save_half(critic, folder / "critic" / WEIGHTS_FILE)
    _write_config(folder / "critic", threshold=0.0)
    threshold = fresh_threshold(Critic.load(folder / "critic"), calibration)
    _write_config(folder / "critic", threshold=threshold)


def fresh_threshold(critic: Critic, drawings: Drawings) -> float:
    """Returns the 5th percentile of the agreement of drawings with captions from the grammar."""
    rng = np.random.default_rng(0)
    prompts = [caption(drawings.label(i), rng) for i in range(len(drawings))]
    return float(np.percentile(critic.agreement(drawings.pixels, prompts), PERCENTILE))


def load_classifier(folder: Path) -> Classifier:
    """Loads the classifier that `make_classifier` wrote."""
    classifier = Classifier()
    weights = load_file(folder / CLASSIFIER_FILE)
    classifier.load_state_dict({name: value.float() for name, value in weights.items()})
    return classifier.eval()


def _write_config(folder: Path, *, threshold: float) -> None:
    config = CriticConfig(vocabulary=vocabulary(), neutral=NEUTRAL, threshold=threshold)
    text = json.dumps(config.as_json(), indent=2, sort_keys=True)
    (folder / CONFIG_FILE).write_text(text + "\n", "utf-8")

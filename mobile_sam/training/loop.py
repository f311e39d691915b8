"""The training loop: one class that is built, resumed and run."""

from __future__ import annotations

import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from mobile_sam.build_sam import build_sam_vit_t
from mobile_sam.checkpoints import load_model, load_state_dict, save_checkpoint

from .auxiliary import AuxiliaryHead, auxiliary_loss, targets_tensor
from .batches import CropSource
from .data import Reader, read_items, split_items
from .distill import DistillBatch, DistillSource, TeacherEmbeddings, distill_loss, take_decoder
from .logs import Logs
from .model_step import StepResult, interactive_loss
from .optim import Average, draw_positions, prepare_start, rate, sharpen_positions
from .optimisers import Optimisers
from .ranks import Ranks
from .state import load, save_atomically

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from mobile_sam.modeling import Sam

    from .batches import Batch
    from .config import TrainConfig
    from .data import Item

OnStep: TypeAlias = 'Callable[[Trainer, dict[str, float]], None]'

logger = logging.getLogger(__name__)

STATE_NAME = 'state.pt'
EXPORT_NAME = 'weights.pt'


class Trainer:
    """Trains a `vit_t` Sam on promptable segmentation.

    If the output folder already holds a state, the run goes on from it.

    Parameters
    ----------
    config : TrainConfig
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        torch.manual_seed(config.seed)
        torch.set_num_threads(config.threads)
        if config.round_products:
            torch.set_float32_matmul_precision('medium')
        self.ranks = Ranks(config.device)
        self.device = self.ranks.device(config.device)
        self.train_items, self.held_items = _items(config)
        self.reader = Reader()
        self.model: Sam = build_sam_vit_t(checkpoint=None)
        if config.init is None:
            prepare_start(self.model, config.seed)
        else:
            initialise(self.model, config.init)
            if config.decoder == 'start':
                start = build_sam_vit_t(checkpoint=None)
                prepare_start(start, config.seed)
                self.model.prompt_encoder, self.model.mask_decoder = (
                    start.prompt_encoder, start.mask_decoder,
                )  # fmt: skip
            elif config.positions == 'draw':
                draw_positions(self.model, config.seed)
            elif config.positions == 'sharpen':
                sharpen_positions(self.model)
        self.embeddings = self._teacher()
        self.model.to(self.device)
        self.encoder: torch.nn.Module = self.model.image_encoder
        if config.compile:
            # Shares its weights with the model, whose state keeps its names.
            self.encoder = torch.compile(self.encoder)  # type: ignore[assignment]
        self.head = AuxiliaryHead().to(self.device)
        self.source = self._source()
        # The classifier head belongs to the layout of the checkpoint but is never used.
        for part in (self.model.image_encoder.head, self.model.image_encoder.norm_head):
            part.requires_grad_(False)
        self.average = Average(self.model, config.ema)
        self.optimisers = Optimisers(
            config.optimiser, self._trained(), lr=config.lr, decay=config.weight_decay
        )
        self.step, self.elapsed = 0, 0.0
        self.recent: list[dict[str, float]] = []
        config.out.mkdir(parents=True, exist_ok=True)
        if (config.out / STATE_NAME).is_file():
            self._resume(load(config.out / STATE_NAME))
        if self.ranks.leads:
            self.log = Logs(config.out, step=self.step)
            settings = json.dumps(config.as_dict(), indent=2)
            (config.out / 'config.json').write_text(settings, encoding='utf-8')

    def _trained(self) -> list[torch.nn.Module]:
        if self.config.phase == 'crops':
            return [self.model, self.head]
        if self.config.phase == 'distill':
            return [self.model.image_encoder]
        self.model.image_encoder.requires_grad_(False)
        return [self.model.prompt_encoder, self.model.mask_decoder]

    def _teacher(self) -> TeacherEmbeddings | None:
        """Load the teacher of a distillation, and take over its decoder."""
        if self.config.teacher is None:
            return None
        teacher = load_model(self.config.teacher, self.device)
        take_decoder(self.model, teacher.model)
        return TeacherEmbeddings(
            teacher, self.config.teacher_cache or self.config.out / 'embeddings'
        )

    def _source(self) -> Callable[[int], Batch | DistillBatch]:
        if self.config.phase != 'frames' and self.config.channels_last:
            self.model.image_encoder.to(memory_format=torch.channels_last)
        if self.embeddings is not None:
            return DistillSource(
                self.embeddings, self.train_items, self.reader, self.config, self.ranks.size
            )
        if self.config.phase == 'crops':
            return CropSource(self.train_items, self.reader, self.config, self.ranks.size)
        from .frames import FrameSource

        return FrameSource(self.model, self.train_items, self.reader, self.config, self.ranks.size)

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0 … 1."""
        if self.config.steps is not None:
            return self.step / self.config.steps
        return self.elapsed / (60 * (self.config.minutes or 1))

    def run(self, on_step: OnStep | None = None) -> Path:
        """Train to the end.

        Parameters
        ----------
        on_step : callable, optional
            Told after each step: the trainer, and the step's numbers.

        Returns
        -------
        Path
            The exported averaged weights, float16.
        """
        config = self.config
        saved = validated = self.elapsed
        self._set_mode()
        # One batch is prepared while the last one is learned from.
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(self.source, self._batch_number())
            start = time.monotonic() - self.elapsed
            while self.progress < 1:
                batch = coming.result()
                coming = pool.submit(self.source, self._batch_number() + self.ranks.size)
                with self._attention():
                    self.recent.append(self.train_step(batch))
                self.step += 1
                # All processes must agree on the time, or they would not stop at the same step.
                self.elapsed = self.ranks.agree(time.monotonic() - start, self.device)
                if not self.ranks.leads:
                    continue
                if on_step is not None:
                    on_step(self, self.recent[-1])
                if self.step % 20 == 0:
                    self._report()
                if self.elapsed - saved >= 60 * config.save_minutes:
                    self.save()
                    saved = self.elapsed
                if self.elapsed - validated >= 60 * config.validate_minutes:
                    self.validate()
                    validated = time.monotonic() - start
        if self.ranks.leads:
            self._report()
            self.save()
            save_checkpoint(self.average.state, config.out / EXPORT_NAME)
            self.validate()
            self.log.close()
        self.ranks.close()
        return config.out / EXPORT_NAME

    def _batch_number(self) -> int:
        return self.step * self.ranks.size + self.ranks.rank

    def train_step(self, batch: Batch | DistillBatch) -> dict[str, float]:
        """Learn from one batch and return the numbers for the log."""
        config = self.config
        lr = config.lr * rate(self.progress, config.warmup)
        self.optimisers.set_rate(lr)
        self.optimisers.zero_grad()
        # As many rounds in all processes, which then take equally long; other clicks in each.
        rng = np.random.default_rng([config.seed, self.step, 1])
        corrections = int(rng.choice(len(config.corrections), p=config.corrections))
        rng = np.random.default_rng([config.seed, self._batch_number(), 5])
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.amp):
            features = batch.images.to(self.device)
            if config.phase != 'frames':
                features = self.encoder(self._laid_out(features))
            if isinstance(batch, DistillBatch):
                result = distill_loss(features, batch)
            else:
                result = interactive_loss(self.model, features, batch, rng, corrections=corrections)
            loss, aux = result.loss, float('nan')
            weight = config.aux_weight * max(0.0, 1 - self.progress)
            if config.phase == 'crops' and not isinstance(batch, DistillBatch) and weight > 0:
                maps = self.head(features)
                wanted = targets_tensor(batch.labels, batch.side)
                side_loss = auxiliary_loss(maps, wanted.to(self.device))
                loss, aux = loss + weight * side_loss, float(side_loss.detach())
        if loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
        learned = self.optimisers.parameters
        self.ranks.average_gradients(learned)
        norm = torch.nn.utils.clip_grad_norm_(learned, config.clip)
        if bool(torch.isfinite(norm)):
            self.optimisers.step()
            self.average.update(self.model)
        else:
            logger.warning('step %d: gradients are not finite, step left out', self.step)
        return _row(result, loss=float(loss.detach()), aux=aux, grad=float(norm), lr=lr)

    def _attention(self) -> AbstractContextManager[None]:
        """Choose the kernel of attention: on CPUs the fused one is slow where heads are narrow."""
        if self.device.type != 'cpu':
            return nullcontext()
        context: AbstractContextManager[None] = sdpa_kernel(SDPBackend.MATH)
        return context

    def _laid_out(self, images: torch.Tensor) -> torch.Tensor:
        if self.config.channels_last:
            return images.contiguous(memory_format=torch.channels_last)
        return images

    def _set_mode(self) -> None:
        self.model.train()
        if self.config.phase == 'frames':
            self.model.image_encoder.eval()

    def _report(self) -> None:
        """Log the means of the steps since the last report."""
        recent, self.recent = self.recent, []
        if not recent:
            return
        means = {
            name: float(np.nanmean(v)) if np.isfinite(v).any() else float('nan')
            for name in recent[0]
            for v in [np.array([row[name] for row in recent])]
        }
        self.log.add({'step': self.step, 'minutes': self.elapsed / 60, **means})
        logger.info(
            'step %d  %.1f min  loss %.3f  click %.3f  box %.3f  last %.3f',
            self.step, self.elapsed / 60, means['loss'],
            means['iou_click'], means['iou_box'], means['iou_last'],
        )  # fmt: skip

    def save(self) -> None:
        """Write the state that a later run resumes from, replacing the old one at once."""
        save_atomically(
            {
                'model': self.model.state_dict(),
                'head': self.head.state_dict(),
                'average': self.average.state,
                'updates': self.average.updates,
                'optimisers': self.optimisers.state(),
                'step': self.step,
                'elapsed': self.elapsed,
                'recent': self.recent,
                'phase': self.config.phase,
            },
            self.config.out / STATE_NAME,
        )

    def _resume(self, state: dict[str, Any]) -> None:
        if state['phase'] != self.config.phase:
            raise ValueError(
                f'{self.config.out} holds a run of phase {state["phase"]!r}, not '
                f'{self.config.phase!r}; give another folder, and --init for its weights.'
            )
        self.model.load_state_dict(state['model'])
        self.head.load_state_dict(state['head'])
        self.average.load(state['average'], state['updates'])
        self.optimisers.load(state['optimisers'])
        self.step, self.elapsed = state['step'], state['elapsed']
        self.recent = state.get('recent', [])
        logger.info('resumed at step %d, %.1f min', self.step, self.elapsed / 60)

    def averaged_model(self) -> Sam:
        """Return a copy of the model with the averaged weights, in eval mode."""
        model = build_sam_vit_t(checkpoint=None)
        model.load_state_dict(self.average.state)
        return model.to(self.device).eval()

    def validate(self) -> None:
        """Write a report on held-out groups with the averaged weights."""
        from .validate import Evaluator, table, write_report

        items = self.held_items or self.train_items
        evaluator = Evaluator(
            items,
            images=self.config.validate_images,
            objects=self.config.validate_objects,
            corrections=2,
            reader=self.reader,
        )
        try:
            report = evaluator(self.averaged_model())
        except ValueError as error:
            # A distillation needs no labels; nothing is lost but the report.
            logger.warning('not validated: %s', error)
            return
        write_report(report, self.config.out / f'report-{self.step:06d}.json')
        logger.info('step %d, held-out groups:\n%s', self.step, table(report))


def _row(
    result: StepResult, *, loss: float, aux: float, grad: float, lr: float
) -> dict[str, float]:
    return {
        'lr': lr, 'loss': loss, 'mask': result.mask, 'score': result.score, 'aux': aux,
        'iou_click': result.iou_click, 'iou_box': result.iou_box,
        'iou_last': result.iou_last, 'grad': grad,
    }  # fmt: skip


def _items(config: TrainConfig) -> tuple[list[Item], list[Item]]:
    items = read_items(config.data)
    if config.limit is not None:
        # An overfitting test: the same few images for training and validation.
        fluorescence = [i for i in items if i.modality == 'fluorescence'] or items
        chosen = fluorescence[:: max(1, len(fluorescence) // config.limit)][: config.limit]
        return chosen, chosen
    learned, held = split_items(items)
    if config.modalities:
        learned, held = (
            [i for i in part if i.modality in config.modalities] for part in (learned, held)
        )
    return learned, held


def initialise(model: Sam, path: Path) -> None:
    """Load weights from a checkpoint, or the averaged ones of a run's state."""
    model.load_state_dict(load_state_dict(path, model=model))


def train(config: TrainConfig, on_step: OnStep | None = None) -> Path:
    """Train, or go on training, and return the exported weights; see `Trainer.run`."""
    return Trainer(config).run(on_step)

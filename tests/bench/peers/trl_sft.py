#!/usr/bin/env python3
"""trl's SFTTrainer on the processor: `default` as its documentation has it (padding, activation checkpointing), or `best`:
no checkpointing, and documents of a batch in one row (padding_free) where the attention keeps them apart, which the loss
of the first step shows; --padded pads instead."""
import pathlib
import tempfile

import datasets
import torch
import transformers
import trl

import common

a = common.arguments(__doc__)
a.add_argument("--best", action="store_true")
a.add_argument("--padded", action="store_true")
args = a.parse_args()
model = common.load_model(args)
steps = common.read_steps(args.ids, args.steps + 1)
rows = [row for step in steps for row in step]
data = datasets.Dataset.from_dict({
    "input_ids": [ids for ids, _ in rows],
    "labels": [[i if taught else common.IGNORED for i, taught in zip(ids, trained)] for ids, trained in rows]})
name = ("trl-best" if not args.padded else "trl-best-padded") if args.best else "trl"
meter = common.Meter(name, args, steps)


class Clock(transformers.TrainerCallback):
    """Seconds from one step to the next, the reading of rows left out."""

    def on_step_begin(self, *_, **__):
        meter.begin()

    def on_step_end(self, *_, **__):
        meter.end(0)


with tempfile.TemporaryDirectory() as folder:
    config = trl.SFTConfig(
        output_dir=folder, max_steps=len(steps), per_device_train_batch_size=len(steps[0]), learning_rate=common.learning_rate(args.method),
        lr_scheduler_type="constant", logging_steps=1, save_strategy="no", report_to=[], use_cpu=True, bf16=False, disable_tqdm=True,
        train_sampling_strategy="sequential", seed=1,
        **({"gradient_checkpointing": False, "padding_free": not args.padded, **({} if args.padded else {"max_length": None}), "optim": "adamw_torch_fused"} if args.best else {}))
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model)
    trainer = trl.SFTTrainer(model=model, args=config, train_dataset=data, processing_class=tokenizer, callbacks=[Clock()])
    trainer.train()
    meter.losses = [float(x["loss"]) for x in trainer.state.log_history if "loss" in x]
meter.report(trl=trl.__version__)

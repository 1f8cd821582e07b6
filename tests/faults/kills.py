#!/usr/bin/env python3
"""Kills a training run with SIGKILL again and again - at random moments, and aimed at single changes on the disk
while it saves - goes on with it, and compares its end with that of an unbroken run: weights and curves bit for bit.
"""

import random
import shutil
import sys
import time
from collections import Counter

import harness

STEPS, CHECK, SAVE = 24, 6, 4
MOST_KILLS_OF_A_RUN = 6


def trial(bench, draw, unbroken, kills_left, tally):
    workspace = bench.fresh()
    announced = 0  # step of the newest save point that the program said is there
    kills = draw.randint(1, min(MOST_KILLS_OF_A_RUN, kills_left))
    while True:
        if bench.run_folder(workspace) is None:
            arguments = bench.train_arguments(STEPS, CHECK, SAVE)
            assert announced == 0, "the run is gone"
        else:
            arguments = ["resume", "last", "--events"]
        faults, after = None, None
        if kills > 0 and draw.random() < 0.5:
            faults = {"kind": draw.choice(["kill", "half"]), "at": draw.randint(1, unbroken["changes"])}
        elif kills > 0:
            after = draw.uniform(0.02, unbroken["seconds"])
        ended = bench.call(workspace, arguments, faults=faults, kill_after=after)
        resumed = ended.last("resumed")
        if resumed:
            tally["resumes"] += 1
            tally["steps done twice"] += max(0, tally.pop("reached", 0) - resumed["step"])
            assert resumed["step"] >= announced, f"goes on from {resumed['step']}, step {announced} was announced"
        saved = ended.last("checkpoint")
        if saved:
            announced = max(announced, saved["step"])
        if ended.code == -9:
            kills -= 1
            tally["kills"] += 1
            tally[f"killed during: {ended.phase()}"] += 1
            tally["aimed at a change"] += faults is not None
            step = ended.last("step")
            tally["reached"] = step["step"] if step else 0
            run = bench.run_folder(workspace)
            assert announced == 0 or harness.newest_intact(run) >= announced, f"save point of step {announced} is gone"
            continue
        if ended.code == 0:
            break
        assert "this run is finished" in ended.err, ended.err  # killed behind its last word
        break
    tally.pop("reached", None)
    assert harness.databases_sound(workspace), "a database is damaged"
    differs = harness.difference(unbroken["result"], bench.result(workspace))
    assert differs is None, differs
    tally["runs compared"] += 1
    shutil.rmtree(workspace)


def main():
    parser = harness.options(__doc__)
    parser.add_argument("--kills", type=int, default=10)
    arguments = parser.parse_args()
    bench = harness.Bench(arguments)
    draw = random.Random(arguments.seed)
    workspace = bench.fresh()
    count = bench.root / "count"
    ended = bench.call(workspace, bench.train_arguments(STEPS, CHECK, SAVE), faults={"kind": "count", "count": count})
    assert ended.code == 0, ended.err
    unbroken = {"seconds": ended.seconds, "changes": int(count.read_text().split()[0]), "result": bench.result(workspace)}
    again = bench.fresh()
    assert bench.call(again, bench.train_arguments(STEPS, CHECK, SAVE)).code == 0
    differs = harness.difference(unbroken["result"], bench.result(again))
    assert differs is None, f"the same seed gave another run: {differs}"
    tally, begun, failed = Counter(), time.monotonic(), 0
    while tally["kills"] < arguments.kills:
        try:
            trial(bench, draw, unbroken, arguments.kills - tally["kills"], tally)
        except AssertionError as problem:
            failed += 1
            print(f"LOST: {problem} (trial {bench.trials}, seed {arguments.seed})")
            tally.pop("reached", None)
            if failed >= 5:
                break
    for key, value in sorted(tally.items()):
        print(f"{key}: {value}")
    print(f"an unbroken run: {unbroken['seconds']:.1f} s, {unbroken['changes']} changes on the disk")
    print(f"lost or different: {failed}; {time.monotonic() - begun:.0f} s")
    if failed and arguments.keep:
        print(f"kept: {bench.root}")
    else:
        bench.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

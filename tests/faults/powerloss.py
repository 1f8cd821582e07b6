#!/usr/bin/env python3
"""Takes the power away at every moment of a training run, in a model of the disk.

The shim records every change that the real program makes. A disk that loses its power may hold: of each file what
was there at its last fsync plus any of the later writes, in blocks of 512 bytes; of each folder the names at its
last fsync plus any of the later changes. For every moment the worst such disk (nothing of what was not synced) and
some random ones are built and opened by the program's store. What the program had said by then must be there.
"""

import collections
import json
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time

import harness

STEPS, CHECK, SAVE = 9, 4, 2
BLOCK = 512


class File:
    def __init__(self, data=b""):
        self.now, self.safe = bytearray(data), bytes(data)
        self.later = []  # (offset, bytes) or (None, size) since the last sync

    def write(self, offset, data):
        if len(self.now) < offset + len(data):
            self.now.extend(bytes(offset + len(data) - len(self.now)))
        self.now[offset:offset + len(data)] = data
        self.later.append((offset, data))

    def cut(self, size):
        del self.now[size:]
        self.now.extend(bytes(size - len(self.now)))
        self.later.append((None, size))

    def sync(self):
        self.safe, self.later = bytes(self.now), []

    def after_loss(self, draw):
        if draw is None or not self.later:
            return self.safe
        data = bytearray(self.safe)
        for offset, change in self.later:
            if offset is None:
                if draw.random() < 0.5:
                    del data[change:]
                    data.extend(bytes(change - len(data)))
                continue
            at = offset
            while at < offset + len(change):
                end = min((at // BLOCK + 1) * BLOCK, offset + len(change))
                if draw.random() < 0.5:
                    if len(data) < end:
                        data.extend(bytes(end - len(data)))
                    data[at:end] = change[at - offset:end - offset]
                at = end
        return bytes(data)


class Folder:
    def __init__(self):
        self.now, self.safe = {}, {}
        self.later = []  # ("add", name, node), ("drop", name), ("swap", one, other)

    def change(self, *what):
        apply(self.now, what)
        self.later.append(what)

    def sync(self):
        self.safe, self.later = dict(self.now), []

    def after_loss(self, draw):
        if draw is None:
            return self.safe
        names = dict(self.safe)
        for what in self.later:
            if draw.random() < 0.5:
                apply(names, what)
        return names


def apply(names, what):
    if what[0] == "add":
        names[what[1]] = what[2]
    elif what[0] == "drop":
        names.pop(what[1], None)
    elif what[0] == "move":
        names[what[2]] = what[3]
        names.pop(what[1], None)
    elif what[1] in names and what[2] in names:
        names[what[1]], names[what[2]] = names[what[2]], names[what[1]]


class Disk:
    """The workspace as the recorded changes leave it, and as a loss of power may."""

    def __init__(self, folder):
        self.prefix, self.files = str(folder), {}
        self.root = self._read(folder)

    def _read(self, path):
        node = Folder()
        for entry in os.scandir(path):
            if entry.is_dir():
                child = self._read(entry.path)
            else:
                child = self.files[entry.inode()] = File(pathlib.Path(entry.path).read_bytes())
            node.now[entry.name] = child
        node.sync()
        return node

    def _at(self, path):
        node = self.root
        for part in pathlib.PurePath(path).relative_to(self.prefix).parts:
            node = node.now[part]
        return node

    def _parent(self, path):
        path = pathlib.PurePath(path)
        return self._at(path.parent), path.name

    def play(self, kind, words, data):
        if kind == "W":
            if int(words[0]) in self.files:
                self.files[int(words[0])].write(int(words[1]), data)
        elif kind == "T":
            self.files[int(words[0])].cut(int(words[1]))
        elif kind == "S":
            self.files[int(words[0])].sync()
        elif kind == "C":
            file = self.files[int(words[0])] = File()
            folder, name = self._parent(" ".join(words[1:]))
            folder.change("add", name, file)
        elif kind == "M":
            folder, name = self._parent(words[0])
            folder.change("add", name, Folder())
        elif kind in "UK":
            folder, name = self._parent(words[0])
            folder.change("drop", name)
        elif kind == "D":
            self._at(words[0]).sync()
        else:
            one, other = " ".join(words).split("\t")
            (source, from_name), (target, to_name) = self._parent(one), self._parent(other)
            if kind == "X":
                assert source is target
                source.change("swap", from_name, to_name)
            elif source is target:
                source.change("move", from_name, to_name, source.now[from_name])
            else:
                node = source.now[from_name]
                source.change("drop", from_name)
                target.change("add", to_name, node)

    def lose_power(self, target, draw):
        """Writes what is left into a folder. Without a draw: nothing of what was not synced."""
        self._write(self.root, pathlib.Path(target), draw)

    def _write(self, node, path, draw):
        path.mkdir()
        for name, child in node.after_loss(draw).items():
            if isinstance(child, File):
                (path / name).write_bytes(child.after_loss(draw))
            else:
                self._write(child, path / name, draw)

    def worst(self):
        """Something that differs when the worst disk does."""
        def sign(node):
            if isinstance(node, File):
                return hash(node.safe)
            return hash(tuple(sorted((name, sign(child)) for name, child in node.safe.items())))
        return sign(self.root)


def records(log):
    data, at = pathlib.Path(log).read_bytes(), 0
    while at < len(data):
        end = data.index(b"\n", at)
        kind, *words = data[at:end].decode().split(" ")
        at, body = end + 1, b""
        if kind in "WA":
            size = int(words[-1])
            body, at = data[at:at + size], at + size
        yield kind, words, body


class Announced:
    """What the program has said so far."""

    def __init__(self):
        self.text, self.save_point, self.finished, self.begun = b"", 0, False, False

    def hear(self, data):
        self.text += data
        while b"\n" in self.text:
            line, self.text = self.text.split(b"\n", 1)
            event = json.loads(line)
            self.begun = True
            if event["event"] == "checkpoint":
                self.save_point = max(self.save_point, event["step"])
            self.finished |= event["event"] == "finished"

    def problem(self, seen, folder, expected):
        """What of it is not there in a workspace that was opened after the loss, or nothing."""
        if "error" in seen:
            return f"cannot be opened: {seen['error']}"
        if seen["models"] != ["tiny"] or [d["rows"] for d in seen["datasets"]] != [30]:
            return f"models or rows are gone: {seen['models']} {seen['datasets']}"
        if not seen["runs"]:
            return "the run is gone" if self.begun else None
        run = seen["runs"][0]
        newest = harness.newest_intact(folder / "runs" / run["id"]) or 0
        if newest < self.save_point:
            return f"the newest save point is {newest}, {self.save_point} was announced"
        if self.finished and run["status"] != "finished":
            return f"the run is {run['status']}, finished was announced"
        if run["status"] not in ("interrupted", "finished"):
            return f"the run is {run['status']} although nobody works on it"
        # Behind the newest save point some may be missing: they are done again.
        steps = [step for step, _, _ in run["loss"] if step <= newest]
        if steps != list(range(1, newest + 1)):
            return f"steps {steps} of the curve, the newest save point is {newest}"
        for step, loss, _ in run["loss"]:
            if loss != expected[step]:
                return f"loss {loss} at step {step}, not {expected[step]}"
        return None


def tour(bench, arguments, faults_more=None):
    """Records a run; gives the disk before it and its changes."""
    workspace = bench.fresh()
    disk = Disk(workspace)
    log = bench.root / f"log-{bench.trials}"
    ended = bench.call(workspace, bench.train_arguments(STEPS, CHECK, SAVE), faults={"kind": "count", "log": log})
    assert ended.code == 0, ended.err
    expected = {event["step"]: event["loss"] for event in ended.events if event["event"] == "step"}
    return disk, list(records(log)), expected


def main():
    parser = harness.options(__doc__)
    parser.add_argument("--random", type=int, default=1, help="random disks besides the worst one at each moment")
    parser.add_argument("--every", type=int, default=1, help="moments between two for which random disks are built")
    parser.add_argument("--resume-every", type=int, default=0, help="worst disks between two that are also resumed")
    arguments = parser.parse_args()
    bench = harness.Bench(arguments)
    draw = random.Random(arguments.seed)
    disk, changes, expected = tour(bench, arguments)
    unbroken = bench.result(bench.root / "trial-1")
    shelf = pathlib.Path(tempfile.mkdtemp(prefix="fettle-power-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    probe, announced = bench.probe(), Announced()
    counts, failures, before = collections.Counter(), [], None
    begun = time.monotonic()

    def look(how, moment):
        counts[how] += 1
        target = shelf / "disk"
        disk.lose_power(target, None if how == "worst" else draw)
        problem = announced.problem(probe.look(target), target, expected)
        if problem:
            failures.append(f"after change {moment}, {how} disk: {problem}")
        elif how == "worst" and arguments.resume_every and counts[how] % arguments.resume_every == 0:
            counts["resumed to the end"] += 1
            call = ["resume", "last", "--events"] if bench.run_folder(target) else bench.train_arguments(STEPS, CHECK, SAVE)
            ended = bench.call(target, call)
            if ended.code != 0 and "this run is finished" not in ended.err:
                failures.append(f"after change {moment}: cannot be resumed: {ended.err[-300:]}")
            else:
                differs = harness.difference(unbroken, bench.result(target))
                if differs:
                    failures.append(f"after change {moment}: {differs}")
        shutil.rmtree(target)

    for moment, (kind, words, body) in enumerate(changes):
        if kind == "A":
            announced.hear(body)
        else:
            disk.play(kind, words, body)
        worst = disk.worst()
        if worst != before or kind == "A":
            before = worst
            look("worst", moment)
        if moment % arguments.every == 0:
            for _ in range(arguments.random):
                look("random", moment)
        if len(failures) >= 5:
            break
    shutil.rmtree(shelf)
    if not failures and not (announced.finished and announced.save_point == STEPS):
        failures.append("the model did not hear what the program said")
    print(f"{len(changes)} changes; disks opened: {dict(counts)}; {time.monotonic() - begun:.0f} s")
    for failure in failures:
        print(f"LOST: {failure}")
    print(f"lost: {len(failures)}")
    bench.close()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

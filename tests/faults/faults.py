#!/usr/bin/env python3
"""The real program on a disk that is full or fails at the n-th change, on one that may only be read, with a clock
that goes back, beside a second program, on a locked database, and short of memory. Each time it must end by itself,
say in one sentence what happened and what to do, and lose nothing: the run goes on afterwards and ends like the
unbroken one, bit for bit.
"""

import collections
import json
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
import time

import harness

STEPS, CHECK, SAVE = 6, 4, 2
TEST_SETTINGS = {"checks.prompts": "0"}


class Campaign:
    def __init__(self, arguments):
        self.bench = harness.Bench(arguments)
        self.draw = random.Random(arguments.seed)
        self.tally, self.failures = collections.Counter(), []
        workspace, count = self.bench.fresh(), self.bench.root / "count"
        ended = self.bench.call(workspace, self.arguments(), faults={"kind": "count", "count": count})
        assert ended.code == 0, ended.err
        self.changes, self.allocations = map(int, count.read_text().split())
        self.unbroken = self.bench.result(workspace)
        self.seconds = ended.seconds

    def arguments(self, more=None):
        return self.bench.train_arguments(STEPS, CHECK, SAVE, dict(TEST_SETTINGS, **(more or {})))

    def check(self, what, truth, words=""):
        self.tally["checks"] += 1
        if not truth:
            self.failures.append(f"{what}: {words}")
            print(f"WRONG: {what}: {words}", flush=True)
        return truth

    def explains(self, what, ended, words=()):
        """One sentence with what happened and what to do, and an exit code that belongs to it."""
        text = ended.sentence()
        good = (ended.code in (2, 3, 4) and text.endswith(".") and ". " in text[12:] and "inside the program" not in text
                and all(word.lower() in text.lower() for word in words))
        return self.check(what, good, f"exit {ended.code}: {text or ended.err[-300:]}")

    def goes_on(self, what, workspace, same=True):
        """Carries the run to its end in a good world; it must end like the unbroken one."""
        call = ["resume", "last", "--events"] if self.bench.run_folder(workspace) else self.arguments()
        ended = self.bench.call(workspace, call)
        if ended.code != 0 and "this run is finished" not in ended.err:
            return self.check(what, False, f"cannot go on: exit {ended.code}: {ended.err[-300:]}")
        self.tally["runs brought to their end"] += 1
        result = self.bench.result(workspace)
        differs = harness.difference(self.unbroken, result) if same else None
        good = self.check(what, differs is None and result["status"] == "finished", differs or result["status"])
        good &= self.check(what, harness.databases_sound(workspace), "a database is damaged")
        if good:
            shutil.rmtree(workspace)
        return good

    def disk(self, kind, every):
        """The disk is full, or fails once, at the n-th change for every n."""
        sentences = collections.Counter()
        first = self.draw.randint(1, every)
        for at in range(first, self.changes + 1, every):
            what = f"{kind} at change {at} of {self.changes}"
            workspace = self.bench.fresh()
            ended = self.bench.call(workspace, self.arguments(), faults={"kind": kind, "at": at})
            self.tally[f"disk {kind}"] += 1
            if ended.code == 0:
                self.tally[f"disk {kind}: carried on"] += 1
            else:
                self.explains(what, ended, ["full"] if kind == "full" else [])
                sentences[ended.sentence().split("/")[0]] += 1
            saved = ended.last("checkpoint")
            run = self.bench.run_folder(workspace)
            if saved:
                newest = harness.newest_intact(run) or 0
                self.check(what, newest >= saved["step"], f"save point {saved['step']} was announced, {newest} is there")
            if ended.code == 4 and run and kind == "full" and saved and "save" in ended.phase():
                self.check(what, "saved" in ended.sentence() or "safe" in ended.sentence(), ended.sentence())
            self.goes_on(what, workspace)
            if len(self.failures) > 10:
                return

    def room(self, times):
        """The disk is full and then there is room again: a save point waits for it, and the run ends like the unbroken one."""
        order = self.draw.sample(range(1, self.changes + 1), self.changes)
        while times and order:
            at = order.pop()
            what = f"full for a while at change {at} of {self.changes}"
            workspace = self.bench.fresh()
            ended = self.bench.call(workspace, self.arguments({"checkpoints.waitForSpace": "1"}),
                                    faults={"kind": "full", "at": at, "span": 3})
            if "waits for room" not in ended.out:
                self.goes_on(what, workspace)
                continue
            self.tally["waited for room"] += 1
            times -= 1
            if self.check(what, ended.code == 0, f"exit {ended.code}: {ended.err[-300:]}"):
                differs = harness.difference(self.unbroken, self.bench.result(workspace))
                self.check(what, not differs, differs)
        self.check("full for a while", times == 0, "no save point waited")

    def read_only(self):
        workspace = self.bench.fresh()
        for call in (self.arguments(), ["runs", "list"], ["data", "list"]):
            ended = self.bench.call(workspace, call, faults={"kind": "readonly"})
            self.tally["read-only folder"] += 1
            if ended.code != 0 or call[0] == "train":
                self.explains(f"read-only: {call[:2]}", ended, ["read-only"])
        # It becomes read-only in the middle of a run.
        ended = self.bench.call(workspace, self.arguments(), faults={"kind": "broken", "at": self.changes // 2})
        self.goes_on("read-only", workspace)

    def clock(self):
        for shift in (-86400, 86400 * 400, -86400 * 365 * 60):
            for at in (1, 30, 60):
                what = f"clock {shift} s off from look {at} on"
                workspace = self.bench.fresh()
                faults = {"kind": "kill", "at": self.changes * 3 // 4, "clock": f"{at}:{shift}"}
                ended = self.bench.call(workspace, self.arguments(), faults=faults)
                self.tally["clock goes wrong"] += 1
                self.check(what, ended.code == -9, f"exit {ended.code}: {ended.err[-300:]}")
                self.goes_on(what, workspace)

    def two_programs(self):
        workspace = self.bench.fresh()
        longer = self.bench.train_arguments(400, 100, 100, TEST_SETTINGS)
        first = subprocess.Popen([str(self.bench.program)] + longer, env=self.bench.environment(workspace),
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in first.stdout:
            if json.loads(line)["event"] == "step":
                break
        drain = threading.Thread(target=first.stdout.read)
        drain.start()
        ended = self.bench.call(workspace, ["resume", "last"])
        self.explains("a run that goes on elsewhere is resumed", ended, ["going on"])
        ended = self.bench.call(workspace, self.arguments())
        self.check("a second run beside the first", ended.code == 0, ended.err[-300:])
        self.check("and it is the same", not harness.difference(self.unbroken, self.bench.result(workspace)))
        first.kill()
        first.wait()
        drain.join()
        self.tally["two programs"] += 2

    def race(self, times):
        """Two programs resume the same run at the same moment: one does, the other says why not."""
        for number in range(times):
            workspace = self.bench.fresh()
            self.bench.call(workspace, self.arguments(), faults={"kind": "kill", "at": self.changes * 2 // 3})
            both = []
            threads = [threading.Thread(target=lambda: both.append(self.bench.call(workspace, ["resume", "last", "--events"])))
                       for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.tally["two programs"] += 1
            codes = sorted(ended.code for ended in both)
            self.check(f"race {number}", codes[0] == 0 and codes[1] in (0, 2, 4), str([e.err[-200:] for e in both]))
            for ended in both:
                if ended.code != 0:
                    self.explains(f"race {number}", ended)
            self.goes_on(f"race {number}", workspace)

    def locked(self):
        """Another program holds the index for longer than anybody waits."""
        workspace = self.bench.fresh()
        lock = sqlite3.connect(workspace / "workspace.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        ended = self.bench.call(workspace, self.arguments())
        self.explains("locked at the start", ended, ["writing at the moment"])
        lock.execute("ROLLBACK")
        for release in (False, True):
            what = "locked in the middle" + (", then free" if release else " and to the end")
            process = subprocess.Popen([str(self.bench.program)] + self.arguments(), env=self.bench.environment(workspace),
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for line in process.stdout:
                if json.loads(line)["event"] == "step":
                    break
            lock.execute("BEGIN IMMEDIATE")
            if release:
                time.sleep(0.5)
                lock.execute("ROLLBACK")
            process.stdout.read()
            words = process.stderr.read()
            self.check(what, process.wait() == 0, words[-300:])
            if not release:
                self.check(what, "holds the index" in words, words[-300:])
                lock.execute("ROLLBACK")
            differs = harness.difference(self.unbroken, self.bench.result(workspace))
            self.check(what, differs is None, str(differs))
            self.tally["locked database"] += 1
        lock.close()

    def memory(self, times):
        """An allocation fails once; nothing above a size can be had; the address space is short."""
        for at in sorted(self.draw.sample(range(1, self.allocations), min(times, self.allocations - 1))):
            workspace = self.bench.fresh()
            ended = self.bench.call(workspace, self.arguments(), faults={"kind": "count", "memory": at})
            self.memory_verdict(f"allocation {at} of {self.allocations} fails", workspace, ended)
        for most in (150_000, 300_000, 600_000):
            workspace = self.bench.fresh()
            wide = self.arguments({"training.microBatchTokens": "4096", "training.batchSize": "16"})
            ended = self.bench.call(workspace, wide, faults={"kind": "count", "memory": f"<{most}"})
            self.memory_verdict(f"no allocation above {most} bytes", workspace, ended)
        self.tally["memory: address space"] = 0
        for megabytes in self.short_spaces(times):
            workspace = self.bench.fresh()
            limit = megabytes << 20
            ended = self.bench.call(workspace, self.arguments({"training.microBatchTokens": "4096", "training.batchSize": "16"}),
                                    before=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
            self.tally["memory: address space"] += 1
            self.memory_verdict(f"address space of {megabytes} MB", workspace, ended)

    def short_spaces(self, times):
        """Sizes from too small to work with up to just enough, in megabytes."""
        low, high = 100, 8192
        while high - low > 8:
            middle = (low + high) // 2
            limit = middle << 20
            workspace = self.bench.fresh()
            ended = self.bench.call(workspace, self.arguments({"training.microBatchTokens": "4096", "training.batchSize": "16"}),
                                    before=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
            whole = ended.code == 0 and not any(event.get("code") == "memory_short" for event in ended.events)
            low, high = (low, middle) if whole else (middle, high)
            shutil.rmtree(workspace)
        return [max(50, high - step * max(2, high // (8 * times))) for step in range(1, times + 1)]

    def threads(self):
        """No more than a few threads can be started."""
        for most in range(6):
            workspace = self.bench.fresh()
            ended = self.bench.call(workspace, self.arguments(), faults={"kind": "count", "threads": most})
            self.tally["few threads"] += 1
            self.memory_verdict(f"at most {most} threads", workspace, ended)

    def memory_verdict(self, what, workspace, ended):
        lowered = any(event.get("code") == "memory_short" for event in ended.events)
        if ended.code == 0:
            self.tally["memory: smaller micro-batches" if lowered else "memory: not noticed"] += 1
            result = self.bench.result(workspace)
            self.check(what, result["status"] == "finished" and result["step"] == STEPS, str(result["step"]))
            shutil.rmtree(workspace)
            return
        self.tally["memory: said so and ended" if ended.code > 0 else "memory: ended by the system"] += 1
        saved = ended.last("checkpoint")
        if ended.code == 4:
            self.explains(what, ended, ["memory"])
        elif ended.code > 0:
            self.explains(what, ended)
        if saved:
            newest = harness.newest_intact(self.bench.run_folder(workspace)) or 0
            self.check(what, newest >= saved["step"], f"save point {saved['step']} was announced, {newest} is there")
        self.goes_on(what, workspace, same=False)


def main():
    parser = harness.options(__doc__)
    parser.add_argument("--every", type=int, default=40, help="changes between two at which the disk fails")
    parser.add_argument("--times", type=int, default=3, help="how often the random ones are tried")
    parser.add_argument("--only", default="", help="full, broken, room, read_only, clock, two_programs, race, locked, memory, threads")
    arguments = parser.parse_args()
    campaign, begun = Campaign(arguments), time.monotonic()
    parts = {
        "full": lambda: campaign.disk("full", arguments.every),
        "broken": lambda: campaign.disk("broken", arguments.every),
        "room": lambda: campaign.room(arguments.times),
        "read_only": campaign.read_only,
        "clock": campaign.clock,
        "two_programs": campaign.two_programs,
        "race": lambda: campaign.race(arguments.times),
        "locked": campaign.locked,
        "memory": lambda: campaign.memory(arguments.times),
        "threads": campaign.threads,
    }
    for name in arguments.only.split(",") if arguments.only else parts:
        parts[name]()
    for key, value in sorted(campaign.tally.items()):
        print(f"{key}: {value}")
    print(f"an unbroken run: {campaign.seconds:.1f} s, {campaign.changes} changes on the disk")
    print(f"wrong: {len(campaign.failures)}; {time.monotonic() - begun:.0f} s")
    if not (campaign.failures and arguments.keep):
        campaign.bench.close()
    return 1 if campaign.failures else 0


if __name__ == "__main__":
    sys.exit(main())

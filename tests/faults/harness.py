"""What the tests in this folder share: a small workspace, the real program, and what a run ended with.

The program is copied first, so that a build meanwhile changes nothing.
"""

import argparse
import hashlib
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
SETTINGS = {
    "checkpoints.waitForSpace": "0",
    "training.passes": "100",
    "training.batchSize": "4",
    "training.maxLength": "512",
    "training.microBatchTokens": "600",
    "training.learningRate": "0.002",
    "lora.dropout": "0.1",
    "checks.answerLength": "4",
    "checks.prompts": "1",
    "checks.maxRows": "4",
    "checks.earlyStop": "false",
}


def options(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--program", default=SOURCE / "build/test/bin/fettle-cli", type=pathlib.Path)
    parser.add_argument("--helpers", type=pathlib.Path, help="folder of the shim and of the probe (default: the program's)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the folders of trials that went wrong")
    return parser


class Ended:
    """One call of the program: exit code (negative: the signal), what it said, and its events."""

    def __init__(self, code, out, err, seconds):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds
        self.events = []
        for line in out.split("\n"):
            try:
                self.events.append(json.loads(line))
            except ValueError:
                pass  # the last line of a killed program, or no events at all

    def last(self, kind):
        found = [event for event in self.events if event.get("event") == kind]
        return found[-1] if found else None

    def phase(self):
        """What it was about when it ended."""
        for event in reversed(self.events):
            if event.get("event") == "phase":
                return event["phase"] or "train"
            if event.get("event") == "step":
                return "train"
        return "start"

    def sentence(self):
        lines = [line for line in self.err.split("\n") if line.startswith("fettle-cli: ")]
        return lines[-1] if lines else ""


class Bench:
    """A folder with the copied program and a workspace to start every trial from."""

    def __init__(self, arguments):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="fettle-faults-"))
        helpers = arguments.helpers or arguments.program.parent
        self.program = self.root / "fettle-cli"
        shutil.copy2(arguments.program, self.program)
        self.shim = self.root / "shim.so"
        shutil.copy2(helpers / "libfault_shim.so", self.shim)
        self.probe_program = self.root / "workspace_probe"
        shutil.copy2(helpers / "workspace_probe", self.probe_program)
        self.template = self.root / "template"
        self._prepare()
        self.trials = 0
        self._probe = None

    def close(self):
        if self._probe is not None:
            self._probe.close()
        shutil.rmtree(self.root, ignore_errors=True)

    def _prepare(self):
        rows = self.root / "rows.jsonl"
        with open(SOURCE / "resources/samples/package-summaries.jsonl", encoding="utf-8") as sample, open(
            rows, "w", encoding="utf-8"
        ) as out:
            for _, line in zip(range(30), sample):
                row = json.loads(line)
                row.pop("split", None)
                out.write(json.dumps(row) + "\n")
        for call in (
            ["model", "import", str(SOURCE / "tests/fixtures/tiny_llama"), "--as", "tiny"],
            ["data", "import", str(rows), "--as", "rows", "--split", "60/20/20"],
        ):
            done = self.call(self.template, call)
            assert done.code == 0, done.err

    def fresh(self):
        """A new copy of the workspace."""
        self.trials += 1
        folder = self.root / f"trial-{self.trials}"
        shutil.copytree(self.template, folder)
        return folder

    def environment(self, workspace, faults=None):
        env = dict(os.environ, FETTLE_WORKSPACE=str(workspace), HOME=str(self.root), OMP_THREAD_LIMIT="1",
                   FETTLE_RESOURCES=str(SOURCE / "resources"), LC_ALL="C.UTF-8")
        if faults:
            env.update({"LD_PRELOAD": str(self.shim), "FAULTS_PREFIX": str(workspace)})
            env.update({f"FAULTS_{key.upper()}": str(value) for key, value in faults.items()})
            if "threads" in faults:
                env.pop("OMP_THREAD_LIMIT")
        return env

    def call(self, workspace, arguments, faults=None, timeout=120, kill_after=None, before=None):
        """Runs the program to its end, or kills it after some seconds."""
        begun = time.monotonic()
        process = subprocess.Popen([str(self.program)] + arguments, env=self.environment(workspace, faults),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.root, text=True,
                                   errors="replace", preexec_fn=before)
        timer = None
        if kill_after is not None:
            timer = threading.Timer(kill_after, process.send_signal, [signal.SIGKILL])
            timer.start()
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"hangs: {arguments}\n{out[-500:]}{err[-500:]}")
        finally:
            if timer:
                timer.cancel()
        return Ended(process.returncode, out, err, time.monotonic() - begun)

    def train_arguments(self, steps, check, save, more=None):
        settings = dict(SETTINGS, **{"training.maxSteps": str(steps), "checks.everySteps": str(check),
                                     "checkpoints.everySteps": str(save)}, **(more or {}))
        arguments = ["train", "--model", "tiny", "--data", "rows", "--name", "run", "--events"]
        for key, value in settings.items():
            arguments += ["--set", f"{key}={value}"]
        return arguments

    def run_folder(self, workspace):
        runs = sorted((workspace / "runs").iterdir()) if (workspace / "runs").exists() else []
        runs = [run for run in runs if (run / "run.json").exists()]
        return runs[-1] if runs else None

    def result(self, workspace):
        """What a finished run is: bytes of its last save point's weights, and its curves, bit for bit."""
        seen = self.probe().look(workspace)
        if not seen.get("runs"):
            return {"status": seen.get("error", "no run"), "step": None}
        run = seen["runs"][0]
        folder = workspace / "runs" / run["id"]
        last = newest_intact(folder)
        return {"status": run["status"], "step": last, "weights": weights_digest(folder, last),
                **{key: run[key] for key in ("loss", "learningRate", "gradNorm", "checks", "samples", "best")}}

    def probe(self):
        if self._probe is None:
            self._probe = Probe(self.probe_program)
        return self._probe


class Probe:
    """The store's own view of many workspaces, opened by one process without LibTorch."""

    def __init__(self, program):
        self.process = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def look(self, workspace):
        self.process.stdin.write(f"{workspace}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the program fell over this workspace: {workspace}")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def intact(folder):
    """Checks a save point against its manifest, independently of the program."""
    try:
        manifest = json.loads((folder / "MANIFEST.json").read_text())
        names = set()
        for file in manifest["files"]:
            data = (folder / file["name"]).read_bytes()
            names.add(file["name"])
            if len(data) != file["size"] or hashlib.sha256(data).hexdigest() != file["sha256"]:
                return False
        return {"state.json", "optimizer.safetensors", "adapter_model.safetensors"} <= names
    except (OSError, ValueError, KeyError, TypeError):
        return False


def newest_intact(run):
    steps = [int(folder.name[5:]) for folder in (run / "checkpoints").glob("step-*")
             if folder.name[5:].isdigit() and intact(folder)] if (run / "checkpoints").exists() else []
    return max(steps, default=None)


def weights_digest(run, step):
    if step is None:
        return None
    return hashlib.sha256((run / "checkpoints" / f"step-{step:07}" / "adapter_model.safetensors").read_bytes()).hexdigest()


def databases_sound(workspace):
    for file in workspace.rglob("*.db"):
        database = sqlite3.connect(file)
        verdict = database.execute("PRAGMA integrity_check").fetchone()[0]
        database.close()
        if verdict != "ok":
            return False
    return True


def difference(expected, found):
    """Names the first thing in which two results differ, or nothing."""
    for key, value in expected.items():
        other = found.get(key)
        if value == other:
            continue
        if not isinstance(value, list) or not isinstance(other, list):
            return f"{key}: {value} became {other}"
        for one, two in zip(value, other):
            if one != two:
                return f"{key}: {one} became {two}"
        return f"{key}: {len(value)} points became {len(other)}"
    return None

"""What transformers renders: the reference for chat templates.

Run: python tests/oracles/template_goldens.py FOLDER OUT
writes one golden file to OUT for each *.jinja file of FOLDER; `test_chat_template` compares them when
FETTLE_TEMPLATES names OUT.
"""

import datetime
import json
import pathlib
import sys

import jinja2
import transformers
from transformers.utils import chat_template_utils

from template_messages import CONVERSATIONS

NOW = datetime.datetime(2026, 3, 7, 15, 4, 5)
VERSIONS = {"transformers": transformers.__version__, "jinja2": jinja2.__version__, "python": sys.version.split()[0]}
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


class Clock:
    @staticmethod
    def now():
        return NOW


chat_template_utils.datetime = Clock


def render(source, messages, prompt, extra, mask=False):
    try:
        texts, spans = chat_template_utils.render_jinja_template(
            [messages], chat_template=source, add_generation_prompt=prompt, return_assistant_tokens_mask=mask, **TOKENS, **extra)
        return (texts[0], spans[0]) if mask else texts[0]
    except Exception as error:
        return {"raise": str(error)} if type(error) is jinja2.exceptions.TemplateError else {"error": f"{type(error).__name__}: {error}"}


def golden_of(source):
    """Renderings without and with the header of an answer, in the order of the conversations."""
    return {"source": source, "results": [[render(source, messages, prompt, extra) for prompt in (False, True)] for _, messages, extra in CONVERSATIONS]}


def header():
    return {"versions": VERSIONS, "now": NOW.isoformat(), "tokens": TOKENS,
            "conversations": [{"name": name, "messages": messages, "extra": extra} for name, messages, extra in CONVERSATIONS]}


def main(folder, out):
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(pathlib.Path(folder).glob("*.jinja")):
        golden = header() | {"templates": {path.stem: golden_of(path.read_text(encoding="utf-8"))}}
        (out / f"{path.stem}.json").write_text(json.dumps(golden, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

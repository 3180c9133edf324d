"""A Slack payload as a person sees it, in plain text:
`python tests/contract/notifiers/slack_reader.py < payload.json`."""

from __future__ import annotations

import json
import re
import sys


def read(payload):
    """The lock screen's line, then the blocks from top to bottom."""
    lines = [f"(phone) {_shown(payload['text']).splitlines()[0]}"]
    for block in payload.get("blocks", [{"type": "section", "text": {"text": payload["text"]}}]):
        lines += ["", *_BLOCKS[block["type"]](block)]
    return "\n".join(lines)


def _shown(text):
    text = re.sub(r"<!date\^(\d+)\^[^|>]*\|([^>]*)>", r"\2", text)
    text = re.sub(r"<(https?://[^|>]*)\|([^>]*)>", r"[\2: \1]", text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _header(block):
    return [f"# {_shown(block['text']['text'])}"]


def _section(block):
    texts = [one["text"] for one in block.get("fields", [block.get("text", {"text": ""})])]
    return [line for text in texts for line in _shown(text).splitlines()]


def _context(block):
    return [f"~ {_shown(one['text'])}" for one in block["elements"]]


_BLOCKS = {"header": _header, "section": _section, "context": _context}

if __name__ == "__main__":
    sys.stdout.write(read(json.load(sys.stdin)) + "\n")

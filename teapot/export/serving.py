"""The script that serves a model with llama.cpp's server."""

from __future__ import annotations

import shlex

PORT = 8384

_HEAD = """\
#!/usr/bin/env bash
# Serves the model at http://127.0.0.1:{port}/v1/chat/completions with llama.cpp's server. Further arguments are passed on to it.
set -euo pipefail
cd -- "$(dirname -- "${{BASH_SOURCE[0]}}")"
"""


def server_words(model: str, name: str, context: int) -> tuple[str, ...]:
    """The words of the ``llama-server`` line, run in the export's folder. ``context`` is in tokens: as long as the rows were in training."""
    return (
        *("llama-server", "--model", model, "--alias", name),
        *("--jinja", "--chat-template-file", "chat_template.jinja"),
        *("--ctx-size", str(context), "--host", "127.0.0.1", "--port", str(PORT)),
    )


def serve_script(model: str, name: str, context: int) -> bytes:
    line = " ".join(shlex.quote(word) for word in server_words(model, name, context))
    return (_HEAD.format(port=PORT) + f'exec {line} "$@"\n').encode()

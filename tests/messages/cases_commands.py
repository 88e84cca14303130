"""Wrong command lines, and commands that meet what is not there."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NoReturn

import pytest

from teapot import checking, cli, yamltext
from teapot.commands import modules as modules_command
from tests.faults.tiny import chat, greetings
from tests.helpers import Project
from tests.messages.bench import PROBE, Bench, no_room

COMPOSE = ("compose", "configs/tiny.config", "--workers", "1")


def tiny(bench: Bench) -> Project:
    bench.clear()
    return greetings(bench.project.root)


def lines(bench: Bench) -> None:
    tiny(bench)
    for arguments in [
        (),
        ("composs",),
        ("compose",),
        ("compose", "configs/tiny.config", "--loked"),
        ("compose", "configs/tiny.config", "--source"),
        ("compose", "configs/tiny.config", "more"),
        ("compose", "configs/tiny.config", "--workers", "0"),
        ("compose", "configs/tiny.config", "--workers", "many"),
        ("compose", "configs/tiny.config", "--memory", "much"),
        ("compose", "configs/tiny.config", "--memory", "1K"),
        ("compose", "configs/tiny.config", "--timeout", "0"),
        ("compose", "configs/tiny.config", "--timeout", "nan"),
        ("compose", "configs/tiny.config", "--engine", "spark"),
        ("compose", "configs/tiny.config", "--address", "auto"),
        ("compose", "configs/tiny.config", "--wait=soon"),
        ("peek", "a/greet", "--rows", "x"),
        ("render", "x.jsonl", "--template", "qwen", "--row", "0"),
        ("validate",),
        ("validate", "everything"),
        ("validate", "module"),
        ("validate", "module", "modules/none"),
        ("validate", "config", "configs/none.config"),
        ("validate", "compose", "none.jsonl"),
        ("lock",),
        ("lock", "--all", "--check", "--dry-run"),
        ("peek", "a/gret"),
        ("peek", "../x"),
        ("modules", "--project", "nowhere"),
        (*COMPOSE, "--source", "greet"),
        (*COMPOSE, "--source", "greet=a.jsonl", "--source", "greet=b.jsonl"),
        (*COMPOSE, "-o", "out.txt"),
        (*COMPOSE, "-o", "train-00001-of-00002.jsonl"),
        (*COMPOSE, "-o", "nowhere/out.jsonl"),
        (*COMPOSE, "-o", "modules/a/greet/greet.jsonl"),
        (*COMPOSE, "-o", "x\udcff.jsonl"),
        (*COMPOSE, "-o", "configs/tiny.config/x.jsonl"),
        (*COMPOSE, "--set", "training.seed=7", "-o", "configs/tiny.jsonl"),
        (*COMPOSE, "--tmp-dir", "nowhere"),
        (*COMPOSE, "-o", "x" * 300 + ".jsonl"),
    ]:
        bench.run(*arguments)


def folders(bench: Bench) -> None:
    bench.clear()
    bench.run("lock", "--all", code=2)
    bench.run("validate", "module", "--all", code=2)
    tiny(bench)
    bench.project.write("here/README.md", "")
    bench.run("init", "here", code=4)
    (bench.project.root / "out.jsonl").mkdir()
    bench.run(*COMPOSE, "-o", "out.jsonl", code=4)
    bench.project.write("train-tiny-00000-of-00002.jsonl", "x")
    bench.run(*COMPOSE, code=4)
    (bench.project.root / "loop.jsonl").symlink_to("loop.jsonl")
    bench.run(*COMPOSE, "-o", "loop.jsonl", code=4)
    bench.run(*COMPOSE, "-o", "/proc/out.jsonl", code=4)
    tiny(bench)
    bench.project.write("configs/tiny.config", "modules: {a/greet: true}\noutput: link/x.jsonl\n")
    (bench.project.root / "link").symlink_to("..")
    bench.run(*COMPOSE, code=2)
    tiny(bench)
    bench.project.write("configs/tiny.config", "modules: {a/greet: true}\noutput: {shards: 9}\n")
    bench.run(*COMPOSE, code=2)


def ends(bench: Bench) -> None:
    """Runs that are interrupted, that cannot speak, that have no room; and a bug."""
    project = tiny(bench)
    with (project.root / ".train-tiny.jsonl.teapot-lock").open("wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)):
            before = signal.signal(number, cli.Ending())
            timer = threading.Timer(0.3, os.kill, (os.getpid(), number))
            timer.start()
            bench.run(*COMPOSE, "--wait", "60", code=code)
            timer.join()
            signal.signal(number, before)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "disk_usage", no_room)
        bench.run(*COMPOSE, code=4)
    for error, code in ((OSError(errno.ENOSPC, "No space left on device"), 4), (RuntimeError("something unforeseen"), 70)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(modules_command, "list_modules", raising(error))
            bench.run("modules", code=code)
    with Path("/dev/full").open("w") as full, redirect_stdout(full):
        bench.run("modules", code=4, quiet=True)
    bench.project.write("modules/a/greet/\udcff.jsonl", "x")
    (project.root / "modules/a/greet/module.yaml").write_text(
        "name: a/greet\nlicense: MIT\ndata: {sources: [{id: greet, path: '*.jsonl'}], format: messages}\n"
    )
    bench.run(*COMPOSE, code=2)


def raising(error: Exception) -> Callable[[object], NoReturn]:
    def stopped(_project: object) -> NoReturn:
        raise error

    return stopped


def held(bench: Bench) -> None:
    project = tiny(bench)
    with (project.root / ".train-tiny.jsonl.teapot-lock").open("wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        bench.run(*COMPOSE, code=5)


def sources(bench: Bench) -> None:
    project = tiny(bench)
    project.config("one", "modules: {a/greet: true}\n")
    bench.run("compose", "configs/one.config", "--source", "count=x.jsonl", code=2)
    project.module("c/twice", PROBE.replace("probe", "greet") + "  format: messages\n")
    project.config("two", "modules: {a/greet: true, c/twice: true}\n")
    bench.run("compose", "configs/two.config", code=2)
    project.module("c/dots", PROBE.replace("probe", "a.b") + "  format: messages\n")
    project.module("c/dashes", PROBE.replace("probe", "a-b") + "  format: messages\n")
    project.config("three", "modules: {c/dots: true, c/dashes: true}\n")
    bench.run("compose", "configs/three.config", code=2, environ={"TEAPOT_SOURCE_A_B": "x"})
    project.module("c/eval", "data: {sources: [{id: e, path: e.jsonl}, {id: v, path: v.jsonl, use: eval}], format: messages}\n")
    project.config("four", "modules: {c/eval: {sources: {v: {weight: 0.5}}}}\n")
    bench.run("compose", "configs/four.config", code=2)
    project.module("c/own", PROBE + "  prepare: {script: p.py}\n  format: messages\n", {"p.py": ""})
    project.config("five", "modules: {c/own: {sources: {probe: {weight: 0.5}}}}\n")
    bench.run("compose", "configs/five.config", code=2)
    project.jsonl("modules/a/greet/greet.jsonl", [chat("a", "b", license="MIT", id="0123456789abcdef#1"), chat("b", "c", license="MIT")])
    project.config("six", "modules: {a/greet: 2}\n")
    project.module("c/copies", "id: digest\n" + PROBE.replace("probe", "copies") + "  format: messages\n")
    rows = [chat("a", "b", id="x"), chat("a", "b", id="x#1")]
    project.jsonl("modules/c/copies/rows.jsonl", rows)
    project.module("c/copies", PROBE.replace("probe", "copies") + "  format: messages\n")
    project.config("seven", "modules: {c/copies: 2}\n")
    bench.run("compose", "configs/seven.config", "--workers", "1")


def merged(bench: Bench) -> None:
    project = tiny(bench)

    def config(text: str | bytes, **others: str | bytes) -> None:
        project.write("configs/mix.config", text)
        for name, other in others.items():
            project.write(f"configs/{name}.config", other)
        bench.run("validate", "config", "configs/mix.config", code=2)

    config("extends: [mix.config]\nmodules: {a/greet: true}\n")
    config("extends: [one.config]\n", one="extends: [mix.config]\n")
    config("extends: [none.config]\n")
    config("extends: [one.config]\n", one=b"a: \xff\n")
    config("extends: [../../x.config]\n")
    config("extends: {a: b}\n")
    config("extends: [/etc/passwd, ../../x.config, 'a\\b']\n")
    many = {f"c{number}": f"extends: [c{number + 1}.config]\n" for number in range(120)}
    config("extends: [c0.config]\n", **many)
    config("modules: {a/greet: {weight: {share: 0.5, repeat: true}}}\n")
    config("modules: {a/greet: {weight: {repeat: true}}}\n")
    config("modules: {a/greet: {repeat: true}}\n")
    config(b"modules: {a/greet: true}\n# \xff\n")
    config(b"modules: {a/greet: \xc3\x28}\n")
    config("#" * 17_000_000)
    config("".join(f"a{number}: &x 1\n" for number in range(yamltext.MAX_PROBLEMS + 1)))
    config("".join(f"a{number}: 1\n" for number in range(checking.MAX_PROBLEMS + 1)))
    project.config("mix", "modules:\n" + "".join(f"  none/m{number}: true\n" for number in range(checking.MAX_PROBLEMS + 1)))
    bench.run("plan", "configs/mix.config", code=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yamltext, "MAX_NODES", 100)
        config("modules: [" + "a, " * 200 + "]\n")
    config("modules: {a/greet: true}\ntraining: {chat_template: ../x.jinja}\n")
    (project.root / "out.jinja").symlink_to("/etc/hostname")
    config("modules: {a/greet: true}\ntraining: {chat_template: out.jinja}\n")
    config("modules: {a/greet: {share: 0.6}, b/count: {share: 0.6}}\n")
    (project.root / "configs/folder.config").mkdir()
    bench.run("validate", "config", "configs/folder.config", code=2)
    (project.root / "configs/memory.config").symlink_to("/proc/self/mem")
    bench.run("validate", "config", "configs/memory.config", code=2)


def templates(bench: Bench) -> None:
    from tests.templates import test_environment as environment
    from tests.templates import test_spans as spans
    from tests.templates.tools import row_of, say, turns

    def cases(test: Any) -> list[tuple[Any, Any]]:
        return [case for mark in test.pytestmark if mark.name == "parametrize" for case in mark.args[1]]

    def render(row: Any, source: str | bytes | None = None, name: str = "chatml", *more: str) -> None:
        bench.clear()
        line = row if isinstance(row, bytes) else json.dumps(row).encode()
        bench.project.write("rows.jsonl", line + b"\n")
        if source is not None:
            bench.project.write("mine.jinja", source)
        bench.run("render", "rows.jsonl", "--template", name if source is None else "mine.jinja", *more)

    for source, why in cases(spans.test_what_cannot_be_shown_is_an_error):
        if why is not None:
            answer = "You are right." if "length" in source else "Yo"
            render(row_of([say("system", "S"), say("user", "Hi"), say("assistant", answer)]), source)
    for source, said in cases(spans.test_thoughts_in_any_template):
        if isinstance(said, str):
            render(row_of([say("user", "q"), say("assistant", "a", reasoning_content="r")]), source)
    for source, why in cases(spans.test_calls_in_any_template):
        if why is not None:
            render(row_of("a call"), source)
    for row, _why in cases(spans.test_rows_that_are_not_in_form):
        render(row)
    for source, _why in cases(environment.test_what_a_template_may_not_do):
        render(row_of("two turns"), source)
    for source, _why in cases(environment.test_what_is_no_template):
        render(row_of("two turns"), source)
    for messages, _why in cases(spans.test_a_text_that_marks_turns_is_refused):
        render(row_of(messages), None, "qwen")
    render(row_of([say("user", "q"), say("assistant", " ")]))
    render(row_of([say("user", "q"), say("assistant", "a", reasoning_content="<|inner_suffix|>")]), None, "apertus-think")
    render(row_of("two turns"), "{{ eos_token }}" + turns("<|{{ m.role }}|>{{ m.content }}<|end|>"))
    render(row_of("two turns"), None, "qwem")
    render(row_of("two turns"), None, "none.jinja")
    render(row_of("two turns"), None, "chatml", "--row", "2")
    render(b"{")
    render(b"[1]")
    render(b"x" * (64 * 1024 * 1024 + 1))
    reverse = "in (messages | reverse if messages[0].role == 'system' else messages)"
    render(row_of("more turns"), turns("<|{{ m.role }}|>{{ m.content }}<|end|>").replace("in messages", reverse))
    for source, said in cases(spans.test_where_a_template_puts_the_end):
        if said is None:
            render(row_of("two turns"), source)
    bench.run("render", "nowhere.jsonl", "--template", "chatml")


def hardware(bench: Bench) -> None:
    """What does not say how large a model is."""
    bench.clear()
    bench.run("hardware", "--model", "large")
    for base in ("", "base: {model: org/large}\n"):
        bench.project.config("mix", f"{base}modules: {{local/one: true}}\n")
        bench.run("hardware", "--config", "configs/mix.config")


ALL = [lines, folders, ends, held, sources, merged, templates, hardware]

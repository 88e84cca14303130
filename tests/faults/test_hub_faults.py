"""G12: a hub that fails, lies or stalls at each of the four requests for a file, once, three times and for ever.

Through the command line and the real ``huggingface_hub``. After each fault: the exit code, no output of other bytes; then, with a healthy hub, the
right bytes, and the same without any hub. What is said is in ``snapshots/hub-faults``; TEAPOT_UPDATE_SNAPSHOTS=1 with TEAPOT_FAULTS=all rewrites it.
"""

from __future__ import annotations

import pytest

from teapot.errors import Exit
from tests.faults.report import Tally, proves
from tests.hub.texts import ALL, same_as_before, told
from tests.hub.world import CONFIG, Ran, World

PROVES = "G12"

PHASES = {
    "listing": ("/api/datasets/*", "GET"),
    "head": ("*/resolve/*", "HEAD"),
    "body": ("*/resolve/*", "GET"),
    "cdn": ("/cdn/*", "GET"),
}
"""The requests for a file: which files there are, where this one is, its bytes from the hub, its bytes from the CDN."""

STATUSES = [408, 425, 429, 500, 502, 503, 504] if ALL else [429, 500, 503]
QUICK = ["close", "reset", "reset-head", "reset-body", "truncated", "short", "wrong", "garbage", "replace", "endless-head"]
SILENT = ["hang", "stall", "drip-head", "drip", "drip-plain", "continue"]
LARGE = ["endless", "endless-plain", "gigantic"]

FINE = {"truncated", "reset-body", "stall", "drip", "drip-plain", "endless", "endless-plain", "wrong"}
"""What does not matter to a HEAD request: it has no body."""


def code_for_ever(kind: int | str, phase: str) -> int:
    """The exit code with a fault that stays: invalid where the bytes (or what is said of them) are other ones, unavailable where there are none."""
    if phase == "head" and kind in FINE:
        return Exit.OK
    if phase in ("body", "cdn") and kind in ("wrong", *LARGE):
        return Exit.INVALID
    if phase == "head" and kind in ("short", "replace", "gigantic"):
        return Exit.INVALID
    return Exit.UNAVAILABLE


def code_for(kind: int | str, phase: str, times: int) -> int:
    """What happens a few times is tried again; but wrong bytes only once, and so much that is no list of files not at all."""
    if phase == "listing" and kind in LARGE:
        return Exit.UNAVAILABLE
    return Exit.INVALID if (kind, times) == ("wrong", 3) and phase in ("body", "cdn") else Exit.OK


def compose(world: World, kind: int | str, phase: str, times: int | None) -> Ran:
    world.forget()
    pattern, method = PHASES[phase]
    world.hub.fault(pattern, kind, times, method=method, seconds=0.02)
    return world.compose(timeout=0.25)


def go_through(world: World, right: str, tally: Tally, kind: int | str, name: str) -> None:
    """A kind of fault at every request, for ever, once and three times; where not all is asked for, at two requests, and once at a third."""
    said: dict[str, str] = {}
    for number, phase in enumerate(PHASES):
        turn = (number + len(str(kind))) % 4
        for times in (1, 3) if ALL else (1,) if turn == 1 else ():
            tally.case(told(world.wrong(compose(world, kind, phase, times), code_for(kind, phase, times), right), phase, times))
        if ALL or turn in (0, 2):
            ran = compose(world, kind, phase, None)
            said[f"for ever, {phase}"] = ran.said.replace(f"status {kind}", "status STATUS")
            tally.case(told(world.wrong(ran, code_for_ever(kind, phase), right), phase, "for ever"))
    tally.check()
    same_as_before(name, said)


@proves("G12", "statuses that may pass: 408, 425, 429, 5xx")
@pytest.mark.parametrize("status", STATUSES)
def test_statuses(world: World, right: str, tally: Tally, status: int) -> None:
    go_through(world, right, tally, status, "status")


@proves("G12", "connections that break, bodies that are cut short, other or not the hub's")
@pytest.mark.parametrize("kind", QUICK)
def test_broken_and_wrong(world: World, right: str, tally: Tally, kind: str) -> None:
    go_through(world, right, tally, kind, kind)


@proves("G12", "silence and drips, which --timeout bounds")
@pytest.mark.parametrize("kind", SILENT)
def test_silence(world: World, right: str, tally: Tally, kind: str) -> None:
    go_through(world, right, tally, kind, kind)


@proves("G12", "bodies without an end")
@pytest.mark.parametrize("kind", LARGE)
def test_too_much(world: World, right: str, tally: Tally, kind: str) -> None:
    go_through(world, right, tally, kind, kind)


# ---------------------------------------------------------------- how long it waits

WAITS = {
    "seconds": {"Retry-After": "86400"},
    "date": {"Retry-After": "Thu, 22 Oct 2015 07:28:00 GMT", "Date": "Wed, 21 Oct 2015 07:28:00 GMT"},
    "window": {"RateLimit": '"api";r=0;t=3600'},
    "decades": {"Retry-After": "999999999"},
}
NO_WAITS = ["-1", "soon", "1e9", "9" * 400, "0", "\u0663", "Thu, 99 Oct 2015 07:28:00 GMT"]


@proves("G12", "a Retry-After that is longer than anyone waits")
def test_a_retry_after_is_not_obeyed_without_bound(world: World, right: str, tally: Tally) -> None:
    """The client of the Hub would sleep as long as it is told to."""
    said: dict[str, set[str]] = {}
    for name, headers in WAITS.items():
        for phase, (pattern, method) in PHASES.items():
            for status in (429, 503) if ALL else (429,):
                world.forget()
                world.hub.fault(pattern, status, 1, method=method, headers=headers)
                ran = world.compose()
                tally.case(told(world.wrong(ran, Exit.UNAVAILABLE, right), phase, name, status))
                said.setdefault(name, set()).add(ran.said.replace(f"status {status}", "status STATUS"))
    tally.check()
    assert {len(one) for one in said.values()} == {1}
    same_as_before("retry-after", {name: one.pop() for name, one in said.items()})


@proves("G12", "a Retry-After that says nothing")
def test_a_retry_after_that_is_no_time_is_as_none(world: World, right: str, tally: Tally) -> None:
    for number, (phase, (pattern, method)) in enumerate(PHASES.items()):
        for value in NO_WAITS if ALL else NO_WAITS[number::4]:
            world.forget()
            world.hub.fault(pattern, 429, 2, method=method, headers={"Retry-After": value.encode().decode("latin-1")})
            tally.case(told(world.wrong(world.compose(), Exit.OK, right), phase, value))
    tally.check()


def test_a_short_retry_after_is_obeyed(world: World, right: str) -> None:
    world.hub.fault("/cdn/*", 429, 1, method="GET", headers={"Retry-After": "1"})
    assert world.wrong(world.compose(), Exit.OK, right) is None


# ---------------------------------------------------------------- an earlier output, and the other commands


def test_an_earlier_output_and_its_lock_stay(world: World, right: str, tally: Tally) -> None:
    """Whatever happens when the pins are to be moved on."""
    assert world.compose().code == Exit.OK
    lock = (world.project.root / "configs/mix.lock").read_bytes()
    for kind, code in (
        (503, 3),
        ("reset", 3),
        ("truncated", 3),
        ("wrong", 3),
        ("garbage", 3),
        ("endless", 3),
        (404, 3),
        (401, 3),
        (403, 3),
    ):
        for arguments in (("lock", CONFIG, "--upgrade"), ("lock", CONFIG, "--check")):
            world.hub.faults.clear()
            world.hub.fault("/api/*", kind, None)
            ran = world.run(*arguments)
            same = world.digest() == right and (world.project.root / "configs/mix.lock").read_bytes() == lock
            tally.case(None if (ran.code, same) == (code, True) else f"{kind} {arguments}: {ran}")
    tally.check()
    assert world.compose("--locked").code == Exit.OK


def test_every_command_that_may_ask_the_hub_has_the_option(world: World, right: str) -> None:
    assert world.compose().code == Exit.OK
    commands = [
        ("compose", CONFIG),
        ("compose", CONFIG, "--dry-run"),
        ("plan", CONFIG),
        ("lock", CONFIG, "--upgrade"),
        ("lock", CONFIG, "--check"),
        ("peek", "test/set"),
        ("validate", "module", "--all", "--data"),
        ("validate", "compose", "train-mix.jsonl", "--rebuild"),
    ]
    for command in commands:
        world.forget()
        assert world.compose().code == Exit.OK
        if "--upgrade" not in command and "--check" not in command:
            for path in world.cache.rglob("*.jsonl"):
                path.unlink()
        world.hub.fault("*", "hang", None)
        ran = world.run(*command, timeout=0.05)
        assert (ran.code, "did not answer within 0.05 seconds" in ran.said) == (Exit.UNAVAILABLE, True), (command, ran)


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "1e3", "86401", "", "0.001", "1.2.3", "\u0663"])
def test_only_a_time_is_a_timeout(world: World, value: str) -> None:
    ran = world.run("plan", CONFIG, f"--timeout={value}", timeout=None)
    assert ran.code == Exit.USAGE
    assert f"'{value}' is not a number of seconds from 0.01 to 86400" in ran.said


def test_a_server_that_is_slow_but_goes_on_is_waited_for(world: World, right: str) -> None:
    """Longer than the timeout in all, but never as long without getting on."""
    world.hub.fault("*/small.jsonl", "drip", 1, method="GET", seconds=0.0003)
    ran = world.compose(timeout=0.5)
    assert [request.path.rpartition("/")[2] for request in world.hub.requests if request.method == "GET"].count("small.jsonl") == 1
    assert world.wrong(ran, Exit.OK, right) is None


def test_python_has_it_too(world: World, right: str) -> None:
    import teapot

    world.hub.fault("/api/*", "hang", None)
    with pytest.raises(teapot.TeapotError, match="did not answer within 0.05 seconds"):
        teapot.compose(CONFIG, timeout=0.05)
    world.hub.faults.clear()
    teapot.compose(CONFIG)
    assert world.digest() == right
    for path in world.cache.rglob("*.jsonl"):
        path.unlink()
    world.hub.fault("*", "hang", None)
    report = teapot.validate("train-mix.jsonl", rebuild=True, timeout=0.05)
    assert "did not answer within 0.05 seconds" in report.problems[0].message

"""Mutants of exit codes, interrupts and templates: G11, G16."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

CLI, ERRORS, POOL = "teapot/cli.py", "teapot/errors.py", "teapot/engine/pool.py"
SPANS, CHAT, ROWCHECK = "teapot/templates/spans.py", "teapot/templates/chat.py", "teapot/rowcheck.py"
CLI_TESTS, SPAN_TESTS = "tests/test_cli.py", "tests/templates/test_spans.py"
ANYWHERE = "tests/faults/test_interrupts_anywhere.py::test_before_any_instruction"

MUTANTS = (
    Mutant(
        "signals-ignored", "G16", "SIGINT, SIGTERM and SIGHUP do not end a run",
        CLI, "                signal.signal(number, self)", "                signal.signal(number, signal.SIG_IGN)",
        (f"{CLI_TESTS}::test_a_signal_leaves_nothing_behind",),
    ),
    Mutant(
        "sigterm-not-handled", "G16", "SIGTERM ends a run at once, which then clears nothing away",
        "teapot/interrupts.py", "INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)", "INTERRUPTS = (signal.SIGINT, signal.SIGHUP)",
        (f"{CLI_TESTS}::test_a_signal_leaves_nothing_behind",),
    ),
    Mutant(
        "cleaning-cut-short", "G16", "a second signal cuts short what the first one began to clear away",
        CLI, "        if not self._begun and not must_wait(number):", "        if not must_wait(number):",
        (f"{CLI_TESTS}::test_the_first_signal_ends_the_run",),
    ),
    Mutant(
        "nothing-waits", "G16", "an interrupt between making a temporary file and being ready to remove it leaves the file",
        "teapot/interrupts.py", "    if _Held.depth == 0:", "    if True:",
        (f"{ANYWHERE}[staged-2]",),
    ),
    Mutant(
        "left-things-stay", "G16", "what an interrupt kept from being removed is not removed at the end",
        "teapot/interrupts.py", "        _left.append(clear)\n", "",
        (f"{ANYWHERE}[scratch-2]",),
    ),
    Mutant(
        "put-in-place-by-halves", "G16", "an interrupt between two renames leaves the old export under another name",
        "teapot/verbs/exporting_place.py", "        with undisturbed():\n", "        if True:\n",
        (f"{ANYWHERE}[exported-2]",),
    ),
    Mutant(
        "code-of-sighup", "G16", "a run that was hung up ends with the code of SIGTERM",
        CLI, "Exit.TERMINATED if number == signal.SIGTERM else Exit.HUNG_UP", "Exit.TERMINATED",
        ("tests/faults/test_writer.py::test_an_interrupt",),
    ),
    Mutant(
        "code-of-busy", "G16", "that another run holds the output has the code of a failed check",
        ERRORS, "    BUSY = 5 ", "    BUSY = 1 ",
        (f"{CLI_TESTS}::test_the_numbers_of_the_exit_codes",),
    ),
    Mutant(
        "every-error-is-invalid", "G16", "every error ends with 1",
        CLI, "        ui.errors(error.problems, error.exit)\n        return error.exit", "        ui.errors(error.problems, 1)\n        return 1",
        ("tests/test_cli_json.py::test_errors",),
    ),
    Mutant(
        "failure-ends-well", "G16", "a validation that found something ends with 0",
        "teapot/commands/validate.py",
        '        ui.line(f"{report.file}: INVALID", "bold red")\n        return code',
        '        ui.line(f"{report.file}: INVALID", "bold red")\n        return Exit.OK',
        ("tests/faults/test_flip.py::test_a_sample_through_the_command_line",),
    ),
    Mutant(
        "code-of-a-bug", "G16", "a bug in Teapot has the code of a failed check",
        ERRORS, "    BUG = 70", "    BUG = 1",
        (f"{CLI_TESTS}::test_the_numbers_of_the_exit_codes",),
    ),
    Mutant(
        "workers-outlive-a-killed-run", "G16", "worker processes do not notice that the run that started them is gone",
        POOL, "        os._exit(0)  # the other side has ended", "        signal.pause()",
        ("tests/engine/test_faults.py::test_idle_workers_end_with_a_killed_run",),
    ),
    Mutant(
        "error-of-a-worker-swallowed", "G16", "an error in a worker is passed over",
        POOL, "        if failed is not None:\n            raise failed[1]", "        return",
        ("tests/engine/test_faults.py::test_the_earliest_error",),
    ),
    Mutant(
        "output-refused-ends-well", "G16", "that the standard output takes no more is not told",
        CLI, "        _let_go()\n        if isinstance", "        _let_go()\n        return Exit.OK\n        if isinstance",
        (f"{CLI_TESTS}::test_a_full_disk_behind_stdout",),
    ),
    Mutant(
        "span-one-off", "G11", "a span begins one character late",
        SPANS, "    kept = tuple(span for turn, span in", "    kept = tuple((span[0] + 1, span[1]) for turn, span in",
        (f"{SPAN_TESTS}::test_the_smallest_template",),
    ),
    Mutant(
        "span-one-off-seen", "G11", "a span ends one character early, which the proof of each span sees",
        SPANS, "                return end + len(tail)\n", "                return end + len(tail) - 1\n",
        (f"{SPAN_TESTS}::test_the_smallest_template",),
    ),
    Mutant(
        "spans-not-proved", "G11", "that a span holds the assistant's words, and no more, is not proved",
        SPANS, "            self._prove(turn, spans[-1])\n", "",
        (f"{SPAN_TESTS}::test_what_cannot_be_shown_is_an_error", f"{SPAN_TESTS}::test_calls_in_any_template"),
    ),
    Mutant(
        "untrained-turns-trained", "G11", "turns that are marked as not trained on are trained on",
        SPANS, " if chat.trained[turn.number])", ")",
        (f"{SPAN_TESTS}::test_both_sides_of_a_preference_and_only_their_answers",),
    ),
    Mutant(
        "lost-messages-pass", "G11", "a template may leave out what others say",
        SPANS, "    _demand_all(template, chat, plain)\n", "",
        (f"{SPAN_TESTS}::test_what_cannot_be_shown_is_an_error",),
    ),
    Mutant(
        "tokens-pass", "G11", "text that holds a template's tokens is rendered, and can forge a turn",
        CHAT, '        if found is not None:\n            raise DataError(f"{place} holds', '        if False:\n            raise DataError(f"{place} holds',
        (f"{SPAN_TESTS}::test_a_text_that_marks_turns_is_refused",),
    ),
    Mutant(
        "tokens-in-rows-pass", "G11", "rows that hold control tokens are written",
        ROWCHECK, "    found = _search(text) if likely else None", "    found = None",
        ("tests/test_rowcheck.py::test_each_token_is_found",),
    ),
    Mutant(
        "end-token-left-out", "G11", "the last answer does not end with the end token where a template leaves it out",
        SPANS, "            self.text = self.text[:end] + self.body.ends[1] + self.text[end:]\n            return end + len(self.body.ends[1])", "            return end",
        (f"{SPAN_TESTS}::test_where_a_template_puts_the_end",),
    ),
    Mutant(
        "null-becomes-text", "G11", "a null becomes the text 'None' in a declared template",
        "teapot/mapping/templates.py", "        if value is MISSING or value is None:\n",
        '        if value is None:\n            return "None"\n        if value is MISSING:\n',
        ("tests/mapping/test_mapping_templates.py::test_records_that_are_refused",),
    ),
)  # fmt: skip

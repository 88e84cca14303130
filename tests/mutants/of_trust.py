"""Mutants of what keeps apart what is trusted and what is not: G13, G14, G15."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

CONSENT, PREPARE, BOX = "teapot/sources/consent.py", "teapot/sources/prepare.py", "teapot/sources/box.py"
ERRORS, UI = "teapot/errors.py", "teapot/ui.py"
SCRIPTS, SECRETS, PATHS = "tests/sources/test_prepare.py", "tests/faults/test_trust_secrets.py", "tests/faults/test_trust_paths.py"

MUTANTS = (
    Mutant(
        "link-out-of-a-module", "G13", "a file of a module may be a link to anywhere",
        "teapot/project.py",
        "    path = folder / name\n    if not followed(path).is_relative_to(followed(folder)):",
        "    path = folder / name\n    if not path.is_relative_to(folder):",
        ("tests/test_project.py::test_what_lies_inside",),
    ),
    Mutant(
        "source-out-of-a-module", "G13", "a source of a module may be a link to anywhere",
        "teapot/sources/local.py", "        if confined and not followed(path).is_relative_to(followed(folder)):", "        if False:",
        ("tests/test_g5_absent.py::test_absent[source-link-outside]",),
    ),
    Mutant(
        "paths-that-climb", "G13", "a path in a config may lead out with '..'",
        "teapot/checking.py", '        elif ".." in value.split("/"):', "        elif False:",
        ("tests/test_config.py",),
    ),
    Mutant(
        "output-leaves-the-folder", "G13", "a config's output may leave the current folder through a link",
        "teapot/verbs/places.py", "    if not followed(path).is_relative_to(Path.cwd().resolve()):", "    if False:",
        ("tests/faults/test_places.py::test_a_configs_output_stays",),
    ),
    Mutant(
        "config-out-of-the-project", "G13", "'validate --rebuild' composes a config that a manifest names, wherever it lies",
        "teapot/verbs/rebuild.py", "not followed(config).is_relative_to(followed(root)):", "False:",
        (f"{PATHS}::test_paths_of_a_set",),
    ),
    Mutant(
        "extends-out-of-the-project", "G13", "a config may extend a file outside of its project",
        "teapot/engine/planning.py", "        if one != Path(normpath(config)) and not followed(one).is_relative_to(root):", "        if False:",
        (f"{PATHS}::test_linked_configs",),
    ),
    Mutant(
        "launcher-unquoted", "G15", "what a config says is put into the launcher as it stands, and a shell may read it as more",
        "teapot/training/launcher.py", "    return shlex.quote(word)", "    return word",
        ("tests/test_train.py::test_values_are_literal",),
    ),
    Mutant(
        "script-without-permission", "G15", "a module's script runs although nobody allowed it",
        CONSENT, "    if digest in known:\n        return\n", "    return\n",
        (f"{SCRIPTS}::test_nothing_runs_without_consent",),
    ),
    Mutant(
        "permission-for-any-digest", "G15", "a script that was allowed once may be changed",
        CONSENT, "    if digest in known:\n        return\n", "    if known:\n        return\n",
        (f"{SCRIPTS}::test_consent_is_remembered_for_this_script_only",),
    ),
    Mutant(
        "permission-for-any-module", "G15", "to allow one module is to allow all",
        CONSENT, "    if module in allow:\n", "    if allow:\n",
        (f"{SCRIPTS}::test_consent_for_another_module_does_not_count",),
    ),
    Mutant(
        "damaged-permissions-pass", "G15", "a list of permissions that cannot be read is overwritten without a word",
        CONSENT, "        raise ConfigError(error.problems) from None", "        return {}",
        (f"{SCRIPTS}::test_a_damaged_memory_allows_nothing",),
    ),
    Mutant(
        "script-changed-meanwhile", "G15", "another script runs than the one whose digest was looked at",
        PREPARE, "    if sha256_hex(script) != module.prepare.sha256:", "    if False:",
        (f"{SCRIPTS}::test_a_script_that_changed_since_the_module_was_read",),
    ),
    Mutant(
        "environment-for-the-script", "G14", "a script gets the whole environment, with its tokens",
        PREPARE, '    environ = {\n        "LANG"', '    environ = {\n        **os.environ,\n        "LANG"',
        (f"{SCRIPTS}::test_what_a_script_sees", f"{SECRETS}::test_a_script_gets_no_token"),
    ),
    Mutant(
        "home-for-the-script", "G15", "a script gets the user's home folder",
        PREPARE, '        "HOME": str(folder / "home"),', '        "HOME": os.environ["HOME"],',
        (f"{SCRIPTS}::test_what_a_script_sees",),
    ),
    Mutant(
        "script-not-reproducible", "G15", "a script may write something else than the lock holds",
        PREPARE, "    if (before.size, before.sha256) != (now.size, now.sha256):", "    if False:",
        (f"{SCRIPTS}::test_a_script_that_is_not_reproducible",),
    ),
    Mutant(
        "script-changes-inputs", "G13", "that a script changed its inputs is not noticed",
        PREPARE, "                file.check_unchanged()", "                pass",
        (f"{SCRIPTS}::test_an_input_that_was_changed",),
    ),
    Mutant(
        "output-of-a-script-kept-open", "G15", "a script's output is renamed into the cache, where what it left open can write on",
        PREPARE,
        "        shutil.copyfileobj(source, target, 2**20)\n",
        '        (folder / "result").unlink()\n        os.link(folder / "work" / "output.jsonl", folder / "result")\n',
        (f"{SCRIPTS}::test_a_hard_link_is_not_taken_into_the_cache",),
    ),
    Mutant(
        "child-left-behind", "G16", "what a script started outlives it",
        BOX, "        os.killpg(process.pid, signal.SIGKILL)", "        process.kill()",
        (f"{SCRIPTS}::test_the_group_is_killed_with_and_without_namespaces",),
    ),
    Mutant(
        "memory-unlimited", "G15", "a script may use all of the memory",
        BOX, "        wanted.append((resource.RLIMIT_AS, memory, memory))", "        pass",
        (f"{SCRIPTS}::test_too_much_memory",),
    ),
    Mutant(
        "files-unlimited", "G15", "a script may fill the disk",
        BOX, "        (resource.RLIMIT_FSIZE, file_size, file_size),", "",
        (f"{SCRIPTS}::test_too_large_a_file",),
    ),
    Mutant(
        "secrets-told", "G14", "what stands in an address before '@' or behind '?' is told in errors",
        ERRORS, "    return _ADDRESS.sub(", "    return text or _ADDRESS.sub(",
        (f"{SECRETS}::test_in_a_module", f"{SECRETS}::test_where_the_user_says_it"),
    ),
    Mutant(
        "secrets-in-the-lock", "G14", "the query of a URL stands in the lock",
        "teapot/settings.py", 'f"{address}?…" if mark else address', "origin.url",
        (f"{SECRETS}::test_in_a_module",),
    ),
    Mutant(
        "endpoint-told", "G14", "the password in HF_ENDPOINT is told in errors",
        "teapot/sources/hub.py", "redact_url(self._endpoint)", "self._endpoint",
        ("tests/sources/test_hub.py::test_an_endpoint_with_a_password_is_not_shown",),
    ),
    Mutant(
        "controls-to-the-terminal", "G16", "control characters from a file reach the terminal",
        UI, "    if text.isprintable():\n        return text\n", "    return text\n",
        ("tests/test_ui.py::test_clean_escapes_what_a_terminal_acts_on_and_nothing_else",),
    ),
    Mutant(
        "marks-of-direction-to-the-terminal", "G16", "text from a file may turn the direction of what stands beside it",
        UI, 'frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})', 'frozenset({"Cc", "Cs", "Zl", "Zp"})',
        ("tests/test_ui.py::test_clean_escapes_what_a_terminal_acts_on_and_nothing_else",),
    ),
    Mutant(
        "controls-of-a-script", "G16", "what a script prints reaches the terminal as it is",
        PREPARE, '    return ["".join(char if char.isprintable() else', '    return ["".join(char if True else',
        (f"{SCRIPTS}::test_printable",),
    ),
)  # fmt: skip

"""Mutants of the writer and of what puts a set in place: G3, G4, G13."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

WRITER, COMPOSE = "teapot/writer.py", "teapot/verbs/compose.py"
POWER = "tests/faults/test_power.py"
UNIT = "tests/faults/test_writer.py"

MUTANTS = (
    Mutant(
        "no-fsync-of-large-files", "G3", "the output and the ledger are renamed without being put onto the disk",
        WRITER,
        'temporary.open("rb") as stream:\n                os.fsync(stream.fileno())',
        'temporary.open("rb"):\n                pass',
        (f"{POWER}::test_power_fails",),
    ),
    Mutant(
        "no-fsync-of-small-files", "G3", "the lock and the manifest are renamed without being put onto the disk",
        WRITER, "            stream.flush()\n            os.fsync(stream.fileno())", "            stream.flush()",
        (f"{POWER}::test_power_fails_after_a_lock",),
    ),
    Mutant(
        "no-fsync-of-the-folder", "G3", "the renames are not put onto the disk",
        WRITER, "                    sync_folder(folder)\n", "                    pass\n",
        (f"{POWER}::test_power_fails_after_a_lock",),
    ),
    Mutant(
        "renamed-before-the-flush", "G3", "everything is put in place first, and onto the disk afterwards",
        COMPOSE,
        "            staging.flush()\n            return self._finish(staging, outcome, patience)",
        "            try:\n                return self._finish(staging, outcome, patience)\n            finally:\n                staging.flush()",
        (f"{POWER}::test_power_fails",),
    ),
    Mutant(
        "manifest-first", "G3", "the files are put in place from the last to the first: the manifest before what it speaks of",
        WRITER,
        "                temporary, place = self._staged[0]\n                with writing(place):\n                    temporary.replace(place)\n"
        "                del self._staged[0]",
        "                temporary, place = self._staged[-1]\n                with writing(place):\n                    temporary.replace(place)\n"
        "                del self._staged[-1]",
        (f"{UNIT}::test_a_crash_at_each_rename",),
    ),
    Mutant(
        "written-in-place", "G3", "a file is written under its own name, so that a crash tears it",
        WRITER,
        '        return place.parent / f".{self.stem}.{place.name}{TEMPORARY}"',
        "        return place",
        (f"{UNIT}::test_staging_puts_all_in_place",),
    ),
    Mutant(
        "error-of-the-disk-swallowed", "G3", "what the system refuses while a file is written is passed over",
        WRITER,
        "        raise OutputError(f\"cannot write '{shown(path)}': {error.strerror or error}\", hint=hint) from error",
        "        return",
        ("tests/faults/test_calls.py::test_a_set_replaced[ENOSPC once]",),
    ),
    Mutant(
        "lost-lines-pass", "G3", "that temporary files vanished, and lines with them, is not noticed",
        COMPOSE,
        "    if (written.rows, written.ledger_rows) != (rows, entries):",
        "    if False:",
        ("tests/engine/test_faults.py::test_a_temporary_file_that_is_gone_is_no_empty_one", "tests/faults/test_calls.py::test_a_file_that_is_lost"),
    ),
    Mutant(
        "temporary-files-stay", "G3", "a run that fails leaves its temporary files",
        WRITER,
        "                temporary.unlink()\n\n    def temporary",
        "                pass\n\n    def temporary",
        (f"{UNIT}::test_staging_leaves_nothing_behind",),
    ),
    Mutant(
        "temporary-folder-stays", "G3", "a run leaves the folder of its candidates",
        WRITER,
        "        shutil.rmtree(folder, ignore_errors=True)",
        "        pass",
        ("tests/faults/test_writer.py::test_a_killed_run_lets_go",),
    ),
    Mutant(
        "left-by-the-killed", "G3", "what a killed run left is not cleared by the next one",
        WRITER,
        "            with writing(place), suppress(FileNotFoundError):\n                self._name(place).unlink()",
        "            pass",
        (f"{UNIT}::test_staging_clears_what_a_killed_run_left_and_nothing_else",),
    ),
    Mutant(
        "strange-shards-removed", "G13", "shards that no manifest lists are removed when another packing takes their place",
        "teapot/verbs/files.py",
        "    if unknown := sorted(shards - former):",
        "    former = former | shards\n    if unknown := sorted(shards - former):",
        ("tests/test_shards.py::test_what_no_manifest_lists_is_never_removed",),
    ),
    Mutant(
        "no-flock", "G4", "the file that holds an output is opened, and not held",
        WRITER, "            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)", "            pass",
        (f"{UNIT}::test_busy",),
    ),
    Mutant(
        "hold-of-a-removed-file", "G4", "a file that its holder removed meanwhile is taken for the hold",
        WRITER, "                if os.path.samestat(os.fstat(handle), name.stat()):", "                if True:",
        (f"{UNIT}::test_the_file_that_holds",),
    ),
    Mutant(
        "stale-hold-for-ever", "G4", "the file that a killed run held keeps every later run out",
        WRITER, "os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW", "os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW",
        (f"{UNIT}::test_what_a_killed_run_held_is_cleared",),
    ),
    Mutant(
        "newer-lock-overwritten", "G4", "a lock that another run wrote meanwhile is written over",
        COMPOSE,
        "    if now is not None and now != made.old and not (made.config.overrides and made.old is None):",
        "    if False:",
        (f"{UNIT}::test_a_lock_that_another_run_wrote_meanwhile",),
    ),
    Mutant(
        "output-is-an-input", "G13", "an output that is one of the inputs under another name is accepted",
        WRITER, "            if (there.st_dev, there.st_ino) == (info.st_dev, info.st_ino):", "            if other == path:",
        ("tests/faults/test_places.py::test_the_output_is_an_input",),
    ),
    Mutant(
        "output-is-a-link", "G13", "an output that is a link to somebody's file is accepted",
        WRITER, "        info = path.lstat()", "        info = path.stat()",
        (f"{UNIT}::test_no_place_for_an_output",),
    ),
    Mutant(
        "written-through-a-link", "G13", "a link that was planted where a temporary file goes is followed",
        WRITER, "        temporary = self._name(place)\n", "        temporary = self._name(place).resolve()\n",
        (f"{UNIT}::test_no_file_of_a_stranger_is_written_through",),
    ),
    Mutant(
        "hold-through-a-link", "G13", "a link that was planted where the hold goes is followed",
        WRITER, "os.O_CLOEXEC | os.O_NOFOLLOW, 0o666", "os.O_CLOEXEC, 0o666",
        ("tests/faults/test_places.py::test_a_planted_link",),
    ),
)  # fmt: skip

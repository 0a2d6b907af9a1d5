"""Breaks of how a store is kept in order, for ``make mutants``."""

from __future__ import annotations

from tests.mutant import Mutant

_FORMAT = "tests/unit/test_store_format.py"
_REMOVING = "tests/unit/test_removing.py"
_GC = "tests/chaos/test_gc.py"

MUTANTS_OF_THE_STORE = (
    Mutant(
        "a recorder writes into a store of a newer format",
        "journal/lanes.py",
        "        settle(self.root)\n",
        "        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)\n",
        (f"{_FORMAT}::test_a_program_goes_on_unrecorded",),
    ),
    Mutant(
        "a reader opens a store of a newer format",
        "store/opening.py",
        "        self._check_format()\n",
        "",
        (f"{_FORMAT}::test_commands_say_so",),
    ),
    Mutant(
        "recovery seals in a store of a newer format",
        "journal/recovery.py",
        "    format_of(root)\n",
        "",
        (f"{_FORMAT}::test_a_format_that_is_not_known_is_refused_and_nothing_is_touched",),
    ),
    Mutant(
        "an older store is taken for one of today's format",
        "journal/store_format.py",
        'number = OLDEST if (root / "journal").is_dir() else FORMAT',
        "number = FORMAT",
        (
            f"{_FORMAT}::test_a_store_that_says_nothing_is_of_the_first_format_and_says_so_when_it_is_next_recorded_into",
        ),
    ),
    Mutant(
        "a format that another version wrote is replaced",
        "journal/store_format.py",
        "        if not take_name(temporary, path) and not path.read_bytes().strip():\n            os.replace",
        "        if True:\n            os.replace",
        (f"{_FORMAT}::test_versions_that_make_a_store_at_once_agree_on_its_format",),
    ),
    Mutant(
        "a run that is being written is removed",
        "store/removing.py",
        "            if busy:\n",
        "            if False:\n",
        (_REMOVING,),
    ),
    Mutant(
        "a run is deleted where it stands",
        "journal/removal.py",
        '            os.rename(place.segments / run_id.hex(), place.trash / f"{run_id.hex()}-{os.urandom(4).hex()}")\n',
        "            for part in (place.segments / run_id.hex()).iterdir():\n                part.unlink()\n"
        "            (place.segments / run_id.hex()).rmdir()\n",
        (f"{_REMOVING}::test_readers_meanwhile_get_the_run_or_are_told_that_it_is_gone", _REMOVING),
    ),
    Mutant(
        "a removal that was killed is not ended",
        "store/opening.py",
        "            finish_removals(self.root, timeout=RECOVERY_SECONDS)\n",
        "",
        (f"{_REMOVING}::test_killed_in_between_each_run_is_whole_or_gone_and_the_next_command_ends_it",),
    ),
    Mutant(
        "what is derived from many runs keeps one that is gone",
        "store/derived.py",
        "        if len(rest) < len(results):\n",
        "        if not rest:\n",
        (f"{_REMOVING}::test_what_was_derived_from_a_run_goes_with_it_and_nothing_else_does",),
    ),
    Mutant(
        "a damaged lane file goes with the first run that is in it",
        "journal/removal.py",
        "(shared if others else alone).append(path)",
        "alone.append(path)",
        (f"{_REMOVING}::test_a_damaged_lane_file_goes_with_the_last_run_that_is_in_it",),
    ),
    Mutant(
        "a removal follows links",
        "journal/removal.py",
        "if path.is_symlink() or not path.is_dir():",
        "if not path.is_dir():",
        (f"{_REMOVING}::test_no_link_is_followed_out_of_the_store",),
    ),
    Mutant(
        "a segment that is removed while it is read is told as damage",
        "journal/sealed.py",
        "        except FileNotFoundError as failure:\n            raise RunNotFound(",
        "        except FileNotFoundError as failure:\n            raise CorruptRecord(",
        (f"{_REMOVING}::test_readers_meanwhile_get_the_run_or_are_told_that_it_is_gone",),
    ),
    Mutant(
        "a list stops at a run that was removed",
        "query/runs.py",
        "            with suppress(RunNotFound):  # removed since\n                yield self.head(run_id)",
        "            yield self.head(run_id)",
        (f"{_REMOVING}::test_a_list_passes_over_what_is_removed_while_it_is_read",),
    ),
    Mutant(
        "gc removes segments",
        "store/leftovers.py",
        'return name.startswith(".") and name.endswith(TEMPORARY)',
        "return True",
        (f"{_GC}::test_every_byte_of_every_run_survives_beside_recorders_that_are_killed",),
    ),
    Mutant(
        "gc removes without being asked",
        "cli/gc_.py",
        "if apply else []",
        "",
        (f"{_GC}::test_everything_that_is_left_over_is_found_and_removed_and_no_run",),
    ),
    Mutant(
        "gc removes what is being written",
        "store/leftovers.py",
        "return time.time() - path.lstat().st_mtime > STALE",
        "return path.lstat().st_mtime > 0",
        (f"{_GC}::test_what_somebody_may_still_be_writing_is_left",),
    ),
    Mutant(
        "gc removes an index that is held",
        "store/leftovers.py",
        "        flock(fd, LOCK_EX | LOCK_NB)\n",
        "        pass\n",
        (f"{_GC}::test_an_index_that_is_one_or_that_somebody_holds_is_left",),
    ),
    Mutant(
        "verify stops at a run that it cannot read",
        "cli/verify.py",
        '    except StoreError as error:\n        return Checked(run_id, "", 0, [Problem("damage", error.what)])\n',
        "",
        ("tests/unit/test_cli_verify.py",),
    ),
    Mutant(
        "verify stops where a run was removed",
        "cli/verify.py",
        "    except RunNotFound:\n        return None\n",
        "",
        ("tests/unit/test_cli_verify.py::test_no_damage_keeps_the_others_from_being_checked",),
    ),
    Mutant(
        "rm asks nobody",
        "cli/rm.py",
        "    if not yes and not dry_run and not sys.stdin.isatty():",
        "    if False:",
        ("tests/e2e/test_rm.py::test_what_cannot_be_meant_removes_nothing",),
    ),
    Mutant(
        "a bar is left on the screen",
        "cli/progress.py",
        "        self._draws = False\n        self._erase()\n",
        "        self._draws = False\n",
        ("tests/e2e/test_progress.py::test_an_interrupt_leaves_a_clean_line",),
    ),
    Mutant(
        "a bar is drawn into a pipe",
        "cli/progress.py",
        "self._draws = self._stream.isatty() and environ",
        "self._draws = environ",
        ("tests/e2e/test_progress.py::test_it_is_not_drawn_into_a_pipe_nor_on_a_terminal_that_cannot_erase",),
    ),
    Mutant(
        "bash replaces the sign before a reference",
        "cli/completion.py",
        '(char not in "$@")',
        "1",
        ("tests/e2e/test_completion.py::test_what_can_stand_there_is_told",),
    ),
    Mutant(
        "a tab seals",
        "query/glancing.py",
        "    kept = kept_heads(Derived(root))\n",
        "    from agentrace.store import Store\n\n    _ = Store(root).entries\n    kept = kept_heads(Derived(root))\n",
        ("tests/e2e/test_completion.py::test_a_tab_changes_nothing_and_a_mistake_is_no_traceback",),
    ),
)

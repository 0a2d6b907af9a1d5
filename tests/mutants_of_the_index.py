"""Breaks of the index and of archives, for ``make mutants``."""

from __future__ import annotations

from tests.mutant import Mutant

_INDEX = "tests/unit/test_index.py::"
_CAME = "tests/property/test_what_came.py::"
_RETENTION = "tests/unit/test_retention.py::"
_ARCHIVES = "tests/unit/test_index_of_archives.py"
_LEASES = "tests/unit/test_index_leases.py::"
_GOOD = "tests/unit/test_removing_for_good.py::"

MUTANTS_OF_THE_INDEX = (
    Mutant(
        "steps that go on are told twice",
        "index/indexing.py",
        '(("forget_steps", batch.retold), ("forget_open_steps", batch.over))',
        '(("forget_open_steps", batch.over),)',
        (_INDEX + "test_a_run_that_goes_on_is_told_further",),
    ),
    Mutant(
        "earlier events of a step that something new belongs to are not read again",
        "index/indexing.py",
        "return [encoded for _, _, encoded in kept]",
        "return [encoded for _, step_id, encoded in kept if not step_id]",
        (_INDEX + "test_a_run_that_goes_on_is_told_further",),
    ),
    Mutant(
        "what a conversation told before is forgotten",
        "index/indexing.py",
        'return Before(paths, self._marks[known.run_key, "messages"], self._marks[known.run_key, "texts"])',
        "return Before(paths)",
        (_INDEX + "test_a_run_that_goes_on_is_told_further",),
    ),
    Mutant(
        "what was sealed meanwhile is not looked for",
        "journal/reading.py",
        " or self._sealed_up_to(run_id, sealed=True) > after",
        "",
        (_CAME + "test_what_was_sealed_meanwhile_is_not_taken_for_what_came",),
    ),
    Mutant(
        "a lane file that is gone is taken for read",
        "journal/lane_glancing.py",
        "return numbers == list(range(numbers[0], numbers[0] + len(numbers)))",
        "return True",
        (_CAME + "test_a_lane_that_lacks_a_file_is_read_whole",),
    ),
    Mutant(
        "events are kept for ever",
        "index/indexing.py",
        "            self._batch.over.append((known.run_key, over))",
        "            pass",
        (_CAME + "test_events_are_kept_as_long_as_their_step_goes_on",),
    ),
    Mutant(
        "a store that was listed before is taken for what is there now",
        "index/opening.py",
        "Store(root) if source.is_listed else source",
        "source",
        ("tests/unit/test_index_edges.py::test_what_came_since_a_store_was_listed_is_told",),
    ),
    Mutant(
        "runs that are gone stay in the index",
        "index/indexing.py",
        "        self._forget([self._known.pop(run_id).run_key for run_id in gone])",
        "        gone = frozenset()",
        (_INDEX + "test_a_run_that_is_removed_goes_from_the_index",),
    ),
    Mutant(
        "a new version of what an integration tells changes nothing",
        "index/indexing.py",
        "return not current[known.facts]",
        "return False",
        (_INDEX + "test_what_the_integrations_tell_is_told_anew_when_they_change",),
    ),
    Mutant(
        "a run is noted as indexed in another transaction than its rows",
        "index/indexing.py",
        '            connection.execute(statement("add_sums"), {"run_keys": batch.keys})',
        "            connection.commit()\n            connection.begin()\n"
        '            connection.execute(statement("add_sums"), {"run_keys": batch.keys})',
        ("tests/chaos/test_index_kill.py::test_an_indexer_that_is_killed_costs_nothing",),
    ),
    Mutant(
        "an index that somebody else has written is taken as it is",
        "index/opening.py",
        "            database.check_throughout(connection)",
        "            pass",
        (_INDEX + "test_a_spoilt_index_is_made_again",),
    ),
    Mutant(
        "the stamp of an index holds for whatever file is there",
        "index/freshness.py",
        "or last.identity != identity(root)\n",
        "\n",
        (_INDEX + "test_a_spoilt_index_is_made_again",),
    ),
    Mutant(
        "a stranger's hold is an error",
        "index/opening.py",
        "            except Held as held:\n                return _stale(stack, source, str(held), watching)\n",
        "            except Held as held:\n                raise StoreError(str(held)) from held\n",
        (_INDEX + "test_a_stranger_who_holds_the_index_makes_it_stale_and_no_error",),
    ),
    Mutant(
        "what a killed helper was to tell is not told",
        "index/workers.py",
        "        if answer is None:\n            return tell_of(Store(self._root), task)",
        "        if answer is None:\n            return None",
        (_INDEX + "test_other_processes_help_and_may_die",),
    ),
    Mutant(
        "a run is removed before the store knows where it is",
        "retention/archiving.py",
        "    note(root, replace(known, path=os.fspath(target), runs=known.runs | stamps))\n",
        "    take_out(root, moving)\n    note(root, replace(known, path=os.fspath(target), runs=known.runs | stamps))\n",
        (_RETENTION + "test_what_the_store_cannot_note_it_keeps",),
    ),
    Mutant(
        "a copy is not compared",
        "retention/copying.py",
        "if _digests(there) != wanted:",
        "if False:",
        (_RETENTION + "test_another_run_under_the_same_name_is_not_overwritten",),
    ),
    Mutant(
        "restored runs stay in the Parquet files",
        "retention/restoring.py",
        "            columns.leave_out(path, free)\n",
        "",
        (_RETENTION + "test_restoring_brings_back_what_was_there",),
    ),
    Mutant(
        "what lists tell of an archived run is not kept",
        "retention/archiving.py",
        "        _summarise(source, moving)\n",
        "",
        (_RETENTION + "test_an_archive_that_cannot_be_reached_is_told_and_no_run_is_lost",),
    ),
    Mutant(
        "what an integration told before of runs that are away makes everybody pass",
        "index/indexing.py",
        "distinct = filter(_is_current, {known.facts for known in self._known.values()})",
        "distinct = {known.facts for known in self._known.values()}",
        (_ARCHIVES,),
    ),
    Mutant(
        "what was told of a run goes while its archive has lost it",
        "index/indexing.py",
        "            if progress.stamp == UNREAD != known.stamp:\n",
        "            if False:\n",
        (_ARCHIVES,),
    ),
    Mutant(
        "a run that comes back into its archive is not told anew",
        "index/freshness.py",
        'places = [f"{_changed(Path(place))} {place}" for place in sorted(archives)]',
        "places = sorted(archives)",
        (_ARCHIVES,),
    ),
    Mutant(
        "a thread that reads waits for itself",
        "index/leases.py",
        "    held = _join(root, alone) or _wait(root, alone, waiting)\n",
        "    held = _wait(root, alone, waiting)\n",
        (_LEASES + "test_who_reads_cannot_make_it_anew",),
    ),
    Mutant(
        "the first of a thread's readers lets go for all",
        "index/leases.py",
        "        if not self.users:\n",
        "        if True:\n",
        (_LEASES + "test_whoever_of_a_thread_reads_last_lets_go",),
    ),
    Mutant(
        "a forked child keeps what its parent has locked",
        "native.py",
        "    os.register_at_fork(after_in_child=_close_inherited)\n",
        "    pass\n",
        (_LEASES + "test_what_a_killed_process_held_is_free_although_its_child_lives",),
    ),
    Mutant(
        "a forked child reads with what is its parent's",
        "index/leases.py",
        "    _inherited.update(key[:2] for key in _held)\n",
        "",
        (_LEASES + "test_a_child_takes_nothing_from_its_parent",),
    ),
    Mutant(
        "a forked child waits for a thread of its parent",
        "reading/source.py",
        "    os.register_at_fork(after_in_child=_in_child)\n",
        "    pass\n",
        (_LEASES + "test_a_child_may_ask_while_a_thread_of_its_parent_does",),
    ),
    Mutant(
        "Parquet files are written from an index that is stale",
        "index/opening.py",
        "        if session is None or session.stale is not None:\n",
        "        if session is None:\n",
        (_LEASES + "test_runs_are_moved_and_removed_by_who_reads",),
    ),
    Mutant(
        "rows that were deleted stay in the file",
        "index/opening.py",
        "        if not attempt and listed.is_due():\n",
        "        if False:\n",
        (_GOOD + "test_nothing_is_left_of_a_run_that_was_removed",),
    ),
    Mutant(
        "what a failed commit said is lost",
        "index/indexing.py",
        "            with suppress(engine().Error):  # a commit that failed has done it, and what it said is what counts\n",
        "            if True:\n",
        ("tests/unit/test_full_disks.py::test_an_index_that_has_no_room_to_grow_stays",),
    ),
    Mutant(
        "an index that has no room to grow is made again",
        "index/database.py",
        "        has_no_room = not read_only and not is_damage(error)\n",
        "        has_no_room = False\n",
        ("tests/unit/test_full_disks.py::test_an_index_that_has_no_room_to_grow_stays",),
    ),
    Mutant(
        "a full disk keeps a run from being removed",
        "retention/removing.py",
        "    except OSError:\n        drop(source)\n",
        "    except ValueError:\n        drop(source)\n",
        ("tests/unit/test_full_disks.py",),
    ),
)

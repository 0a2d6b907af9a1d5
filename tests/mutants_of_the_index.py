"""Breaks of the index and of archives, for ``make mutants``."""

from __future__ import annotations

from tests.mutant import Mutant

_INDEX = "tests/unit/test_index.py::"
_CAME = "tests/property/test_what_came.py::"
_RETENTION = "tests/unit/test_retention.py::"

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
        "            except Held as held:\n                return _stale(stack, source, str(held))\n        holding",
        "            except Held as held:\n                raise StoreError(str(held)) from held\n        holding",
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
        "        note(root, replace(known, path=os.fspath(target), runs=known.runs | stamps))\n        _let_go(root, moving)",
        "        _let_go(root, moving)\n        note(root, replace(known, path=os.fspath(target), runs=known.runs | stamps))",
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
        "    columns.leave_out(path, run_ids)\n",
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
)

"""Breaks of what decorators make of callables: what is broken, where, the text, the break, and who has to notice."""

from __future__ import annotations

Row = tuple[str, str, str, str, tuple[str, ...]]

CALLABLES: tuple[Row, ...] = (
    (
        "the steps of a block are beside its step",
        "capture/driving.py",
        "            if not inside:\n                scope.FLOW.set(outside)\n            chunk(",
        "            scope.FLOW.set(outside)\n            chunk(",
        ("tests/unit/test_capture_contexts.py::test_where_the_steps_of_a_block_are",),
    ),
    (
        "a block that is left is not left behind",
        "capture/driving.py",
        "    while type(around) is Step and around.ended:\n        around = around.outer\n",
        "",
        ("tests/unit/test_capture_contexts.py::test_blocks_that_are_left_in_the_wrong_order_end_all_the_same",),
    ),
    (
        "the cause of a replayed exception is another one",
        "capture/answers.py",
        "            error.__cause__ = error.__context__ = thrown",
        "            pass",
        ("tests/unit/test_capture_contexts.py",),
    ),
    (
        "a bound method of a stand-in is not recorded",
        "capture/standin.py",
        "        return MethodType(self, bound.__self__)",
        "        return bound",
        ("tests/unit/test_capture_pickles.py::test_bound_methods_travel_with_their_objects",),
    ),
    (
        "a pickle of a stand-in is the object itself",
        "capture/standin.py",
        "        return stand_in, (wrapped, _spec(self))",
        "        return copy.copy, (wrapped,)",
        ("tests/unit/test_capture_pickles.py::test_what_another_name_holds_is_pickled_whole",),
    ),
    (
        "an instance is told as an argument",
        "capture/arguments.py",
        "    first = 1 if instance is Instance.GIVEN or is_named else 0",
        "    first = 1 if is_named else 0",
        ("tests/unit/test_capture_callables.py::test_arguments_are_told_without_the_instance",),
    ),
    (
        "an ignored argument counts",
        "replay/tape.py",
        "not self._alike(recorded, step.input, spec.ignore)",
        "not self._alike(recorded, step.input)",
        ("tests/unit/test_capture_options.py::test_what_is_ignored_makes_no_other_call_and_no_caveat",),
    ),
    (
        "an ignored argument makes a call opaque",
        "capture/call.py",
        'if spec.ignore and fidelity != "exact":',
        "if False:",
        ("tests/unit/test_capture_options.py::test_what_is_ignored_is_recorded_all_the_same",),
    ),
    (
        "a codec of another name is asked",
        "replay/codecs.py",
        "    if codec is None or codec.name != item.codec:",
        "    if codec is None:",
        ("tests/unit/test_capture_options.py::test_a_replay_needs_the_same_codec",),
    ),
    (
        "a failing codec is the program's failure",
        "capture/codec.py",
        "        if from_a_signal(error):\n            raise",
        "        raise",
        ("tests/unit/test_capture_options.py::test_a_codec_that_fails_is_told_and_costs_the_program_nothing",),
    ),
    (
        "an export does not look into what a codec gave",
        "archive/redaction.py",
        "    tags.CODED: 1,\n",
        "",
        ("tests/unit/test_capture_options.py::test_an_export_takes_secrets_out_of_what_a_codec_gave",),
    ),
)

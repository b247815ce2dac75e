"""The catalogue of iamprover: its answers, those of the prover, and the findings of the rules."""

from __future__ import annotations

from tests.support.iamprover_catalogue import (
    FORMS,
    ONLY_IAMPROVER,
    ONLY_OURS,
    SAMPLE_WAYS,
    WAYS,
    answers_of_iamprover,
    answers_of_the_prover,
    catalogue_model,
    escalations_by_rules,
    form_of,
    way_of,
)

NEEDS_ANOTHER_ACTION = {
    ("iam:PassRole", "lambda:CreateFunction"),
    ("iam:PassRole", "codebuild:CreateProject"),
    ("iam:PassRole", "datapipeline:CreatePipeline"),
    ("cloudformation:CreateChangeSet",),
}
"""The rules require the action that runs the program, too. `proof-no-pass-role` finds those with iam:PassRole."""
CERTAIN_FORMS = ("the actions on all resources", "a condition", "one named resource")


def test_iamprover_and_the_prover_differ_only_for_the_known_causes() -> None:
    model = catalogue_model(all_ways=False)
    theirs, ours = answers_of_iamprover(model), answers_of_the_prover(model)
    assert theirs.keys() == ours.keys()
    differences = [
        (address, theirs[address, id_]) for address, id_ in theirs if theirs[address, id_] != ours[address, id_]
    ]
    expected = {*((form, True) for form in ONLY_IAMPROVER), *((form, False) for form in ONLY_OURS)}
    assert {(form_of(address), found) for address, found in differences} == expected
    assert len(differences) == len(expected) * len(SAMPLE_WAYS)
    assert sum(ours.values()) > len(FORMS) * len(SAMPLE_WAYS) / 2


def test_the_rules_find_every_way_of_the_catalogue_that_runs_a_program() -> None:
    model = catalogue_model()
    found = escalations_by_rules(model)
    for form in CERTAIN_FORMS:
        ways = {way_of(one) for one in model.policies.identities if one.startswith("app/") and form_of(one) == form}
        missing = ways - {way_of(one) for one in found if form_of(one) == form}
        assert (len(ways), missing) == (len(WAYS), NEEDS_ANOTHER_ACTION), form

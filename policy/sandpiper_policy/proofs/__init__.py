"""Proves properties of policies for all requests, with the solver z3.

`prover.prove` decides whether any request that a claim forbids is allowed. The answer is *proved*, *refuted* with a
concrete request that the evaluator confirms, or *undecided* with the reason. `attack.attack` sends random requests to
the evaluator, which does not share code with the encoding.

The encoding covers the elements and condition operators that `evaluate` covers, with these limits. A policy beyond
them makes a proof undecided:

- Condition keys are independent of each other, except for those about the principal. So a request that refutes a
  claim can combine values that AWS would not send together. A claim is never proved because of such a dependency.
- A key is either single-valued or multivalued, and has one type: text, number, date, boolean or address. A multivalued
  key has at most as many conditions as `symbols.MAX_ITEMS`.
- Values of boolean keys are `true` and `false`; those of numbers, dates and addresses are well-formed.
- A pattern with a policy variable whose value is not known has one `*` at most, behind its variables.

Service control policies, resource control policies and VPC endpoint policies are not included, as in `evaluate`. They
can only remove permissions, so a proof stays valid with them.
"""

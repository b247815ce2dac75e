"""The standards, and the controls that the rule packs of cdk-nag assign to their rules."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from sandpiper.review.controls.requirements import REQUIREMENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

CIS = "CIS"
STANDARDS = {
    "NIST.800.53.R5": "NIST 800-53 Rev. 5",
    "HIPAA.Security": "HIPAA Security Rule",
    "PCI.DSS.321": "PCI DSS 3.2.1",
    CIS: "CIS AWS Foundations Benchmark 5.0.0",
}
"""Titles by standard: the name of the pack of cdk-nag, or CIS."""


@lru_cache(maxsize=1)
def controls_by_requirement() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """Returns the controls by the name of the requirement and by standard, without enhancements of NIST 800-53.

    `python tools/pack_controls.py` writes the file from cdk-nag.
    """
    packs = json.loads(files("sandpiper.review.controls").joinpath("pack_controls.json").read_text())
    found = {one.name: {CIS: one.cis} if one.cis else dict[str, tuple[str, ...]]() for one in REQUIREMENTS}
    for name, by_pack in packs.items():
        found[name] |= {pack: tuple(controls) for pack, controls in by_pack.items()}
    return found

"""The controls that no template of an environment can meet, because they are about the whole account or the team."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.review.controls.standards import CIS

if TYPE_CHECKING:
    from collections.abc import Mapping

_NIST, _HIPAA, _PCI = "NIST.800.53.R5", "HIPAA.Security", "PCI.DSS.321"
ACCOUNT: tuple[tuple[str, Mapping[str, tuple[str, ...]]], ...] = (
    (
        "Root user, passwords, multi-factor authentication and access keys of people.",
        {
            _NIST: ("IA-2", "IA-5"),
            _HIPAA: ("164.312(d)",),
            _PCI: ("8.2", "8.3"),
            CIS: tuple(f"1.{number}" for number in range(3, 14)),
        },
    ),
    (
        "Regular reviews of who has access: IAM Access Analyzer, administrators, roles that callers assume.",
        {_NIST: ("AC-2",), _HIPAA: ("164.308(a)(4)(ii)(C)",), _PCI: ("7.1",), CIS: ("1.19",)},
    ),
    (
        "A trail of management events in all Regions, and alarms on changes of policies and networks.",
        {
            _NIST: ("AU-2", "AU-12"),
            _HIPAA: ("164.312(b)",),
            _PCI: ("10.1", "10.2"),
            CIS: ("3.1", *(f"4.{number}" for number in range(1, 16))),
        },
    ),
    (
        "Detection: AWS Config, Security Hub and GuardDuty, and a team that reads their findings.",
        {_NIST: ("CA-7", "SI-4"), _HIPAA: ("164.308(a)(1)(ii)(D)",), _PCI: ("11.4",), CIS: ("3.3", "4.16")},
    ),
    (
        "Response to incidents, and contacts of the account.",
        {_NIST: ("IR-4", "IR-6"), _HIPAA: ("164.308(a)(6)(ii)",), _PCI: ("12.10",), CIS: ("1.1", "1.2")},
    ),
    (
        "Classification of the data that users bring, and a copy of it outside of the bucket where a law requires one.",
        {_NIST: ("CP-9", "RA-2"), _HIPAA: ("164.308(a)(7)(ii)(A)",), _PCI: ("3.1",), CIS: ("2.1.3",)},
    ),
    (
        "Deletion of old versions of objects only with multi-factor authentication, which CloudFormation cannot set.",
        {_NIST: ("SC-28",), CIS: ("2.1.2",)},
    ),
    (
        "Network ACLs and route tables of networks that the account shares with the environment.",
        {_NIST: ("SC-7",), _PCI: ("1.2", "1.3"), CIS: ("5.2", "5.6")},
    ),
)
"""What the account has to provide, with the controls by standard."""

"""Contains the table of grants, by AWS service.

Read-only actions are those that CloudFormation's resource handlers call. Each type's schema in the CloudFormation
registry lists them (`handlers`).
"""

from sandpiper.deployment_policy.grants.agentcore import AGENTCORE_GRANTS
from sandpiper.deployment_policy.grants.dns_firewall import DNS_FIREWALL_GRANTS
from sandpiper.deployment_policy.grants.ec2 import EC2_GRANTS
from sandpiper.deployment_policy.grants.functions import FUNCTION_GRANTS
from sandpiper.deployment_policy.grants.iam import IAM_GRANTS
from sandpiper.deployment_policy.grants.monitoring import MONITORING_GRANTS
from sandpiper.deployment_policy.grants.notifications import NOTIFICATION_GRANTS
from sandpiper.deployment_policy.grants.storage import STORAGE_GRANTS

GRANTS = (
    *AGENTCORE_GRANTS,
    *IAM_GRANTS,
    *FUNCTION_GRANTS,
    *MONITORING_GRANTS,
    *NOTIFICATION_GRANTS,
    *STORAGE_GRANTS,
    *EC2_GRANTS,
    *DNS_FIREWALL_GRANTS,
)

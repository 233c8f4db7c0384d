"""What a security check finds and we mean to keep, each with its reason.

cdk-nag rule, construct, reason ─► metadata that silences this one finding
"""

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Silences one rule of AwsSolutions on this construct and what is below it.

    Args:
        construct: As near to the finding as possible.
        rule: `S1`, or with the finding where a rule has several: `IAM5[Resource::*]`.
        reason: Why it is right here, for whoever audits the template.
    """
    Validations.of(construct).acknowledge(
        Acknowledgment(id=f"AwsSolutions-{rule}", reason=reason)
    )

"""The worker's image: built from the Dockerfile at deploy time, or ready-made.

context `image` ─► private ECR, any other registry, or our own build
"""

import re

from aws_cdk import Aws
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from infra.build_functions import ROOT

_PRIVATE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?"
    r"/(?P<name>[^:@]+)[:@](?P<version>.+)"
)


def worker_image(scope: Construct, image: str) -> ecs.ContainerImage:
    """The image that tasks run, with leave to pull it where that is needed.

    Nothing is built here: with an empty `image` the build happens at deploy time, with Docker
    or what `CDK_DOCKER` names. One from a private ECR must name a tag or a digest.
    """
    private = _PRIVATE.fullmatch(image)
    if private:
        repository = ecr.Repository.from_repository_attributes(
            scope,
            "Repository",
            repository_arn=(
                f"arn:{Aws.PARTITION}:ecr:{private['region']}:{private['account']}"
                f":repository/{private['name']}"
            ),
            repository_name=private["name"],
        )
        return ecs.ContainerImage.from_ecr_repository(repository, private["version"])
    if image:
        return ecs.ContainerImage.from_registry(image)
    return ecs.ContainerImage.from_asset(
        str(ROOT),
        file="container_worker/Dockerfile",
        platform=ecr_assets.Platform.LINUX_ARM64,
    )

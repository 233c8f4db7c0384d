"""Writes `jars.json`: `python -m local.jar_lock`, a part of `make lock`.

jgo's own resolver walks the POM files; this needs a network and about two minutes, which is
why its result is committed with a hash for every file.

    coordinates ─► jgo ─► jars.json
"""

import hashlib
import tempfile
from pathlib import Path

import msgspec
from jgo.maven import Dependency, MavenContext, PythonResolver

from local.packages import LOCK_FILE, Jar, JarLock

# Kafka 4.4.0's dependencies are incomplete, and Kafka's leave out what connects its log to
# log4j; DynamoDB Local is put together by Jetty's XML; S3Proxy needs jackson-annotations.
ROOTS = {
    "kafka": [
        "org.apache.kafka:kafka_2.13:4.3.1",
        "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4",
    ],
    "dynamodb": [
        "com.amazonaws:DynamoDBLocal:2.6.1",
        "org.eclipse.jetty:jetty-xml:12.0.14",
    ],
    "s3": ["org.gaul:s3proxy:4.1.0", "com.fasterxml.jackson.core:jackson-annotations:2.21"],
}
EXCLUSIONS = {
    "org.gaul:s3proxy:4.1.0": [
        "org.apache.jclouds.api:rackspace-cloudfiles",
        "org.apache.jclouds.provider:rackspace-cloudfiles-us",
        "org.apache.jclouds.provider:rackspace-cloudfiles-uk",
    ],
}
# Class paths are joined by scope: these are never needed at run time.
UNUSED_SCOPES = {"test", "provided", "system"}


def main() -> None:
    """Resolve, download and hash everything, then replace the lock."""
    with tempfile.TemporaryDirectory() as folder:
        context = MavenContext(repo_cache=Path(folder), local_repos=[], timeout=60)
        class_paths = {server: _resolve(context, roots) for server, roots in ROOTS.items()}
        coordinates = sorted({one for path in class_paths.values() for one in path})
        jars = [_hashed(context, coordinate) for coordinate in coordinates]
    lock = JarLock(roots=ROOTS, class_paths=class_paths, jars=jars)
    LOCK_FILE.write_bytes(msgspec.json.format(msgspec.json.encode(lock), indent=1) + b"\n")


def _resolve(context: MavenContext, roots: list[str]) -> list[str]:
    given, found = PythonResolver().resolve([_dependency(context, root) for root in roots])
    return [
        f"{one.groupId}:{one.artifactId}:{one.version}"
        for one in [*given, *found]
        if one.type == "jar" and one.scope not in UNUSED_SCOPES
    ]


def _dependency(context: MavenContext, coordinate: str) -> Dependency:
    group, artifact, version = coordinate.split(":")
    exclusions = [
        context.project(*excluded.split(":")) for excluded in EXCLUSIONS.get(coordinate, [])
    ]
    component = context.project(group, artifact).at_version(version)
    return Dependency(component.artifact(), exclusions=exclusions, raw=True)


def _hashed(context: MavenContext, coordinate: str) -> Jar:
    group, artifact, version = coordinate.split(":")
    path = context.project(group, artifact).at_version(version).artifact().resolve()
    content = path.read_bytes()
    return Jar(coordinate, hashlib.sha256(content).hexdigest(), len(content))


if __name__ == "__main__":
    main()

"""Entry of the CDK app (named in cdk.json): context in, five stacks out.

cdk.json, -c key=value ─► settings ─► stacks ─► cdk.out

    python -m infra.app [-c KEY=VALUE]… [--output DIR] [--sources-only]

Synthesises without network, credentials or Docker.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import cdk_nag
from aws_cdk import App, Tags, Validations

from infra.build_functions import ROOT, stage
from infra.settings import DeploymentSettings, read_settings
from infra.stacks import add_stacks
from marketdata.errors import InputError, TapedeckError

_UNDER_THE_CLI = "CDK_CONTEXT_JSON"
"""The CDK command hands its context over in this variable; the App reads it itself."""


def build_app(settings: DeploymentSettings, app: App) -> App:
    """The app with its stacks, tags and checks, not yet synthesised."""
    add_stacks(app, settings)
    Tags.of(app).add("app", "tapedeck")
    Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
    return app


def synthesise(
    overrides: Mapping[str, str], *, output: Path | None = None, sources_only: bool = False
) -> None:
    """Writes the templates and their assets.

    Raises:
        SettingsError: A context value cannot be used.
    """
    app = _app(overrides, output)
    with tempfile.TemporaryDirectory() as folder:
        context = dict(app.node.get_all_context())
        if sources_only:
            stage(Path(folder), sources_only=True)
            context["functions"] = folder
        build_app(read_settings(context, ROOT), app).synth()


def _app(overrides: Mapping[str, str], output: Path | None) -> App:
    if _UNDER_THE_CLI in os.environ:
        return App(analytics_reporting=False)
    defaults = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    return App(
        analytics_reporting=False,
        context=defaults | overrides,
        outdir=str(output or ROOT / "cdk.out"),
    )


def _pair(argument: str) -> tuple[str, str]:
    key, equals, value = argument.partition("=")
    if not (key and equals):
        raise argparse.ArgumentTypeError(f"{argument!r} is not KEY=VALUE")
    return key, value


def main(arguments: Sequence[str] | None = None) -> int:
    """Synthesises; 2 for values that cannot be used, each named in a sentence."""
    parser = argparse.ArgumentParser(prog="python -m infra.app")
    parser.add_argument("-c", "--context", type=_pair, action="append", default=[])
    parser.add_argument("--output", type=Path)
    parser.add_argument(
        "--sources-only",
        action="store_true",
        help="without the functions' dependencies: templates to look at, not to deploy",
    )
    options = parser.parse_args(arguments)
    try:
        synthesise(
            dict(options.context), output=options.output, sources_only=options.sources_only
        )
    except TapedeckError as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, InputError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

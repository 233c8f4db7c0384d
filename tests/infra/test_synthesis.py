"""The app synthesises anywhere, says what is wrong, and its checks find what they look for."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STACKS = [
    "TapedeckNetwork",
    "TapedeckObservability",
    "TapedeckRealtime",
    "TapedeckStorage",
    "TapedeckWorker",
]


def test_five_stacks_come_out_without_node_docker_credentials_or_account(assembly):
    assert sorted(assembly.templates) == STACKS
    for template in assembly.templates.values():
        assert "Parameters" not in template or list(template["Parameters"]) == [
            "BootstrapVersion"
        ]


def test_no_security_finding_is_left_unacknowledged(assembly):
    report = json.loads((assembly.folder / "validation-report.json").read_text())
    assert report["pluginReports"] == []


def test_every_acknowledged_finding_has_a_reason(assembly):
    manifest = json.loads((assembly.folder / "manifest.json").read_text())
    found = 0
    for artifact in manifest["artifacts"].values():
        file = artifact.get("additionalMetadataFile")
        metadata = (
            json.loads((assembly.folder / file).read_text())
            if file
            else artifact.get("metadata", {})
        )
        for entries in metadata.values():
            for entry in entries:
                if "acknowledged" not in entry["type"].lower():
                    continue
                for rule, reason in entry["data"].items():
                    if "AwsSolutions-" in rule:
                        found += 1
                        assert len(reason.split()) >= 5, (rule, reason)
    assert found


@pytest.fixture(scope="module")
def careless(tmp_path_factory):
    """The folder of a second synthesis, with one bad stack added, and what it said."""
    from aws_cdk import App, Stack  # noqa: PLC0415
    from aws_cdk import aws_s3 as s3  # noqa: PLC0415

    from infra import app as our_app  # noqa: PLC0415 - names the Node that the library starts

    folder = tmp_path_factory.mktemp("careless")
    staged = folder / "staged"
    (staged / "functions").mkdir(parents=True)
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    context |= {"functions": str(staged)}
    app = App(context=context, outdir=str(folder / "cdk.out"), analytics_reporting=False)
    our_app.build_app(our_app.read_settings(context, ROOT), app)
    s3.Bucket(Stack(app, "Careless"), "Open")
    with pytest.raises(RuntimeError) as caught:
        app.synth()
    return folder / "cdk.out", str(caught.value)


def test_an_open_bucket_is_found_so_the_checks_do_run(careless):
    folder, said = careless
    assert "AwsSolutions-S10" in said
    assert "Careless/Open" in (folder / "validation-report.json").read_text()


def test_equal_settings_give_equal_templates(careless, small):
    folder, _ = careless
    for stack in ("TapedeckNetwork", "TapedeckStorage", "TapedeckObservability"):
        again = json.loads((folder / f"{stack}.template.json").read_text())
        assert again == small.templates[stack]


def test_stacks_are_tied_by_exports_that_cloudformation_protects(assembly):
    whole = json.dumps(assembly.templates)
    assert "Fn::ImportValue" in whole
    assert "Fn::GetStackOutput" not in whole


def test_no_stack_runs_code_of_its_own_at_deploy_time(assembly):
    kinds = {
        resource["Type"]
        for template in assembly.templates.values()
        for resource in template["Resources"].values()
    }
    assert not {kind for kind in kinds if kind.startswith("Custom::")}
    assert "AWS::CloudFormation::CustomResource" not in kinds
    assert "AWS::CDK::Metadata" not in kinds


def test_bad_context_values_are_named_in_sentences_and_exit_with_2(tmp_path, run_app):
    done = run_app(tmp_path / "cdk.out", "-c", "size=medium", "-c", "sise=small")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "context size=medium: must be small or standard",
        "context sise: is no key of this app; did you mean size?",
    ]
    assert done.stdout == ""
    assert not (tmp_path / "cdk.out").exists() or not any((tmp_path / "cdk.out").iterdir())


def test_the_context_file_of_the_cdk_names_this_app_and_our_defaults():
    from infra.settings import KEYS  # noqa: PLC0415

    document = json.loads((ROOT / "cdk.json").read_text())
    assert document["app"].endswith("-m infra.app")
    assert not set(document["context"]) & set(KEYS)

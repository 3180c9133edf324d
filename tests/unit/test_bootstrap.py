"""The application as it is put together: its configuration in S3 or in a file, and what follows when that changes."""

from __future__ import annotations

import json

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from wabawatch.adapters.documents import S3Documents
from wabawatch.application.configured import GOOD
from wabawatch.application.errors import ConfigurationError
from wabawatch.bootstrap import Application, remove

PLACE = "s3://conf/config.json"
PARAMETERS = {
    "WABAWATCH_API_KEY_SECRET": "wabawatch/key",
    "WABAWATCH_ALERTS_TOPIC_ARN": "arn:aws:sns:eu-central-1:123456789012:t",
}


def fleet(*ids, **sections):
    return json.dumps({"targets": [{"id": one, "api_key": f"ssm:/wabawatch/{one}"} for one in ids], **sections})


class Deployment:
    """A versioned bucket, a state, and processes that work on both."""

    def __init__(self, folder):
        self.folder = folder
        self.client = boto3.client("s3")
        self.client.create_bucket(Bucket="conf", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        self.client.put_bucket_versioning(Bucket="conf", VersioningConfiguration={"Status": "Enabled"})
        self.processes = []

    def process(self):
        self.processes.append(Application(f"sqlite:{self.folder / 'state.db'}", PLACE, PARAMETERS))
        return self.processes[-1]

    def upload(self, text):
        self.client.put_object(Bucket="conf", Key="config.json", Body=text)

    def delete(self):
        self.client.delete_object(Bucket="conf", Key="config.json")


@pytest.fixture
def deployment(tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        found = Deployment(tmp_path)
        yield found
        for one in found.processes:
            one.close()


def ids(application):
    return [target.id for target in application.settings.targets]


def test_the_first_bad_upload_over_a_deployment_by_parameters_stops_neither_old_nor_new_processes(deployment):
    warm = deployment.process()
    assert warm.refresh() is None
    deployment.upload("targets: []")
    for one in (warm, deployment.process()):
        assert "no target at all" in one.refresh().detail
        assert ids(one) == ["number"]


def test_a_surprise_while_reading_is_loud_in_old_and_new_processes_and_the_last_good_one_goes_on(
    deployment, monkeypatch
):
    deployment.upload(fleet("a"))
    warm = deployment.process()
    warm.refresh()

    def surprise(*_, **__):
        raise KeyError("hidden")

    deployment.upload(fleet("a", "b"))
    with monkeypatch.context() as patched:
        patched.setattr("wabawatch.config.loading.fleet.targets", surprise)
        for _ in range(2):
            assert "unexpected KeyError" in warm.refresh().detail
            assert "hidden" not in warm.refresh().detail
        assert ids(warm) == ["a"]
        with pytest.raises(ConfigurationError, match="unexpected KeyError"):
            deployment.process().refresh()
    assert ids(deployment.process()) == ["a", "b"]


def test_a_configuration_deleted_by_mistake_does_not_lose_the_fleet(deployment):
    deployment.upload(fleet("a", "b", "c"))
    warm = deployment.process()
    warm.refresh()
    deployment.delete()
    for one in (warm, deployment.process()):
        assert one.refresh().detail.startswith(f"{PLACE}: there is no such object; it was there")
        assert ids(one) == ["a", "b", "c"]
    deployment.upload(fleet("d"))
    assert warm.refresh() is None
    assert ids(warm) == ["d"]


def test_a_configuration_removed_on_purpose_leaves_the_parameters(deployment):
    deployment.upload(fleet("a", "b", "c"))
    warm = deployment.process()
    warm.refresh()
    remove(PLACE, warm.store)
    for one in (warm, deployment.process()):
        assert one.refresh() is None
        assert ids(one) == ["number"]
    assert warm.store.document(GOOD) == b"parameters"


def test_a_removal_that_dies_before_the_deletion_leaves_the_document_in_force(deployment, monkeypatch):
    deployment.upload(fleet("a"))
    warm = deployment.process()
    warm.refresh()

    def killed(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(S3Documents, "delete", killed)
        with pytest.raises(KeyboardInterrupt):
            remove(PLACE, warm.store)
    for one in (warm, deployment.process()):
        assert one.refresh() is None
        assert ids(one) == ["a"]
    remove(PLACE, warm.store)
    assert warm.refresh() is None
    assert ids(warm) == ["number"]


def test_a_removal_that_s3_refuses_excuses_no_later_absence(deployment, monkeypatch):
    deployment.upload(fleet("a"))
    warm = deployment.process()
    warm.refresh()

    def refused(_):
        raise ConfigurationError("cannot be deleted")

    with monkeypatch.context() as patched:
        patched.setattr(S3Documents, "delete", refused)
        with pytest.raises(ConfigurationError, match="cannot be deleted"):
            remove(PLACE, warm.store)
    deployment.delete()
    assert "it was there" in warm.refresh().detail


def test_one_look_that_s3_did_not_answer_is_no_news_and_leaves_no_trace(deployment):
    deployment.upload(fleet("a"))
    first, second = deployment.process(), deployment.process()
    first.refresh()
    client = first._documents._client

    def slow_down(_, **__):
        raise ClientError({"Error": {"Code": "503"}}, "HeadObject")

    client.meta.events.register("before-call.s3.HeadObject", slow_down, unique_id="slow")
    assert first.refresh() is None
    client.meta.events.unregister("before-call.s3.HeadObject", unique_id="slow")
    assert [one.refresh() for one in (first, second, first)] == [None] * 3


def test_a_file_that_vanished_is_told_after_some_looks_and_what_is_in_memory_goes_on(tmp_path):
    path = tmp_path / "fleet.yaml"
    path.write_text(fleet("a"))
    state = f"sqlite:{tmp_path / 'state.db'}"
    application = Application(state, str(path), {})
    application.refresh()
    path.unlink()
    assert [application.refresh() for _ in range(2)] == [None, None]
    assert "cannot be read (No such file or directory)" in application.refresh().detail
    assert ids(application) == ["a"]
    path.write_text(fleet("b"))
    assert application.refresh() is None
    assert ids(application) == ["b"]
    application.close()


def test_a_cold_start_without_its_file_is_one_clear_error(tmp_path):
    application = Application(f"sqlite:{tmp_path / 'state.db'}", str(tmp_path / "fleet.yaml"), {})
    with pytest.raises(ConfigurationError, match=r"fleet\.yaml: cannot be read \(No such file or directory\); give its"):
        application.refresh()
    application.close()

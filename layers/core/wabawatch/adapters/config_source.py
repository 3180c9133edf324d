"""Read the configuration's text from a file, or from an object in S3 with its versions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from wabawatch.adapters.aws import RETRY, error_code, is_transient
from wabawatch.application.config_reload import MissingDocumentError
from wabawatch.errors import ConfigurationError, UnavailableError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class ConfigDocument(msgspec.Struct, frozen=True):
    """A text with its version: a file's time and size, or an object's version ID."""

    body: bytes
    version: str


class ConfigSource(Protocol):
    """A place that holds one document. Every method raises ConfigurationError, or UnavailableError where a retry can
    succeed."""

    name: str

    def read(self, unless: str | None = None) -> ConfigDocument | None:
        """Return the document, or None while its version is still `unless`. Raises MissingDocumentError where the place
        holds none."""
        ...

    def version(self, version_id: str | None, mark: str) -> ConfigDocument:
        """Return an earlier version."""
        ...


class FileConfigSource:
    """A file on this machine."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path

    def read(self, unless: str | None = None) -> ConfigDocument | None:
        try:
            about = self._path.stat()
            version = f"{about.st_mtime_ns}-{about.st_size}-{about.st_ino}"
            return None if version == unless else ConfigDocument(self._path.read_bytes(), version)
        except OSError as error:
            advice = "give its path with --config or WABAWATCH_CONFIG"
            raise ConfigurationError(f"{self.name}: cannot be read ({error.strerror}); {advice}") from error

    def version(self, version_id: str | None, mark: str) -> ConfigDocument:
        """Raise ConfigurationError: a file keeps no versions."""
        raise ConfigurationError(f"{self.name}: version {version_id or mark} is gone")


class S3ConfigSource:
    """An object in S3. Its version ID makes the last good one readable after a bad one was uploaded over it."""

    def __init__(self, client: S3Client, location: str) -> None:
        bucket, _, key = location.removeprefix("s3://").partition("/")
        if not bucket or not key:
            raise ConfigurationError(f"{location}: not an S3 location; write s3://BUCKET/KEY")
        self.name = location
        self._client = client
        self._place: dict[str, Any] = {"Bucket": bucket, "Key": key}

    def read(self, unless: str | None = None) -> ConfigDocument | None:
        try:
            about = self._call("read", _READ_ADVICE, lambda: self._client.head_object(**self._place))
        except ConfigurationError as error:
            if error.__cause__ and error_code(error.__cause__) in {"404", "NoSuchKey", "NotFound"}:
                raise MissingDocumentError(f"{self.name}: there is no such object") from error
            raise
        version = str(about.get("VersionId") or about["ETag"])
        return None if version == unless else self.version(version if about.get("VersionId") else None, version)

    def version(self, version_id: str | None, mark: str) -> ConfigDocument:
        """Return a stored version; the present one for None."""
        place = self._place | ({"VersionId": version_id} if version_id else {})
        return ConfigDocument(self._call("read", _READ_ADVICE, lambda: self._get(place)), mark)

    def write(self, body: bytes) -> str:
        """Upload a new version; return its mark."""
        advice = "check the bucket's name, and that you may s3:PutObject there"
        content: dict[str, Any] = {"Body": body, "ContentType": "application/json"}
        done = self._call("written", advice, lambda: self._client.put_object(**self._place, **content))
        return str(done.get("VersionId") or done["ETag"])

    def delete(self) -> None:
        """Delete the present version; the bucket keeps the earlier ones. Deleting nothing is not an error."""
        advice = "check the bucket's name, and that you may s3:DeleteObject there"
        self._call("deleted", advice, lambda: self._client.delete_object(**self._place))

    def _get(self, place: dict[str, Any]) -> bytes:
        return self._client.get_object(**place)["Body"].read()

    def _call(self, participle: str, advice: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - several answers
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - only where S3 is used

        try:
            return call()
        except (BotoCoreError, ClientError) as error:
            code = error_code(error)
            if is_transient(error):
                raise UnavailableError(f"{self.name}: cannot be {participle} for now ({code}); {RETRY}") from error
            raise ConfigurationError(f"{self.name}: cannot be {participle} ({code}); {advice}") from error


_READ_ADVICE = "check that it exists, and that s3:GetObject and s3:GetObjectVersion are allowed"

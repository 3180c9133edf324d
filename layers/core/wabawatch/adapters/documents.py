"""Where the configuration's text is read from: a file, or an object in S3 with its versions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from wabawatch.application.config_reload import MissingDocumentError
from wabawatch.errors import ConfigurationError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Document(msgspec.Struct, frozen=True):
    """A text with the mark by which the same text is known again: a file's time and size, an object's version."""

    body: bytes
    version: str


class Documents(Protocol):
    """A place that holds one document."""

    name: str

    def read(self, unless: str | None = None) -> Document | None:
        """The document; None while its version is still `unless`. Raises MissingDocumentError where the place holds
        none, ConfigurationError where it cannot be read."""
        ...

    def version(self, version_id: str | None, mark: str) -> Document:
        """An earlier version. Raises ConfigurationError where there is none."""
        ...


class FileDocuments:
    """A file on this machine."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path

    def read(self, unless: str | None = None) -> Document | None:
        try:
            about = self._path.stat()
            version = f"{about.st_mtime_ns}-{about.st_size}-{about.st_ino}"
            return None if version == unless else Document(self._path.read_bytes(), version)
        except OSError as error:
            advice = "give its path with --config or WABAWATCH_CONFIG"
            raise ConfigurationError(f"{self.name}: cannot be read ({error.strerror}); {advice}") from error

    def version(self, version_id: str | None, mark: str) -> Document:
        """A file keeps no versions."""
        raise ConfigurationError(f"{self.name}: version {version_id or mark} is gone")


class S3Documents:
    """An object in S3. Its version id makes the last good one readable after a bad one was uploaded over it."""

    def __init__(self, client: S3Client, location: str) -> None:
        bucket, _, key = location.removeprefix("s3://").partition("/")
        if not bucket or not key:
            raise ConfigurationError(f"{location}: not an S3 location; write s3://BUCKET/KEY")
        self.name = location
        self._client = client
        self._bucket = bucket
        self._key = key

    def read(self, unless: str | None = None) -> Document | None:
        about = self._head()
        version = about.get("VersionId") or about["ETag"]
        return None if version == unless else self.version(version if about.get("VersionId") else None, version)

    def version(self, version_id: str | None, mark: str) -> Document:
        """One stored version; the present one for None."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - only where S3 is used

        which = {"VersionId": version_id} if version_id else {}
        try:
            found = self._client.get_object(Bucket=self._bucket, Key=self._key, **which)  # type: ignore[arg-type]
            return Document(found["Body"].read(), mark)
        except (BotoCoreError, ClientError) as error:
            raise _unreadable(self.name, error) from error

    def write(self, body: bytes) -> str:
        """Upload a new version; its mark."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - only where S3 is used

        try:
            done = self._client.put_object(
                Bucket=self._bucket, Key=self._key, Body=body, ContentType="application/json"
            )
        except (BotoCoreError, ClientError) as error:
            advice = "check the bucket's name, and that you may s3:PutObject there"
            raise ConfigurationError(f"{self.name}: cannot be written ({_what(error)}); {advice}") from error
        return done.get("VersionId") or done["ETag"]

    def delete(self) -> None:
        """Delete the present version; the bucket keeps the earlier ones. Deleting nothing is no error."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - only where S3 is used

        try:
            self._client.delete_object(Bucket=self._bucket, Key=self._key)
        except (BotoCoreError, ClientError) as error:
            advice = "check the bucket's name, and that you may s3:DeleteObject there"
            raise ConfigurationError(f"{self.name}: cannot be deleted ({_what(error)}); {advice}") from error

    def _head(self) -> dict[str, str]:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - only where S3 is used

        try:
            about = self._client.head_object(Bucket=self._bucket, Key=self._key)
        except (BotoCoreError, ClientError) as error:
            raise _missing(self.name, error) or _unreadable(self.name, error) from error
        return {key: str(value) for key, value in about.items() if key in {"VersionId", "ETag"}}


def _missing(name: str, error: Exception) -> MissingDocumentError | None:
    code = getattr(error, "response", {}).get("Error", {}).get("Code", "")
    return (
        MissingDocumentError(f"{name}: there is no such object") if code in {"404", "NoSuchKey", "NotFound"} else None
    )


def _unreadable(name: str, error: Exception) -> ConfigurationError:
    advice = "check that it exists, and that s3:GetObject and s3:GetObjectVersion are allowed"
    return ConfigurationError(f"{name}: cannot be read ({_what(error)}); {advice}")


def _what(error: Exception) -> str:
    code = getattr(error, "response", {}).get("Error", {}).get("Code", "")
    return str(code) or type(error).__name__

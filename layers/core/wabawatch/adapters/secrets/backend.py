"""The secret backends: environment variables, files, Secrets Manager and Parameter Store."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from wabawatch.adapters.aws import Clients, is_transient_code, is_transient_refusal
from wabawatch.domain.policy import exponential_delay
from wabawatch.errors import ConfigurationError, NotFetchedError, SecretError

_MAX_BYTES: Final = 64 * 1024

ShouldStop = Callable[[], bool]
"""Returns whether to stop, because the time is over."""


class SecretBackend(Protocol):
    """Reads secrets of one scheme by name."""

    def read(self, names: Sequence[str], stopped: ShouldStop) -> Mapping[str, str | SecretError]:
        """Return the value or the error of each name, with as few calls as possible. Once `stopped`, the rest are
        NotFetchedError."""
        ...


class UnansweredError(SecretError):
    """The backend did not answer; a cached value may still be valid."""


class ClosedBackend:
    """Refuses every name of a scheme that is not allowed here."""

    def __init__(self, scheme: str) -> None:
        self._scheme = scheme

    def read(self, names: Sequence[str], stopped: ShouldStop) -> Mapping[str, str | SecretError]:  # noqa: ARG002 - quick
        advice = "it is not read for a configuration in S3; write secretsmanager:NAME or ssm:NAME"
        return {name: SecretError(f"{self._scheme}:{name}: {advice}") for name in names}


class EnvironmentBackend:
    """Environment variables, except those that hold AWS credentials."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def read(self, names: Sequence[str], stopped: ShouldStop) -> Mapping[str, str | SecretError]:  # noqa: ARG002 - quick
        return {name: self._value(name) for name in names}

    def _value(self, name: str) -> str | SecretError:
        if name.startswith("AWS_"):
            return SecretError(f"env:{name}: variables whose names begin with AWS_ hold credentials and are never sent")
        return self._variables.get(name, _no_variable(name))


class FileBackend:
    """Files with one secret each, as Docker, Kubernetes and systemd provide them."""

    def read(self, names: Sequence[str], stopped: ShouldStop) -> Mapping[str, str | SecretError]:  # noqa: ARG002 - quick
        return {name: _content(name) for name in names}


def _no_variable(name: str) -> SecretError:
    return SecretError(f"env:{name}: there is no such variable in the environment; set it, or correct its name")


def _content(name: str) -> str | SecretError:
    try:
        with Path(name).expanduser().open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        return content.decode() if len(content) <= _MAX_BYTES else SecretError(f"file:{name}: too large for a secret")
    except UnicodeDecodeError:
        return SecretError(f"file:{name}: is no text; store the secret alone, as UTF-8")
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        return SecretError(f"file:{name}: cannot be read ({why}); check the path, and who may read it")


Results = dict[str, str | SecretError]
"""By name: the value, or the reason why there is none."""

_MAX_SECRETS: Final = 20
_MAX_PARAMETERS: Final = 10
"""The largest batches of BatchGetSecretValue and GetParameters."""
_CONCURRENT_CALLS: Final = 4
"""Enough for the 40 calls a second that GetParameters allows by default."""
_PAUSES: Final = tuple(exponential_delay(attempt, first=0.5, limit=2.0) for attempt in range(1, 9))
"""Seconds before a throttled batch is retried, each time after the client has retried a few times itself."""

_ADVICE: Final[Mapping[str, str]] = {
    "ResourceNotFoundException": "there is none of this name here; check the spelling, the account and the region",
    "ParameterNotFound": "there is none of this name here; check the spelling, the account and the region",
    "AccessDeniedException": "access is denied; the role needs {action} on it, and kms:Decrypt if its key is your own;"
    " of a stack's functions only poll reads names below keys/, and only notify those below destinations/",
    "DecryptionFailure": "it cannot be decrypted; the role needs kms:Decrypt on its key, which must be enabled",
    "InvalidKeyId": "it cannot be decrypted; the role needs kms:Decrypt on its key, which must be enabled",
    "InvalidRequestException": "it cannot be read as it is; it may be scheduled for deletion",
    "InvalidParameterException": "this is not a name that the service accepts; check the spelling",
    "ValidationException": "this is not a name that the service accepts; check the spelling",
}
"""Advice for errors that a retry cannot help."""

_log = logging.getLogger(__name__)


class _PassingError(Exception):
    """AWS cannot answer at the moment: no network, no credentials yet, throttling, a server error."""


class _ThrottledError(_PassingError):
    """AWS throttles the call; a retry some seconds later may succeed."""


class _Service:
    """Calls one service; creates its client on first use."""

    def __init__(self, name: str, clients: Clients) -> None:
        self._name = name
        self._clients = clients
        self._client: Any = None

    def call(self, operation: str, **parameters: object) -> Mapping[str, Any]:
        """Call an operation. Raises _RefusedError, or _PassingError."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - only with AWS

        try:
            self._client = self._client or self._clients(self._name)
            return dict(getattr(self._client, operation)(**parameters))
        except ClientError as error:
            raise _failure(error.response) from None
        except BotoCoreError as error:
            raise _PassingError(type(error).__name__) from None
        except ConfigurationError as error:  # the factory's, where there is no region or the like
            raise _PassingError(str(error)) from None


class _RefusedError(Exception):
    """AWS refused the call permanently. The text is the error code."""


def _failure(response: Mapping[str, Any]) -> _RefusedError | _PassingError:
    code = str(response.get("Error", {}).get("Code", ""))
    if "Throttl" in code or "TooMany" in code:
        return _ThrottledError(code)
    return _PassingError(code) if is_transient_refusal(response) or _may_pass(code) else _RefusedError(code)


class SecretsManager:
    """Reads one secret by GetSecretValue; several by BatchGetSecretValue, or one by one if that is refused."""

    def __init__(self, clients: Clients) -> None:
        self._service = _Service("secretsmanager", clients)

    def read(self, names: Sequence[str], stopped: ShouldStop) -> Mapping[str, str | SecretError]:
        return _read_batches("secretsmanager", names, _MAX_SECRETS, self._some, stopped)

    def _some(self, names: Sequence[str]) -> Results:
        return self._batch(names) if len(names) > 1 else self._one(names[0])

    def _batch(self, names: Sequence[str]) -> Results:
        found: Results = {}
        try:
            for page in self._pages(names):
                found |= _read_page(page, names)
        except _RefusedError as refusal:
            _log.info("BatchGetSecretValue is refused (%s); reading %d secrets one by one", refusal, len(names))
            return _each(self._one, names)
        return found

    def _pages(self, names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        """Yield the pages of a response, at most one for each name."""
        further: dict[str, object] = {}
        for _ in names:
            page = self._service.call("batch_get_secret_value", SecretIdList=list(names), **further)
            yield page
            if not page.get("NextToken"):
                return
            further = {"NextToken": page["NextToken"]}

    def _one(self, name: str) -> Results:
        try:
            return {name: _text(name, self._service.call("get_secret_value", SecretId=name))}
        except _RefusedError as refusal:
            return _explain_refusal("secretsmanager", name, str(refusal))


def _read_page(page: Mapping[str, Any], names: Sequence[str]) -> Results:
    found: Results = {}
    for secret in page.get("SecretValues", ()):
        arn = secret.get("ARN", "")
        for name in {secret.get("Name"), arn, arn.rpartition("-")[0]}.intersection(names):
            found[name] = _text(name, secret)
    for error in page.get("Errors", ()):
        found |= _explain_refusal("secretsmanager", error.get("SecretId", ""), error.get("ErrorCode", ""))
    return found


class ParameterStore:
    """Reads SecureString and plain parameters by GetParameters; a name may have a version or label, as `name:3`."""

    def __init__(self, clients: Clients) -> None:
        self._service = _Service("ssm", clients)

    def read(self, names: Sequence[str], stopped: ShouldStop) -> Mapping[str, str | SecretError]:
        return _read_batches("ssm", names, _MAX_PARAMETERS, self._some, stopped)

    def _some(self, names: Sequence[str]) -> Results:
        try:
            answer = self._service.call("get_parameters", Names=list(names), WithDecryption=True)
        except _RefusedError as refusal:
            if len(names) == 1:
                return _explain_refusal("ssm", names[0], str(refusal))
            return _each(self._one, names)  # a single name that is denied or malformed fails the whole call
        found: Results = {}
        for parameter in answer.get("Parameters", ()):
            found |= dict.fromkeys(_aliases(parameter).intersection(names), str(parameter["Value"]))
        for name in answer.get("InvalidParameters", ()):
            found |= _explain_refusal("ssm", name, "ParameterNotFound")
        return found

    def _one(self, name: str) -> Results:
        return self._some([name])


def _aliases(parameter: Mapping[str, Any]) -> set[str]:
    """Return all names by which a parameter can be requested: name or ARN, with or without version or label."""
    name, arn = parameter.get("Name", ""), parameter.get("ARN", "")
    selector = parameter.get("Selector") or ""
    version = f":{parameter.get('Version')}"
    return {name + selector, arn + selector, name + version, arn + version}


_Read = Callable[[Sequence[str]], Results]


def _read_batches(scheme: str, names: Sequence[str], size: int, read: _Read, stopped: ShouldStop) -> Results:
    """Read in batches as large as the service allows, a few calls concurrently, until `stopped`.

    The first call goes alone: if AWS does not answer, the others would only repeat the wait."""
    first, *others = [names[start : start + size] for start in range(0, len(names), size)]
    reader = _BatchReader(read, stopped, _PAUSES if others else ())
    found = reader.read(first)
    if others:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - a few secrets come with one call

        with ThreadPoolExecutor(_CONCURRENT_CALLS, thread_name_prefix=scheme) as threads:
            for results in threads.map(reader.read, others):
                found |= results
    return {name: found.get(name) or reader.explain(scheme, name) for name in names}


class _BatchReader:
    """Reads batches, waits when AWS throttles, and gives up after any other temporary error."""

    def __init__(self, read: _Read, stopped: ShouldStop, pauses: Sequence[float]) -> None:
        self._read = read
        self._stopped = stopped
        self._pauses = pauses
        self._trouble = ""
        self._is_late = False

    def read(self, names: Sequence[str]) -> Results:
        """Return the results of a batch; {} if it was not read."""
        for pause in (*self._pauses, None):
            if self._trouble or self._is_over():
                return {}
            try:
                return self._read(names)
            except _ThrottledError as error:
                if pause is None:
                    self._give_up(error)
                else:
                    time.sleep(pause)
            except _PassingError as error:
                self._give_up(error)
        return {}

    def explain(self, scheme: str, name: str) -> SecretError:
        """Return why a secret was not read."""
        if self._is_late and not self._trouble:
            return NotFetchedError(f"{scheme}:{name}: not read in time")
        return _unanswered(scheme, name, self._trouble or "no answer about it")

    def _is_over(self) -> bool:
        self._is_late = self._is_late or self._stopped()
        return self._is_late

    def _give_up(self, error: _PassingError) -> None:
        self._trouble = str(error)
        _log.warning("AWS cannot be asked for secrets at the moment: %s", error)


def _unanswered(scheme: str, name: str, trouble: str) -> UnansweredError:
    return UnansweredError(f"{scheme}:{name}: AWS cannot be asked for it at the moment: {trouble}")


def _each(read: Callable[[str], Results], names: Sequence[str]) -> Results:
    return {name: value for requested in names for name, value in read(requested).items()}


def _text(name: str, secret: Mapping[str, Any]) -> str | SecretError:
    text = secret.get("SecretString")
    if text is not None:
        return str(text)
    try:
        return bytes(secret.get("SecretBinary", b"")).decode()
    except UnicodeDecodeError:
        return SecretError(f"secretsmanager:{name}: is binary; store the secret as text")


def _explain_refusal(scheme: str, name: str, code: str) -> Results:
    """Return the error of a refused secret, permanent or temporary."""
    if _may_pass(code):
        return {name: _unanswered(scheme, name, code)}
    action = "ssm:GetParameters" if scheme == "ssm" else "secretsmanager:GetSecretValue"
    advice = _ADVICE.get(code, "it cannot be read").format(action=action)
    return {name: SecretError(f"{scheme}:{name}: {advice} ({code})")}


def _may_pass(code: str) -> bool:
    """Return whether a refusal can end by itself; so does an expired token, which the role renews."""
    return is_transient_code(code) or any(word in code for word in ("TooMany", "Token", "Internal"))

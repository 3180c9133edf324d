"""The vaults of AWS: Secrets Manager and the Systems Manager Parameter Store."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from wabawatch.adapters.secrets.vaults import Stopped, UnansweredError
from wabawatch.errors import ConfigurationError, NotFetchedError, SecretError

Clients = Callable[[str], Any]
"""Makes the boto3 client of a service by its name."""

Verdicts = dict[str, str | SecretError]
"""By name: the value, or why there is none."""

_MOST_SECRETS: Final = 20
_MOST_PARAMETERS: Final = 10
"""What BatchGetSecretValue and GetParameters take at once."""
_CALLS_AT_ONCE: Final = 4
"""Enough for the 40 calls a second that GetParameters takes unless an account has asked for more."""
_PAUSES: Final = (0.5, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0)
"""Seconds before a throttled pack is asked for again, each time after the client has tried a few times itself."""

_SERVER_ERROR: Final = 500
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
"""Errors that trying again cannot heal, with what to do; all others may pass."""

_log = logging.getLogger(__name__)


class _PassingError(Exception):
    """AWS cannot be asked at the moment: no network, no credentials yet, too many requests, an error of its own."""


class _ThrottledError(_PassingError):
    """AWS takes no more calls a second; a few seconds later it does."""


class _Service:
    """One service's client, made when it is first needed."""

    def __init__(self, name: str, clients: Clients) -> None:
        self._name = name
        self._clients = clients
        self._client: Any = None

    def call(self, operation: str, **parameters: object) -> Mapping[str, Any]:
        """Raises _RefusedError, or _PassingError."""
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
    """AWS answered that it will not. The text is the service's code."""


def _failure(response: Mapping[str, Any]) -> _RefusedError | _PassingError:
    code = str(response.get("Error", {}).get("Code", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    passing = status >= _SERVER_ERROR or _may_pass(code)
    if "Throttl" in code or "TooMany" in code:
        return _ThrottledError(code)
    return _PassingError(code) if passing else _RefusedError(code)


class SecretsManager:
    """One secret by GetSecretValue; several by BatchGetSecretValue, or one by one where the role may not batch."""

    def __init__(self, clients: Clients) -> None:
        self._service = _Service("secretsmanager", clients)

    def read(self, names: Sequence[str], stopped: Stopped) -> Mapping[str, str | SecretError]:
        return _read_packs("secretsmanager", names, _MOST_SECRETS, self._some, stopped)

    def _some(self, names: Sequence[str]) -> Verdicts:
        return self._batch(names) if len(names) > 1 else self._one(names[0])

    def _batch(self, names: Sequence[str]) -> Verdicts:
        found: Verdicts = {}
        try:
            for page in self._pages(names):
                found |= _read_page(page, names)
        except _RefusedError as refusal:
            _log.info("BatchGetSecretValue is refused (%s); reading %d secrets one by one", refusal, len(names))
            return _each(self._one, names)
        return found

    def _pages(self, names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        """Yield the pages of one answer, at most one for each name."""
        further: dict[str, object] = {}
        for _ in names:
            page = self._service.call("batch_get_secret_value", SecretIdList=list(names), **further)
            yield page
            if not page.get("NextToken"):
                return
            further = {"NextToken": page["NextToken"]}

    def _one(self, name: str) -> Verdicts:
        try:
            return {name: _text(name, self._service.call("get_secret_value", SecretId=name))}
        except _RefusedError as refusal:
            return _verdict("secretsmanager", name, str(refusal))


def _read_page(page: Mapping[str, Any], names: Sequence[str]) -> Verdicts:
    found: Verdicts = {}
    for secret in page.get("SecretValues", ()):
        arn = secret.get("ARN", "")
        for name in {secret.get("Name"), arn, arn.rpartition("-")[0]}.intersection(names):
            found[name] = _text(name, secret)
    for error in page.get("Errors", ()):
        found |= _verdict("secretsmanager", error.get("SecretId", ""), error.get("ErrorCode", ""))
    return found


class ParameterStore:
    """SecureString and plain parameters by GetParameters; a name may carry a version or label, as `name:3`."""

    def __init__(self, clients: Clients) -> None:
        self._service = _Service("ssm", clients)

    def read(self, names: Sequence[str], stopped: Stopped) -> Mapping[str, str | SecretError]:
        return _read_packs("ssm", names, _MOST_PARAMETERS, self._some, stopped)

    def _some(self, names: Sequence[str]) -> Verdicts:
        try:
            answer = self._service.call("get_parameters", Names=list(names), WithDecryption=True)
        except _RefusedError as refusal:
            if len(names) == 1:
                return _verdict("ssm", names[0], str(refusal))
            return _each(self._one, names)  # a single name that is denied or malformed fails the whole call
        found: Verdicts = {}
        for parameter in answer.get("Parameters", ()):
            found |= dict.fromkeys(_names(parameter).intersection(names), str(parameter["Value"]))
        for name in answer.get("InvalidParameters", ()):
            found |= _verdict("ssm", name, "ParameterNotFound")
        return found

    def _one(self, name: str) -> Verdicts:
        return self._some([name])


def _names(parameter: Mapping[str, Any]) -> set[str]:
    """All that a parameter may have been asked for by: name or ARN, and after it the version or label."""
    name, arn = parameter.get("Name", ""), parameter.get("ARN", "")
    selector = parameter.get("Selector") or ""
    version = f":{parameter.get('Version')}"
    return {name + selector, arn + selector, name + version, arn + version}


_Read = Callable[[Sequence[str]], Verdicts]


def _read_packs(scheme: str, names: Sequence[str], size: int, read: _Read, stopped: Stopped) -> Verdicts:
    """Read as many with each call as the service takes, a few calls side by side, until `stopped`.

    The first call goes alone: where AWS cannot be asked, the others would only wait as long again."""
    first, *others = [names[start : start + size] for start in range(0, len(names), size)]
    packs = _Packs(read, stopped, _PAUSES if others else ())
    found = packs.read(first)
    if others:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - a few secrets come with one call

        with ThreadPoolExecutor(_CALLS_AT_ONCE, thread_name_prefix=scheme) as threads:
            for verdicts in threads.map(packs.read, others):
                found |= verdicts
    return {name: found.get(name) or packs.explain(scheme, name) for name in names}


class _Packs:
    """Reads pack after pack, waits where AWS throttles, and ends with the first other sign that it cannot be asked."""

    def __init__(self, read: _Read, stopped: Stopped, pauses: Sequence[float]) -> None:
        self._read = read
        self._stopped = stopped
        self._pauses = pauses
        self._trouble = ""
        self._is_late = False

    def read(self, names: Sequence[str]) -> Verdicts:
        """The verdicts of a pack; none where it was not read."""
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
        """Why a secret was not read."""
        if self._is_late and not self._trouble:
            return NotFetchedError(f"{scheme}:{name}: the time was over before it could be read")
        return _unanswered(scheme, name, self._trouble or "no answer about it")

    def _is_over(self) -> bool:
        self._is_late = self._is_late or self._stopped()
        return self._is_late

    def _give_up(self, error: _PassingError) -> None:
        self._trouble = str(error)
        _log.warning("AWS cannot be asked for secrets at the moment: %s", error)


def _unanswered(scheme: str, name: str, trouble: str) -> UnansweredError:
    return UnansweredError(f"{scheme}:{name}: AWS cannot be asked for it at the moment: {trouble}")


def _each(read: Callable[[str], Verdicts], names: Sequence[str]) -> Verdicts:
    return {name: value for one in names for name, value in read(one).items()}


def _text(name: str, secret: Mapping[str, Any]) -> str | SecretError:
    text = secret.get("SecretString")
    if text is not None:
        return str(text)
    try:
        return bytes(secret.get("SecretBinary", b"")).decode()
    except UnicodeDecodeError:
        return SecretError(f"secretsmanager:{name}: is binary; store the secret as text")


def _verdict(scheme: str, name: str, code: str) -> Verdicts:
    """Why there is no value: for good, or for the moment."""
    if _may_pass(code):
        return {name: _unanswered(scheme, name, code)}
    action = "ssm:GetParameters" if scheme == "ssm" else "secretsmanager:GetSecretValue"
    notified = _ADVICE.get(code, "it cannot be read").format(action=action)
    return {name: SecretError(f"{scheme}:{name}: {notified} ({code})")}


def _may_pass(code: str) -> bool:
    return any(word in code for word in ("Throttl", "TooMany", "Token", "Internal", "ServiceUnavailable"))

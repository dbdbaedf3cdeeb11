"""Keeps secrets out of what libraries log and raise: WoTPy and amqtt write brokers' URLs with passwords."""

from __future__ import annotations

import logging
from typing import Any

HIDDEN = "***"
_secrets: list[str] = []


def hide(secret: str) -> None:
    """Replace this secret by `HIDDEN` from now on, in log records and wherever `redacted` is called."""
    if not _secrets:
        logging.setLogRecordFactory(_redacting(logging.getLogRecordFactory()))
    _secrets.append(secret)


def redacted(text: str) -> str:
    """The text without the secrets."""
    for secret in _secrets:
        text = text.replace(secret, HIDDEN)
    return text


def _redacting(make: Any) -> Any:
    def made(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record: logging.LogRecord = make(*args, **kwargs)
        try:
            text = record.getMessage()
        except Exception:  # arguments that do not fit: logging reports that when the record is formatted
            return record
        if (plain := redacted(text)) != text:
            record.msg, record.args = plain, ()
        if record.exc_info and record.exc_info[0] is not None:
            formatted = logging.Formatter().formatException(record.exc_info)
            if redacted(formatted) != formatted:
                record.exc_text = redacted(formatted)
        return record

    return made

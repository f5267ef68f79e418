"""What every section shares: frozen, without unknown keys, in bytes and seconds, fit to be shown."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from smartnode.config.units import duration, rate, size
from smartnode.domain.pieces import Bytes

Size = Annotated[Bytes, BeforeValidator(size)]
Rate = Annotated[Bytes, BeforeValidator(rate)]
Duration = Annotated[timedelta, BeforeValidator(duration)]


def plain(text: str) -> str:
    """Return *text*; ValueError when it holds a character that cannot be shown."""
    if not text.isprintable():
        message = f"{text!r} holds a character that cannot be shown"
        raise ValueError(message)
    return text


Plain = Annotated[str, AfterValidator(plain)]


class Section(BaseModel):
    """One section of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

"""[selection]: what the node may fetch; a box or a pattern that cannot select anything is a mistake and refused."""

from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from smartnode.config.section import Section, Size, plain

Pattern = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(plain)]
Degrees = Annotated[float, Field(strict=True, allow_inf_nan=False)]

_BOX_FORM = "use [west, south, east, north] in degrees, -180 to 180 and -90 to 90, south below north"
_EDGES = 4


class SelectionKeys(Section):
    """Which items may be fetched; what is held stays."""

    include: tuple[Pattern, ...] = Field(default=(), description="collections or ids, with * and ?; empty: all")
    exclude: tuple[Pattern, ...] = Field(default=(), description="collections or ids that are left out")
    bbox: tuple[Degrees, ...] = Field(default=(), description="west, south, east, north; empty: everywhere")
    max_item_size: Size | None = Field(default=None, gt=0, description="larger items are left out")
    target_copies: int | None = Field(
        default=None, ge=1, le=1000, description="with so many copies elsewhere a segment is not fetched"
    )

    @field_validator("bbox")
    @classmethod
    def _is_box(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value:
            return value
        inside = len(value) == _EDGES and all(
            abs(edge) <= limit for edge, limit in zip(value, (180, 90, 180, 90), strict=True)
        )
        if not inside or value[1] > value[3]:
            message = f"{list(value)} is no box, {_BOX_FORM}"
            raise ValueError(message)
        return value

    @property
    def box(self) -> tuple[float, float, float, float] | None:
        """The box, None where there is none."""
        if len(self.bbox) != _EDGES:
            return None
        west, south, east, north = self.bbox
        return west, south, east, north

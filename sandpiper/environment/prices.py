"""Contains the prices that estimates of costs use, for an account or a region that pays others than the list prices."""

import dataclasses
from typing import Any

from sandpiper.environment.options import Options, option
from sandpiper_contract.prices import LIST_PRICES, Prices

MAX_USD = 1_000
_USD = f"a number of US dollars from 0 to {MAX_USD:,}"


def _price(title: str, default: float | None, allowed: str = _USD) -> Any:
    return option(title, allowed, default, ge=0, le=MAX_USD, allow_inf_nan=False)


class PriceOptions(Options):
    """Prices in US dollars, and what estimates assume about sessions. The defaults are the list prices of us-east-1."""

    vcpu_hour: float = _price("an hour of a processor of a session", LIST_PRICES.vcpu_hour)
    gb_hour: float = _price("an hour of a gigabyte of memory of a session", LIST_PRICES.gb_hour)
    lambda_gb_second: float | None = _price(
        "a second of a gigabyte of memory of the session function; without it, the list price of its architecture", None
    )
    lambda_request: float = _price("an invocation of the session function", LIST_PRICES.lambda_request)
    state_transition: float = _price("a state transition of a standard workflow", LIST_PRICES.state_transition)
    assumed_vcpus: float = option(
        "processors that a program is assumed to use while it runs",
        "a number of processors from 0 to 2",
        LIST_PRICES.assumed_vcpus,
        ge=0,
        le=2,
        allow_inf_nan=False,
    )
    assumed_gb: float = option(
        "gigabytes of memory that a session is assumed to use while it is live",
        "a number of gigabytes from 0 to 8",
        LIST_PRICES.assumed_gb,
        ge=0,
        le=8,
        allow_inf_nan=False,
    )

    @property
    def changed(self) -> dict[str, Any]:
        """Returns the fields of `Prices` that differ from the list prices."""
        set_values = {name: value for name, value in self.model_dump().items() if value is not None}
        values: dict[str, Any] = {
            name: value for name, value in set_values.items() if value != getattr(LIST_PRICES, name)
        }
        if self.lambda_gb_second is not None:
            values["lambda_gb_second"] = dict.fromkeys(LIST_PRICES.lambda_gb_second, self.lambda_gb_second)
        return values

    @property
    def prices(self) -> Prices:
        """Returns the prices and the assumptions."""
        return dataclasses.replace(LIST_PRICES, **self.changed)

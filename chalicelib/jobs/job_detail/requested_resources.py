"""Reads which vCPUs, memory and GPUs the containers of a job request, in any of AWS's notations."""

import re
from collections.abc import Callable, Iterable, Sequence

from chalicelib.jobs.job_detail.shapes import Container, EksResources

_QUANTITY = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_UNITS = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12} | {
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
}


def requested_vcpus(containers: Sequence[Container]) -> float | None:
    """Return the vCPUs of all containers; None if none of them states any."""
    return _total(containers, lambda c: _requirement(c, "VCPU", "cpu") or c.vcpus)


def requested_memory(containers: Sequence[Container]) -> int | None:
    """Return the MiB of all containers; None if none of them states any."""
    return _rounded(_total(containers, _mebibytes))


def requested_gpus(containers: Sequence[Container]) -> int | None:
    """Return the GPUs of all containers; None if none of them states any."""
    return _rounded(_total(containers, lambda c: _requirement(c, "GPU", "nvidia.com/gpu")))


def _mebibytes(container: Container) -> float | None:
    """Return the memory in MiB, AWS Batch's unit. Kubernetes states bytes."""
    kubernetes_bytes = _requirement(container, None, "memory")
    if kubernetes_bytes:
        return kubernetes_bytes / 2**20
    return _requirement(container, "MEMORY", None) or container.memory


def _requirement(container: Container, batch: str | None, kubernetes: str | None) -> float | None:
    """Return the quantity of a resource by its name in AWS Batch or in Kubernetes."""
    for requirement in container.resource_requirements or ():
        if requirement.type == batch:
            return _quantity(requirement.value)
    resources = container.resources or EksResources()
    for quantities in (resources.limits, resources.requests):
        if kubernetes and quantities and kubernetes in quantities:
            return _quantity(quantities[kubernetes])
    return None


def _quantity(text: str) -> float | None:
    """Parse a number of AWS Batch ("2", "0.5") or of Kubernetes ("500m", "1024Mi")."""
    found = _QUANTITY.fullmatch(text)
    return float(found[1]) * _UNITS.get(found[2], 1) if found else None


def _total(
    containers: Iterable[Container], amount_of: Callable[[Container], float | None]
) -> float | None:
    known = [amount for amount in map(amount_of, containers) if amount is not None]
    return sum(known) if known else None


def _rounded(amount: float | None) -> int | None:
    return None if amount is None else round(amount)

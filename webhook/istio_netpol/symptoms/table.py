"""The table of symptoms, in the order in which rows win where several match."""

from __future__ import annotations

from istio_netpol.symptoms.ambient import AMBIENT
from istio_netpol.symptoms.answers import ANSWERS
from istio_netpol.symptoms.clients import CLIENTS
from istio_netpol.symptoms.control_plane import CONTROL_PLANE
from istio_netpol.symptoms.elsewhere import ELSEWHERE
from istio_netpol.symptoms.extensions import KEYS, SERVICES
from istio_netpol.symptoms.names import NAMES
from istio_netpol.symptoms.proxies import PROXIES
from istio_netpol.symptoms.symptom import Symptom

SYMPTOMS: tuple[Symptom, ...] = (
    *ELSEWHERE,
    *KEYS,
    *SERVICES,
    *AMBIENT,
    *CONTROL_PLANE,
    *NAMES,
    *PROXIES,
    *ANSWERS,
    *CLIENTS,
)

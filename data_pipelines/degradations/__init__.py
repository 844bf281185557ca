"""What may happen to an image between the camera and the server."""

from dsr.data_pipelines.degradations.base import Degradation, Degraded

__all__ = ["Degradation", "Degraded"]

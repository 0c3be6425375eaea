"""The HTML door: pages for officers, coordinators, administrators, and contacts who only have a link."""

from coordinator.web.mounting import install

__all__ = ["install"]

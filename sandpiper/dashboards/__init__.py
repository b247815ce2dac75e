"""The offline preview of dashboards: reads their bodies from a cloud assembly and draws them as a page and pictures."""

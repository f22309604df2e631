"""PromQL that several metrics need. `$__rate_interval` is Grafana's."""


def rate(by: str, name: str) -> str:
    """Rate of a counter, summed but for the labels `by`."""
    return f"sum by ({by}) (rate({name}[$__rate_interval]))"


def quantiles(name: str, by: str = "") -> tuple[tuple[str, str], ...]:
    """Median and tail of a histogram, as queries with their legends."""
    labels, legend = (f"le, {by}", f" {{{{{by}}}}}") if by else ("le", "")
    return tuple(
        (f"histogram_quantile({q}, {rate(labels, f'{name}_bucket')})", f"p{100 * q:g}{legend}") for q in (0.5, 0.99)
    )


def mean(name: str, window: str = "$__rate_interval", by: str = "instance") -> str:
    """Mean of what a histogram or summary has seen within `window`."""
    return f"sum by ({by}) (rate({name}_sum[{window}])) / sum by ({by}) (rate({name}_count[{window}]))"


def share(verdict: str) -> str:
    """Share of the frames of five minutes that got this verdict, at each server."""
    frames = "isthmus_frames_total"
    part = f'sum by (instance) (rate({frames}{{verdict="{verdict}"}}[5m]))'
    return f"{part} / sum by (instance) (rate({frames}[5m]))"

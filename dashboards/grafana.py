"""A dashboard in few words: rows, panels and queries as Grafana's JSON wants them (schema of Grafana 11 and 12)."""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24

GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "yellow", "orange", "red", "blue", "text"


# Queries ------------------------------------------------------------------------------------------------------------

def rate(metric, where, by):
    return f"sum by ({by}) (rate({metric}{{{where}}}[$__rate_interval]))"


def quantile(q, metric, where, by=""):
    """Of classic buckets, or of native histograms where the Prometheus keeps only those."""
    le = f"le, {by}" if by else "le"
    classic = f"histogram_quantile({q}, {rate(metric + '_bucket', where, le)})"
    native = f"histogram_quantile({q}, {rate(metric, where, by)})" if by else \
        f"histogram_quantile({q}, sum(rate({metric}{{{where}}}[$__rate_interval])))"
    return f"{classic} or {native}"


def mean(metric, where, by):
    classic = f"{rate(metric + '_sum', where, by)} / {rate(metric + '_count', where, by)}"
    native = rate(metric, where, by)
    return f"{classic} or histogram_sum({native}) / histogram_count({native})"


def seconds_a_second(metric, where, by):
    """How much of each second goes into it."""
    return f"{rate(metric + '_sum', where, by)} or histogram_sum({rate(metric, where, by)})"


def query(expr, legend="__auto", instant=False, format="time_series", **more):
    return {"expr": expr, "legendFormat": legend, "instant": instant, "range": not instant, "format": format,
            "editorMode": "code", "datasource": DATASOURCE, **more}


def quantiles(metric, where):
    return [query(quantile(q, metric, where), name) for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))]


def buckets(metric, where):
    """For a heatmap: classic buckets, and the same as a native histogram; a Prometheus that keeps one has no data of the other."""
    return [
        query(f"sum by (le) (increase({metric}_bucket{{{where}}}[$__rate_interval]))", "{{le}}", format="heatmap"),
        query(f"sum(increase({metric}{{{where}}}[$__rate_interval]))", format="heatmap"),
    ]


# Panels -------------------------------------------------------------------------------------------------------------

def steps(*bounds):
    """`steps(GREEN, (0.8, YELLOW), (0.95, RED))`"""
    first, *rest = bounds
    return {"mode": "absolute",
            "steps": [{"value": None, "color": first}] + [{"value": value, "color": color} for value, color in rest]}


def panel(kind, title, description, unit, targets, width, height, options, custom=None, thresholds=None, mappings=(),
          least=None, most=None, decimals=None, overrides=(), links=(), color=None, transformations=(), interval=None):
    defaults = {"unit": unit, "thresholds": thresholds or steps(GREEN), "mappings": list(mappings),
                "color": color or {"mode": "thresholds" if thresholds else "palette-classic"},
                "custom": custom or {}, "links": list(links)}
    for name, value in (("min", least), ("max", most), ("decimals", decimals)):
        if value is not None:
            defaults[name] = value
    targets = [{**target, "refId": "ABCDEFGHIJ"[i]} for i, target in enumerate(targets)]
    made = {"type": kind, "title": title, "description": description, "datasource": DATASOURCE, "targets": targets,
            "fieldConfig": {"defaults": defaults, "overrides": list(overrides)}, "options": options,
            "gridPos": {"w": width, "h": height}, "transformations": list(transformations)}
    return {**made, "interval": interval} if interval else made


def stat(title, description, unit, expr, width=4, height=4, graph=False, text="value", legend="__auto", **more):
    more.setdefault("thresholds", steps(GREEN))
    options = {"colorMode": "background_solid" if not graph else "value", "graphMode": "area" if graph else "none",
               "justifyMode": "auto", "orientation": "auto", "textMode": text, "wideLayout": True,
               "percentChangeColorMode": "standard", "showPercentChange": False,
               "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    return panel("stat", title, description, unit, [query(expr, legend)], width, height, options, **more)


def graph(title, description, unit, targets, width=12, height=8, stack=False, limit=None, **more):
    """`limit`: thresholds are drawn as lines."""
    custom = {"drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 1, "fillOpacity": 25 if stack else 8,
              "showPoints": "auto", "spanNulls": False, "stacking": {"mode": "normal" if stack else "none", "group": "A"},
              "axisSoftMin": 0, "thresholdsStyle": {"mode": "line+area" if limit else "off"}}
    options = {"legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]},
               "tooltip": {"mode": "multi", "sort": "desc"}}
    targets = targets if isinstance(targets, list) else [targets]
    return panel("timeseries", title, description, unit, targets, width, height, options, custom, limit,
                 color={"mode": "palette-classic"}, **more)


def heatmap(title, description, unit, targets, width=12, height=8):
    options = {"calculate": False, "cellGap": 1, "color": {"mode": "scheme", "scheme": "Oranges", "fill": "dark-orange",
               "exponent": 0.5, "scale": "exponential", "steps": 64, "reverse": False}, "exemplars": {"color": "rgba(255,0,255,0.7)"},
               "filterValues": {"le": 1e-9}, "legend": {"show": True}, "rowsFrame": {"layout": "auto"},
               "showValue": "never", "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": True},
               "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit}}
    return panel("heatmap", title, description, unit, targets, width, height, options,
                 {"hideFrom": {"legend": False, "tooltip": False, "viz": False}, "scaleDistribution": {"type": "linear"}},
                 interval="15s")


def timeline(title, description, targets, mappings, width=12, height=8, **more):
    options = {"mergeValues": True, "rowHeight": 0.8, "showValue": "auto", "alignValue": "left",
               "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
               "tooltip": {"mode": "single", "sort": "none"}}
    return panel("state-timeline", title, description, "none", targets, width, height, options,
                 {"fillOpacity": 80, "lineWidth": 0}, steps(GREY), mappings, **more)


def table(title, description, unit, targets, width=24, height=8, **more):
    options = {"showHeader": True, "cellHeight": "sm"}
    return panel("table", title, description, unit, targets, width, height, options,
                 {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False}, **more)


def bars(title, description, unit, expr, legend, width=8, height=8, **more):
    options = {"displayMode": "gradient", "orientation": "horizontal", "valueMode": "color", "minVizWidth": 8, "minVizHeight": 16,
               "maxVizHeight": 300, "namePlacement": "auto", "showUnfilled": True, "sizing": "auto",
               "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []},
               "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    return panel("bargauge", title, description, unit, [query(expr, legend)], width, height, options, least=0, most=1, **more)


def named(values):
    """Numbers that stand for words: `{1: ("running", GREEN)}`."""
    options = {str(n): {"text": text, "color": color, "index": i} for i, (n, (text, color)) in enumerate(values.items())}
    return [{"type": "value", "options": options}]


def column(name, *properties):
    return {"matcher": {"id": "byName", "options": name}, "properties": [{"id": id, "value": value} for id, value in properties]}


# Dashboards ---------------------------------------------------------------------------------------------------------

def variable(name, label, query_, several=True, hidden=False, description=""):
    return {"name": name, "label": label, "description": description, "type": "query", "datasource": DATASOURCE, "hide": 2 if hidden else 0,
            "definition": query_, "query": {"qryType": 1, "query": query_, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
            "includeAll": several, "multi": several, "refresh": 2, "sort": 1, "regex": "", "skipUrlSync": False, "options": [],
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]} if several else
            {"selected": False, "text": "", "value": ""}}


def datasource():
    return {"name": "datasource", "label": "Data source", "description": "The Prometheus that scrapes the nodes", "type": "datasource",
            "query": "prometheus", "current": {"selected": True, "text": "Prometheus", "value": "prometheus"}, "hide": 0,
            "includeAll": False, "multi": False, "refresh": 1, "regex": "", "skipUrlSync": False, "options": []}


def dashboard(uid, title, description, variables, links, rows):
    """`rows`: pairs of a question and its panels, which are laid out from left to right."""
    panels, top, number = [], 0, 0
    for question, content in rows:
        number += 1
        panels.append({"type": "row", "title": question, "id": number, "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1}})
        top, left, height = top + 1, 0, 0
        for made in content:
            width = made["gridPos"]["w"]
            if left + width > WIDTH:
                top, left, height = top + height, 0, 0
            number += 1
            panels.append({**made, "id": number, "gridPos": {"x": left, "y": top, **made["gridPos"]}})
            left, height = left + width, max(height, made["gridPos"]["h"])
        top += height
    return {"uid": uid, "title": title, "description": description, "tags": ["sightwire"], "schemaVersion": 41, "version": 1,
            "editable": True, "fiscalYearStartMonth": 0, "graphTooltip": 1, "id": None, "refresh": "15s", "timezone": "browser",
            "time": {"from": "now-1h", "to": "now"}, "timepicker": {}, "weekStart": "", "links": links, "panels": panels,
            "annotations": {"list": [{
                "name": "Restarts of the program", "enable": True, "hide": False, "iconColor": "purple", "datasource": DATASOURCE,
                # The value is the time at which it is to be shown.
                "expr": '1000 * process_start_time_seconds{instance=~"$instance"}', "useValueForTime": True,
                "titleFormat": "started: {{instance}}", "step": "15s"}]},
            "templating": {"list": variables}}

"""The OpenTelemetry SDK for Python as an application uses it: sends logs, spans and metrics by OTLP/HTTP and ends.

`python send.py URL KEY RUN`. What the test cannot know beforehand (ids and times) is printed as JSON.
"""

import json
import os
import sys
import time

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

url, key, run = sys.argv[1:]
BIG = 9007199254740993
now = time.time_ns() // 1_000_000 * 1_000_000 + 123_457


def to(signal):
    headers = {"Authorization": f"Bearer {key}"}
    return {"endpoint": f"{url}/v1/{signal}", "headers": headers, "compression": Compression.Gzip}


resource = Resource({"service.name": f"py-{run}", "host.name": "web-ü", "process.args": ["a", "b"]})

spans = TracerProvider(resource=resource)
spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(**to("traces"))))
tracer = spans.get_tracer("scope-é", "1.2.3")
linked = SpanContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, True, TraceFlags(1))
parent = tracer.start_span(
    "GET /käse",
    kind=SpanKind.SERVER,
    start_time=now - 100_000_001,
    attributes={"http.route": "/käse", "big": BIG, "ratio": 0.5, "ok": True, "list": ["x", "y"]},
    links=[Link(linked, {"why": "follows"})],
)
within = trace.set_span_in_context(parent)
child = tracer.start_span("SELECT", context=within, kind=SpanKind.CLIENT, start_time=now - 90_000_000)
child.add_event("retry", {"attempt": 2}, timestamp=now - 80_000_000)
child.set_status(Status(StatusCode.ERROR, "deadlock ☠"))
child.end(now - 50_000_000)
parent.set_status(Status(StatusCode.OK))
parent.end(now)

logs = LoggerProvider(resource=resource)
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(**to("logs"))))
logger = logs.get_logger("scope-é", "1.2.3")
for i in range(20):
    logger.emit(
        LogRecord(
            timestamp=now + i,
            observed_timestamp=now + i + 1,
            severity_number=SeverityNumber.WARN2,
            severity_text="WARN",
            body=f"line {i} 日本語 🎉",
            attributes={"i": i, "big": BIG, "bytes": b"\x00\xff", "nested": {"deep": [1, "two"]}},
            context=within,
        )
    )

meters = MeterProvider(
    resource=resource,
    metric_readers=[
        PeriodicExportingMetricReader(OTLPMetricExporter(**to("metrics")), export_interval_millis=3_600_000)
    ],
    exemplar_filter=AlwaysOnExemplarFilter(),
    views=[
        View(instrument_name="*.exponential", aggregation=ExponentialBucketHistogramAggregation()),
        View(instrument_name="*.histogram", aggregation=ExplicitBucketHistogramAggregation((1, 5))),
    ],
)
meter = meters.get_meter("scope-é", "1.2.3")
attributes = {"region": "é"}
described = {"unit": "By", "description": "beschrieben ☕"}
meter.create_counter(f"py.{run}.counter", **described).add(BIG, attributes, within)
meter.create_up_down_counter(f"py.{run}.updown", **described).add(-2.5, attributes)
meter.create_observable_gauge(
    f"py.{run}.gauge", callbacks=[lambda _: [Observation(0.1, attributes)]], **described
)
for kind in ("histogram", "exponential"):
    histogram = meter.create_histogram(f"py.{run}.{kind}", **described)
    for value in (0.5, 2, 2, 7.25):
        histogram.record(value, attributes, within)

flushed = [provider.force_flush() for provider in (spans, logs, meters)]
if not all(flushed):
    sys.exit("an export was given up")
context = parent.get_span_context()
print(
    json.dumps(
        {
            "traceId": f"{context.trace_id:032x}",
            "parentId": f"{context.span_id:016x}",
            "childId": f"{child.get_span_context().span_id:016x}",
            "nowNanos": str(now),
        }
    )
)
sys.stdout.flush()
# What a shutdown would export again is no part of the test.

os._exit(0)

"""What Schemathesis sends as protobuf: bytes of no meaning, as it does for any other binary type."""

import schemathesis

schemathesis.serializer.alias("application/x-protobuf", "application/octet-stream")

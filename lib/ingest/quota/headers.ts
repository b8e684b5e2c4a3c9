// RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-11: lists of named items with `q` quota, `w`
// window, `qu` unit; `r` remaining, `t` effective window), and Retry-After (RFC 9110, section 10.2.3), which goes
// before them. A policy's window is the time in which its bucket fills; `r` is what this isolate knows (its own lease
// and the bucket when it last asked, at most 750 ms ago), never a promise.
import { DIMENSIONS, type Amounts, type Dimension, type QuotaLimits } from "./limits.ts";

/** The largest integer a structured field may hold (RFC 9651, section 3.3.1): what "no quota" is told as. */
const UNLIMITED = 999_999_999_999_999;

/** `records` is a unit of our own; requests are the default. */
const UNITS: { [D in Dimension]: string } = {
  requests: "",
  records: ';qu="records"',
  bytes: ';qu="content-bytes"',
};

export function rateLimitHeaders(
  limits: QuotaLimits | null,
  left: Amounts,
  refusal?: { dimension: Dimension; retryAfterMs: number },
): Record<string, string> {
  const policies: string[] = [];
  const states: string[] = [];
  const retryAfter = refusal && wholeSeconds(refusal.retryAfterMs);
  for (const dimension of DIMENSIONS) {
    const rate = limits?.[dimension];
    if (!rate) continue;
    const { burst, perSecond } = rate;
    const remaining = Math.min(Math.floor(left[dimension] ?? 0), Math.floor(burst));
    const fullInMs = ((burst - remaining) / perSecond) * 1000;
    const seconds = refusal?.dimension === dimension ? retryAfter : wholeSeconds(fullInMs);
    const window = wholeSeconds((burst / perSecond) * 1000);
    policies.push(`"${dimension}";q=${Math.floor(burst)};w=${window}${UNITS[dimension]}`);
    states.push(`"${dimension}";r=${remaining};t=${seconds}`);
  }
  if (policies.length === 0) {
    policies.push(`"unlimited";q=${UNLIMITED}`);
    states.push(`"unlimited";r=${UNLIMITED}`);
  }
  return {
    "RateLimit-Policy": policies.join(", "),
    RateLimit: states.join(", "),
    ...(retryAfter === undefined ? {} : { "Retry-After": String(retryAfter) }),
  };
}

/** At least 1: a client told to wait 0 seconds would come back at once. */
function wholeSeconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000));
}

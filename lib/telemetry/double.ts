// 64-bit floats beyond what JSON's numbers carry: infinities, and NaN with its payload, which in Prometheus tells a stale
// marker from a sample that is no number. Written as text; never computed with as it stands.

/** Prometheus' stale marker (prometheus/prometheus, model/value). */
const STALE_BITS = 0x7ff0000000000002n;
/** The NaN that languages make (model/value: NormalNaN). */
const NAN_BITS = 0x7ff8000000000001n;
const EXPONENT = 0x7ff0000000000000n;
const MANTISSA = 0x000fffffffffffffn;

const view = new DataView(new ArrayBuffer(8));

/** @returns a finite number, or one of `+Inf` `-Inf` `NaN` `stale` `NaN:7ff8…` (its 16 digits) */
export function doubleFromBits(bits: bigint): number | string {
  if ((bits & EXPONENT) !== EXPONENT) {
    view.setBigUint64(0, bits);
    return view.getFloat64(0);
  }
  if ((bits & MANTISSA) === 0n) return bits === EXPONENT ? "+Inf" : "-Inf";
  if (bits === STALE_BITS) return "stale";
  if (bits === NAN_BITS) return "NaN";
  return `NaN:${bits.toString(16).padStart(16, "0")}`;
}

/** The reverse. @returns undefined for a text that is none of them */
export function doubleToBits(value: number | string): bigint | undefined {
  if (typeof value === "number") {
    if (Number.isNaN(value)) return NAN_BITS;
    view.setFloat64(0, value);
    return view.getBigUint64(0);
  }
  if (value === "+Inf") return EXPONENT;
  if (value === "-Inf") return EXPONENT | (1n << 63n);
  if (value === "stale") return STALE_BITS;
  if (value === "NaN") return NAN_BITS;
  const digits = /^NaN:([0-9a-f]{16})$/.exec(value)?.[1];
  if (digits === undefined) return undefined;
  const bits = BigInt(`0x${digits}`);
  return (bits & EXPONENT) === EXPONENT && (bits & MANTISSA) !== 0n ? bits : undefined;
}

// What a connection's failure means to the person who set it up. Names settings, never their values but KAFKA_BROKERS'.
import { KafkaError } from "../errors.ts";

/** What is known of a connection when it fails. */
export interface ConnectionFacts {
  /** host:port */
  address: string;
  tls: boolean;
  sasl: boolean;
  stage: "connecting" | "logging in" | "connected";
  /** The first bytes that came, if any did. */
  firstBytes: Uint8Array | undefined;
}

const NO_TCP = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ETIMEDOUT",
]);
const UNSUPPORTED_SASL_MECHANISM = 33;
const ILLEGAL_SASL_STATE = 34;
const SASL_AUTHENTICATION_FAILED = 58;
/** First byte of a TLS record that carries an alert, and of one that carries a handshake. */
const TLS_RECORDS = [0x15, 0x16];

export function connectionFault(facts: ConnectionFacts, cause: unknown): KafkaError {
  if (cause instanceof KafkaError) return cause;
  const { address, tls, sasl, stage } = facts;
  const strange = strangeAnswer(facts, cause);
  if (strange) return strange;
  const causes = chain(cause);
  const login = stage === "logging in" ? loginFault(address, causes) : undefined;
  if (login) return login;
  const codes = causes.map(({ code }) => code).filter((code) => typeof code === "string");
  const isCertificate = codes.some((code) => /CERT|SELF_SIGNED|ALTNAME|UNABLE_TO/.test(code));
  if (isCertificate) {
    return new KafkaError(
      "misconfigured",
      `the certificate of ${address} is not trusted (${codes.find((code) => !code.startsWith("PLT_"))}): KAFKA_BROKERS must name the host that the certificate is for, and KAFKA_TLS wants one from a public authority`,
      { cause },
    );
  }
  const noTcp = codes.find((code) => NO_TCP.has(code));
  if (stage === "connecting" && tls && !noTcp) {
    // Not every runtime tells a certificate's fault from any other.
    const text = `no TLS with ${address}: its certificate must be for this name and from a public authority; if it does not speak TLS at all, unset KAFKA_TLS`;
    return unreachable(text, cause);
  }
  if (stage === "connecting") {
    const why = noTcp ? ` (${noTcp})` : "";
    return unreachable(`cannot connect to ${address}${why}; see KAFKA_BROKERS`, cause);
  }
  if (facts.firstBytes === undefined) {
    const mends = [
      tls ? undefined : "if it speaks TLS, set KAFKA_TLS",
      sasl ? undefined : "if it wants a login, set KAFKA_SASL_MECHANISM",
    ].filter((mend) => mend !== undefined);
    const advice = mends.length > 0 ? `; ${mends.join("; ")}` : "";
    return unreachable(`${address} closed the connection without an answer${advice}`, cause);
  }
  return unreachable(`the connection to ${address} broke`, cause);
}

/** Bytes that are not Kafka's: told by the first ones, as soon as they come. */
export function strangeAnswer(
  { address, firstBytes }: ConnectionFacts,
  cause?: unknown,
): KafkaError | undefined {
  const [first, second, third, fourth] = firstBytes ?? [];
  if (first === undefined) return undefined;
  if (String.fromCharCode(first, second ?? 0, third ?? 0, fourth ?? 0) === "HTTP") {
    return new KafkaError(
      "bad_answer",
      `an HTTP server answers at ${address}: KAFKA_BROKERS wants the port of Kafka itself, not of its REST proxy`,
      { cause },
    );
  }
  if (TLS_RECORDS.includes(first) && second === 3) {
    return unreachable(`${address} speaks TLS: set KAFKA_TLS`, cause);
  }
  return undefined;
}

function loginFault(address: string, causes: Fault[]): KafkaError | undefined {
  const cause = causes[0];
  const protocolCodes = new Set(causes.map(({ apiCode }) => apiCode));
  if (protocolCodes.has(ILLEGAL_SASL_STATE)) {
    const mend = "unset KAFKA_SASL_MECHANISM, or name its other port in KAFKA_BROKERS";
    return new KafkaError("misconfigured", `${address} takes no login: ${mend}`, { cause });
  }
  if (protocolCodes.has(UNSUPPORTED_SASL_MECHANISM)) {
    const message = `${address} does not know this KAFKA_SASL_MECHANISM`;
    return new KafkaError("misconfigured", message, { cause });
  }
  // The broker's own refusal, or the library's of a server that cannot prove that it knows the password.
  const isRefused =
    protocolCodes.has(SASL_AUTHENTICATION_FAILED) ||
    (causes.every(({ code }) => code === "PLT_KFK_AUTHENTICATION") && causes.length > 0);
  if (!isRefused) return undefined;
  const message = `${address} refuses the login: check KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM`;
  return new KafkaError("unauthorized", message, { cause });
}

interface Fault {
  code?: unknown;
  apiCode?: unknown;
  cause?: unknown;
  errors?: unknown;
}

/** An error, what caused it, and so on; the library gathers several in `errors`. */
function chain(error: unknown): Fault[] {
  if (typeof error !== "object" || error === null) return [];
  const fault: Fault = error;
  const gathered: unknown[] = Array.isArray(fault.errors) ? fault.errors : [];
  return [fault, ...gathered.flatMap(chain), ...chain(fault.cause)];
}

function unreachable(message: string, cause: unknown): KafkaError {
  return new KafkaError("unreachable", message, { cause });
}

// Why a run gives no figures. A bench that lost or invented a record reports that and nothing else.
export type BenchErrorCode = "usage" | "child_failed" | "load_failed" | "counts_differ" | "unsupported";

export class BenchError extends Error {
  override readonly name = "BenchError";
  readonly retryable = false;

  constructor(
    readonly code: BenchErrorCode,
    message: string,
  ) {
    super(message);
  }
}

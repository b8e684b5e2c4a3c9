// A fetch that fails on demand, for transports over HTTP: answers lost after the other side has done its work, and
// calls that are taken and never answered.

export interface FaultyFetch {
  fetch: typeof fetch;
  loseNextAnswer(): Promise<void>;
  hang(): Promise<void>;
  heal(): Promise<void>;
}

export function createFaultyFetch(inner: (request: Request) => Promise<Response>): FaultyFetch {
  let lost = 0;
  let isHanging = false;
  // A Request is told of its caller's abort through a weak reference: one that nobody holds would hang for good.
  const hanging = new Set<Request>();
  const untilAborted = async (request: Request): Promise<never> =>
    await new Promise((_, reject) => {
      const { signal } = request;
      hanging.add(request);
      const fail = () => {
        hanging.delete(request);
        reject(signal.reason as Error);
      };
      if (signal.aborted) fail();
      else signal.addEventListener("abort", fail, { once: true });
    });
  return {
    async fetch(input, init) {
      const request = new Request(input, init);
      if (isHanging) return await untilAborted(request);
      if (lost === 0) return await inner(request);
      lost--;
      const response = await inner(request);
      await response.arrayBuffer();
      throw new TypeError("the connection was cut");
    },
    loseNextAnswer: async () => void lost++,
    hang: async () => void (isHanging = true),
    heal: async () => void (isHanging = false),
  };
}

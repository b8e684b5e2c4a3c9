// Stands in the place of functions/storage.ts in the chaos bundle: the same stores, which fail on demand and stand still
// at the steps of the outbox, and from which one mechanism can be left out.
import { streamStoreOf as deployedStore } from "../../../functions/storage.ts";
import { StorageError, type StreamStore } from "../../../lib/storage/storage.ts";
import { failWhileAway, written } from "./faulty-d1.ts";
import { mutationOf, pass } from "./hooks.ts";

export * from "../../../functions/storage.ts";

export function streamStoreOf(env: Env): ReturnType<typeof deployedStore> {
  const store = deployedStore(env);
  const mutation = mutationOf(env);
  // With D1 the faults come from underneath (faulty-d1.ts).
  const isD1 = (env as { STORAGE?: string }).STORAGE !== "postgres";
  const faulty = async <T>(call: () => Promise<T>): Promise<T> => {
    if (isD1) return await call();
    try {
      return await written(call);
    } catch (error) {
      throw error instanceof Error && error.message.startsWith("D1_ERROR")
        ? new StorageError("the store failed, as it was told to")
        : error;
    }
  };
  const changed: Partial<StreamStore> = {
    async commit(commit) {
      const { claims } = commit;
      if (mutation === "fence") return await store.commit({ ...commit, from: await store.position(commit) });
      if (mutation === "claims")
        return await store.commit({ ...commit, claims: { ...claims, first: [], repeated: [] } });
      if (mutation === "outbox") return await store.commit({ ...commit, outbox: [] });
      return await faulty(() => store.commit(commit));
    },
    async claimed(keys) {
      return mutation === "claims" ? [] : await store.claimed(keys);
    },
    async sent(id, ids) {
      await pass("outbox-before-sent");
      await faulty(() => store.sent(id, ids));
      await pass("outbox-after-sent");
    },
    async position(id) {
      if (!isD1) failStoreAway();
      return await store.position(id);
    },
  };
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(changed, name) ?? Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

function failStoreAway(): void {
  try {
    failWhileAway();
  } catch (error) {
    throw new StorageError("the store is away, as it was told to be", { cause: error });
  }
}

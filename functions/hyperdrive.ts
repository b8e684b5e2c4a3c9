// The binding to PostgreSQL, which stands in wrangler.toml only where STORAGE=postgres asks for it.
import { ConfigError } from "../lib/config/config.ts";

/** Good for the invocation that reads it. */
interface HyperdriveBinding {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
}

/** @throws ConfigError where there is no binding */
export function hyperdriveUrl(env: Env): string {
  const { HYPERDRIVE } = env as Env & { HYPERDRIVE?: HyperdriveBinding };
  if (HYPERDRIVE) {
    // Put together here: in the binding's own `connectionString` workerd leaves signs such as @ as they are (measured).
    const { host, port, user, password, database } = HYPERDRIVE;
    const [name, secret, path] = [user, password, database].map(encodeURIComponent);
    return `postgres://${name}:${secret}@${host}:${port}/${path}`;
  }
  const message =
    "`postgres` needs the binding HYPERDRIVE: make it with `wrangler hyperdrive create` and name it in wrangler.toml; locally set WEIR_POSTGRES_URL (docs/storage.md)";
  throw new ConfigError([{ setting: "STORAGE", message }]);
}

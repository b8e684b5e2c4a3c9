// What stands for Hyperdrive on this machine: the way straight to a PostgreSQL. Refuses a URL without telling it.

/** The first is Weir's own name for it, the second is wrangler's, for `wrangler dev`. */
const URL_NAMES = ["WEIR_POSTGRES_URL", "CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_HYPERDRIVE"] as const;

export type LocalHyperdrive = {
  /** Options for Miniflare. */
  options: { hyperdrives?: { HYPERDRIVE: string } };
  /** Bindings for the worker. */
  bindings: {
    HYPERDRIVE?: { host: string; port: number; user: string; password: string; database: string };
  };
};

export function postgresUrlOf(environment: Record<string, string | undefined>): string | undefined {
  return URL_NAMES.map((name) => environment[name]).find((url) => url);
}

/** @throws when it is no connection string with all its parts; Miniflare would repeat it, with the password */
export function localHyperdrive(postgresUrl: string | undefined): LocalHyperdrive {
  if (postgresUrl === undefined) return { options: {}, bindings: {} };
  const url = URL.canParse(postgresUrl) ? new URL(postgresUrl) : undefined;
  const isPostgres = url?.protocol === "postgres:" || url?.protocol === "postgresql:";
  if (!isPostgres || !url.hostname || !url.username || !url.password || url.pathname.length < 2)
    throw new Error(`${URL_NAMES[0]} must be postgres://user:password@host:port/database`);
  // Miniflare's Hyperdrive speaks TLS to the database, and ends its whole process when a connection to it fails
  // (4.20260426: its sockets have no listener for errors). Where TLS is not asked for, the worker needs none of it.
  if ((url.searchParams.get("sslmode") ?? "disable") !== "disable")
    return { options: { hyperdrives: { HYPERDRIVE: postgresUrl } }, bindings: {} };
  const HYPERDRIVE = {
    host: url.hostname,
    port: Number(url.port || 5432),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)),
  };
  return { options: {}, bindings: { HYPERDRIVE } };
}

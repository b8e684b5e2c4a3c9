export type ClientName = "otel-js" | "python" | "telemetrygen";
/** What a test starts or loads: a package.json to resolve from, or a program; undefined while it is not installed. */
export declare function installedClient(name: ClientName): string | undefined;

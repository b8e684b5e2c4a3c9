/** What the database refused, or that it could not be reached; each file is applied whole or not at all. */
export declare class PostgresMigrationError extends Error {}
/**
 * Brings the database up to the newest file of `dir`; resolves to the names of the files applied now, oldest first.
 * @throws PostgresMigrationError
 */
export declare function applyPostgresMigrations(url: string, dir: string): Promise<string[]>;

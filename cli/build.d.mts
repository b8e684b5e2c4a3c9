export function build(names?: string[]): Promise<void>;
export class BuildError extends Error {}

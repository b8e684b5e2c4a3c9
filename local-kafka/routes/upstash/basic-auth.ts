/** HTTP Basic authentication, compared in constant time. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { ApiError } from "../../http/api-error.ts";

export interface Credentials {
  username: string;
  password: string;
}

/** Lets everything through when there are no credentials to ask for. */
export function basicAuth(credentials: Credentials | undefined): MiddlewareHandler {
  const wanted = credentials && digest(`${credentials.username}:${credentials.password}`);
  return async (c, next) => {
    if (wanted !== undefined) {
      const [, encoded] = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(c.req.header("authorization") ?? "") ?? [];
      const given = digest(Buffer.from(encoded ?? "", "base64").toString());
      if (encoded === undefined || !timingSafeEqual(given, wanted)) throw new ApiError(401, "Unauthorized");
    }
    await next();
  };
}

/** Of one length, whatever was sent. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

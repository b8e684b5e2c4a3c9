/** HTTP Basic authentication, compared in constant time. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { ApiError } from "./api-error.ts";

export interface Credentials {
  username: string;
  password: string;
}

/** Lets everything through when there are no credentials to ask for. `errorCode`: the dialect's for a 401. */
export function basicAuth(credentials: Credentials | undefined, errorCode: 401 | 40101): MiddlewareHandler {
  const wanted = credentials && digest(`${credentials.username}:${credentials.password}`);
  return async (c, next) => {
    if (wanted !== undefined) {
      const [, encoded] = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(c.req.header("authorization") ?? "") ?? [];
      const given = digest(Buffer.from(encoded ?? "", "base64").toString());
      if (encoded === undefined || !timingSafeEqual(given, wanted)) {
        // On the answer that the dialect's error handler makes.
        c.header("www-authenticate", 'Basic realm="local-kafka"');
        throw new ApiError(errorCode, "Unauthorized");
      }
    }
    await next();
  };
}

/** Of one length, whatever was sent. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

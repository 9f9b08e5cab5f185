/** Who may ask: `Authorization: Bearer KEY`. Where no keys are configured (loopback only) anyone may. */
import { HttpApiMiddleware, HttpApiSecurity } from "effect/http-api"
import { Unauthorized } from "./Problems.ts"

export class ReadKey extends HttpApiMiddleware.Service<ReadKey>()("guardian/api/ReadKey", {
  error: Unauthorized,
  security: { readKey: HttpApiSecurity.bearer }
}) {}

export class AdminKey extends HttpApiMiddleware.Service<AdminKey>()("guardian/api/AdminKey", {
  error: Unauthorized,
  security: { adminKey: HttpApiSecurity.bearer }
}) {}

/** What persons say of visitors and sessions. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { AdminKey } from "./Access.ts"
import { Count, Name, Page, Time } from "./Fields.ts"
import { BodyTooLarge, dataProblems, ForeignRequest, UnsupportedMediaType, VerdictConflict } from "./Problems.ts"

export const GivenVerdict = Schema.Struct({
  scope: Schema.Literals(["visitor", "session"]),
  id: Schema.String,
  verdict: Schema.Literals(["bot", "human", "unknown", ""]).annotate({
    description: "Empty: it cleared what was there"
  }),
  reason: Schema.String,
  author: Schema.String,
  set_at: Time,
  version: Count,
  holds: Schema.Boolean
}).annotate({ identifier: "GivenVerdict" })

const Account = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(1_000))

export const NewVerdict = Schema.Struct({
  scope: Schema.Literals(["visitor", "session"]),
  id: Name,
  verdict: Schema.Literals(["bot", "human", "unknown", "clear"]).annotate({
    description: "clear takes the standing verdict back: rules and user agents decide again"
  }),
  reason: Account,
  author: Name
}).annotate({ identifier: "NewVerdict" })

export const RecordedVerdict = Schema.Struct({ version: Count }).annotate({ identifier: "RecordedVerdict" })

export class VerdictsGroup extends HttpApiGroup.make("verdicts").add(
  HttpApiEndpoint.get("list", "/verdicts", {
    query: { scope: Schema.optionalKey(Schema.Literals(["visitor", "session"])), id: Schema.optionalKey(Name) },
    success: Page(GivenVerdict),
    error: dataProblems
  }).annotateMerge(OpenApi.annotations({
    summary: "All verdicts that persons gave, newest first; with scope and id: of one target"
  })),
  HttpApiEndpoint.post("record", "/verdicts", {
    payload: NewVerdict,
    success: RecordedVerdict.pipe(HttpApiSchema.status(201)),
    error: [VerdictConflict, ForeignRequest, BodyTooLarge, UnsupportedMediaType, ...dataProblems]
  }).middleware(AdminKey).annotateMerge(OpenApi.annotations({
    summary: "Set or clear a verdict",
    description: "KPIs of all days that it touches follow within seconds, of final ones too. Needs an admin key."
  }))
).annotateMerge(OpenApi.annotations({ title: "Verdicts", description: "What persons say of visitors and sessions" })) {}

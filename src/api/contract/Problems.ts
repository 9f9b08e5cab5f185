/** RFC 9457 problems: every error of the API is one of these, as `application/problem+json`. */
import { Schema } from "effect"
import { HttpApiError } from "effect/http-api"

export class NotFound extends HttpApiError.Problem<NotFound>()("NotFound", {
  type: "urn:guardian:problem:not-found",
  status: 404,
  title: "There is no such thing"
}) {}

export class MethodNotAllowed extends HttpApiError.Problem<MethodNotAllowed>()("MethodNotAllowed", {
  type: "urn:guardian:problem:method-not-allowed",
  status: 405,
  title: "This path has no such method"
}, { allowed: Schema.Array(Schema.String) }) {}

/** The parameters are well-formed, and cannot be meant together. */
export class BadParameters extends HttpApiError.Problem<BadParameters>()("BadParameters", {
  type: "urn:guardian:problem:bad-parameters",
  status: 400,
  title: "The parameters do not fit"
}) {}

export class BodyTooLarge extends HttpApiError.Problem<BodyTooLarge>()("BodyTooLarge", {
  type: "urn:guardian:problem:body-too-large",
  status: 413,
  title: "The body is larger than any that is meant"
}) {}

export class UnsupportedMediaType extends HttpApiError.Problem<UnsupportedMediaType>()("UnsupportedMediaType", {
  type: "urn:guardian:problem:unsupported-media-type",
  status: 415,
  title: "The body is of a kind that is not taken"
}) {}

export class Unauthorized extends HttpApiError.Problem<Unauthorized>()("Unauthorized", {
  type: "urn:guardian:problem:unauthorized",
  status: 401,
  title: "A valid key is needed"
}) {}

/** A page of another site asks, or a name that is not this server's. */
export class ForeignRequest extends HttpApiError.Problem<ForeignRequest>()("ForeignRequest", {
  type: "urn:guardian:problem:foreign-request",
  status: 403,
  title: "The request does not come from where it may"
}) {}

export class VerdictConflict extends HttpApiError.Problem<VerdictConflict>()("VerdictConflict", {
  type: "urn:guardian:problem:verdict-conflict",
  status: 409,
  title: "There is nothing that such a verdict could be about"
}) {}

/** The warehouse, or the log, does not answer; try again after `Retry-After`. */
export class Unavailable extends HttpApiError.Problem<Unavailable>()("Unavailable", {
  type: "urn:guardian:problem:unavailable",
  status: 503,
  title: "The data is away at present"
}) {}

export class TookTooLong extends HttpApiError.Problem<TookTooLong>()("TookTooLong", {
  type: "urn:guardian:problem:timeout",
  status: 504,
  title: "The question takes longer than a request may"
}) {}

/** What any question to the data may end with. */
export const dataProblems = [Unavailable, TookTooLong] as const

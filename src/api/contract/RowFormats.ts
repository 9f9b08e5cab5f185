/** Answers of rows also come as CSV or Parquet, by `Accept`: said in the OpenAPI document. */
import { OpenApi } from "effect/http-api"

export const csv = "text/csv"
export const parquet = "application/vnd.apache.parquet"

interface Operation {
  readonly responses: Record<string, { content?: Record<string, unknown> }>
}

/** Annotates an endpoint whose rows come in each format. */
export const asRowFormats = OpenApi.annotations({
  transform: (operation) => {
    const { responses } = operation as unknown as Operation
    Object.assign(responses["200"]!.content!, {
      [csv]: { schema: { type: "string" } },
      [parquet]: { schema: { type: "string", contentEncoding: "binary" } }
    })
    return operation
  }
})

/** A way to a server that can be closed and opened again: to its clients the server is then away. */
import { Effect } from "effect"
import type { Scope } from "effect"
import type { AddressInfo, Socket } from "node:net"
import { connect, createServer } from "node:net"

export interface Gate {
  readonly url: string
  readonly open: Effect.Effect<void>
  /** Breaks the connections there are, and refuses others. */
  readonly close: Effect.Effect<void>
}

/** A closed gate to a server on this machine, on a port that stays the same. */
export const gate = Effect.fnUntraced(function*(target: string): Effect.fn.Return<Gate, never, Scope.Scope> {
  const sockets = new Set<Socket>()
  const keep = (socket: Socket): Socket => {
    sockets.add(socket)
    return socket.on("close", () => sockets.delete(socket)).on("error", () => {})
  }
  const server = createServer((client) => {
    const upstream = keep(connect(Number(new URL(target).port), "127.0.0.1"))
    keep(client).pipe(upstream).pipe(client)
    client.on("close", () => upstream.destroy())
    upstream.on("close", () => client.destroy())
  })
  const listen = (port: number) =>
    Effect.callback<void>((resume) => {
      server.listen(port, "127.0.0.1", () => resume(Effect.void))
    })
  const close = Effect.callback<void>((resume) => {
    for (const socket of sockets) socket.destroy()
    server.close(() => resume(Effect.void))
  })
  yield* Effect.acquireRelease(listen(0), () => close)
  const { port } = server.address() as AddressInfo
  yield* close
  return { url: `http://127.0.0.1:${port}`, open: listen(port), close }
})

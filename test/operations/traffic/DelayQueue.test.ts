import * as fc from "fast-check"
import { expect, it } from "vitest"
import { DelayQueue } from "../../../src/operations/traffic/DelayQueue.ts"

it("gives what is due first, equal times in the order they came", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 9 })), fc.array(fc.integer({ min: 0, max: 9 })), (first, second) => {
      const queue = new DelayQueue<readonly [number, number]>()
      const pushed: Array<readonly [number, number]> = []
      const push = (dueAt: number) => {
        const item = [dueAt, pushed.length] as const
        pushed.push(item)
        queue.push(dueAt, item)
      }
      const pop = () => {
        expect(queue.nextAt).toBe(Math.min(...pushed.map(([dueAt]) => dueAt)))
        const item = queue.pop()
        const expected = pushed.toSorted((one, other) => one[0] - other[0])[0]!
        expect(item).toEqual(expected)
        pushed[item[1]] = [Infinity, item[1]]
      }
      for (const dueAt of first) push(dueAt)
      for (let i = 0; i < first.length >> 1; i++) pop()
      for (const dueAt of second) push(dueAt)
      while (queue.size > 0) pop()
      expect(queue.nextAt).toBe(Infinity)
    })
  )
})

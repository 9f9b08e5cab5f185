/** What `npm test` leaves out, said at its end. */
export const teardown = (): void => {
  console.log("cluster tests (real brokers and a real registry) did not run: npm run test:cluster")
}

import { render } from "preact"
import { App } from "./App.tsx"
import { listen } from "./LiveFeed.ts"
import { followLinks } from "./Route.ts"
import { followTheme } from "./Theme.ts"

followTheme()
followLinks()
listen()
render(<App />, document.querySelector("#page")!)

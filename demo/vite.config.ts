// The demo's build: nothing but where the page may be served from.
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  build: { target: "es2022", chunkSizeWarningLimit: 1_000 },
});

import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  build: {
    // The page is committed as built: no source maps, and nothing inlined that the content security policy would refuse.
    sourcemap: false,
    assetsInlineLimit: 0,
    // The licences of what the page brings along go where it goes.
    license: { fileName: "licenses.md" },
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 2000,
    rollupOptions: { input: ["index.html", "popup.html"] },
  },
});

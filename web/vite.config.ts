import { createHash } from "node:crypto";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";

/** Puts the one script and the one style sheet into the page, and allows exactly that script to run. */
function inline(): Plugin {
  return {
    name: "inline",
    apply: "build",
    enforce: "post",
    generateBundle(_, bundle) {
      const page = bundle["page.html"];
      if (page?.type !== "asset") throw new Error("the build made no page.html");
      let html = String(page.source);
      let script = "";
      let style = "";
      for (const [name, part] of Object.entries(bundle)) {
        if (part === page) continue;
        if (part.type === "chunk") script += part.code.trim();
        else if (name.endsWith(".css")) style += String(part.source).trim();
        else throw new Error(`the page cannot hold ${name}`);
        delete bundle[name];
      }
      script = script.replaceAll("</script", "<\\/script").replaceAll("<!--", "<\\!--");
      const digest = createHash("sha256").update(script).digest("base64");
      html = html
        .replace(/\s*<script type="module"[^>]*><\/script>/, "")
        .replace(/\s*<link rel="stylesheet"[^>]*>/, () => `\n    <style>${style}</style>`)
        .replace('<meta charset="utf-8" />', (meta) => `${meta}\n    ${policy(digest)}`)
        .replace("</body>", () => `  <script type="module">${script}</script>\n  </body>`);
      page.source = html;
    },
  };
}

/** No request leaves the page, and nothing but the script with this digest runs, whatever a label says. */
function policy(digest: string): string {
  const rules = [
    "default-src 'none'",
    "img-src data: blob:",
    "style-src 'unsafe-inline'",
    `script-src 'sha256-${digest}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ];
  return `<meta http-equiv="Content-Security-Policy" content="${rules.join("; ")}" />`;
}

export default defineConfig({
  plugins: [svelte(), inline()],
  base: "./",
  build: {
    outDir: "../src/pellucid/app/static",
    emptyOutDir: false,
    target: ["es2022"],
    cssTarget: ["chrome123", "firefox121", "safari17.5"],
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rollupOptions: { input: "page.html" },
  },
});

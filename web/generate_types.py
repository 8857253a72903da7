"""Writes the TypeScript types of the bundle to src/bundle.ts; `npm run types` calls it."""

from pathlib import Path

from pellucid.bundle import typescript

if __name__ == "__main__":
    Path(__file__).with_name("src").joinpath("bundle.ts").write_text(typescript(), encoding="utf-8", newline="\n")

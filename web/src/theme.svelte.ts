const KEY = "pellucid-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

/** Light or dark: what the reader chose, else what their system says. */
export class Theme {
  chosen: "light" | "dark" | null = $state(remembered());
  system: "light" | "dark" = $state(dark.matches ? "dark" : "light");

  constructor() {
    dark.addEventListener("change", () => (this.system = dark.matches ? "dark" : "light"));
  }

  get now(): "light" | "dark" {
    return this.chosen ?? this.system;
  }

  toggle(): void {
    this.chosen = this.now === "dark" ? "light" : "dark";
    try {
      localStorage.setItem(KEY, this.chosen);
    } catch {
      // A page from the disk may have no storage; the choice then lasts as long as the page.
    }
  }
}

function remembered(): "light" | "dark" | null {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : null;
  } catch {
    return null;
  }
}

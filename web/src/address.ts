/** The page's address as the place of what a reader has chosen: decisions can be gone back to, pointing cannot. */
export class Address {
  readonly #hash: () => string;
  readonly #decided: () => string;
  readonly #restore: (hash: string) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #last: string | null = null;

  /**
   * @param hash of the view
   * @param decided the same without what only follows the pointer
   * @param restore shows the view of an address
   */
  constructor(hash: () => string, decided: () => string, restore: (hash: string) => void) {
    this.#hash = hash;
    this.#decided = decided;
    this.#restore = restore;
  }

  /** Take down the view as it is now; called whenever it changes. */
  keep(): void {
    const [hash, decided] = [this.#hash(), this.#decided()];
    clearTimeout(this.#timer);
    // Browsers slow down a page that changes its address at every move of the pointer.
    this.#timer = setTimeout(() => {
      const news = this.#last !== null && this.#last !== decided;
      this.#last = decided;
      // A frame of a notebook has no address of its own to write.
      if (location.hash === hash || location.protocol === "about:") return;
      if (news) history.pushState(null, "", hash);
      else history.replaceState(null, "", hash);
    }, 150);
  }

  /** Show what the address says: the reader went back or forward, or followed a link. */
  follow(): void {
    if (location.hash === this.#hash()) return;
    this.#restore(location.hash);
    // What is shown now was decided before; it is not to be written as news.
    clearTimeout(this.#timer);
    this.#last = this.#decided();
  }
}

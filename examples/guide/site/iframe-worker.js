// Search runs in a Worker, and browsers start none for a page that was opened from a folder, file:///…. There it runs
// in a frame of the page instead. Zensical would load such a stand-in from another host.
if (location.protocol === "file:") {
  window.Worker = class {
    constructor(url) {
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      this.inside = this.frame.contentWindow;
      // What the script of the worker says comes here; as in a Worker, not before its caller has gone on.
      this.inside.postMessage = (data) => setTimeout(() => this.onmessage?.({ data }));
      const script = this.inside.document.createElement("script");
      this.ready = new Promise((resolve) => (script.onload = resolve));
      script.onerror = (event) => this.onerror?.(event);
      script.src = new URL(url, document.baseURI);
      this.inside.document.body.append(script);
    }

    postMessage(data) {
      this.ready.then(() => this.inside.onmessage?.({ data }));
    }

    terminate() {
      this.frame.remove();
    }
  };
}

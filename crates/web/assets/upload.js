// A long file goes up in pieces, and goes on where it broke off. Without this its form sends it at once, as far as the server
// takes a body.
(() => {
  "use strict";
  // How often a piece is tried again before the person is asked, and how long between at most.
  const TRIES_MAX = 6;
  const WAIT_S_MAX = 30;

  const octets = (count) => {
    const units = [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]];
    const [unit, name] = units.find(([unit]) => count >= unit) ?? [1, "B"];
    return unit === 1 ? `${count} B` : `${(count / unit).toFixed(1)} ${name}`;
  };

  class Refused extends Error {
    constructor(status, problem, after) {
      super([problem.detail, problem.hint].filter(Boolean).join(". ") || String(status));
      this.status = status;
      this.after = Number(after) || 0;
    }
  }

  const ask = async (method, path, body, signal) => {
    const headers = body ? { "Content-Type": "application/octet-stream" } : {};
    const response = await fetch(path, { method, body, headers, signal });
    const said = await response.json().catch(() => ({}));
    if (!response.ok) throw new Refused(response.status, said, response.headers.get("Retry-After"));
    return said;
  };

  // Another place is the next (409), too fast (429), or a server that is busy or gone for a moment.
  const passes = (error) =>
    error instanceof TypeError || (error instanceof Refused && (error.status >= 500 || [408, 409, 429].includes(error.status)));

  const wait = (seconds, signal) => new Promise((done, fail) => {
    const timer = setTimeout(done, Math.min(seconds, WAIT_S_MAX) * 1000);
    signal.addEventListener("abort", () => { clearTimeout(timer); fail(signal.reason); }, { once: true });
  });

  for (const form of document.querySelectorAll("form[data-upload]")) {
    const words = form.dataset;
    const record = words.upload;
    const piece = Number(words.piece);
    const input = form.querySelector("input[type=file]");
    const button = form.querySelector("button[type=submit]");
    const label = button.querySelector("span") ?? button;
    const bar = form.querySelector(".progress");
    const said = form.querySelector(".upload-said");
    const begin = label.textContent;
    let going = null;

    const show = (done, total) => {
      const text = `${octets(done)} / ${octets(total)}`;
      bar.hidden = false;
      bar.querySelector(".progress-shown").textContent = text;
      const progress = bar.querySelector("progress");
      progress.max = Math.max(total, 1);
      progress.value = done;
      progress.textContent = text;
    };

    const send = async (file, signal) => {
      let { bytes, bytes_total: total } = await ask("GET", record, undefined, signal);
      if (total !== undefined && total !== file.size) throw new Refused(0, { detail: words.other });
      let failures = 0;
      show(bytes, file.size);
      while (bytes < file.size) {
        try {
          const at = `${record}/file?offset=${bytes}&total=${file.size}`;
          ({ bytes } = await ask("PUT", at, file.slice(bytes, bytes + piece), signal));
          failures = 0;
        } catch (error) {
          failures += 1;
          if (!passes(error) || failures > TRIES_MAX) throw error;
          said.textContent = words.again;
          await wait(error.after || 2 ** (failures - 1), signal);
          // What arrived although its answer did not is not sent twice.
          bytes = await ask("GET", record, undefined, signal).then((one) => one.bytes, () => bytes);
        }
        show(bytes, file.size);
        if (failures === 0 && said.textContent === words.again) said.textContent = "";
      }
    };

    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (going) {
        going.abort();
        return;
      }
      const [file] = input.files;
      said.textContent = "";
      if (!file || file.size === 0) {
        said.textContent = words.empty;
        return;
      }
      going = new AbortController();
      label.textContent = words.stop;
      input.disabled = true;
      try {
        await send(file, going.signal);
        location.reload();
      } catch (error) {
        const stopped = going.signal.aborted;
        const gone = error instanceof Refused && error.status === 401;
        said.textContent = stopped ? words.stopped : gone ? words.gone : error instanceof TypeError ? words.broken : error.message;
      } finally {
        going = null;
        label.textContent = begin;
        input.disabled = false;
      }
    });
  }
})();

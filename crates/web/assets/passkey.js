// Passkeys: the one thing on these pages that a browser does only by script. Everything else works without.
(() => {
  "use strict";
  if (!window.PublicKeyCredential || !navigator.credentials) return;

  const octets = (text) => {
    const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(plain, (character) => character.charCodeAt(0)).buffer;
  };
  const text = (buffer) => {
    const plain = Array.from(new Uint8Array(buffer), (octet) => String.fromCharCode(octet)).join("");
    return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  };

  // The server speaks base64url, the browser octets.
  const asked = (options) => {
    const key = { ...options.publicKey, challenge: octets(options.publicKey.challenge) };
    if (key.user) key.user = { ...key.user, id: octets(key.user.id) };
    for (const list of ["allowCredentials", "excludeCredentials"]) {
      if (key[list]) key[list] = key[list].map((known) => ({ ...known, id: octets(known.id) }));
    }
    return key;
  };
  const answered = (credential) => {
    const response = {};
    for (const part of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[part]) response[part] = text(credential.response[part]);
    }
    return {
      id: credential.id,
      rawId: text(credential.rawId),
      type: credential.type,
      response,
      extensions: credential.getClientExtensionResults(),
    };
  };

  class Refused extends Error {
    constructor(problem) {
      super(problem.detail);
      this.code = problem.code;
    }
  }

  const post = async (path, body) => {
    const response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const said = await response.json();
    if (!response.ok) throw new Refused(said);
    return said;
  };

  // Backup codes are shown where the button was; they are in no address and in no cache.
  const showCodes = (box, done) => {
    const list = document.createElement("pre");
    list.id = "backup-codes";
    list.tabIndex = 0;
    list.textContent = done.codes.join("\n");
    const hint = document.createElement("p");
    hint.textContent = box.dataset.codes;
    const on = document.createElement("a");
    on.className = "button primary";
    on.href = done.to;
    on.textContent = box.dataset.kept;
    box.replaceChildren(hint, list, on);
    list.focus();
  };

  let waiting = null;
  const run = async (box, mediation) => {
    waiting?.abort();
    waiting = new AbortController();
    const at = box.dataset.passkey;
    const { ceremony, options } = await post(`${at}/options`, {});
    const wish = { publicKey: asked(options), signal: waiting.signal };
    if (mediation) wish.mediation = mediation;
    const create = box.hasAttribute("data-create");
    const credential = await (create ? navigator.credentials.create(wish) : navigator.credentials.get(wish));
    const body = { ceremony, credential: answered(credential), back: box.dataset.back ?? "" };
    if (box.dataset.name) body.name = document.getElementById(box.dataset.name).value;
    body.remember = document.querySelector("input[name=remember]")?.checked ?? false;
    const done = await post(at, body);
    if (done.codes) showCodes(box, done);
    else location.assign(done.to);
  };

  for (const box of document.querySelectorAll("[data-passkey]")) {
    box.hidden = false;
    const failed = box.querySelector(".passkey-failed");
    box.querySelector("button[type=button]").addEventListener("click", async (event) => {
      const button = event.currentTarget;
      failed.textContent = "";
      button.disabled = true;
      try {
        await run(box);
      } catch (error) {
        if (error.code === "step_up_required") {
          location.assign(`/step-up?back=${encodeURIComponent(location.pathname)}`);
          return;
        }
        failed.textContent = box.dataset.failed;
      } finally {
        button.disabled = false;
      }
    });
    if (box.hasAttribute("data-autofill")) {
      // A browser that offers passkeys among the names it fills in waits for one in silence, unless somebody asked already.
      // One that was chosen there and refused is told like any other.
      PublicKeyCredential.isConditionalMediationAvailable?.().then((can) => {
        if (!can || waiting) return;
        run(box, "conditional").catch((error) => {
          if (error instanceof Refused) failed.textContent = box.dataset.failed;
        });
      });
    }
  }
})();

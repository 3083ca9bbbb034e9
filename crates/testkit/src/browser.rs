//! Headless Chromium driven over the Chrome DevTools Protocol, without a driver program.
//!
//! One Chromium serves the whole test process; each [`Page`] has a WebSocket and a browser context (cookies, storage, cache)
//! of its own. A page is driven by one test from one task, so there is no reader task and no lock: [`Page`] sends a command
//! and reads until its answer comes, noting the events on the way. Mouse and keys are real input events, which go through
//! hit testing and focus as a person's do. What the page complains about on its console fails the test: by
//! [`Page::close`], or when the page is dropped.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use self::keys::{SHIFT, key_event, split_modifiers};
use crate::tether::Tether;

mod files;
mod keys;

/// A promise of the next frame; a page that draws nothing has none, and is not waited for.
const FRAME: &str =
    "Promise.race([new Promise(requestAnimationFrame), new Promise(done => setTimeout(done, 100))])";

/// How long a command, a navigation or an element may take before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(15);
/// How often [`Page::wait_for`] looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a page may break a rule of axe-core after it was drawn.
const SETTLING: Duration = Duration::from_secs(2);
/// A start on a machine that compiles on every core takes seconds.
const START_LIMIT: Duration = Duration::from_secs(60);
/// A page that floods its console is failed by the first of its complaints.
const PROBLEMS_MAX: usize = 100;

/// Chromium must not call home, which a closed network refuses many times a second, and needs no sandbox against our own
/// pages (as root it would refuse to start with one).
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-port=0",
];

/// A running Chromium. It ends with the process: see [`crate::tether`].
#[derive(Debug)]
pub struct Browser {
    endpoint: String,
    _tether: Tether,
}

/// One tab in a browser context of its own, that is, one person at one computer.
#[derive(Debug)]
pub struct Page {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: Option<String>,
    last_id: u64,
    /// The documents that have loaded, as loader ids: a former page may still say so when the next one is asked for.
    loaded: Vec<String>,
    problems: Vec<String>,
    /// Complaints that a test expected. Each may come once more: Chromium now and then logs a refused page twice, and offers a
    /// passkey by itself before the click that a test makes.
    expected: Vec<String>,
}

/// One rule that the page breaks, found by axe-core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule's id in axe-core, such as `color-contrast`.
    pub rule: String,
    /// What is wrong, in axe-core's words.
    pub help: String,
    /// The elements, as selectors.
    pub targets: Vec<String>,
}

/// Chromium's program, if it is installed.
pub fn program() -> Option<PathBuf> {
    ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .map(|name| Path::new("/usr/bin").join(name))
        .find(|path| path.exists())
}

/// The browser of this process, started at the first call.
///
/// # Panics
/// When Chromium is not installed or does not start: no test that asks for it could go on.
pub fn start() -> &'static Browser {
    static BROWSER: OnceLock<Browser> = OnceLock::new();
    BROWSER.get_or_init(|| Browser::launch().expect("a Chromium for the tests"))
}

impl Browser {
    /// Starts another Chromium with an empty profile.
    ///
    /// # Errors
    /// When it is not installed, or with its own words when it does not start.
    pub fn launch() -> Result<Browser> {
        let program = program().context("no Chromium found in /usr/bin: apt-get install chromium")?;
        let profile = tempfile::Builder::new().prefix("switchboard-chromium-").tempdir()?.keep();
        let log = profile.join("log");
        let mut command =
            vec![program.display().to_string(), format!("--user-data-dir={}", profile.display())];
        command.extend(FLAGS.iter().map(|&flag| flag.to_owned()));
        command.push("about:blank".to_owned());
        let mut tether = Tether::start(&command, "TERM", Some(&profile), &log)?;
        let begun = Instant::now();
        loop {
            // Chromium writes the port it took, then the path of its WebSocket, each on a line.
            let port = std::fs::read_to_string(profile.join("DevToolsActivePort")).unwrap_or_default();
            if let Some((port, path)) = port.split_once('\n').filter(|(_, path)| !path.is_empty()) {
                let endpoint = format!("ws://127.0.0.1:{port}{}", path.trim());
                return Ok(Browser { endpoint, _tether: tether });
            }
            let words = std::fs::read_to_string(&log).unwrap_or_default();
            if let Some(status) = tether.ended() {
                bail!("Chromium ended with {status}: {words}");
            }
            ensure!(begun.elapsed() < START_LIMIT, "Chromium did not start within {START_LIMIT:?}: {words}");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// A new tab of 1280 by 800 CSS pixels in a new context, light, signed in nowhere.
    ///
    /// # Errors
    /// When Chromium does not answer.
    pub async fn page(&self) -> Result<Page> {
        let (socket, _) = tokio_tungstenite::connect_async(&self.endpoint).await?;
        let mut page = Page {
            socket,
            session: None,
            last_id: 0,
            loaded: Vec::new(),
            problems: Vec::new(),
            expected: Vec::new(),
        };
        // The context goes with the WebSocket, so a test that panics leaves nothing behind.
        let context = page.call("Target.createBrowserContext", json!({"disposeOnDetach": true})).await?;
        let target = json!({"url": "about:blank", "browserContextId": context["browserContextId"]});
        let target = page.call("Target.createTarget", target).await?;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = page.call("Target.attachToTarget", attach).await?;
        page.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            page.call(domain, json!({})).await?;
        }
        page.call("Page.setLifecycleEventsEnabled", json!({"enabled": true})).await?;
        page.set_viewport(1280, 800).await?;
        page.set_dark(false).await?;
        Ok(page)
    }
}

impl Page {
    /// Opens an address and waits until it has loaded with everything it asks for.
    ///
    /// # Errors
    /// When the address cannot be reached or the load takes longer than [`PATIENCE`]. An HTTP error status is a page, not
    /// an error here.
    pub async fn goto(&mut self, url: &str) -> Result<()> {
        self.loaded.clear();
        let answer = self.call("Page.navigate", json!({"url": url})).await?;
        if let Some(error) = answer["errorText"].as_str() {
            bail!("{url}: {error}");
        }
        // A jump within the page loads nothing.
        let Some(document) = answer["loaderId"].as_str() else { return Ok(()) };
        let deadline = Instant::now() + PATIENCE;
        while !self.loaded.iter().any(|loaded| loaded == document) {
            self.next_message(deadline).await.with_context(|| format!("loading {url}"))?;
        }
        Ok(())
    }

    /// Clicks the middle of the first element that matches, once it is there, the page has loaded, it has stopped moving, and
    /// nothing covers it.
    ///
    /// # Errors
    /// When no such element appears within [`PATIENCE`], or it stays hidden or covered.
    pub async fn click(&mut self, selector: &str) -> Result<()> {
        const MIDDLE: &str = "async (selector) => {
            const element = document.querySelector(selector);
            if (!element) return 'there is no such element';
            element.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'});
            if (document.readyState !== 'complete') return 'the page is still loading';
            const before = element.getBoundingClientRect();
            await FRAME;
            const box = element.getBoundingClientRect();
            if (box.x !== before.x || box.y !== before.y) return 'it is moving';
            if (box.width === 0 || box.height === 0) return 'it is not shown';
            const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
            const top = document.elementFromPoint(x, y);
            if (!top || top === document.documentElement) return 'it is out of view';
            const label = top.closest('label');
            if (element.contains(top) || top.contains(element) || (label && label.control === element)) return [x, y];
            return 'it is covered by ' + top.outerHTML.slice(0, 200);
        }";
        let look = format!("({})({})", MIDDLE.replace("FRAME", FRAME), json!(selector));
        let point = self.poll(&look, PATIENCE, Value::is_array).await;
        let point = point.with_context(|| format!("clicking {selector}"))?;
        for (kind, buttons) in [("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 0)] {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            let event = json!({"type": kind, "x": point[0], "y": point[1], "button": button,
                "buttons": buttons, "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event).await?;
        }
        Ok(())
    }

    /// Clicks into a field and types the text key by key, at the end of what is there.
    ///
    /// # Errors
    /// As [`Page::click`].
    pub async fn type_text(&mut self, selector: &str, text: &str) -> Result<()> {
        self.click(selector).await?;
        self.press("End").await?;
        for character in text.chars() {
            self.press(character.encode_utf8(&mut [0; 4])).await?;
        }
        Ok(())
    }

    /// Presses and releases a key: a character, or a name of UI Events `key` values (`Enter`, `Tab`, `Escape`, `ArrowDown`,
    /// `Backspace` …), with any of `Control+`, `Alt+`, `Shift+`, `Meta+` before it.
    ///
    /// # Errors
    /// When Chromium does not answer.
    pub async fn press(&mut self, key: &str) -> Result<()> {
        let (key, modifiers) = split_modifiers(key);
        let mut event = key_event(key);
        event["modifiers"] = json!(modifiers);
        if modifiers & !SHIFT != 0 {
            // A shortcut types nothing.
            event.as_object_mut().map(|event| event.remove("text"));
        }
        for kind in ["keyDown", "keyUp"] {
            event["type"] = json!(kind);
            self.call("Input.dispatchKeyEvent", event.clone()).await?;
        }
        Ok(())
    }

    /// The text of the first element that matches, as it is shown.
    ///
    /// # Errors
    /// When no such element appears within [`PATIENCE`].
    pub async fn text(&mut self, selector: &str) -> Result<String> {
        let look = format!("document.querySelector({})?.innerText ?? null", json!(selector));
        let text = self.poll(&look, PATIENCE, Value::is_string).await;
        let text = text.with_context(|| format!("reading {selector}"))?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// The value of a JavaScript expression (a promise is awaited) as JSON; `undefined` is null.
    ///
    /// # Errors
    /// With the exception's text when it throws.
    pub async fn eval(&mut self, js: &str) -> Result<Value> {
        let question = json!({"expression": js, "awaitPromise": true, "returnByValue": true});
        let mut answer = self.call("Runtime.evaluate", question).await?;
        if let Some(exception) = answer.get("exceptionDetails") {
            bail!("{}", exception_text(exception));
        }
        Ok(answer["result"]["value"].take())
    }

    /// Waits until an element that matches is shown.
    ///
    /// # Errors
    /// When none is within the limit.
    pub async fn wait_for(&mut self, selector: &str, limit: Duration) -> Result<()> {
        let look = format!(
            "[...document.querySelectorAll({})].some(e => e.checkVisibility() && e.getClientRects().length > 0)",
            json!(selector)
        );
        let found = self.poll(&look, limit, |value| value == &json!(true)).await;
        found.map(drop).with_context(|| format!("waiting for {selector}"))
    }

    /// Waits until a JavaScript expression holds, also over a change of the page.
    ///
    /// # Errors
    /// When it does not within the limit.
    pub async fn wait_until(&mut self, js: &str, limit: Duration) -> Result<()> {
        let held = self.poll(js, limit, |value| value == &json!(true)).await;
        held.map(drop).with_context(|| format!("it does not come to be that {js}"))
    }

    /// Waits until the text is shown anywhere on the page.
    ///
    /// # Errors
    /// When it is not within the limit; the error quotes what the page shows instead.
    pub async fn wait_for_text(&mut self, text: &str, limit: Duration) -> Result<()> {
        let shown = "document.body?.innerText ?? ''";
        let found =
            self.poll(shown, limit, |value| value.as_str().is_some_and(|all| all.contains(text))).await;
        found.map(drop).with_context(|| format!("waiting for the text {text:?}"))
    }

    /// Writes a picture (PNG) of what the viewport shows.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn screenshot(&mut self, path: &Path) -> Result<()> {
        let picture = self.call("Page.captureScreenshot", json!({"format": "png"})).await?;
        let data = picture["data"].as_str().context("a picture without data")?;
        let png = base64::engine::general_purpose::STANDARD.decode(data)?;
        std::fs::write(path, png).with_context(|| format!("writing {}", path.display()))
    }

    /// Sets the size of the viewport in CSS pixels, as if on a screen of that size.
    ///
    /// # Errors
    /// When Chromium does not answer.
    pub async fn set_viewport(&mut self, width: u32, height: u32) -> Result<()> {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", metrics).await.map(drop)
    }

    /// Plugs in an authenticator that keeps passkeys and takes everybody's finger for its owner's. It is touched by itself,
    /// also while a browser only offers its passkeys among the names it fills in; [`Page::touch`] changes that.
    ///
    /// # Errors
    /// When Chromium does not answer.
    pub async fn plug_authenticator(&mut self) -> Result<String> {
        self.call("WebAuthn.enable", json!({})).await?;
        let options = json!({"protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
            "hasUserVerification": true, "isUserVerified": true, "automaticPresenceSimulation": true});
        let added = self.call("WebAuthn.addVirtualAuthenticator", json!({ "options": options })).await?;
        added["authenticatorId"].as_str().map(str::to_owned).context("an authenticator without an id")
    }

    /// Says whether somebody touches an authenticator whenever it asks for it.
    ///
    /// # Errors
    /// When Chromium does not answer.
    pub async fn touch(&mut self, authenticator: &str, touched: bool) -> Result<()> {
        let simulation = json!({"authenticatorId": authenticator, "enabled": touched});
        self.call("WebAuthn.setAutomaticPresenceSimulation", simulation).await.map(drop)
    }

    /// Says which languages the person reads, as the browser tells servers.
    ///
    /// # Errors
    /// When Chromium does not answer.
    pub async fn set_languages(&mut self, accepted: &str) -> Result<()> {
        self.call("Network.enable", json!({})).await?;
        let headers = json!({ "Accept-Language": accepted });
        self.call("Network.setExtraHTTPHeaders", json!({ "headers": headers })).await.map(drop)
    }

    /// Says whether the person prefers dark colours. They always prefer no motion: a click into a transition between two
    /// pages goes to neither, and a colour on its way to another is nobody's choice.
    ///
    /// # Errors
    /// When Chromium does not answer.
    pub async fn set_dark(&mut self, dark: bool) -> Result<()> {
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({"features": [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]});
        self.call("Emulation.setEmulatedMedia", media).await.map(drop)
    }

    /// The page as a screen reader meets it: a line `role "name"` for each node of the accessibility tree, indented by depth.
    ///
    /// # Errors
    /// When Chromium does not answer.
    pub async fn accessibility_tree(&mut self) -> Result<String> {
        let tree = self.call("Accessibility.getFullAXTree", json!({})).await?;
        let nodes = tree["nodes"].as_array().context("an accessibility tree without nodes")?;
        let mut text = String::new();
        if let Some(root) = nodes.first() {
            write_accessible(nodes, root, 0, &mut text);
        }
        Ok(text)
    }

    /// The rules of axe-core that the page breaks once it has loaded and been drawn. What its script mends within a moment, as
    /// it learns what scrolls, is not told. `source` is the text of the package's `axe.min.js`: see [`axe_source`].
    ///
    /// # Errors
    /// When the source is not axe-core's.
    pub async fn axe(&mut self, source: &str) -> Result<Vec<Violation>> {
        self.poll("document.readyState === 'complete'", PATIENCE, |value| value == &json!(true)).await?;
        let deadline = Instant::now() + SETTLING;
        loop {
            // Observers of sizes run after a frame's callbacks.
            self.eval(&format!("{FRAME}.then(() => new Promise(done => setTimeout(done)))")).await?;
            match self.violations(source).await {
                Ok(found) if found.is_empty() || Instant::now() > deadline => return Ok(found),
                // A page that goes while it is looked at has no document.
                Err(error) if Instant::now() > deadline => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
    }

    async fn violations(&mut self, source: &str) -> Result<Vec<Violation>> {
        // In one evaluation, which the page's content security policy does not bind.
        let run = format!(
            "{source}\n;axe.run(document, {{resultTypes: ['violations']}}).then(found => found.violations.map(v =>
                [v.id, v.help, v.nodes.flatMap(node => node.target.map(String))]))"
        );
        let found = self.eval(&run).await.context("running axe-core")?;
        let found: Vec<(String, String, Vec<String>)> = serde_json::from_value(found)?;
        Ok(found.into_iter().map(|(rule, help, targets)| Violation { rule, help, targets }).collect())
    }

    /// Takes one complaint that contains the text off the list, for a test that provokes it (a refused form is logged by
    /// Chromium as a failed request, at any time after the page is there, and now and then twice).
    ///
    /// # Errors
    /// When the page makes no such complaint within [`PATIENCE`].
    pub async fn expect_problem(&mut self, text: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.eval("0").await?;
            if let Some(at) = self.problems.iter().position(|problem| problem.contains(text)) {
                let problem = self.problems.remove(at);
                self.expected.push(problem);
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "no complaint contains {text:?}; there are {:?}",
                self.problems
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What the page complained about and no test expected.
    fn complaints(&mut self) -> Vec<String> {
        let mut problems = std::mem::take(&mut self.problems);
        for again in self.expected.drain(..) {
            if let Some(at) = problems.iter().position(|problem| *problem == again) {
                problems.remove(at);
            }
        }
        problems
    }

    /// Ends the page.
    ///
    /// # Errors
    /// When it complained on its console: an uncaught exception, `console.error`, a failed request, a refused policy.
    pub async fn close(mut self) -> Result<()> {
        // A last round trip, so that what the page has already said has arrived.
        self.eval("0").await?;
        let problems = self.complaints();
        ensure!(problems.is_empty(), "the page complained:\n  {}", problems.join("\n  "));
        Ok(())
    }

    /// Evaluates until the value pleases, at most for `limit`. While a page is being replaced there is no answer, which is
    /// taken for "not yet".
    async fn poll(&mut self, js: &str, limit: Duration, pleases: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + limit;
        loop {
            let seen = self.eval(js).await;
            match seen {
                Ok(value) if pleases(&value) => return Ok(value),
                _ if Instant::now() < deadline => tokio::time::sleep(LOOK_EVERY).await,
                Ok(value) => bail!("after {limit:?}: {value}; complaints: {:?}", self.problems),
                Err(error) => return Err(error),
            }
        }
    }

    async fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        self.last_id += 1;
        let id = self.last_id;
        let mut command = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(command.to_string())).await?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut message =
                self.next_message(deadline).await.with_context(|| format!("waiting for {method}"))?;
            if message["id"] != json!(id) {
                continue;
            }
            if let Some(error) = message.get("error") {
                bail!("{method}: {}", error["message"].as_str().unwrap_or("refused"));
            }
            return Ok(message["result"].take());
        }
    }

    /// The next message of any kind; events are noted before it is returned.
    async fn next_message(&mut self, deadline: Instant) -> Result<Value> {
        loop {
            let next = tokio::time::timeout_at(deadline.into(), self.socket.next());
            let message = next.await.context("Chromium does not answer")?.context("Chromium has gone")??;
            let Message::Text(text) = message else { continue };
            let message: Value = serde_json::from_str(&text)?;
            self.note(&message);
            return Ok(message);
        }
    }

    fn note(&mut self, message: &Value) {
        let params = &message["params"];
        let problem = match message["method"].as_str() {
            Some("Page.lifecycleEvent") if params["name"] == "load" => {
                self.loaded.extend(params["loaderId"].as_str().map(str::to_owned));
                return;
            }
            Some("Runtime.exceptionThrown") => exception_text(&params["exceptionDetails"]),
            Some("Runtime.consoleAPICalled") if params["type"] == "error" || params["type"] == "assert" => {
                let words = params["args"].as_array().into_iter().flatten();
                words
                    .map(|word| word["value"].as_str().or(word["description"].as_str()).unwrap_or("?"))
                    .collect::<Vec<_>>()
                    .join(" ")
            }
            Some("Log.entryAdded") if params["entry"]["level"] == "error" => {
                let entry = &params["entry"];
                let (text, url) = (entry["text"].as_str(), entry["url"].as_str());
                format!("{} ({})", text.unwrap_or("?"), url.unwrap_or("no address"))
            }
            _ => return,
        };
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let problems = self.complaints();
            assert!(problems.is_empty(), "the page complained:\n  {}", problems.join("\n  "));
        }
    }
}

/// The text of axe-core, if `cargo xtask install` has brought it.
pub fn axe_source() -> Option<String> {
    std::fs::read_to_string(crate::peers::folder()?.join("node/node_modules/axe-core/axe.min.js")).ok()
}

fn exception_text(details: &Value) -> String {
    let thrown = details["exception"]["description"].as_str().or(details["exception"]["value"].as_str());
    thrown.or(details["text"].as_str()).unwrap_or("an exception without text").to_owned()
}

/// Nodes that the tree ignores pass their children up; line boxes repeat the text they belong to.
fn write_accessible(nodes: &[Value], node: &Value, depth: usize, text: &mut String) {
    let role = node["role"]["value"].as_str().unwrap_or("none");
    if role == "InlineTextBox" {
        return;
    }
    let shown = node["ignored"] != json!(true);
    if shown {
        let name = node["name"]["value"].as_str().unwrap_or_default();
        let name = if name.is_empty() { String::new() } else { format!(" {name:?}") };
        text.push_str(&format!("{}{role}{name}\n", "  ".repeat(depth)));
    }
    for id in node["childIds"].as_array().into_iter().flatten() {
        if let Some(child) = nodes.iter().find(|other| &other["nodeId"] == id) {
            write_accessible(nodes, child, depth + usize::from(shown), text);
        }
    }
}

#[cfg(test)]
mod tests;

//! A headless Chromium, driven through WebDriver.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use fantoccini::wd::{Capabilities, WindowHandle};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The time-out of a test's wait.
const TIMEOUT: Duration = Duration::from_secs(60);

const REMEDY: &str = "tests in a browser need Chromium and its driver (install them with \
    `apt-get install chromium chromium-driver`, or with what your system has for it)";

/// Waits, with a mutation observer, until the elements of a selector show the expected texts. Returns
/// what they show then, or at the time-out.
const UNTIL_SHOWN: &str = "
    const [selector, expected, patience, done] = arguments;
    const shown = () => [...document.querySelectorAll(selector)].map((element) => element.innerText);
    const isAsExpected = () => JSON.stringify(shown()) === JSON.stringify(expected);
    if (isAsExpected()) return done(shown());
    const end = () => {
      observer.disconnect();
      clearTimeout(timer);
      done(shown());
    };
    const observer = new MutationObserver(() => { if (isAsExpected()) end(); });
    const timer = setTimeout(end, patience);
    observer.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
";

/// A browser, with one tab at first. When it is dropped, its processes end and its files are removed.
pub(crate) struct Browser {
    client: Client,
    _driver: Driver,
}

impl Browser {
    pub(crate) async fn start() -> Self {
        let driver = Driver::start();
        let mut args = vec![
            "--headless=new".to_owned(),
            "--disable-gpu".to_owned(),
            // A container has little shared memory.
            "--disable-dev-shm-usage".to_owned(),
            format!("--user-data-dir={}", driver.directory.path().display()),
        ];
        if rustix::process::geteuid().is_root() {
            // As root, Chromium starts only with this.
            args.push("--no-sandbox".to_owned());
        }
        let capabilities = json!({
            "goog:chromeOptions": { "args": args },
            // Longer than the script in the page waits.
            "timeouts": { "script": 2 * TIMEOUT.as_millis() as u64 },
        });
        let capabilities: Capabilities = serde_json::from_value(capabilities).unwrap();
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{}", driver.port))
            .await
            .unwrap_or_else(|error| panic!("Chromium was not started: {error}; {REMEDY}"));
        Self {
            client,
            _driver: driver,
        }
    }

    /// Opens this page in the current tab.
    pub(crate) async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Opens this page in a new tab, which becomes the current one.
    pub(crate) async fn open_tab(&self, url: &str) -> WindowHandle {
        let tab = self.client.new_window(true).await.unwrap().handle;
        self.switch_to(&tab).await;
        self.open(url).await;
        tab
    }

    /// Goes back to the previous page of the current tab.
    pub(crate) async fn back(&self) {
        self.client.back().await.unwrap();
    }

    /// Returns the current tab.
    pub(crate) async fn tab(&self) -> WindowHandle {
        self.client.window().await.unwrap()
    }

    /// Switches to a tab.
    pub(crate) async fn switch_to(&self, tab: &WindowHandle) {
        self.client.switch_to_window(tab.clone()).await.unwrap();
    }

    /// Closes the current tab.
    pub(crate) async fn close_tab(&self) {
        self.client.close_window().await.unwrap();
    }

    pub(crate) async fn click(&self, selector: &str) {
        let element = self.client.find(Locator::Css(selector)).await.unwrap();
        element.click().await.unwrap();
    }

    pub(crate) async fn type_into(&self, selector: &str, text: &str) {
        let element = self.client.find(Locator::Css(selector)).await.unwrap();
        element.send_keys(text).await.unwrap();
    }

    /// Waits until the elements of this selector show these texts, one each.
    pub(crate) async fn until_shown(&self, selector: &str, texts: &[&str]) {
        let args = vec![
            json!(selector),
            json!(texts),
            json!(TIMEOUT.as_millis() as u64),
        ];
        let shown = self.client.execute_async(UNTIL_SHOWN, args).await.unwrap();
        assert_eq!(shown, json!(texts), "what `{selector}` shows");
    }

    /// Runs a script in the page and returns its result.
    pub(crate) async fn execute(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }
}

/// The process that drives the browser and starts it.
struct Driver {
    process: Child,
    port: u16,
    /// The standard output, which ends when the driver and its browser have ended.
    lines: Receiver<String>,
    /// The directory of the driver's and the browser's files.
    directory: TempDir,
}

impl Driver {
    fn start() -> Self {
        // chromedriver picks a free port for IPv6, and ends if that port is in use for IPv4.
        let mut attempts = 0;
        loop {
            attempts += 1;
            let mut driver = Self::launch();
            match driver.announced_port() {
                Ok(port) => {
                    driver.port = port;
                    return driver;
                }
                Err(said) if attempts == 20 || !said.contains("port not available") => {
                    panic!("chromedriver ended at once: {said}");
                }
                Err(_) => {}
            }
        }
    }

    fn launch() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .env("HOME", directory.path())
            .env("TMPDIR", directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("chromedriver was not started: {error}; {REMEDY}"));
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // The output is read to its end, so that the driver never blocks on a full pipe.
                let _ = sender.send(line);
            }
        });
        Self {
            process,
            port: 0,
            lines,
            directory,
        }
    }

    /// Returns the port of the line that announces it, or the output of a driver that ended.
    fn announced_port(&self) -> Result<u16, String> {
        let mut said = Vec::new();
        loop {
            match self.lines.recv_timeout(TIMEOUT) {
                Ok(line) => {
                    if let Some((_, port)) = line.split_once("started successfully on port ") {
                        return Ok(port.trim_end_matches('.').parse().unwrap());
                    }
                    said.push(line);
                }
                Err(RecvTimeoutError::Disconnected) => return Err(said.join("; ")),
                Err(RecvTimeoutError::Timeout) => panic!("chromedriver hangs: {said:?}"),
            }
        }
    }

    /// Asks the driver to end, and its browser with it.
    fn shut_down(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream
            .write_all(b"GET /shutdown HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        stream.read_to_end(&mut Vec::new())?;
        Ok(())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.shut_down().is_ok() {
            while let Ok(line) = self.lines.recv_timeout(TIMEOUT) {
                drop(line);
            }
        }
        // The process has ended already unless the shutdown failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

//! A directory that clients try to leave.

use std::fs;

#[cfg(target_os = "linux")]
use callgate::{Scope, SendEvent};
use callgate_toolkit::file::Directory;
use callgate_toolkit::mount::Mounts;
use callgate_toolkit::test_client::ResponseExt;
use http::StatusCode;

use crate::directory::{client, directory, files};

/// Paths that must not lead anywhere.
const HOSTILE: [&str; 47] = [
    "/nosuch",
    "/page.html/",
    "/page.html/below",
    "/empty/",
    "/empty",
    "/../secret",
    "/..",
    "/../",
    "/sub/../../secret",
    "/sub/../page.html",
    "/./page.html",
    "/.",
    "/sub/.",
    "/%2e%2e/secret",
    "/%2E%2E%2Fsecret",
    "/..%2fsecret",
    "/sub%2f..%2f..%2fsecret",
    "/%2e/page.html",
    "/..%5csecret",
    "/..\\secret",
    "/sub\\index.html",
    "/sub%5Cindex.html",
    "/%5c%5chost/share",
    "//page.html",
    "//secret",
    "///etc/passwd",
    "//etc/passwd",
    "/%2Fetc/passwd",
    "/%2F%2Fetc%2Fpasswd",
    "/sub//index.html",
    "//evil.example/%2e%2e",
    "//evil.example/..",
    "/sub%2F",
    "/sub/%2F",
    "/page.html%00",
    "/page.html%00.txt",
    "/%00",
    "/page.html%0a",
    "/.git/config",
    "/%2egit/config",
    "/sub/.env",
    "/sub/%2Eenv",
    "/sub/.well-known/x",
    "/.well-known/../.git/config",
    "/%252e%252e/secret",
    "/%c0%ae%c0%ae/secret",
    "/%FF",
];

#[tokio::test]
async fn a_hostile_path_leads_nowhere() {
    let above = files();
    let plain = client(directory(&above));
    let loose = client(directory(&above).follow_links());
    let mounted = client(Mounts::new().mount("/static", directory(&above)));
    let long = format!("/{}", "x".repeat(300));
    let deep = "/sub".repeat(2000);
    for path in HOSTILE.into_iter().chain([&*long, &*deep]) {
        for (client, target) in [
            (&plain, path.to_owned()),
            (&loose, path.to_owned()),
            (&mounted, format!("/static{path}")),
        ] {
            let response = client.get(&*target).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{target}");
            assert!(!response.text().contains("secret"), "{target}");
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_leads_out_of_the_directory_only_when_the_author_says_so() {
    use std::os::unix::fs::symlink;

    let above = files();
    let public = above.path().join("public");
    symlink("page.html", public.join("inside")).unwrap();
    symlink("../secret", public.join("outside")).unwrap();
    symlink("..", public.join("parent")).unwrap();
    symlink("loop", public.join("loop")).unwrap();
    let strict = client(directory(&above));
    let loose = client(directory(&above).follow_links());
    for (path, by_default, when_followed) in [
        ("/inside", 200, 200),
        ("/outside", 404, 200),
        ("/parent/secret", 404, 200),
        ("/parent/public/page.html", 404, 200),
        ("/loop", 404, 404),
    ] {
        let response = strict.get(path).send().await.unwrap();
        assert_eq!(response.status(), by_default, "{path}");
        let response = loose.get(path).send().await.unwrap();
        assert_eq!(response.status(), when_followed, "{path}");
    }
    // The directory itself may be a link, as those of releases are.
    symlink("public", above.path().join("current")).unwrap();
    let current = client(Directory::new(above.path().join("current")));
    let response = current.get("/page.html").send().await.unwrap();
    assert_eq!(response.text(), "page");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_file_that_was_checked_is_the_file_that_the_server_sends() {
    use callgate_toolkit::middleware::{Events, wrap};

    /// Puts a link to the secret in the place of the file, right before the server opens the file.
    struct Replace(std::path::PathBuf);

    impl Events for Replace {
        fn sending(&mut self, event: &mut SendEvent) {
            if let SendEvent::HttpResponsePathSend(_) = event {
                let file = self.0.join("public/page.html");
                fs::remove_file(&file).unwrap();
                std::os::unix::fs::symlink(self.0.join("secret"), file).unwrap();
            }
        }
    }

    let above = files();
    let path = above.path().to_owned();
    let app = wrap(directory(&above), move |scope: &mut Scope| {
        scope.request()?;
        Some(Replace(path.clone()))
    });
    let client = client(app);
    let response = client.get("/page.html").send().await.unwrap();
    assert_eq!(response.text(), "page");
    let response = client.get("/page.html").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[cfg(unix)]
#[tokio::test]
async fn a_pipe_a_socket_and_a_device_are_not_files_and_hold_nothing_up() {
    let above = files();
    let public = above.path().join("public");
    let pipe = public.join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(public.join("socket")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", public.join("zero")).unwrap();
    for app in [directory(&above), directory(&above).follow_links()] {
        let client = client(app);
        for path in ["/pipe", "/socket", "/zero", "/pipe/"] {
            let response = client.get(path).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }
}

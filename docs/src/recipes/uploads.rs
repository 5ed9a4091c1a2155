//! Forms and uploads: a form of fields is read whole, an upload in chunks, and both have limits.

use callgate::{AppError, Receiver, Scope, Sender};
use callgate_toolkit::multipart::Limits;
use callgate_toolkit::{read, respond};
use http::{Method, StatusCode};
use serde::Deserialize;

#[derive(Deserialize)]
struct Contact {
    name: String,
    email: String,
}

/// The application: `POST /contact` with a URL-encoded form, `POST /files` with a multipart form. An
/// application around it that handles errors responds to malformed forms: `errors::handle(app)`.
///
/// # Errors
///
/// The form is malformed or too large, or a file cannot be written.
pub async fn app(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_http()?;
    let response = match (&scope.method, scope.path().as_ref()) {
        (&Method::POST, "/contact") => {
            let contact: Contact = read::form(&scope, &mut receiver, 16 * 1024).await?;
            respond::text(format!("{} <{}>\n", contact.name, contact.email))
        }
        (&Method::POST, "/files") => {
            // 32 MiB in all, 16 MiB a file, 10 files.
            let limits = Limits::new(32 << 20).per_field(16 << 20).max_fields(10);
            let mut form = read::multipart(&scope, &mut receiver, limits)?;
            let mut lines = String::new();
            while let Some(mut field) = form.next().await? {
                // The name is the client's: it is shown, and never used as a path.
                let name = field.file_name().unwrap_or("no file").to_owned();
                let mut length = 0;
                // A real application writes each chunk to a file or an object store.
                while let Some(chunk) = field.chunk().await? {
                    length += chunk.len();
                }
                lines.push_str(&format!("{name}: {length} bytes\n"));
            }
            respond::text(lines)
        }
        _ => respond::status(StatusCode::NOT_FOUND),
    };
    response.send(&sender).await
}

#[cfg(test)]
mod tests {
    use callgate_toolkit::errors;
    use callgate_toolkit::test_client::{ResponseExt, TestClient};

    #[tokio::test]
    async fn the_fields_of_a_form_are_read() {
        let client = TestClient::new(errors::handle(super::app));
        let form = [("name", "Ada"), ("email", "ada@example.com")];
        let response = client.post("/contact").form(&form).send().await.unwrap();
        assert_eq!(response.text(), "Ada <ada@example.com>\n");

        let response = client
            .post("/contact")
            .form(&[("name", "Ada")])
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 422);
    }

    #[tokio::test]
    async fn files_are_read_in_chunks() {
        let client = TestClient::new(errors::handle(super::app));
        let content = "--line\r\n\
            content-disposition: form-data; name=\"file\"; filename=\"notes.txt\"\r\n\r\n\
            twelve bytes\r\n--line--\r\n";
        let request = client
            .post("/files")
            .header("content-type", "multipart/form-data; boundary=line")
            .body(content);
        assert_eq!(
            request.send().await.unwrap().text(),
            "notes.txt: 12 bytes\n"
        );
    }
}

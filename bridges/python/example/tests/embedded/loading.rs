//! What `load` finds, and what it says when it finds nothing.

use callgate_python::{AsgiApp, Interface};
use callgate_toolkit::test_client::{Error, TestClient};

use super::{get, loader};

/// Returns why this application cannot be loaded.
fn reason(target: &str, factory: bool) -> String {
    let loaded = loader(target).factory(factory).load();
    loaded.err().expect("no application").to_string()
}

#[test]
fn a_missing_module_is_named_with_its_folder_and_the_remedy() {
    let reason = reason("nowhere:app", false);
    let rest = reason
        .strip_prefix("there is no module `nowhere` in ")
        .unwrap();
    assert!(rest.ends_with("/tests/apps (`app_dir` names another folder)"));
}

#[test]
fn a_missing_attribute_is_named() {
    assert_eq!(
        reason("raw:nothing", false),
        "the module `raw` has no `nothing`: give module:attribute, such as main:app"
    );
}

#[test]
fn a_target_without_an_attribute_is_explained() {
    assert!(reason("raw", false).contains("give module:attribute, such as main:app"));
}

#[test]
fn an_exception_of_the_module_is_shown_from_its_first_own_line_on() {
    let reason = reason("broken:app", false);
    let expected =
        "importing `broken` raised an exception:\nTraceback (most recent call last):\n  File \"";
    assert!(reason.starts_with(expected), "{reason}");
    assert!(reason.ends_with("KeyError: 'missing'"), "{reason}");
    assert_eq!(reason.matches("File \"").count(), 1, "{reason}");
}

#[test]
fn an_exception_of_the_factory_is_shown() {
    let reason = reason("raw:fails", true);
    assert!(reason.starts_with("`raw:fails()` raised an exception:\n"));
    assert!(reason.ends_with("ValueError: no settings"), "{reason}");
}

#[test]
fn an_exit_of_the_factory_does_not_end_the_program() {
    let reason = reason("raw:exits", true);
    assert!(
        reason.starts_with("loading `raw:exits` raised an exception:\n"),
        "{reason}"
    );
    assert!(reason.ends_with("SystemExit: no use"), "{reason}");
}

#[test]
fn what_cannot_be_called_is_no_application() {
    assert_eq!(
        reason("raw:number", false),
        "`raw:number` is no application, but of the type `int`: name what takes (scope, receive, send) or (environ, \
         start_response)"
    );
}

#[test]
fn a_factory_is_called_without_its_option() {
    assert!(loader("raw:create").load().is_ok());
}

#[test]
fn a_target_that_fails_can_be_loaded_as_another() {
    assert!(AsgiApp::load("nowhere:app").is_err());
    assert!(loader("raw:create").factory(true).load().is_ok());
}

#[tokio::test]
async fn an_application_of_wsgi_is_found_out() -> Result<(), Error> {
    for interface in [Interface::Auto, Interface::Wsgi] {
        let app = loader("raw:wsgi").interface(interface).load().unwrap();
        assert_eq!(get(&TestClient::new(app), "/path").await?, "/path of WSGI");
    }
    Ok(())
}

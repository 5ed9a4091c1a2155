//! Has the program find the library of Python that it is linked with, wherever that Python is installed.

fn main() {
    pyo3_build_config::add_libpython_rpath_link_args();
}

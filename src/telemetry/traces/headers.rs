//! The file of headers: `Name: value`, a line each. What is in it never comes out in an error.

use std::path::Path;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::TracesError;

pub(super) fn read(path: &Path) -> Result<HeaderMap, TracesError> {
    let error = |what: String| TracesError::File { field: "headers_file", path: path.to_owned(), what };
    let text = std::fs::read_to_string(path).map_err(|e| error(e.to_string()))?;
    parse(&text).map_err(error)
}

/// Empty lines and those that begin with `#` say nothing.
fn parse(text: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let pair = line.split_once(':').and_then(|(name, value)| {
            let mut value = HeaderValue::from_str(value.trim()).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::from_bytes(name.trim().as_bytes()).ok()?, value))
        });
        let Some((name, value)) = pair else {
            return Err(format!("line {} is no header; write 'Name: value', a line each", at + 1));
        };
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_a_line_and_what_is_wrong_is_named_by_its_line_alone() {
        let headers = parse("# who we are\nAuthorization: Bearer a:b\n\n X-Scope-OrgID:garage \n").unwrap();
        assert_eq!(headers["authorization"], "Bearer a:b");
        assert_eq!(headers["x-scope-orgid"], "garage");
        assert!(!format!("{headers:?}").contains("a:b"));
        let error = parse("a: b\nhush-hush").unwrap_err();
        assert!(error.contains("line 2") && !error.contains("hush"), "{error}");
        assert!(parse("a b: hush").unwrap_err().contains("line 1"));
    }
}

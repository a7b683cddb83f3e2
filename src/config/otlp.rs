//! Reads where traces are sent.

use secrecy::SecretString;
use url::Url;

use crate::config::fault::Refusal;
use crate::config::lookup::Lookup;
use crate::config::parse;
use crate::config::settings as set;

/// A collector of traces.
#[derive(Debug, Clone)]
pub struct OtlpSettings {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: Url,
    /// `OTEL_EXPORTER_OTLP_HEADERS`: names and values.
    pub headers: Vec<(String, SecretString)>,
}

impl OtlpSettings {
    /// Where traces are posted to.
    pub fn traces_url(&self) -> String {
        format!("{}/v1/traces", self.endpoint.as_str().trim_end_matches('/'))
    }
}

pub(super) fn otlp(lookup: &mut Lookup<'_>) -> Option<OtlpSettings> {
    let headers = lookup.optional(&set::OTEL_EXPORTER_OTLP_HEADERS, headers).unwrap_or_default();
    let endpoint = lookup.optional(&set::OTEL_EXPORTER_OTLP_ENDPOINT, parse::base_url)?;
    Some(OtlpSettings { endpoint, headers })
}

fn headers(text: &str) -> Result<Vec<(String, SecretString)>, Refusal> {
    let wrong = || {
        Refusal::new(
            "is not a list of headers",
            "Write `name=value`, separated by commas, values percent-encoded.",
        )
    };
    parse::items(text)
        .into_iter()
        .map(|item| {
            let (name, value) = item.split_once('=').ok_or_else(wrong)?;
            let name = name.trim().to_ascii_lowercase();
            let named =
                !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c));
            // The decoder of forms reads `+` as a blank, which headers do not mean.
            let value = value.trim().replace('+', "%2B");
            let decoded = url::form_urlencoded::parse(format!("v={value}").as_bytes())
                .next()
                .map(|(_, value)| value.into_owned())
                .unwrap_or_default();
            let plain = decoded.bytes().all(|c| (0x20..0x7f).contains(&c));
            if named && plain { Ok((name, decoded.into())) } else { Err(wrong()) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn headers_are_names_and_decoded_values() {
        let read = headers("Authorization=Bearer%20a+b%3D, x-team = blue").expect("headers");
        let read: Vec<_> = read.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
        assert_eq!(read, [("authorization", "Bearer a+b="), ("x-team", "blue")]);
        for wrong in ["novalue", "=x", "a b=c", "x=%0d%0aevil"] {
            assert!(headers(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn traces_go_below_the_endpoint() {
        for (endpoint, posted) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("https://otel.example.com/tenant/", "https://otel.example.com/tenant/v1/traces"),
        ] {
            let settings = OtlpSettings { endpoint: endpoint.parse().expect("a URL"), headers: Vec::new() };
            assert_eq!(settings.traces_url(), posted);
        }
    }
}

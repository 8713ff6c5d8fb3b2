//! A message as the body of a signed POST.

use std::error::Error as _;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Certificate, Client, Url, redirect};
use sha2::Sha256;

use super::message::Message;
use super::{Failure, Hook, ecs, target};
use crate::secret::Secret;
use crate::time::Time;

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where requests go, and what they are signed with.
pub(super) struct Webhook {
    url: Url,
    key: Secret,
    client: Client,
}

impl Webhook {
    /// Nothing was sent yet.
    ///
    /// # Errors
    /// What is wrong with the certificate or the URL.
    pub fn new(to: &Hook, key: Option<&Secret>) -> Result<Self, String> {
        let mut client = Client::builder()
            .https_only(true)
            // A receiver that redirects us could send us, and what we tell, anywhere.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(target::Guarded))
            .user_agent(concat!("wardline/", env!("CARGO_PKG_VERSION")))
            .timeout(PATIENCE);
        if let Some(pem) = &to.ca_certificate {
            let roots = Certificate::from_pem_bundle(pem.as_bytes());
            let roots = roots.ok().filter(|roots| !roots.is_empty());
            let roots = roots.ok_or("`ca_certificate` holds no certificate")?;
            client = client.tls_certs_only(roots);
        }
        Ok(Self {
            url: to.url()?,
            key: key.ok_or("it needs a `secret`")?.clone(),
            client: client.build().map_err(|error| chain(&error))?,
        })
    }

    /// Sends a message and waits until it was taken.
    ///
    /// # Errors
    /// Why it was not.
    pub async fn post(&self, message: &Message, host: &str) -> Result<(), Failure> {
        let body = ecs::line(message, host);
        let request = self
            .client
            .post(self.url.clone())
            .header("Content-Type", "application/json")
            .header("Wardline-Event", &message.action)
            .header("Wardline-Delivery", &message.id)
            .header(
                "Wardline-Signature",
                signature(&self.key, Time::now(), &body),
            )
            .body(body);
        let answer = request.send().await.map_err(|error| Failure {
            why: chain(&error.without_url()),
            for_good: false,
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let hint = if status.is_redirection() {
            "; redirects are not followed"
        } else {
            ""
        };
        // Those that say "later" are no refusals.
        let later = matches!(status.as_u16(), 408 | 425 | 429);
        Err(Failure {
            why: format!("it answered {}{hint}", status.as_u16()),
            for_good: !later && (status.is_client_error() || status.is_redirection()),
        })
    }
}

/// `t=…,v1=…`: seconds since the epoch, and the HMAC-SHA256 of them, a dot and the body.
fn signature(key: &Secret, time: Time, body: &str) -> String {
    let seconds = time.seconds();
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.reveal().as_bytes()) else {
        return String::new();
    };
    mac.update(format!("{seconds}.{body}").as_bytes());
    let digest = HEXLOWER.encode(&mac.finalize().into_bytes());
    format!("t={seconds},v1={digest}")
}

/// An error and what is behind it.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        // A string takes everything that is written to it.
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_what_others_make_of_it() {
        let key = Secret::from_outside("a key of sixteen");
        let time = Time::from_us(1_790_000_000_000_000);
        // printf '1790000000.{}' | openssl dgst -sha256 -hmac 'a key of sixteen'
        assert_eq!(
            signature(&key, time, "{}"),
            "t=1790000000,v1=6fc16686f59a265267ce5469c60733ee64c28aee2e935ec6fb024f75801d976a"
        );
    }
}

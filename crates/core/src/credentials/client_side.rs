//! API keys in browsers and apps, where everybody who has the page or the app can read them.
//!
//! A request is taken to be sent from there if it has an `Origin` header (Fetch Standard section 3.2: browsers add it, and
//! scripts can't change it), or if its `User-Agent` (RFC 9110 section 10.1.5) names the engine of a browser or a library of
//! phones and desktops. The list of names is closed; all else passes.
//!
//! Easy to get wrong: callers choose both headers, so nobody may get more by them. This rule only ever refuses. It finds a
//! developer's mistake before the key is public, and holds no attacker up.

use std::borrow::Cow;

use crate::{api_key::Environment, denial::Denial, principal::CredentialKind, refusal::Refusal};

/// What a browser's `User-Agent` has besides `Mozilla/` at its beginning: the engine. PowerShell and many scripts begin
/// with `Mozilla/` as well, and have none.
const BROWSER_ENGINES: [&str; 4] = ["AppleWebKit/", "Gecko/", "MSIE ", "Trident/"];

/// What crawlers add by convention: an address for those who wonder. They run on servers, also those that have an engine.
const CRAWLER: &str = "+http";

/// Libraries of apps that name themselves first. A program on a server that uses one of them, as many do with OkHttp, puts
/// its own name before, or replaces theirs.
const APPS_FIRST: [&str; 4] = ["Dalvik/", "Dart/", "okhttp/", "UnityPlayer/"];

/// Libraries of apps that stand behind the app's own name.
const APPS_ANYWHERE: [&str; 3] = ["Alamofire/", "CFNetwork/", "Cronet/"];

/// Refuses an API key for real use that a browser or an app sent, unless it is publishable. `origin` and `user_agent` are the
/// values of the headers of these names. An empty header is none.
pub fn check<'a>(
    credential: CredentialKind,
    environment: Environment,
    origin: impl IntoIterator<Item = &'a [u8]>,
    user_agent: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(), Refusal> {
    if environment == Environment::Test || credential == CredentialKind::PublishableKey {
        return Ok(());
    }
    let is_sent = |value: &&[u8]| !value.trim_ascii().is_empty();
    if let Some(origin) = origin.into_iter().find(is_sent) {
        return Err(Refusal::new(Denial::KeyInBrowser).fact("origin", String::from_utf8_lossy(origin)));
    }
    let mut agents = user_agent.into_iter().map(String::from_utf8_lossy);
    match agents.find(|agent: &Cow<'_, str>| is_of_a_users_device(agent)) {
        Some(agent) => Err(Refusal::new(Denial::KeyInBrowser).fact("user_agent", agent)),
        None => Ok(()),
    }
}

/// Whether a `User-Agent` is that of a browser or an app.
fn is_of_a_users_device(agent: &str) -> bool {
    let agent = agent.trim();
    let has = |name: &str| find(agent, name).is_some();
    let begins_with = |name: &str| find(agent, name) == Some(0);
    let is_browser = begins_with("Mozilla/") && BROWSER_ENGINES.into_iter().any(has) && !has(CRAWLER);
    is_browser || APPS_FIRST.into_iter().any(begins_with) || APPS_ANYWHERE.into_iter().any(has)
}

/// Where `name` is a word of its own, in upper or lower case.
fn find(agent: &str, name: &str) -> Option<usize> {
    let is_word = |at: usize| at == 0 || !agent.as_bytes()[at - 1].is_ascii_alphanumeric();
    let mut windows = agent.as_bytes().windows(name.len()).enumerate();
    windows.find(|(at, window)| window.eq_ignore_ascii_case(name.as_bytes()) && is_word(*at)).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn live(origin: &[&str], user_agent: &[&str]) -> Result<(), Refusal> {
        let bytes = |values: &[&str]| values.iter().map(|value| value.as_bytes().to_vec()).collect::<Vec<_>>();
        let (origin, user_agent) = (bytes(origin), bytes(user_agent));
        check(
            CredentialKind::ApiKey,
            Environment::Live,
            origin.iter().map(Vec::as_slice),
            user_agent.iter().map(Vec::as_slice),
        )
    }

    const BROWSERS: [&str; 6] = [
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0)",
        "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) acme/1.0 Chrome/130.0.0.0 Electron/33.0.0 Safari/537.36",
    ];

    const APPS: [&str; 8] = [
        "okhttp/4.12.0",
        "Dart/3.5 (dart:io)",
        "Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/AP1A.240405.002)",
        "Acme/7 CFNetwork/1568.100.1 Darwin/24.0.0",
        "Acme/1.0 (com.example.acme; build:1; iOS 18.1.0) Alamofire/5.10.1",
        "com.example.acme Cronet/131.0.6778.39",
        "UnityPlayer/2022.3.10f1 (UnityWebRequest/1.0, libcurl/8.1.1-DEV)",
        "OKHTTP/5.0",
    ];

    const PROGRAMS: [&str; 16] = [
        "curl/8.11.0",
        "python-requests/2.32.3",
        "python-httpx/0.28.0",
        "Go-http-client/2.0",
        "node",
        "undici",
        "axios/1.7.9",
        "Java-http-client/21.0.5",
        "Apache-HttpClient/5.4 (Java/21)",
        "acme-sync/1.0 okhttp/4.12.0",
        "Mozilla/5.0 (compatible; acme-sync/1.0; +https://acme.example/bot)",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Googlebot/2.1; +http://www.google.com/bot.html) Chrome/131.0.0.0 Safari/537.36",
        "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041.1",
        "Mozilla/5.0 (Windows NT 10.0; Microsoft Windows 10.0.19045; en-US) PowerShell/7.4.6",
        "Darwin/24.0.0",
        "",
    ];

    #[test]
    fn key_with_an_origin_is_refused_whatever_it_is() {
        for origin in ["https://app.example", "null", "http://localhost:3000", "\u{e4}"] {
            let refusal = live(&[origin], &["curl/8.11.0"]).unwrap_err();
            assert_eq!((refusal.denial, &*refusal.facts[0].1), (Denial::KeyInBrowser, origin));
        }
        assert_eq!(live(&["", "https://app.example"], &[]).unwrap_err().denial, Denial::KeyInBrowser);
    }

    #[test]
    fn key_of_a_browser_or_an_app_is_refused_by_its_agent() {
        for agent in BROWSERS.iter().chain(&APPS) {
            let refusal = live(&[], &["curl/8.11.0", agent]).unwrap_err();
            assert_eq!((refusal.denial, refusal.facts[0].0), (Denial::KeyInBrowser, "user_agent"), "{agent}");
        }
    }

    #[test]
    fn programs_on_servers_pass_also_those_named_like_browsers() {
        assert_eq!(live(&[], &[]), Ok(()));
        for agent in PROGRAMS {
            assert_eq!(live(&[""], &[agent]), Ok(()), "{agent}");
        }
    }

    #[test]
    fn key_for_tests_passes_from_everywhere() {
        let (origin, agent) = ("https://app.example".as_bytes(), BROWSERS[0].as_bytes());
        assert_eq!(check(CredentialKind::ApiKey, Environment::Test, [origin], [agent]), Ok(()));
    }

    #[test]
    fn publishable_key_passes_from_everywhere() {
        let (origin, agent) = ("https://app.example".as_bytes(), BROWSERS[0].as_bytes());
        assert_eq!(check(CredentialKind::PublishableKey, Environment::Live, [origin], [agent]), Ok(()));
    }

    #[test]
    fn name_inside_another_word_does_not_count() {
        for agent in ["acme-notokhttp/1", "xCFNetwork/1", "Mozilla/5.0 NotGecko/1", "xMozilla/5.0 Gecko/1"] {
            assert_eq!(live(&[], &[agent]), Ok(()), "{agent}");
        }
    }

    proptest! {
        /// The headers are the caller's to choose: whatever they hold, it gains nothing.
        #[test]
        fn no_header_lifts_a_refusal(origin in proptest::option::of("\\PC*"), agents in proptest::collection::vec("\\PC*", 0..3)) {
            let mut with_browser: Vec<&str> = agents.iter().map(String::as_str).collect();
            with_browser.push(BROWSERS[0]);
            let origins: Vec<&str> = origin.iter().map(String::as_str).collect();
            prop_assert_eq!(live(&origins, &with_browser).unwrap_err().denial, Denial::KeyInBrowser);
            let agents: Vec<&str> = agents.iter().map(String::as_str).collect();
            let is_sent = origins.iter().any(|origin| !origin.as_bytes().trim_ascii().is_empty());
            prop_assert!(!is_sent || live(&origins, &agents).is_err());
        }
    }
}

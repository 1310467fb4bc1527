//! Style, script and icon: served under names that contain a digest of their content, so that browsers may cache them
//! without a limit and still never show a page with yesterday's style.
//!
//! The digest is taken at start, because the operator's accent is part of the style sheet.

use aws_lc_rs::digest;

use bytes::Bytes;

use super::{
    accent::{Accent, stylesheet},
    logo::Logo,
};

/// `Cache-Control` of an asset: its name changes with its content (RFC 8246).
pub(crate) const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

/// `Content-Security-Policy` of an asset.
pub(crate) const ALONE: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

/// Where assets are served.
pub(crate) const PREFIX: &str = "/assets/";

/// All that pages load.
#[derive(Clone, Debug)]
pub(crate) struct Assets {
    /// The icon of the browser's tab.
    pub(crate) icon: Asset,
    pub(crate) logo: Option<Asset>,
    /// Conveniences that no page depends on.
    pub(crate) script: Asset,
    /// The look, with the operator's accent.
    pub(crate) style: Asset,
}

/// One file, ready to be served.
#[derive(Clone, Debug)]
pub(crate) struct Asset {
    /// Its path, with the digest of its content.
    pub(crate) path: String,
    /// Its `Content-Type`.
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
}

impl Assets {
    /// The assets for pages in this accent.
    pub(crate) fn new(accent: &Accent) -> Self {
        Self {
            icon: Asset::new("icon", "svg", "image/svg+xml", include_str!("icon.svg").into()),
            logo: None,
            script: Asset::new("page", "js", "text/javascript; charset=utf-8", include_str!("page.js").into()),
            style: Asset::new("style", "css", "text/css; charset=utf-8", stylesheet(accent).into()),
        }
    }

    /// The same with the operator's logo.
    pub(crate) fn with_logo(self, logo: Option<&Logo>) -> Self {
        let logo = logo.map(|logo| Asset::new("logo", logo.extension, logo.content_type, logo.content.clone()));
        Self { logo, ..self }
    }

    /// The asset with this path, and none for a name of another build.
    pub(crate) fn find(&self, path: &str) -> Option<&Asset> {
        [&self.icon, &self.script, &self.style].into_iter().chain(&self.logo).find(|asset| asset.path == path)
    }
}

impl Asset {
    fn new(name: &str, extension: &str, content_type: &'static str, body: Bytes) -> Self {
        let digest = digest::digest(&digest::SHA256, &body);
        let hash: String = digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { path: format!("{PREFIX}{name}-{hash}.{extension}"), content_type, body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_changes_with_the_content_and_only_then() {
        let (one, same) = (Assets::new(&Accent::default()), Assets::new(&Accent::default()));
        let other = Assets::new(&Accent::parse("#7a1fa2").unwrap());
        assert_eq!(one.style.path, same.style.path);
        assert_ne!(one.style.path, other.style.path);
        assert_eq!(one.script.path, other.script.path);
    }

    #[test]
    fn an_asset_is_found_by_its_own_path_only() {
        let assets = Assets::new(&Accent::default());
        assert_eq!(assets.find(&assets.script.path).unwrap().body, assets.script.body);
        assert!(assets.find("/assets/page-0000000000000000.js").is_none());
        assert!(assets.find("/assets/").is_none());
    }
}

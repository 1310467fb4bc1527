//! From the text of one value to its field: what each [`Kind`] takes, and what is said when it is something else.
//!
//! The file gives typed TOML values, the environment gives text; both are read here, so that they accept the same
//! values. A message about a secret never repeats it.

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, SocketAddr},
    ops::{Range, RangeInclusive},
    path::Path,
    time::Duration,
};

use doorward_core::{digest::MasterKey, secret::SecretString, web_page::check_web_page};
use doorward_server::Accent;
use ipnet::IpNet;
use toml::{Spanned, de::DeValue};

use super::{
    issuer::Issuer,
    schema::{Key, Kind},
    settings::Config,
    units::{format_duration, format_size, parse_duration, parse_size},
};

/// A value as it was given.
#[derive(Clone, Copy)]
pub(super) enum Input<'a> {
    /// By the environment.
    Text(&'a str),
    /// By the file.
    Toml(&'a Spanned<DeValue<'a>>),
}

/// An error in a value.
#[derive(Debug)]
pub(super) struct Fault {
    /// Where in the file, if it is a part of the value.
    pub(super) span: Option<Range<usize>>,
    /// The error, as the rest of a sentence that begins with the key.
    pub(super) message: String,
    /// What to do.
    pub(super) help: Option<String>,
}

impl Key {
    /// Reads `input` and puts the value in its field; relative paths start at `folder`. On a fault the field keeps its
    /// value.
    pub(super) fn apply(&self, input: Input<'_>, folder: &Path, config: &mut Config) -> Result<(), Vec<Fault>> {
        match &self.kind {
            Kind::Addresses(field) => *field(config) = non_empty_list(list(input, address)?)?,
            Kind::Boolean(field) => *field(config) = boolean(input)?,
            Kind::Choice(names, set, _) => set(config, text(input, "a word").and_then(|word| choice(&word, names))?),
            Kind::Colour(field) => *field(config) = text(input, "a colour").and_then(|hex| colour(&hex))?,
            Kind::Count(range, field) => {
                let count = count(input, range)?;
                field(config).set(count);
            }
            Kind::DatabaseUrl(set) => set(config, text(input, "a URL").and_then(|url| database_url(&url))?),
            Kind::Duration(range, field) => *field(config) = duration(input, range)?,
            Kind::Issuer(set) => set(config, text(input, "a URL").and_then(|url| issuer(&url))?),
            Kind::Link(field) => *field(config) = Some(text(input, "a URL").and_then(|url| link(&url))?),
            Kind::MasterKey(set) => set(config, text(input, "a key").and_then(|key| master_key(&key))?),
            Kind::Name(field) => *field(config) = text(input, "a name").and_then(|words| name(&words))?,
            Kind::Networks(field) => *field(config) = list(input, network)?,
            Kind::Path(field) => *field(config) = folder.join(&*text(input, "a path").and_then(non_empty)?),
            Kind::Size(range, field) => *field(config) = size(input, range)?,
        }
        Ok(())
    }
}

impl Kind {
    /// What it takes, in words, for the template and the reference.
    pub(super) fn description(&self) -> String {
        match self {
            Self::Addresses(_) => "an address with a port, or a list of them".into(),
            Self::Boolean(_) => "true or false".into(),
            Self::Choice(names, ..) => names.join(", "),
            Self::Colour(_) => "a colour, #rrggbb".into(),
            Self::Count(range, _) => format!("a number, {} to {}", range.start(), range.end()),
            Self::DatabaseUrl(_) => "a postgres:// URL, or host=… dbname=… as psql takes it".into(),
            Self::Duration(range, _) => {
                format!("a duration, {} to {}", format_duration(*range.start()), format_duration(*range.end()))
            }
            Self::Issuer(_) => "a URL".into(),
            Self::Link(_) => "an https:// or mailto: URL".into(),
            Self::MasterKey(_) => "32 bytes in base64url".into(),
            Self::Name(_) => "a name, 1 to 60 characters".into(),
            Self::Networks(_) => "a list of networks, such as 10.0.0.0/8".into(),
            Self::Path(_) => "a path".into(),
            Self::Size(range, _) => format!("a size, {} to {}", format_size(*range.start()), format_size(*range.end())),
        }
    }

    /// The default, in the environment's form. Empty for what has none.
    pub(super) fn default_text(&self) -> String {
        let config = &mut Config::new();
        match self {
            Self::Addresses(field) => joined(field(config)),
            Self::Boolean(field) => field(config).to_string(),
            Self::Choice(names, _, position) => names[position(config)].into(),
            Self::Colour(_) | Self::DatabaseUrl(_) | Self::Issuer(_) | Self::Link(_) | Self::MasterKey(_) => {
                String::new()
            }
            Self::Count(_, field) => field(config).to_string(),
            // What takes at most a minute is counted in seconds.
            Self::Duration(range, field) if range.end().as_secs() <= 60 => format!("{}s", field(config).as_secs()),
            Self::Duration(_, field) => format_duration(*field(config)),
            Self::Name(field) => field(config).clone(),
            Self::Networks(field) => joined(field(config)),
            Self::Path(field) => field(config).display().to_string(),
            Self::Size(_, field) => format_size(*field(config)),
        }
    }

    /// A text of the environment's form, written as TOML.
    pub(super) fn toml(&self, text: &str) -> String {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        match self {
            Self::Boolean(_) | Self::Count(..) => text.to_owned(),
            Self::Addresses(_) | Self::Networks(_) => {
                format!("[{}]", elements(text).map(quoted).collect::<Vec<_>>().join(", "))
            }
            _ => quoted(text),
        }
    }
}

impl Fault {
    fn new(message: impl Into<String>) -> Self {
        Self { span: None, message: message.into(), help: None }
    }

    fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

impl From<Fault> for Vec<Fault> {
    fn from(fault: Fault) -> Self {
        vec![fault]
    }
}

fn text<'a>(input: Input<'a>, wanted: &str) -> Result<Cow<'a, str>, Fault> {
    match input {
        Input::Text(text) => Ok(text.into()),
        Input::Toml(value) => match value.get_ref() {
            DeValue::String(text) => Ok((&**text).into()),
            other => Err(wrong_type(other, &format!("{wanted} in quotes"))),
        },
    }
}

fn wrong_type(found: &DeValue<'_>, wanted: &str) -> Fault {
    let found = match found {
        DeValue::Array(_) => "a list",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Integer(_) => "a number",
        DeValue::String(_) => "a text",
        DeValue::Table(_) => "a table",
    };
    Fault::new(format!("takes {wanted}, but this is {found}"))
}

fn integer(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn boolean(input: Input<'_>) -> Result<bool, Fault> {
    match input {
        Input::Text("true") => Ok(true),
        Input::Text("false") => Ok(false),
        Input::Text(_) => Err(Fault::new("takes true or false")),
        Input::Toml(value) => value.get_ref().as_bool().ok_or_else(|| wrong_type(value.get_ref(), "true or false")),
    }
}

fn count(input: Input<'_>, range: &RangeInclusive<u32>) -> Result<u32, Fault> {
    let number = match input {
        Input::Text(text) => text.parse::<u64>().map_err(|_| Fault::new("takes a whole number"))?,
        Input::Toml(value) if value.get_ref().is_integer() => integer(value.get_ref()).ok_or_else(|| outside(range))?,
        Input::Toml(value) => return Err(wrong_type(value.get_ref(), "a whole number")),
    };
    u32::try_from(number).ok().filter(|number| range.contains(number)).ok_or_else(|| outside(range))
}

fn outside<T: fmt::Display>(range: &RangeInclusive<T>) -> Fault {
    Fault::new(format!("takes {} to {}", range.start(), range.end()))
}

fn duration(input: Input<'_>, range: &RangeInclusive<Duration>) -> Result<Duration, Fault> {
    if let Input::Toml(value) = input
        && let Some(number) = integer(value.get_ref())
    {
        let fault = wrong_type(value.get_ref(), "a duration with its unit, in quotes");
        return Err(fault.with_help(format!("for seconds, write \"{number}s\"")));
    }
    let given = text(input, "a duration")?;
    let Some(duration) = parse_duration(&given) else {
        let fault = Fault::new(format!("takes a duration, but got `{given}`"));
        return Err(fault.with_help("write a whole number with s, m, h or d: \"90s\", \"5m\", \"1h30m\", \"30d\""));
    };
    let [shortest, longest] = [range.start(), range.end()].map(|bound| format_duration(*bound));
    range.contains(&duration).then_some(duration).ok_or_else(|| outside(&(shortest..=longest)))
}

fn size(input: Input<'_>, range: &RangeInclusive<usize>) -> Result<usize, Fault> {
    let bytes = match input {
        Input::Toml(value) if value.get_ref().is_integer() => {
            integer(value.get_ref()).and_then(|bytes| usize::try_from(bytes).ok())
        }
        _ => {
            let given = text(input, "a number of bytes, or a size")?;
            let none = || Fault::new(format!("takes a size, but got `{given}`"));
            let read = parse_size(&given);
            Some(read.ok_or_else(|| none().with_help("write a whole number with B, KiB, MiB or GiB: \"64KiB\""))?)
        }
    };
    let [smallest, largest] = [range.start(), range.end()].map(|bound| format_size(*bound));
    bytes.filter(|bytes| range.contains(bytes)).ok_or_else(|| outside(&(smallest..=largest)))
}

/// Reads a list: an array of texts, or one text alone; the environment parts them by commas. Names every bad element.
fn list<T>(input: Input<'_>, read: fn(&str) -> Result<T, Fault>) -> Result<Vec<T>, Vec<Fault>> {
    let read_all: Vec<Result<T, Fault>> = match input {
        Input::Text(text) => elements(text).map(read).collect(),
        Input::Toml(value) => match value.get_ref() {
            DeValue::String(text) => vec![read(text)],
            DeValue::Array(elements) => elements.iter().map(|element| read_element(element, read)).collect(),
            other => return Err(wrong_type(other, "a list of texts").into()),
        },
    };
    let mut values = Vec::with_capacity(read_all.len());
    let mut faults = Vec::new();
    for element in read_all {
        match element {
            Ok(value) => values.push(value),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(values) } else { Err(faults) }
}

fn non_empty_list<T>(values: Vec<T>) -> Result<Vec<T>, Fault> {
    if values.is_empty() { Err(Fault::new("takes at least one item, but this list is empty")) } else { Ok(values) }
}

fn read_element<T>(element: &Spanned<DeValue<'_>>, read: fn(&str) -> Result<T, Fault>) -> Result<T, Fault> {
    let value = match element.get_ref() {
        DeValue::String(text) => read(text),
        other => Err(wrong_type(other, "texts in its list")),
    };
    value.map_err(|fault| Fault { span: Some(element.span()), ..fault })
}

fn joined<T: ToString>(elements: &[T]) -> String {
    elements.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

fn elements(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|element| !element.is_empty())
}

fn address(text: &str) -> Result<SocketAddr, Fault> {
    let none = || Fault::new(format!("takes an address with a port, but got `{text}`"));
    text.parse().map_err(|_| none().with_help("such as \"127.0.0.1:8400\" or \"[::1]:8400\"; names are not looked up"))
}

fn network(text: &str) -> Result<IpNet, Fault> {
    let none = || Fault::new(format!("takes networks, but got `{text}`"));
    let network = match text.parse::<IpNet>() {
        Ok(network) => network,
        Err(_) => text.parse::<IpAddr>().map(IpNet::from).map_err(|_| none().with_help("such as \"10.0.0.0/8\""))?,
    };
    if network.prefix_len() == 0 {
        let everyone = Fault::new(format!("trusts everyone with `{text}`: any caller could claim any address"));
        return Err(everyone.with_help("name the networks of the proxy"));
    }
    if network.trunc() != network {
        let (whole, alone) = (network.trunc(), network.addr());
        let unclear = Fault::new(format!("takes networks, but `{text}` is an address within one"));
        return Err(
            unclear.with_help(format!("write \"{whole}\" for the network, or \"{alone}\" for the address alone"))
        );
    }
    Ok(network)
}

fn choice(word: &str, names: &[&str]) -> Result<usize, Fault> {
    let unknown = || Fault::new(format!("takes {}, but got `{word}`", names.join(", ")));
    names.iter().position(|name| *name == word).ok_or_else(unknown)
}

fn colour(hex: &str) -> Result<Accent, Fault> {
    let digits = hex.strip_prefix('#').filter(|digits| digits.len() == 6);
    if !digits.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit())) {
        return Err(Fault::new(format!("takes a colour as #rrggbb, but got `{hex}`")));
    }
    Accent::parse(hex).map_err(|invalid| Fault::new(invalid.to_string()))
}

fn database_url(url: &str) -> Result<SecretString, Fault> {
    // A URL with several hosts is none that other programs would read.
    let is_postgres = url.starts_with("postgres://") || url.starts_with("postgresql://") || url.contains("host=");
    match is_postgres {
        true => Ok(url.into()),
        false => Err(Fault::new("takes a URL that begins with postgres://, or host=… dbname=… as psql does")),
    }
}

fn issuer(url: &str) -> Result<Issuer, Fault> {
    Issuer::parse(url).map_err(|invalid| Fault::new(format!("can't be `{url}`: {invalid}")))
}

fn link(url: &str) -> Result<String, Fault> {
    let none = || Fault::new(format!("takes a URL that begins with https:// or mailto:, but got `{url}`"));
    match url.split_once(':') {
        Some(("https", _)) => {
            let fault = |why| Fault::new(format!("`{url}` is not the URL of a web page: {why}"));
            check_web_page(url).map_err(fault)?;
        }
        Some(("mailto", to)) if to.bytes().all(|byte| byte.is_ascii_graphic()) && to.contains('@') => {}
        _ => return Err(none()),
    }
    Ok(url.to_owned())
}

fn master_key(text: &str) -> Result<MasterKey, Fault> {
    MasterKey::parse(text).map_err(|invalid| Fault::new(format!("is not a master key: {invalid}")))
}

fn name(words: &str) -> Result<String, Fault> {
    let fits = (1..=60).contains(&words.chars().count()) && !words.chars().any(char::is_control);
    let fault = || Fault::new("takes a name of 1 to 60 characters, without line breaks");
    (fits && words.trim() == words).then(|| words.to_owned()).ok_or_else(fault)
}

fn non_empty(text: Cow<'_, str>) -> Result<Cow<'_, str>, Fault> {
    if text.is_empty() { Err(Fault::new("takes a path, but this is empty")) } else { Ok(text) }
}

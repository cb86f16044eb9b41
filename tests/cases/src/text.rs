//! What `$` stands for.
//!
//! ```text
//! $name              what the script or the run says: $hash, $id, $region, a `let`, a cell of the row ($1)
//! $repeat[3:ab]      ababab
//! $each[3:x%]        x1,x2,x3
//! $lists[2]          {"L":[{"L":[{"N":"1"}]}]}      and $maps[2] with maps of one attribute "m"
//! $any $number ...   wildcards of expectations: left as they are
//! $$                 a dollar
//! ```

use anyhow::{Context, Result, bail, ensure};

/// What expectations understand; never replaced.
pub const WILDCARDS: &[&str] = &["any", "number", "text", "uuid", "more", "unordered"];

/// A name within a name within ...: a `let` that names itself ends here.
const DEPTH_MAX: usize = 16;

/// Replaces everything in `text` that begins with `$`.
pub fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    expand_into(&mut out, text, lookup, 0)?;
    Ok(out)
}

fn expand_into(
    out: &mut String,
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    depth: usize,
) -> Result<()> {
    ensure!(depth < DEPTH_MAX, "too many names within names: {text}");
    let mut rest = text;
    while let Some(start) = rest.find('$') {
        out.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        // A cell is one digit, so that more digits may follow.
        let end = if rest.starts_with(|c: char| c.is_ascii_digit()) { 1 } else { end };
        let (name, after) = rest.split_at(end);
        rest = after;
        match name {
            "repeat" | "each" => {
                let (inside, after) = brackets(after)?;
                rest = after;
                many(out, name == "each", inside, lookup, depth)?;
            }
            "lists" | "maps" => {
                let (inside, after) = brackets(after)?;
                rest = after;
                let mut depth_text = String::new();
                expand_into(&mut depth_text, inside, lookup, depth + 1)?;
                let levels: usize =
                    depth_text.parse().with_context(|| format!("{depth_text} is no depth"))?;
                let (open, close) =
                    if name == "lists" { ("{\"L\":[", "]}") } else { ("{\"M\":{\"m\":", "}}") };
                out.push_str(&format!("{}{{\"N\":\"1\"}}{}", open.repeat(levels), close.repeat(levels)));
            }
            _ if WILDCARDS.contains(&name) => {
                out.push('$');
                out.push_str(name);
            }
            _ => match lookup(name) {
                Some(value) => expand_into(out, &value, lookup, depth + 1)?,
                None => bail!("nobody knows ${name}"),
            },
        }
    }
    out.push_str(rest);
    Ok(())
}

/// What is in the brackets that `text` begins with, and what comes after.
fn brackets(text: &str) -> Result<(&str, &str)> {
    let mut depth = 0usize;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' if depth == 1 => return Ok((&text[1..index], &text[index + 1..])),
            b']' => depth = depth.checked_sub(1).context("a bracket closes that never opened")?,
            _ if depth == 0 => bail!("brackets follow $repeat and $each"),
            _ => (),
        }
    }
    bail!("a bracket is never closed: {text}")
}

fn many(
    out: &mut String,
    numbered: bool,
    inside: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    depth: usize,
) -> Result<()> {
    let (count, pattern) = inside.split_once(':').context("a count and a text")?;
    let mut number = String::new();
    expand_into(&mut number, count, lookup, depth + 1)?;
    let count: usize = number.trim().parse().with_context(|| format!("{number} is no count"))?;
    let mut once = String::new();
    expand_into(&mut once, pattern, lookup, depth + 1)?;
    for index in 1..=count {
        if numbered {
            if index > 1 {
                out.push(',');
            }
            out.push_str(&once.replace('%', &index.to_string()));
        } else {
            out.push_str(&once);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! Reading JSON as a client does: a small tree, and nothing of it shared with what writes it.

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`, `true`, `false` or a number, as it stands there.
    Word(String),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object, in its own order.
    Object(Vec<(String, Json)>),
}

/// Values inside of values, at most.
const DEPTH_MAX: usize = 64;

impl Json {
    /// Reads one value that is all of `text`.
    pub fn read(text: &str) -> Option<Json> {
        let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
        let value = reader.value(0)?;
        reader.space();
        (reader.at == reader.bytes.len()).then_some(value)
    }

    /// The member of this name.
    pub fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The elements of a list; none of anything else.
    pub fn list(&self) -> &[Json] {
        match self {
            Json::List(elements) => elements,
            _ => &[],
        }
    }

    /// Of an item: the string attribute of this name.
    pub fn s(&self, name: &str) -> Option<&str> {
        match self.get(name)?.get("S")? {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Of an item: the number attribute of this name.
    pub fn n(&self, name: &str) -> Option<u64> {
        match self.get(name)?.get("N")? {
            Json::Text(text) => text.parse().ok(),
            _ => None,
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn space(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.space();
        (self.bytes.get(self.at) == Some(&byte)).then(|| self.at += 1)
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        self.space();
        match self.bytes.get(self.at)? {
            _ if depth == DEPTH_MAX => None,
            b'"' => self.text().map(Json::Text),
            b'[' => self.list(depth),
            b'{' => self.object(depth),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Option<Json> {
        let from = self.at;
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        while self.bytes.get(self.at).is_some_and(is_part) {
            self.at += 1;
        }
        let word = std::str::from_utf8(&self.bytes[from..self.at]).ok()?;
        (!word.is_empty()).then(|| Json::Word(word.to_string()))
    }

    fn list(&mut self, depth: usize) -> Option<Json> {
        self.take(b'[')?;
        let mut elements = Vec::new();
        if self.take(b']').is_some() {
            return Some(Json::List(elements));
        }
        loop {
            elements.push(self.value(depth + 1)?);
            if self.take(b']').is_some() {
                return Some(Json::List(elements));
            }
            self.take(b',')?;
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json> {
        self.take(b'{')?;
        let mut members = Vec::new();
        if self.take(b'}').is_some() {
            return Some(Json::Object(members));
        }
        loop {
            self.space();
            let name = self.text()?;
            self.take(b':')?;
            members.push((name, self.value(depth + 1)?));
            if self.take(b'}').is_some() {
                return Some(Json::Object(members));
            }
            self.take(b',')?;
        }
    }

    fn text(&mut self) -> Option<String> {
        self.take(b'"')?;
        let mut text = Vec::new();
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            match byte {
                b'"' => return String::from_utf8(text).ok(),
                b'\\' => self.escape(&mut text)?,
                byte => text.push(byte),
            }
        }
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Option<()> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        let plain = match byte {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 8,
            b'f' => 12,
            b'u' => {
                let digits = self.bytes.get(self.at..self.at + 4)?;
                self.at += 4;
                let code = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
                // Nothing that a simulated client writes needs a pair of them.
                let mut buffer = [0; 4];
                text.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut buffer).as_bytes());
                return Some(());
            }
            byte => byte,
        };
        text.push(plain);
        Some(())
    }
}

#[cfg(test)]
mod tests;

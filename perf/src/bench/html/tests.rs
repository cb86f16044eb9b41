//! The page holds all of the report, and nothing from elsewhere.

use super::*;
use crate::bench::host;

#[test]
fn a_page_stands_alone_and_escapes_what_it_was_given() {
    let report = Report::new(host::facts(), "torc bench --table <b>\"x\"&".into(), 1);
    let plot = Plot {
        name: "p".into(),
        title: "A picture".into(),
        caption: "1 < 2".into(),
        svg: "<svg width=\"1\" height=\"1\"></svg>".into(),
    };
    let page = page(&report, &[plot]);
    assert!(page.contains("--table &lt;b&gt;&quot;x&quot;&amp;"), "{page}");
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"), "{page}");
}

use super::*;

const FORM: &str = "<!doctype html><html lang=en><title>Form</title>
<style>@media (prefers-color-scheme: dark) { body { background: rgb(1, 2, 3) } }</style>
<main><h1>Greeting</h1>
<label for=name>Name</label> <input id=name>
<button id=go onclick=\"setTimeout(() => { out.textContent = 'Hello ' + document.querySelector('#name').value }, 100)\">Go</button>
<p id=out role=status></p><p id=wide hidden>never</p></main>
<script>document.querySelector('#name').addEventListener('keydown', e => { if (e.key === 'Enter') go.click() })</script>";

/// A page on the form, or nothing where there is no Chromium.
async fn open(html: &str) -> Option<(tempfile::TempDir, Page)> {
    if program().is_none() {
        eprintln!("Chromium is not installed: not tested");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    std::fs::write(&file, html).unwrap();
    let mut page = start().page().await.unwrap();
    page.goto(&format!("file://{}", file.display())).await.unwrap();
    Some((folder, page))
}

#[tokio::test]
async fn types_clicks_reads_and_waits() {
    let Some((_folder, mut page)) = open(FORM).await else { return };
    page.type_text("#name", "Zoë 5").await.unwrap();
    page.click("#go").await.unwrap();
    page.wait_for_text("Hello Zoë 5", PATIENCE).await.unwrap();
    assert_eq!(page.text("#out").await.unwrap(), "Hello Zoë 5");

    page.click("#name").await.unwrap();
    page.press("Control+a").await.unwrap();
    page.press("Backspace").await.unwrap();
    page.type_text("#name", "Ann").await.unwrap();
    page.press("Enter").await.unwrap();
    page.wait_for_text("Hello Ann", PATIENCE).await.unwrap();
    assert_eq!(page.eval("Promise.resolve({a: [1, null]})").await.unwrap(), json!({"a": [1, null]}));
    page.close().await.unwrap();
}

#[tokio::test]
async fn what_is_not_there_or_not_shown_is_an_error() {
    let Some((_folder, mut page)) = open(FORM).await else { return };
    let limit = Duration::from_millis(100);
    assert!(page.wait_for("#nothing", limit).await.is_err());
    assert!(page.wait_for("#wide", limit).await.is_err());
    page.wait_for("#go", limit).await.unwrap();
    let error = page.wait_for_text("Farewell", limit).await.unwrap_err();
    assert!(format!("{error:#}").contains("Greeting"), "{error:#}");
    let error = page.eval("null.x").await.unwrap_err();
    assert!(error.to_string().contains("TypeError"), "{error}");
    assert!(page.goto("http://127.0.0.1:1/").await.is_err());
    page.close().await.unwrap();
}

#[tokio::test]
async fn viewport_colours_and_picture() {
    let Some((folder, mut page)) = open(FORM).await else { return };
    page.set_viewport(390, 844).await.unwrap();
    assert_eq!(page.eval("[innerWidth, innerHeight]").await.unwrap(), json!([390, 844]));
    let colour = "getComputedStyle(document.body).backgroundColor";
    page.set_dark(false).await.unwrap();
    assert_eq!(page.eval(colour).await.unwrap(), json!("rgba(0, 0, 0, 0)"));
    page.set_dark(true).await.unwrap();
    assert_eq!(page.eval(colour).await.unwrap(), json!("rgb(1, 2, 3)"));
    let picture = folder.path().join("page.png");
    page.screenshot(&picture).await.unwrap();
    let png = std::fs::read(picture).unwrap();
    assert!(png.starts_with(b"\x89PNG"));
    // The header's width and height.
    assert_eq!(png[16..24], [0, 0, 1, 134, 0, 0, 3, 76]);
    page.close().await.unwrap();
}

#[tokio::test]
async fn complaints_fail_the_page_unless_expected() {
    let Some((_folder, mut page)) = open(FORM).await else { return };
    page.eval("console.error('bad', 'thing')").await.unwrap();
    page.eval("setTimeout(() => { throw new Error('late') }, 0); new Promise(go => setTimeout(go, 50))")
        .await
        .unwrap();
    page.expect_problem("bad thing").await.unwrap();
    assert!(page.expect_problem("bad thing").await.is_err());
    let error = page.close().await.unwrap_err();
    assert!(error.to_string().contains("late"), "{error}");
}

#[tokio::test]
async fn each_page_is_another_person() {
    let Some((_folder, mut one)) = open(FORM).await else { return };
    let Some((_other, mut two)) = open(FORM).await else { return };
    one.eval("localStorage.setItem('who', 'one')").await.unwrap();
    assert_eq!(one.eval("localStorage.getItem('who')").await.unwrap(), json!("one"));
    assert_eq!(two.eval("localStorage.getItem('who')").await.unwrap(), Value::Null);
    one.close().await.unwrap();
    two.close().await.unwrap();
}

#[tokio::test]
async fn accessibility_is_seen() {
    let bad = "<!doctype html><title>x</title><main><h1>Hi</h1><img src='data:,'><input></main>";
    let Some((_folder, mut page)) = open(bad).await else { return };
    let tree = page.accessibility_tree().await.unwrap();
    assert!(tree.contains("heading \"Hi\"\n"), "{tree}");
    if let Some(source) = axe_source() {
        let found = page.axe(&source).await.unwrap();
        let rules: Vec<_> = found.iter().map(|violation| violation.rule.as_str()).collect();
        assert!(rules.contains(&"html-has-lang") && rules.contains(&"label"), "{found:?}");
    } else {
        eprintln!("axe-core is not installed: not tested");
    }
    page.close().await.unwrap();
}

#[test]
fn keys_carry_their_modifiers() {
    assert_eq!(split_modifiers("Control+Shift+a"), ("a", 10));
    assert_eq!(split_modifiers("+"), ("+", 0));
    assert_eq!(split_modifiers("Enter"), ("Enter", 0));
}
